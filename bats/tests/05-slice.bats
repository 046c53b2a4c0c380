#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Once through everything: engine, component, mirror, kubectl, log.

load ../helpers/rdd

setup_file() {
  begin_file
  start_daemon
  connected
}
teardown_file() { end_file; }

@test "kubectl shows a container, rdd prints its log, and deleting it removes it from the engine" {
  name=$(unique slice)
  id=$(container --name "$name" rdd-test sh -c 'echo out; echo err >&2; exec sleep 1000')
  kubectl wait --for=create "container/$id" --timeout=30s
  kubectl wait --for=jsonpath='{.status.status}'=running "container/$id" --timeout=30s
  prints() { same "$(rdd logs "$name" 2>/dev/null)" out && same "$(rdd logs "$name" 2>&1 >/dev/null)" err; }
  try "${PATIENCE[@]}" prints
  kubectl delete container "$id" --timeout=20s
  run ! docker inspect "$name"
}
