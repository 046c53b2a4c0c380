//! A future that several functions of one object poll, each with a waker of its
//! own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt;
use futures::future::LocalBoxFuture;

/// The functions that may be pending at the same time.
#[derive(Clone, Copy)]
pub(super) enum FunctionSlot {
    /// `poll_open`, and after it `poll_next`.
    Next,
    /// `poll_write` and `poll_shutdown`.
    Write,
    /// `poll_exit`.
    Exit,
}

/// The number of [`FunctionSlot`]s.
const SLOTS: usize = 3;

/// The wakers of the functions that are pending.
#[derive(Default)]
struct WakerSet {
    wakers: Mutex<[Option<Waker>; SLOTS]>,
    /// Whether the future is worth polling.
    is_woken: AtomicBool,
}

impl Wake for WakerSet {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        let wakers = {
            let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *wakers)
        };
        // Outside of the lock, since a waker runs code of the host.
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// A future that several functions poll.
pub(super) struct SharedTask<R> {
    state: TaskState<R>,
    set: Arc<WakerSet>,
}

enum TaskState<R> {
    Running(LocalBoxFuture<'static, R>),
    Done(R),
    /// It panicked, and must not be polled again.
    Panicked,
}

impl<R> SharedTask<R> {
    pub(super) fn new(future: LocalBoxFuture<'static, R>) -> Self {
        let set = WakerSet {
            is_woken: AtomicBool::new(true),
            ..WakerSet::default()
        };
        Self {
            state: TaskState::Running(future),
            set: Arc::new(set),
        }
    }

    /// Wakes the waker of `cx` when the future is worth polling again.
    pub(super) fn register(&self, slot: FunctionSlot, cx: &Context<'_>) {
        let waker = cx.waker();
        let replaced = {
            let mut wakers = self
                .set
                .wakers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let Some(stored) = wakers.get_mut(slot as usize) else {
                return;
            };
            match stored {
                Some(stored) if stored.will_wake(waker) => None,
                stored => stored.replace(waker.clone()),
            }
        };
        drop(replaced);
    }

    /// Polls the future once if it was woken. Returns the result once it is done.
    ///
    /// If the future wakes itself meanwhile, the functions that are pending are
    /// called again.
    pub(super) fn run(&mut self) -> Option<&R> {
        if matches!(self.state, TaskState::Running(_))
            && self.set.is_woken.swap(false, Ordering::Acquire)
        {
            // What remains if the future panics.
            let state = std::mem::replace(&mut self.state, TaskState::Panicked);
            self.state = self.poll(state);
        }
        match &self.state {
            TaskState::Done(result) => Some(result),
            TaskState::Running(_) | TaskState::Panicked => None,
        }
    }

    fn poll(&self, state: TaskState<R>) -> TaskState<R> {
        let TaskState::Running(mut future) = state else {
            return state;
        };
        let waker = Waker::from(self.set.clone());
        match future.poll_unpin(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => {
                // Functions that wait for the result may be pending.
                self.set.wake_by_ref();
                TaskState::Done(result)
            }
            Poll::Pending => TaskState::Running(future),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_pending_function_is_woken_and_an_idle_future_is_not_polled() {
        let (sender, receiver) = futures::channel::oneshot::channel::<u32>();
        let polls = Rc::new(Cell::new(0));
        let counted = polls.clone();
        let mut receiver = receiver;
        let mut task = SharedTask::new(
            std::future::poll_fn(move |cx| {
                counted.set(counted.get() + 1);
                receiver.poll_unpin(cx)
            })
            .boxed_local(),
        );
        let counters = [Arc::new(Counter::default()), Arc::new(Counter::default())];
        for (slot, counter) in [FunctionSlot::Next, FunctionSlot::Write]
            .into_iter()
            .zip(&counters)
        {
            let waker = Waker::from(counter.clone());
            task.register(slot, &Context::from_waker(&waker));
            assert!(task.run().is_none());
        }
        assert_eq!(polls.get(), 1);
        sender.send(7).unwrap();
        for counter in &counters {
            assert_eq!(counter.0.load(Ordering::Relaxed), 1);
        }
        // A function that is pending is woken by the end, whoever runs the task.
        let [first, _] = &counters;
        let waker = Waker::from(first.clone());
        task.register(FunctionSlot::Exit, &Context::from_waker(&waker));
        assert_eq!(task.run(), Some(&Ok(7)));
        assert_eq!(first.0.load(Ordering::Relaxed), 2);
        assert_eq!(task.run(), Some(&Ok(7)));
        assert_eq!(polls.get(), 2);
    }
}
