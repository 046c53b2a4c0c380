//! Wakers across the boundary, in both directions. The host and the SDK use the
//! same conversion, each with its own copy of the tables.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use crate as abi;

/// A waker of this side as the other side sees it. The reference count of the
/// `Arc` counts the other side's clones.
#[repr(C)]
struct LocalWaker {
    base: abi::Waker,
    waker: Waker,
}

// SAFETY: the pointer in `base` is the address of a static that is never changed.
unsafe impl Send for LocalWaker {}
// SAFETY: as above.
unsafe impl Sync for LocalWaker {}

static LOCAL_VTABLE: abi::WakerVtable = abi::WakerVtable {
    size: size_of::<abi::WakerVtable>(),
    clone: Some(clone_local),
    wake: Some(wake_local),
    wake_by_ref: Some(wake_local_by_ref),
    drop: Some(drop_local),
};

unsafe extern "C" fn clone_local(waker: *const abi::Waker) -> *mut abi::Waker {
    let waker = waker.cast::<LocalWaker>();
    // SAFETY: wakers with `LOCAL_VTABLE` are made by `Arc::into_raw` or
    // `Arc::as_ptr` of an `Arc` that lives at least as long as this call.
    unsafe { Arc::increment_strong_count(waker) };
    waker.cast_mut().cast()
}

unsafe extern "C" fn wake_local(waker: *mut abi::Waker) {
    // SAFETY: the other side gives back a reference that it got from `clone_local`.
    let waker = unsafe { Arc::from_raw(waker.cast::<LocalWaker>().cast_const()) };
    waker.waker.wake_by_ref();
}

unsafe extern "C" fn wake_local_by_ref(waker: *const abi::Waker) {
    // SAFETY: the other side has a reference, so the waker is alive.
    let waker = unsafe { &*waker.cast::<LocalWaker>() };
    waker.waker.wake_by_ref();
}

unsafe extern "C" fn drop_local(waker: *mut abi::Waker) {
    // SAFETY: as in `wake_local`.
    drop(unsafe { Arc::from_raw(waker.cast::<LocalWaker>().cast_const()) });
}

/// The waker that one function of the other side's object gets, kept from call to
/// call so that it is allocated once.
#[derive(Default)]
pub struct WakerSlot(Option<Arc<LocalWaker>>);

impl WakerSlot {
    /// Returns the waker of `cx` for the other side. The pointer is valid until
    /// the next call of this function.
    pub fn pointer(&mut self, cx: &Context<'_>) -> *const abi::Waker {
        let reusable = self
            .0
            .take()
            .filter(|current| current.waker.will_wake(cx.waker()));
        let waker = self.0.insert(reusable.unwrap_or_else(|| {
            Arc::new(LocalWaker {
                base: abi::Waker {
                    vtable: &raw const LOCAL_VTABLE,
                },
                waker: cx.waker().clone(),
            })
        }));
        Arc::as_ptr(waker).cast()
    }
}

/// Runs `poll` with a context that wakes the other side's waker. Returns `None` if
/// the waker is not valid.
///
/// # Safety
///
/// What the ABI demands: `waker` is NULL or a waker that is valid during the
/// call.
pub unsafe fn with_waker<T>(
    waker: *const abi::Waker,
    poll: impl FnOnce(&mut Context<'_>) -> T,
) -> Option<T> {
    if waker.is_null() {
        return None;
    }
    // SAFETY: not NULL, and valid according to the ABI.
    let vtable = unsafe { (*waker).vtable };
    if std::ptr::eq(vtable, &raw const LOCAL_VTABLE) {
        // The other side passes on the waker that it got.
        // SAFETY: only this file makes wakers with this table.
        let local = unsafe { &*waker.cast::<LocalWaker>() };
        return Some(poll(&mut Context::from_waker(&local.waker)));
    }
    // SAFETY: the ABI demands that a waker has a valid table.
    if vtable.is_null() || !unsafe { is_complete(&*vtable) } {
        return None;
    }
    // SAFETY: the functions of `FOREIGN` are for pointers to complete wakers. The
    // waker is borrowed: it is not dropped here, and each clone is counted.
    let borrowed =
        ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(waker.cast(), &FOREIGN)) });
    Some(poll(&mut Context::from_waker(&borrowed)))
}

fn is_complete(vtable: &abi::WakerVtable) -> bool {
    vtable.size >= size_of::<abi::WakerVtable>()
        && vtable.clone.is_some()
        && vtable.wake.is_some()
        && vtable.wake_by_ref.is_some()
        && vtable.drop.is_some()
}

/// The functions of a [`Waker`] whose data is a waker of the other side.
static FOREIGN: RawWakerVTable = RawWakerVTable::new(
    clone_foreign,
    wake_foreign,
    wake_foreign_by_ref,
    drop_foreign,
);

/// Returns the table of a waker that [`with_waker`] has checked.
unsafe fn vtable_of<'a>(waker: *const ()) -> &'a abi::WakerVtable {
    // SAFETY: `with_waker` has checked the table of the first reference, the ABI
    // demands that clones have the same one, and it lives as long as the library.
    unsafe { &*(*waker.cast::<abi::Waker>()).vtable }
}

unsafe fn clone_foreign(waker: *const ()) -> RawWaker {
    // SAFETY: the caller has a reference.
    let clone = unsafe { vtable_of(waker) }.clone.map(|clone| {
        // SAFETY: as above.
        unsafe { clone(waker.cast()) }
    });
    match clone {
        Some(clone) if !clone.is_null() => RawWaker::new(clone.cast_const().cast(), &FOREIGN),
        // Against the ABI. The call is not woken, which is that side's loss.
        _ => {
            let noop = Waker::noop();
            RawWaker::new(noop.data(), noop.vtable())
        }
    }
}

unsafe fn wake_foreign(waker: *const ()) {
    // SAFETY: the caller gives up its reference.
    if let Some(wake) = unsafe { vtable_of(waker) }.wake {
        // SAFETY: as above.
        unsafe { wake(waker.cast_mut().cast()) };
    }
}

unsafe fn wake_foreign_by_ref(waker: *const ()) {
    // SAFETY: the caller has a reference.
    if let Some(wake_by_ref) = unsafe { vtable_of(waker) }.wake_by_ref {
        // SAFETY: as above.
        unsafe { wake_by_ref(waker.cast()) };
    }
}

unsafe fn drop_foreign(waker: *const ()) {
    // SAFETY: the caller gives up its reference.
    if let Some(drop) = unsafe { vtable_of(waker) }.drop {
        // SAFETY: as above.
        unsafe { drop(waker.cast_mut().cast()) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn clones_of_the_library_outlive_the_slot() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(counter.clone());
        let mut slot = WakerSlot::default();
        let pointer = slot.pointer(&Context::from_waker(&waker));
        // SAFETY: the slot has the waker.
        let clone = unsafe { clone_local(pointer) };
        assert_eq!(slot.pointer(&Context::from_waker(&waker)), pointer);
        drop(slot);
        // SAFETY: `clone` is a reference, which `wake_local` gives back.
        unsafe {
            wake_local_by_ref(clone);
            wake_local(clone);
        }
        assert_eq!(counter.0.load(Ordering::Relaxed), 2);
        drop(waker);
        assert_eq!(Arc::strong_count(&counter), 1);
    }

    /// A waker of a library, which counts its references.
    #[repr(C)]
    struct LibraryWaker {
        base: abi::Waker,
        references: AtomicUsize,
        wakes: AtomicUsize,
    }

    unsafe extern "C" fn clone(waker: *const abi::Waker) -> *mut abi::Waker {
        // SAFETY: the test passes pointers to `LibraryWaker`s only.
        unsafe { &*waker.cast::<LibraryWaker>() }
            .references
            .fetch_add(1, Ordering::Relaxed);
        waker.cast_mut()
    }

    unsafe extern "C" fn wake(waker: *mut abi::Waker) {
        // SAFETY: as above.
        unsafe {
            wake_by_ref(waker);
            release(waker);
        }
    }

    unsafe extern "C" fn wake_by_ref(waker: *const abi::Waker) {
        // SAFETY: as above.
        unsafe { &*waker.cast::<LibraryWaker>() }
            .wakes
            .fetch_add(1, Ordering::Relaxed);
    }

    unsafe extern "C" fn release(waker: *mut abi::Waker) {
        // SAFETY: as above.
        unsafe { &*waker.cast::<LibraryWaker>() }
            .references
            .fetch_sub(1, Ordering::Relaxed);
    }

    static VTABLE: abi::WakerVtable = abi::WakerVtable {
        size: size_of::<abi::WakerVtable>(),
        clone: Some(clone),
        wake: Some(wake),
        wake_by_ref: Some(wake_by_ref),
        drop: Some(release),
    };

    #[test]
    fn references_to_a_waker_of_the_library_are_given_back() {
        let library = LibraryWaker {
            base: abi::Waker {
                vtable: &raw const VTABLE,
            },
            references: AtomicUsize::new(1),
            wakes: AtomicUsize::new(0),
        };
        let pointer = (&raw const library).cast::<abi::Waker>();
        let (first, second) = {
            // SAFETY: the waker is complete and alive.
            unsafe { with_waker(pointer, |cx| (cx.waker().clone(), cx.waker().clone())) }.unwrap()
        };
        assert_eq!(library.references.load(Ordering::Relaxed), 3);
        assert!(first.will_wake(&second));
        first.wake();
        second.wake_by_ref();
        drop(second);
        assert_eq!(library.references.load(Ordering::Relaxed), 1);
        assert_eq!(library.wakes.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_incomplete_waker_is_not_used() {
        let empty = abi::Waker {
            vtable: std::ptr::null(),
        };
        // SAFETY: the pointers are NULL or valid.
        unsafe {
            assert!(with_waker(std::ptr::null(), |_| ()).is_none());
            assert!(with_waker(&raw const empty, |_| ()).is_none());
        }
    }
}
