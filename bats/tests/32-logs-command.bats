#!/usr/bin/env bats
# shellcheck disable=SC2016 # the scripts are for the containers' shells
bats_require_minimum_version 1.5.0
# rdd logs

load ../helpers/rdd

setup_file() {
  start_file
  NAME=$(unique talker)
  TALKER=$(container --name "$NAME" rdd-test sh -c 'for i in 1 2 3 4 5 6 7 8 9; do echo "line $i"; done')
  export NAME TALKER
  mirrored "$TALKER" exited
}
teardown_file() { end_file; }

@test "the log of a container equals the engine's byte for byte, on each stream" {
  id=$(container rdd-test sh -c 'i=0; while [ $i -lt 500 ]; do echo "out $i"; printf "err %d\377\n" $i >&2; i=$((i+1)); done')
  mirrored "$id" exited
  for from in docker rdd; do
    $from logs "$id" >"$BATS_TEST_TMPDIR/$from.out" 2>"$BATS_TEST_TMPDIR/$from.err"
  done
  [ -s "$BATS_TEST_TMPDIR/docker.out" ]
  cmp "$BATS_TEST_TMPDIR/docker.out" "$BATS_TEST_TMPDIR/rdd.out"
  cmp "$BATS_TEST_TMPDIR/docker.err" "$BATS_TEST_TMPDIR/rdd.err"
}

@test "a container is found by its name, its ID, and a unique prefix" {
  want=$(docker logs "$TALKER")
  for text in "$NAME" "/$NAME" "$TALKER" "${TALKER:0:20}"; do
    same "$(rdd logs "$text")" "$want"
  done
}

@test "an ambiguous prefix is rejected with the candidates" {
  # Of seventeen IDs, two start with the same digit.
  for _ in $(seq 17); do ids+=("$(docker create --network none --label "$(own_label)" rdd-test true)"); done
  for id in "${ids[@]}"; do mirrored "$id" created; done
  digit=$(printf '%.1s\n' "${ids[@]}" | sort | uniq -d | head -n 1)
  run -1 rdd logs "$digit"
  known=$(kubectl get containers -o 'jsonpath={range .items[*]}{.metadata.name} ({.status.name}){"\n"}{end}' | grep "^$digit")
  contains "$output" "is the prefix of $(wc -l <<<"$known") containers"
  contains "$output" "$(head -n 1 <<<"$known")"
  contains "$output" "use a longer prefix or a name"
}

@test "an unknown container is rejected with the command that lists containers" {
  run -1 rdd logs nobody-of-this-name
  contains "$output" '"nobody-of-this-name"'
  contains "$output" "rdd ctl get containers -A"
}

@test "without a daemon, logs names the command that starts one" {
  run -1 "$RDD_TEST_BIN" --state-dir "$BATS_TEST_TMPDIR/none" logs "$NAME"
  contains "$output" "rdd serve"
}

@test "--tail, --since, --until, and --timestamps work as in docker logs" {
  same "$(rdd logs --tail 2 "$NAME")" $'line 8\nline 9'
  same "$(rdd logs -n 0 "$NAME")" ""
  same "$(rdd logs --since 1h "$NAME")" "$(docker logs --since 1h "$NAME")"
  same "$(rdd logs --until 1h "$NAME")" ""
  from=$(docker logs --timestamps "$NAME" | sed -n '5s/ .*//p')
  same "$(rdd logs --since "$from" "$NAME")" "$(docker logs --since "$from" "$NAME")"
  same "$(rdd logs -t --tail 3 "$NAME")" "$(docker logs -t --tail 3 "$NAME")"
}

# prints_as_docker OPTION…: rdd logs and docker logs print the same with these options.
prints_as_docker() {
  local want have
  want=$(docker logs "$@" "$NAME")
  have=$(rdd logs "$@" "$NAME")
  same "$have" "$want"
}

@test "unusual numbers and times work as in docker logs, also before 1678 and after 2262" {
  same "$(rdd logs --tail -1 "$NAME" | wc -l)" 9
  same "$(rdd logs --since 1066-10-14T09:00:00Z "$NAME" | wc -l)" 9
  for number in -1 -n=-5 +2 0 ''; do prints_as_docker --tail "${number#-n=}"; done
  for time in 0 0s -10m '' 0001-01-01T00:00:00Z 1066-10-14T09:00:00Z 1677-01-01T00:00:00Z 1969-12-31T23:59:59Z \
    1970-01-01T00:00:00Z 2263-01-01T00:00:00Z 9999-12-31T23:59:59Z 99999999999; do
    prints_as_docker --since "$time"
    prints_as_docker --until "$time"
  done
}

@test "an invalid value is rejected by name" {
  run -1 rdd logs --tail many "$NAME"
  contains "$output" 'tail="many"'
  run -1 rdd logs --since yesterday "$NAME"
  contains "$output" 'since="yesterday"'
}

@test "-f ends when the container stops" {
  id=$(container rdd-test sh -c 'echo first; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo last')
  mirrored "$id"
  rdd logs -f "$id" >"$BATS_TEST_TMPDIR/have" 2>&1 3>&- &
  follower=$!
  try "${PATIENCE[@]}" grep -q first "$BATS_TEST_TMPDIR/have"
  docker exec "$id" touch /tmp/go
  wait "$follower"
  same "$(cat "$BATS_TEST_TMPDIR/have")" $'first\nlast'
}

# A container that has written 20 MB and keeps running.
big_log() {
  local id
  id=$(container rdd-test sh -c 'yes "$(printf %099d 0)" | head -n 200000; exec sleep 1000')
  try "${PATIENCE[@]}" log_lines "$id" 200000 >&2
  mirrored "$id" >&2
  echo "$id"
}
log_lines() { same "$(docker logs "$1" | wc -l)" "$2"; }

@test "-f --until 0s prints the whole log and ends" {
  id=$(big_log)
  rdd logs -f --until 0s "$id" >"$BATS_TEST_TMPDIR/have"
  docker logs "$id" | cmp - "$BATS_TEST_TMPDIR/have"
}

@test "a reader that pauses for over 65 s loses nothing, and one that closes the pipe ends the command silently" {
  id=$(big_log)
  # The duration itself is tested.
  rdd logs "$id" 2>"$BATS_TEST_TMPDIR/err" | { head -c 1; sleep 66; cat; } >"$BATS_TEST_TMPDIR/have"
  same "${PIPESTATUS[0]}" 0
  docker logs "$id" | cmp - "$BATS_TEST_TMPDIR/have"
  same "$(cat "$BATS_TEST_TMPDIR/err")" ""
  same "$(rdd logs "$id" 2>"$BATS_TEST_TMPDIR/err" | head -c 3; echo " ${PIPESTATUS[0]}")" "000 141"
  same "$(rdd logs -f "$id" 2>>"$BATS_TEST_TMPDIR/err" | head -c 3; echo " ${PIPESTATUS[0]}")" "000 141"
  same "$(cat "$BATS_TEST_TMPDIR/err")" ""
}

@test "on a terminal only colors pass through and standard error is red; a pipe gets every byte" {
  printf 'plain \033[32mgreen\033[0m \033]0;title\007\033[2J\033[1;1Hhome\n' >"$BATS_TEST_TMPDIR/written"
  id=$(container --env "TEXT=$(base64 -w0 "$BATS_TEST_TMPDIR/written")" rdd-test \
    sh -c 'echo "$TEXT" | base64 -d; until [ -e /go ]; do sleep 0.1; done; echo "$TEXT" | base64 -d >&2')
  # The engine has read the line of standard output before that of standard error is written.
  is_read() { docker logs "$id" 2>/dev/null | grep home; }
  try "${PATIENCE[@]}" is_read
  docker exec "$id" touch /go
  mirrored "$id" exited

  rdd logs "$id" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
  cmp "$BATS_TEST_TMPDIR/written" "$BATS_TEST_TMPDIR/out"
  cmp "$BATS_TEST_TMPDIR/written" "$BATS_TEST_TMPDIR/err"

  on_terminal env -u NO_COLOR TERM=xterm "$RDD_TEST_BIN" --state-dir "$STATE" logs "$id" >"$BATS_TEST_TMPDIR/terminal"
  sed -n 1p "$BATS_TEST_TMPDIR/terminal" | cmp - <(printf 'plain \033[32mgreen\033[0m home\n')
  contains "$(sed -n 2p "$BATS_TEST_TMPDIR/terminal")" $'\033[31mplain \033[32mgreen\033[0m\033[31m home'

  on_terminal env NO_COLOR=1 TERM=xterm "$RDD_TEST_BIN" --state-dir "$STATE" logs "$id" >"$BATS_TEST_TMPDIR/terminal"
  same "$(sed -n 2p "$BATS_TEST_TMPDIR/terminal")" $'plain \033[32mgreen\033[0m home'
}

app_runs() { kubectl patch app app --type=merge -p "{\"spec\":{\"running\":$1}}"; }

@test "while the App is stopped, logs says so and how to start it" {
  app_runs false
  try "${PATIENCE[@]}" no_mirror container "$TALKER"
  run -1 rdd logs "$NAME"
  contains "$output" 'the container engine is stopped'
  # The suggested command works.
  eval "$(grep -o 'rdd ctl patch.*' <<<"$output")"
  mirrored "$TALKER" exited
  same "$(rdd logs --tail 1 "$NAME")" 'line 9'
}
