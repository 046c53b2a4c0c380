#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Recovery after a daemon was killed.

load ../helpers/rdd

setup_file() { start_file; }
teardown_file() { end_file; }

uid() { kubectl get container "$1" -o 'jsonpath={.metadata.uid}'; }

@test "after kill -9 mirrors keep their UID and catch up with changes" {
  stays=$(container rdd-test sleep 1000)
  stops=$(container rdd-test sleep 1000)
  goes=$(container rdd-test sleep 1000)
  for id in "$stays" "$stops" "$goes"; do mirrored "$id"; done
  before=$(uid "$stays") before_stops=$(uid "$stops")

  kill -KILL "$(daemon_pid)"
  try "${PATIENCE[@]}" ended "$(daemon_pid)"
  docker stop -t 0 "$stops"
  docker rm -f "$goes"
  comes=$(container rdd-test sleep 1000)
  rm "$STATE/kubeconfig" # its return shows that the next run is ready; the daemon removes a stale one itself
  start_daemon
  connected

  mirrored "$comes"
  mirrored "$stops" exited
  try "${PATIENCE[@]}" no_mirror container "$goes"
  same "$(uid "$stays")" "$before"
  same "$(uid "$stops")" "$before_stops"
}
