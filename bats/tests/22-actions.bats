#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031,SC2119,SC2120,SC2154 # tests are functions in subshells, and bats sets stderr
bats_require_minimum_version 1.5.0
# Actions and removals by name, and their outcomes.

load ../helpers/rdd

setup_file() { start_file; }
teardown_file() { end_file; }

state_of() { docker inspect -f '{{.State.Status}}' "$1"; }
is_state() { same "$(state_of "$1")" "$2"; }
# named [DOCKER RUN OPTION…]: runs a container that stops immediately on request; sets NAME and ID.
named() {
  NAME=$(unique action)
  ID=$(container --init --name "$NAME" "$@" rdd-test sleep 1000)
  mirrored "$ID"
}

@test "each action is complete when its command ends, which prints the given name" {
  named
  for action in 'stop exited' 'start running' 'pause paused' 'unpause running' 'restart running'; do
    run -0 rdd "${action% *}" "$NAME"
    same "$output" "$NAME"
    same "$(state_of "$ID")" "${action#* }"
    same "$(kubectl get container "$ID" -o 'jsonpath={.status.lastAction.action}')" "${action% *}"
  done
  run -0 rdd stop "$ID"
  same "$output" "$ID"
}

@test "an action that the engine refuses is reported in its words, and the others are carried out" {
  named
  local other=$NAME
  named
  run -0 rdd stop "$NAME"
  run -1 --separate-stderr rdd pause "$NAME" nobody "$other"
  same "$output" "$other"
  contains "$stderr" "cannot pause \"$NAME\""
  contains "$stderr" "not running"
  contains "$stderr" 'no container "nobody"'
  same "$(state_of "$other")" paused
}

@test "a repeated request repeats the action" {
  named
  for _ in 1 2 3 4 5; do
    before=$(docker inspect -f '{{.State.StartedAt}}' "$ID")
    rdd restart "$NAME"
    after=$(docker inspect -f '{{.State.StartedAt}}' "$ID")
    fails same "$after" "$before"
  done
  # The same name twice means two actions.
  run -0 rdd restart "$NAME" "$NAME"
  same "$output" "$NAME"$'\n'"$NAME"
}

@test "rm removes a running container and waits until it is gone" {
  named
  local first=$ID
  named
  run -0 rdd rm "$NAME" "$first"
  same "$output" "$NAME"$'\n'"$first"
  run -1 docker inspect "$ID"
  run -1 docker inspect "$first"
  run -1 rdd rm "$NAME"
  contains "$output" "no container \"$NAME\""
}

@test "a stop continues after --timeout expires or the command is interrupted" {
  NAME=$(unique slow)
  # A shell that is PID 1 ignores SIGTERM.
  ID=$(container --name "$NAME" --stop-timeout 15 rdd-test sh -c 'while :; do sleep 1; done')
  mirrored "$ID"
  run -1 rdd stop --timeout 1s "$NAME"
  contains "$output" "the request stands"
  same "$(state_of "$ID")" running
  local code=0 pid
  "$RDD_TEST_BIN" --state-dir "$STATE" stop "$NAME" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  pid=$!
  # A command in the background ignores the signal until it handles it.
  interrupted() { kill -INT "$pid"; ended "$pid"; }
  try "${PATIENCE[@]}" interrupted
  wait "$pid" || code=$?
  same "$code" 130
  contains "$(cat "$BATS_TEST_TMPDIR/out")" interrupted
  try "${PATIENCE[@]}" is_state "$ID" exited
}

@test "while the App is stopped, an action fails and says so" {
  named
  kubectl patch app app --type=merge -p '{"spec":{"running":false}}'
  run -1 rdd stop "$NAME"
  contains "$output" "the App is stopped"
  kubectl patch app app --type=merge -p '{"spec":{"running":true}}'
  connected
}

says() { contains "$("$RDD_TEST_BIN" --state-dir "$STATE" "${@:2}" 2>&1)" "$1"; }

@test "without the App's backend, an action fails and says so without waiting" {
  named
  kubectl patch app app --type=merge -p '{"spec":{"containerEngine":{"name":"nope"}}}'
  try "${PATIENCE[@]}" says 'error: no backend named "nope" is installed' stop --timeout 1s "$NAME"
  kubectl patch app app --type=merge -p '{"spec":{"containerEngine":{"name":"moby"}}}'
  connected
}
