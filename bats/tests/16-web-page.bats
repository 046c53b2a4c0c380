#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# The web page: where it is served, signing in, and what a session may do.

load ../helpers/rdd

setup_file() { start_file; }
teardown_file() { end_file; }
teardown() { own_state && stop_daemon; }

# page: the address of the page, without a slash at its end
page() {
  local address
  address=$(field webEndpoint <"$STATE/discovery.json")
  echo "${address%/}"
}
# browse PATH [CURL OPTION…]: a request to the page's listener; prints the body, then the status
browse() { curl -s --max-time 10 -w '\n%{http_code}' "$(page)$1" "${@:2}"; }
# status_of PATH [CURL OPTION…]
status_of() { browse "$@" | tail -n 1; }
sign_in() { browse /ui/session -H 'Content-Type: application/json' -d "{\"code\": \"$1\"}"; }
new_code() {
  local link
  link=$(rdd dashboard --print)
  contains "$link" "$(page)/#code=" || return 1
  echo "${link#*#code=}"
}
# session: the token of a new session
session() { sign_in "$(new_code)" | head -n 1 | field token; }

@test "the daemon prints the address of the page, on the loopback interface, and serves its files there" {
  contains "$(cat "$STATE.log")" "web page    $(page)/"
  contains "$(page)" http://127.0.0.1:
  local file
  for file in / /ui/ /ui/page.js /ui/worker.js /ui/page.css; do
    same "$(status_of "$file" -L)" 200
  done
  contains "$(browse /ui/)" '<script type="module"'
}

@test "a link begins one session, and its token lists containers" {
  local code answer token id
  id=$(container rdd-test sleep 600)
  mirrored "$id"
  code=$(new_code)
  answer=$(sign_in "$code")
  same "$(tail -n 1 <<<"$answer")" 201
  token=$(head -n 1 <<<"$answer" | field token)
  contains "$(browse "/apis/containers.rancherdesktop.io/v1alpha1/namespaces/$NAMESPACE/containers" -H "Authorization: Bearer $token")" "$id"
  answer=$(sign_in "$code")
  same "$(tail -n 1 <<<"$answer")" 401
  contains "$answer" "used before"
}

@test "nothing but the page's files is served without a session" {
  same "$(status_of /api)" 401
  same "$(status_of /metrics)" 401
  same "$(status_of "$LOGS/$NOBODY")" 401
  same "$(status_of /ui/codes -X POST)" 401
  same "$(status_of /ui/sessions -X DELETE)" 401
}

@test "another host or origin is refused" {
  same "$(status_of /ui/ -H 'Host: evil.example')" 403
  same "$(status_of /ui/ -H 'Host: 127.0.0.1')" 403
  same "$(status_of /ui/session -H 'Origin: http://evil.example' -d '{}')" 403
}

@test "a session reads a log over a WebSocket of the page's listener, until it is revoked" {
  local id token url output
  id=$(container rdd-test sh -c 'echo a line; sleep 600')
  mirrored "$id"
  token=$(session)
  echo "$token" >"$BATS_TEST_TMPDIR/token"
  url=$(page)$LOGS/$id
  output=$BATS_TEST_TMPDIR/output
  "$WEBSOCKETS" "$HELPERS/ws.py" "${url/http/ws}" --token-file "$BATS_TEST_TMPDIR/token" >"$output" 2>"$output.err" 3>&- &
  local reader=$!
  try "${PATIENCE[@]}" grep -q "a line" "$output"
  rdd dashboard --revoke
  try "${PATIENCE[@]}" ended "$reader"
  same "$(status_of /api -H "Authorization: Bearer $token")" 401
}

@test "without a page there is no listener, and the command that opens it says so" {
  own_state
  start_daemon --no-web
  lacks "$(cat "$STATE.log")" "web page"
  lacks "$(cat "$STATE/discovery.json")" webEndpoint
  run -1 rdd dashboard --print
  contains "$output" "start it without --no-web"
  expect_status /ui/ 404
}

@test "the page is never served on another address" {
  run -2 rdd serve --web 0.0.0.0:0
  contains "$output" loopback
}

@test "neither a code nor a token is logged" {
  local code token
  code=$(new_code)
  token=$(sign_in "$code" | head -n 1 | field token)
  status_of /api -H "Authorization: Bearer $token"
  lacks "$(cat "$STATE.log")" "$code"
  lacks "$(cat "$STATE.log")" "$token"
}
