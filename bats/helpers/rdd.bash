# shellcheck shell=bash
# Helpers of the end-to-end tests: one daemon per file, an engine shared with the
# other tests, and waiting with a limit.
#
# The environment comes from scripts/test: RDD_TEST_BIN, RDD_TEST_PLUGINS,
# RDD_TEST_DOCKER_HOST, RDD_TEST_KUBECTL.

: "${RDD_TEST_BIN:?run the tests with make test}" "${RDD_TEST_PLUGINS:?}" "${RDD_TEST_PLUGIN_LIBRARIES:?}" "${RDD_TEST_DOCKER_HOST:?}" "${RDD_TEST_KUBECTL:?}"
HELPERS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=${HELPERS%/bats/helpers}
export LOGS=/passthrough/engine/logs
# A valid ID that no container has
NOBODY=$(printf '%064d' 0)
export NOBODY
NAMESPACE=rancher-desktop
# Limit for waits whose duration is not tested, generous enough for a busy machine
PATIENCE=(--max 300 --delay 0.1)
# Command prefix that daemons are started with, to run them as another user
AS=()
# script(1) runs its command with this shell, and only bash reads what printf %q writes.
export SHELL=$BASH
unset DOCKER_CONTEXT RDD_STATE_DIR RDD_INSTANCE RDD_ENGINE_ENDPOINT
# ENGINE overrides the tests' engine, for docker and for daemons that are started.
export DOCKER_HOST=${ENGINE:-$RDD_TEST_DOCKER_HOST}

# try --max N --delay S COMMAND…: runs the command until it succeeds, at most N
# times; prints the output of the last run and returns its status.
try() {
  local max=1 delay=0.1 output='' status=0 i
  while [ "${1#--}" != "$1" ]; do
    case $1 in
      --max) max=$2 ;;
      --delay) delay=$2 ;;
      *) echo "try: unknown option $1" >&2; return 2 ;;
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
  [ "$status" = 0 ] || echo "try: gave up after $max attempts: $*" >&2
  return "$status"
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
# fails COMMAND…: the command exits with 1. Other statuses, such as that of grep for a
# missing file, mean that it could not check anything, and are not accepted.
fails() {
  local status=0
  "$@" || status=$?
  [ "$status" = 1 ] || { echo "status $status of: $*" >&2; return 1; }
}
contains() { case $1 in *"$2"*) ;; *) echo "no '$2' in: $1" >&2; return 1 ;; esac; }
# lacks TEXT WORD: TEXT does not contain WORD, and is not empty: the output of a failed command lacks every word.
lacks() {
  case $1 in
    '') echo "no text to look for '$2' in" >&2; return 1 ;;
    *"$2"*) echo "'$2' in: $1" >&2; return 1 ;;
  esac
}
same() { [ "$1" = "$2" ] || { printf 'have: %s\nwant: %s\n' "$1" "$2" >&2; return 1; }; }
# field NAME: the value of a member of the JSON object on standard input
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
millis() { date +%s%3N; }

kubectl() { KUBECONFIG=$STATE/kubeconfig "$RDD_TEST_KUBECTL" -n "$NAMESPACE" "$@"; }
rdd() { "$RDD_TEST_BIN" --state-dir "$STATE" "$@"; }

# start_daemon [SERVE OPTION…]: starts a daemon on $STATE and waits until it is ready.
# shellcheck disable=SC2120 # tests give options
start_daemon() {
  spawn_daemon "$@"
  try "${PATIENCE[@]}" ready_or_dead
  [ -f "$STATE/kubeconfig" ] || { cat "$STATE.log"; return 1; }
}
# The process ID is kept in a file, since each test runs in its own process.
spawn_daemon() {
  "${AS[@]}" "$RDD_TEST_BIN" serve --state-dir "$STATE" --plugin-dir "$RDD_TEST_PLUGINS" \
    --engine-endpoint "${ENGINE:-$RDD_TEST_DOCKER_HOST}" "$@" >>"$STATE.log" 2>&1 3>&- &
  echo $! >"$STATE.pid"
}
ready_or_dead() { [ -f "$STATE/kubeconfig" ] || ended "$(daemon_pid)"; }
daemon_pid() { cat "$STATE.pid"; }
ended() { # also true for a zombie
  ! kill -0 "$1" 2>/dev/null || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}
stop_daemon() {
  [ -f "$STATE.pid" ] || return 0
  kill -TERM "$(daemon_pid)" 2>/dev/null || true
  try --max 120 --delay 0.1 ended "$(daemon_pid)" || kill -KILL "$(daemon_pid)"
  rm -f "$STATE.pid"
}
# own_state: from here on, a test has its own instance in addition to the file's.
# A file that uses it stops it in `teardown`: own_state && stop_daemon.
own_state() { STATE=$BATS_TEST_TMPDIR/own; }
connected() { kubectl wait --for=condition=ContainerEngineReady app/app --timeout=30s; }

# Objects of this file have this label and are removed when it ends.
LABEL=rdd-e2e=$(basename "${BATS_TEST_FILENAME:-none}" .bats)-$PPID
own_label() { cat "$BATS_FILE_TMPDIR/label"; }
begin_file() {
  export STATE=$BATS_FILE_TMPDIR/state
  echo "$LABEL" >"$BATS_FILE_TMPDIR/label"
}
remove_own() {
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
  remove_own
  stop_daemon
}
# container [DOCKER RUN OPTION…] IMAGE COMMAND…: runs a detached container; prints its ID.
container() { docker run -d --network none --label "$(own_label)" "$@"; }
# image [NAME]: creates a unique empty image; prints its ID.
image() { tar -c -T /dev/null | docker import --change "LABEL $(own_label)" - "$@"; }
# unique PREFIX: a name that no other run uses
unique() { echo "$1-$$-$RANDOM"; }

# mirrored ID [STATUS]: waits until the mirror has this status (running).
is_status() { same "$(kubectl get container "$1" -o 'jsonpath={.status.status}')" "$2"; }
mirrored() { try "${PATIENCE[@]}" is_status "$1" "${2:-running}"; }
no_mirror() {
  local found
  found=$(kubectl get "$1" "$2" --ignore-not-found -o name) || return 1
  same "$found" ""
}
image_tags() { kubectl get images -o "jsonpath={range .items[?(@.status.id==\"$1\")]}{.status.repoTag}{\"\\n\"}{end}"; }

# config_map NAME: a ConfigMap as JSON, with the value `value` at `key`
config_map() { printf '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s"}, "data": {"key": "value"}}' "$1"; }

server() { kubectl config view --minify -o 'jsonpath={.clusters[0].cluster.server}'; }
token() { cat "$STATE/token"; }
# answer PATH [CURL OPTION…]: response with its headers, requested with the token, or with $TOKEN if set
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

# refused PATH STATUS WORDS [CURL OPTION…]: the response has this status, and its
# body is a Kubernetes Status with the same code and with WORDS in its message.
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
# closed FILE CODE: the client whose standard error is in FILE was closed with CODE.
closed() { grep -q "^closed $2 " "$1" || { cat "$1" >&2; return 1; }; }

# on_terminal COMMAND…: output of the command on a pseudo-terminal
on_terminal() { script -qefc "$(printf '%q ' "$@")" /dev/null </dev/null | tr -d '\r'; }
