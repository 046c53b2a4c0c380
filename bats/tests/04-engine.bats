#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# The private engine of scripts/engine must leave its machine unchanged. The machine
# here consists of namespaces, so a failure does not affect the real one.

load ../helpers/rdd

ENGINE_SCRIPT=$ROOT/scripts/engine

setup() {
  DIR=$BATS_TEST_TMPDIR/engine OTHER=$BATS_TEST_TMPDIR/other
  as_root unshare --net --mount --pid --fork --kill-child --mount-proc \
    bash -c 'sleep infinity; :' 3>&- & # a shell, which collects orphans as an init process does
  MACHINE_KEEPER=$!
  MACHINE=$(try "${PATIENCE[@]}" machine_process)
  on_machine "$(command -v ip || echo /bin/busybox ip)" link add docker0 type bridge
  on_machine mount -n -t tmpfs tmpfs /run
  on_machine mount -n -t tmpfs tmpfs /etc/docker 2>/dev/null || true # if it exists
  on_machine mount -n -t tmpfs tmpfs /opt
  BEFORE=$(machine)
  contains "$BEFORE" docker0
}
teardown() {
  # Ending the first process of the PID namespace ends all of it.
  as_root kill -KILL "${MACHINE:-$MACHINE_KEEPER}"
  wait "$MACHINE_KEEPER" || true
  for dir in "$DIR" "$OTHER"; do RDD_ENGINE_DIR=$dir "$ENGINE_SCRIPT" clean; done
}
# The process started above is sudo or unshare; the machine's first process is its second to last descendant.
machine_process() {
  local process=$MACHINE_KEEPER child parent=
  while child=$(pgrep -P "$process"); do parent=$process process=$child; done
  same "$(tr '\0' ' ' <"/proc/$process/cmdline")" "sleep infinity " && echo "$parent"
}
on_machine() { as_root nsenter --target "$MACHINE" --net --mount --pid -- "$@"; }
engine() { on_machine env RDD_ENGINE_DIR="$DIR" "$ENGINE_SCRIPT" "$@" 3>&-; }
other() { DIR=$OTHER engine "$@"; }
docker_of() { on_machine docker -H "unix://$1/docker.sock" "${@:2}"; }

# Everything on a machine that an engine is known to change.
machine() {
  # shellcheck disable=SC2016 # expanded by the machine's shell
  on_machine bash -c '
    PATH=$PATH:/usr/sbin:/sbin
    /bin/busybox ip link
    /bin/busybox ip route
    ! command -v iptables-save >/dev/null || iptables-save | grep -v "^#"
    ! command -v nft >/dev/null || nft list ruleset
    grep -r . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/bridge /proc/sys/kernel/keys 2>/dev/null
    cut -d" " -f4- /proc/self/mountinfo | grep -v -e /overlay2/ -e /netns/ # these change on the real machine
    grep -e "$2" /proc/self/mountinfo
    find /run /etc/docker /opt
    find /sys/fs/cgroup -type d -name "$1"
    pgrep -fa "dockerd|containerd|unshare|engine-run|sleep 4321" | grep -v "bash -c"
  ' _ "$(cgroup_of "$DIR")" "$BATS_TEST_TMPDIR" || true # pgrep fails if it finds nothing
}
cgroup_of() { echo "rdd-engine-$(printf %s "$1" | cksum | cut -d' ' -f1)"; }
unchanged() { diff <(echo "$BEFORE") <(machine); }

# busy DIR: creates containers in all relevant states, and a network with a published port.
busy() {
  docker_of "$1" network create some
  docker_of "$1" run -d --network some -p 127.0.0.1:8080:80 --stop-timeout 0 rdd-test sleep 4321
  docker_of "$1" run -d --network none --stop-timeout 0 --name paused rdd-test sleep 4321
  docker_of "$1" pause paused
}
running_in() { docker_of "$1" ps -q | wc -l; }
process_of() { on_machine pgrep -f "^$1 .*$DIR"; }

@test "an engine that is started, used, and stopped leaves the machine unchanged" {
  engine start
  busy "$DIR"
  # The engine is visible to this check; otherwise the test could not fail.
  contains "$(on_machine find /sys/fs/cgroup -type d -name "$(cgroup_of "$DIR")")" rdd-engine
  engine stop
  unchanged
  # It was stopped properly and keeps its containers.
  engine start
  same "$(docker_of "$DIR" ps -aq | wc -l)" 2
  engine clean
  unchanged
  [ ! -e "$DIR" ]
}

@test "an engine that is killed leaves the machine unchanged, and starts again" {
  for victim in dockerd unshare "bash .*/engine-run"; do
    echo "killing $victim"
    engine start
    busy "$DIR" # a paused container cannot be killed until it is thawed
    process=$(process_of "$victim" | head -n 1)
    on_machine kill -KILL "$process"
    case $victim in
      dockerd) try "${PATIENCE[@]}" unchanged ;;
      # Nothing is left to clean up after these; the next command does it.
      *) engine kill; engine start; engine stop; unchanged ;;
    esac
    engine clean
  done
}

@test "kill ends the engine with its containers and leaves the machine unchanged" {
  engine start
  busy "$DIR"
  engine kill
  unchanged
  engine start
  same "$(docker_of "$DIR" ps -aq --filter status=exited | wc -l)" 2
}

@test "engines run side by side without affecting each other" {
  engine start
  other start
  busy "$DIR"
  busy "$OTHER" # the same names, the same port
  engine kill
  same "$(running_in "$OTHER")" 2
  engine start
  engine clean
  same "$(running_in "$OTHER")" 2
  other stop
  unchanged
}

@test "the engine uses neither the machine's containerd nor its daemon.json" {
  on_machine mkdir -p /run/containerd /etc/docker
  on_machine touch /run/containerd/containerd.sock # an engine that finds it would use it
  ! on_machine test -d /etc/docker || on_machine bash -c 'echo "{\"hosts\": [\"fd://\"]}" >/etc/docker/daemon.json'
  BEFORE=$(machine)
  engine start
  busy "$DIR"
  engine stop
  unchanged
}

@test "two concurrent starts start one engine" {
  engine start >"$BATS_TEST_TMPDIR/first" &
  engine start >"$BATS_TEST_TMPDIR/second"
  wait $!
  cmp "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second"
  same "$(process_of dockerd | wc -l)" 1
}

# It creates the log, then other files: "ls" shows the moment between the two looks at the directory.
@test "a start succeeds while another one fills the directory" {
  mkdir "$DIR" "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\ntouch "%s/dockerd.log" "%s/daemon.json"\nexec /bin/ls "$@"\n' "$DIR" "$DIR" >"$BATS_TEST_TMPDIR/bin/ls"
  chmod +x "$BATS_TEST_TMPDIR/bin/ls"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH engine start
}

@test "a start that another one overtook does not start an engine later" {
  engine start
  on_machine "$ENGINE_SCRIPT-run" "$DIR" "$(id -gn)" "$(cgroup_of "$DIR")" >"$BATS_TEST_TMPDIR/overtaken" 3>&- &
  local overtaken=$! status=0
  try "${PATIENCE[@]}" grep "in use by another engine" "$BATS_TEST_TMPDIR/overtaken"
  run -0 engine stop
  same "$output" "" # it need not be killed
  unchanged
  wait "$overtaken" || status=$?
  same "$status" 1
}

@test "clean deletes what an interrupted clean left" {
  engine start
  engine stop
  mkdir "$BATS_TEST_TMPDIR/bin"
  # Deletes all files before it fails, as rm does if it reads the directories last.
  printf '#!/bin/sh\nshift 2\nfind "$@" -type f -delete\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/rm"
  chmod +x "$BATS_TEST_TMPDIR/bin/rm"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH run -1 engine clean
  [ -d "$DIR" ]
  engine clean
  [ ! -e "$DIR" ]
}

@test "an engine that cannot start is reported with the end of its log" {
  mkdir "$DIR"
  touch "$DIR/lock" # makes it an engine's directory
  touch "$DIR/data" # in place of a directory
  run -1 engine start
  contains "$output" "the engine did not start"
  contains "$output" "$DIR/data"
  unchanged
}

@test "a directory with other contents is neither used nor deleted" {
  mkdir "$DIR"
  echo mine >"$DIR/file"
  run -1 engine start
  contains "$output" "choose another directory with RDD_ENGINE_DIR"
  run -1 engine clean
  contains "$output" "nothing in it was deleted"
  same "$(cat "$DIR/file")" mine
  rm "$DIR/file"
}
