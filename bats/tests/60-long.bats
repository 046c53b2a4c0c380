#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Short forms of make soak and make two-daemons, and a large engine.

load ../helpers/rdd

teardown() { if [ -z "${BATS_TEST_COMPLETED:-}" ]; then cat "$BATS_TEST_TMPDIR/out"; fi; }

@test "a minute under load causes neither loss nor growth" {
  "$ROOT/scripts/soak" --seconds 60 --rdd "$RDD_TEST_BIN" --plugin-dir "$RDD_TEST_PLUGINS" --csv "$BATS_TEST_TMPDIR/soak.csv" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
  # There was load.
  [ "$(wc -l <"$BATS_TEST_TMPDIR/soak.csv")" -gt 3 ]
}

@test "two daemons on one cluster leave each other's engines alone" {
  "$ROOT/scripts/two-daemons" --seconds 30 --containers 50 --rdd "$RDD_TEST_BIN" --plugin-dir "$RDD_TEST_PLUGINS" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
}

mirrors() { # mirrors KIND: number of mirrors
  kubectl get --raw "/apis/containers.rancherdesktop.io/v1alpha1/namespaces/$NAMESPACE/$1?limit=1" |
    python3 -c 'import json, sys; found = json.load(sys.stdin); print(len(found["items"]) + found["metadata"].get("remainingItemCount", 0))'
}
are_mirrored() { same "$(mirrors images)" "$1"; }

@test "an engine with 5,000 images and 20,000 tags is mirrored completely in bounded memory" {
  own_state
  ENGINE=unix://$BATS_TEST_TMPDIR/engine.sock
  python3 "$HELPERS/large_engine.py" "${ENGINE#unix://}" 5000 4 >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  engine=$!
  start_daemon --resync 1s
  try --max 1800 --delay 0.1 are_mirrored 20000
  kubectl wait --for=condition=Settled app/app --timeout=60s
  # 12 KB per mirror plus the debug build itself. A leak per listing would exceed it.
  peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(daemon_pid)/status")
  echo "peak: $peak kB"
  [ "$peak" -lt 450000 ]
  stop_daemon
  kill "$engine"
}
