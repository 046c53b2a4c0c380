#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# The admission policies in crds/: what they refuse, with which message, and what
# becomes of them when somebody changes them.

load ../helpers/rdd

setup_file() { start_file; }
teardown() { own_state && stop_daemon; }
teardown_file() { end_file; }

ACTION=containers.rancherdesktop.io/action
POLICY=container-actions.containers.rancherdesktop.io
# says MESSAGE COMMAND…: the command fails with this message
says() {
  local out
  out=$("${@:2}" 2>&1) && return 1
  contains "$out" "$1"
}
# enforced: the policies are in force, which is soon after they were written
enforced() { says "invalid $ACTION annotation" kubectl annotate container "$1" --dry-run=server "$ACTION=probe"; }
boxed() {
  BOX=$(container --init rdd-test sleep 1000)
  mirrored "$BOX"
  try "${PATIENCE[@]}" enforced "$BOX"
}

@test "only actions are accepted in the annotation" {
  boxed
  says "invalid $ACTION annotation \"explode\"" kubectl annotate container "$BOX" "$ACTION=explode"
  says "invalid $ACTION annotation \"\"" kubectl annotate container "$BOX" "$ACTION="
  for action in start stop pause unpause restart; do
    kubectl annotate container "$BOX" --dry-run=server "$ACTION=$action"
  done
  kubectl annotate container "$BOX" example.com/note=explode
  kubectl annotate container "$BOX" "$ACTION=pause"
  mirrored "$BOX" paused
  cleared() { same "$(kubectl get container "$BOX" -o "jsonpath={.metadata.annotations.containers\\.rancherdesktop\\.io/action}")" ""; }
  try "${PATIENCE[@]}" cleared
  same "$(kubectl get container "$BOX" -o 'jsonpath={.status.lastAction.state}')" Succeeded
  run -0 rdd unpause "$BOX"
  run -0 rdd rm "$BOX"
}

container_object() {
  printf '{"apiVersion": "containers.rancherdesktop.io/v1alpha1", "kind": "Container", "metadata": {"name": "%s", "annotations": {"%s": "%s"}}}' "$1" "$2" "$3"
}

@test "no action is accepted on create" {
  boxed
  says "annotation $ACTION is not allowed on create" kubectl create -f - < <(container_object mine "$ACTION" stop)
  says "annotation $ACTION is not allowed on create" kubectl apply --server-side -f - < <(container_object mine "$ACTION" stop)
  kubectl create --dry-run=server -f - < <(container_object mine example.com/note stop)
}

@test "the spec of a request and the namespace of the App do not change" {
  boxed
  kubectl create -f - <<<'{"apiVersion": "containers.rancherdesktop.io/v1alpha1", "kind": "VolumeCreateRequest", "metadata": {"name": "r"}, "spec": {"name": "v"}}'
  says "spec is immutable" kubectl patch volumecreaterequest r --type=merge -p '{"spec":{"name":"w"}}'
  kubectl label volumecreaterequest r example.com/a=b
  kubectl patch volumecreaterequest r --subresource=status --type=merge -p '{"status":{"name":"v"}}'
  kubectl delete volumecreaterequest r
  says "spec.namespace is immutable" kubectl patch app app --type=merge -p '{"spec":{"namespace":"other"}}'
}

@test "policies have no warnings, and come back with the next start unless their label was removed" {
  own_state
  start_daemon
  connected
  boxed
  local name
  for name in "$POLICY" immutable-requests.containers.rancherdesktop.io; do
    same "$(kubectl get validatingadmissionpolicy "$name" -o 'jsonpath={.status.typeChecking}')" "{}"
  done
  kubectl delete validatingadmissionpolicy "$POLICY"
  kubectl patch validatingadmissionpolicybinding "$POLICY" --type=merge -p '{"spec":{"validationActions":["Warn"]}}'
  stop_daemon
  start_daemon
  connected
  try "${PATIENCE[@]}" enforced "$BOX"
  kubectl label validatingadmissionpolicybinding "$POLICY" app.kubernetes.io/part-of-
  kubectl patch validatingadmissionpolicybinding "$POLICY" --type=merge -p '{"spec":{"validationActions":["Warn"]}}'
  stop_daemon
  start_daemon
  connected
  warned() { contains "$(kubectl annotate container "$BOX" --dry-run=server "$ACTION=probe" 2>&1)" "Warning: Validation failed"; }
  try "${PATIENCE[@]}" warned
}

@test "the files in crds/ are accepted as they are, and change nothing" {
  boxed
  local before
  before=$(kubectl get validatingadmissionpolicy "$POLICY" -o 'jsonpath={.metadata.generation}')
  kubectl apply --server-side --force-conflicts -f "$BATS_TEST_DIRNAME/../../crds"
  same "$(kubectl get validatingadmissionpolicy "$POLICY" -o 'jsonpath={.metadata.generation}')" "$before"
}
