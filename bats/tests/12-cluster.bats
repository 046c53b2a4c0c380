#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# A daemon that writes to an external API server.

load ../helpers/rdd

setup_file() { begin_file; }
setup() {
  use state
  CLUSTER=$BATS_TEST_TMPDIR/cluster
  "${RDD_TEST_BIN%/*}/examples/apiserver" "$CLUSTER" >"$CLUSTER.log" 2>&1 3>&- &
  API_SERVER=$!
  try "${PATIENCE[@]}" in_cluster get namespaces
}
teardown() {
  use state
  stop_daemon
  use second
  stop_daemon
  kill "$API_SERVER"
}
teardown_file() { remove_own; }

# use NAME: from here on, commands are for the daemon with this state directory.
use() { STATE=$BATS_TEST_TMPDIR/$1; }
in_cluster() { KUBECONFIG=$CLUSTER/kubeconfig "$RDD_TEST_KUBECTL" "$@"; }
log_is() { same "$(rdd logs "$1")" "$2"; }

@test "with --kubeconfig the daemon writes to the cluster and still serves the logs" {
  start_daemon --kubeconfig "$CLUSTER/kubeconfig"
  id=$(container rdd-test sh -c 'echo out; exec sleep 1000')
  try "${PATIENCE[@]}" in_cluster wait -n "$NAMESPACE" --for=jsonpath='{.status.status}'=running "container/$id" --timeout=1s
  # The daemon's own kubeconfig points to the cluster.
  is_status "$id" running
  try "${PATIENCE[@]}" log_is "$id" out
  in_cluster delete container -n "$NAMESPACE" "$id" --timeout=20s
  run -1 docker inspect "$id"

  stop_daemon
  same "$(in_cluster get configmap -n rdd-system rdd-controller-manager --ignore-not-found -o 'jsonpath={.metadata.annotations.rdd\.rancherdesktop\.io/ready}')" ""
}

published() { in_cluster get configmap -n rdd-system rdd-controller-manager -o "jsonpath={.metadata.annotations.rdd\\.rancherdesktop\\.io/$1}"; }
is_published() { same "$(published instance)" "$1"; }

@test "of two daemons, the one that mirrors is announced, and the other one serves its own user" {
  start_daemon --kubeconfig "$CLUSTER/kubeconfig"
  first=$(cat "$STATE/instance-id")
  same "$(published instance)" "$first"
  use second
  start_daemon --kubeconfig "$CLUSTER/kubeconfig"
  same "$(published instance) $(published ready)" "$first true"
  run -0 rdd status
  contains "$output" "$(sed 's/.*"passthroughEndpoint":"\([^"]*\)".*/\1/' "$STATE/discovery.json")"
  contains "$output" "instance $first mirrors here: it holds the Lease rdd-system/rancher-desktop.moby"
  contains "$(rdd status -o json)" '"standby": "instance'
  contains "$(rdd plugin list)" moby
  # Its logs come from its own engine.
  id=$(container rdd-test sh -c 'echo here; exec sleep 1000')
  try "${PATIENCE[@]}" log_is "$id" here
  # Stopping withdraws only its own announcement.
  stop_daemon
  same "$(published instance) $(published ready)" "$first true"
  use state
  lacks "$(rdd status)" "mirrors here"
  # Starting does not replace another one's announcement.
  kill -KILL "$(daemon_pid)"
  try "${PATIENCE[@]}" ended "$(daemon_pid)"
  use second
  start_daemon --kubeconfig "$CLUSTER/kubeconfig"
  same "$(published instance)" "$first"
  # The Lease expires.
  try --max 600 --delay 0.1 is_published "$(cat "$STATE/instance-id")"
}

@test "a daemon whose CRDs the cluster does not serve says why and is never announced as ready" {
  in_cluster create -f - <<'EOF'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: boxes.containers.rancherdesktop.io }
spec:
  group: containers.rancherdesktop.io
  scope: Namespaced
  names: { plural: boxes, kind: Container }
  versions: [{ name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object } } }]
EOF
  in_cluster wait --for=condition=Established crd/boxes.containers.rancherdesktop.io --timeout=20s
  run -1 timeout 60 "$RDD_TEST_BIN" serve --state-dir "$STATE" --plugin-dir "$RDD_TEST_PLUGINS" --kubeconfig "$CLUSTER/kubeconfig"
  contains "$output" "does not serve the definition containers.containers.rancherdesktop.io"
  [ ! -e "$STATE/kubeconfig" ]
  same "$(in_cluster get configmap -n rdd-system rdd-controller-manager --ignore-not-found -o name)" ""
}

@test "a cluster that rejects the credentials is reported with its kubeconfig" {
  sed 's/"token": *"[^"]*"/"token": "wrong"/; s/token: .*/token: wrong/' "$CLUSTER/kubeconfig" >"$CLUSTER/wrong"
  run -1 timeout 60 "$RDD_TEST_BIN" serve --state-dir "$STATE" --plugin-dir "$RDD_TEST_PLUGINS" --kubeconfig "$CLUSTER/wrong"
  contains "$output" "cannot use the cluster of --kubeconfig $CLUSTER/wrong"
  [ ! -e "$STATE/kubeconfig" ]
}
