#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Every error of the log endpoint: its status, and a helpful message.

load ../helpers/rdd

setup_file() {
  start_file
  CONTAINER=$(container rdd-test sleep 1000)
  export CONTAINER
  mirrored "$CONTAINER"
}
teardown_file() { end_file; }
teardown() { own_state && stop_daemon; }

head_of() { answer "$@" | tr -d '\r' | sed '/^$/q' | tr '[:upper:]' '[:lower:]'; }

@test "a missing token is answered with 401" {
  contains "$(curl -sk -i --http1.1 "$(server)$LOGS/$NOBODY")" "HTTP/1.1 401"
}
@test "a wrong token is answered with 401 on every path" {
  for path in "$LOGS/$CONTAINER" /passthrough/nothing /api/v1/namespaces /metrics; do
    TOKEN=$(printf '%043d' 0) refused "$path" 401 "token"
  done
}
@test "an untrusted origin is answered with 403 and the flag that allows it" {
  refused "$LOGS/$CONTAINER" 403 "--trusted-origin https://evil.example" -H 'Origin: https://evil.example'
}
@test "an unknown host is answered with 403 and the flag that allows it" {
  refused "$LOGS/$CONTAINER" 403 "--allowed-host evil.example" -H 'Host: evil.example'
  refused /api/v1/namespaces 403 "--allowed-host evil.example" -H 'Host: evil.example'
}
@test "an ID in the wrong format is answered with 400, the format, and what resolves names" {
  for id in ABC "${CONTAINER:0:12}" "${CONTAINER^^}" "${CONTAINER}0"; do
    refused "$LOGS/$id" 400 "rdd logs"
  done
}
@test "an invalid parameter is answered with 400 and its name" {
  refused "$LOGS/$CONTAINER?tail=-1" 400 tail
  refused "$LOGS/$CONTAINER?since=yesterday" 400 "RFC 3339"
  refused "$LOGS/$CONTAINER?lines=5" 400 '"lines"; known parameters are follow, tail'
  refused "$LOGS/$CONTAINER?stdout=false&stderr=0" 400 "both false"
}
@test "an unknown container is answered with 404" { refused "$LOGS/$NOBODY" 404 "no container $NOBODY"; }
@test "an unknown path is answered with 404 and the existing one" {
  refused /passthrough/engine/exec 404 "$LOGS/"
}
@test "another method is answered with 405 and Allow" {
  for method in POST PUT DELETE; do
    refused "$LOGS/$CONTAINER" 405 "use GET" -X "$method"
    contains "$(head_of "$LOGS/$CONTAINER" -X "$method")" "allow: get"
  done
}
@test "a plain GET is answered with 426, Upgrade, and the name of a client" {
  refused "$LOGS/$CONTAINER" 426 "rdd logs"
  contains "$(head_of "$LOGS/$CONTAINER")" "upgrade: websocket"
}
@test "a handshake with another version or without a key is rejected" {
  local upgrade=(-H 'Connection: Upgrade' -H 'Upgrade: websocket')
  refused "$LOGS/$CONTAINER" 426 "Sec-WebSocket-Version 13" "${upgrade[@]}" -H 'Sec-WebSocket-Version: 8'
  refused "$LOGS/$CONTAINER" 400 "Sec-WebSocket-Key" "${upgrade[@]}" -H 'Sec-WebSocket-Version: 13'
}
@test "a client that does not accept JSON gets the message as plain text" {
  contains "$(head_of "$LOGS/$NOBODY")" "content-type: text/plain"
  contains "$(answer "$LOGS/$NOBODY" | tail -n 1)" "no container $NOBODY"
}

@test "too many streams of one user are answered with 429 and Retry-After" {
  local most=384
  ws "$LOGS/$CONTAINER" --streams $most >/dev/null 2>"$BATS_TEST_TMPDIR/held" 3>&- &
  holder=$!
  try --max 1200 --delay 0.1 grep -q subprotocol "$BATS_TEST_TMPDIR/held"
  refused "$LOGS/$CONTAINER" 429 "too many streams are open ($most)"
  contains "$(head_of "$LOGS/$CONTAINER")" "retry-after: 10"
  kill "$(pgrep -P "$holder")" # the client, a child of the shell that runs the function
  # The permits are released.
  try "${PATIENCE[@]}" expect_status "$LOGS/$CONTAINER" 426
}

@test "while the App is stopped, logs are answered with 503 and the command that starts it" {
  kubectl patch app app --type=merge -p '{"spec":{"running":false}}'
  try "${PATIENCE[@]}" expect_status "$LOGS/$CONTAINER" 503
  refused "$LOGS/$CONTAINER" 503 '{"spec":{"running":true}}'
  contains "$(head_of "$LOGS/$CONTAINER")" "retry-after: 2"
  kubectl patch app app --type=merge -p '{"spec":{"running":true}}'
  try "${PATIENCE[@]}" expect_status "$LOGS/$CONTAINER" 426
}

@test "an unreachable engine is answered with 503, its socket, and Retry-After" {
  own_state
  ENGINE=unix://$BATS_TEST_TMPDIR/no.sock start_daemon
  try "${PATIENCE[@]}" refused "$LOGS/$NOBODY" 503 "$BATS_TEST_TMPDIR/no.sock"
  contains "$(head_of "$LOGS/$NOBODY")" "retry-after: 2"
}

@test "a backend that is not installed is answered with 501, and the App reports it" {
  own_state
  start_daemon
  kubectl patch app app --type=merge -p '{"spec":{"containerEngine":{"name":"containerd"}}}'
  kubectl wait --for='jsonpath={.status.conditions[?(@.type=="ContainerEngineReady")].reason}=BackendNotInstalled' app/app --timeout=20s
  contains "$(kubectl get app app -o 'jsonpath={.status.conditions[?(@.type=="ContainerEngineReady")]}')" containerd
  refused "$LOGS/$NOBODY" 501 '"containerd"'
  lacks "$(head_of "$LOGS/$NOBODY")" retry-after
  contains "$(rdd status)" BackendNotInstalled
}
