# One way in for people and for CI. Every target does its own set-up (deploy/build/setup.sh); nothing but cargo's
# target folder is written into the clone.
#
#   make run      builds what is missing and starts a store on http://localhost:8000   (ARGS="--data-dir /tmp/x")
#   make build    the release binary
#   make test     every test: at most 25 minutes once the caches are warm
#   make check    format, lints and documentation, read-only; `make fix` repairs what a tool can repair
#   make differential   generated requests to this server and to other implementations, compared   (ARGS="--seed 7")
#   make fuzz     every parser with inputs that nobody would write, SECONDS=60 for each
#   make bench    the load beside dynoxide and etcd; writes benches/report.md
#   make setup    everything that the targets above would install, and nothing else

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# In two steps, because eval of a command that failed succeeds.
SETUP = environment=$$(deploy/build/setup.sh $(1)); eval "$$environment"

.PHONY: help run build test differential fuzz bench check fix setup

help:
	@sed -n 's/^#   make /make /p' Makefile

run: build
	@exec $(TARGET)/release/trilith dev $(ARGS)

build:
	@$(call SETUP,build); cargo build --release -p trilith

test:
	@$(call SETUP,test); tests/run.sh

differential:
	@$(call SETUP,oracles); cargo build --workspace --bins --tests --quiet; \
		"$$TRILITH_PYTHON" -m tests.differential $(ARGS)

fuzz:
	@$(call SETUP,test); FUZZ_SECONDS=$(or $(SECONDS),60) cargo test -q -p trilith-tests --test fuzz -- --nocapture

bench:
	@$(call SETUP,bench); cargo build --release -p trilith
	@$(call SETUP,bench); TRILITH="$${TRILITH:-$(TARGET)/release/trilith}" "$$TRILITH_PYTHON" -m benches.compare $(ARGS)

check:
	@$(call SETUP,build); deploy/build/check.sh

fix:
	@$(call SETUP,build); cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
	@cargo fmt --all && cargo fmt --manifest-path tests/sdk/rust/Cargo.toml

setup:
	@deploy/build/setup.sh bench >/dev/null
