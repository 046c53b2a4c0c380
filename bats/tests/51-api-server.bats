#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# What clients expect of an API server: imperative commands, which send protobuf;
# namespace deletion and cascades that complete; rejections with a reason.

load ../helpers/rdd

setup_file() {
  begin_file
  start_daemon --read-only
}
teardown_file() { stop_daemon; }

forbidden() { # MESSAGE COMMAND…: the command is forbidden with this message
  local says=$1 out
  shift
  out=$("$@" 2>&1) && return 1
  contains "$out" "is forbidden: "
  contains "$out" "$says"
}

@test "imperative commands create objects" {
  kubectl create namespace made
  kubectl create configmap c -n made --from-literal=key=value
  kubectl create secret generic s -n made --from-literal=key=value
  kubectl create serviceaccount a -n made
  same "$(kubectl get configmap c -n made -o 'jsonpath={.data.key}')" value
  same "$(kubectl get secret s -n made -o 'jsonpath={.data.key}' | base64 -d)" value
  kubectl get serviceaccount a -n made
  # Its contents are deleted with it.
  kubectl delete namespace made --timeout=30s
  kubectl create namespace made
  same "$(kubectl get configmaps,secrets,serviceaccounts -n made -o name)" ""
  kubectl delete namespace made --timeout=30s
}

@test "auth can-i and whoami work, also as somebody else" {
  same "$(kubectl auth can-i delete configmaps)" yes
  contains "$(kubectl auth can-i --list)" "*.*"
  contains "$(kubectl auth whoami)" rdd-admin
  same "$(kubectl auth can-i delete configmaps --as=somebody || true)" no
  contains "$(kubectl auth whoami --as=somebody --as-group=others)" others
  forbidden 'User "somebody" cannot list resource "configmaps"' kubectl get configmaps --as=somebody
  forbidden 'User "somebody" cannot create resource "configmaps"' kubectl create configmap never --from-literal=a=b --as=somebody --as-group=others
  kubectl get configmaps --as=somebody --as-group=system:masters
  forbidden "nobody can impersonate it" kubectl get configmaps --as=system:rdd
}

@test "cascading deletions complete" {
  for policy in background foreground orphan; do
    kubectl create configmap "owner-$policy"
    uid=$(kubectl get configmap "owner-$policy" -o 'jsonpath={.metadata.uid}')
    kubectl create configmap "owned-$policy"
    kubectl patch configmap "owned-$policy" --type=merge -p "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"name\":\"owner-$policy\",\"uid\":\"$uid\",\"blockOwnerDeletion\":true}]}}"
    kubectl delete configmap "owner-$policy" --cascade="$policy" --timeout=30s
  done
  for policy in background foreground; do
    try "${PATIENCE[@]}" fails kubectl get configmap "owned-$policy"
  done
  same "$(kubectl get configmap owned-orphan -o 'jsonpath={.metadata.ownerReferences}')" ""
  kubectl delete configmap owned-orphan
}

@test "what the daemon depends on cannot be deleted" {
  for how in --dry-run=server --cascade=background --cascade=foreground --cascade=orphan; do
    forbidden spec.running kubectl delete namespace "$NAMESPACE" "$how"
    forbidden "stop the daemon" kubectl delete namespace rdd-system "$how"
    forbidden spec.running kubectl delete crd containers.containers.rancherdesktop.io "$how"
  done
  same "$(kubectl get namespace "$NAMESPACE" -o 'jsonpath={.status.phase}')" Active
}

@test "with --read-only, deletions and actions are rejected" {
  kubectl apply -f - <<'YAML'
apiVersion: containers.rancherdesktop.io/v1alpha1
kind: Container
metadata: {name: nobodys}
YAML
  forbidden --read-only kubectl annotate container nobodys containers.rancherdesktop.io/action=stop
  forbidden --read-only kubectl delete container nobodys
  for kind in containers images volumes; do
    forbidden --read-only kubectl delete --raw "/apis/containers.rancherdesktop.io/v1alpha1/namespaces/$NAMESPACE/$kind"
  done
  kubectl label container nobodys tried=yes
}
