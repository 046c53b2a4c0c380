#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# From `rdd plugin new` to containers in kubectl, as docs/writing-a-backend.md describes.

load ../helpers/rdd

setup_file() { begin_file; }

# Each test has a home of its own, without plugins.
setup() {
  own_state
  unset RDD_PLUGIN_DIR
  export XDG_DATA_HOME=$BATS_TEST_TMPDIR/data
  SOCKET=$BATS_TEST_TMPDIR/toy.sock
  cd "$BATS_TEST_TMPDIR" || return
}
teardown() {
  SOCKET=$BATS_TEST_TMPDIR/toy.sock
  own_state
  stop_daemon
  [ ! -f "$SOCKET.pid" ] || kill "$(cat "$SOCKET.pid")"
}

start_toy_engine() {
  "$RDD_TEST_BIN" plugin toy-engine --listen "unix://$SOCKET" 3>&- &
  echo $! >"$SOCKET.pid"
  try "${PATIENCE[@]}" test -S "$SOCKET"
}
# start_with NAME: a daemon with the installed plugin NAME
start_with() {
  "$RDD_TEST_BIN" serve --state-dir "$STATE" --backend "$1" --engine-endpoint "unix://$SOCKET" >>"$STATE.log" 2>&1 3>&- &
  echo $! >"$STATE.pid"
  try "${PATIENCE[@]}" ready_or_dead
  [ -f "$STATE/kubeconfig" ] || { cat "$STATE.log"; return 1; }
}
has_container() { contains "$(kubectl get containers)" "$1"; }

# follows_the_guide LANGUAGE NAME: the commands of the guide
follows_the_guide() {
  run -0 rdd plugin new --lang "$1" "$2"
  contains "$output" "rdd plugin build"
  cd "$2" || return
  run -1 rdd plugin test .
  contains "$output" "run 'rdd plugin build' first"
  run -0 rdd plugin build
  contains "$output" "built $2 0.1.0 in out/$2: $2.wasm"
  run -0 rdd plugin test .
  contains "$output" " 0 failed"
  run -0 rdd plugin install --yes .
  contains "$output" "installed $2 0.1.0"
  start_toy_engine
  start_with "$2"
  try "${PATIENCE[@]}" has_container web
  contains "$(rdd logs web --tail 1)" "tick"
}

@test "a new backend in C serves the containers and logs of the toy engine" {
  follows_the_guide c demo
  # Actions need a capability that the example does not have.
  run -1 rdd pause web
}

@test "a new backend in Rust serves the containers and logs of the toy engine" {
  follows_the_guide rust my-engine
  rdd pause web
}

@test "a project is not written over files, and its name is checked" {
  mkdir demo
  echo mine >demo/file
  run -1 rdd plugin new --lang c demo
  contains "$output" "demo exists and is not an empty directory"
  same "$(find . -type f)" ./demo/file
  run -1 rdd plugin new --lang c My_Engine
  contains "$output" "use lowercase letters, digits, and '-'"
  run -2 rdd plugin new --lang go demo
  contains "$output" "[possible values: rust, python, c]"
  run -1 rdd plugin new --lang python --form library native
  contains "$output" "use one of: component"
  run -1 rdd plugin build demo
  contains "$output" "run 'rdd plugin new'"
}

@test "a missing tool is named with the command that installs it" {
  rdd plugin new --lang rust demo
  mkdir empty
  run -1 env PATH="$PWD/empty" "$RDD_TEST_BIN" plugin build demo
  contains "$output" "https://rustup.rs"
  [ ! -e demo/out/demo ]
  rdd plugin new --lang c native
  run -1 env PATH="$PWD/empty" "$RDD_TEST_BIN" plugin build native
  contains "$output" "apt-get install clang"
  rdd plugin new --lang python snake
  run -1 env PATH="$PWD/empty" "$RDD_TEST_BIN" plugin build snake
  contains "$output" "python3-venv"
}
