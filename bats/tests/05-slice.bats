#!/usr/bin/env bats
# The whole slice once: engine, component, mirror, kubectl, log.

setup_file() {
  export STATE=$BATS_FILE_TMPDIR/state
  "$RDD_TEST_BIN" serve --state-dir "$STATE" --plugin-dir "$RDD_TEST_PLUGINS" \
    --engine-endpoint "$RDD_TEST_DOCKER_HOST" >"$BATS_FILE_TMPDIR/serve.log" 2>&1 3>&- &
  export DAEMON=$!
  for _ in $(seq 300); do
    [ -f "$STATE/kubeconfig" ] && break
    sleep 0.1
  done
  export DOCKER_HOST=$RDD_TEST_DOCKER_HOST KUBECONFIG=$STATE/kubeconfig
}

teardown_file() {
  kill -TERM "$DAEMON"
  wait "$DAEMON"
  docker rm -f slice-web >/dev/null 2>&1 || true
}

@test "a container of the engine is seen by kubectl, its log by rdd, its deletion by the engine" {
  id=$(docker run -d --name slice-web --network none rdd-test sh -c 'echo out; echo err >&2; exec sleep 1000')
  "$RDD_TEST_KUBECTL" -n rancher-desktop wait --for=create "container/$id" --timeout=10s
  "$RDD_TEST_KUBECTL" -n rancher-desktop wait --for=jsonpath='{.status.status}'=running "container/$id" --timeout=10s
  [ "$("$RDD_TEST_BIN" --state-dir "$STATE" logs slice-web 2>/dev/null)" = out ]
  [ "$("$RDD_TEST_BIN" --state-dir "$STATE" logs slice-web 2>&1 >/dev/null)" = err ]
  "$RDD_TEST_KUBECTL" -n rancher-desktop delete container "$id" --timeout=20s
  ! docker inspect slice-web
}
