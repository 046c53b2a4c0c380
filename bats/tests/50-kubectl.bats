#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031 # each test has variables of its own, on purpose
bats_require_minimum_version 1.5.0
# Everyday commands, with the oldest and the newest supported kubectl.

load ../helpers/rdd

setup_file() {
  begin_file
  VERSIONS=
  for version in 1.32 1.37; do
    if "$ROOT/scripts/kubectl" "$version" >/dev/null; then
      VERSIONS+=" $version"
    else
      [ "${RDD_TEST_REQUIRE_ALL:-0}" != 1 ] # where nothing may be skipped
      echo "# without kubectl $version, which cannot be downloaded" >&3
    fi
  done
  [ -n "$VERSIONS" ]
  export VERSIONS
  start_daemon
  connected
  WEB=$(docker create --name "$(unique web)" --network none --label "$(own_label)" --label tier=front rdd-test true)
  DB=$(docker create --name "$(unique db)" --network none --label "$(own_label)" --label tier=back rdd-test true)
  export WEB DB
  mirrored "$WEB" created
  mirrored "$DB" created
  kubectl label container "$WEB" tier=front
  kubectl label container "$DB" tier=back
}
teardown_file() { end_file; }

# each FUNCTION: runs it with each version; $v makes names unique.
each() {
  for version in $VERSIONS; do
    RDD_TEST_KUBECTL=$("$ROOT/scripts/kubectl" "$version")
    echo "with kubectl $version"
    contains "$(kubectl version)" "Client Version: v$version."
    v=v${version#1.}
    "$1" # not in a condition, where its failures would be ignored
  done
}
# manifest NAME [VALUE]: manifest of a ConfigMap
manifest() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  labels: {rdd-e2e: kubectl}\ndata:\n  key: %s\n' "$1" "${2:-first}"; }
# value NAME [KEY]: value in a ConfigMap
value() { kubectl get configmap "$1" -o "jsonpath={.data.${2:-key}}"; }
running_of_app() { kubectl get app app -o 'jsonpath={.spec.running}'; }

table_forms() {
  local out
  out=$(kubectl get containers)
  contains "$(head -n 1 <<<"$out")" NAME
  contains "$out" "$WEB"
  contains "$(grep "$WEB" <<<"$out")" created
  contains "$(kubectl get containers -o wide)" "$WEB"
  lacks "$(kubectl get containers --no-headers)" NAME
  contains "$(kubectl get containers --show-labels)" tier=front
  contains "$(kubectl get containers -L tier | head -n 1)" TIER
  contains "$(kubectl get containers,images,volumes -A)" "container.containers.rancherdesktop.io/$WEB"
  contains "$(kubectl get containers -A | head -n 1)" NAMESPACE
  same "$(kubectl get containers -l rdd-none -o name 2>&1)" ""
  contains "$(kubectl get all 2>&1)" "$WEB"
}
@test "get prints tables: plain, wide, with labels, of several kinds, of all namespaces" { each table_forms; }

object_forms() {
  same "$(kubectl get container "$WEB" -o name)" "container.containers.rancherdesktop.io/$WEB"
  same "$(kubectl get container "$WEB" -o json | python3 -c 'import json, sys; print(json.load(sys.stdin)["metadata"]["name"])')" "$WEB"
  kubectl get container "$WEB" -o yaml | grep -qx "  name: $WEB"
  same "$(kubectl get container "$WEB" -o 'jsonpath={.status.status}')" created
  same "$(kubectl get container "$WEB" -o 'jsonpath-as-json={.status.status}' | tr -d ' \n')" '["created"]'
  same "$(kubectl get container "$WEB" -o 'go-template={{.status.status}}')" created
  same "$(kubectl get container "$WEB" -o custom-columns=S:.status.status | tr '\n' ' ')" 'S created '
  printf 'S\n.status.status\n' >"$BATS_TEST_TMPDIR/columns"
  same "$(kubectl get container "$WEB" -o custom-columns-file="$BATS_TEST_TMPDIR/columns" | tr '\n' ' ')" 'S created '
  lacks "$(kubectl get container "$WEB" -o yaml)" managedFields
  contains "$(kubectl get container "$WEB" -o yaml --show-managed-fields)" "manager: engine-controller"
  same "$(kubectl get containers -l tier --sort-by=.metadata.labels.tier -o 'jsonpath={.items[*].metadata.name}')" "$DB $WEB"
  same "$(kubectl get containers --chunk-size=1 -l tier -o name | wc -l)" 2
}
@test "get prints objects: name, json, yaml, jsonpath, go-template, custom-columns" { each object_forms; }

selections() {
  same "$(kubectl get containers -l tier=front -o name)" "container.containers.rancherdesktop.io/$WEB"
  same "$(kubectl get containers -l 'tier in (back),tier!=front' -o name)" "container.containers.rancherdesktop.io/$DB"
  same "$(kubectl get containers -l tier,'!absent' -o name | wc -l)" 2
  same "$(kubectl get containers --field-selector "metadata.name=$DB" -o name)" "container.containers.rancherdesktop.io/$DB"
  name=$(kubectl get container "$WEB" -o 'jsonpath={.status.name}')
  same "$(kubectl get containers --field-selector "status.name=$name" -o name)" "container.containers.rancherdesktop.io/$WEB"
  same "$(kubectl get containers --field-selector "status.namespace=moby,status.name!=$name" -l tier -o name)" "container.containers.rancherdesktop.io/$DB"
  contains "$(kubectl get containers --field-selector status.image=x 2>&1)" 'field label not supported'
}
@test "get selects by labels and by the selectable fields" { each selections; }

watching() {
  local seen=$BATS_TEST_TMPDIR/seen-$v
  kubectl get configmaps -l rdd-e2e=kubectl -w --output-watch-events -o 'jsonpath={.type} {.object.metadata.name} {.object.data.key}{"\n"}' >"$seen" 3>&- &
  manifest "watched-$v" | kubectl create -f -
  try "${PATIENCE[@]}" grep -q "ADDED watched-$v first" "$seen"
  kubectl patch configmap "watched-$v" --type=merge -p '{"data":{"key":"second"}}'
  kubectl delete configmap "watched-$v"
  try "${PATIENCE[@]}" grep -q "DELETED watched-$v second" "$seen"
  grep -q "MODIFIED watched-$v second" "$seen"
  kill "$(pgrep -P $!)"
  kubectl get containers -w >"$seen.table" 3>&- &
  try "${PATIENCE[@]}" grep -q "$WEB" "$seen.table"
  kubectl annotate container "$WEB" "watched-$v=yes"
  try "${PATIENCE[@]}" twice "$WEB" "$seen.table"
  kill "$(pgrep -P $!)"
}
twice() { [ "$(grep -c "$1" "$2")" -ge 2 ]; }
@test "get -w prints the existing objects and then each change" { each watching; }

description() {
  local out
  out=$(kubectl describe container "$WEB")
  contains "$out" "Name:         $WEB"
  contains "$out" "Kind:         Container"
  contains "$out" "tier=front"
  contains "$out" "Status:     created"
  contains "$(kubectl describe app app)" "ContainerEngineReady"
  contains "$(kubectl describe namespace "$NAMESPACE")" Active
  manifest "described-$v" | kubectl create -f -
  contains "$(kubectl describe configmap "described-$v")" "key:"
  kubectl delete configmap "described-$v"
}
@test "describe describes containers, the App, namespaces, and ConfigMaps" { each description; }

explanations() {
  contains "$(kubectl explain container)" "containers.rancherdesktop.io"
  contains "$(kubectl explain container.status.ports)" "bindings"
  contains "$(kubectl explain app.spec --recursive)" "containerEngine"
  contains "$(kubectl explain app.spec.running)" "boolean"
  contains "$(kubectl explain configmap.data)" "map[string]string"
}
@test "explain explains kinds and fields" { each explanations; }

discovery() {
  local out
  out=$(kubectl api-resources)
  for kind in App Container Image Volume ContainerNamespace ConfigMap Secret Namespace Event Lease CustomResourceDefinition; do
    grep -q " $kind\$" <<<"$out"
  done
  grep -Eq '^containernamespaces +cns +containers.rancherdesktop.io/v1alpha1 +true +ContainerNamespace$' <<<"$out"
  contains "$(kubectl api-resources --api-group=app.rancherdesktop.io -o wide)" "patch"
  same "$(kubectl api-resources --categories=all -o name | grep -c containers.rancherdesktop.io)" 4
  contains "$(kubectl api-versions)" containers.rancherdesktop.io/v1alpha1
  same "$(kubectl get --raw /readyz)" ok
  contains "$(kubectl get --raw /version)" gitVersion
  contains "$(kubectl get --raw "/apis/containers.rancherdesktop.io/v1alpha1/namespaces/$NAMESPACE/containers/$WEB")" "$WEB"
  contains "$(kubectl get --raw /openapi/v3)" "apis/containers.rancherdesktop.io/v1alpha1"
  contains "$(kubectl get --raw /api/v1/nothing 2>&1)" NotFound
}
@test "api-resources, api-versions, and get --raw list what is served" { each discovery; }

creation() {
  local name=made-$v
  manifest "$name" >"$BATS_TEST_TMPDIR/$name.yaml"
  same "$(kubectl create -f "$BATS_TEST_TMPDIR/$name.yaml")" "configmap/$name created"
  contains "$(kubectl create -f "$BATS_TEST_TMPDIR/$name.yaml" 2>&1)" AlreadyExists
  manifest "$name-dry" | kubectl create --dry-run=server -f -
  contains "$(kubectl get configmap "$name-dry" 2>&1)" NotFound
  contains "$(printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: %s-}\n' "$name" | kubectl create -f -)" "configmap/$name-"
  # The server rejects an unknown field.
  contains "$(printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s-odd}\nfata: {}\n' "$name" | kubectl create -f - 2>&1)" 'unknown field "fata"'

  manifest "$name" second | kubectl replace -f -
  same "$(value "$name")" second
  manifest "$name" third | kubectl replace --force -f -
  same "$(value "$name")" third
  contains "$(manifest "$name-none" | kubectl replace -f - 2>&1)" NotFound

  kubectl delete -f "$BATS_TEST_TMPDIR/$name.yaml"
  contains "$(kubectl get configmap "$name" 2>&1)" NotFound
  contains "$(kubectl delete configmap "$name" 2>&1)" NotFound
  kubectl delete configmap "$name" --ignore-not-found
  kubectl delete configmap -l rdd-e2e=kubectl
}
@test "create -f, replace, and delete work" { each creation; }

application() {
  local name=applied-$v
  same "$(manifest "$name" | kubectl apply -f -)" "configmap/$name created"
  same "$(manifest "$name" | kubectl apply -f -)" "configmap/$name unchanged"
  same "$(manifest "$name" second | kubectl apply -f -)" "configmap/$name configured"
  same "$(value "$name")" second
  # Fields that are no longer applied are removed; those of other writers stay.
  kubectl patch configmap "$name" --type=merge -p '{"data":{"other":"stays"}}'
  manifest "$name" | sed '/^  key/s/key/new/' | kubectl apply -f -
  same "$(kubectl get configmap "$name" -o 'jsonpath={.data}')" '{"new":"first","other":"stays"}'
  contains "$(kubectl apply view-last-applied configmap "$name")" "new: first"
  kubectl delete configmap "$name"
}
@test "client-side apply merges" { each application; }

@test "cluster-info names the server, and get all lists containers" { each overviews; }
overviews() {
  contains "$(kubectl cluster-info | sed 's/\x1b\[[0-9;]*m//g')" "control plane is running at https://127.0.0.1:"
  contains "$(kubectl get all)" "$WEB"
}

@test "apply takes a list, and names a kind that is not served" { each applied_lists; }
applied_lists() {
  manifest "$v-listed" | kubectl apply -f -
  kubectl get configmaps -o yaml | kubectl apply -f -
  same "$(value "$v-listed")" first
  printf '{"apiVersion": "v1", "kind": "List", "items": [%s]}' "$(config_map "$v-item")" | kubectl apply -f -
  same "$(value "$v-item")" value
  run -1 kubectl apply -f - <<<'{"apiVersion": "none.example.com/v1", "kind": "Nothing", "metadata": {"name": "x"}}'
  contains "$output" 'no matches for kind "Nothing" in version "none.example.com/v1"'
}

application_by_the_server() {
  local name=served-$v
  same "$(manifest "$name" | kubectl apply --server-side -f -)" "configmap/$name serverside-applied"
  run -1 bash -c "$(declare -f kubectl manifest); $(declare -p STATE NAMESPACE RDD_TEST_KUBECTL); manifest $name theirs | kubectl apply --server-side --field-manager=other -f -"
  contains "$output" 'conflict with "kubectl"'
  contains "$output" .data.key
  manifest "$name" theirs | kubectl apply --server-side --field-manager=other --force-conflicts -f -
  same "$(value "$name")" theirs
  kubectl delete configmap "$name"
}
@test "apply --server-side reports conflicts, and takes ownership when forced" { each application_by_the_server; }

difference() {
  local name=differs-$v
  manifest "$name" | kubectl apply -f -
  manifest "$name" | kubectl diff -f -
  manifest "$name" second >"$BATS_TEST_TMPDIR/second"
  run -1 kubectl diff -f "$BATS_TEST_TMPDIR/second"
  grep -qx -- '-  key: first' <<<"$output"
  grep -qx -- '+  key: second' <<<"$output"
  run -1 kubectl diff --server-side --force-conflicts -f "$BATS_TEST_TMPDIR/second"
  grep -qx -- '+  key: second' <<<"$output"
  same "$(value "$name")" first
  kubectl delete configmap "$name"
}
@test "diff shows what apply would change and changes nothing" { each difference; }

edits() {
  local name=edited-$v
  manifest "$name" | kubectl create -f -
  KUBE_EDITOR='sed -i s/first/second/' kubectl edit configmap "$name"
  same "$(value "$name")" second
  contains "$(KUBE_EDITOR=true kubectl edit configmap "$name" 2>&1)" "no changes made"
  KUBE_EDITOR='sed -i s/tier:.front/tier:\ edge/' kubectl edit container "$WEB"
  same "$(kubectl get container "$WEB" -o 'jsonpath={.metadata.labels.tier}')" edge
  kubectl label container "$WEB" tier=front --overwrite
  # An invalid value is rejected with the reason, and the edited copy is kept.
  run -1 env KUBE_EDITOR='sed -i s/running:.true/running:\ maybe/' KUBECONFIG="$STATE/kubeconfig" "$RDD_TEST_KUBECTL" edit app app
  contains "$output" "no valid changes were saved"
  copy=$(sed -n 's/.*stored to "\(.*\)"/\1/p' <<<"$output")
  contains "$(cat "$copy")" "# * spec.running:"
  rm "$copy"
  same "$(running_of_app)" true
  kubectl delete configmap "$name"
}
@test "edit saves valid changes and rejects invalid ones" { each edits; }

same_error() { same "$(kubectl get container "$1" -o 'jsonpath={.status.error}')" "$2"; }
patches() {
  local name=patched-$v
  manifest "$name" | kubectl create -f -
  kubectl patch configmap "$name" --type=merge -p '{"data":{"key":null,"other":"x"}}'
  same "$(kubectl get configmap "$name" -o 'jsonpath={.data}')" '{"other":"x"}'
  kubectl patch configmap "$name" --type=json -p '[{"op":"test","path":"/data/other","value":"x"},{"op":"add","path":"/data/key","value":"y"},{"op":"remove","path":"/data/other"}]'
  same "$(kubectl get configmap "$name" -o 'jsonpath={.data}')" '{"key":"y"}'
  contains "$(kubectl patch configmap "$name" --type=json -p '[{"op":"test","path":"/data/key","value":"z"}]' 2>&1)" "The request is invalid"
  same "$(value "$name")" y
  kubectl patch configmap "$name" --type=merge --dry-run=server -p '{"data":{"key":"dry"}}'
  same "$(value "$name")" y
  same "$(kubectl patch container "$WEB" --type=merge --subresource=status -p '{"status":{"error":"by hand"}}' -o 'jsonpath={.status.error}')" "by hand"
  # Only the mirror writes what the engine reports.
  try "${PATIENCE[@]}" same_error "$WEB" ""
  contains "$(kubectl patch app app --type=merge -p '{"spec":{"namespace":"elsewhere"}}' 2>&1)" "spec.namespace is immutable"
  kubectl delete configmap "$name"
}
@test "patch accepts JSON patches, merge patches, dry runs, and subresources" { each patches; }

markings() {
  kubectl annotate container "$WEB" "note-$v=one"
  contains "$(kubectl annotate container "$WEB" "note-$v=two" 2>&1)" "already has a value"
  kubectl annotate container "$WEB" "note-$v=two" --overwrite
  same "$(kubectl get container "$WEB" -o "jsonpath={.metadata.annotations.note-$v}")" two
  kubectl annotate container "$WEB" "note-$v-"
  same "$(kubectl get container "$WEB" -o "jsonpath={.metadata.annotations.note-$v}")" ""
  kubectl label containers -l tier "mark-$v=yes"
  same "$(kubectl get containers -l "mark-$v=yes" -o name | wc -l)" 2
  kubectl label containers --all "mark-$v-"
  same "$(kubectl get containers -l "mark-$v" -o name | wc -l)" 0
  contains "$(kubectl label container "$WEB" 'mark=not valid' 2>&1)" "nvalid"
}
@test "annotate and label can set, overwrite, remove, and select" { each markings; }

waits() {
  local name=awaited-$v id
  kubectl wait --for=create "configmap/$name" --timeout=20s >"$BATS_TEST_TMPDIR/$name" 3>&- &
  manifest "$name" | kubectl create -f -
  wait $!
  contains "$(cat "$BATS_TEST_TMPDIR/$name")" "condition met"
  kubectl wait --for=jsonpath='{.data.key}'=second "configmap/$name" --timeout=20s 3>&- &
  kubectl patch configmap "$name" --type=merge -p '{"data":{"key":"second"}}'
  wait $!
  kubectl wait --for=delete "configmap/$name" --timeout=20s 3>&- &
  kubectl delete configmap "$name"
  wait $!
  run -1 kubectl wait --for=jsonpath='{.status.status}'=running "container/$WEB" --timeout=1s
  contains "$output" "timed out"
  kubectl wait --for=condition=ContainerEngineReady app/app --timeout=20s
  kubectl wait --for=condition=Running=false "container/$WEB" --timeout=20s
  id=$(docker create --network none --label "$(own_label)" rdd-test sleep 1000)
  kubectl wait --for=create "container/$id" --timeout=20s
  docker start "$id"
  kubectl wait --for=condition=Running "container/$id" --timeout=20s
  docker rm -f "$id"
  kubectl wait --for=delete "container/$id" --timeout=20s
}
@test "wait waits for creation, deletion, conditions, and fields" { each waits; }

no_compression() {
  contains "$(kubectl config view --minify -o json)" '"disable-compression": true'
}
@test "kubectl is configured to request lists without compression, which takes longer than sending them" {
  each no_compression
}
