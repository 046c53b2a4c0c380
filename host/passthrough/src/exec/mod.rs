//! `GET /passthrough/engine/exec/{container}`: runs a process in a container and
//! connects its input and output to a WebSocket.

mod open_process;
mod protocol;

mod channel_message;
mod exec_status;

mod process_input;
mod process_session;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

pub(crate) use open_process::open_process;
pub(crate) use process_session::ProcessSession;
pub(crate) use protocol::ExecProtocol;
