#!/usr/bin/env bats
# shellcheck disable=SC2016 # the scripts are for the containers' shells
bats_require_minimum_version 1.5.0
# The log stream, read by a WebSocket client that shares no code with rdd.

load ../helpers/rdd

setup_file() {
  start_file
  WEBSOCKETS=$("$ROOT/scripts/websockets")
  PLAIN=$(container rdd-test sh -c 'i=0; while [ $i -lt 300 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done')
  TTY=$(container -t rdd-test sh -c 'printf "\033[31mred\033[0m\n"; echo plain; echo err >&2')
  export WEBSOCKETS PLAIN TTY
  mirrored "$PLAIN" exited
  mirrored "$TTY" exited
}
teardown_file() { end_file; }

# reads QUERY DOCKER-LOGS-OPTION…: the log of $PLAIN with this query is not
# empty, and equals byte for byte the output of docker logs with these options.
reads() {
  local query=$1 dir=$BATS_TEST_TMPDIR
  shift
  docker logs "$@" "$PLAIN" >"$dir/want" 2>&1
  ws "$LOGS/$PLAIN?follow=false&$query" >"$dir/have" 2>"$dir/end"
  closed "$dir/end" 1000
  [ -s "$dir/want" ]
  cmp "$dir/want" "$dir/have"
}
# time_of LINE: the engine's timestamp of this line of standard output
time_of() { docker logs --timestamps "$PLAIN" 2>/dev/null | sed -n "$1s/ .*//p"; }

@test "the log of a container without a TTY equals the engine's, both streams in order" {
  reads ''
  same "$(wc -l <"$BATS_TEST_TMPDIR/have")" 600
}

@test "the log of a TTY equals the engine's byte for byte, including colors and carriage returns" {
  docker logs "$TTY" >"$BATS_TEST_TMPDIR/want"
  ws "$LOGS/$TTY?follow=false" >"$BATS_TEST_TMPDIR/have" 2>"$BATS_TEST_TMPDIR/end"
  closed "$BATS_TEST_TMPDIR/end" 1000
  cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/have"
  contains "$(cat "$BATS_TEST_TMPDIR/have")" $'\033[31mred\033[0m\r\n'
}

@test "stderr=false sends only standard output, stdout=false only standard error" {
  docker logs "$PLAIN" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
  ws "$LOGS/$PLAIN?follow=false&stderr=false" >"$BATS_TEST_TMPDIR/have.out"
  ws "$LOGS/$PLAIN?follow=false&stdout=false" >"$BATS_TEST_TMPDIR/have.err"
  cmp "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/have.out"
  cmp "$BATS_TEST_TMPDIR/err" "$BATS_TEST_TMPDIR/have.err"
}

@test "tail=5 sends the last five lines, tail=0 none" {
  reads tail=5 --tail 5
  same "$(wc -l <"$BATS_TEST_TMPDIR/have")" 5
  same "$(ws "$LOGS/$PLAIN?follow=false&tail=0" 2>/dev/null)" ""
}

# just_before TIME: one nanosecond earlier
just_before() {
  local nanoseconds=${1##*.}
  printf '%s.%09dZ' "${1%.*}" $((10#${nanoseconds%Z} - 1))
}

@test "since includes the line written at that time, until excludes it, to the nanosecond" {
  local from to
  from=$(time_of 100) to=$(time_of 200)
  reads "since=$from" --since "$from"
  grep -qx 'out 99' "$BATS_TEST_TMPDIR/have"
  # The engine itself includes the line written at exactly that time.
  reads "until=$to" --until "$(just_before "$to")"
  fails grep -qx 'out 199' "$BATS_TEST_TMPDIR/have"
  reads "since=$from&until=$to" --since "$from" --until "$(just_before "$to")"
  # Not a number of lines: the engine may read the other stream much earlier or later.
  grep -qx 'out 150' "$BATS_TEST_TMPDIR/have"
  fails grep -qxE 'out (50|250)' "$BATS_TEST_TMPDIR/have"
  reads since=1h
  same "$(wc -l <"$BATS_TEST_TMPDIR/have")" 600
  same "$(ws "$LOGS/$PLAIN?follow=false&since=$(($(date +%s) + 60))" 2>/dev/null)" ""
}

@test "timestamps=true prefixes each line with the engine's time" {
  reads 'timestamps=true&tail=50' --timestamps --tail 50
  fails grep -qvE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z (out|err) [0-9]+$' "$BATS_TEST_TMPDIR/have"
}

@test "bytes that are not UTF-8 arrive unchanged" {
  # This log driver stores bytes; the default one stores text.
  python3 -c 'import random, sys
sys.stdout.buffer.write(random.Random(1).randbytes(200_000) + b"\n")' >"$BATS_TEST_TMPDIR/written"
  id=$(docker create -i --network none --label "$(own_label)" --log-driver local rdd-test cat)
  docker start -ai "$id" <"$BATS_TEST_TMPDIR/written" >/dev/null
  ws "$LOGS/$id?follow=false" >"$BATS_TEST_TMPDIR/have"
  cmp "$BATS_TEST_TMPDIR/written" "$BATS_TEST_TMPDIR/have"
}

@test "follow=false of a running container ends with 1000 after the existing log" {
  id=$(container rdd-test sh -c 'echo so far; exec sleep 1000')
  try "${PATIENCE[@]}" logged "$id" 'so far'
  ws "$LOGS/$id?follow=false" >"$BATS_TEST_TMPDIR/have" 2>"$BATS_TEST_TMPDIR/end"
  same "$(cat "$BATS_TEST_TMPDIR/have")" 'so far'
  closed "$BATS_TEST_TMPDIR/end" 1000
}
logged() { contains "$(docker logs "$1" 2>&1)" "$2"; }

@test "a followed log receives new output, and ends with 1000 when the container stops" {
  id=$(container rdd-test sh -c 'echo first; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo last')
  ws "$LOGS/$id" >"$BATS_TEST_TMPDIR/have" 2>"$BATS_TEST_TMPDIR/end" 3>&- &
  follower=$!
  try "${PATIENCE[@]}" grep -q first "$BATS_TEST_TMPDIR/have"
  fails grep -q last "$BATS_TEST_TMPDIR/have"
  docker exec "$id" touch /tmp/go
  wait "$follower"
  same "$(cat "$BATS_TEST_TMPDIR/have")" $'first\nlast'
  closed "$BATS_TEST_TMPDIR/end" 1000
}

@test "streams without output for over 65 s still deliver the next line" {
  id=$(container rdd-test sh -c 'echo first; while [ ! -e /tmp/go ]; do sleep 1; done; echo last')
  mirrored "$id"
  ws "$LOGS/$id" >"$BATS_TEST_TMPDIR/ws" 2>"$BATS_TEST_TMPDIR/end" 3>&- &
  ws=$!
  rdd logs -f "$id" >"$BATS_TEST_TMPDIR/rdd" 2>&1 3>&- &
  rdd=$!
  try "${PATIENCE[@]}" grep -q first "$BATS_TEST_TMPDIR/ws"
  try "${PATIENCE[@]}" grep -q first "$BATS_TEST_TMPDIR/rdd"
  sleep 66 # the duration itself is tested
  fails ended "$ws"
  fails ended "$rdd"
  docker exec "$id" touch /tmp/go
  wait "$ws"
  wait "$rdd"
  same "$(cat "$BATS_TEST_TMPDIR/ws")" $'first\nlast'
  same "$(cat "$BATS_TEST_TMPDIR/rdd")" $'first\nlast'
  closed "$BATS_TEST_TMPDIR/end" 1000
}

@test "rdd.logs.v1+source names the stream of each frame, rdd.logs.v1+raw and no subprotocol do not" {
  local dir=$BATS_TEST_TMPDIR
  docker logs "$PLAIN" >"$dir/out" 2>"$dir/err"
  ws "$LOGS/$PLAIN?follow=false" --subprotocol rdd.logs.v1+source --source 1 >"$dir/have.out" 2>"$dir/end"
  grep -qx 'subprotocol rdd.logs.v1+source' "$dir/end"
  ws "$LOGS/$PLAIN?follow=false" --subprotocol rdd.logs.v1+source --source 2 >"$dir/have.err"
  cmp "$dir/out" "$dir/have.out"
  cmp "$dir/err" "$dir/have.err"

  ws "$LOGS/$PLAIN?follow=false" >"$dir/plain" 2>"$dir/end"
  grep -qx 'subprotocol none' "$dir/end"
  ws "$LOGS/$PLAIN?follow=false" --subprotocol rdd.logs.v1+raw >"$dir/raw" 2>"$dir/end"
  grep -qx 'subprotocol rdd.logs.v1+raw' "$dir/end"
  cmp "$dir/plain" "$dir/raw"
}

@test "an unknown subprotocol is not selected, and frames are raw" {
  ws "$LOGS/$PLAIN?follow=false" --subprotocol rdd.logs.v9 >"$BATS_TEST_TMPDIR/have" 2>"$BATS_TEST_TMPDIR/end"
  grep -qx 'subprotocol none' "$BATS_TEST_TMPDIR/end"
  docker logs "$PLAIN" 2>&1 | cmp - "$BATS_TEST_TMPDIR/have"
}

@test "a token in the subprotocols authenticates the stream and is not echoed" {
  local token
  token=$(token | tr -d '\n' | base64 -w0 | tr '+/' '-_' | tr -d =)
  ws_without_token "$LOGS/$PLAIN?follow=false&tail=1" \
    --subprotocol "base64url.bearer.authorization.k8s.io.$token" --subprotocol rdd.logs.v1+raw >"$BATS_TEST_TMPDIR/have" 2>"$BATS_TEST_TMPDIR/end"
  grep -qx 'subprotocol rdd.logs.v1+raw' "$BATS_TEST_TMPDIR/end"
  [ -s "$BATS_TEST_TMPDIR/have" ]
  run -2 ws_without_token "$LOGS/$PLAIN" --subprotocol rdd.logs.v1+raw
  contains "$output" 'refused 401'
}

@test "SIGTERM closes streams with 1001, and the daemon exits with 0 within 10 s" {
  own_state
  local begun status=0 pid
  start_daemon
  connected
  id=$(container rdd-test sh -c 'echo first; exec sleep 1000')
  for i in 1 2 3; do
    ws "$LOGS/$id" >"$BATS_TEST_TMPDIR/have.$i" 2>"$BATS_TEST_TMPDIR/end.$i" 3>&- &
    try "${PATIENCE[@]}" grep -q first "$BATS_TEST_TMPDIR/have.$i"
  done
  pid=$(daemon_pid)
  begun=$(millis)
  kill -TERM "$pid"
  wait "$pid" || status=$?
  same "$status" 0
  [ $(($(millis) - begun)) -lt 10000 ]
  for i in 1 2 3; do try "${PATIENCE[@]}" closed "$BATS_TEST_TMPDIR/end.$i" 1001; done
}
teardown() { own_state && stop_daemon; }
