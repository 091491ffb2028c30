#!/usr/bin/env bash
# The read-only gate: format, lints, documents and documentation without broken links, and scripts that parse. Needs the
# environment of deploy/build/setup.sh; `make check` brings it.
set -euo pipefail
cd "$(dirname "$0")/../.."

step() {
    local name=$1 started=$SECONDS
    shift
    echo "check: $name"
    "$@" || {
        echo "check: $name failed (make fix repairs what a tool can repair)" >&2
        exit 1
    }
    echo "check: $name fine after $((SECONDS - started)) s"
}

shell_scripts() {
    local file
    for file in .ci/run tests/run.sh deploy/build/*.sh deploy/local/*.sh; do
        bash -n "$file"
    done
}

python_files() {
    find tests benches deploy -name '*.py' -print0 | xargs -0 -r python3 -c '
import ast, sys
for name in sys.argv[1:]:
    ast.parse(open(name, encoding="utf-8").read(), name)
'
}

links() {
    find . -name '*.md' -not -path '*/node_modules/*' -not -path './target/*' -print0 | xargs -0 python3 deploy/build/links.py
}

step "shell scripts parse" shell_scripts
step "Python files parse" python_files
step "links of the documents" links
step "format" cargo fmt --all --check
step "format of the SDK program" cargo fmt --manifest-path tests/sdk/rust/Cargo.toml --check
step "lints" cargo clippy --workspace --all-targets --quiet -- -D warnings
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
echo "check: all fine"
