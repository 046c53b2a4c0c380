#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# kill -9 of the daemon at inconvenient moments.

load ../helpers/rdd

setup_file() { begin_file; }
setup() { STATE=$BATS_TEST_TMPDIR/state; }
teardown() { stop_daemon; }
teardown_file() { remove_own; }

# create_many N LABEL: creates N containers without starting them, four at a time.
create_many() {
  seq "$1" | xargs -P 4 -I{} docker create --network none --label "$(own_label)" --label "$2" rdd-test true
}
ids() { docker ps -aq --no-trunc "$@" | sort; }
engine_images() { docker images -q --no-trunc | sort -u; }
mirrored_images() { kubectl get images -o 'jsonpath={range .items[*]}{.status.id}{"\n"}{end}' | sort -u; }
mirrored_containers() { kubectl get containers -A -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' | sort; }
converged() { same "$(mirrored_containers)" "$(ids)" && same "$(mirrored_images)" "$(engine_images)"; }

kill_daemon() {
  kill -KILL "$(daemon_pid)"
  try "${PATIENCE[@]}" ended "$(daemon_pid)"
  rm -f "$STATE/kubeconfig" # the next daemon removes it, too; but then a test could mistake it for the new one
}
# Number of the containers listed in FILE that are in the database
in_database() { cat "$STATE"/apiserver.db* 2>/dev/null | grep -aoE '[0-9a-f]{64}' | sort -u | comm -12 - "$1" | wc -l; }

@test "a daemon killed repeatedly during its first sync converges without duplicates or leftovers" {
  local all cut=0 round have goes comes list=$BATS_TEST_TMPDIR/list
  create_many 200 batch=first >/dev/null
  for round in 1 2 3 4; do
    ids >"$list"
    spawn_daemon
    until [ "$(in_database "$list")" -ge $((round * 40)) ]; do fails ended "$(daemon_pid)"; done
    kill_daemon
    have=$(in_database "$list")
    [ "$have" -ge 200 ] || cut=$((cut + 1))
    echo "# killed with $have of 200 containers in the database" >&3
    [ "$round" != 2 ] || {
      goes=$(ids --filter label=batch=first | head -n 20)
      # shellcheck disable=SC2086 # a list of IDs
      docker rm $goes >/dev/null
      comes=$(create_many 20 batch=second)
    }
  done
  [ "$cut" -ge 2 ] # interrupted halfway

  start_daemon
  connected
  try "${PATIENCE[@]}" converged
  all=$(mirrored_containers)
  same "$(wc -l <<<"$all")" "$(sort -u <<<"$all" | wc -l)"
  contains "$all" "$(head -n 1 <<<"$comes")"
  lacks "$all" "$(head -n 1 <<<"$goes")"
  # Every mirror is complete, with its status and its finalizer.
  same "$(kubectl get containers -o 'jsonpath={range .items[*]}{.status.status} {.metadata.finalizers[0]}{"\n"}{end}' | sort -u | grep -c '^created engine.rancherdesktop.io/mirror$')" 1
  same "$(kubectl get containers -o 'jsonpath={range .items[*]}{.status.name}{"\n"}{end}' | grep -c .)" "$(wc -l <<<"$all")"
}

# write_until_it_fails KIND NAME: adds annotations and labels one by one;
# prints the number of each acknowledged write.
write_until_it_fails() {
  local i
  for ((i = 1; ; i++)); do
    kubectl annotate "$1" "$2" "e2e/a$i=$i" >/dev/null || return 0
    echo "a$i"
    kubectl label "$1" "$2" "e2e/l$i=$i" >/dev/null || return 0
    echo "l$i"
  done
}

@test "every write that was acknowledged before kill -9 is there afterward" {
  local container i uids acknowledged=0
  container=$(docker create --network none --label "$(own_label)" rdd-test true)
  start_daemon
  mirrored "$container" created
  for i in 1 2; do config_map "written-$i" | kubectl create -f -; done
  for round in 1 2 3; do
    uids=$(kubectl get "container/$container" configmap/written-{1,2} -o 'jsonpath={.items[*].metadata.uid}')
    for i in 1 2; do
      write_until_it_fails configmap "written-$i" >"$BATS_TEST_TMPDIR/acknowledged-$i" 2>/dev/null 3>&- &
    done
    write_until_it_fails container "$container" >"$BATS_TEST_TMPDIR/acknowledged-3" 2>/dev/null 3>&- &
    for i in 1 2 3; do try "${PATIENCE[@]}" has_lines "$BATS_TEST_TMPDIR/acknowledged-$i" $((2 + round)); done
    kill_daemon
    wait
    start_daemon
    same "$(kubectl get "container/$container" configmap/written-{1,2} -o 'jsonpath={.items[*].metadata.uid}')" "$uids"
    for i in 1 2; do all_there "$BATS_TEST_TMPDIR/acknowledged-$i" configmap "written-$i"; done
    all_there "$BATS_TEST_TMPDIR/acknowledged-3" container "$container"
    acknowledged=$((acknowledged + $(cat "$BATS_TEST_TMPDIR"/acknowledged-* | wc -l)))
    # The next round starts with the first number again.
    for i in 1 2; do kubectl patch configmap "written-$i" --type=merge -p '{"metadata":{"annotations":null,"labels":null}}'; done
    # shellcheck disable=SC2046 # a list of keys
    kubectl annotate container "$container" $(seq -f 'e2e/a%g-' 100) >/dev/null
    # shellcheck disable=SC2046
    kubectl label container "$container" $(seq -f 'e2e/l%g-' 100) >/dev/null
  done
  echo "# $acknowledged writes acknowledged, 3 kills" >&3
}
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }
# all_there FILE KIND NAME: each annotation and label of FILE is on the object.
all_there() {
  local have key
  have=$(kubectl get "$2" "$3" -o 'jsonpath={.metadata.annotations} {.metadata.labels}')
  while read -r key; do contains "$have" "\"e2e/$key\""; done <"$1"
}
