#!/usr/bin/env bash
# Runs every test, part by part; each prints its name and its time, and all of them run even where one fails.
# Needs the environment of deploy/build/setup.sh; `make test` brings it.
#
# usage: tests/run.sh [PART ...]     parts: rust scripts sdk upgrade faults (default: all)
#
# The last line counts the cases of the suites that are not cargo's own: 'N passed, N failed'.
set -uo pipefail
cd "$(dirname "$0")/.."

parts=("$@")
[ "${#parts[@]}" -eq 0 ] && parts=(rust scripts sdk upgrade faults)
target=${CARGO_TARGET_DIR:-target}
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
export TRILITH_TEST_COUNTS=$counts
began=$SECONDS
built=$SECONDS
summary=()
broken=0

# Nothing hangs for ever: a part that takes half an hour has failed. (A function cannot run under timeout.)
limited() {
    if [ "$(type -t "$1")" = function ]; then "$@"; else timeout --kill-after=10 1800 "$@"; fi
}

# Runs one part and notes how it went.
part() {
    local name=$1 started=$SECONDS result=passed
    shift
    echo
    echo "==== $name"
    limited "$@" || {
        result=FAILED
        broken=$((broken + 1))
    }
    summary+=("$(printf '%-34s %-7s %5d s' "$name" "$result" $((SECONDS - started)))")
    echo "==== $name: $result after $((SECONDS - started)) s"
    [ "$result" = passed ]
}

wanted() {
    local one
    for one in "${parts[@]}"; do [ "$one" = "$1" ] && return 0; done
    return 1
}

# One build for the binary and all test programs: the same features, so nothing is compiled twice.
build() { cargo build --workspace --bins --tests --quiet; }

# Longer than this, building aside, and people stop running the tests: it is a failure like any other.
limit=${TRILITH_TEST_SECONDS:-1500}

finish() {
    echo
    echo "==== in all $((SECONDS - began)) s"
    if [ $((SECONDS - built)) -gt "$limit" ]; then
        echo "the tests took over $limit s (TRILITH_TEST_SECONDS)"
        broken=$((broken + 1))
    fi
    printf '%s\n' "${summary[@]}"
    awk '{ passed += $1; failed += $2 } END { printf "%d passed, %d failed\n", passed, failed }' "$counts"
    exit $((broken > 0))
}

if [ -z "${TRILITH:-}" ]; then
    part "build (checked profile)" build || finish
    TRILITH=$(cd "$target/debug" && pwd)/trilith
fi
export TRILITH
built=$SECONDS
python=${TRILITH_PYTHON:-python3}

wanted rust && part "unit, property and simulation tests" cargo test --workspace --quiet
wanted scripts && part "golden request scripts" "$python" -m tests.scripts
wanted sdk && part "SDKs and the AWS CLI" "$python" -m tests.sdk
wanted upgrade && part "data folders of earlier versions" "$python" -m tests.upgrade
wanted faults && part "faults on real processes" "$python" -m tests.faults
finish
