# What a person types. Each target installs what it needs, or says in one line what is missing.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET_DIR := $(shell $(CARGO) metadata --format-version 1 --no-deps 2>/dev/null | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')

.PHONY: help
help: ## show this
	sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: deps
deps:
	scripts/deps

.PHONY: build
build: deps ## build target/release/rdd with its plugins beside it
	$(CARGO) build --release --locked -p rdd
	$(CARGO) xtask plugins --out "$(TARGET_DIR)/release/plugins"
	echo "built $(TARGET_DIR)/release/rdd"

.PHONY: run
run: build ## run the daemon on the Docker engine of this machine
	exec "$(TARGET_DIR)/release/rdd" serve $(ARGS)

.PHONY: engine
engine: ## start a private dockerd with a test image; prints DOCKER_HOST
	scripts/engine start

.PHONY: test
test: ## run every test, on a private dockerd
	scripts/test

.PHONY: bench
bench: build ## measure the release build beside its rivals; takes some minutes
	scripts/bench $(ARGS)

.PHONY: soak
soak: build ## put the daemon under load for an hour; look for growth and loss
	scripts/soak $(ARGS)

.PHONY: two-daemons
two-daemons: build ## run two daemons on one cluster for ten minutes; look for loss
	scripts/two-daemons $(ARGS)

.PHONY: check
check: ## formatting, lints, documentation, drift of generated files, dependency rules
	scripts/deps check
	scripts/check
