#!/bin/sh
# A real TimescaleDB for the tests: Debian 13's package in a folder of its own, on a free port of 127.0.0.1.
#
#   timescaledb.sh start    make it if it is not there (about half a minute), start it if it does not run
#   timescaledb.sh dsn      print the DSN of its owner
#   timescaledb.sh stop     stop it; the folder stays for the next start
#
# Nothing is installed on this machine: debootstrap fills .dev/timescaledb, from the Debian mirror this machine uses itself.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)/.dev/timescaledb
suite=trixie
version=17
cluster=/etc/postgresql/$version/main

fail() {
    echo "timescaledb.sh: $*" >&2
    exit 3
}

inside() {
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

mirror() {
    # The first Debian mirror of apt's own configuration, in either of its two notations.
    { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p'
      cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs: *\([^ ]*\).*/\1/p'; } |
        grep -v security | grep -m 1 '/debian/*$' || true
}

make_it() {
    [ "$(id -u)" = 0 ] || fail "needs root to make a folder with Debian in it"
    command -v debootstrap >/dev/null || fail "debootstrap is not installed (apt-get install debootstrap)"
    from=$(mirror)
    [ -n "$from" ] || fail "no Debian mirror in apt's configuration"
    draft=$root.draft
    rm -rf "$draft"
    mkdir -p "$draft"
    # debootstrap says where it failed on standard output.
    debootstrap --variant=minbase "$suite" "$draft" "$from" >"$draft.log" 2>&1 || fail "debootstrap failed; see $draft.log"
    # What lets this machine reach the mirror has to be true in the folder as well.
    cp /etc/resolv.conf "$draft/etc/resolv.conf" 2>/dev/null || true
    cp -r /etc/apt/apt.conf.d /etc/apt/auth.conf.d "$draft/etc/apt/" 2>/dev/null || true
    (
        root=$draft
        inside apt-get update -q
        inside apt-get install -qy --no-install-recommends "postgresql-$version-timescaledb"
    ) >>"$draft.log" 2>&1 || fail "apt-get failed in the folder; see $draft.log"
    mv "$draft" "$root"
}

configure() {
    port=$1
    cat >"$root$cluster/conf.d/sunmao.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
max_connections = 200
CONF
    # Tests only, and reachable from this machine only.
    printf 'local all postgres peer\nhost all all 127.0.0.1/32 trust\n' >"$root$cluster/pg_hba.conf"
}

server() {
    # pg_ctl rather than Debian's pg_ctlcluster, which wants /proc in the folder.
    inside runuser -u postgres -- "/usr/lib/postgresql/$version/bin/pg_ctl" -D "$cluster" "$@"
}

running() {
    [ -d "$root$cluster" ] && server status >/dev/null 2>&1
}

case ${1:-} in
start)
    # Several test runs may ask at once; the first makes it.
    mkdir -p "$(dirname "$root")"
    exec 9>"$root.lock"
    flock 9
    [ -d "$root" ] || make_it
    if ! running; then
        [ "$(id -u)" = 0 ] || fail "needs root to start PostgreSQL in its folder"
        configure "$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')"
        # The server must not inherit the lock.
        server start -w -l /var/log/postgresql/sunmao.log 9>&- >"$root.log" 2>&1 ||
            fail "PostgreSQL does not start; see $root.log"
    fi
    ;;
dsn)
    running || fail "not running; see: timescaledb.sh start"
    echo "host=127.0.0.1 port=$(sed -n 's/^port = //p' "$root$cluster/conf.d/sunmao.conf") user=postgres dbname=postgres"
    ;;
stop)
    if running; then server stop -m fast >/dev/null; fi
    ;;
*)
    echo "usage: timescaledb.sh start | dsn | stop" >&2
    exit 2
    ;;
esac
