#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Output of commands for people, programs, and pipes, and their exit codes.

load ../helpers/rdd

setup_file() { start_file; }
teardown_file() { end_file; }
teardown() { own_state && stop_daemon; }

# refuse [SERVE OPTION…]: a start that should fail
refuse() {
  timeout 60 "$RDD_TEST_BIN" serve --state-dir "$STATE" --plugin-dir "$RDD_TEST_PLUGINS" \
    --engine-endpoint "$RDD_TEST_DOCKER_HOST" "$@"
}
# once TEXT PART: TEXT contains PART exactly once.
once() {
  contains "$1" "$2"
  fails contains "${1#*"$2"}" "$2"
}

@test "status, version, and plugin list have output for programs" {
  same "$(rdd status -o json | field state)" running
  same "$(rdd status -o json | field kubeconfig)" "$STATE/kubeconfig"
  contains "$(rdd status -o yaml)" "backend: moby"
  same "$(rdd status -o name)" rdd
  contains "$(rdd version -o json | field engineInterface)" rancher-desktop:engine@
  contains "$(rdd version -o yaml)" "version: \"$(rdd version -o name)\""
  same "$(rdd plugin list -o name)" moby
  contains "$(rdd plugin list -o json)" '"state": "ready"'
  contains "$(rdd plugin list -o yaml)" "name: moby"
  run -2 rdd status -o wide
  contains "$output" "error: invalid value 'wide'"
}

@test "status of a stopped instance is printed in every format, with exit code 3" {
  own_state
  run -3 rdd status
  contains "$output" "localhost:8080"
  run -3 rdd status -o json
  same "$(field state <<<"$output")" stopped
  run -3 rdd status -o name
}

@test "status distinguishes a daemon that does not respond from one that is gone" {
  own_state
  start_daemon
  kill -STOP "$(daemon_pid)"
  run -4 rdd status
  kill -CONT "$(daemon_pid)"
  contains "$output" busy
  rdd status
}

# into_a_closed_pipe COMMAND…: its exit status, as a shell tells it
into_a_closed_pipe() {
  python3 -c 'import os, subprocess, sys
reader, writer = os.pipe()
os.close(reader)
code = subprocess.run(sys.argv[1:], stdout=writer).returncode
print(code if code >= 0 else 128 - code)' "$@"
}

@test "a command whose pipe is closed ends silently" {
  for command in status "status -o json" version "version -o yaml" "plugin list" "plugin list -o json"; do
    # shellcheck disable=SC2086 # a command and its options
    code=$(into_a_closed_pipe "$RDD_TEST_BIN" --state-dir "$STATE" $command 2>"$BATS_TEST_TMPDIR/stderr")
    same "$command: $code" "$command: 141"
    same "$(cat "$BATS_TEST_TMPDIR/stderr")" ""
  done
}

@test "a table is the default format, and can be named" {
  same "$(rdd plugin list -o table)" "$(rdd plugin list)"
  run -2 rdd plugin list -o nonsense
  contains "$output" "table, json, yaml, name"
}

@test "errors have the same prefix as those of the argument parser" {
  run -2 rdd nonsense
  same "${output%%:*}" error
  own_state
  run -1 rdd logs nobody
  same "${output%%:*}" error
}

@test "causes are printed once" {
  own_state
  run -1 refuse --kubeconfig /nonexist
  once "$output" "No such file or directory"
  run -1 refuse --log nonsense=foo
  once "$output" "error parsing level filter"
}

@test "RDD_READ_ONLY accepts the usual boolean values" {
  own_state
  RDD_READ_ONLY=1 start_daemon
  stop_daemon
  RDD_READ_ONLY=off start_daemon
  stop_daemon
  RDD_READ_ONLY=maybe run -2 refuse
  contains "$output" "--read-only"
}

@test "RDD_PLUGIN_DIR is a list, --plugin-dir is a single directory" {
  own_state
  dir=$BATS_TEST_TMPDIR/with:colon
  mkdir -p "$dir"
  cp -r "$RDD_TEST_PLUGINS/moby" "$dir/moby"
  same "$(rdd plugin list --plugin-dir "$dir" -o name)" moby
  same "$(RDD_PLUGIN_DIR=/nosuch:$RDD_TEST_PLUGINS rdd plugin list -o name)" moby
}

@test "RDD_TRUSTED_ORIGIN is a list" {
  own_state
  RDD_TRUSTED_ORIGIN=http://a:1,http://b start_daemon
  for origin in http://a:1 http://b; do
    try "${PATIENCE[@]}" expect_status "$LOGS/$NOBODY" 404 -H "Origin: $origin"
  done
  expect_status "$LOGS/$NOBODY" 403 -H "Origin: http://c"
}

@test "a backend that is not installed is rejected with a list of those that are, and not remembered" {
  own_state
  run -1 refuse --backend nope
  contains "$output" '"nope"'
  contains "$output" "installed: moby"
  start_daemon
  same "$(kubectl get app app -o 'jsonpath={.spec.containerEngine.name}')" moby
  stop_daemon
  # Nor is it selected in an existing App.
  run -1 refuse --backend nope
  start_daemon
  same "$(kubectl get app app -o 'jsonpath={.spec.containerEngine.name}')" moby
}

@test "ctl becomes kubectl: exit code, signals, standard input" {
  export RDD_KUBECTL=$BATS_TEST_TMPDIR/kubectl
  # shellcheck disable=SC2016 # for the script
  printf '#!/bin/sh\necho "$$ $KUBECONFIG $*"; cat; exit 42\n' >"$RDD_KUBECTL"
  chmod +x "$RDD_KUBECTL"
  run -42 rdd ctl get -o json <<<"from stdin"
  contains "$output" "$STATE/kubeconfig get -o json"
  contains "$output" "from stdin"

  printf '#!/bin/sh\nkill -TERM $$\n' >"$RDD_KUBECTL"
  run -143 rdd ctl version
  # It is the same process, so a signal to rdd reaches kubectl.
  printf '#!/bin/sh\necho $$\n' >"$RDD_KUBECTL"
  "$RDD_TEST_BIN" --state-dir "$STATE" ctl >"$BATS_TEST_TMPDIR/inner" 3>&- &
  wait $!
  same "$(cat "$BATS_TEST_TMPDIR/inner")" "$!"

  RDD_KUBECTL=/nosuch run -1 rdd ctl version
  contains "$output" RDD_KUBECTL
  contains "$("$RDD_TEST_BIN" --help)" RDD_KUBECTL
  own_state
  run -1 rdd ctl version
  contains "$output" "rdd serve"
}

@test "on a terminal the start is announced once, and progress never mixes with log lines" {
  own_state
  for i in $(seq 30); do docker volume create --label "$(own_label)" "$(unique "terminal-$i")" >/dev/null; done
  # The engine starts after the daemon, so that progress is shown.
  local socket=$BATS_TEST_TMPDIR/late.sock
  local command="$RDD_TEST_BIN serve --state-dir $STATE --plugin-dir $RDD_TEST_PLUGINS --engine-endpoint unix://$socket"
  script -qfc "echo \$\$ >$STATE.pid; exec $command" "$STATE.typescript" </dev/null >/dev/null 3>&- &
  try "${PATIENCE[@]}" test -f "$STATE/kubeconfig"
  ln -s "${RDD_TEST_DOCKER_HOST#unix://}" "$socket"
  connected
  try "${PATIENCE[@]}" grep -q 'objects of the engine are mirrored' "$STATE.typescript"
  stop_daemon
  wait
  same "$(tr '\r' '\n' <"$STATE.typescript" | grep -cw ready)" 1
  grep -q 'mirroring [0-9]* of [0-9]* objects' "$STATE.typescript"
  fails grep -qE 'mirroring [0-9]+ of [0-9]+ objects[^[:cntrl:]]' "$STATE.typescript"
}
