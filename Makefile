# The entry points for people. Each target installs what it needs, or names what is missing and how to get it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET_DIR := $(shell $(CARGO) metadata --format-version 1 --no-deps 2>/dev/null | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')

.PHONY: help
help: ## list the targets
	sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: deps
deps:
	scripts/deps

.PHONY: build
build: deps ## build target/release/rdd and the plugins next to it
	# One build, in one profile, compiles what the two programs share once.
	$(CARGO) build --release --locked -p rdd -p xtask
	"$(TARGET_DIR)/release/xtask" plugins --out "$(TARGET_DIR)/release/plugins"
	echo "built $(TARGET_DIR)/release/rdd"

.PHONY: run
run: build ## run the daemon with this machine's Docker engine
	exec "$(TARGET_DIR)/release/rdd" serve $(ARGS)

# DESTDIR stages the files for a package. The program is a link, since it looks for plugins next to its real path.
PREFIX ?= /usr/local
INSTALL_DIR = $(DESTDIR)$(PREFIX)/lib/rdd
MAN_DIR = $(DESTDIR)$(PREFIX)/share/man/man1
.PHONY: install
install: build ## install into PREFIX (default: /usr/local); honors DESTDIR
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(INSTALL_DIR)/plugins/moby"
	install -m 755 "$(TARGET_DIR)/release/rdd" "$(INSTALL_DIR)/rdd"
	install -m 644 "$(TARGET_DIR)"/release/plugins/moby/* "$(INSTALL_DIR)/plugins/moby/"
	ln -sf ../lib/rdd/rdd "$(DESTDIR)$(PREFIX)/bin/rdd"
	"$(INSTALL_DIR)/rdd" man-pages "$(MAN_DIR)" >/dev/null
	echo "installed $(DESTDIR)$(PREFIX)/bin/rdd"

.PHONY: uninstall
uninstall: ## remove what install put into PREFIX
	if [ -x "$(INSTALL_DIR)/rdd" ]; then
		pages=$$(mktemp -d)
		"$(INSTALL_DIR)/rdd" man-pages "$$pages" >/dev/null
		for page in "$$pages"/*; do rm -f "$(MAN_DIR)/$${page##*/}"; done
		rm -r "$$pages"
	fi
	rm -f "$(DESTDIR)$(PREFIX)/bin/rdd" "$(INSTALL_DIR)/rdd" "$(INSTALL_DIR)"/plugins/moby/{plugin.toml,moby.wasm}
	rmdir "$(INSTALL_DIR)/plugins/moby" "$(INSTALL_DIR)/plugins" "$(INSTALL_DIR)" 2>/dev/null || true

.PHONY: man
man: build ## write the man pages into target/man
	"$(TARGET_DIR)/release/rdd" man-pages "$(TARGET_DIR)/man"

.PHONY: engine
engine: ## start a private dockerd with a test image; print its DOCKER_HOST
	scripts/engine start

.PHONY: test
test: ## run all tests, on a private dockerd
	scripts/test

.PHONY: test-unit
test-unit: ## run the tests that need neither Docker nor root
	scripts/test-unit $(ARGS)

.PHONY: test-page
test-page: ## test the web page in Chromium, on a private dockerd
	cargo build --locked --workspace --bins
	cargo xtask plugins --out "$(TARGET_DIR)/plugins"
	RDD_TEST_PLUGINS="$(TARGET_DIR)/plugins" scripts/page browser "$(TARGET_DIR)/debug/rdd"

.PHONY: sanitize
sanitize: ## run the tests of dynamic libraries under AddressSanitizer (needs nightly Rust)
	scripts/sanitize $(ARGS)

.PHONY: fuzz
fuzz: ## search for inputs that break a parser, a minute each (needs nightly Rust and cargo-fuzz)
	scripts/fuzz $(ARGS)

.PHONY: bench
bench: build ## compare the release build with its rivals (about ten minutes)
	scripts/bench $(ARGS)

.PHONY: soak
soak: build ## run the daemon under load for an hour; report growth and loss
	scripts/soak $(ARGS)

.PHONY: liveness
liveness: build ## hold slow and paused clients of logs for ten minutes; report loss
	scripts/liveness $(ARGS)

.PHONY: floods
floods: build ## flood the daemon with slow, hostile, and very many clients (about ten minutes)
	scripts/floods $(ARGS)

.PHONY: two-daemons
two-daemons: build ## run two daemons on one cluster for ten minutes; report loss
	scripts/two-daemons $(ARGS)

.PHONY: oracle
oracle: build ## compare the API server with a real kube-apiserver (builds it, a quarter of an hour; needs Go)
	scripts/oracle $(ARGS)

.PHONY: fmt
fmt: ## format the Rust code
	$(CARGO) fmt --all

.PHONY: lint
lint: ## clippy, with warnings as errors
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

.PHONY: doc
doc: ## build the API documentation into target/doc, with warnings as errors
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --locked
	echo "$(TARGET_DIR)/doc/rdd_core/index.html"

.PHONY: check
check: ## formatting, lints, spelling, documentation, generated files, dependency rules
	scripts/deps check
	scripts/check
