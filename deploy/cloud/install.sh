#!/bin/sh
# Installs, upgrades and removes the Sunmao cloud on Debian or Ubuntu. 安装、升级、卸载榫卯云端。
#
#   install.sh --wheels FOLDER      install or upgrade from a folder of wheels, as bundle.sh makes it; no network is needed
#   install.sh --uninstall          remove the program; database, secrets and settings stay
#   install.sh --uninstall --purge  remove those, too; a database in the system's PostgreSQL stays all the same
#
#   --postgresql    at the first installation: use the PostgreSQL of this system (apt install postgresql) and not the
#                   embedded one; makes a role and a database 'sunmao' in it
#   --key FILE      trust only folders signed with this public key (PEM, Ed25519); kept, and demanded from then on
#   --python FILE   the Python to use, 3.11 or newer; python3 unless told
#   --root FOLDER   install below FOLDER instead of /, without user and service: for images and for a look
#
# Two releases are kept. A new one is put beside the running one, brings the database to its schema - which the one before
# goes on with - and is changed to; if it does not stay up, the one before is back by itself and the exit status is 1.
set -eu
name=sunmao-cloud extras=cloud program=/opt/sunmao-cloud home=/var/lib/sunmao-cloud trusted=/etc/sunmao-cloud/release.pem
settings=/etc/sunmao-cloud/cloud.env
also='/usr/local/sbin/sunmao-cloud-backup /usr/local/sbin/sunmao-cloud-restore'
next='sunmao-cloud tenant create --name COMPANY' next_zh='sunmao-cloud tenant create --name 企业名称'
postgresql=''

option() { [ "$1" = --postgresql ] && postgresql=1; }

settle() {
    backups=$root/var/backups/sunmao-cloud
    mkdir -p "$(dirname "$settings")" "$home/run" "$backups" "$root/usr/local/sbin"
    if [ -z "$root" ]; then chown "$name": "$home/run"; fi
    chmod 0700 "$home/run"
    for script in backup restore; do install -m 0755 "$here/$script.sh" "$root/usr/local/sbin/sunmao-cloud-$script"; done
    [ -f "$settings" ] || (umask 077 && echo '# Read by sunmao-cloud.service and by the command sunmao-cloud. SUNMAO_DSN=... chooses a database.' >"$settings")
    if [ -n "$postgresql" ] && ! grep -q '^SUNMAO_DSN=' "$settings"; then use_postgresql; fi
    # The service has a /tmp of its own; the embedded PostgreSQL needs one folder that its commands see as well.
    prelude="set -a
if [ -r \"$settings\" ]; then . \"$settings\"; fi
XDG_RUNTIME_DIR=\"$home/run\""
}

use_postgresql() {
    [ -z "$root" ] || fail 2 "--postgresql does not go with --root" "--postgresql 不能与 --root 同时使用"
    [ ! -d "$home/sunmao-data/postgres" ] ||
        fail 2 "there is data in the embedded PostgreSQL already: $home/sunmao-data" "内置 PostgreSQL 中已有数据：$home/sunmao-data"
    command -v psql >/dev/null || fail 2 "PostgreSQL is not installed; apt install postgresql" "未安装 PostgreSQL，请执行 apt install postgresql"
    port=$(as_postgres -Atc 'SHOW port') || fail 2 "PostgreSQL does not answer; systemctl start postgresql" "PostgreSQL 无应答，请执行 systemctl start postgresql"
    password=$("$python" -c 'import secrets; print(secrets.token_urlsafe(32))')
    # By standard input and kept out of the server's log; a role of an earlier installation gets the new password.
    as_postgres <<SQL || fail 1 "the database could not be made" "无法创建数据库"
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET password_encryption = 'scram-sha-256';
SELECT 'CREATE ROLE sunmao LOGIN CREATEROLE' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sunmao') \gexec
ALTER ROLE sunmao PASSWORD '$password';
SELECT 'CREATE DATABASE sunmao OWNER sunmao ENCODING ''UTF8'' TEMPLATE template0'
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'sunmao') \gexec
SQL
    echo "SUNMAO_DSN=postgresql://sunmao:$password@127.0.0.1:$port/sunmao" >>"$settings"
}
as_postgres() { (cd / && runuser -u postgres -- psql -X -q -v ON_ERROR_STOP=1 "$@"); }

try_out() (
    eval "$prelude"
    as "$1" migrate
)

here=$(cd "$(dirname "$0")" && pwd)
shared=$here/release.sh # as bundle.sh lays it out; in the project it is one folder up
[ -f "$shared" ] || shared=$here/../release.sh
. "$shared"
install_or_remove "$@"
