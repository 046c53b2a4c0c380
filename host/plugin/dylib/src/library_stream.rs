//! A stream in progress.

use std::cell::RefCell;
use std::future::poll_fn;
use std::ptr;
use std::rc::Rc;
use std::task::{Context, Poll};

use rdd_core::{EntryBatch, TerminalSize};
use rdd_plugin_contract::{HeldMemory, QueueGuard};
use rdd_sdk_abi as abi;
use rdd_sdk_abi::waker::WakerSlot;

use crate::foreign;
use crate::library_fault::{CallError, LibraryFault, contract_fault};
use crate::library_instance::LibraryInstance;
use crate::thread_tracker::CallSite;

/// The name of the structure in the header.
const VTABLE: &str = "rdd_stream_vtable";

/// A stream in progress. Dropping it cancels the call. Its functions take `&self`,
/// since reading and writing may be pending at the same time.
pub(crate) struct LibraryStream {
    instance: Rc<LibraryInstance>,
    site: CallSite,
    stream: *mut abi::Stream,
    poll_open: abi::PollStream,
    poll_next: abi::PollNext,
    close: unsafe extern "C" fn(*mut abi::Stream),
    process: Option<ProcessFunctions>,
    open_waker: RefCell<WakerSlot>,
    next_waker: RefCell<WakerSlot>,
    write_waker: RefCell<WakerSlot>,
    exit_waker: RefCell<WakerSlot>,
}

/// The functions that only the stream of a process has.
struct ProcessFunctions {
    poll_write: abi::PollStreamWrite,
    poll_shutdown: abi::PollStream,
    resize: unsafe extern "C" fn(*mut abi::Stream, u16, u16),
    poll_exit: abi::PollExit,
}

/// One item, borrowed from the library.
pub(crate) struct ItemView<'a> {
    pub(crate) site: CallSite,
    pub(crate) bytes: &'a [u8],
    pub(crate) headers: &'a [abi::EntryHeader],
    pub(crate) source: u32,
    pub(crate) gap: u32,
}

/// A converted item, and the memory in bytes that it holds.
pub(crate) struct SizedItem<T> {
    pub(crate) item: T,
    pub(crate) bytes: usize,
    /// What counts the item until the reader has taken it; only events are counted.
    pub(crate) queued: Option<QueuedMemory>,
}

/// Counts an event that waits for its reader.
pub(crate) struct QueuedMemory {
    pub(crate) _queued: QueueGuard,
    pub(crate) _held: HeldMemory,
}

/// The outcome of writing to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteProgress {
    /// This number of bytes was accepted.
    Accepted(usize),
    /// The process reads no more.
    Closed,
}

impl LibraryStream {
    /// Begins a stream. `name` is the name of `function`.
    pub(crate) fn start(
        instance: &Rc<LibraryInstance>,
        name: &'static str,
        function: abi::StartStream,
        parameters: &str,
    ) -> Result<Self, CallError> {
        let site = CallSite::new(name, "");
        let mut stream = ptr::null_mut();
        let mut error = abi::Error::new();
        let status = {
            let _entry = instance.tracker().enter(site);
            // SAFETY: this is the thread of the instance, and the pointers are valid.
            unsafe {
                function(
                    instance.as_ptr(),
                    abi::Bytes::new(parameters.as_bytes()),
                    &raw mut stream,
                    &raw mut error,
                )
            }
        };
        if status != abi::READY {
            // SAFETY: nothing was called since then.
            return Err(unsafe { foreign::failure(site, status, &error) });
        }
        // SAFETY: the library has just returned the object.
        Ok(unsafe { Self::new(instance.clone(), site, stream)? })
    }

    /// Takes a stream that the library has returned.
    ///
    /// # Safety
    ///
    /// What the ABI demands: `stream` is NULL or a new stream of `instance`.
    unsafe fn new(
        instance: Rc<LibraryInstance>,
        site: CallSite,
        stream: *mut abi::Stream,
    ) -> Result<Self, LibraryFault> {
        if stream.is_null() {
            return Err(contract_fault!(
                "{site} returned a NULL pointer for the stream"
            ));
        }
        if !stream.is_aligned() {
            return Err(contract_fault!(
                "{site} returned a stream that is not aligned"
            ));
        }
        // SAFETY: not NULL and aligned, and the ABI demands that it is valid.
        let vtable: abi::StreamVtable = unsafe { foreign::read_struct(site, (*stream).vtable)? };
        let process = match vtable {
            abi::StreamVtable {
                poll_write: Some(poll_write),
                poll_shutdown: Some(poll_shutdown),
                resize: Some(resize),
                poll_exit: Some(poll_exit),
                ..
            } => Some(ProcessFunctions {
                poll_write,
                poll_shutdown,
                resize,
                poll_exit,
            }),
            _ => None,
        };
        Ok(Self {
            poll_open: foreign::required(site, VTABLE, "poll_open", vtable.poll_open)?,
            poll_next: foreign::required(site, VTABLE, "poll_next", vtable.poll_next)?,
            close: foreign::required(site, VTABLE, "close", vtable.close)?,
            process,
            instance,
            site,
            stream,
            open_waker: RefCell::default(),
            next_waker: RefCell::default(),
            write_waker: RefCell::default(),
            exit_waker: RefCell::default(),
        })
    }

    /// Waits until the engine has begun to respond.
    pub(crate) async fn open(&self) -> Result<(), CallError> {
        let site = self.site.function("poll_open");
        poll_fn(|cx| self.poll_unit(site, self.poll_open, &self.open_waker, cx)).await
    }

    /// Waits for the next item, and converts it. Returns `None` at the end. The
    /// future may be dropped without losing an item.
    pub(crate) async fn next<T>(
        &self,
        convert: &mut impl FnMut(ItemView<'_>) -> Result<SizedItem<T>, LibraryFault>,
    ) -> Result<Option<SizedItem<T>>, CallError> {
        poll_fn(|cx| self.poll_next(cx, &mut *convert)).await
    }

    fn poll_next<T>(
        &self,
        cx: &Context<'_>,
        convert: impl FnOnce(ItemView<'_>) -> Result<T, LibraryFault>,
    ) -> Poll<Result<Option<T>, CallError>> {
        let site = self.site.function("poll_next");
        let mut item = abi::Item::new();
        let mut error = abi::Error::new();
        let waker = self.next_waker.borrow_mut().pointer(cx);
        let status = {
            let _entry = self.instance.tracker().enter(site);
            // SAFETY: this is the thread of the instance, the stream was not closed,
            // and the pointers are valid.
            unsafe { (self.poll_next)(self.stream, waker, &raw mut item, &raw mut error) }
        };
        match status {
            abi::READY => {
                self.instance.tracker().progress.record();
                // SAFETY: nothing of the instance is called before `convert` returns.
                let bytes =
                    unsafe { foreign::bytes(site, "item", item.bytes, foreign::MAX_TEXT_BYTES)? };
                // SAFETY: as above.
                let headers = unsafe { foreign::headers(site, &item, EntryBatch::MAX_ENTRIES)? };
                let converted = convert(ItemView {
                    site,
                    bytes,
                    headers,
                    source: item.source,
                    gap: item.gap,
                })?;
                Poll::Ready(Ok(Some(converted)))
            }
            abi::END => Poll::Ready(Ok(None)),
            abi::PENDING => Poll::Pending,
            // SAFETY: nothing was called since then.
            _ => Poll::Ready(Err(unsafe { foreign::failure(site, status, &error) })),
        }
    }

    /// Writes to the standard input of a process. `bytes` must not be empty.
    pub(crate) async fn write(&self, bytes: &[u8]) -> Result<WriteProgress, CallError> {
        let process = self.process()?;
        let site = self.site.function("poll_write");
        poll_fn(|cx| {
            let mut accepted = 0;
            let mut error = abi::Error::new();
            let waker = self.write_waker.borrow_mut().pointer(cx);
            let status = {
                let _entry = self.instance.tracker().enter(site);
                // SAFETY: this is the thread of the instance, the stream was not
                // closed, and the pointers are valid.
                unsafe {
                    (process.poll_write)(
                        self.stream,
                        waker,
                        abi::Bytes::new(bytes),
                        &raw mut accepted,
                        &raw mut error,
                    )
                }
            };
            Poll::Ready(match status {
                abi::READY if (1..=bytes.len()).contains(&accepted) => {
                    Ok(WriteProgress::Accepted(accepted))
                }
                abi::READY => Err(contract_fault!(
                    "{site} accepted {accepted} of {} bytes",
                    bytes.len()
                )
                .into()),
                abi::END => Ok(WriteProgress::Closed),
                abi::PENDING => return Poll::Pending,
                // SAFETY: nothing was called since then.
                _ => Err(unsafe { foreign::failure(site, status, &error) }),
            })
        })
        .await
    }

    /// Ends the standard input of a process.
    pub(crate) async fn shut_down(&self) -> Result<(), CallError> {
        let process = self.process()?;
        let site = self.site.function("poll_shutdown");
        poll_fn(|cx| self.poll_unit(site, process.poll_shutdown, &self.write_waker, cx)).await
    }

    /// Sets the size of the terminal of a process.
    pub(crate) fn resize(&self, size: TerminalSize) -> Result<(), LibraryFault> {
        let process = self.process()?;
        let _entry = self.instance.tracker().enter(self.site.function("resize"));
        // SAFETY: this is the thread of the instance, and the stream was not closed.
        unsafe { (process.resize)(self.stream, size.columns, size.rows) };
        Ok(())
    }

    /// Waits for the exit code of a process.
    pub(crate) async fn exit(&self) -> Result<i32, CallError> {
        let process = self.process()?;
        let site = self.site.function("poll_exit");
        poll_fn(|cx| {
            let mut exit_code = 0;
            let mut error = abi::Error::new();
            let waker = self.exit_waker.borrow_mut().pointer(cx);
            let status = {
                let _entry = self.instance.tracker().enter(site);
                // SAFETY: this is the thread of the instance, the stream was not
                // closed, and the pointers are valid.
                unsafe {
                    (process.poll_exit)(self.stream, waker, &raw mut exit_code, &raw mut error)
                }
            };
            Poll::Ready(match status {
                abi::READY => Ok(exit_code),
                abi::PENDING => return Poll::Pending,
                // SAFETY: nothing was called since then.
                _ => Err(unsafe { foreign::failure(site, status, &error) }),
            })
        })
        .await
    }

    /// Polls a function without a result. The end counts as done.
    fn poll_unit(
        &self,
        site: CallSite,
        function: abi::PollStream,
        waker: &RefCell<WakerSlot>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let mut error = abi::Error::new();
        let waker = waker.borrow_mut().pointer(cx);
        let status = {
            let _entry = self.instance.tracker().enter(site);
            // SAFETY: this is the thread of the instance, the stream was not closed,
            // and the pointers are valid.
            unsafe { function(self.stream, waker, &raw mut error) }
        };
        match status {
            abi::READY => Poll::Ready(Ok(())),
            abi::END if site == self.site.function("poll_shutdown") => Poll::Ready(Ok(())),
            abi::PENDING => Poll::Pending,
            // SAFETY: nothing was called since then.
            _ => Poll::Ready(Err(unsafe { foreign::failure(site, status, &error) })),
        }
    }

    fn process(&self) -> Result<&ProcessFunctions, LibraryFault> {
        self.process.as_ref().ok_or_else(|| {
            contract_fault!(
                "{} returned a stream without one of poll_write, poll_shutdown, resize, and poll_exit",
                self.site
            )
        })
    }
}

impl Drop for LibraryStream {
    fn drop(&mut self) {
        let _entry = self.instance.tracker().enter(self.site.function("close"));
        // SAFETY: this is the thread of the instance, and the stream was not closed.
        unsafe { (self.close)(self.stream) };
    }
}
