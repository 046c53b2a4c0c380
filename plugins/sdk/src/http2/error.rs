//! The errors of requests and connections.

use std::io;

use h2::Reason;

use crate::http::error_chain;
use crate::types::Error;

/// The error of a request without a response.
pub(super) struct RequestError {
    pub(super) error: Error,
    /// Whether the engine has certainly not processed the request: it was not
    /// sent, or the engine returned it.
    pub(super) was_unprocessed: bool,
    /// Whether the connection ended, as it may at any time.
    pub(super) was_closed: bool,
}

impl RequestError {
    /// Creates the error of a request that cannot be sent.
    pub(super) fn invalid(error: Error) -> Self {
        Self {
            error,
            was_unprocessed: false,
            was_closed: false,
        }
    }

    /// Converts hyper's error. `name` is that of the request.
    pub(super) fn new(name: &str, error: &hyper::Error, was_sent: bool) -> Self {
        let cause = protocol_error(error);
        // A stream with a number after the last one in GOAWAY was not processed.
        let was_returned = cause.is_some_and(|cause| {
            cause.is_remote()
                && (cause.is_go_away() || cause.reason() == Some(Reason::REFUSED_STREAM))
        });
        Self {
            error: request_error(name, error),
            was_unprocessed: !was_sent || was_returned,
            was_closed: cause.is_none_or(|cause| !cause.is_reset()),
        }
    }
}

/// Converts hyper's error of a connection.
pub(super) fn connection_error(error: &hyper::Error) -> Error {
    request_error("", error)
}

/// Converts hyper's error of the request `name`, or of a connection if the name
/// is empty.
pub(super) fn request_error(name: &str, error: &hyper::Error) -> Error {
    let request = match name {
        "" => "a request".to_owned(),
        name => format!("the request {name}"),
    };
    // h2's name for the end of the connection.
    if find_source::<io::Error>(error).is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe) {
        return Error::unavailable(format!("the engine closed the connection during {request}"));
    }
    let cause = protocol_error(error);
    let Some((cause, reason)) = cause.and_then(|cause| Some((cause, cause.reason()?))) else {
        return Error::unavailable(format!(
            "the connection to the engine failed: {}",
            error_chain(error)
        ));
    };
    let subject = match cause.is_reset() {
        true => request,
        false => "the connection".to_owned(),
    };
    if cause.is_library() {
        return Error::internal(format!("the engine violated HTTP/2 on {subject}: {reason}"));
    }
    if !cause.is_remote() {
        return Error::cancelled(format!("{subject} was canceled before its end"));
    }
    let message = format!(
        "the engine ended {subject} with the HTTP/2 error {}: {reason}",
        u32::from(reason)
    );
    match reason {
        Reason::NO_ERROR | Reason::REFUSED_STREAM | Reason::ENHANCE_YOUR_CALM | Reason::CANCEL => {
            Error::unavailable(message)
        }
        _ if cause.is_go_away() => Error::unavailable(message),
        _ => Error::internal(message),
    }
}

fn protocol_error(error: &hyper::Error) -> Option<&h2::Error> {
    find_source(error)
}

/// Returns the first cause that has this type.
fn find_source<T: std::error::Error + 'static>(error: &hyper::Error) -> Option<&T> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref() {
            return Some(cause);
        }
        source = cause.source();
    }
    None
}
