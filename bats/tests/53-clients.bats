#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031 # each test has variables of its own, on purpose
# shellcheck disable=SC2154 # set by bats and by exporting names
bats_require_minimum_version 1.5.0
# Clients of the Kubernetes API that people use, unmodified and in pinned versions:
# client-go, controller-runtime, Helm 3 and 4, and the official clients for Python and
# JavaScript. What they do is in bats/clients.

load ../helpers/rdd

setup_file() {
  CLIENTS=
  local name
  for name in go helm3 helm4 python node; do
    if CLIENT=$("$ROOT/scripts/client" "$name"); then
      CLIENTS+=" $name"
      export "CLIENT_$name=$CLIENT"
    else
      [ "${RDD_TEST_REQUIRE_ALL:-0}" != 1 ] # where nothing may be skipped
      echo "# without the client $name" >&3
    fi
  done
  export CLIENTS
  start_file
  if has node; then
    ln -s "$CLIENT_node/node_modules" "$BATS_FILE_TMPDIR"
    cp "$ROOT/bats/clients/node/clients.mjs" "$BATS_FILE_TMPDIR"
  fi
}
teardown_file() { end_file; }
# Each test has a namespace of its own.
setup() {
  SPACE=$(unique clients)
  kubectl create namespace "$SPACE"
}
teardown() {
  local process
  for process in "${PROCESSES[@]}"; do kill "$process" 2>/dev/null || true; done
}
PROCESSES=()

has() { case " $CLIENTS " in *" $1 "*) ;; *) return 1 ;; esac; }
need() { has "$1" || skip "takes the client $1"; }
in_space() { kubectl -n "$SPACE" "$@"; }

# client LANGUAGE CLIENT [ARGUMENT…]: runs a client, with a limit for all that it waits for
client() {
  local run
  case $1 in
    go) run=("$CLIENT_go") ;;
    python) run=("$CLIENT_python" "$ROOT/bats/clients/python/clients.py") ;;
    node) run=(node "$BATS_FILE_TMPDIR/clients.mjs") ;;
  esac
  exec timeout 600 "${run[@]}" "$2" "$STATE/kubeconfig" "${IN:-$SPACE}" "${@:3}"
}
# background NAME LANGUAGE CLIENT [ARGUMENT…]: runs it in the background, with its output in $BATS_TEST_TMPDIR/NAME
background() {
  client "${@:2}" >"$BATS_TEST_TMPDIR/$1" 2>"$BATS_TEST_TMPDIR/$1.err" 3>&- &
  PROCESSES+=("$!")
}
# printed NAME LINE: waits for a line
printed() { try --max 900 --delay 0.1 grep -qx "$2" "$BATS_TEST_TMPDIR/$1" || { cat "$BATS_TEST_TMPDIR/$1"{,.err}; return 1; }; }

# The client with the label client=$1 sees the changes before, during, and after restarts.
labeled() { # NAME VALUE
  printf '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s", "labels": {"client": "%s"}}, "data": {"key": "%s"}}' "$1" "$CLIENT" "$2"
}
set_value() { in_space patch configmap "$1" --type=merge -p "{\"data\":{\"key\":\"$2\"}}"; }
restart_daemon() { # SIGNAL
  if [ "$1" = KILL ]; then
    kill -KILL "$(daemon_pid)"
    try "${PATIENCE[@]}" ended "$(daemon_pid)"
    rm "$STATE/kubeconfig" # its return shows that the next run is ready
  else
    stop_daemon
  fi
  start_daemon
}

# restarts FIRST ADD UPDATE DELETE: a watching client, which prints FIRST when it is
# ready, prints each change once, in order, while the daemon is stopped and killed; the
# other words are those that it prints with a name and a value.
restarts() {
  local first=$1 add=$2 update=$3 delete=$4
  labeled old first | in_space create -f -
  background seen "$CLIENT" watch
  printed seen "$first"
  labeled before one | in_space create -f -
  printed seen "$add before one"
  restart_daemon TERM
  set_value before two
  printed seen "$update before two"
  labeled between one | in_space create -f -
  printed seen "$add between one"
  restart_daemon KILL
  in_space delete configmap before
  printed seen "$delete before two"
  labeled after one | in_space create -f -
  printed seen "$add after one"
  grep -v " old \|^$first\$" "$BATS_TEST_TMPDIR/seen" >"$BATS_TEST_TMPDIR/changes"
  same "$(cat "$BATS_TEST_TMPDIR/changes")" "$add before one
$update before two
$add between one
$delete before two
$add after one"
  # It has resumed: nothing made it list again, and nothing came twice.
  same "$(grep -c " old \|^$first\$" "$BATS_TEST_TMPDIR/seen")" "${5:-2}"
}

@test "typed clients of client-go use ConfigMaps and Secrets in protobuf" {
  need go
  run -0 client go typed
}

@test "an informer of client-go continues after the daemon was stopped and killed" {
  need go
  CLIENT=go restarts synced add update delete
}

@test "the dynamic client of client-go lists every kind, and pauses and removes a container" {
  need go
  local id kind
  id=$(container rdd-test sleep 100000)
  mirrored "$id"
  IN=$NAMESPACE run -0 --separate-stderr client go dynamic "$id"
  for kind in App Container Image Volume ContainerNamespace; do contains "$output" "kind $kind "; done
  contains "$output" "pause paused"
  contains "$output" "unpause running"
  contains "$output" removed
  same "$(docker ps -aq --no-trunc --filter "id=$id")" ""
}

@test "of two candidates of client-go, one leads until it releases the Lease" {
  need go
  background first go elect first
  printed first leading
  background second go elect second
  printed second "leader first"
  fails grep -x leading "$BATS_TEST_TMPDIR/second"
  same "$(in_space get lease election -o 'jsonpath={.spec.holderIdentity}')" first
  restart_daemon TERM
  # Still the first: it renews after the restart.
  try "${PATIENCE[@]}" renewed "$(in_space get lease election -o 'jsonpath={.spec.renewTime}')"
  fails grep -x leading "$BATS_TEST_TMPDIR/second"
  kill "${PROCESSES[0]}"
  printed first stopped
  printed second leading
  same "$(in_space get lease election -o 'jsonpath={.spec.holderIdentity} {.spec.leaseTransitions}')" "second 1"
}
renewed() { in_space get lease election -o 'jsonpath={.spec.renewTime}' | grep -vqxF "$1"; }

@test "the event recorders of client-go count events of core and of events.k8s.io" {
  need go
  run -0 --separate-stderr client go record
  contains "$output" "counted core"
  contains "$output" "counted events.k8s.io"
  # Both are the same objects in two versions.
  contains "$(in_space events --for configmap/subject)" "tried again"
  contains "$(in_space get events.v1.events.k8s.io -o 'jsonpath={.items[*].note}')" "noted it"
  contains "$(in_space get events.v1. -o 'jsonpath={.items[*].message}')" "noted it"
}

note() { printf 'apiVersion: clients.rdd.example/v1\nkind: Note\nmetadata: {name: %s}\nspec: {text: %s}\n' "$1" "$2"; }
has_text() { same "$(in_space get configmap "$1" -o 'jsonpath={.data.text}')" "$2"; }
is_gone() { same "$(in_space get "$1" "$2" --ignore-not-found -o name)" ""; }
reconciled() { same "$(in_space get note "$1" -o 'jsonpath={.status.operator} {.status.observedGeneration}')" "$2"; }

@test "an operator of controller-runtime owns, finalizes, and hands over" {
  need go
  kubectl apply -f "$ROOT/bats/clients/go/note.yaml"
  kubectl wait --for=condition=Established crd/notes.clients.rdd.example --timeout=30s
  background first go operate first
  printed first leading
  background second go operate second
  note hello one | in_space apply -f -
  try "${PATIENCE[@]}" has_text hello one
  try "${PATIENCE[@]}" reconciled hello "first 1"
  same "$(in_space get configmap hello -o 'jsonpath={.metadata.ownerReferences[0].kind} {.metadata.ownerReferences[0].controller}')" "Note true"
  note hello two | in_space apply -f -
  try "${PATIENCE[@]}" has_text hello two
  # What others do to the owned object comes through its watch.
  in_space patch configmap hello --type=merge -p '{"data":{"text":"changed"}}'
  try "${PATIENCE[@]}" has_text hello two
  in_space delete configmap hello
  try "${PATIENCE[@]}" has_text hello two

  restart_daemon TERM
  note hello three | in_space apply -f -
  try "${PATIENCE[@]}" has_text hello three
  try "${PATIENCE[@]}" reconciled hello "first 3"

  fails grep -x leading "$BATS_TEST_TMPDIR/second"
  kill "${PROCESSES[0]}"
  printed second leading
  try "${PATIENCE[@]}" reconciled hello "second 3"
  note hello four | in_space apply -f -
  try "${PATIENCE[@]}" has_text hello four

  in_space delete note hello --timeout=30s
  in_space get configmap hello-finalized
  printed second "finalized hello"
  try "${PATIENCE[@]}" is_gone configmap hello
  kubectl delete crd notes.clients.rdd.example --timeout=30s
}

helm() { HELM_CACHE_HOME=$BATS_TEST_TMPDIR/cache timeout 120 "$HELM" --kubeconfig "$STATE/kubeconfig" -n "$SPACE" "$@"; }
color() { same "$(in_space get "$1" "$2" -o "jsonpath=$3")" "$4"; }
colors() { # COLOR: all objects of the release have it
  color configmap release '{.data.color}' "$1"
  color secret release '{.data.color}' "$(printf %s "$1" | base64)"
  color widget release '{.spec.color}' "$1"
}

# One release from its installation to its removal, with the Helm in $HELM
release() {
  local chart=$ROOT/bats/clients/chart
  helm install release "$chart" --wait --timeout 60s
  colors red
  same "$(in_space get configmap release-hook -o 'jsonpath={.data.revision}')" 1
  contains "$(helm list -o json)" '"status":"deployed"'
  run -1 helm install release "$chart"
  grep -Eq "cannot re-?use a name" <<<"$output"

  helm upgrade release "$chart" --set color=green --set second=true --wait --timeout 60s
  colors green
  color widget release-second '{.spec.color}' green
  same "$(in_space get configmap release-hook -o 'jsonpath={.data.revision}')" 2
  # The schema of the custom resource rejects a value; the release fails.
  run -1 helm upgrade release "$chart" --set color=blue --set second=true
  contains "$output" 'Unsupported value: "blue"'
  color widget release '{.spec.color}' green

  helm rollback release 1 --wait --timeout 60s
  colors red
  is_gone widget release-second
  same "$(helm history release -o json | python3 -c 'import json, sys; print(*(each["status"] for each in json.load(sys.stdin)))')" \
    "superseded superseded failed deployed"
  contains "$(helm get values release --revision 2)" "color: green"
  contains "$(helm get manifest release)" "color: red"
  contains "$(helm status release)" "STATUS: deployed"

  helm uninstall release --wait --timeout 60s
  same "$(in_space get configmap,secret,widget -o name)" configmap/release-hook
  same "$(helm list -q)" ""
  kubectl delete crd widgets.clients.rdd.example --timeout=30s
}

@test "Helm 3 installs, upgrades, rolls back, and uninstalls a chart with a kind and a hook" {
  need helm3
  HELM=$CLIENT_helm3 release
}

@test "Helm 4 installs, upgrades, rolls back, and uninstalls a chart with a kind and a hook" {
  need helm4
  HELM=$CLIENT_helm4 release
}

# uses_objects LANGUAGE: it uses ConfigMaps, then pauses and removes a container.
uses_objects() {
  local id
  run -0 client "$1" use
  id=$(container rdd-test sleep 100000)
  mirrored "$id"
  IN=$NAMESPACE run -0 --separate-stderr client "$1" container "$id"
  same "$output" "status paused
removed"
  same "$(docker ps -aq --no-trunc --filter "id=$id")" ""
}

@test "the client for Python lists, patches, applies, and waits" {
  need python
  uses_objects python
}

@test "a watch of the client for Python continues after the daemon was stopped and killed" {
  need python
  CLIENT=python restarts listed ADDED MODIFIED DELETED 1
}

@test "the client for JavaScript lists, patches, applies, and waits" {
  need node
  uses_objects node
}

@test "an informer of the client for JavaScript continues after the daemon was stopped and killed" {
  need node
  CLIENT=node restarts listed add update delete
}
