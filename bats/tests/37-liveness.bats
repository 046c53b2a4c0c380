#!/usr/bin/env bats
# shellcheck disable=SC2016 # the scripts are for the containers' shells
bats_require_minimum_version 1.5.0
# Clients that read slowly, or not at all, for longer than the idle timeout of 60 s, on
# real sockets, and clients that close first. The slow ones of all tests run at the same
# time. `make liveness` has the long form.

load ../helpers/rdd

# How long a client does not read. The duration itself is tested.
PAUSE=${RDD_TEST_LIVENESS_SECONDS:-66}
# How long a client reads slowly
SLOW=$((2 * PAUSE))
RATE=5000 # bytes per second
mux=(--subprotocol rdd.logs-mux.v1 --mux)

setup_file() {
  start_file
  WEBSOCKETS=$("$ROOT/scripts/websockets")
  export WEBSOCKETS
  BIG=$(talker 200000) # 20 MB, more than all buffers together
  SMALL=$(talker 300) # 30 KB, which the system of a client buffers
  export BIG SMALL

  start_client slow "$(server)" "/$BIG" --rate "$RATE" --seconds "$SLOW"
  start_client entries "$(server)" "/$BIG" --subprotocol rdd.logs.v1+json --pause-at 50000 --pause "$PAUSE"
  start_client mux "$(server)" "" "${mux[@]}" "$BIG" --credit 1000000000 --pause-at 50000 --pause "$PAUSE"
  start_client credited "$(server)" "" "${mux[@]}" "$BIG" --credit 60000 --withhold "$PAUSE"
  start_client silent "$(server)" "/$SMALL" --subprotocol rdd.logs.v1+json --pause-at 1000 --pause "$SLOW"
  start_relay
  start_client proxied "$RELAYED" "/$BIG"
  background command sh -c '"$0" --state-dir "$1" logs -f "$2" | { head -c 1; sleep "$3"; cat; }' \
    "$RDD_TEST_BIN" "$STATE" "$BIG" "$PAUSE"
}
teardown_file() {
  kill "$(cat "$BATS_FILE_TMPDIR/relay.pid")" || true
  end_file # the other clients end with the daemon
}
# talker LINES: starts a container that writes so many lines of 100 bytes, then one every
# second for as long as the clients read slowly, and a while longer; prints its ID.
talker() {
  local id
  id=$(container rdd-test sh -c 'awk "BEGIN { for (i = 0; i < '"$1"'; i++) printf \"%0100d\\n\", i }"
    for i in $(seq '$((SLOW + 20))'); do echo "line $i"; sleep 1; done')
  try "${PATIENCE[@]}" has_line "$id" 'line 1' >&2
  mirrored "$id" >&2
  echo "$id"
}
has_line() { docker logs --tail 100 "$1" 2>&1 | grep -qx "$2"; }

# background NAME COMMAND…: its output is in NAME.out and NAME.err, its status in NAME.status.
background() {
  local path=$BATS_FILE_TMPDIR/$1
  (
    status=0
    "${@:2}" >"$path.out" 2>"$path.err" || status=$?
    echo "$status" >"$path.status"
  ) 3>&- &
}
# slow SERVER PATH OPTION…: the client of helpers/slow.py
slow() {
  "$WEBSOCKETS" "$HELPERS/slow.py" --ca "$STATE/tls/ca.crt" --token-file "$STATE/token" \
    "${1/https/wss}$LOGS$2" "${@:3}"
}
# start_client NAME SERVER PATH OPTION…: runs it in the background.
start_client() { background "$1" slow "${@:2}"; }
# start_relay: a proxy that accepts 1 MiB at once and forwards it slowly; sets RELAYED.
start_relay() {
  local url
  url=$(server)
  python3 "$HELPERS/relay.py" "${url##*:}" --rate "$RATE" --seconds "$SLOW" --buffer $((1 << 20)) >"$BATS_FILE_TMPDIR/relay.out" 3>&- &
  echo $! >"$BATS_FILE_TMPDIR/relay.pid"
  try "${PATIENCE[@]}" grep -q port "$BATS_FILE_TMPDIR/relay.out"
  RELAYED=${url%:*}:$(sed -n 's/^port //p' "$BATS_FILE_TMPDIR/relay.out")
}

# client_ended NAME STATUS: waits until the client has ended with the status.
client_ended() {
  local path=$BATS_FILE_TMPDIR/$1
  try --max $((SLOW + 300)) --delay 1 test -e "$path.status"
  same "$(cat "$path.status")" "$2" || { cat "$path.err" >&2; return 1; }
}
# complete NAME CONTAINER: the client ends with 0, and has what docker logs prints.
complete() {
  client_ended "$1" 0
  docker logs "$2" | cmp - "$BATS_FILE_TMPDIR/$1.out"
}

@test "rdd logs -f into a reader that pauses loses nothing" {
  complete command "$BIG"
  same "$(cat "$BATS_FILE_TMPDIR/command.err")" ''
}

@test "a client of entries that does not read for a while gets every entry" {
  complete entries "$BIG"
  closed "$BATS_FILE_TMPDIR/entries.err" 1000
}

@test "a client of many containers that does not read for a while gets every entry" {
  complete mux "$BIG"
}

@test "a client of many containers that gives no credit for a while gets every entry" {
  complete credited "$BIG"
  fails grep -qx 'pings 0' "$BATS_FILE_TMPDIR/credited.err"
}

@test "a client that answers no pings although everything has reached its system is disconnected, and continues at its cursor" {
  local path=$BATS_FILE_TMPDIR/silent cursor
  client_ended silent 1
  grep -qx 'closed none' "$path.err" # there was no close frame
  cursor=$(sed -n 's/^cursor //p' "$path.err")
  slow "$(server)" "/$SMALL?cursor=$cursor" --subprotocol rdd.logs.v1+json >>"$path.out" 2>"$path.err"
  docker logs "$SMALL" | cmp - "$path.out"
}

@test "a reader of 5 KB/s that only answers pings gets every byte" {
  complete slow "$BIG"
  closed "$BATS_FILE_TMPDIR/slow.err" 1000
  fails grep -qx 'pings 0' "$BATS_FILE_TMPDIR/slow.err"
}

@test "a client behind a proxy that buffers and forwards pings late gets every byte" {
  complete proxied "$BIG"
  closed "$BATS_FILE_TMPDIR/proxied.err" 1000
  fails grep -qx 'pings 0' "$BATS_FILE_TMPDIR/proxied.err"
}

# is_answered CODE CLIENT…: the client closes with this code, or none, and is answered at once
is_answered() {
  local code=$1
  slow "$(server)" "${@:2}" --close-at 100000 ${code:+--code "$code"} >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
  # 1005 is the library's code for a close frame without one. There was more to send.
  closed "$BATS_TEST_TMPDIR/err" "${code:-1005}" &&
    [ "$(sed -n 's/^answered //p' "$BATS_TEST_TMPDIR/err")" -lt 5000 ] &&
    [ "$(wc -c <"$BATS_TEST_TMPDIR/out")" -lt 20000000 ]
}

@test "the close frame of a client is answered with its code while data are in flight" {
  local code format
  for format in raw json mux; do
    case $format in
      raw) set -- "/$BIG" ;;
      json) set -- "/$BIG" --subprotocol rdd.logs.v1+json ;;
      mux) set -- "" "${mux[@]}" "$BIG" --credit 1000000000 ;;
    esac
    for code in '' 1000 3000 4999; do
      try --max 3 is_answered "$code" "$@"
    done
  done
}
