//! The header and the Rust types agree, as a C compiler and a C++ compiler see
//! the header.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The maximum length of the header: an author reads all of it.
const MAX_HEADER_LINES: usize = 400;

fn include_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../include")
}

/// Compiles `source` with warnings as errors, and returns the executable.
fn compile(dir: &Path, name: &str, compiler: &str, flags: &[&str], source: &str) -> PathBuf {
    let file = dir.join(name);
    std::fs::write(&file, source).unwrap();
    let executable = file.with_extension("exe");
    let output = Command::new(compiler)
        .args(flags)
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(include_dir())
        .arg("-o")
        .args([&executable, &file])
        .output()
        .unwrap_or_else(|error| panic!("cannot run {compiler}: {error}; install gcc and g++"));
    assert!(
        output.status.success(),
        "{compiler}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    executable
}

/// One line for each structure and field: its name, and its size or offset.
struct Layout {
    rust: String,
    c: String,
}

macro_rules! structures {
    ($($rust:ident $c:ident { $($field:ident),* $(,)? })*) => {{
        let mut layout = Layout { rust: String::new(), c: String::new() };
        $(
            writeln!(layout.rust, "{} {}", stringify!($c), size_of::<rdd_sdk_abi::$rust>()).unwrap();
            writeln!(layout.c, "  printf(\"{0} %zu\\n\", sizeof({0}));", stringify!($c)).unwrap();
            $(
                writeln!(
                    layout.rust, "{}.{} {}",
                    stringify!($c), stringify!($field), offset_of!(rdd_sdk_abi::$rust, $field)
                ).unwrap();
                writeln!(
                    layout.c, "  printf(\"{0}.{1} %zu\\n\", offsetof({0}, {1}));",
                    stringify!($c), stringify!($field)
                ).unwrap();
            )*
        )*
        layout
    }};
}

macro_rules! constants {
    ($layout:ident, $($($rust:ident)::+ $c:ident),* $(,)?) => {
        $(
            writeln!($layout.rust, "{} {}", stringify!($c), rdd_sdk_abi::$($rust)::+).unwrap();
            writeln!($layout.c, "  printf(\"{0} %d\\n\", (int){0});", stringify!($c)).unwrap();
        )*
    };
}

fn layout() -> Layout {
    let mut layout = structures! {
        Bytes rdd_bytes { data, length }
        Error rdd_error { size, code, reserved, message, name }
        Waker rdd_waker { vtable }
        WakerVtable rdd_waker_vtable { size, clone, wake, wake_by_ref, drop }
        Call rdd_call { vtable }
        CallVtable rdd_call_vtable { size, poll, close }
        EntryHeader rdd_entry_header { time, length, attributes }
        Item rdd_item { size, bytes, headers, header_count, source, gap, reserved }
        Stream rdd_stream { vtable }
        StreamVtable rdd_stream_vtable {
            size, poll_open, poll_next, close, poll_write, poll_shutdown, resize, poll_exit
        }
        Connection rdd_connection { vtable }
        ConnectionVtable rdd_connection_vtable {
            size, poll_connect, poll_read, poll_write, poll_flush, poll_shutdown, close
        }
        Directory rdd_directory { name, path }
        Host rdd_host {
            size, major, minor, directories, directory_count, log, now, monotonic_now, random,
            sleep, connect, get_credentials
        }
        Library rdd_library {
            size, major, minor, describe, create, destroy, watch, ping, inspect, get_logs,
            get_entries, act, remove, create_container, create_volume, exec, pull, push
        }
    };
    constants!(
        layout,
        ABI_MAJOR RDD_ABI_MAJOR, ABI_MINOR RDD_ABI_MINOR,
        READY RDD_READY, PENDING RDD_PENDING, END RDD_END, ERROR RDD_ERROR, PANIC RDD_PANIC,
        error_code::NOT_FOUND RDD_NOT_FOUND,
        error_code::INVALID_ARGUMENT RDD_INVALID_ARGUMENT,
        error_code::CONFLICT RDD_CONFLICT,
        error_code::REPLACED RDD_REPLACED,
        error_code::PERMISSION_DENIED RDD_PERMISSION_DENIED,
        error_code::UNAVAILABLE RDD_UNAVAILABLE,
        error_code::UNSUPPORTED RDD_UNSUPPORTED,
        error_code::TIMEOUT RDD_TIMEOUT,
        error_code::CANCELLED RDD_CANCELLED,
        error_code::INTERNAL RDD_INTERNAL,
        error_code::OTHER RDD_OTHER,
        ENTRY_STDERR RDD_ENTRY_STDERR, ENTRY_PARTIAL RDD_ENTRY_PARTIAL,
        STDOUT RDD_STDOUT, STDERR RDD_STDERR,
        gap::NONE RDD_GAP_NONE, gap::ROTATED RDD_GAP_ROTATED, gap::REPLACED RDD_GAP_REPLACED,
        gap::LAGGED RDD_GAP_LAGGED, gap::UNKNOWN RDD_GAP_UNKNOWN,
        log_level::TRACE RDD_TRACE, log_level::DEBUG RDD_DEBUG, log_level::INFO RDD_INFO,
        log_level::WARN RDD_WARN, log_level::ERROR RDD_LOG_ERROR,
    );
    layout
}

fn program(body: &str) -> String {
    format!(
        "#include <stdio.h>\n#include \"rdd_backend.h\"\nint main(void) {{\n{body}  return 0;\n}}\n"
    )
}

fn printed(executable: &Path) -> String {
    String::from_utf8(Command::new(executable).output().unwrap().stdout).unwrap()
}

#[test]
fn sizes_offsets_and_constants_are_those_of_the_header() {
    let dir = tempfile::tempdir().unwrap();
    let Layout { rust, c } = layout();
    let in_c = compile(dir.path(), "layout.c", "cc", &["-std=c17"], &program(&c));
    assert_eq!(printed(&in_c), rust);
    let in_cpp = compile(
        dir.path(),
        "layout.cc",
        "c++",
        &["-std=c++17"],
        &program(&c),
    );
    assert_eq!(printed(&in_cpp), rust);
}

/// The layout of the released version, in C's own terms. These numbers change
/// only with the major version; a structure with a size may grow.
#[test]
fn the_layout_of_64_bit_platforms_is_fixed() {
    let dir = tempfile::tempdir().unwrap();
    let asserts = r#"
_Static_assert(sizeof(rdd_bytes) == 16, "rdd_bytes");
_Static_assert(sizeof(rdd_entry_header) == 16, "rdd_entry_header");
_Static_assert(offsetof(rdd_entry_header, length) == 8, "length");
_Static_assert(offsetof(rdd_entry_header, attributes) == 12, "attributes");
_Static_assert(sizeof(rdd_directory) == 32, "rdd_directory");
_Static_assert(offsetof(rdd_error, message) == 16, "message");
_Static_assert(offsetof(rdd_error, name) == 32, "name");
_Static_assert(offsetof(rdd_item, headers) == 24, "headers");
_Static_assert(offsetof(rdd_item, gap) == 40, "gap");
_Static_assert(offsetof(rdd_call_vtable, close) == 16, "close");
_Static_assert(offsetof(rdd_stream_vtable, poll_exit) == 56, "poll_exit");
_Static_assert(offsetof(rdd_connection_vtable, close) == 48, "close");
_Static_assert(offsetof(rdd_host, get_credentials) == 80, "get_credentials");
_Static_assert(offsetof(rdd_library, minor) == 12, "minor");
_Static_assert(offsetof(rdd_library, push) == 128, "push");
"#;
    let source = program("").replace("int main", &format!("{asserts}int main"));
    compile(dir.path(), "fixed.c", "cc", &["-std=c17"], &source);
}

#[test]
fn the_header_is_short() {
    let header = std::fs::read_to_string(include_dir().join("rdd_backend.h")).unwrap();
    let lines = header.lines().count();
    assert!(lines <= MAX_HEADER_LINES, "{lines} lines");
}
