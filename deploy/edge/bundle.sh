#!/bin/sh
# Makes a folder to install the edge agent from without a network: wheels for this kind of machine, with their hashes.
#
#   bundle.sh FOLDER [--sign PRIVATE.pem]
#
# Run it, after `make setup`, on a machine like the box: same processor, same Python. The wheels are those of the lock file.
# A key pair:  openssl genpkey -algorithm ed25519 -out private.pem && openssl pkey -in private.pem -pubout -out public.pem
set -eu
folder=${1:?tell the folder to make}
sign=
[ "${2:-}" = --sign ] && sign=${3:?tell the private key}
project=$(cd "$(dirname "$0")/../.." && pwd)
bin=${VIRTUAL_ENV:-$project/.venv}/bin
python=$bin/python
uv=$bin/uv
[ -x "$uv" ] || { echo "bundle.sh: run make setup first" >&2; exit 2; }
mkdir -p "$folder"
lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
"$uv" pip compile --quiet --extra edge --extra ui --constraint "$project/requirements.lock" --generate-hashes --no-emit-index-url \
    --output-file "$lock" "$project/pyproject.toml"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --requirement "$lock" --dest "$folder"
"$uv" build --quiet --wheel --out-dir "$folder" "$project"
cp "$project/deploy/edge/install.sh" "$project/deploy/edge/sunmao-edge.service" "$folder"
rm -f "$folder/.gitignore"
(cd "$folder" && sha256sum -- *.whl install.sh sunmao-edge.service >SHA256SUMS)
if [ -n "$sign" ]; then openssl pkeyutl -sign -inkey "$sign" -rawin -in "$folder/SHA256SUMS" -out "$folder/SHA256SUMS.sig"; fi
echo "· $folder: $(find "$folder" -name '*.whl' | wc -l) wheels, $(du -sh "$folder" | cut -f1)"
