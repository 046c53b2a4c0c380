//! A session: what runs on the WebSocket of a request, from the upgrade to the
//! close.

pub(crate) mod close_reason;
mod closing;
pub(crate) mod connection;
#[cfg(test)]
pub(crate) mod test_pipe;
