#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# The backend for Docker in both of its forms, a component and a dynamic library, on
# the same engine.

load ../helpers/rdd

setup_file() {
  begin_file
  COMPONENT=$BATS_FILE_TMPDIR/component LIBRARY=$BATS_FILE_TMPDIR/library
  export COMPONENT LIBRARY
  STATE=$COMPONENT
  start_daemon
  connected
  # A directory of plugins may load a library only after it was allowed.
  STATE=$LIBRARY
  export XDG_DATA_HOME=$BATS_FILE_TMPDIR/data
  rdd plugin install --yes --allow-native "$RDD_TEST_PLUGIN_LIBRARIES/moby"
  "$RDD_TEST_BIN" serve --state-dir "$STATE" --engine-endpoint "$RDD_TEST_DOCKER_HOST" >>"$STATE.log" 2>&1 3>&- &
  echo $! >"$STATE.pid"
  try "${PATIENCE[@]}" ready_or_dead
  [ -f "$STATE/kubeconfig" ] || { cat "$STATE.log"; return 1; }
  connected
}
teardown_file() {
  STATE=$LIBRARY && stop_daemon
  STATE=$COMPONENT && end_file
}

# Each form has a daemon of its own.
component() { STATE=$COMPONENT "$@"; }
library() { STATE=$LIBRARY "$@"; }

# objects KIND: names and statuses of all objects, without what each daemon sets itself
objects() {
  kubectl get "$1" -o json | python3 -c '
import json, sys
items = json.load(sys.stdin)["items"]
for item in items:
    for condition in item.get("status", {}).get("conditions", []):
        del condition["lastTransitionTime"]
    print(json.dumps([item["metadata"]["name"], item.get("status")], sort_keys=True))'
}
same_objects() { same "$(component objects "$1")" "$(library objects "$1")"; }

@test "each daemon runs the form that it was given" {
  contains "$(component rdd plugin list -o json)" "$RDD_TEST_PLUGINS/moby"
  contains "$(library rdd plugin list -o json)" "$XDG_DATA_HOME/rdd/plugins/moby"
  contains "$(rdd plugin inspect moby -o json)" '"kind": "library"'
}

@test "both forms report the same objects" {
  name=$(unique forms)
  id=$(container --name "$name" --label "text=äöü" -p 127.0.0.1::80 rdd-test sleep 1000)
  exited=$(container rdd-test sh -c 'exit 3')
  docker volume create --label "$(own_label)" "$name"
  tagged=$(image "$name:1")
  component mirrored "$id"
  library mirrored "$id"
  component mirrored "$exited" exited
  library mirrored "$exited" exited
  for kind in containers images volumes containernamespaces; do
    try "${PATIENCE[@]}" same_objects "$kind"
  done
  contains "$(library objects containers)" "$id"
  # Both forms may have reported nothing of these yet.
  reports() { contains "$(library objects "$1")" "$2"; }
  try "${PATIENCE[@]}" reports images "$tagged"
  try "${PATIENCE[@]}" reports volumes "$name"
  for kind in images volumes; do try "${PATIENCE[@]}" same_objects "$kind"; done
}

@test "both forms return the same bytes of a log" {
  # Lines of both streams, one without end, bytes that are not UTF-8, and a line of
  # 40 KB, which the engine stores in parts.
  # shellcheck disable=SC2016 # expanded in the container
  id=$(container rdd-test sh -c '
    for i in $(seq 2000); do echo "out $i"; echo "err $i" >&2; done
    printf "\377\376\000bytes\n"
    head -c 40000 /dev/zero | tr "\000" x; echo
    printf "no end"')
  docker wait "$id"
  component mirrored "$id" exited
  library mirrored "$id" exited
  for options in "" --timestamps "--tail 100" "--since 1h"; do
    # shellcheck disable=SC2086 # several words
    component rdd logs $options "$id" >"$BATS_TEST_TMPDIR/component.out" 2>"$BATS_TEST_TMPDIR/component.err"
    # shellcheck disable=SC2086
    library rdd logs $options "$id" >"$BATS_TEST_TMPDIR/library.out" 2>"$BATS_TEST_TMPDIR/library.err"
    [ -s "$BATS_TEST_TMPDIR/library.out" ]
    cmp "$BATS_TEST_TMPDIR/component.out" "$BATS_TEST_TMPDIR/library.out"
    cmp "$BATS_TEST_TMPDIR/component.err" "$BATS_TEST_TMPDIR/library.err"
  done
}

@test "both forms carry out a deletion and an action" {
  for form in component library; do
    id=$(container --stop-timeout 1 rdd-test sleep 1000)
    $form mirrored "$id"
    $form kubectl annotate container "$id" containers.rancherdesktop.io/action=stop
    $form kubectl wait --for=jsonpath='{.status.lastAction.state}'=Succeeded "container/$id" --timeout=20s
    same "$(docker inspect -f '{{.State.Status}}' "$id")" exited
    $form kubectl delete container "$id" --timeout=20s
    run -1 docker inspect "$id"
  done
}

@test "both forms pass the conformance kit on a real engine" {
  for form in "$RDD_TEST_PLUGINS/moby" "$RDD_TEST_PLUGIN_LIBRARIES/moby"; do
    run -0 "$RDD_TEST_BIN" plugin test "$form" --allow-native --engine "$RDD_TEST_DOCKER_HOST" --image rdd-test
    # A case is skipped if the kit cannot set it up on this engine, and that of the
    # memory for a library, which has none of its own. Others would be skipped, too, if
    # the backend lost a capability.
    case $form in
      */plugin-libraries/*) contains "$output" "69 passed, 0 failed, 25 skipped" ;;
      *) contains "$output" "70 passed, 0 failed, 24 skipped" ;;
    esac
  done
}
