//! A connection to the engine, as the library sees it (`rdd_connection`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rdd_core::{EngineError, ErrorCode};
use rdd_plugin_contract::EngineConnection;
use rdd_plugin_contract::liveness::{ConnectionGuard, EngineLiveness};
use rdd_sdk_abi as abi;
use rdd_sdk_abi::waker::with_waker;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use crate::host_context::HostContext;
use crate::host_function::{argument, code_number, guarded, set_error};
use crate::thread_tracker::ThreadTracker;

/// The opening of a connection.
type ConnectFuture = Pin<Box<dyn Future<Output = Result<EngineConnection, EngineError>> + Send>>;

/// A connection, as the library sees it.
#[repr(C)]
pub(crate) struct HostConnection {
    base: abi::Connection,
    state: ConnectionState,
    /// Whether bytes may still be in a buffer of the writer.
    is_flushing: bool,
    /// The message of the last error, which the library borrows.
    message: String,
    runtime: Handle,
    liveness: Arc<EngineLiveness>,
    tracker: Arc<ThreadTracker>,
    /// Ready once the engine is lost.
    registration: ConnectionGuard,
    _permit: OwnedSemaphorePermit,
}

enum ConnectionState {
    Connecting(ConnectFuture),
    Open(EngineConnection),
    Failed(EngineError),
}

static VTABLE: abi::ConnectionVtable = abi::ConnectionVtable {
    size: size_of::<abi::ConnectionVtable>(),
    poll_connect: Some(poll_connect),
    poll_read: Some(poll_read),
    poll_write: Some(poll_write),
    poll_flush: Some(poll_flush),
    poll_shutdown: Some(poll_shutdown),
    close: Some(close),
};

/// The outcome of a function that may reach the end of a stream.
enum IoProgress {
    Done,
    End,
}

type PollIo = Poll<Result<IoProgress, EngineError>>;

impl HostConnection {
    /// Creates a connection that is not connected yet. The library owns it.
    pub(crate) fn create(
        context: &Arc<HostContext>,
        tracker: Arc<ThreadTracker>,
        permit: OwnedSemaphorePermit,
    ) -> *mut abi::Connection {
        let transport = context.transport.clone();
        let connection = Box::new(Self {
            base: abi::Connection {
                vtable: &raw const VTABLE,
            },
            state: ConnectionState::Connecting(Box::pin(async move { transport.connect().await })),
            is_flushing: false,
            message: String::new(),
            runtime: context.runtime.clone(),
            registration: context.liveness.register_connection(),
            liveness: context.liveness.clone(),
            tracker,
            _permit: permit,
        });
        Box::into_raw(connection).cast()
    }

    fn poll_connect(&mut self, cx: &mut Context<'_>) -> PollIo {
        if let ConnectionState::Connecting(connect) = &mut self.state {
            self.state = match ready!(connect.as_mut().poll(cx)) {
                Ok(connection) => ConnectionState::Open(connection),
                Err(error) => ConnectionState::Failed(error),
            };
        }
        self.open().map(|_| IoProgress::Done).into()
    }

    fn open(&mut self) -> Result<&mut EngineConnection, EngineError> {
        match &mut self.state {
            ConnectionState::Open(connection) => Ok(connection),
            ConnectionState::Failed(error) => Err(error.clone()),
            ConnectionState::Connecting(_) => Err(EngineError::new(
                ErrorCode::Internal,
                "the backend uses a connection before poll_connect returned RDD_READY",
            )),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> PollIo {
        // A failure to send is reported by the reader or by the next write.
        if self.is_flushing && self.poll_flush(cx).is_ready() {
            self.is_flushing = false;
        }
        let connection = self.open()?;
        let Poll::Ready(read) = Pin::new(&mut connection.reader).poll_read(cx, buffer) else {
            return self.poll_lost(cx);
        };
        read.map_err(|error| connection_error(&error))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Ok(IoProgress::End));
        }
        self.liveness.record_received();
        self.tracker.progress.record();
        Poll::Ready(Ok(IoProgress::Done))
    }

    /// Fails once the liveness probe has failed.
    fn poll_lost(&mut self, cx: &mut Context<'_>) -> PollIo {
        ready!(self.registration.poll_lost(cx));
        Poll::Ready(Err(EngineError::new(
            ErrorCode::Unavailable,
            "the engine does not respond, not even to a ping; check that it is running and reachable",
        )))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8], count: &mut usize) -> PollIo {
        let connection = self.open()?;
        let Poll::Ready(written) = Pin::new(&mut connection.writer).poll_write(cx, bytes) else {
            return self.poll_lost(cx);
        };
        *count = written.map_err(|error| connection_error(&error))?;
        if *count == 0 {
            // A writer that accepts no bytes never will.
            return Poll::Ready(Err(connection_error(&std::io::ErrorKind::WriteZero.into())));
        }
        self.is_flushing = true;
        self.tracker.progress.record();
        // The bytes were accepted: an error fails the next call.
        if let Poll::Ready(Ok(_)) = self.poll_flush(cx) {
            self.is_flushing = false;
        }
        Poll::Ready(Ok(IoProgress::Done))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> PollIo {
        let connection = self.open()?;
        let Poll::Ready(flushed) = Pin::new(&mut connection.writer).poll_flush(cx) else {
            return self.poll_lost(cx);
        };
        flushed.map_err(|error| connection_error(&error))?;
        self.is_flushing = false;
        Poll::Ready(Ok(IoProgress::Done))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> PollIo {
        let connection = self.open()?;
        let ended = ready!(Pin::new(&mut connection.writer).poll_shutdown(cx));
        ended.map_err(|error| connection_error(&error))?;
        self.is_flushing = false;
        Poll::Ready(Ok(IoProgress::Done))
    }
}

fn connection_error(error: &std::io::Error) -> EngineError {
    EngineError::new(
        ErrorCode::Unavailable,
        format!("the connection to the engine failed: {error}"),
    )
}

/// Runs one function of a connection for the library.
///
/// # Safety
///
/// What the ABI demands: `connection` was returned by `create` and not closed, one
/// thread at a time uses it, and the other pointers are NULL or valid.
unsafe fn run(
    connection: *mut abi::Connection,
    waker: *const abi::Waker,
    error: *mut abi::Error,
    function: impl FnOnce(&mut HostConnection, &mut Context<'_>) -> PollIo,
) -> abi::Status {
    let poll = || {
        // SAFETY: the caller guarantees it.
        let connection = unsafe { &mut *connection.cast::<HostConnection>() };
        let runtime = connection.runtime.clone();
        let _entered = runtime.enter();
        // SAFETY: the caller guarantees it.
        let polled = unsafe { with_waker(waker, |cx| function(connection, cx)) };
        let failure = match polled {
            Some(Poll::Pending) => return abi::PENDING,
            Some(Poll::Ready(Ok(IoProgress::Done))) => return abi::READY,
            Some(Poll::Ready(Ok(IoProgress::End))) => return abi::END,
            Some(Poll::Ready(Err(failure))) => failure,
            None => EngineError::new(ErrorCode::Internal, "the waker is not valid"),
        };
        connection.message = failure.message;
        // SAFETY: the message lives until the next call of the connection.
        unsafe { set_error(error, code_number(&failure.code), &connection.message) }
    };
    // SAFETY: passed on.
    unsafe { guarded(error, poll) }
}

fn invalid(message: &str) -> PollIo {
    Poll::Ready(Err(EngineError::new(ErrorCode::InvalidArgument, message)))
}

unsafe extern "C" fn poll_connect(
    connection: *mut abi::Connection,
    waker: *const abi::Waker,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: passed on to the library.
    unsafe { run(connection, waker, error, HostConnection::poll_connect) }
}

unsafe extern "C" fn poll_read(
    connection: *mut abi::Connection,
    waker: *const abi::Waker,
    buffer: *mut u8,
    capacity: usize,
    count: *mut usize,
    error: *mut abi::Error,
) -> abi::Status {
    let read = |connection: &mut HostConnection, cx: &mut Context<'_>| {
        if buffer.is_null() || count.is_null() {
            return invalid("the buffer or the count is NULL");
        }
        if capacity == 0 || capacity > isize::MAX.unsigned_abs() {
            return invalid("the capacity is 0 or too large");
        }
        // The library's buffer need not be initialized, which `ReadBuf` allows.
        // SAFETY: not NULL, and the ABI demands that it is valid for the capacity.
        let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast(), capacity) };
        let mut buffer = ReadBuf::uninit(buffer);
        let polled = connection.poll_read(cx, &mut buffer);
        // SAFETY: not NULL, and valid according to the ABI.
        unsafe { count.write(buffer.filled().len()) };
        polled
    };
    // SAFETY: passed on to the library.
    unsafe { run(connection, waker, error, read) }
}

unsafe extern "C" fn poll_write(
    connection: *mut abi::Connection,
    waker: *const abi::Waker,
    bytes: abi::Bytes,
    count: *mut usize,
    error: *mut abi::Error,
) -> abi::Status {
    let write = |connection: &mut HostConnection, cx: &mut Context<'_>| {
        // SAFETY: the ABI demands valid bytes.
        let bytes = unsafe { argument(bytes) };
        // SAFETY: the ABI demands that the pointer is NULL or valid.
        let (Some(bytes), Some(count)) = (bytes, unsafe { count.as_mut() }) else {
            return invalid("the bytes or the count are NULL");
        };
        *count = 0;
        if bytes.is_empty() {
            return invalid("there are no bytes to write");
        }
        connection.poll_write(cx, bytes, count)
    };
    // SAFETY: passed on to the library.
    unsafe { run(connection, waker, error, write) }
}

unsafe extern "C" fn poll_flush(
    connection: *mut abi::Connection,
    waker: *const abi::Waker,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: passed on to the library.
    unsafe { run(connection, waker, error, HostConnection::poll_flush) }
}

unsafe extern "C" fn poll_shutdown(
    connection: *mut abi::Connection,
    waker: *const abi::Waker,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: passed on to the library.
    unsafe { run(connection, waker, error, HostConnection::poll_shutdown) }
}

unsafe extern "C" fn close(connection: *mut abi::Connection) {
    if connection.is_null() {
        return;
    }
    // SAFETY: the ABI demands that the library closes a connection once.
    let connection = unsafe { Box::from_raw(connection.cast::<HostConnection>()) };
    let drop_connection = || {
        let runtime = connection.runtime.clone();
        let _entered = runtime.enter();
        drop(connection);
    };
    // The panic was logged, and closing never fails.
    catch_unwind(AssertUnwindSafe(drop_connection)).ok();
}
