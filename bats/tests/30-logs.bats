#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Logs, by the command line and by HTTP.

load ../helpers/rdd

setup_file() {
  begin_file
  start_daemon
  connected
}
teardown_file() {
  sweep
  stop_daemon
}

NOBODY=$(printf '%064d' 0)
LOGS=/passthrough/engine/logs

@test "the log of a container without a terminal is byte for byte the engine's, stdout and stderr each" {
  id=$(container rdd-test sh -c 'i=0; while [ $i -lt 500 ]; do echo "out $i"; printf "err %d\377\n" $i >&2; i=$((i+1)); done')
  mirrored "$id" exited
  for from in docker rdd; do
    $from logs "$id" >"$BATS_TEST_TMPDIR/$from.out" 2>"$BATS_TEST_TMPDIR/$from.err"
  done
  [ -s "$BATS_TEST_TMPDIR/docker.out" ]
  cmp "$BATS_TEST_TMPDIR/docker.out" "$BATS_TEST_TMPDIR/rdd.out"
  cmp "$BATS_TEST_TMPDIR/docker.err" "$BATS_TEST_TMPDIR/rdd.err"
}

@test "a missing token is answered with 401" {
  contains "$(curl -sk -i --http1.1 "$(server)$LOGS/$NOBODY")" "HTTP/1.1 401"
}
@test "a foreign origin is answered with 403" { expect_status "$LOGS/$NOBODY" 403 -H 'Origin: https://evil.example'; }
@test "an ID of another form is answered with 400" { expect_status "$LOGS/ABC" 400; }
@test "a bad parameter is answered with 400" { expect_status "$LOGS/$NOBODY?tail=-1" 400; }
@test "a container that nobody knows is answered with 404" { expect_status "$LOGS/$NOBODY" 404; }
