# shellcheck shell=sh
# What the installers of the edge agent and of the cloud do alike: verify a folder of wheels, put a release beside the one
# that runs, try it, change over, go back if it does not stay up. `install.sh` reads this file after it has set:
#
#   name      of the command, its service and its user
#   extras    of the distribution that are installed
#   program   folder of the releases; home: what is the installation's own; trusted: the public key
#   settings  file of settings, if there is one
#   also      further files of root that are removed with the program
#   next      what the last line tells to do; next_zh in Chinese
#   prelude   shell lines of the command, run before it
#
# and these functions: `option ARGUMENTS` takes an option of its own and says by its status whether it knows it; `settle`
# makes what the first start needs, `try_out PROGRAM` exits above 1 if a release does not start here.
root='' wheels='' key='' python=python3 act=install purge=''
case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in *zh*) zh=1 ;; *) zh= ;; esac
umask 022 # the service's user reads what root installs

say() { if [ -n "$zh" ]; then echo "$2"; else echo "$1"; fi; }
fail() { # status, English, Chinese
    say "install.sh: $2" "install.sh：$3" >&2
    exit "$1"
}
service() { [ -z "$root" ] && command -v systemctl >/dev/null && [ -d /run/systemd/system ]; }
as() { if [ -z "$root" ]; then runuser -u "$name" -- env HOME="$home" "$@"; else "$@"; fi; }
point() { ln -s "$1" "$program/current.new" && mv -T "$program/current.new" "$program/current"; }
forget() { chmod -R u+w "$1" && rm -rf "$1"; }

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --wheels) wheels=${2:?}; shift ;;
            --key) key=${2:?}; shift ;;
            --python) python=${2:?}; shift ;;
            --root) root=${2:?}; shift ;;
            --uninstall) act=uninstall ;;
            --purge) purge=1 ;;
            *) option "$@" || fail 2 "unknown option $1" "未知选项 $1" ;;
        esac
        shift
    done
    program=$root$program home=$root$home trusted=$root$trusted settings=${settings:+$root$settings}
    command=$root/usr/local/bin/$name
    unit=$root/etc/systemd/system/$name.service
    [ -n "$root" ] || [ "$(id -u)" = 0 ] || fail 2 "run it as root" "请以 root 身份运行"
}

uninstall() {
    if service; then systemctl disable --now "$name" >/dev/null 2>&1 || :; fi
    rm -rf "$program" "$command" "$unit" "$trusted"
    for file in $also; do rm -f "$root$file"; done
    if service; then systemctl daemon-reload; fi
    if [ -n "$purge" ]; then
        rm -rf "$home" ${settings:+"$settings"}
        if [ -z "$root" ] && id "$name" >/dev/null 2>&1; then userdel "$name"; fi
    elif [ -d "$home" ]; then
        say "removed; what is in $home stays" "已卸载；$home 中的内容保留"
    fi
}

verify() {
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
}

install_release() {
    release=$program/releases/$(date +%Y%m%dT%H%M%S).$$
    mkdir -p "$program/releases" "$(dirname "$command")" "$home"
    trap 'rm -rf "$release"' EXIT
    say "· installing into $release" "· 正在安装到 $release"
    "$python" -m venv "$release"
    "$release/bin/python" -m pip install --quiet --no-index --no-warn-script-location --disable-pip-version-check --find-links "$wheels" "sunmao-iiot[$extras]"
    chmod -R a-w "$release"
    if [ -z "$root" ]; then
        id "$name" >/dev/null 2>&1 || useradd --system --home-dir "$home" --shell /usr/sbin/nologin "$name"
        chown "$name": "$home"
    fi
    chmod 0700 "$home"
    settle "$release/bin/$name"
    # Tried before anything changes: 0 and 1 say how things are, 2 and 3 that this release does not take the configuration.
    status=0
    (cd "$home" && try_out "$release/bin/$name" >/dev/null 2>"$release.log") || status=$?
    if [ $status -gt 1 ]; then
        cat "$release.log" >&2
        rm -f "$release.log"
        chmod -R u+w "$release"
        fail 1 "this release does not start here; nothing was changed" "新版本无法在此启动，未作任何改动"
    fi
    rm -f "$release.log"
    trap - EXIT
}

write_command() {
    cat >"$command" <<WRAPPER
#!/bin/sh
# Runs $name as the service's user, in its folder.
cd "$home" || exit 3
$prelude
if [ "\$(id -u)" = 0 ] && [ -z "$root" ]; then exec runuser -u $name -- env HOME="$home" "$program/current/bin/$name" "\$@"; fi
exec "$program/current/bin/$name" "\$@"
WRAPPER
    chmod 0755 "$command"
}

serve_or_go_back() {
    cp "$here/$name.service" "$unit"
    systemctl daemon-reload
    systemctl enable --quiet "$name"
    systemctl restart "$name"
    since=0
    while [ $since -lt 30 ]; do
        sleep 2
        since=$((since + 2))
        # A restart of its own within the trial is a release that does not stay up.
        if ! systemctl is-active --quiet "$name" || [ "$(systemctl show -p NRestarts --value "$name")" != 0 ]; then
            [ -n "$before" ] || fail 1 "$name does not stay up; see: journalctl -u $name" "$name 无法持续运行，请查看：journalctl -u $name"
            point "$before"
            systemctl restart "$name"
            forget "$release"
            fail 1 "the new release did not stay up; the one before is back" "新版本未能持续运行，已恢复原版本"
        fi
    done
}

install_or_remove() {
    parse "$@"
    if [ "$act" = uninstall ]; then
        uninstall
        exit 0
    fi
    verify
    install_release
    if [ -n "$key" ] && [ ! -f "$trusted" ]; then
        mkdir -p "$(dirname "$trusted")"
        cp "$key" "$trusted"
    fi
    before=$(readlink "$program/current" 2>/dev/null || :)
    point "$release"
    write_command
    if service; then serve_or_go_back; fi
    for old in "$program"/releases/*; do
        [ "$old" = "$release" ] || [ "$old" = "$before" ] || forget "$old"
    done
    say "· done. Next: $next" "· 完成。下一步：$next_zh"
}
