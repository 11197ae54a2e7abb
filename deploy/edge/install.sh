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
name=sunmao-edge extras=edge,ui program=/opt/sunmao home=/var/lib/sunmao-edge trusted=/etc/sunmao/release.pem
settings='' also='' next='sunmao-edge enrol CODE' next_zh='sunmao-edge enrol 注册码' prelude=''
option() { return 1; }
settle() { [ -f "$home/agent.toml" ] || (cd "$home" && as "$1" init >/dev/null); }
try_out() { as "$1" check --json; }

here=$(cd "$(dirname "$0")" && pwd)
shared=$here/release.sh # as bundle.sh lays it out; in the project it is one folder up
[ -f "$shared" ] || shared=$here/../release.sh
. "$shared"
install_or_remove "$@"
