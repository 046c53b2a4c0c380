#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# The tour of README.md, verbatim.

load ../helpers/rdd

setup_file() { start_file; }
teardown_file() {
  docker rm -f hello >/dev/null 2>&1 || true
  stop_daemon
}

# commands: the commands of the tour, one per line
commands() { sed -n '/^## A tour/,/^## Commands/s/^    \$ //p' "$ROOT/README.md"; }

@test "all commands of the tour succeed in order" {
  docker rm -f hello >/dev/null 2>&1 || true
  export RDD_KUBECTL=$RDD_TEST_KUBECTL
  [ "$(commands | wc -l)" -ge 8 ]
  while read -r line; do
    echo "\$ $line"
    case $line in
      # A person types more slowly than the mirror works.
      rdd*) try "${PATIENCE[@]}" eval "$line" ;;
      *) eval "$line" ;;
    esac
  done < <(commands)
  # It ends when the container ends.
  run -1 docker inspect hello
}

@test "the output of make engine can be exported" {
  local socket=${RDD_TEST_DOCKER_HOST#unix://}
  # The engine of the tests is running, so nothing is started.
  line=$(RDD_ENGINE_DIR=${socket%/*} make --no-print-directory -C "$ROOT" engine)
  same "$line" "DOCKER_HOST=$RDD_TEST_DOCKER_HOST"
}
