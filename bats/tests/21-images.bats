#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Images have one mirror per tag, and one if they have no tag.

load ../helpers/rdd

setup_file() { start_file; }
teardown_file() { end_file; }

# mirror_of ID [TAG]: name of the mirror
mirror_of() { echo "img-$(printf '%s' "$1" | if [ $# = 2 ]; then cat - <(printf '\0%s' "$2"); else cat; fi | sha256sum | cut -d' ' -f1)"; }
is_there() { try "${PATIENCE[@]}" kubectl get image "$1" -o name; }
is_gone() { try "${PATIENCE[@]}" no_mirror image "$1"; }
tags_are() { same "$(image_tags "$1" | sort | paste -sd' ')" "$2"; }
uid() { kubectl get image "$1" -o 'jsonpath={.metadata.uid}'; }
engine_id() { docker image inspect -f '{{.Id}}' "$1" 2>/dev/null; }

@test "each tag has its own mirror; untagging removes it, and the last untag removes the image" {
  local name id
  name=$(unique tagged)
  id=$(image "$name:one")
  is_there "$(mirror_of "$id" "$name:one")"
  docker tag "$id" "$name:two"
  is_there "$(mirror_of "$id" "$name:two")"
  tags_are "$id" "$name:one $name:two"
  same "$(kubectl get image "$(mirror_of "$id" "$name:two")" -o 'jsonpath={.status.id} {.status.repoTag}')" "$id $name:two"

  before=$(uid "$(mirror_of "$id" "$name:two")")
  docker rmi "$name:one"
  is_gone "$(mirror_of "$id" "$name:one")"
  same "$(uid "$(mirror_of "$id" "$name:two")")" "$before"
  docker rmi "$name:two"
  is_gone "$(mirror_of "$id" "$name:two")"
  tags_are "$id" ""
}

@test "a tag that moves to another image leaves the old one dangling and the new one tagged" {
  local name old new
  name=$(unique moved):latest
  old=$(image "$name")
  is_there "$(mirror_of "$old" "$name")"
  new=$(image)
  is_there "$(mirror_of "$new")"
  docker tag "$new" "$name"
  is_there "$(mirror_of "$new" "$name")"
  is_gone "$(mirror_of "$old" "$name")"
  is_there "$(mirror_of "$old")"
  is_gone "$(mirror_of "$new")"
  same "$(kubectl get image "$(mirror_of "$old")" -o 'jsonpath={.status.id} {.status.repoTag}')" "$old "
  # The old mirror was removed without untagging the new image.
  same "$(engine_id "$name")" "$new"
}

@test "an image without a tag has a mirror named by its ID, which a tag replaces" {
  local name id
  name=$(unique late):latest
  id=$(image)
  is_there "$(mirror_of "$id")"
  docker tag "$id" "$name"
  is_there "$(mirror_of "$id" "$name")"
  is_gone "$(mirror_of "$id")"
}

@test "deleting the mirror of a tag untags the image and leaves its other tag" {
  local name id
  name=$(unique untagged)
  id=$(image "$name:one")
  docker tag "$id" "$name:two"
  is_there "$(mirror_of "$id" "$name:one")"
  is_there "$(mirror_of "$id" "$name:two")"
  kubectl delete image "$(mirror_of "$id" "$name:one")" --timeout=20s
  same "$(engine_id "$name:one")" ""
  same "$(engine_id "$name:two")" "$id"
  tags_are "$id" "$name:two"
}

@test "deleting the only mirror of an image removes it from the engine, tagged or dangling" {
  local name id dangling
  name=$(unique gone):latest
  id=$(image "$name")
  dangling=$(image)
  is_there "$(mirror_of "$id" "$name")"
  is_there "$(mirror_of "$dangling")"
  kubectl delete image "$(mirror_of "$id" "$name")" "$(mirror_of "$dangling")" --timeout=20s
  same "$(engine_id "$id")$(engine_id "$dangling")" ""
}

@test "deleting the mirror of an image in use reports the engine's error and completes once it is unused" {
  local id user mirror
  id=$(image)
  user=$(docker create --network none --label "$(own_label)" "$id" true)
  mirror=$(mirror_of "$id")
  is_there "$mirror"
  kubectl delete image "$mirror" --wait=false
  try "${PATIENCE[@]}" in_use "$mirror"
  same "$(engine_id "$id")" "$id"
  docker rm "$user"
  kubectl wait --for=delete "image/$mirror" --timeout=30s
  same "$(engine_id "$id")" ""
}
in_use() { contains "$(kubectl get image "$1" -o 'jsonpath={.status.conditions[?(@.type=="DeleteFailed")].message}')" "image is being used by"; }
