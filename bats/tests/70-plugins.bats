#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Installing, publishing, and removing plugins, with a private registry.

load ../helpers/rdd

setup_file() {
  begin_file
  export REGISTRY_DIR=$BATS_FILE_TMPDIR/registry PRIVATE_DIR=$BATS_FILE_TMPDIR/private
  REGISTRY=$("$ROOT/scripts/registry" start "$REGISTRY_DIR")
  PRIVATE=$("$ROOT/scripts/registry" start "$PRIVATE_DIR" --auth)
  export REGISTRY PRIVATE
}
teardown_file() {
  "$ROOT/scripts/registry" stop "$REGISTRY_DIR"
  "$ROOT/scripts/registry" stop "$PRIVATE_DIR"
  end_file
}

# Each test has a plugin directory and credentials of its own.
setup() {
  own_state
  unset RDD_PLUGIN_DIR
  export XDG_DATA_HOME=$BATS_TEST_TMPDIR/data DOCKER_CONFIG=$BATS_TEST_TMPDIR/docker
  INSTALLED=$XDG_DATA_HOME/rdd/plugins
}
teardown() { own_state && stop_daemon; }

MOBY=$RDD_TEST_PLUGINS/moby

# copy DIR [SED SCRIPT]: a copy of the plugin in DIR, with another manifest
copy() {
  mkdir -p "$1"
  cp "$MOBY"/* "$1"
  [ $# = 1 ] || sed -i "$2" "$1/plugin.toml"
}
# The names in the plugin directory, without what belongs to the lock
entries() { find "$INSTALLED" -mindepth 1 -maxdepth 1 ! -name plugins.lock ! -name .rdd-guard -printf '%f\n' | sort | tr '\n' ' '; }
state_of() { rdd plugin list | awk -v name="$1" '$1 == name { print $3 }'; }
has_state() { same "$(state_of "$1")" "$2"; }
# A daemon that searches the plugin directory of the test
start_installed() {
  "$RDD_TEST_BIN" serve --state-dir "$STATE" --engine-endpoint "$RDD_TEST_DOCKER_HOST" >>"$STATE.log" 2>&1 3>&- &
  echo $! >"$STATE.pid"
  try "${PATIENCE[@]}" ready_or_dead
  [ -f "$STATE/kubeconfig" ] || { cat "$STATE.log"; return 1; }
}

@test "a plugin is installed from a directory, listed, verified, and removed" {
  run -0 rdd plugin install --yes "$MOBY"
  contains "$output" "publisher"
  contains "$output" "runs in a sandbox"
  contains "$output" "installed moby"
  has_state moby ready
  run -0 rdd plugin verify moby
  contains "$output" verified
  contains "$(cat "$INSTALLED/plugins.lock")" "$MOBY"
  same "$(rdd plugin remove moby -o name)" moby
  same "$(entries)" ""
  run -1 rdd plugin remove moby
  contains "$output" 'no plugin named "moby"'
}

@test "inspect shows what install shows, and changes nothing" {
  run -0 rdd plugin inspect "$MOBY"
  contains "$output" "sha256"
  same "$(rdd plugin inspect "$MOBY" -o name)" moby
  contains "$(rdd plugin inspect "$MOBY" -o json)" '"kind": "component"'
  [ ! -e "$XDG_DATA_HOME" ]
  run -1 rdd plugin inspect nosuch
  contains "$output" nosuch
}

@test "an installation is confirmed on the terminal, or with --yes" {
  run -1 rdd plugin install "$MOBY" </dev/null
  contains "$output" "--yes"
  [ ! -e "$INSTALLED/moby" ]
  local command
  command=$(printf '%q ' "$RDD_TEST_BIN" plugin install "$MOBY")
  run -1 script -qefc "$command" /dev/null <<<'n'
  contains "$output" "Install it?"
  [ ! -e "$INSTALLED/moby" ]
  run -0 script -qefc "$command" /dev/null <<<'y'
  same "$(entries)" "moby "
}

@test "directories and limits that a plugin asks for are shown and granted" {
  copy "$BATS_TEST_TMPDIR/moby"
  cat >>"$BATS_TEST_TMPDIR/moby/plugin.toml" <<'EOF'
[[directories]]
name = "pods"
path = "/var/log/pods"
reason = "the logs are there"
[limits]
log-streams = 2000
EOF
  run -0 rdd plugin install --yes "$BATS_TEST_TMPDIR/moby"
  contains "$output" "/var/log/pods: the logs are there"
  contains "$output" "log-streams = 2000"
  contains "$(cat "$INSTALLED/plugins.lock")" /var/log/pods
  contains "$(cat "$INSTALLED/plugins.lock")" "log-streams = 2000"
}

@test "a plugin is published, installed elsewhere by its reference, and pinned" {
  local reference=$REGISTRY/team/moby:1.0
  run -0 rdd plugin push "$MOBY" "$reference"
  contains "$output" sha256:
  same "$(rdd plugin inspect "$reference" -o name)" moby
  run -0 rdd plugin install --yes "$reference"
  cmp "$MOBY/plugin.toml" "$INSTALLED/moby/plugin.toml"
  cmp "$MOBY/moby.wasm" "$INSTALLED/moby/moby.wasm"
  has_state moby ready

  printf x >>"$INSTALLED/moby/moby.wasm"
  run -1 rdd plugin verify
  contains "$output" "but plugin.toml has"
  has_state moby refused
  # Installed again, it is usable again.
  rdd plugin install --yes "$reference"
  has_state moby ready
  sed -i 's/^version = .*/version = "9.9.9"/' "$INSTALLED/moby/plugin.toml"
  run -1 rdd plugin verify
  contains "$output" "rdd plugin install $reference"
}

@test "a plugin is installed from a component alone" {
  cp "$MOBY/moby.wasm" "$BATS_TEST_TMPDIR/moby.wasm"
  run -0 rdd plugin install --yes "$BATS_TEST_TMPDIR/moby.wasm"
  contains "$output" "0.0.0+sha256."
  has_state moby ready
  echo nonsense >"$BATS_TEST_TMPDIR/other.wasm"
  run -1 rdd plugin install --yes "$BATS_TEST_TMPDIR/other.wasm"
  contains "$output" "not a WebAssembly component"
}

@test "a registry with credentials gets those of the docker CLI" {
  local reference=$PRIVATE/moby:1
  run -1 rdd plugin push "$MOBY" "$reference"
  contains "$output" "docker login"
  mkdir -p "$DOCKER_CONFIG"
  printf '{"auths": {"%s": {"auth": "%s"}}}' "$PRIVATE" "$(printf me:word | base64)" >"$DOCKER_CONFIG/config.json"
  rdd plugin push "$MOBY" "$reference"
  # The same from a credential helper
  mkdir -p "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\ncat >/dev/null\necho '\''{"Username": "me", "Secret": "word"}'\''\n' >"$BATS_TEST_TMPDIR/bin/docker-credential-own"
  chmod +x "$BATS_TEST_TMPDIR/bin/docker-credential-own"
  echo '{"credsStore": "own"}' >"$DOCKER_CONFIG/config.json"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH run -0 rdd plugin install --yes "$reference"
  has_state moby ready
  echo '{"credsStore": "nosuch"}' >"$DOCKER_CONFIG/config.json"
  run -1 rdd plugin inspect "$reference"
  contains "$output" docker-credential-nosuch
}

@test "a damaged download is rejected and leaves nothing behind" {
  local reference=$REGISTRY/damaged/moby:1 blob
  copy "$BATS_TEST_TMPDIR/moby"
  printf '\0\1\0' >>"$BATS_TEST_TMPDIR/moby/moby.wasm" # an empty custom section of its own
  sed -i "s/^sha256 = .*/sha256 = \"$(sha256sum "$BATS_TEST_TMPDIR/moby/moby.wasm" | cut -d' ' -f1)\"/" "$BATS_TEST_TMPDIR/moby/plugin.toml"
  rdd plugin push "$BATS_TEST_TMPDIR/moby" "$reference"
  blob=$(sha256sum "$BATS_TEST_TMPDIR/moby/moby.wasm" | cut -d' ' -f1)
  blob=$(find "$REGISTRY_DIR/data" -path "*$blob/data")
  printf y | dd of="$blob" bs=1 seek=100 conv=notrunc status=none
  run -1 rdd plugin install --yes "$reference"
  contains "$output" "has the digest"
  same "$(entries)" ""
}

@test "an interrupted installation leaves nothing behind, a killed one until the next command" {
  rdd plugin push "$MOBY" "$REGISTRY/team/moby:1.0"
  local stalled pid status=0
  python3 "$HELPERS/stalled_registry.py" "$REGISTRY" >"$BATS_TEST_TMPDIR/address" 3>&- &
  local server=$!
  try "${PATIENCE[@]}" test -s "$BATS_TEST_TMPDIR/address"
  stalled=$(cat "$BATS_TEST_TMPDIR/address")/team/moby:1.0
  staging() { entries | grep -q rdd-staging; }

  "$RDD_TEST_BIN" plugin install --yes "$stalled" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  pid=$!
  try "${PATIENCE[@]}" staging
  kill -TERM "$pid"
  wait "$pid" || status=$?
  same "$status" 130
  contains "$(cat "$BATS_TEST_TMPDIR/out")" "nothing was installed"
  same "$(entries)" ""

  "$RDD_TEST_BIN" plugin install --yes "$stalled" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  pid=$!
  try "${PATIENCE[@]}" staging
  kill -KILL "$pid"
  wait "$pid" || true
  staging
  rdd plugin install --yes "$MOBY"
  same "$(entries)" "moby "
  kill "$server"
}

@test "what others can write to, links, and copies by hand are refused" {
  rdd plugin install --yes "$MOBY"
  chmod g+w "$INSTALLED/moby/moby.wasm"
  run -1 rdd plugin verify
  contains "$output" "writable by its group"
  chmod g-w "$INSTALLED/moby/moby.wasm"
  chmod g+w "$INSTALLED/moby"
  run -1 rdd plugin verify
  contains "$output" "writable by its group"
  chmod g-w "$INSTALLED/moby"
  mv "$INSTALLED/moby/moby.wasm" "$BATS_TEST_TMPDIR/elsewhere.wasm"
  ln -s "$BATS_TEST_TMPDIR/elsewhere.wasm" "$INSTALLED/moby/moby.wasm"
  run -1 rdd plugin verify
  contains "$output" "symbolic link"
  rdd plugin remove moby
  copy "$INSTALLED/moby"
  run -1 rdd plugin verify
  contains "$output" "rdd plugin install"
  run -1 rdd plugin install --yes "$MOBY"
  contains "$output" "move it to another place"
}

@test "another version of the contract is named with what to upgrade" {
  copy "$BATS_TEST_TMPDIR/moby" 's/engine@[0-9.]*/engine@9.0.0/'
  run -1 rdd plugin install --yes "$BATS_TEST_TMPDIR/moby"
  contains "$output" 9.0.0
  contains "$output" "upgrade rdd"
}

@test "a running daemon notices each change without a restart" {
  start_installed
  run -1 rdd plugin disable moby
  rdd plugin install --yes "$MOBY"
  try "${PATIENCE[@]}" has_state moby ready
  connected
  rdd plugin disable moby
  try "${PATIENCE[@]}" has_state moby disabled
  contains "$(rdd plugin list)" "rdd plugin enable moby"
  rdd plugin enable moby
  try "${PATIENCE[@]}" has_state moby ready
  connected
  copy "$BATS_TEST_TMPDIR/moby" 's/^version = .*/version = "9.9.9"/'
  rdd plugin install --yes "$BATS_TEST_TMPDIR/moby"
  upgraded() { contains "$(rdd plugin list)" 9.9.9 && has_state moby ready; }
  try "${PATIENCE[@]}" upgraded
  printf x >>"$INSTALLED/moby/moby.wasm"
  try "${PATIENCE[@]}" has_state moby refused
  rdd plugin remove moby
  gone() { same "$(rdd plugin list -o name)" ""; }
  try "${PATIENCE[@]}" gone
}

@test "viewers of a plugin that is disabled are told to try again" {
  rdd plugin install --yes "$MOBY"
  start_installed
  connected
  local id
  id=$(container --name "$(unique viewed)" rdd-test sh -c 'echo started; exec sleep 600')
  mirrored "$id"
  ws "$LOGS/$id" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
  try "${PATIENCE[@]}" grep -q started "$BATS_TEST_TMPDIR/out"
  rdd plugin disable moby
  try "${PATIENCE[@]}" closed "$BATS_TEST_TMPDIR/err" 1013
  try "${PATIENCE[@]}" expect_status "$LOGS/$id" 501
}
