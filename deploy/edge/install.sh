#!/bin/sh
# Installs, upgrades and removes the Sunmao edge agent on Debian, Ubuntu or Raspberry Pi OS. 安装、升级、卸载榫卯边缘代理。
#
#   install.sh --wheels FOLDER      install or upgrade from a folder of wheels, as bundle.sh makes it; no network is needed
#   install.sh --uninstall          remove the program; configuration, key and buffer stay
#   install.sh --uninstall --purge  remove those, too: readings that were not sent are lost
#
#   --key FILE      trust only folders signed with this public key (PEM, Ed25519); kept, and demanded from then on
#   --python FILE   the Python to use, 3.11 or newer; python3 unless told
#   --root FOLDER   install below FOLDER instead of /, without user and service: for images and for a look
#
# Two releases are kept. A new one is put beside the running one, tried on the present configuration, and changed to; if it
# does not stay up, the one before is back by itself and the exit status is 1.
set -eu

root= wheels= key= python=python3 act=install purge=
case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in *zh*) zh=1 ;; *) zh= ;; esac
say() { if [ -n "$zh" ]; then echo "$2"; else echo "$1"; fi; }
fail() { # status, English, Chinese
    say "install.sh: $2" "install.sh：$3" >&2
    exit "$1"
}

while [ $# -gt 0 ]; do
    case $1 in
        --wheels) wheels=${2:?}; shift ;;
        --key) key=${2:?}; shift ;;
        --python) python=${2:?}; shift ;;
        --root) root=${2:?}; shift ;;
        --uninstall) act=uninstall ;;
        --purge) purge=1 ;;
        *) fail 2 "unknown option $1" "未知选项 $1" ;;
    esac
    shift
done

program=$root/opt/sunmao
home=$root/var/lib/sunmao-edge
command=$root/usr/local/bin/sunmao-edge
trusted=$root/etc/sunmao/release.pem
unit=$root/etc/systemd/system/sunmao-edge.service
user=sunmao-edge
here=$(cd "$(dirname "$0")" && pwd)
[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail 2 "run it as root" "请以 root 身份运行"
service() { [ -z "$root" ] && command -v systemctl >/dev/null && [ -d /run/systemd/system ]; }

if [ "$act" = uninstall ]; then
    if service; then systemctl disable --now sunmao-edge >/dev/null 2>&1 || :; fi
    rm -rf "$program" "$command" "$unit" "$trusted"
    if service; then systemctl daemon-reload; fi
    if [ -n "$purge" ]; then
        rm -rf "$home"
        if [ -z "$root" ] && id $user >/dev/null 2>&1; then userdel $user; fi
    elif [ -d "$home" ]; then
        say "removed; configuration, key and buffer stay in $home" "已卸载；配置、密钥与缓冲数据保留在 $home"
    fi
    exit 0
fi

[ -n "$wheels" ] || fail 2 "tell --wheels FOLDER" "请指定 --wheels 文件夹"
[ -f "$wheels/SHA256SUMS" ] || fail 2 "$wheels has no SHA256SUMS; make it with bundle.sh" "$wheels 中没有 SHA256SUMS，请用 bundle.sh 制作"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail 2 "Python 3.11 or newer is needed; install it or tell --python" "需要 Python 3.11 或更高版本，请安装或用 --python 指定"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail 2 "Python lacks venv; apt install python3-venv" "缺少 venv 模块，请执行 apt install python3-venv"

if [ -f "$trusted" ]; then
    [ -z "$key" ] || cmp -s "$key" "$trusted" ||
        fail 1 "another key is trusted here: $trusted; uninstall first" "此处已信任另一公钥：$trusted，请先卸载"
    key=$trusted
fi
if [ -n "$key" ]; then
    openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$wheels/SHA256SUMS" -sigfile "$wheels/SHA256SUMS.sig" >/dev/null 2>&1 ||
        fail 1 "the folder is not signed with the trusted key" "文件夹未用受信任的密钥签名"
fi
(cd "$wheels" && sha256sum --check --strict --quiet SHA256SUMS) >&2 ||
    fail 1 "a file of the folder is not what SHA256SUMS says" "文件夹中有文件与 SHA256SUMS 不符"
for file in "$wheels"/*.whl; do
    grep -q "  ${file##*/}\$" "$wheels/SHA256SUMS" || fail 1 "${file##*/} is not in SHA256SUMS" "${file##*/} 不在 SHA256SUMS 中"
done

release=$program/releases/$(date +%Y%m%dT%H%M%S).$$
mkdir -p "$program/releases" "$(dirname "$command")" "$home"
trap 'rm -rf "$release"' EXIT
say "· installing into $release" "· 正在安装到 $release"
"$python" -m venv "$release"
"$release/bin/python" -m pip install --quiet --no-index --no-warn-script-location --disable-pip-version-check --find-links "$wheels" 'sunmao-iiot[edge,ui]'
chmod -R a-w "$release"

as() { if [ -z "$root" ]; then runuser -u $user -- "$@"; else "$@"; fi; }
if [ -z "$root" ]; then
    id $user >/dev/null 2>&1 || useradd --system --home-dir "$home" --shell /usr/sbin/nologin $user
    chown $user: "$home"
fi
chmod 0700 "$home"
[ -f "$home/agent.toml" ] || (cd "$home" && as "$release/bin/sunmao-edge" init >/dev/null)
# Tried before anything changes: 0 and 1 say how the machines are, 2 that this release does not take the configuration.
status=0
(cd "$home" && as "$release/bin/sunmao-edge" check --json >/dev/null 2>"$release.log") || status=$?
if [ $status -gt 1 ]; then
    cat "$release.log" >&2
    rm -f "$release.log"
    chmod -R u+w "$release"
    fail 1 "this release does not start here; nothing was changed" "新版本无法在此启动，未作任何改动"
fi
rm -f "$release.log"
trap - EXIT

if [ -n "$key" ] && [ ! -f "$trusted" ]; then
    mkdir -p "$(dirname "$trusted")"
    cp "$key" "$trusted"
fi
before=$(readlink "$program/current" 2>/dev/null || :)
point() { ln -s "$1" "$program/current.new" && mv -T "$program/current.new" "$program/current"; }
point "$release"
cat >"$command" <<WRAPPER
#!/bin/sh
# Runs sunmao-edge as the agent's user, in the agent's folder.
cd "$home" || exit 3
if [ "\$(id -u)" = 0 ] && [ -z "$root" ]; then exec runuser -u $user -- "$program/current/bin/sunmao-edge" "\$@"; fi
exec "$program/current/bin/sunmao-edge" "\$@"
WRAPPER
chmod 0755 "$command"

if service; then
    cp "$here/sunmao-edge.service" "$unit"
    systemctl daemon-reload
    systemctl enable --quiet sunmao-edge
    systemctl restart sunmao-edge
    since=0
    while [ $since -lt 30 ]; do
        sleep 2
        since=$((since + 2))
        # A restart of its own within the trial is a release that does not stay up.
        if ! systemctl is-active --quiet sunmao-edge || [ "$(systemctl show -p NRestarts --value sunmao-edge)" != 0 ]; then
            [ -n "$before" ] || fail 1 "the agent does not stay up; see: journalctl -u sunmao-edge" "代理无法持续运行，请查看：journalctl -u sunmao-edge"
            point "$before"
            systemctl restart sunmao-edge
            chmod -R u+w "$release" && rm -rf "$release"
            fail 1 "the new release did not stay up; the one before is back" "新版本未能持续运行，已恢复原版本"
        fi
    done
fi
for old in "$program"/releases/*; do
    [ "$old" = "$release" ] || [ "$old" = "$before" ] || { chmod -R u+w "$old" && rm -rf "$old"; }
done
say "· done. Next: sunmao-edge enrol CODE" "· 完成。下一步：sunmao-edge enrol 注册码"
