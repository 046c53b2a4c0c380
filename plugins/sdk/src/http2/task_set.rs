//! The tasks of a connection: hyper's futures that exchange its frames, and the
//! wakers of all futures that wait for them.
//!
//! `Shared` and the executors of the futures crate do not serve: a `Shared`
//! future has one output for all, and an executor must run somewhere.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;

/// The executor that hyper gets. It only collects the futures.
#[derive(Clone, Default)]
pub(super) struct SpawnQueue(Rc<RefCell<Vec<LocalBoxFuture<'static, ()>>>>);

impl<F> hyper::rt::Executor<F> for SpawnQueue
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        let task = async {
            future.await;
        };
        self.0.borrow_mut().push(Box::pin(task));
    }
}

/// The tasks of a connection.
pub(super) struct TaskSet {
    spawned: SpawnQueue,
    running: RefCell<FuturesUnordered<LocalBoxFuture<'static, ()>>>,
    waiters: Arc<WaiterSet>,
}

impl TaskSet {
    pub(super) fn new(spawned: SpawnQueue) -> Self {
        Self {
            spawned,
            running: RefCell::default(),
            waiters: Arc::default(),
        }
    }

    /// Adds a task.
    pub(super) fn spawn(&self, task: LocalBoxFuture<'static, ()>) {
        self.spawned.0.borrow_mut().push(task);
    }

    /// Lets all tasks do what they can do without waiting.
    pub(super) fn poll(&self) {
        // Already borrowed if a task drops what polls the tasks when dropped.
        let Ok(mut running) = self.running.try_borrow_mut() else {
            return;
        };
        let waker = Waker::from(Arc::clone(&self.waiters));
        let mut cx = Context::from_waker(&waker);
        loop {
            running.extend(self.spawned.0.take());
            // A task that is polled may spawn further ones.
            let polled = running.poll_next_unpin(&mut cx);
            if !matches!(polled, Poll::Ready(Some(()))) && self.spawned.0.borrow().is_empty() {
                return;
            }
        }
    }

    /// Drops all tasks, which closes the connection.
    pub(super) fn close(&self) {
        let Ok(mut running) = self.running.try_borrow_mut() else {
            return;
        };
        running.clear();
        self.spawned.0.take();
    }

    /// Waits until `poll` is ready, and runs the tasks meanwhile.
    pub(super) async fn drive<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let waiter = Waiter::new(&self.waiters);
        poll_fn(|cx| {
            if let Poll::Ready(output) = poll(cx) {
                return Poll::Ready(output);
            }
            waiter.register(cx.waker());
            self.poll();
            poll(cx)
        })
        .await
    }
}

/// The wakers of all futures that wait for a connection. Each wakes up when
/// something happens on the connection, since any of them may be the only one
/// that is still polled.
#[derive(Default)]
struct WaiterSet(Mutex<WaiterTable>);

#[derive(Default)]
struct WaiterTable {
    next_id: u64,
    wakers: Vec<(u64, Waker)>,
}

impl WaiterSet {
    fn with<R>(&self, change: impl FnOnce(&mut WaiterTable) -> R) -> R {
        // The table is consistent between any two of its statements.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Wake for WaiterSet {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A waker may run any code, so it is not called with the lock held.
        let wakers = self.with(|table| table.wakers.clone());
        for (_, waker) in wakers {
            waker.wake();
        }
    }
}

/// The place of one future in a [`WaiterSet`].
struct Waiter<'a> {
    set: &'a WaiterSet,
    id: u64,
}

impl<'a> Waiter<'a> {
    fn new(set: &'a WaiterSet) -> Self {
        let id = set.with(|table| {
            table.next_id += 1;
            table.next_id
        });
        Self { set, id }
    }

    fn register(&self, waker: &Waker) {
        self.set.with(
            |table| match table.wakers.iter_mut().find(|(id, _)| *id == self.id) {
                Some((_, known)) => known.clone_from(waker),
                None => table.wakers.push((self.id, waker.clone())),
            },
        );
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.set
            .with(|table| table.wakers.retain(|(id, _)| *id != self.id));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::channel::oneshot;

    use super::*;

    #[derive(Default)]
    struct WakeCounter(AtomicUsize);

    impl Wake for WakeCounter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn waker() -> (Arc<WakeCounter>, Waker) {
        let counter = Arc::new(WakeCounter::default());
        (Arc::clone(&counter), Waker::from(counter))
    }

    #[test]
    fn a_task_goes_on_when_the_future_that_drove_it_last_is_dropped() {
        let tasks = TaskSet::new(SpawnQueue::default());
        let (sender, receiver) = oneshot::channel::<()>();
        let is_done = Rc::new(Cell::new(false));
        let done = Rc::clone(&is_done);
        tasks.spawn(Box::pin(async move {
            receiver.await.unwrap();
            done.set(true);
        }));
        let poll = |_: &mut Context<'_>| {
            if is_done.get() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        };
        let (first_wakes, first_waker) = waker();
        let (last_wakes, last_waker) = waker();
        let mut first = pin!(tasks.drive(poll));
        assert!(
            first
                .as_mut()
                .poll(&mut Context::from_waker(&first_waker))
                .is_pending()
        );
        {
            let mut last = pin!(tasks.drive(poll));
            assert!(
                last.as_mut()
                    .poll(&mut Context::from_waker(&last_waker))
                    .is_pending()
            );
        }
        sender.send(()).unwrap();
        assert!(first_wakes.0.load(Ordering::Relaxed) > 0);
        assert_eq!(last_wakes.0.load(Ordering::Relaxed), 0);
        assert!(
            first
                .as_mut()
                .poll(&mut Context::from_waker(&first_waker))
                .is_ready()
        );
    }

    #[test]
    fn tasks_that_a_task_spawns_run_at_once() {
        let queue = SpawnQueue::default();
        let tasks = TaskSet::new(queue.clone());
        let runs = Rc::new(Cell::new(0));
        let counted = Rc::clone(&runs);
        tasks.spawn(Box::pin(async move {
            for _ in 0..3 {
                let counted = Rc::clone(&counted);
                hyper::rt::Executor::execute(&queue, async move {
                    counted.set(counted.get() + 1);
                });
            }
            std::future::pending::<()>().await;
        }));
        tasks.poll();
        assert_eq!(runs.get(), 3);
    }
}
