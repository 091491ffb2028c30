#!/usr/bin/env bash
# A three-zone cluster on this machine: one process a zone, all on loopback.
#
# usage: deploy/local/cluster.sh start DIR     starts the nodes that do not run; a new cluster is initialised
#        deploy/local/cluster.sh status DIR    one line a node; exit code 0 when all three are ready
#        deploy/local/cluster.sh stop DIR      SIGTERM to all, and waits for them
#
#   zone  HTTP  gRPC  admin  peers   folder  process id  log
#   a     8101  8111  8121   8131    DIR/a   DIR/a.pid   DIR/a.log
#   b     8102  8112  8122   8132    DIR/b   DIR/b.pid   DIR/b.log
#   c     8103  8113  8123   8133    DIR/c   DIR/c.pid   DIR/c.log
#
# A node that lost its folder stays unready: `start` prints what it says, which names the repair command.
#
# environment: TRILITH         the binary (default: target/release/trilith of this clone, else from PATH)
#              TRILITH_PORTS   the ports start above this number (default 8100)
#              TRILITH_WAIT    seconds that `start` waits for the nodes (default 60)
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
base=${TRILITH_PORTS:-8100}
wait_seconds=${TRILITH_WAIT:-60}
zones=(a b c)

die() {
    echo "cluster.sh: $*" >&2
    exit 1
}

[ $# -eq 2 ] || die "usage: $0 start|status|stop DIR"
action=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)

binary() {
    if [ -n "${TRILITH:-}" ]; then
        echo "$TRILITH"
    elif [ -x "$root/${CARGO_TARGET_DIR:-target}/release/trilith" ]; then
        echo "$root/${CARGO_TARGET_DIR:-target}/release/trilith"
    elif [ -n "${CARGO_TARGET_DIR:-}" ] && [ -x "$CARGO_TARGET_DIR/release/trilith" ]; then
        echo "$CARGO_TARGET_DIR/release/trilith"
    elif command -v trilith >/dev/null; then
        command -v trilith
    else
        die "no trilith binary: run 'make build' or set TRILITH"
    fi
}

index() { case $1 in a) echo 1 ;; b) echo 2 ;; c) echo 3 ;; esac }
http_port() { echo $((base + $(index "$1"))); }
grpc_port() { echo $((base + 10 + $(index "$1"))); }
admin_port() { echo $((base + 20 + $(index "$1"))); }
peer_port() { echo $((base + 30 + $(index "$1"))); }

# The process id of a node that runs, or nothing. A pid file can outlive its process and the number be another's, so
# the command line must name this node's own configuration.
pid_of() {
    local pid
    pid=$(cat "$dir/$1.pid" 2>/dev/null) || return 0
    [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] || return 0
    if grep -zqxF -- "$dir/$1.toml" "/proc/$pid/cmdline" 2>/dev/null; then echo "$pid"; fi
}

# Status line and body of GET on a node's admin port; nothing when it does not answer.
admin_get() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$(admin_port "$1")" || exit 0
        printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
        timeout 3 cat <&3
    ) 2>/dev/null | tr -d '\r' || true
}

is_up() { [[ $(admin_get "$1" /healthz | head -n 1) == *" 200"* ]]; }
awaits_repair() { [[ $(admin_get "$1" /readyz | tail -n 1) == *"cluster join --admin"* ]]; }
is_ready() { [[ $(admin_get "$1" /readyz | head -n 1) == *" 200"* ]]; }

write_config() {
    local zone=$1
    cat >"$dir/$zone.toml" <<TOML
[node]
zone = "$zone"
data_dir = "$dir/$zone"

[listen]
http = "127.0.0.1:$(http_port "$zone")"
grpc = "127.0.0.1:$(grpc_port "$zone")"
admin = "127.0.0.1:$(admin_port "$zone")"
peer = "127.0.0.1:$(peer_port "$zone")"

[cluster]
peers = ["127.0.0.1:$(peer_port a)", "127.0.0.1:$(peer_port b)", "127.0.0.1:$(peer_port c)"]
TOML
}

# Starts one node, in its own session so that it outlives this script and its terminal.
launch() {
    local zone=$1
    [ -f "$dir/$zone.toml" ] || write_config "$zone"
    setsid "$trilith" server --config "$dir/$zone.toml" </dev/null >>"$dir/$zone.log" 2>&1 &
    local pid=$!
    echo "$pid" >"$dir/$zone.pid"
    # Until it is the server, it looks like this script, and a node that is not seen is taken for one that ended.
    while kill -0 "$pid" 2>/dev/null && [ -z "$(pid_of "$zone")" ]; do sleep 0.01; done
}

# Refuses to start beside something that has a node's ports: it may be another cluster, which would be taken for this one.
ports_are_free() {
    local zone port
    for zone in "$@"; do
        for port in "$(http_port "$zone")" "$(grpc_port "$zone")" "$(admin_port "$zone")" "$(peer_port "$zone")"; do
            if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
                die "port $port of node $zone is in use; stop what listens there, or set TRILITH_PORTS to start above another number"
            fi
        done
    done
}

# Waits until `check zone` holds for every zone named. Ends early, with the log's last line, when a process is gone,
# and does not wait for a node that needs a person.
await() {
    local check=$1 zone deadline=$((SECONDS + wait_seconds))
    shift
    for zone in "$@"; do
        until "$check" "$zone"; do
            [ -n "$(pid_of "$zone")" ] || die "node $zone ended: $(tail -n 1 "$dir/$zone.log")"
            if [ "$SECONDS" -ge "$deadline" ] || awaits_repair "$zone"; then return 1; fi
            sleep 0.05
        done
    done
}

report() {
    local zone pid answer all=0
    for zone in "${zones[@]}"; do
        pid=$(pid_of "$zone")
        if [ -z "$pid" ]; then
            echo "$zone stopped"
            all=1
            continue
        fi
        answer=$(admin_get "$zone" /readyz)
        if [[ $(head -n 1 <<<"$answer") == *" 200"* ]]; then
            echo "$zone ready pid=$pid http=127.0.0.1:$(http_port "$zone") grpc=127.0.0.1:$(grpc_port "$zone") admin=127.0.0.1:$(admin_port "$zone")"
        else
            echo "$zone not ready pid=$pid: $(tail -n 1 <<<"$answer")"
            all=1
        fi
    done
    return $all
}

start() {
    local zone new=1 missing=()
    trilith=$(binary)
    for zone in "${zones[@]}"; do
        # Any folder with something in it means that this cluster was initialised before.
        [ -z "$(ls -A "$dir/$zone" 2>/dev/null)" ] || new=0
        [ -n "$(pid_of "$zone")" ] || missing+=("$zone")
    done
    [ "${#missing[@]}" -eq 3 ] || new=0
    ports_are_free "${missing[@]}"
    for zone in "${missing[@]}"; do launch "$zone"; done
    await is_up "${missing[@]}" || die "a node did not come up in $wait_seconds s; see $dir/*.log"
    if [ "$new" -eq 1 ]; then
        "$trilith" cluster init --admin "127.0.0.1:$(admin_port a)" --admin "127.0.0.1:$(admin_port b)" \
            --admin "127.0.0.1:$(admin_port c)"
    fi
    # A node that waits to be repaired never gets ready; what `status` prints says so. Those that ran before may miss a
    # leader for a moment.
    await is_ready "${zones[@]}" || true
    report || return
    echo "more: $trilith cluster status --admin 127.0.0.1:$(admin_port a)"
}

stop() {
    local zone pid deadline=$((SECONDS + 30))
    for zone in "${zones[@]}"; do
        pid=$(pid_of "$zone")
        [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null || true
    done
    for zone in "${zones[@]}"; do
        while [ -n "$(pid_of "$zone")" ]; do
            [ "$SECONDS" -lt "$deadline" ] || die "node $zone did not stop in 30 s (pid $(pid_of "$zone"))"
            sleep 0.05
        done
        rm -f "$dir/$zone.pid"
    done
    echo "stopped"
}

case $action in
start) start ;;
status) report ;;
stop) stop ;;
*) die "usage: $0 start|status|stop DIR" ;;
esac
