#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Every refusal of the log endpoint: its status, and a sentence that helps.

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
@test "a wrong token is answered with 401, whatever the path" {
  for path in "$LOGS/$CONTAINER" /passthrough/nothing /api/v1/namespaces /metrics; do
    TOKEN=$(printf '%043d' 0) refused "$path" 401 "token"
  done
}
@test "a foreign origin is answered with 403, with the flag that would allow it" {
  refused "$LOGS/$CONTAINER" 403 "--trusted-origin https://evil.example" -H 'Origin: https://evil.example'
}
@test "a foreign host is answered with 403, with the flag that would allow it" {
  refused "$LOGS/$CONTAINER" 403 "--allowed-host evil.example" -H 'Host: evil.example'
  refused /api/v1/namespaces 403 "--allowed-host evil.example" -H 'Host: evil.example'
}
@test "an ID of another form is answered with 400, with the form and who resolves names" {
  for id in ABC "${CONTAINER:0:12}" "${CONTAINER^^}" "${CONTAINER}0"; do
    refused "$LOGS/$id" 400 "rdd logs"
  done
}
@test "a bad parameter is answered with 400 by its name" {
  refused "$LOGS/$CONTAINER?tail=-1" 400 tail
  refused "$LOGS/$CONTAINER?since=yesterday" 400 "RFC 3339"
  refused "$LOGS/$CONTAINER?lines=5" 400 '"lines"; known parameters are follow, tail'
  refused "$LOGS/$CONTAINER?stdout=false&stderr=0" 400 "both false"
}
@test "a container that nobody knows is answered with 404" { refused "$LOGS/$NOBODY" 404 "no container $NOBODY"; }
@test "an unknown path is answered with 404 and the one that there is" {
  refused /passthrough/engine/exec 404 "$LOGS/"
}
@test "another method is answered with 405 and Allow" {
  for method in POST PUT DELETE; do
    refused "$LOGS/$CONTAINER" 405 "use GET" -X "$method"
    contains "$(head_of "$LOGS/$CONTAINER" -X "$method")" "allow: get"
  done
}
@test "a plain GET is answered with 426 and Upgrade, and names a client" {
  refused "$LOGS/$CONTAINER" 426 "rdd logs"
  contains "$(head_of "$LOGS/$CONTAINER")" "upgrade: websocket"
}
@test "a handshake of another version or without a key is refused" {
  local upgrade=(-H 'Connection: Upgrade' -H 'Upgrade: websocket')
  refused "$LOGS/$CONTAINER" 426 "Sec-WebSocket-Version 13" "${upgrade[@]}" -H 'Sec-WebSocket-Version: 8'
  refused "$LOGS/$CONTAINER" 400 "Sec-WebSocket-Key" "${upgrade[@]}" -H 'Sec-WebSocket-Version: 13'
}
@test "a client that does not ask for JSON gets the sentence as plain text" {
  contains "$(head_of "$LOGS/$NOBODY")" "content-type: text/plain"
  contains "$(answer "$LOGS/$NOBODY" | tail -n 1)" "no container $NOBODY"
}

@test "more streams of one user than allowed are answered with 429 and Retry-After" {
  local most=384
  ws "$LOGS/$CONTAINER" --streams $most >/dev/null 2>"$BATS_TEST_TMPDIR/held" 3>&- &
  holder=$!
  try "${PATIENCE[@]}" grep -q subprotocol "$BATS_TEST_TMPDIR/held"
  refused "$LOGS/$CONTAINER" 429 "too many streams are open ($most)"
  contains "$(head_of "$LOGS/$CONTAINER")" "retry-after: 10"
  kill "$(pgrep -P "$holder")" # the client, below the shell that holds the function
  # The places come back.
  try "${PATIENCE[@]}" expect_status "$LOGS/$CONTAINER" 426
}

@test "while the App is stopped logs are answered with 503 and the command that starts it" {
  kubectl patch app app --type=merge -p '{"spec":{"running":false}}'
  try "${PATIENCE[@]}" expect_status "$LOGS/$CONTAINER" 503
  refused "$LOGS/$CONTAINER" 503 '{"spec":{"running":true}}'
  contains "$(head_of "$LOGS/$CONTAINER")" "retry-after: 2"
  kubectl patch app app --type=merge -p '{"spec":{"running":true}}'
  try "${PATIENCE[@]}" expect_status "$LOGS/$CONTAINER" 426
}

@test "an engine that is not there is answered with 503, its socket and Retry-After" {
  own_state
  ENGINE=unix://$BATS_TEST_TMPDIR/no.sock start_daemon
  try "${PATIENCE[@]}" refused "$LOGS/$NOBODY" 503 "$BATS_TEST_TMPDIR/no.sock"
  contains "$(head_of "$LOGS/$NOBODY")" "retry-after: 2"
}

@test "a backend that is not installed is answered with 501, and the App says so" {
  own_state
  start_daemon
  kubectl patch app app --type=merge -p '{"spec":{"containerEngine":{"name":"containerd"}}}'
  kubectl wait --for='jsonpath={.status.conditions[?(@.type=="ContainerEngineReady")].reason}=BackendNotInstalled' app/app --timeout=20s
  contains "$(kubectl get app app -o 'jsonpath={.status.conditions[?(@.type=="ContainerEngineReady")]}')" containerd
  refused "$LOGS/$NOBODY" 501 '"containerd"'
  lacks "$(head_of "$LOGS/$NOBODY")" retry-after
  contains "$(rdd status)" BackendNotInstalled
}
