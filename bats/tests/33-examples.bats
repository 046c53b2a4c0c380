#!/usr/bin/env bats
# shellcheck disable=SC2154 # bats sets stderr
bats_require_minimum_version 1.5.0
# The examples of docs/passthrough.md, verbatim.

load ../helpers/rdd

setup_file() { start_file; }
teardown_file() { end_file; }

# block LANGUAGE NUMBER: the NUMBER-th code block in this language
block() { awk -v begin="\`\`\`$1" -v want="$2" '$0 == begin { n++; inside = 1; next } /^```/ { inside = 0 } inside && n == want' "$ROOT/docs/passthrough.md"; }

# setup_example: starts the container of the examples and runs their first lines.
setup_example() {
  docker rm -f hello >/dev/null 2>&1 || true
  local id
  id=$(container --name hello rdd-test sh -c 'echo out; echo err >&2')
  mirrored "$id" exited
  # The examples run kubectl through rdd ctl.
  export RDD_KUBECTL=$RDD_TEST_KUBECTL
  eval "$(block sh 1)"
  same "$ID" "$id"
}

@test "the curl example prints what its comments say" {
  setup_example
  eval "$(block sh 2)" >"$BATS_TEST_TMPDIR/out"
  same "$(grep -o '([0-9]*)$' "$BATS_TEST_TMPDIR/out" | tr '\n' ' ')" "(426) (400) (400) (404) (403) (400) "
  # Each comment is the beginning of the response.
  block sh 2 | sed -n 's/.*# \([^…]*\).*/\1/p' | while read -r words; do
    case $words in
      'the same as'*) grep -q '"kind":"Status"' "$BATS_TEST_TMPDIR/out" ;;
      *) grep -qF "$words" "$BATS_TEST_TMPDIR/out" ;;
    esac || { echo "not answered: $words"; cat "$BATS_TEST_TMPDIR/out"; return 1; }
  done
}

@test "the Python example prints the log and the close reason" {
  setup_example
  block python 1 >"$BATS_TEST_TMPDIR/example.py"
  # It follows the log of a container that has stopped, so it ends.
  run -0 --separate-stderr "${WEBSOCKETS:-$("$ROOT/scripts/websockets")}" "$BATS_TEST_TMPDIR/example.py"
  contains "$output" out
  contains "$output" err
  contains "$stderr" "closed: 1000 the log ended"
}

@test "the Node example separates the streams" {
  command -v npm >/dev/null || skip "takes Node and npm"
  setup_example
  cd "$BATS_TEST_TMPDIR"
  npm install --silent --no-fund --no-audit ws >&2
  block js 1 >example.mjs
  run -0 --separate-stderr node example.mjs
  same "$output" out
  contains "$stderr" err
  contains "$stderr" "closed: 1000 the log ended"
}
