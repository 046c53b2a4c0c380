#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# A corrupted database, and a full disk.

load ../helpers/rdd

setup_file() { begin_file; }
setup() {
  STATE=$BATS_TEST_TMPDIR/state
  DISK=
}
teardown() {
  stop_daemon
  [ -z "$DISK" ] || umount "$DISK"
}
teardown_file() { remove_own; }

# write NAME: creates a ConfigMap, which no engine can restore.
write() { config_map "$1" | kubectl create -f -; }
written() { same "$(kubectl get configmap "$1" -o 'jsonpath={.data.key}')" value; }

# set_aside_and_rebuilt CONTAINER: checks how a daemon handles a corrupted database.
set_aside_and_rebuilt() {
  local aside
  start_daemon
  grep -q "ERROR.*the database is damaged; it was set aside.*filled from the engine" "$STATE.log"
  aside=$(compgen -G "$STATE/apiserver.db.damaged-*" | head -n 1)
  cmp "$aside" "$BATS_TEST_TMPDIR/damaged"
  contains "$(cat "$STATE.log")" "$aside"
  connected
  mirrored "$1" created
  # The new database is valid: it survives a restart.
  write after
  stop_daemon
  start_daemon
  written after
  same "$(grep -c "the database is damaged" "$STATE.log")" 1
}
# damaged COMMAND…: fills a database, stops the daemon, and runs COMMAND on the file.
damaged() {
  container=$(docker create --network none --label "$(own_label)" rdd-test true)
  start_daemon
  mirrored "$container" created
  write before
  stop_daemon
  "$@" "$STATE/apiserver.db"
  cp "$STATE/apiserver.db" "$BATS_TEST_TMPDIR/damaged"
}

@test "a database with garbage in the middle is set aside with an error and rebuilt from the engine" {
  garbage() { head -c 8192 /dev/urandom | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") / 2)) conv=notrunc status=none; }
  damaged garbage
  set_aside_and_rebuilt "$container"
}

@test "a truncated database is set aside with an error and rebuilt from the engine" {
  half() { truncate -s $(($(stat -c %s "$1") / 2)) "$1"; }
  damaged half
  set_aside_and_rebuilt "$container"
}

@test "a file that is not a database is set aside with an error and rebuilt from the engine" {
  other() { echo "a letter to my aunt" >"$1"; }
  damaged other
  set_aside_and_rebuilt "$container"
}

# small_disk DIR: mounts a small disk at DIR.
small_disk() {
  [ "$(id -u)" = 0 ] || skip "takes root, to mount a small disk"
  mkdir "$1"
  mount -t tmpfs -o size=32m rdd-test "$1"
  DISK=$1
}
state_on_disk() { STATE=$DISK/state; }
fill_disk() { dd if=/dev/zero of="$DISK/filler" bs=64k status=none || true; }
free_disk() { rm "$DISK/filler"; }

@test "on a full disk writes fail with that reason, reads work, and everything recovers when there is space" {
  local comes
  # The daemon's log, next to the state directory, is on this disk, too.
  small_disk "$BATS_TEST_TMPDIR/disk"
  state_on_disk
  start_daemon
  connected
  write before
  fill_disk
  # Small writes may still fit into the last page.
  try --max 50 --delay 0 refused "/api/v1/namespaces/$NAMESPACE/configmaps" 503 \
    "no space left for the database: free some on its disk" \
    -X POST -H 'Content-Type: application/json' -d '{"metadata":{"generateName":"some-"}}'
  written before
  comes=$(docker create --network none --label "$(own_label)" rdd-test true)
  same "$(kubectl get --raw /readyz)" ok
  # A backup has no space, and does not keep what it has written.
  run -1 rdd backup "$BATS_TEST_TMPDIR/backup.db"
  contains "$output" "cannot make a backup"
  [ ! -e "$BATS_TEST_TMPDIR/backup.db" ]
  fails compgen -G "$STATE/apiserver.db.backup*"

  free_disk
  try "${PATIENCE[@]}" write after
  mirrored "$comes" created
  kill -KILL "$(daemon_pid)"
  try "${PATIENCE[@]}" ended "$(daemon_pid)"
  rm "$STATE/kubeconfig"
  start_daemon
  written before
  written after
  fails grep -q "the database is damaged" "$STATE.log"
}

@test "a start on a full disk fails with that reason, and succeeds without loss when there is space" {
  small_disk "$STATE"
  start_daemon
  write before
  stop_daemon
  fill_disk
  spawn_daemon
  try "${PATIENCE[@]}" ended "$(daemon_pid)"
  # The wording depends on whether the file system or the database fails first.
  contains "$(tail -n 1 "$STATE.log" | tr N n)" "no space left"
  free_disk
  start_daemon
  written before
  fails grep -q "the database is damaged" "$STATE.log"
}
