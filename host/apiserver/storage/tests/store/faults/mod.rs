//! Power losses, full disks, and failing disks, simulated below SQLite.
//!
//! The simulation has all file operations of opening and of writing: SQLite's through
//! its VFS, the store's own through `FileInterface`. Backups, restorations, and damaged
//! databases that are set aside use the system's files; their tests are elsewhere.
#![allow(
    clippy::print_stdout,
    reason = "what repeats a failed run is printed with it"
)]

mod random_source;

mod change_fate;
mod disk_call;
mod name_change;
mod simulated_disk;
mod simulated_file;
mod simulated_vfs;

mod client_session;

mod failing_disk;
mod power_loss;
