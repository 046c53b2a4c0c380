#!/usr/bin/env bats
# shellcheck disable=SC2016 # the scripts are for the containers' shells
bats_require_minimum_version 1.5.0
# rdd logs of several containers, its filters and formats, and interruptions.

load ../helpers/rdd

setup_file() {
  start_file
  A=$(unique a) LONGER=$(unique longer) PROJECT=$(unique shop)
  export A LONGER PROJECT
  # Lines of the two containers in turn.
  SHARED=$BATS_FILE_TMPDIR/shared
  mkdir "$SHARED"
  for name in "$A" "$LONGER"; do
    container --name "$name" --label "tier=$PROJECT" --label "com.docker.compose.project=$PROJECT" -v "$SHARED:/shared" \
      rdd-test sh -c 'for i in $(seq 1 20); do
        while [ ! -e "/shared/$1.$i" ]; do sleep 0.01; done
        if [ $((i % 2)) = 0 ]; then echo "$1 line $i"; else echo "$1 problem $i" >&2; fi
      done' sh "$name" >/dev/null
  done
  for i in $(seq 1 20); do
    for name in "$A" "$LONGER"; do
      touch "$SHARED/$name.$i"
      # The engine gives a line its time when it reads it.
      try "${PATIENCE[@]}" has_logged "$name" "$name \(line\|problem\) $i"
    done
  done
  for name in "$A" "$LONGER"; do mirrored "$(docker inspect -f '{{.Id}}' "$name")" exited; done
}
teardown_file() { end_file; }
teardown() { [ ! -e "$BATS_TEST_TMPDIR/own.pid" ] || { own_state && stop_daemon; }; }

has_logged() { docker logs "$1" 2>&1 | grep -x "$2"; }
# padded NAME TEXT: a line as it is printed
padded() { printf "%-${#LONGER}s | %s\n" "$1" "$2"; }
merged() {
  local i name kind
  for i in $(seq 1 20); do
    kind=problem
    [ $((i % 2)) = 1 ] || kind=line
    for name in "$A" "$LONGER"; do padded "$name" "$name $kind $i"; done
  done
}

@test "the lines of several containers are merged by time, with names in front, on their streams" {
  for selection in "$A $LONGER" "-l tier=$PROJECT" "--project $PROJECT"; do
    # shellcheck disable=SC2086 # words
    same "$(rdd logs $selection 2>&1)" "$(merged)"
    # shellcheck disable=SC2086
    same "$(rdd logs $selection 2>/dev/null)" "$(merged | grep line)"
  done
  same "$(rdd logs "$LONGER" "$A" "$A" --tail 1)" "$(padded "$A" "$A line 20"; padded "$LONGER" "$LONGER line 20")"
  same "$(rdd logs "$LONGER" "$A" --prefix=false --tail 1)" "$A line 20"$'\n'"$LONGER line 20"
}

@test "lines are included and excluded by expressions, for one container and for several" {
  same "$(rdd logs "$A" -i 'line \d$' -i 'm 1$' 2>&1)" "$(printf "$A %s\n" 'problem 1' 'line 2' 'line 4' 'line 6' 'line 8')"
  same "$(rdd logs "$A" "$LONGER" -e problem -e '.*line 1' -e '20$')" "$(merged | grep line | grep -v 'line 1\|20$')"
  run -2 rdd logs "$A" -i '('
  contains "$output" 'unclosed group'
}

@test "formats: raw, json with bytes that are not UTF-8, and templates" {
  same "$(rdd logs "$A" "$LONGER" -o raw 2>&1)" "$(merged | sed 's/.*| //')"
  local id
  # The other log driver keeps no bytes that are not UTF-8.
  id=$(container --log-driver local rdd-test sh -c 'printf "a \"b\"\n\377\n"; echo "{\"level\":\"warn\"}" >&2')
  mirrored "$id" exited
  rdd logs "$id" -o json >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
  python3 - "$BATS_TEST_TMPDIR" "$id" "$(docker logs -t "$id" 2>/dev/null | sed -n '1s/ .*//p')" <<'PYTHON'
import json, sys
directory, id, time = sys.argv[1:]
first, second = [json.loads(line) for line in open(f"{directory}/out")]
[third] = [json.loads(line) for line in open(f"{directory}/err")]
assert first["text"] == 'a "b"' and first["time"] == time and first["id"] == id and first["stream"] == "stdout", first
assert second["base64"] == "/w==" and "text" not in second, second
assert third["stream"] == "stderr", third
PYTHON
  same "$(rdd logs "$id" --template '{{ stream }} {{ (message|fromjson).level or "-" }}' 2>&1 | sort)" $'stderr warn\nstdout -\nstdout -'
}

@test "colors and matches are shown on a terminal only, and not with NO_COLOR" {
  local plain colored
  plain=$(rdd logs "$A" "$LONGER" -i 'line 2$' -H 2)
  same "$plain" "$(padded "$A" "$A line 2"; padded "$LONGER" "$LONGER line 2")"
  colored=$(on_terminal env -u NO_COLOR TERM=xterm "$RDD_TEST_BIN" --state-dir "$STATE" logs "$A" "$LONGER" -i 'line 2$' -H 'e 2')
  contains "$colored" $'\033[36m'"$(printf "%-${#LONGER}s" "$A") |"$'\033[0m'" $A lin"$'\033[7me 2\033[27m'
  same "$(on_terminal env NO_COLOR=1 TERM=xterm "$RDD_TEST_BIN" --state-dir "$STATE" logs "$A" "$LONGER" -i 'line 2$' -H 2)" "$plain"
  contains "$(rdd logs "$A" --color always -H problem --tail 2 2>&1)" $'\033[7mproblem\033[27m'
}

@test "a container that is not known fails the command, and so do too many" {
  run -1 rdd logs "$A" nobody-of-this-name
  contains "$output" '"nobody-of-this-name"'
  run -1 rdd logs --project "$PROJECT" --max-log-requests 1
  contains "$output" "2 containers are selected"
  run -1 --separate-stderr rdd logs --project "$PROJECT" --follow --max-log-requests 1
  # shellcheck disable=SC2154 # set by run
  contains "$stderr" "--max-log-requests"
  run -0 rdd logs -l tier=none
  same "$output" "no container matches"
  run -1 rdd logs -l '((('
  contains "$output" '((('
  run -2 rdd logs
  contains "$output" "CONTAINER"
}

@test "a followed selector has containers that are created later, and a restarted one" {
  local label first
  label=$(unique later)
  first=$(container --name "$label-1" --label "later=$label" rdd-test sh -c 'echo begun; while :; do sleep 0.1; echo tick; done')
  mirrored "$first"
  rdd logs -l "later=$label" --follow --tail 0 >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
  follower=$!
  # It has subscribed, so that the next container is not one of those at first.
  try "${PATIENCE[@]}" grep -qxF "$label-1 | tick" "$BATS_TEST_TMPDIR/out"
  container --name "$label-2" --label "later=$label" rdd-test sh -c 'echo second; exec sleep 1000'
  try "${PATIENCE[@]}" grep -qxF "$label-2 | second" "$BATS_TEST_TMPDIR/out"
  docker restart -t 0 "$first" >/dev/null
  try "${PATIENCE[@]}" grep -qxF "$label-1 | begun" "$BATS_TEST_TMPDIR/out"
  contains "$(cat "$BATS_TEST_TMPDIR/err")" "$label-1: "
  kill "$follower"
  same "$(grep -v tick "$BATS_TEST_TMPDIR/out" | sort)" "$label-1 | begun"$'\n'"$label-2 | second"
}

@test "--follow=restart shows all runs of a container, and ends when it is removed" {
  local id
  id=$(container rdd-test sh -c 'echo run; exit 4')
  mirrored "$id" exited
  rdd logs --follow=restart "$id" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
  follower=$!
  for runs in 1 2 3; do
    try "${PATIENCE[@]}" stopped_times "$runs"
    [ "$runs" = 3 ] || docker start "$id" >/dev/null
  done
  docker rm "$id" >/dev/null
  wait "$follower"
  same "$(cat "$BATS_TEST_TMPDIR/out")" $'run\nrun\nrun'
}
stopped_times() { [ "$(grep -c 'the container stopped with exit code 4' "$BATS_TEST_TMPDIR/err")" -ge "$1" ]; }

# A counter that writes to both streams until it is told to stop, with some long
# lines and some bytes that are not UTF-8.
counter='i=0; long=$(head -c 40000 /dev/zero | tr "\0" x)
while [ ! -e /go ]; do echo "out $i"; echo "err $i" >&2
[ $((i % 100)) -ne 0 ] || { echo "$long $i"; printf "\377\376 $i\n"; }; i=$((i + 1)); sleep 0.005; done
echo finished; echo finished >&2; exec sleep 100000'
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }
has_notes() { [ "$(grep -c "$2" "$1")" -ge "$3" ]; }

@test "a followed log goes on over restarts of the daemon without a lost or repeated line, and says so once each" {
  local id out=$BATS_TEST_TMPDIR/out err=$BATS_TEST_TMPDIR/err
  own_state
  start_daemon
  connected
  id=$(container --name "$(unique counter)" rdd-test sh -c "$counter")
  mirrored "$id"
  rdd logs -f "$id" >"$out" 2>"$err" 3>&- &
  single=$!
  rdd logs -f "$id" "$A" -o raw >"$out.many" 2>"$err.many" 3>&- &
  many=$!
  for restarts in 1 2 3; do
    local lines lines_of_many
    lines=$(($(wc -l <"$out") + 200)) lines_of_many=$(($(wc -l <"$out.many") + 200))
    # Both: one that is still disconnected says so only once.
    try "${PATIENCE[@]}" has_lines "$out" "$lines"
    try "${PATIENCE[@]}" has_lines "$out.many" "$lines_of_many"
    if [ "$restarts" = 2 ]; then kill -KILL "$(daemon_pid)"; else kill -TERM "$(daemon_pid)"; fi
    try "${PATIENCE[@]}" ended "$(daemon_pid)"
    try "${PATIENCE[@]}" has_notes "$err" reconnecting "$restarts"
    rm -f "$STATE/kubeconfig"
    start_daemon
  done
  docker exec "$id" touch /go
  for file in "$out" "$out.many" "$err" "$err.many"; do try "${PATIENCE[@]}" grep -q finished "$file"; done
  kill "$single" "$many"
  docker logs "$id" >"$BATS_TEST_TMPDIR/docker.out" 2>"$BATS_TEST_TMPDIR/docker.err"
  cmp "$BATS_TEST_TMPDIR/docker.out" "$out"
  grep -av reconnecting "$err" | cmp "$BATS_TEST_TMPDIR/docker.err" -
  grep -av "^$A " "$out.many" | cmp "$BATS_TEST_TMPDIR/docker.out" -
  grep -av "reconnecting\|^$A" "$err.many" | cmp "$BATS_TEST_TMPDIR/docker.err" -
  same "$(grep -c reconnecting "$err")" 3
}

@test "a daemon that does not come back fails the command only after it was waited for" {
  local id
  own_state
  start_daemon
  connected
  id=$(container rdd-test sh -c 'echo begun; exec sleep 1000')
  mirrored "$id"
  rdd logs -f "$id" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
  follower=$!
  try "${PATIENCE[@]}" grep -q begun "$BATS_TEST_TMPDIR/out"
  stop_daemon
  try "${PATIENCE[@]}" grep -q 'reconnecting' "$BATS_TEST_TMPDIR/err"
  fails ended "$follower"
  kill "$follower"
  same "$(wc -l <"$BATS_TEST_TMPDIR/err")" 1
}

@test "shells complete the names of containers and projects" {
  local script
  script=$(rdd completion bash)
  contains "$script" "RDD_COMPLETE"
  for shell in zsh fish elvish powershell; do contains "$(rdd completion "$shell")" "RDD_COMPLETE"; done
  complete_line() { bash -c 'source /dev/stdin <<<"$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
    $(complete -p rdd | sed "s/.*-F \([^ ]*\).*/\1/") rdd; printf "%s\n" "${COMPREPLY[@]}"' bash "$script" "$@"; }
  export RDD_STATE_DIR=$STATE
  completes() { contains "$(complete_line "${@:2}")" "$1"; }
  # A daemon that does not respond within a second offers no names.
  try "${PATIENCE[@]}" completes "$A" rdd logs "${A%?}"
  try "${PATIENCE[@]}" completes "$LONGER" rdd start "${LONGER%?}"
  try "${PATIENCE[@]}" completes "$PROJECT" rdd logs --project "${PROJECT%?}"
  contains "$(complete_line rdd logs --max-l)" "--max-log-requests"
  unset RDD_STATE_DIR
  run -2 rdd completion tcsh
}

@test "there is a man page for each command" {
  rdd man-pages "$BATS_TEST_TMPDIR/man"
  contains "$(cat "$BATS_TEST_TMPDIR/man/rdd-logs.1")" "max\\-log\\-requests"
  for page in rdd rdd-serve rdd-exec rdd-plugin-install; do [ -s "$BATS_TEST_TMPDIR/man/$page.1" ]; done
}
