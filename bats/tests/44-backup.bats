#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031 # each test has a state directory of its own, on purpose
bats_require_minimum_version 1.5.0
# Backups and their restoration, with kubectl on a real daemon.

load ../helpers/rdd

setup_file() { begin_file; }
setup() { STATE=$BATS_TEST_TMPDIR/state; }
teardown() { stop_daemon; }
teardown_file() { remove_own; }

write() { config_map "$1" | kubectl create -f -; }
written() { same "$(kubectl get configmap "$1" -o 'jsonpath={.data.key}')" value; }
absent() { contains "$(kubectl get configmap "$1" 2>&1)" NotFound; }

@test "a backup of a running daemon has everything, and is restored with all names and versions" {
  start_daemon
  local container
  container=$(docker create --network none --label "$(own_label)" rdd-test true)
  mirrored "$container" created
  write before
  kubectl create secret generic password --from-literal=word=letter
  local version backup=$BATS_TEST_TMPDIR/one.db
  version=$(kubectl get configmap before -o 'jsonpath={.metadata.uid} {.metadata.resourceVersion}')
  contains "$(rdd backup "$backup")" "one.db: "
  same "$(stat -c %a "$backup")" 600
  write after
  kubectl delete secret password
  local last
  last=$(kubectl get configmap after -o 'jsonpath={.metadata.resourceVersion}')

  # Neither file is overwritten.
  run -1 rdd backup "$backup"
  contains "$output" "one.db exists; choose another name"
  run -1 rdd restore "$backup"
  contains "$output" "another daemon is running on $STATE"
  stop_daemon

  run -0 rdd restore "$backup"
  contains "$output" "restored "
  contains "$output" "the earlier database is kept as $STATE/apiserver.db.replaced-"
  start_daemon
  same "$(kubectl get configmap before -o 'jsonpath={.metadata.uid} {.metadata.resourceVersion}')" "$version"
  same "$(kubectl get secret password -o 'jsonpath={.data.word}' | base64 -d)" letter
  absent after
  mirrored "$container" created
  # A client that resumes at an earlier version is told to list again.
  contains "$(kubectl get --raw "/api/v1/namespaces/$NAMESPACE/configmaps?watch=true&resourceVersion=$last")" '"code":410'
  kubectl patch configmap before -p '{"data": {"key": "changed"}}'
  [ "$(kubectl get configmap before -o 'jsonpath={.metadata.resourceVersion}')" -gt "$last" ]
}

@test "a backup of a stopped daemon starts an instance elsewhere" {
  start_daemon
  write before
  stop_daemon
  local backup=$BATS_TEST_TMPDIR/two.db
  same "$(rdd backup -o name "$backup")" "$backup"
  STATE=$BATS_TEST_TMPDIR/elsewhere
  run -0 rdd restore -o json "$backup"
  lacks "$output" replaced
  [ "$(field objects <<<"$output")" -gt 5 ]
  start_daemon
  written before
}

@test "a file that is no whole backup is refused, and nothing changes" {
  start_daemon
  write before
  local backup=$BATS_TEST_TMPDIR/three.db half=$BATS_TEST_TMPDIR/half.db
  rdd backup "$backup"
  stop_daemon
  head -c $(($(stat -c %s "$backup") / 2)) "$backup" >"$half"
  cp "$STATE/apiserver.db" "$BATS_TEST_TMPDIR/before"
  run -1 rdd restore "$half"
  contains "$output" "half.db is damaged"
  run -1 rdd restore "$STATE/token"
  contains "$output" "token is not a backup"
  run -1 rdd restore "$BATS_TEST_TMPDIR/none"
  contains "$output" "cannot read $BATS_TEST_TMPDIR/none"
  cmp "$STATE/apiserver.db" "$BATS_TEST_TMPDIR/before"
  fails compgen -G "$STATE/apiserver.db.*-*"
  # A state directory without a database, and a wrong name, leave nothing behind.
  STATE=$BATS_TEST_TMPDIR/nothing
  run -1 rdd backup "$BATS_TEST_TMPDIR/four.db"
  contains "$output" "there is no database $STATE/apiserver.db"
  [ ! -e "$BATS_TEST_TMPDIR/four.db" ] && [ ! -e "$STATE" ]
  fails compgen -G "$BATS_TEST_TMPDIR/.rdd-backup-*"
}

@test "a backup needs an administrator" {
  start_daemon
  local url token
  url=$(server)/backup
  token=$(rdd token create --role logs --name reader)
  same "$(curl -sS -o /dev/null -w '%{http_code}' --cacert "$STATE/tls/ca.crt" -H "Authorization: Bearer $token" "$url")" 403
  same "$(curl -sS -o /dev/null -w '%{http_code}' --cacert "$STATE/tls/ca.crt" "$url")" 401
  curl -sS --cacert "$STATE/tls/ca.crt" -H "Authorization: Bearer $(token)" -o "$BATS_TEST_TMPDIR/raw.db" "$url"
  stop_daemon
  STATE=$BATS_TEST_TMPDIR/raw
  rdd restore "$BATS_TEST_TMPDIR/raw.db"
}
