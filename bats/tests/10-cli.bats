#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# The command line, and starting and stopping the daemon.

load ../helpers/rdd

setup_file() {
  begin_file
  start_daemon
}
teardown_file() { stop_daemon; }

teardown() { own_state && stop_daemon; }

@test "version prints the program, the engine interface, and the Kubernetes API" {
  run -0 "$RDD_TEST_BIN" version
  contains "$output" "rdd "
  contains "$output" "rancher-desktop:engine@"
  contains "$output" "Kubernetes API"
}

@test "status shows what the daemon serves" {
  run -0 rdd status
  contains "$output" "running since"
  contains "$output" "$STATE/kubeconfig"
}

@test "status of a stopped instance exits with 3 and names the command that starts it" {
  own_state
  run -3 rdd status
  contains "$output" "rdd serve"
}

@test "a second daemon on the same state directory fails with the remedy" {
  run -1 timeout 60 "$RDD_TEST_BIN" serve --state-dir "$STATE" --plugin-dir "$RDD_TEST_PLUGINS" --engine-endpoint "$RDD_TEST_DOCKER_HOST"
  contains "$output" "another daemon is running on"
  contains "$output" "--state-dir"
  rdd status
}

@test "a port that is in use fails with the remedy" {
  local address
  address=$(server)
  own_state
  run -1 timeout 60 "$RDD_TEST_BIN" serve --state-dir "$STATE" --plugin-dir "$RDD_TEST_PLUGINS" \
    --engine-endpoint "$RDD_TEST_DOCKER_HOST" --listen "${address#https://}"
  contains "$output" "${address#https://}"
  contains "$output" "in use"
  contains "$output" "--listen"
}

@test "the log on a terminal has colors, unless NO_COLOR is set" {
  local address serve
  address=$(server)
  # It logs before it fails, since the port is in use.
  serve=("$RDD_TEST_BIN" serve --state-dir "$BATS_TEST_TMPDIR/other" --listen "${address#https://}" --log debug)
  on_terminal env -u NO_COLOR TERM=xterm timeout 60 "${serve[@]}" >"$BATS_TEST_TMPDIR/log" || true
  contains "$(cat "$BATS_TEST_TMPDIR/log")" $'\033['
  on_terminal env NO_COLOR=1 TERM=xterm timeout 60 "${serve[@]}" >"$BATS_TEST_TMPDIR/log" || true
  contains "$(cat "$BATS_TEST_TMPDIR/log")" DEBUG
  run ! grep $'\033' "$BATS_TEST_TMPDIR/log"
}

@test "an engine endpoint with an unknown scheme is rejected by name" {
  own_state
  run -1 timeout 60 "$RDD_TEST_BIN" serve --state-dir "$STATE" --engine-endpoint gopher://engine
  contains "$output" "gopher://engine"
  contains "$output" "--engine-endpoint"
}

@test "without an engine the daemon runs, reports it, and answers logs with 503 and Retry-After" {
  own_state
  ENGINE=unix://$BATS_TEST_TMPDIR/no.sock start_daemon
  try "${PATIENCE[@]}" grep -q "cannot be reached" "$STATE.log"
  kubectl wait --for=jsonpath='{.status.conditions[?(@.type=="ContainerEngineReady")].reason}'=ConnectFailed app/app --timeout=20s
  run -0 answer "/passthrough/engine/logs/$(printf '%064d' 0)"
  contains "$output" "HTTP/1.1 503"
  contains "${output,,}" "retry-after:"
}

@test "the kubeconfig exists only while the daemon is ready, readable by its owner alone" {
  own_state
  spawn_daemon
  # As soon as it exists, the daemon must be ready: checked at once, without waiting.
  until [ -f "$STATE/kubeconfig" ]; do kill -0 "$(daemon_pid)"; done
  same "$(kubectl get --raw /readyz)" ok
  same "$(kubectl -n rdd-system get configmap rdd-controller-manager -o 'jsonpath={.metadata.annotations.rdd\.rancherdesktop\.io/ready}')" true
  same "$(stat -c %a "$STATE/kubeconfig")" 600
  stop_daemon
  fails test -e "$STATE/kubeconfig"
}

@test "SIGTERM stops the daemon with exit code 0 within 10 s" {
  own_state
  start_daemon
  local begun status=0 pid
  begun=$(millis)
  pid=$(daemon_pid)
  kill -TERM "$pid"
  wait "$pid" || status=$?
  same "$status" 0
  [ $(($(millis) - begun)) -lt 10000 ]
}

@test "try returns the status of the last run, after at most the given number of runs" {
  count() { echo x >>"$BATS_TEST_TMPDIR/count"; [ "$(wc -l <"$BATS_TEST_TMPDIR/count")" -ge "$1" ]; }
  try --max 3 --delay 0 count 3
  rm "$BATS_TEST_TMPDIR/count"
  run -1 try --max 2 --delay 0 count 3
  same "$(wc -l <"$BATS_TEST_TMPDIR/count")" 2
}

@test "fails and lacks reject a command that could not check anything" {
  fails false
  run -1 fails true
  run -1 fails grep -q x "$BATS_TEST_TMPDIR/none"
  lacks text word
  run -1 lacks "a word" word
  run -1 lacks "" word
}

@test "status after the daemon was killed exits with 3 and says so" {
  local dir=$BATS_TEST_TMPDIR/killed pid
  "$RDD_TEST_BIN" serve --state-dir "$dir" --plugin-dir "$RDD_TEST_PLUGINS" --engine-endpoint unix:///nosuch.sock >"$BATS_TEST_TMPDIR/killed.log" 2>&1 3>&- &
  pid=$!
  try --max 300 --delay 0.1 test -f "$dir/kubeconfig"
  run -0 env KUBECONFIG="$dir/kubeconfig" "$RDD_TEST_KUBECTL" config view --minify -o 'jsonpath={.contexts[0].context.namespace}'
  [ "$output" = rancher-desktop ]
  kill -KILL "$pid"
  # Until it has ended, it holds the lock.
  wait "$pid" || true
  run -3 "$RDD_TEST_BIN" --state-dir "$dir" status
  [[ $output == *"may have been killed"* ]]
}
