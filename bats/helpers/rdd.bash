# shellcheck shell=bash
# What every end-to-end test needs: one daemon a file, an engine shared with
# other tests, and patience.
#
# The environment comes from scripts/test: RDD_TEST_BIN, RDD_TEST_PLUGINS,
# RDD_TEST_DOCKER_HOST, RDD_TEST_KUBECTL.

: "${RDD_TEST_BIN:?run the tests with make test}" "${RDD_TEST_PLUGINS:?}" "${RDD_TEST_DOCKER_HOST:?}" "${RDD_TEST_KUBECTL:?}"
HELPERS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=${HELPERS%/bats/helpers}
export LOGS=/passthrough/engine/logs
# An ID of the right form that no container has.
NOBODY=$(printf '%064d' 0)
export NOBODY
NAMESPACE=rancher-desktop
# How long things may take on a busy machine that are not timed by a test.
PATIENCE=(--max 300 --delay 0.1)
# What daemons are started by, where that is somebody else than the test: a command and its arguments.
AS=()
unset DOCKER_CONTEXT RDD_STATE_DIR RDD_INSTANCE RDD_ENGINE_ENDPOINT
# ENGINE names another engine than the tests' own, for docker and for the daemons that are started.
export DOCKER_HOST=${ENGINE:-$RDD_TEST_DOCKER_HOST}

# try --max N --delay S COMMAND…: runs the command until it succeeds, at most N
# times; its output is that of the last run, its status too.
try() {
  local max=1 delay=0.1 output='' status=0 i
  while [ "${1#--}" != "$1" ]; do
    case $1 in
      --max) max=$2 ;;
      --delay) delay=$2 ;;
      *) echo "try: no option $1" >&2; return 2 ;;
    esac
    shift 2
  done
  for ((i = 1; i <= max; i++)); do
    status=0
    output=$("$@" 2>&1) || status=$?
    [ "$status" = 0 ] && break
    [ "$i" = "$max" ] || sleep "$delay"
  done
  printf '%s\n' "$output"
  [ "$status" = 0 ] || echo "try: $max times in vain: $*" >&2
  return "$status"
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
# fails COMMAND…: it says no, which is status 1. One that could not tell, such as a
# grep in a file that is not there, has another status, and is no failure to rely on.
fails() {
  local status=0
  "$@" || status=$?
  [ "$status" = 1 ] || { echo "status $status of: $*" >&2; return 1; }
}
contains() { case $1 in *"$2"*) ;; *) echo "no '$2' in: $1" >&2; return 1 ;; esac; }
# lacks TEXT WORD: there is a text, without the word. What a failed command prints lacks everything.
lacks() {
  case $1 in
    '') echo "no text to look for '$2' in" >&2; return 1 ;;
    *"$2"*) echo "'$2' in: $1" >&2; return 1 ;;
  esac
}
same() { [ "$1" = "$2" ] || { printf 'have: %s\nwant: %s\n' "$1" "$2" >&2; return 1; }; }
millis() { date +%s%3N; }

kubectl() { KUBECONFIG=$STATE/kubeconfig "$RDD_TEST_KUBECTL" -n "$NAMESPACE" "$@"; }
rdd() { "$RDD_TEST_BIN" --state-dir "$STATE" "$@"; }

# start_daemon [SERVE OPTION…]: starts one on $STATE and waits until it is ready.
# shellcheck disable=SC2120 # tests give options
start_daemon() {
  spawn_daemon "$@"
  try "${PATIENCE[@]}" ready_or_dead
  [ -f "$STATE/kubeconfig" ] || { cat "$STATE.log"; return 1; }
}
# The process ID goes to a file, since tests run in processes of their own.
spawn_daemon() {
  "${AS[@]}" "$RDD_TEST_BIN" serve --state-dir "$STATE" --plugin-dir "$RDD_TEST_PLUGINS" \
    --engine-endpoint "${ENGINE:-$RDD_TEST_DOCKER_HOST}" "$@" >>"$STATE.log" 2>&1 3>&- &
  echo $! >"$STATE.pid"
}
ready_or_dead() { [ -f "$STATE/kubeconfig" ] || ended "$(daemon_pid)"; }
daemon_pid() { cat "$STATE.pid"; }
ended() { # also true of a process that is dead but not yet waited for
  ! kill -0 "$1" 2>/dev/null || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}
stop_daemon() {
  [ -f "$STATE.pid" ] || return 0
  kill -TERM "$(daemon_pid)" 2>/dev/null || true
  try --max 120 --delay 0.1 ended "$(daemon_pid)" || kill -KILL "$(daemon_pid)"
  rm -f "$STATE.pid"
}
# own_state: from here on a test has an instance of its own, beside the file's.
# A file that uses it stops it in `teardown`: own_state && stop_daemon.
own_state() { STATE=$BATS_TEST_TMPDIR/own; }
connected() { kubectl wait --for=condition=ContainerEngineReady app/app --timeout=30s; }

# Objects of this file carry its own label and go when it ends.
LABEL=rdd-e2e=$(basename "${BATS_TEST_FILENAME:-none}" .bats)-$PPID
own_label() { cat "$BATS_FILE_TMPDIR/label"; }
begin_file() {
  export STATE=$BATS_FILE_TMPDIR/state
  echo "$LABEL" >"$BATS_FILE_TMPDIR/label"
}
sweep() {
  local ids
  ids=$(docker ps -aq --filter "label=$(own_label)")
  # shellcheck disable=SC2086 # a list of IDs
  [ -z "$ids" ] || docker rm -f $ids >/dev/null
  ids=$(docker volume ls -q --filter "label=$(own_label)")
  # shellcheck disable=SC2086
  [ -z "$ids" ] || docker volume rm $ids >/dev/null
  ids=$(docker images -q --filter "label=$(own_label)" | sort -u)
  # shellcheck disable=SC2086
  [ -z "$ids" ] || docker rmi -f $ids >/dev/null
}
# start_file and end_file: one daemon for all tests of a file, on the engine.
start_file() {
  begin_file
  # shellcheck disable=SC2119 # without options
  start_daemon
  connected
}
end_file() {
  sweep
  stop_daemon
}
# container [DOCKER RUN OPTION…] IMAGE COMMAND…: prints the ID of a detached one.
container() { docker run -d --network none --label "$(own_label)" "$@"; }
# image [NAME]: makes an empty image of its own and prints its ID.
image() { tar -c -T /dev/null | docker import --change "LABEL $(own_label)" - "$@"; }
# A name that no other run uses.
unique() { echo "$1-$$-$RANDOM"; }

# mirrored ID [STATUS]: waits until its mirror says so.
is_status() { same "$(kubectl get container "$1" -o 'jsonpath={.status.status}')" "$2"; }
mirrored() { try "${PATIENCE[@]}" is_status "$1" "${2:-running}"; }
no_mirror() {
  local found
  found=$(kubectl get "$1" "$2" --ignore-not-found -o name) || return 1
  same "$found" ""
}
image_tags() { kubectl get images -o "jsonpath={range .items[?(@.status.id==\"$1\")]}{.status.repoTag}{\"\\n\"}{end}"; }

# config_map NAME: one as JSON, with the value `value` under `key`.
config_map() { printf '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s"}, "data": {"key": "value"}}' "$1"; }

server() { kubectl config view --minify -o 'jsonpath={.clusters[0].cluster.server}'; }
token() { cat "$STATE/token"; }
# answer PATH [CURL OPTION…]: the answer with its head, asked for with the token, or with TOKEN.
answer() {
  local path=$1
  shift
  curl -sk -i --http1.1 --max-time 10 -H "Authorization: Bearer ${TOKEN-$(token)}" "$@" "$(server)$path"
}
# expect_status PATH STATUS [CURL OPTION…]
expect_status() {
  local path=$1 want=$2
  shift 2
  contains "$(answer "$path" "$@")" "HTTP/1.1 $want"
}

# refused PATH STATUS WORDS [CURL OPTION…]: the answer has this status, its
# body is a Kubernetes Status that says the same, with these words in its message.
refused() {
  local path=$1 code=$2 words=$3 answer status
  shift 3
  answer=$(answer "$path" -H 'Accept: application/json' "$@")
  contains "$answer" "HTTP/1.1 $code" || return 1
  status=$(python3 -c 'import json, sys
status = json.load(sys.stdin)
print(status["kind"], status["status"], status["code"], status["message"])' <<<"${answer#*$'\r\n\r\n'}") || return 1
  contains "$status" "Status Failure $code " && contains "$status" "$words"
}

# ws PATH [OPTION…]: the independent WebSocket client, with the token; see ws.py.
ws() { ws_without_token "$1" --token-file "$STATE/token" "${@:2}"; }
ws_without_token() {
  WEBSOCKETS=${WEBSOCKETS:-$("$ROOT/scripts/websockets")}
  "$WEBSOCKETS" "$HELPERS/ws.py" --ca "$STATE/tls/ca.crt" "$(server | sed s/^http/ws/)$1" "${@:2}"
}
# closed FILE CODE: the client whose standard error is FILE was closed so.
closed() { grep -q "^closed $2 " "$1" || { cat "$1" >&2; return 1; }; }
