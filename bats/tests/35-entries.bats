#!/usr/bin/env bats
# shellcheck disable=SC2016 # the scripts are for the containers' shells
bats_require_minimum_version 1.5.0
# Logs as entries, and the logs of many containers on one socket, with a client that
# shares no code with rdd.

load ../helpers/rdd

setup_file() {
  start_file
  WEBSOCKETS=$("$ROOT/scripts/websockets")
  export WEBSOCKETS
}
teardown_file() { end_file; }

# entries PATH [OPTION…]: the independent client
entries() {
  "$WEBSOCKETS" "$HELPERS/entries.py" --ca "$STATE/tls/ca.crt" --token-file "$STATE/token" \
    "$(server | sed s/^http/ws/)/passthrough/engine/logs$1" "${@:2}"
}
both=(--subprotocol rdd.logs.v1+json --subprotocol rdd.logs.v1+binary)

# stopped_times COUNT: the client was told so many times that the container stopped
stopped_times() { [ "$(grep -c '"stopped"' "$BATS_TEST_TMPDIR/events")" -ge "$1" ]; }
# has_log ID LINE: the last line of the log
has_log() { same "$(docker logs --tail 1 "$1")" "$2"; }

# Numbered lines on both streams, some of 40 KB, some not UTF-8, and a line without end.
numbered='i=0; long=$(head -c 40000 /dev/zero | tr "\0" x)
while [ $i -lt 400 ]; do echo "out $i"; echo "err $i" >&2
[ $((i % 50)) -ne 0 ] || { echo "$long $i"; printf "\377\376 $i\n"; }; i=$((i + 1)); done; printf "no newline"'

@test "a log that is cut at random places and resumed is complete, with each log driver" {
  for driver in json-file local; do
    local id
    id=$(container --log-driver "$driver" rdd-test sh -c "$numbered")
    docker wait "$id" >/dev/null
    mirrored "$id" exited
    docker logs "$id" >"$BATS_TEST_TMPDIR/docker.out" 2>"$BATS_TEST_TMPDIR/docker.err"
    for follow in true false; do
      entries "/$id?follow=$follow" "${both[@]}" --cuts 20 --events "$BATS_TEST_TMPDIR/events" \
        >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
      cmp "$BATS_TEST_TMPDIR/docker.out" "$BATS_TEST_TMPDIR/out"
      cmp "$BATS_TEST_TMPDIR/docker.err" "$BATS_TEST_TMPDIR/err"
    done
    fails grep -q gap "$BATS_TEST_TMPDIR/events"
  done
}

@test "a log is followed over restarts of its container, without a lost or repeated line" {
  local id
  id=$(container rdd-test sh -c 'for i in 1 2 3; do echo "line $i"; done; exit 3')
  docker wait "$id" >/dev/null
  mirrored "$id" exited
  entries "/$id?follow=restart" "${both[@]}" --events "$BATS_TEST_TMPDIR/events" \
    --until-lines 9 >"$BATS_TEST_TMPDIR/out" &
  local client=$!
  for runs in 1 2; do
    try "${PATIENCE[@]}" stopped_times "$runs"
    docker start "$id" >/dev/null
    docker wait "$id" >/dev/null
  done
  wait "$client"
  same "$(sort "$BATS_TEST_TMPDIR/out" | uniq -c | tr -s ' ' | sort)" "$(printf ' 3 line %s\n' 1 2 3)"
  contains "$(cat "$BATS_TEST_TMPDIR/events")" '"exitCode": 3'
}

@test "lines that the engine has discarded are told as a gap" {
  local id
  id=$(container --log-opt max-size=20k --log-opt max-file=2 rdd-test sh -c \
    'echo first; while [ ! -e /go ]; do sleep 0.1; done; seq 1 3000; sleep 100000')
  mirrored "$id"
  entries "/$id?follow=true" "${both[@]}" --until-lines 1 --save-cursor "$BATS_TEST_TMPDIR/cursor"
  docker exec "$id" touch /go
  try "${PATIENCE[@]}" has_log "$id" 3000
  entries "/$id?follow=false&cursor=$(cat "$BATS_TEST_TMPDIR/cursor")" "${both[@]}" \
    --events "$BATS_TEST_TMPDIR/events" >"$BATS_TEST_TMPDIR/out"
  contains "$(cat "$BATS_TEST_TMPDIR/events")" '"reason": "rotated"'
  local first
  first=$(head -1 "$BATS_TEST_TMPDIR/out")
  [ "$first" -gt 1 ]
  cmp "$BATS_TEST_TMPDIR/out" <(seq "$first" 3000)
}

@test "the containers of a project and of a selector are on one socket, with those that come later" {
  local project
  project=$(unique shop)
  for name in web db; do
    container --name "$(unique "$name")" --label "com.docker.compose.project=$project" --label "tier=$name" \
      rdd-test sh -c "echo hello from $name; sleep 100000" >"$BATS_TEST_TMPDIR/$name"
    mirrored "$(cat "$BATS_TEST_TMPDIR/$name")"
  done
  entries "" --mux "{\"project\": \"$project\"}" --events "$BATS_TEST_TMPDIR/events" --until-lines 3 \
    >"$BATS_TEST_TMPDIR/out" &
  local client=$!
  try "${PATIENCE[@]}" grep -q 'hello from db' "$BATS_TEST_TMPDIR/out"
  container --label "com.docker.compose.project=$project" rdd-test echo hello from a late one >/dev/null
  wait "$client"
  for text in 'hello from web' 'hello from db' 'hello from a late one'; do
    contains "$(cat "$BATS_TEST_TMPDIR/out")" "$text"
  done
  entries "" --mux "{\"selector\": \"com.docker.compose.project=$project,tier in (db)\", \"follow\": false}" \
    --events "$BATS_TEST_TMPDIR/selected" >"$BATS_TEST_TMPDIR/out"
  contains "$(cat "$BATS_TEST_TMPDIR/out")" 'hello from db'
  same "$(grep -c . "$BATS_TEST_TMPDIR/out")" 1
  same "$(grep -c '"joined"' "$BATS_TEST_TMPDIR/selected")" 1
}
