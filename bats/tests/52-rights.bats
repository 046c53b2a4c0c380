#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Roles, tokens with fewer rights, and the audit log, as kubectl and the programs of
# other people use them.

load ../helpers/rdd

setup_file() {
  AUDIT=$BATS_FILE_TMPDIR/audit.log
  begin_file
  start_daemon --audit-log "$AUDIT"
  connected
  BOX=$(container rdd-test sh -c 'echo hello; sleep 100000')
  VIEWER=$(rdd token create --role viewer --name viewer)
  READER=$(rdd token create --role logs --name reader)
  ADMIN=$(rdd token create --role admin --ttl 1h --name deputy)
  export AUDIT BOX VIEWER READER ADMIN
  mirrored "$BOX"
}
teardown_file() { end_file; }

# with_token TOKEN ARGUMENT…: kubectl with another token than that of the kubeconfig
with_token() { kubectl --token "$1" "${@:2}"; }
# forbidden COMMAND…: the command fails with a message of the roles
forbidden() {
  local out
  out=$("$@" 2>&1) && return 1
  contains "$out" "is forbidden: User"
}
# status_of TOKEN PATH: the HTTP status of a GET
status_of() {
  curl --silent --output /dev/null --write-out '%{http_code}' --max-time 20 \
    --cacert "$STATE/tls/ca.crt" --header "Authorization: Bearer $1" "$(server)$2"
}

@test "a viewer reads the objects of rdd, and neither logs nor Secrets, and changes nothing" {
  contains "$(with_token "$VIEWER" get containers -o name)" "$BOX"
  with_token "$VIEWER" get images
  with_token "$VIEWER" get namespaces
  forbidden with_token "$VIEWER" get secrets
  forbidden with_token "$VIEWER" delete container "$BOX"
  forbidden with_token "$VIEWER" annotate container "$BOX" containers.rancherdesktop.io/action=stop
  same "$(status_of "$VIEWER" "$LOGS/$BOX")" 403
  same "$(status_of "$VIEWER" "$LOGS")" 403
  same "$(status_of "$VIEWER" "/passthrough/engine/exec/$BOX")" 403
  same "$(status_of "$VIEWER" /metrics)" 200
}

@test "a reader of logs runs no process" {
  # Past the check of rights, a request without an upgrade is 426.
  same "$(status_of "$READER" "$LOGS/$BOX")" 426
  same "$(status_of "$READER" "/passthrough/engine/exec/$BOX")" 403
  forbidden with_token "$READER" delete container "$BOX"
}

@test "an admin does everything, and tokens are listed without being shown" {
  with_token "$ADMIN" get secrets -A
  local list
  list=$(rdd token list)
  contains "$list" deputy
  contains "$list" viewer
  for token in "$VIEWER" "$READER" "$ADMIN"; do
    lacks "$list" "$token"
    lacks "$(kubectl get secrets -n rdd-system -o yaml)" "$token"
    fails grep -qF -- "$token" "$STATE.log" "$AUDIT"
  done
  # Whoever may write Secrets is no administrator by it.
  kubectl create rolebinding writer -n rdd-system --clusterrole=writer --user=eve
  kubectl create clusterrole writer --verb=create --resource=secrets
  local out
  out=$(kubectl create secret generic rdd-token-eve -n rdd-system --type=rdd.rancherdesktop.io/token \
    --from-literal=role=admin --as=eve 2>&1) && return 1
  contains "$out" "only administrators may write"
}

@test "a role of kubectl adds to what a token may do" {
  forbidden with_token "$VIEWER" get configmaps
  kubectl create clusterrole config-reader --verb=list --resource=configmaps
  kubectl create clusterrolebinding config-reader --clusterrole=config-reader --user=rdd:token:viewer
  with_token "$VIEWER" get configmaps
  kubectl delete clusterrolebinding config-reader
  forbidden with_token "$VIEWER" get configmaps
}

@test "a revoked token is not accepted, and its watch has ended" {
  local token watch
  token=$(rdd token create --role viewer --name passing)
  with_token "$token" get containers
  curl --silent --no-buffer --cacert "$STATE/tls/ca.crt" --header "Authorization: Bearer $token" \
    "$(server)/apis/containers.rancherdesktop.io/v1alpha1/containers?watch=true" >"$BATS_TEST_TMPDIR/watch" 3>&- &
  watch=$!
  try "${PATIENCE[@]}" test -s "$BATS_TEST_TMPDIR/watch"
  rdd token revoke passing
  same "$(status_of "$token" /api)" 401
  try "${PATIENCE[@]}" ended "$watch"
  fails rdd token revoke passing
}

@test "the audit log says who did what" {
  with_token "$VIEWER" get secrets 2>/dev/null && return 1
  local line
  recorded() { grep -F rdd:token:viewer "$AUDIT" | grep -F '"resource":"secrets"' | grep -F '"code":403'; }
  line=$(try "${PATIENCE[@]}" recorded)
  contains "$line" '"apiVersion":"audit.k8s.io/v1"'
  contains "$line" '"authorization.k8s.io/decision":"forbid"'
}

# events_of USER SUBRESOURCE: "stage code" of each audit event about the container, in their order
events_of() {
  grep -F "\"username\":\"$1\"" "$AUDIT" | grep -F "\"subresource\":\"$2\"" |
    python3 -c 'import json, sys
for line in sys.stdin:
    event = json.loads(line)
    print(event["stage"], event["responseStatus"]["code"])'
}
events_are() { same "$(events_of "$1" "$2")" "$3"; }

@test "the audit log says who read which log and ran a process where, without secrets" {
  local log line viewer reader
  viewer=$(rdd token create --role viewer --name watched-viewer)
  reader=$(rdd token create --role logs --name watched-reader)
  same "$(status_of "$viewer" "$LOGS/$BOX?tail=1&token=hidden-text")" 403
  try "${PATIENCE[@]}" events_are rdd:token:watched-viewer log 'ResponseComplete 403'
  line=$(grep -F rdd:token:watched-viewer "$AUDIT" | grep -F '"subresource":"log"')
  contains "$line" "\"requestURI\":\"$LOGS/$BOX?tail=1&redacted\""
  contains "$line" "\"namespace\":\"$NAMESPACE\""
  contains "$line" "\"name\":\"$BOX\""
  contains "$line" '"verb":"get"'
  contains "$line" '"authorization.k8s.io/decision":"forbid"'

  # A log that is followed has an event at its beginning, and one at its end.
  log=$BATS_TEST_TMPDIR/log
  printf %s "$reader" >"$BATS_TEST_TMPDIR/reader"
  ws_without_token "$LOGS/$BOX" --token-file "$BATS_TEST_TMPDIR/reader" >"$log" 2>&1 3>&- &
  try "${PATIENCE[@]}" events_are rdd:token:watched-reader log 'ResponseStarted 101'
  rdd token revoke watched-reader
  try "${PATIENCE[@]}" events_are rdd:token:watched-reader log $'ResponseStarted 101\nResponseComplete 101'

  rdd exec -e PASSWORD=hidden-text "$BOX" true
  try "${PATIENCE[@]}" events_are rdd-admin exec $'ResponseStarted 101\nResponseComplete 101'
  line=$(grep -F '"subresource":"exec"' "$AUDIT" | grep -F rdd-admin)
  contains "$line" '"verb":"create"'
  contains "$line" 'command=true'
  lacks "$(cat "$AUDIT")" hidden-text
  lacks "$(cat "$AUDIT")" "$reader"
}

@test "view, edit, and admin are about the kinds of rdd, too" {
  local role verb
  can() { kubectl auth can-i "${@:2}" --as="$1-user" >/dev/null; }
  for role in view edit admin; do
    kubectl create rolebinding "$(unique "$role")" --clusterrole="$role" --user="$role-user"
    can "$role" list containers.containers.rancherdesktop.io
    can "$role" get configmaps
  done
  for verb in delete patch; do
    fails can view "$verb" containers.containers.rancherdesktop.io
    can edit "$verb" containers.containers.rancherdesktop.io
    can admin "$verb" containers.containers.rancherdesktop.io
  done
  fails can view get containers.containers.rancherdesktop.io --subresource=log
  can edit get containers.containers.rancherdesktop.io --subresource=log
  fails can view get secrets
  can edit get secrets
  fails can edit create rolebindings
  can admin create rolebindings
}

@test "a role of a chart is aggregated to view" {
  kubectl create clusterrole gadgets --verb=list --resource=configmaps --dry-run=client -o json |
    sed 's/"configmaps"/"gadgets"/' | kubectl create -f -
  kubectl label clusterrole gadgets rbac.authorization.k8s.io/aggregate-to-view=true
  shows() { contains "$(kubectl get clusterrole "$1" -o json)" gadgets; }
  try "${PATIENCE[@]}" shows admin
  kubectl delete clusterrole gadgets
  try "${PATIENCE[@]}" fails shows admin
}
