#!/bin/sh
# Makes a folder to install from without a network: wheels for this kind of machine, with their hashes.
#
#   bundle.sh edge|cloud FOLDER [--sign PRIVATE.pem]
#
# Run it, after `make setup`, on a machine like the one to install on: same processor, same Python. The wheels are those of
# the lock file.
# A key pair:  openssl genpkey -algorithm ed25519 -out private.pem && openssl pkey -in private.pem -pubout -out public.pem
set -eu
room=${1:-} folder=${2:-} sign=
case $room in
    edge) extras="--extra edge --extra ui" ;;
    cloud) extras="--extra cloud" ;;
    *) echo "bundle.sh: tell what to bundle: edge or cloud" >&2; exit 2 ;;
esac
[ -n "$folder" ] || { echo "bundle.sh: tell the folder to make" >&2; exit 2; }
[ "${3:-}" = --sign ] && sign=${4:?tell the private key}
project=$(cd "$(dirname "$0")/.." && pwd)
bin=${VIRTUAL_ENV:-$project/.venv}/bin
python=$bin/python
uv=$bin/uv
[ -x "$uv" ] || { echo "bundle.sh: run make setup first" >&2; exit 2; }
mkdir -p "$folder"
lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
# shellcheck disable=SC2086 # several words
"$uv" pip compile --quiet $extras --constraint "$project/requirements.lock" --generate-hashes --no-emit-index-url \
    --output-file "$lock" "$project/pyproject.toml"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --requirement "$lock" --dest "$folder"
"$uv" build --quiet --wheel --out-dir "$folder" "$project"
cp "$project/deploy/release.sh" "$project/deploy/$room"/*.sh "$project/deploy/$room"/*.service "$folder"
rm -f "$folder/.gitignore"
(cd "$folder" && sha256sum -- *.whl *.sh *.service >SHA256SUMS)
if [ -n "$sign" ]; then openssl pkeyutl -sign -inkey "$sign" -rawin -in "$folder/SHA256SUMS" -out "$folder/SHA256SUMS.sig"; fi
echo "· $folder: $(find "$folder" -name '*.whl' | wc -l) wheels, $(du -sh "$folder" | cut -f1)"
