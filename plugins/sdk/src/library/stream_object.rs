//! A call with a stream, as the host sees it (`rdd_stream`).

use std::task::{Context, Poll};
use std::vec;

use futures::channel::{mpsc, oneshot};
use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt};
use rdd_sdk_abi as abi;
use rdd_sdk_abi::waker::with_waker;

use super::guard::{PanicMessage, PollOutcome, ReturnBuffer, borrow, catch};
use super::process_input::ProcessInput;
use super::stream_item::{ItemBuffer, StreamItem};
use super::task::{FunctionSlot, SharedTask};
use crate::types::{Error, TerminalSize};
use crate::{ExecInput, StreamResponder};

/// A stream, which begins with the pointer to its functions.
#[repr(C)]
pub(super) struct StreamObject {
    base: abi::Stream,
    call: Box<dyn PolledStream>,
    buffer: ItemBuffer,
    returned: ReturnBuffer,
    /// A panic in a function that has no status.
    panic: Option<PanicMessage>,
}

static VTABLE: abi::StreamVtable = abi::StreamVtable {
    size: size_of::<abi::StreamVtable>(),
    poll_open: Some(poll_open),
    poll_next: Some(poll_next),
    close: Some(close),
    poll_write: Some(poll_write),
    poll_shutdown: Some(poll_shutdown),
    resize: Some(resize),
    poll_exit: Some(poll_exit),
};

/// A stream of any type.
trait PolledStream {
    fn poll_open(&mut self, cx: &mut Context<'_>) -> PollOutcome;
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ItemBuffer,
        item: &mut abi::Item,
    ) -> PollOutcome;
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        accepted: &mut usize,
    ) -> PollOutcome;
    fn shut_down(&mut self);
    fn resize(&mut self, size: TerminalSize);
    fn poll_exit(&mut self, cx: &mut Context<'_>, exit_code: &mut i32) -> PollOutcome;
}

/// The result that accompanies a stream.
pub(super) trait StreamResult: Clone + 'static {
    /// Returns the exit code of a process.
    fn exit_code(&self) -> Option<i32>;
}

impl StreamResult for () {
    fn exit_code(&self) -> Option<i32> {
        None
    }
}

impl StreamResult for i32 {
    fn exit_code(&self) -> Option<i32> {
        Some(*self)
    }
}

/// A call with a stream of `T` and the result `R`.
struct StreamCall<T, R> {
    task: SharedTask<Result<R, Error>>,
    accepted: oneshot::Receiver<()>,
    items: mpsc::Receiver<Vec<T>>,
    current: vec::IntoIter<T>,
    input: Option<ProcessInput>,
}

impl StreamObject {
    /// Creates a stream from a call that writes to a responder. The host owns it.
    pub(super) fn create<T, R, F>(call: impl FnOnce(StreamResponder<T>) -> F) -> *mut abi::Stream
    where
        T: StreamItem,
        R: StreamResult,
        F: Future<Output = Result<R, Error>> + 'static,
    {
        Self::begin(None, |responder| call(responder).boxed_local())
    }

    /// Creates the stream of a process, whose call also reads an input.
    pub(super) fn create_process<T, F>(
        call: impl FnOnce(ExecInput, StreamResponder<T>) -> F,
    ) -> *mut abi::Stream
    where
        T: StreamItem,
        F: Future<Output = Result<i32, Error>> + 'static,
    {
        let (host, input) = ProcessInput::new();
        Self::begin(Some(host), |responder| call(input, responder).boxed_local())
    }

    fn begin<T: StreamItem, R: StreamResult>(
        input: Option<ProcessInput>,
        call: impl FnOnce(StreamResponder<T>) -> LocalBoxFuture<'static, Result<R, Error>>,
    ) -> *mut abi::Stream {
        // A write completes when its batch is read, as on a component's stream.
        let (sender, items) = mpsc::channel(0);
        let (responder, accepted) = StreamResponder::new(Box::new(sender));
        let call = StreamCall {
            task: SharedTask::new(call(responder)),
            accepted,
            items,
            current: Vec::new().into_iter(),
            input,
        };
        let stream = Box::new(Self {
            base: abi::Stream {
                vtable: &raw const VTABLE,
            },
            call: Box::new(call),
            buffer: ItemBuffer::default(),
            returned: ReturnBuffer::default(),
            panic: None,
        });
        Box::into_raw(stream).cast()
    }
}

impl<T: StreamItem, R: StreamResult> PolledStream for StreamCall<T, R> {
    fn poll_open(&mut self, cx: &mut Context<'_>) -> PollOutcome {
        self.task.register(FunctionSlot::Next, cx);
        let ended = self.task.run().map(|result| result.as_ref().err().cloned());
        if let Ok(Some(())) = self.accepted.try_recv() {
            return PollOutcome::Ready;
        }
        match ended {
            None => PollOutcome::Pending,
            Some(Some(error)) => PollOutcome::Failed(error),
            // It returned without accepting: an empty stream.
            Some(None) => PollOutcome::Ready,
        }
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ItemBuffer,
        item: &mut abi::Item,
    ) -> PollOutcome {
        loop {
            if let Some(next) = self.current.next() {
                return match next.lend(buffer, item) {
                    Ok(()) => PollOutcome::Ready,
                    Err(error) => PollOutcome::Failed(error),
                };
            }
            self.task.register(FunctionSlot::Next, cx);
            let result = self.task.run().map(|result| result.as_ref().err().cloned());
            // Other functions run the task, too, so this one must be woken then.
            match self.items.poll_next_unpin(cx) {
                Poll::Ready(Some(items)) => self.current = items.into_iter(),
                Poll::Ready(None) => {
                    return match result {
                        Some(Some(error)) => PollOutcome::Failed(error),
                        Some(None) => PollOutcome::End,
                        // The exit code comes later; other results are waited for.
                        None if self.input.is_some() => PollOutcome::End,
                        None => PollOutcome::Pending,
                    };
                }
                Poll::Pending => return PollOutcome::Pending,
            }
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        accepted: &mut usize,
    ) -> PollOutcome {
        self.task.register(FunctionSlot::Write, cx);
        self.task.run();
        let Some(input) = &mut self.input else {
            return PollOutcome::End;
        };
        match input.poll_write(cx, bytes) {
            Poll::Pending => PollOutcome::Pending,
            Poll::Ready(None) => PollOutcome::End,
            Poll::Ready(Some(count)) => {
                *accepted = count;
                self.task.run();
                PollOutcome::Ready
            }
        }
    }

    fn shut_down(&mut self) {
        if let Some(input) = &mut self.input {
            input.shut_down();
        }
        self.task.run();
    }

    fn resize(&mut self, size: TerminalSize) {
        if let Some(input) = &self.input {
            input.resize(size);
        }
        self.task.run();
    }

    fn poll_exit(&mut self, cx: &mut Context<'_>, exit_code: &mut i32) -> PollOutcome {
        self.task.register(FunctionSlot::Exit, cx);
        match self.task.run() {
            None => PollOutcome::Pending,
            Some(Err(error)) => PollOutcome::Failed(error.clone()),
            Some(Ok(result)) => match result.exit_code() {
                Some(code) => {
                    *exit_code = code;
                    PollOutcome::Ready
                }
                None => PollOutcome::Failed(Error::internal("the call has no exit code")),
            },
        }
    }
}

/// Runs one function of a stream for the host.
///
/// # Safety
///
/// The host passes a stream that was not closed, on the instance's thread, and
/// pointers that are valid.
unsafe fn run(
    stream: *mut abi::Stream,
    waker: *const abi::Waker,
    error: *mut abi::Error,
    function: impl FnOnce(&mut dyn PolledStream, &mut ItemBuffer, &mut Context<'_>) -> PollOutcome,
) -> abi::Status {
    // SAFETY: the caller guarantees it.
    let stream = unsafe { &mut *stream.cast::<StreamObject>() };
    let StreamObject {
        call,
        buffer,
        returned,
        panic,
        ..
    } = stream;
    let outcome = match panic.take() {
        Some(panic) => Err(panic),
        None => catch(|| {
            // SAFETY: the caller guarantees it.
            let polled = unsafe { with_waker(waker, |cx| function(&mut **call, buffer, cx)) };
            polled.unwrap_or_else(|| {
                PollOutcome::Failed(Error::internal("the host's waker is not valid"))
            })
        }),
    };
    // SAFETY: the caller guarantees it.
    unsafe { returned.finish(error, outcome) }
}

unsafe extern "C" fn poll_open(
    stream: *mut abi::Stream,
    waker: *const abi::Waker,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: passed on to the host.
    unsafe { run(stream, waker, error, |call, _, cx| call.poll_open(cx)) }
}

unsafe extern "C" fn poll_next(
    stream: *mut abi::Stream,
    waker: *const abi::Waker,
    item: *mut abi::Item,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: passed on to the host.
    unsafe {
        run(stream, waker, error, |call, buffer, cx| {
            call.poll_next(cx, buffer, &mut *item)
        })
    }
}

unsafe extern "C" fn poll_write(
    stream: *mut abi::Stream,
    waker: *const abi::Waker,
    bytes: abi::Bytes,
    accepted: *mut usize,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: passed on to the host.
    unsafe {
        run(stream, waker, error, |call, _, cx| {
            call.poll_write(cx, borrow(bytes), &mut *accepted)
        })
    }
}

unsafe extern "C" fn poll_shutdown(
    stream: *mut abi::Stream,
    waker: *const abi::Waker,
    error: *mut abi::Error,
) -> abi::Status {
    let shut_down = |call: &mut dyn PolledStream, _: &mut ItemBuffer, _: &mut Context<'_>| {
        call.shut_down();
        PollOutcome::Ready
    };
    // SAFETY: passed on to the host.
    unsafe { run(stream, waker, error, shut_down) }
}

unsafe extern "C" fn resize(stream: *mut abi::Stream, columns: u16, rows: u16) {
    // SAFETY: the host passes a stream that was not closed, on the instance's
    // thread.
    let stream = unsafe { &mut *stream.cast::<StreamObject>() };
    if let Err(panic) = catch(|| stream.call.resize(TerminalSize { columns, rows })) {
        stream.panic = Some(panic);
    }
}

unsafe extern "C" fn poll_exit(
    stream: *mut abi::Stream,
    waker: *const abi::Waker,
    exit_code: *mut i32,
    error: *mut abi::Error,
) -> abi::Status {
    // SAFETY: passed on to the host.
    unsafe {
        run(stream, waker, error, |call, _, cx| {
            call.poll_exit(cx, &mut *exit_code)
        })
    }
}

unsafe extern "C" fn close(stream: *mut abi::Stream) {
    // SAFETY: the host closes each stream once, on the instance's thread.
    let stream = unsafe { Box::from_raw(stream.cast::<StreamObject>()) };
    // A panic of a destructor leaves nothing to report it to; it was printed.
    catch(|| drop(stream)).ok();
}
