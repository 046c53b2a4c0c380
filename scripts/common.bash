# shellcheck shell=bash
# What the scripts have in common. Messages begin with the name of the script.

# Tools that the machine lacks are kept here.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/rdd

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# machine_has COMMAND: prints where the machine has it. With RDD_FETCH_TOOLS=1 no
# machine has anything, so that continuous integration sees what a fresh one sees.
machine_has() { [ -z "${RDD_FETCH_TOOLS:-}" ] && command -v "$1"; }

# apt_install PACKAGE…: installs Debian packages; fails where that is not possible.
apt_install() {
  command -v apt-get >/dev/null || return 1
  say "${0##*/}: installing $*"
  as_root env DEBIAN_FRONTEND=noninteractive bash -c \
    'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"' _ "$@" >&2
}

# fetch_once PATH COMMAND…: makes PATH, unless it is there, by a command that is given
# a directory beside it to work in and leaves its work there as `done`. What was
# interrupted half-way is never taken for the whole.
fetch_once() {
  local path=$1 work status=0
  shift
  [ ! -e "$path" ] || return 0
  mkdir -p "${path%/*}"
  work=$(mktemp -d "$path.XXXXXX")
  # -T: somebody else may have been faster, and then this is not to end up inside.
  "$@" "$work" >&2 && { mv -T "$work/done" "$path" 2>/dev/null || [ -e "$path" ]; } || status=$?
  rm -rf "$work"
  return "$status"
}

# A Python with pip: the machine's, or one in a virtual environment, for which
# Debian has a package of its own. Prints its path.
python_with_pip() {
  command -v python3 >/dev/null || apt_install python3 python3-venv || die "needs Python 3.9 or newer: install python3 with pip, then try again"
  if python3 -m pip --version >/dev/null 2>&1; then
    command -v python3
    return
  fi
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv || die "needs pip: install it for $(command -v python3), then try again"
  fetch_once "$cache/pip" make_pip || die "could not make a virtual environment with pip in $cache"
  printf '%s\n' "$cache/pip/bin/python"
}
make_pip() { python3 -m venv "$1/done"; }
