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

# tool NAME SCRIPT: a program in front of the machine's
tool() {
  mkdir -p "$PWD/tools"
  printf '#!/bin/sh\n%s\n' "$2" >"$PWD/tools/$1"
  chmod +x "$PWD/tools/$1"
}
# fails_to_build PROJECT WORDS…: with the tools; the output has all of the words
fails_to_build() {
  local text word
  text=$(fails env PATH="$PWD/tools:$PATH" PIP_INDEX_URL=http://127.0.0.1:1/simple PIP_RETRIES=0 "$RDD_TEST_BIN" plugin build "$1" 2>&1)
  for word in "${@:2}"; do contains "$text" "$word"; done
  [ ! -e "$1/out/$1" ]
}

@test "a tool that lacks a part is named with the command that installs it" {
  rdd plugin new --lang rust rusty
  tool rustc "case \"\$*\" in *target-libdir*) echo /nonexistent;; *) exec '$(command -v rustc)' \"\$@\";; esac"
  fails_to_build rusty "does not have the target wasm32-unknown-unknown" "rustup target add wasm32-unknown-unknown"

  # clang without a linker, as it reports that
  rdd plugin new --lang c native
  tool clang "case \"\$*\" in *--version*) exit 0;; esac
echo \"clang: error: unable to execute command: Executable \\\"wasm-ld\\\" doesn't exist!\" >&2
exit 1"
  fails_to_build native "clang cannot compile for WebAssembly" wasm-ld "apt-get install clang lld"
  # and without the C library
  tool clang "exec '$(command -v clang || echo clang)' --sysroot=/nonexistent \"\$@\""
  [ -z "$(PATH=${PATH#"$PWD/tools:"} command -v clang)" ] || fails_to_build native stdlib.h wasi-libc

  rdd plugin new --lang python snake
  tool componentize-py "exit 1"
  local python
  python=$(command -v python3)
  tool python3 'echo "No module named venv" >&2; exit 1'
  fails_to_build snake "cannot make a virtual environment" "apt-get install python3-venv"
  tool python3 'echo 3 8'
  fails_to_build snake "python3 is Python 3.8" "Python 3.10 or newer"
  tool python3 "exec '$python' \"\$@\""
  if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    fails_to_build snake "pip cannot install componentize-py" PIP_INDEX_URL
  fi
}

@test "the kit names what it cannot do with another engine, and the wrong one" {
  rdd plugin new --lang c demo
  rdd plugin build demo
  start_toy_engine
  # The example creates no containers, so cases that need one are skipped.
  run -0 rdd plugin test demo --engine "unix://$SOCKET" --image toy:latest
  contains "$output" "pass  watch/begins-with-a-listing"
  contains "$output" "needs the capability create-containers"
  contains "$output" " 0 failed"
  run -1 rdd plugin test demo --engine "$RDD_TEST_DOCKER_HOST" --image rdd-test --filter 'watch/*'
  contains "$output" "as a toy engine's does; check the engine's URL"
  contains "$output" "check that --engine is the engine that it is for"
  run -1 rdd plugin test demo --engine "unix://$PWD/nothing.sock" --filter 'watch/*'
  contains "$output" "cannot connect to the engine"
}
