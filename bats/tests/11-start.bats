#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Starts that cannot succeed, and their errors.

load ../helpers/rdd

setup() {
  STATE=$BATS_TEST_TMPDIR/state
  LISTENER=
}
teardown() {
  stop_daemon
  [ -z "$LISTENER" ] || kill "$LISTENER"
}

# The timeout ends a start that should fail but does not.
serve() { timeout 60 "${AS[@]}" "$RDD_TEST_BIN" serve --state-dir "$STATE" --plugin-dir "$RDD_TEST_PLUGINS" --engine-endpoint "$RDD_TEST_DOCKER_HOST"; }

# as_stranger: from here on, daemons run as a user who owns nothing, and who may read
# everything (the program may be in a home directory) but write nothing. Any user
# except root is such a user already.
as_stranger() {
  AS=()
  [ "$(id -u)" != 0 ] ||
    AS=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search)
}

@test "a state directory that is a file is rejected with the remedy" {
  touch "$STATE"
  run -1 serve
  contains "$output" "cannot use $STATE as state directory; choose another with --state-dir"
  contains "$output" "File exists"
}

@test "a state directory below a file is rejected with the remedy" {
  touch "$BATS_TEST_TMPDIR/file"
  STATE=$BATS_TEST_TMPDIR/file/state run -1 serve
  contains "$output" "cannot use $BATS_TEST_TMPDIR/file/state as state directory; choose another with --state-dir"
  contains "$output" "Not a directory"
}

@test "a state directory that cannot be created is rejected with the remedy" {
  as_stranger
  STATE=/rdd-e2e-nobody-may-write-here run -1 serve
  contains "$output" "cannot use /rdd-e2e-nobody-may-write-here as state directory; choose another with --state-dir"
  contains "$output" "Permission denied"
}

@test "the state directory of another user is rejected with the remedy" {
  [ "$(id -u)" = 0 ] || skip "needs root to act as two users"
  as_stranger
  mkdir -m 755 "$STATE"
  run -1 serve
  contains "$output" "cannot use $STATE as state directory; choose another with --state-dir"
  # A directory of that user, with a file in it that belongs to somebody else.
  chown 65534 "$STATE"
  touch "$STATE/lock"
  chmod 600 "$STATE/lock"
  run -1 serve
  contains "$output" "cannot use $STATE as state directory; choose another with --state-dir"
  contains "$output" "$STATE/lock"
}

@test "a world-writable directory is rejected as state directory and left unchanged" {
  mkdir "$STATE"
  touch "$STATE/of-somebody"
  chmod 1777 "$STATE"
  run -1 serve
  contains "$output" "cannot use $STATE as state directory; choose another with --state-dir"
  contains "$output" "shared by all users"
  same "$(stat -c %a "$STATE")" 1777
}

@test "a start that cannot read a file of the state directory fails with its name" {
  mkdir -p "$STATE/token"
  run -1 serve
  contains "$output" "$STATE/token"
}

@test "a socket without access is reported with the group to join, also by logs with 503" {
  as_stranger
  socket=$BATS_TEST_TMPDIR/docker.sock
  python3 -c 'import signal, socket, sys
engine = socket.socket(socket.AF_UNIX)
engine.bind(sys.argv[1])
engine.listen()
signal.pause()' "$socket" 3>&- &
  LISTENER=$!
  try "${PATIENCE[@]}" test -S "$socket"
  # Accessible to its group only.
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
