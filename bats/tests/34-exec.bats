#!/usr/bin/env bats
# shellcheck disable=SC2016 # the scripts are for the containers' shells
# shellcheck disable=SC2154 # bats sets stderr
bats_require_minimum_version 1.5.0
# rdd exec, and the exec endpoint with clients that share no code with rdd.

load ../helpers/rdd

EXEC=/passthrough/engine/exec

setup_file() {
  start_file
  WEBSOCKETS=$("$ROOT/scripts/websockets")
  NAME=$(unique box)
  BOX=$(container --name "$NAME" --env OF=container rdd-test sleep 100000)
  export WEBSOCKETS NAME BOX
  mirrored "$BOX"
}
teardown_file() { end_file; }
teardown() { [ ! -e "$BATS_TEST_TMPDIR/own.pid" ] || { own_state && stop_daemon; }; }

# execute QUERY [OPTION…]: the independent client, in $BOX
execute() {
  "$WEBSOCKETS" "$HELPERS/exec.py" --ca "$STATE/tls/ca.crt" --token-file "$STATE/token" \
    "$(server | sed s/^http/ws/)$EXEC/$BOX?$1" "${@:2}"
}
# running WORDS: whether a process of $BOX has these words in its command line
running() { docker top "$BOX" -o pid,args | grep -qF -- "$1"; }
not_running() { fails running "$1"; }
megabytes() { head -c "${1}000000" /dev/urandom; }

@test "the output, the errors, and the exit code are those of docker exec" {
  for script in 'echo out; echo err >&2' 'exit 3' 'kill -9 $$' 'printf "no newline\377"' 'exit 255'; do
    local code=0
    docker exec "$NAME" sh -c "$script" >"$BATS_TEST_TMPDIR/docker.out" 2>"$BATS_TEST_TMPDIR/docker.err" || code=$?
    run -"$code" rdd exec "$NAME" sh -c "$script"
    rdd exec "$NAME" sh -c "$script" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || true
    cmp "$BATS_TEST_TMPDIR/docker.out" "$BATS_TEST_TMPDIR/out"
    cmp "$BATS_TEST_TMPDIR/docker.err" "$BATS_TEST_TMPDIR/err"
  done
}

@test "a container is found by its name, its ID, and a unique prefix; an unknown one is rejected" {
  for text in "$NAME" "/$NAME" "$BOX" "${BOX:0:20}"; do
    same "$(rdd exec "$text" hostname)" "${BOX:0:12}"
  done
  run -1 rdd exec nobody-of-this-name ls
  contains "$output" '"nobody-of-this-name"'
}

@test "a command that cannot be run is 127 or 126 with the engine's message on standard error" {
  run -127 --separate-stderr rdd exec "$NAME" nonesuch
  same "$output" ''
  contains "$stderr" '"nonesuch": executable file not found'
  run -126 --separate-stderr rdd exec "$NAME" /etc
  contains "$stderr" 'permission denied'
}

@test "--user, --workdir, and --env work as in docker exec" {
  same "$(rdd exec -u 12:34 "$NAME" id)" "$(docker exec -u 12:34 "$NAME" id)"
  same "$(rdd exec -w /tmp "$NAME" pwd)" /tmp
  export OF_CALLER='a b'
  same "$(rdd exec -e A=b=c -e OF_CALLER -e NOT_SET_ANYWHERE "$NAME" sh -c 'echo "$A $OF $OF_CALLER ${NOT_SET_ANYWHERE-unset}"')" \
    'b=c container a b unset'
  same "$(rdd exec "$NAME" printf '<%s>' -e -u -- '-i *')" '<-e><-u><--><-i *>'
}

@test "-i connects a pipe; without it, the process has no input" {
  same "$(echo x | rdd exec -i "$NAME" cat)" x
  same "$(echo x | rdd exec "$NAME" cat)" ''
  # The end of the input is seen, and the output goes on.
  same "$(printf 'one\ntwo\n' | rdd exec -i "$NAME" sh -c 'wc -l; sleep 0.2; echo after')" $'2\nafter'
}

@test "10 MB pass through cat unchanged" {
  megabytes 10 >"$BATS_TEST_TMPDIR/want"
  rdd exec -i "$NAME" cat <"$BATS_TEST_TMPDIR/want" >"$BATS_TEST_TMPDIR/have"
  cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/have"
}

@test "a process that does not read its input ends all the same" {
  megabytes 10 >"$BATS_TEST_TMPDIR/input"
  same "$(rdd exec -i "$NAME" echo unread <"$BATS_TEST_TMPDIR/input")" unread
  run -7 rdd exec -i "$NAME" sh -c 'sleep 0.5; exit 7' <"$BATS_TEST_TMPDIR/input"
}

@test "a reader that closes the pipe ends the command silently" {
  same "$(rdd exec "$NAME" yes 2>"$BATS_TEST_TMPDIR/err" | head -n 1; echo "${PIPESTATUS[0]}")" $'y\n141'
  same "$(cat "$BATS_TEST_TMPDIR/err")" ''
}

@test "the exit code may come long after the end of the output" {
  local begun
  begun=$(millis)
  run -5 rdd exec "$NAME" sh -c 'exec >/dev/null 2>&1; sleep 2; exit 5'
  [ $(($(millis) - begun)) -ge 2000 ]
}

# The engine sets the size soon after the start.
# A terminal has no size until it was sent: busybox then prints nothing, and succeeds.
SIZE='until stty size 2>/dev/null | grep .; do sleep 0.1; done'

@test "-t runs the process on a terminal of this terminal's size, and restores its mode" {
  local command="stty rows 33 cols 101; stty -g >'$BATS_TEST_TMPDIR/before'
    '$RDD_TEST_BIN' --state-dir '$STATE' exec -it $NAME sh -c 'tty; $SIZE; exit 9'; echo \"code \$?\"
    stty -g >'$BATS_TEST_TMPDIR/after'"
  on_terminal sh -c "$command" >"$BATS_TEST_TMPDIR/out"
  contains "$(cat "$BATS_TEST_TMPDIR/out")" /dev/pts/
  contains "$(cat "$BATS_TEST_TMPDIR/out")" '33 101'
  contains "$(cat "$BATS_TEST_TMPDIR/out")" 'code 9'
  cmp "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
}

# A terminal in Python: runs `rdd exec -it` with the script, and calls `act`, which
# has the functions of the terminal, and the modes of the terminal before and after.
terminal() {
  STATE=$STATE NAME=$NAME ACT=$2 python3 - "$1" <<'PYTHON'
import os, pty, signal, struct, subprocess, sys, termios, fcntl, time

main, side = pty.openpty()
fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
before = termios.tcgetattr(side)
process = subprocess.Popen(
    [os.environ["RDD_TEST_BIN"], "--state-dir", os.environ["STATE"], "exec", "-it", os.environ["NAME"], "sh", "-c", sys.argv[1]],
    stdin=side, stdout=side, stderr=side, start_new_session=True,
    preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
)
seen = b""

def expect(words):
    global seen
    deadline = time.monotonic() + 30
    os.set_blocking(main, False)
    while words not in seen:
        assert time.monotonic() < deadline, (words, seen)
        try:
            seen += os.read(main, 4096)
        except BlockingIOError:
            time.sleep(0.02)
    seen = seen.split(words, 1)[1]

def type_keys(keys):
    os.write(main, keys)

def resize(rows, columns):
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

exec(os.environ["ACT"])
code = process.wait(timeout=30)
assert termios.tcgetattr(side) == before, "the mode of the terminal was not restored"
print("code", code)
PYTHON
}

@test "keys go to the process, Ctrl-C and Ctrl-D included" {
  same "$(terminal 'trap "echo caught" INT; echo ready; until read line && [ -n "$line" ]; do :; done; echo "<$line>"; cat; exit 4' \
    'expect(b"ready"); type_keys(b"\x03"); expect(b"caught"); type_keys(b"a line\r"); expect(b"<a line>"); type_keys(b"\x04")')" 'code 4'
}

@test "the terminal of the process follows the size of this one" {
  same "$(terminal "$SIZE; "'until [ "$(stty size)" = "40 120" ]; do sleep 0.1; done; stty size' \
    'expect(b"24 80"); resize(40, 120); expect(b"40 120")')" 'code 0'
}

@test "a signal ends the command on a raw terminal with 128 plus its number, and restores the mode" {
  for signal in HUP:129 INT:130 QUIT:131 TERM:143; do
    same "$(terminal 'echo ready; exec sleep 1000' \
      "expect(b'ready'); process.send_signal(signal.SIG${signal%:*})")" "code ${signal#*:}"
  done
}

@test "-it without a terminal is docker's error; -t alone is not" {
  run -1 rdd exec -it "$NAME" true </dev/null
  contains "$output" 'the input device is not a TTY'
  contains "$(rdd exec -t "$NAME" tty </dev/null)" /dev/pts/
}

@test "a signal without -t ends the command, and standard input of the process ends" {
  mkfifo "$BATS_TEST_TMPDIR/pipe"
  "$RDD_TEST_BIN" --state-dir "$STATE" exec -i "$NAME" sh -c 'echo ready; cat; : interrupted' \
    <"$BATS_TEST_TMPDIR/pipe" >"$BATS_TEST_TMPDIR/out" 3>&- &
  local client=$! status=0
  exec 5>"$BATS_TEST_TMPDIR/pipe"
  try "${PATIENCE[@]}" grep -q ready "$BATS_TEST_TMPDIR/out"
  running ': interrupted'
  # A job in the background ignores SIGINT.
  kill -TERM "$client"
  wait "$client" || status=$?
  exec 5>&-
  same "$status" 143
  try "${PATIENCE[@]}" not_running ': interrupted'
}

@test "a client that vanishes ends standard input of the process" {
  mkfifo "$BATS_TEST_TMPDIR/pipe"
  exec 5<>"$BATS_TEST_TMPDIR/pipe"
  run -1 execute 'command=sh&command=-c&command=echo+ready;cat;:+vanished&stdin=true&stdout=true' \
    --subprotocol v5.channel.k8s.io --leave-after 6 <"$BATS_TEST_TMPDIR/pipe"
  contains "$output" ready
  exec 5>&-
  try "${PATIENCE[@]}" not_running ': vanished'
}

@test "a stopped, a paused, and an unknown container are refused before the upgrade" {
  local stopped paused
  stopped=$(container rdd-test true)
  paused=$(container rdd-test sleep 100000)
  docker pause "$paused"
  mirrored "$stopped" exited
  mirrored "$paused" paused
  run -1 rdd exec "$stopped" ls
  contains "$output" 'is not running (409'
  run -1 rdd exec "$paused" ls
  contains "$output" 'is paused'
  contains "$output" '(409'
  docker unpause "$paused"
  refused "$EXEC/$NOBODY?command=ls" 404 "no container $NOBODY"
  refused "$EXEC/$stopped?command=ls" 409 'not running'
}

@test "each invalid request is answered with its status, and starts nothing" {
  refused "$EXEC/$NAME?command=ls" 400 'not a full container ID'
  refused "$EXEC/$BOX" 400 'no parameter command'
  refused "$EXEC/$BOX?command=ls&color=red" 400 'known parameters are command, stdin'
  refused "$EXEC/$BOX?command=ls&env=A" 400 NAME=VALUE
  refused "$EXEC/$BOX?command=ls" 405 'use GET' -X POST
  TOKEN=wrong refused "$EXEC/$BOX?command=ls" 401 token
  refused "$EXEC/$BOX?command=ls" 403 --trusted-origin -H 'Origin: https://evil.example'
  refused "$EXEC/$BOX?command=touch&command=/tmp/started" 426 WebSocket
  run -1 docker exec "$BOX" ls /tmp/started
}

@test "discovery lists the endpoint" {
  same "$(kubectl -n rdd-system get configmap rdd-controller-manager -o 'jsonpath={.data.rdd}' |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["enabledPassthroughs"]["engine"])')" "['exec', 'logs']"
}

@test "v5 and v4 have Kubernetes' channels, no subprotocol has the exit code in the reason" {
  local script='command=sh&command=-c&command=echo+out;echo+err+%3E%262;exit+3&stdout=true&stderr=true' dir=$BATS_TEST_TMPDIR
  for subprotocol in v5.channel.k8s.io v4.channel.k8s.io; do
    execute "$script" --subprotocol "$subprotocol" >"$dir/out" 2>"$dir/end" </dev/null
    same "$(cat "$dir/out")" out
    grep -qx "subprotocol $subprotocol" "$dir/end"
    grep -qxF 'stderr "err\n"' "$dir/end"
    grep -q '^status .*"reason":"NonZeroExitCode","details":{"causes":\[{"reason":"ExitCode","message":"3"}\]}' "$dir/end"
    grep -qx 'closed 1000 exit code 3' "$dir/end"
    execute 'command=true&stdout=true' --subprotocol "$subprotocol" 2>"$dir/end" </dev/null
    grep -qxF 'status {"metadata":{},"status":"Success"}' "$dir/end"
  done
  execute "$script" >"$dir/out" 2>"$dir/end" </dev/null
  same "$(sort "$dir/out")" $'err\nout'
  grep -qx 'subprotocol none' "$dir/end"
  grep -qx 'closed 1000 exit code 3' "$dir/end"
}

@test "the independent client sends 10 MB through cat, and a size" {
  megabytes 10 >"$BATS_TEST_TMPDIR/want"
  execute 'command=cat&stdin=true&stdout=true' --subprotocol v5.channel.k8s.io \
    <"$BATS_TEST_TMPDIR/want" >"$BATS_TEST_TMPDIR/have"
  cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/have"
  same "$(execute 'command=sh&command=-c&command=until+%5B+%22%24(stty+size+2%3E/dev/null)%22+%3D+%2250+132%22+%5D;do+sleep+0.1;done;stty+size&stdin=true&stdout=true&tty=true' \
    --subprotocol v4.channel.k8s.io --size 132x50 </dev/null 2>/dev/null | tr -d '\r')" '50 132'
}

@test "the client of @kubernetes/client-node attaches to a container" {
  command -v npm >/dev/null || skip "takes Node and npm"
  cd "$BATS_TEST_TMPDIR"
  npm install --silent --no-fund --no-audit @kubernetes/client-node@1 >&2
  export STATUS_FILE=$BATS_TEST_TMPDIR/status
  run -0 --separate-stderr node "$HELPERS/kubernetes_exec.mjs" "$STATE/kubeconfig" "$BOX" \
    sh -c 'tr a-z A-Z; echo err >&2; exit 3' <<<'from node'
  same "$output" 'FROM NODE'
  contains "$stderr" 'subprotocol v5.channel.k8s.io'
  contains "$stderr" err
  contains "$(cat "$STATUS_FILE")" '"causes":[{"reason":"ExitCode","message":"3"}]'
}

@test "the end of the container is the exit code of its processes" {
  local id
  id=$(container rdd-test sleep 100000)
  mirrored "$id"
  rdd exec "$id" sh -c 'echo ready; exec sleep 1000' >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  local client=$! status=0
  try "${PATIENCE[@]}" grep -q ready "$BATS_TEST_TMPDIR/out"
  docker kill "$id"
  wait "$client" || status=$?
  same "$status" 137
}

@test "with --read-only, nothing is run" {
  own_state
  start_daemon --read-only
  connected
  run -1 rdd exec "$NAME" touch /tmp/read-only
  contains "$output" '(403 Forbidden)'
  contains "$output" '--read-only'
  refused "$EXEC/$BOX?command=ls" 403 '--read-only'
  run -1 docker exec "$BOX" ls /tmp/read-only
}

@test "SIGTERM disconnects processes with 1001, and the daemon exits within 10 s" {
  own_state
  start_daemon
  connected
  mirrored "$BOX"
  local begun status=0 client pid
  rdd exec "$NAME" sh -c 'echo ready; exec sleep 1000' >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
  client=$!
  try "${PATIENCE[@]}" grep -q ready "$BATS_TEST_TMPDIR/out"
  pid=$(daemon_pid)
  begun=$(millis)
  kill -TERM "$pid"
  wait "$client" || status=$?
  same "$status" 1
  contains "$(cat "$BATS_TEST_TMPDIR/err")" 'the daemon is shutting down (1001); the process may still run'
  wait "$pid"
  [ $(($(millis) - begun)) -lt 10000 ]
}

@test "the Python example of the documentation runs" {
  awk '$0 == "```python" { n++; inside = 1; next } /^```/ { inside = 0 } inside && n == 2' \
    "$ROOT/docs/passthrough.md" >"$BATS_TEST_TMPDIR/example.py"
  LOGS=$(server)$LOGS DIR=$STATE ID=$BOX run -0 --separate-stderr "$WEBSOCKETS" "$BATS_TEST_TMPDIR/example.py"
  same "$output" HELLO
  contains "$stderr" Success
  contains "$stderr" 'closed: 1000 exit code 0'
}
