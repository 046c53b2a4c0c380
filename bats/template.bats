#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# One sentence: what this file is about.

load ../helpers/rdd

setup_file() { start_file; }
teardown_file() { end_file; }

@test "a container that docker creates is mirrored, and its removal removes the mirror" {
  local id
  id=$(container --name "$(unique hello)" rdd-test sleep 600)
  mirrored "$id" running
  docker rm -f "$id"
  try "${PATIENCE[@]}" no_mirror container "$id"
}
