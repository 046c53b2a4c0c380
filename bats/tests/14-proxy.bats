#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Proxies are used for clusters, never for this machine.

load ../helpers/rdd

setup_file() {
  begin_file
  export CLUSTER=$BATS_FILE_TMPDIR/cluster
  # No engine is needed.
  export ENGINE=unix://$BATS_FILE_TMPDIR/no.sock
  STATE=$CLUSTER start_daemon --allowed-host cluster.invalid
}
teardown_file() { STATE=$CLUSTER stop_daemon; }
setup() {
  STATE=$BATS_TEST_TMPDIR/state
  PROXY_LOG=$BATS_TEST_TMPDIR/proxy.log
  PROXY=
}
teardown() {
  stop_daemon
  [ -z "$PROXY" ] || kill "$PROXY"
}

# A proxy that supports only CONNECT, resolves every name to this machine, and logs its requests.
start_proxy() {
  python3 -u "$HELPERS/proxy.py" >"$PROXY_LOG" 3>&- &
  PROXY=$!
  try "${PATIENCE[@]}" grep -q '^port ' "$PROXY_LOG"
  PROXY_URL=http://127.0.0.1:$(sed -n 's/^port //p' "$PROXY_LOG")
}
# A kubeconfig for the other daemon, with a host name that only the proxy resolves.
far_kubeconfig() {
  local server
  server=$(STATE=$CLUSTER server)
  sed "s|https://[^\"]*|https://cluster.invalid:${server##*:}\", \"tls-server-name\": \"localhost|" "$CLUSTER/kubeconfig" >"$BATS_TEST_TMPDIR/far"
  "$RDD_TEST_KUBECTL" --kubeconfig "$BATS_TEST_TMPDIR/far" config view >/dev/null
}

@test "an unreachable proxy does not affect commands to a daemon on this machine" {
  export HTTPS_PROXY=http://127.0.0.1:1
  for no_proxy in '' 'localhost,' 'no/host'; do
    export NO_PROXY=$no_proxy
    STATE=$CLUSTER rdd status
    STATE=$CLUSTER rdd plugin list
    STATE=$CLUSTER run -1 rdd logs nobody
    contains "$output" 'no container "nobody"'
  done
  start_daemon --kubeconfig "$CLUSTER/kubeconfig"
}

@test "a cluster is reached through HTTPS_PROXY, except for hosts in NO_PROXY" {
  start_proxy
  far_kubeconfig
  HTTPS_PROXY=$PROXY_URL start_daemon --kubeconfig "$BATS_TEST_TMPDIR/far"
  contains "$(cat "$PROXY_LOG")" "connect cluster.invalid:"
  HTTPS_PROXY=$PROXY_URL rdd status
  stop_daemon
  HTTPS_PROXY=$PROXY_URL NO_PROXY=cluster.invalid run -1 timeout 60 "$RDD_TEST_BIN" serve --state-dir "$STATE" \
    --plugin-dir "$RDD_TEST_PLUGINS" --engine-endpoint "$ENGINE" --kubeconfig "$BATS_TEST_TMPDIR/far"
  contains "$output" "cannot use the cluster of --kubeconfig $BATS_TEST_TMPDIR/far"
}

@test "an invalid proxy URL is reported by its variable, without its password" {
  far_kubeconfig
  HTTPS_PROXY=socks5://me:secret@proxy:1 run -1 timeout 60 "$RDD_TEST_BIN" serve --state-dir "$STATE" \
    --plugin-dir "$RDD_TEST_PLUGINS" --engine-endpoint "$ENGINE" --kubeconfig "$BATS_TEST_TMPDIR/far"
  contains "$output" HTTPS_PROXY
  lacks "$output" secret
}
