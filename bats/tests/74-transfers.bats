#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Pulls and pushes of the backend for Docker, between the private engine and private
# registries in its network, by means of the conformance kit.

load ../helpers/rdd

setup_file() {
  begin_file
  export REGISTRY_DIR=$BATS_FILE_TMPDIR/registry PRIVATE_DIR=$BATS_FILE_TMPDIR/private
  # The engine of the tests, which scripts/registry finds by its directory
  RDD_ENGINE_DIR=$(dirname "${DOCKER_HOST#unix://}")
  export RDD_ENGINE_DIR
  REGISTRY=$("$ROOT/scripts/registry" start "$REGISTRY_DIR" --engine)
  PRIVATE=$("$ROOT/scripts/registry" start "$PRIVATE_DIR" --engine --auth)
  export REGISTRY PRIVATE
}
teardown_file() {
  "$ROOT/scripts/registry" stop "$REGISTRY_DIR"
  "$ROOT/scripts/registry" stop "$PRIVATE_DIR"
  end_file
}

setup() {
  own_state
  export DOCKER_CONFIG=$BATS_TEST_TMPDIR/docker
}

# login REGISTRY USER:PASSWORD: what `docker login` saves
login() {
  mkdir -p "$DOCKER_CONFIG"
  printf '{"auths": {"%s": {"auth": "%s"}}}' "$1" "$(printf '%s' "$2" | base64)" >"$DOCKER_CONFIG/config.json"
}
# image_with_layer TAG: an image with a layer of its own, which no registry has yet
image_with_layer() {
  mkdir "$BATS_TEST_TMPDIR/root"
  head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/root/random"
  tar -c -C "$BATS_TEST_TMPDIR/root" . | docker import --change "LABEL $(own_label)" - "$1"
}
# kit CASES [OPTION…]: these cases of the kit on the engine
kit() {
  rdd plugin test "$RDD_TEST_PLUGINS/moby" --engine "$DOCKER_HOST" --image rdd-test --filter "$@"
}
pushes_and_pulls() { # TAG
  run -0 kit 'push/*' --push "$1"
  contains "$output" "2 passed, 0 failed, 0 skipped"
  # Now the registry has it. The engine gets it back from there only.
  docker rmi "$1"
  run -0 kit 'pull/*' --pull "$1"
  contains "$output" "pass  pull/reports-each-layer-and-adds-the-image"
  contains "$output" "pass  pull/an-unknown-image-is-not-found"
  contains "$output" " 0 failed"
  # The kit removed what it pulled.
  run -1 docker image inspect "$1"
}

@test "an image is pushed to a registry and pulled from it, with the progress of its layers" {
  local tag
  tag=$REGISTRY/team/$(unique open):1
  image_with_layer "$tag"
  pushes_and_pulls "$tag"
}

@test "a registry with credentials gets those that docker login saved" {
  local tag
  tag=$PRIVATE/team/$(unique closed):1
  image_with_layer "$tag"
  login "$PRIVATE" me:word
  pushes_and_pulls "$tag"
}

@test "without credentials and with wrong ones, a transfer is denied with the remedy" {
  local tag
  tag=$PRIVATE/team/$(unique denied):1
  image_with_layer "$tag"
  run -1 kit push/reports-each-layer --push "$tag"
  contains "$output" "(permission denied)"
  contains "$output" "requires credentials, and none are saved"
  contains "$output" "run 'docker login $PRIVATE'"
  login "$PRIVATE" me:not-the-one
  run -1 kit push/reports-each-layer --push "$tag"
  contains "$output" "(permission denied)"
  contains "$output" "$PRIVATE rejected the saved credentials"
  lacks "$output" not-the-one
  docker rmi "$tag"
  run -1 kit pull/reports-each-layer-and-adds-the-image --pull "$tag"
  contains "$output" "$PRIVATE rejected the saved credentials"
}

@test "an image that the registry does not have is not found, and an unreachable registry is unavailable" {
  run -1 kit pull/reports-each-layer-and-adds-the-image --pull "$REGISTRY/team/$(unique nothing):1"
  contains "$output" "(not found)"
  run -1 kit pull/reports-each-layer-and-adds-the-image --pull "127.0.0.1:1/team/nothing:1"
  contains "$output" "(unavailable)"
}

@test "the kit neither pulls over an image of the user nor removes it" {
  local tag
  tag=$REGISTRY/team/$(unique mine):1
  docker tag rdd-test "$tag"
  run -0 kit pull/reports-each-layer-and-adds-the-image --pull "$tag"
  contains "$output" "the engine already has $tag"
  docker rmi "$tag"
  run -2 rdd plugin test "$RDD_TEST_PLUGINS/moby" --pull "$tag"
  contains "$output" "--engine"
  run -2 rdd plugin test "$RDD_TEST_PLUGINS/moby" --engine "$DOCKER_HOST" --push "$tag@sha256:00"
  contains "$output" "is not the tag of an image"
}
