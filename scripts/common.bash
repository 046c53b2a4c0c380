# shellcheck shell=bash
# Shared functions of the scripts. Messages begin with the name of the script.

# Downloaded tools are kept here.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/rdd

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# machine_has COMMAND: prints the command's path. With RDD_FETCH_TOOLS=1 it finds
# nothing, so that continuous integration behaves as on a new machine.
machine_has() { [ -z "${RDD_FETCH_TOOLS:-}" ] && command -v "$1"; }

# apt_install PACKAGE…: installs Debian packages; fails if that is not possible.
apt_install() {
  command -v apt-get >/dev/null || return 1
  say "${0##*/}: installing $*"
  as_root env DEBIAN_FRONTEND=noninteractive bash -c \
    'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"' _ "$@" >&2
}

# Debian's packages for backends in C as components.
# shellcheck disable=SC2034 # used by scripts that include this one
wasm_clang_packages=(clang lld wasi-libc libclang-rt-dev-wasm32)

# Whether clang can compile and link a component that uses the C library.
has_wasm_clang() {
  printf '#include <stdlib.h>\nvoid *f(void);\nvoid *f(void) { return malloc(1); }\n' |
    clang --target=wasm32-wasi -mexec-model=reactor -x c -o /dev/null - 2>/dev/null
}

# fetch_once PATH COMMAND…: creates PATH unless it exists. The command gets a temporary
# directory and leaves the result there as `done`, so an interrupted download is
# never mistaken for a complete one.
fetch_once() {
  local path=$1 work status=0
  shift
  [ ! -e "$path" ] || return 0
  mkdir -p "${path%/*}"
  work=$(mktemp -d "$path.XXXXXX")
  # -T: if another process was faster, do not move this one into its directory.
  "$@" "$work" >&2 && { mv -T "$work/done" "$path" 2>/dev/null || [ -e "$path" ]; } || status=$?
  rm -rf "$work"
  return "$status"
}

# Prints the path of a Python with pip: the machine's, or one in a virtual
# environment, for which Debian has a separate package.
python_with_pip() {
  command -v python3 >/dev/null || apt_install python3 python3-venv || die "needs Python 3.9 or newer: install python3 with pip, then try again"
  if python3 -m pip --version >/dev/null 2>&1; then
    command -v python3
    return
  fi
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv || die "needs pip: install it for $(command -v python3), then try again"
  fetch_once "$cache/pip" make_pip || die "cannot create a virtual environment with pip in $cache"
  printf '%s\n' "$cache/pip/bin/python"
}
make_pip() { python3 -m venv "$1/done"; }
