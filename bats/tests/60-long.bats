#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Short forms of what runs for long: make soak, make two-daemons.

load ../helpers/rdd

teardown() { if [ -z "${BATS_TEST_COMPLETED:-}" ]; then cat "$BATS_TEST_TMPDIR/out"; fi; }

@test "a minute under load loses nothing and leaves no growth" {
  "$ROOT/scripts/soak" --seconds 60 --rdd "$RDD_TEST_BIN" --plugin-dir "$RDD_TEST_PLUGINS" --csv "$BATS_TEST_TMPDIR/soak.csv" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
  # It was under load, and saw it.
  [ "$(wc -l <"$BATS_TEST_TMPDIR/soak.csv")" -gt 10 ]
}

@test "two daemons on one cluster leave each other's engines alone" {
  "$ROOT/scripts/two-daemons" --seconds 30 --containers 50 --rdd "$RDD_TEST_BIN" --plugin-dir "$RDD_TEST_PLUGINS" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
}
