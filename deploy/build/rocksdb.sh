#!/usr/bin/env bash
# Builds RocksDB once into a cache outside the clone and prints the folder that holds librocksdb.a.
#
# usage: deploy/build/rocksdb.sh            (the Makefile calls it; the folder is the last line on stdout)
#
# RocksDB is nearly all of Trilith's build time (about 12 minutes on two cores). Cargo would build it anew for
# each profile and each clone; a static library in a cache is built once for all of them. The library is made
# by the same -sys crate, with the same flags, as a plain `cargo build --release` would use, so both ways give
# the same bytes. The cache key is the crate's version: a new version builds beside the old one.
#
# environment: TRILITH_CACHE   the cache (default: $XDG_CACHE_HOME/trilith or ~/.cache/trilith)
set -euo pipefail

version="0.19.0+11.8.1" # librocksdb-sys; rocksdb 0.25.0 asks for exactly this one
root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${TRILITH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trilith}
out="$cache/rocksdb-${version}"

if [ -f "$out/librocksdb.a" ]; then
    echo "$out"
    exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/rocksdb.lock" # two builds at once would take twice as long each, so the second waits
flock 9
if [ -f "$out/librocksdb.a" ]; then
    echo "$out"
    exit 0
fi

work="$cache/rocksdb-build"
mkdir -p "$work/src" "$work/.cargo"
cp "$root/.cargo/config.toml" "$work/.cargo/config.toml"
cp "$root/rust-toolchain.toml" "$work/rust-toolchain.toml" # rustup may have no default toolchain
echo 'pub use librocksdb_sys as _;' >"$work/src/lib.rs"
cat >"$work/Cargo.toml" <<TOML
[package]
name = "rocksdb-cache"
version = "0.0.0"
edition = "2021"
[dependencies]
librocksdb-sys = { version = "=${version%%+*}", default-features = false, features = ["bindgen-runtime", "lz4", "zstd"] }
[workspace]
TOML

echo "building RocksDB ${version#*+} once, into $out (about 12 minutes on two cores)" >&2
(
    cd "$work"
    unset ROCKSDB_LIB_DIR ROCKSDB_STATIC
    CARGO_TARGET_DIR="$work/target" cargo build --release --quiet >&2
) &
build=$!

# cc prints nothing while it compiles, so progress is read off the object files it leaves behind.
total=0
waited=0
while kill -0 "$build" 2>/dev/null; do
    sleep 1
    waited=$((waited + 1))
    [ $((waited % 15)) -eq 0 ] || continue
    if [ "$total" -eq 0 ]; then
        list=$(find "${CARGO_HOME:-$HOME/.cargo}/registry/src" -path "*librocksdb-sys-$version/rocksdb_lib_sources.txt" 2>/dev/null | head -n 1)
        [ -n "$list" ] && total=$(wc -l <"$list")
    fi
    done_=$(find "$work/target/release/build" -path '*librocksdb-sys*' -name '*.o' 2>/dev/null | wc -l)
    [ "$total" -gt 0 ] && echo "  RocksDB: $done_ of $total files compiled" >&2
done
wait "$build"

library=$(find "$work/target/release/build" -path '*librocksdb-sys*' -name librocksdb.a | head -n 1)
if [ -z "$library" ]; then
    echo "rocksdb.sh: the build left no librocksdb.a under $work/target; remove that folder and try again" >&2
    exit 1
fi
mkdir -p "$out.tmp"
cp "$library" "$out.tmp/librocksdb.a"
rm -rf "$out"
mv "$out.tmp" "$out" # a rename, so that a build cut short never leaves half a library under the final name
rm -rf "$work/target"
echo "$out"
