#!/usr/bin/env bats
# shellcheck disable=SC2154 # bats sets stderr
bats_require_minimum_version 1.5.0
# The examples of docs/passthrough.md, as they are written there.

load ../helpers/rdd

setup_file() { start_file; }
teardown_file() { end_file; }

# block LANGUAGE NUMBER: so many-th code block in this language.
block() { awk -v begin="\`\`\`$1" -v want="$2" '$0 == begin { n++; inside = 1; next } /^```/ { inside = 0 } inside && n == want' "$ROOT/docs/passthrough.md"; }

# setup_example: the container of the examples, and what their first lines set.
setup_example() {
  docker rm -f hello >/dev/null 2>&1 || true
  local id
  id=$(container --name hello rdd-test sh -c 'echo out; echo err >&2')
  mirrored "$id" exited
  # The examples call kubectl by way of ctl.
  export RDD_KUBECTL=$RDD_TEST_KUBECTL
  eval "$(block sh 1)"
  same "$ID" "$id"
}

@test "the curl example answers as its comments say" {
  setup_example
  eval "$(block sh 2)" >"$BATS_TEST_TMPDIR/out"
  same "$(grep -o '([0-9]*)$' "$BATS_TEST_TMPDIR/out" | tr '\n' ' ')" "(426) (400) (400) (404) (403) (400) "
  # Each comment is the beginning of its answer.
  block sh 2 | sed -n 's/.*# \([^…]*\).*/\1/p' | while read -r words; do
    case $words in
      'the same as'*) grep -q '"kind":"Status"' "$BATS_TEST_TMPDIR/out" ;;
      *) grep -qF "$words" "$BATS_TEST_TMPDIR/out" ;;
    esac || { echo "not answered: $words"; cat "$BATS_TEST_TMPDIR/out"; return 1; }
  done
}

@test "the Python example prints the log and why it ended" {
  setup_example
  block python 1 >"$BATS_TEST_TMPDIR/example.py"
  # It follows, and ends with the container, which has ended.
  run -0 --separate-stderr "${WEBSOCKETS:-$("$ROOT/scripts/websockets")}" "$BATS_TEST_TMPDIR/example.py"
  contains "$output" out
  contains "$output" err
  contains "$stderr" "closed: 1000 the log ended"
}

@test "the Node example tells the streams apart" {
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
