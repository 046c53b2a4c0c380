#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Engine objects as Kubernetes objects, in both directions.

load ../helpers/rdd

setup_file() { start_file; }
teardown_file() { end_file; }

# A machine that is busy with something else may exceed the time once. A daemon that
# needs longer does each time.
started_in_time() {
  local id begun
  id=$(container rdd-test sleep 1000) || return
  begun=$(millis)
  kubectl wait --for=create "container/$id" --timeout=30s &&
    kubectl wait --for=jsonpath='{.status.status}'=running "container/$id" --timeout=30s &&
    [ $(($(millis) - begun)) -lt 2000 ]
}
removed_in_time() {
  local id begun
  id=$(container rdd-test sleep 1000) || return
  mirrored "$id" && docker rm -f "$id" || return
  begun=$(millis)
  kubectl wait --for=delete "container/$id" --timeout=30s && [ $(($(millis) - begun)) -lt 2000 ]
}

@test "a container that docker starts is shown as running by kubectl within 2 s" {
  try --max 5 started_in_time
}

@test "a container that docker removes disappears from kubectl within 2 s" {
  try --max 5 removed_in_time
}

@test "a container deleted with kubectl is removed from the engine" {
  id=$(container rdd-test sleep 1000)
  mirrored "$id"
  kubectl delete container "$id" --timeout=20s
  run -1 docker inspect "$id"
}

@test "the stop annotation stops the container, and lastAction has the outcome" {
  id=$(container --stop-timeout 1 rdd-test sleep 1000)
  mirrored "$id"
  kubectl annotate container "$id" containers.rancherdesktop.io/action=stop
  kubectl wait --for=jsonpath='{.status.lastAction.state}'=Succeeded "container/$id" --timeout=20s
  same "$(docker inspect -f '{{.State.Status}}' "$id")" exited
}

@test "a volume is created and removed with docker, and removed with kubectl" {
  name=$(unique e2e)
  mirror=vol-$(printf %s "$name" | sha256sum | cut -d' ' -f1)
  docker volume create --label "$(own_label)" "$name"
  try "${PATIENCE[@]}" kubectl get volume "$mirror"
  docker volume rm "$name"
  try "${PATIENCE[@]}" no_mirror volume "$mirror"
  docker volume create --label "$(own_label)" "$name"
  try "${PATIENCE[@]}" kubectl get volume "$mirror"
  kubectl delete volume "$mirror" --timeout=20s
  run -1 docker volume inspect "$name"
}

@test "stopping the App prunes the mirrors and leaves the engine alone; starting restores them" {
  id=$(container rdd-test sleep 1000)
  mirrored "$id"
  kubectl patch app app --type=merge -p '{"spec":{"running":false}}'
  try "${PATIENCE[@]}" no_mirror container "$id"
  same "$(docker inspect -f '{{.State.Status}}' "$id")" running
  kubectl patch app app --type=merge -p '{"spec":{"running":true}}'
  mirrored "$id"
}
