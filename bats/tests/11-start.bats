#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Starts that cannot succeed, and what they say.

load ../helpers/rdd

setup() {
  STATE=$BATS_TEST_TMPDIR/state
  LISTENER=
}
teardown() {
  stop_daemon
  [ -z "$LISTENER" ] || kill "$LISTENER"
}

# The time limit is for a start that should fail and does not.
serve() { timeout 60 "${AS[@]}" "$RDD_TEST_BIN" serve --state-dir "$STATE" --plugin-dir "$RDD_TEST_PLUGINS" --engine-endpoint "$RDD_TEST_DOCKER_HOST"; }

# as_stranger: from here on daemons run as a user who owns nothing. He may read everything, since the program may lie in somebody's home, but
# write nothing. Who is not root is such a user already.
as_stranger() {
  AS=()
  [ "$(id -u)" != 0 ] ||
    AS=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search)
}

@test "a state directory that is a file is refused with the remedy" {
  touch "$STATE"
  run -1 serve
  contains "$output" "cannot use $STATE as state directory; choose another with --state-dir"
  contains "$output" "File exists"
}

@test "a state directory below a file is refused with the remedy" {
  touch "$BATS_TEST_TMPDIR/file"
  STATE=$BATS_TEST_TMPDIR/file/state run -1 serve
  contains "$output" "cannot use $BATS_TEST_TMPDIR/file/state as state directory; choose another with --state-dir"
  contains "$output" "Not a directory"
}

@test "a state directory that cannot be made is refused with the remedy" {
  as_stranger
  STATE=/rdd-e2e-nobody-may-write-here run -1 serve
  contains "$output" "cannot use /rdd-e2e-nobody-may-write-here as state directory; choose another with --state-dir"
  contains "$output" "Permission denied"
}

@test "the state directory of another user is refused with the remedy" {
  [ "$(id -u)" = 0 ] || skip "takes root, to be two users"
  as_stranger
  mkdir -m 755 "$STATE"
  run -1 serve
  contains "$output" "cannot use $STATE as state directory; choose another with --state-dir"
  # One that he owns, with files in it that he does not.
  chown 65534 "$STATE"
  touch "$STATE/lock"
  chmod 600 "$STATE/lock"
  run -1 serve
  contains "$output" "cannot use $STATE as state directory; choose another with --state-dir"
  contains "$output" "$STATE/lock"
}

@test "a directory for everybody is refused as state directory, and stays as it is" {
  mkdir "$STATE"
  touch "$STATE/of-somebody"
  chmod 1777 "$STATE"
  run -1 serve
  contains "$output" "cannot use $STATE as state directory; choose another with --state-dir"
  contains "$output" "shared by all users"
  same "$(stat -c %a "$STATE")" 1777
}

@test "a file of the state directory that cannot be read stops the start by its name" {
  mkdir -p "$STATE/token"
  run -1 serve
  contains "$output" "$STATE/token"
}

@test "a socket that may not be used is told with the group to join, and logs answer 503 with it" {
  as_stranger
  socket=$BATS_TEST_TMPDIR/docker.sock
  python3 -c 'import signal, socket, sys
engine = socket.socket(socket.AF_UNIX)
engine.bind(sys.argv[1])
engine.listen()
signal.pause()' "$socket" 3>&- &
  LISTENER=$!
  try "${PATIENCE[@]}" test -S "$socket"
  # Neither its owner nor a stranger may, its group may.
  chmod 060 "$socket"
  group=$(getent group | awk -F: '$3 > 0 { print $1; exit }')
  if [ "$(id -u)" = 0 ]; then
    chgrp "$group" "$socket"
    install -d -o 65534 "$STATE"
  else
    group=$(id -gn)
  fi
  ENGINE=unix://$socket start_daemon
  try "${PATIENCE[@]}" grep -q "permission denied for the engine's socket $socket" "$STATE.log"
  grep -q "usermod -aG $group" "$STATE.log"
  refused "$LOGS/$NOBODY" 503 "it belongs to the group $group"
}
