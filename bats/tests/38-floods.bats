#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Short forms of the parts of make floods: slow, hostile, and very many clients.

load ../helpers/rdd

teardown() { if [ -z "${BATS_TEST_COMPLETED:-}" ]; then cat "$BATS_TEST_TMPDIR/out"; fi; }

# floods PART: on a daemon of its own, with the tests' engine
floods() {
  "$ROOT/scripts/floods" "$1" --short --rdd "$RDD_TEST_BIN" --plugin-dir "$RDD_TEST_PLUGINS" \
    --engine "${DOCKER_HOST#unix://}" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
}

@test "slow clients without credentials are disconnected in time and delay nobody else" {
  floods slow-clients
}

@test "oversized, fragmented, and invalid messages are closed with the code of RFC 6455" {
  floods messages
}

@test "connections that were opened and closed leave nothing behind" {
  floods connections
}

@test "idle viewers of a shared log cost little, and those above the limit are refused" {
  floods viewers
}

@test "the lines of many logs at once arrive completely and in order" {
  floods many-logs
}

@test "no user uses up all streams and connections, however few descriptors there are" {
  floods caps
}

@test "the WebSocket protocol is kept, case by case" {
  floods protocol
}
