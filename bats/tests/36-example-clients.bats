#!/usr/bin/env bats
# shellcheck disable=SC2016 # the scripts are for the containers' shells
# shellcheck disable=SC2154 # bats sets stderr
bats_require_minimum_version 1.5.0
# The example clients of docs/examples, each as it is.

load ../helpers/rdd

setup_file() {
  start_file
  WEBSOCKETS=$("$ROOT/scripts/websockets")
  CLIENTS='py'
  if command -v npm >/dev/null; then
    cp "$ROOT/docs/examples/follow-logs.mjs" "$BATS_FILE_TMPDIR"
    (cd "$BATS_FILE_TMPDIR" && npm install --silent --no-fund --no-audit ws >&2)
    CLIENTS='py mjs'
  elif [ "${RDD_TEST_REQUIRE_ALL:-0}" = 1 ]; then
    echo "the JavaScript client takes Node and npm" >&2
    return 1
  fi
  export WEBSOCKETS CLIENTS
}
teardown_file() { end_file; }
teardown() {
  local process
  for process in "${PROCESSES[@]}"; do kill "$process" 2>/dev/null || true; done
  [ ! -e "$BATS_TEST_TMPDIR/own.pid" ] || { own_state && stop_daemon; }
}
PROCESSES=()

# relay: relays to the daemon, and sets RELAY to its process, and ENDPOINT to the URL of the logs through it.
relay() {
  local url
  url=$(server)
  python3 "$HELPERS/relay.py" "${url##*:}" >"$BATS_TEST_TMPDIR/relay" 3>&- &
  RELAY=$!
  PROCESSES+=("$RELAY")
  try "${PATIENCE[@]}" grep -q port "$BATS_TEST_TMPDIR/relay"
  ENDPOINT=${url%:*}:$(sed -n 's/^port //p' "$BATS_TEST_TMPDIR/relay")$LOGS
}
connections() { grep -c connection "$BATS_TEST_TMPDIR/relay"; }

# example CLIENT ARGUMENT…: runs an example client with the logs at $ENDPOINT, or those of the daemon at $STATE
example() {
  local run
  case $1 in
    py) run=("$WEBSOCKETS" "$ROOT/docs/examples/follow_logs.py") ;;
    mjs) run=(node "$BATS_FILE_TMPDIR/follow-logs.mjs") ;;
  esac
  LOGS=${ENDPOINT:-$(server)$LOGS} DIR=$STATE exec "${run[@]}" "${@:2}"
}
# follow ARGUMENT…: runs all example clients in the background; their output is in
# $BATS_TEST_TMPDIR/CLIENT.out and .err.
follow() {
  local client
  rm -f "$BATS_TEST_TMPDIR"/*.{out,err}
  for client in $CLIENTS; do
    example "$client" "$@" >"$BATS_TEST_TMPDIR/$client.out" 2>"$BATS_TEST_TMPDIR/$client.err" 3>&- &
    echo $! >"$BATS_TEST_TMPDIR/$client.pid"
    PROCESSES+=("$!")
  done
}
follower() { cat "$BATS_TEST_TMPDIR/$1.pid"; }
# finished: all example clients end with 0.
finished() {
  local client status
  for client in $CLIENTS; do
    try "${PATIENCE[@]}" ended "$(follower "$client")"
    status=0
    wait "$(follower "$client")" || status=$?
    same "$client $status" "$client 0" || { tail "$BATS_TEST_TMPDIR/$client.err" >&2; return 1; }
  done
}
# told WORDS: all clients have printed an event with these words.
told() {
  local client
  for client in $CLIENTS; do grep -q "^# .*$1" "$BATS_TEST_TMPDIR/$client.err" || return 1; done
}

# Numbered lines on both streams, in bursts until /stop exists; some have 40 KB, some are not UTF-8.
bursts='i=0; long=$(head -c 40000 /dev/zero | tr "\0" x)
until [ -e /stop ]; do echo "$long $i"; echo "$long $i" >&2; printf "\377\376 $i\n"
for _ in 1 2 3 4 5 6 7 8 9; do i=$((i + 1)); echo "out $i"; echo "err $i" >&2; done; sleep 0.2; done
echo last; exec sleep 100000'

# talkers DRIVER…: starts a container with each log driver; sets NAMES.
talkers() {
  local driver name
  NAMES=()
  for driver in "$@"; do
    name=$(unique "$driver")
    NAMES+=("$name")
    container --name "$name" --log-driver "$driver" rdd-test sh -c "$bursts" >"$BATS_TEST_TMPDIR/$name"
    mirrored "$(cat "$BATS_TEST_TMPDIR/$name")"
  done
}
# printed_bytes CLIENT: how much it has printed
printed_bytes() { cat "$BATS_TEST_TMPDIR/$1".{out,err} | wc -c; }
has_printed() { [ "$(printed_bytes "$1")" -gt "$2" ]; }
# more_is_printed: waits until all clients have printed more than now.
more_is_printed() {
  local client
  for client in $CLIENTS; do try "${PATIENCE[@]}" has_printed "$client" "$(printed_bytes "$client")"; done
}
stop_writing() { for name in "${NAMES[@]}"; do docker exec "$name" touch /stop; done; }

# has_lines CLIENT LINE COUNT: it has printed the line that many times.
has_lines() { same "$(grep -cx "$2" "$BATS_TEST_TMPDIR/$1.out")" "$3"; }
# printed CLIENT STREAM NAME: the lines of the container on a stream (out or err), as the client printed them
printed() { LC_ALL=C sed -n "s/^$3 | //p" "$BATS_TEST_TMPDIR/$1.$2"; }
# equal_logs: all clients have printed what the engine has.
equal_logs() {
  local client name
  for name in "${NAMES[@]}"; do
    docker logs "$name" >"$BATS_TEST_TMPDIR/docker.out" 2>"$BATS_TEST_TMPDIR/docker.err"
    grep -qax last "$BATS_TEST_TMPDIR/docker.out" || return 1
    for client in $CLIENTS; do
      printed "$client" out "$name" | cmp - "$BATS_TEST_TMPDIR/docker.out" || return 1
      printed "$client" err "$name" | cmp - "$BATS_TEST_TMPDIR/docker.err" || return 1
    done
  done
}

@test "the logs of two containers are those of docker logs after the connection was cut many times" {
  talkers json-file local
  relay
  follow "${NAMES[@]}"
  for _ in 1 2 3 4 5 6; do
    more_is_printed
    kill -USR1 "$RELAY"
  done
  stop_writing
  try --max 600 --delay 0.2 equal_logs
  [ "$(connections)" -gt 6 ]
  fails grep -h '^# .* gap' "$BATS_TEST_TMPDIR"/*.err
  docker rm -f "${NAMES[@]}"
  finished
}

@test "the logs are complete after the daemon was shut down and killed in the middle" {
  own_state
  start_daemon
  connected
  talkers json-file local
  follow "${NAMES[@]}"
  more_is_printed
  stop_daemon
  start_daemon
  try "${PATIENCE[@]}" told '.*1001.*connecting again'
  more_is_printed
  kill -KILL "$(daemon_pid)"
  try "${PATIENCE[@]}" ended "$(daemon_pid)"
  rm "$STATE/kubeconfig" # its return shows that the next run is ready
  start_daemon
  more_is_printed
  stop_writing
  try --max 600 --delay 0.2 equal_logs
  fails grep -h '^# .* gap' "$BATS_TEST_TMPDIR"/*.err
  docker rm -f "${NAMES[@]}"
  finished
}

@test "a selector and a project have their containers, also one that is created later" {
  local tier name client option
  tier=$(unique tier)
  for option in "--selector tier in ($tier)" "--project $tier"; do
    name=$(unique first)
    container --name "$name" --label "tier=$tier" --label "com.docker.compose.project=$tier" \
      rdd-test sh -c 'echo hello; exit 3' >"$BATS_TEST_TMPDIR/first"
    mirrored "$(cat "$BATS_TEST_TMPDIR/first")" exited
    follow "${option%% *}" "${option#* }"
    try "${PATIENCE[@]}" told "$name stopped.* 3"
    docker start "$name"
    try "${PATIENCE[@]}" told "$name started"
    container --name "$name-late" --label "tier=$tier" --label "com.docker.compose.project=$tier" \
      rdd-test sh -c 'echo hello from a late one; echo and its error >&2; sleep 100000'
    try "${PATIENCE[@]}" told "$name-late joined"
    for client in $CLIENTS; do # the line of each run comes once
      try "${PATIENCE[@]}" grep -qx "$name-late | hello from a late one" "$BATS_TEST_TMPDIR/$client.out"
      try "${PATIENCE[@]}" grep -qx "$name-late | and its error" "$BATS_TEST_TMPDIR/$client.err"
      try "${PATIENCE[@]}" has_lines "$client" "$name | hello" 2
    done
    docker rm -f "$name" "$name-late"
    try "${PATIENCE[@]}" told "$name left"
    try "${PATIENCE[@]}" told "$name-late left"
    for client in $CLIENTS; do
      fails ended "$(follower "$client")" # more containers may come
      kill "$(follower "$client")"
    done
  done
}

# joined_times COUNT: all clients were told so many times that a container joined.
joined_times() {
  local client
  for client in $CLIENTS; do same "$(grep -c ' joined' "$BATS_TEST_TMPDIR/$client.err")" "$1" || return 1; done
}

@test "the logs of more containers than have their cursors in one message are resumed" {
  local tier client number
  tier=$(unique tier)
  for number in $(seq 15); do
    container --name "$tier-$number" --label "tier=$tier" rdd-test sh -c 'echo once; exec sleep 100000' >/dev/null
  done
  relay
  follow --selector "tier=$tier"
  try "${PATIENCE[@]}" joined_times 15
  for client in $CLIENTS; do try "${PATIENCE[@]}" has_lines "$client" "$tier-.* | once" 15; done
  kill -USR1 "$RELAY"
  try "${PATIENCE[@]}" joined_times 30
  container --name "$tier-16" --label "tier=$tier" rdd-test sh -c 'echo last; exec sleep 100000' >/dev/null
  for client in $CLIENTS; do
    try "${PATIENCE[@]}" has_lines "$client" "$tier-16 | last" 1
    has_lines "$client" "$tier-.* | once" 15
  done
}

@test "a wrong name, an invalid selector, and invalid credentials are errors" {
  local client
  mkdir -p "$BATS_TEST_TMPDIR/wrong"
  cp -r "$STATE/tls" "$BATS_TEST_TMPDIR/wrong"
  echo wrong >"$BATS_TEST_TMPDIR/wrong/token"
  for client in $CLIENTS; do
    run -1 --separate-stderr example "$client" nobody-of-this-name
    contains "$stderr" 'there is no container with the name "nobody-of-this-name"'
    lacks "$stderr" Error
    run -1 --separate-stderr example "$client" --selector '=,='
    contains "$stderr" '400'
    ENDPOINT=$(server)$LOGS STATE=$BATS_TEST_TMPDIR/wrong run -1 --separate-stderr example "$client" --project none
    contains "$stderr" 401
  done
}

@test "an example has at most 120 lines" {
  local file
  for file in "$ROOT"/docs/examples/*; do [ "$(wc -l <"$file")" -le 120 ]; done
}
