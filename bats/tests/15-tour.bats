#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# The tour of README.md, as it is written there.

load ../helpers/rdd

setup_file() { start_file; }
teardown_file() {
  docker rm -f hello >/dev/null 2>&1 || true
  stop_daemon
}

# commands: what the tour types, one a line.
commands() { sed -n '/^## A tour/,/^## Commands/s/^    \$ //p' "$ROOT/README.md"; }

@test "every command of the tour succeeds, in its order" {
  docker rm -f hello >/dev/null 2>&1 || true
  export RDD_KUBECTL=$RDD_TEST_KUBECTL
  [ "$(commands | wc -l)" -ge 8 ]
  while read -r line; do
    echo "\$ $line"
    case $line in
      # A person types slower than the mirror is.
      rdd*) try "${PATIENCE[@]}" eval "$line" ;;
      *) eval "$line" ;;
    esac
  done < <(commands)
  # It ends with the container's end.
  run -1 docker inspect hello
}

@test "what make engine prints can be exported" {
  local socket=${RDD_TEST_DOCKER_HOST#unix://}
  # The engine of the tests runs, so that nothing is started.
  line=$(RDD_ENGINE_DIR=${socket%/*} make --no-print-directory -C "$ROOT" engine)
  same "$line" "DOCKER_HOST=$RDD_TEST_DOCKER_HOST"
}
