//! The trait that a backend implements.

use crate::types::{Action, BackendInfo, Error, Inspection, LogOptions, ObjectRef, Removal};
use crate::{Host, LogResponder, WatchResponder};

/// A container engine's backend. The contract in `wit/` says what each call
/// does and which errors it gives.
///
/// Calls run side by side on one thread. A call that the host stops is
/// dropped at its next await, with all that it holds: connections close,
/// pending reads and writes are withdrawn. So a backend has no stop signal to
/// watch, and must not hold anything across an await whose loss would hurt.
#[allow(
    async_fn_in_trait,
    reason = "a backend is single-threaded: no caller needs its futures to be Send"
)]
pub trait Backend: 'static {
    /// Makes the backend. Called once in an instance, before all else but
    /// [`describe`](Self::describe). Must not reach for the engine.
    fn new(host: Host) -> Self;

    /// What this backend is: the same answer each time.
    fn describe() -> BackendInfo;

    /// All objects, then their changes. Accept once the engine has answered.
    async fn watch(&self, responder: WatchResponder) -> Result<(), Error>;

    /// Asks the engine for the cheapest answer that it has.
    async fn ping(&self) -> Result<(), Error>;

    /// One object as it is now.
    async fn inspect(&self, object: ObjectRef) -> Result<Inspection, Error>;

    /// A container's output. Accept once the engine has begun to answer.
    async fn get_logs(
        &self,
        id: String,
        options: LogOptions,
        responder: LogResponder,
    ) -> Result<(), Error> {
        drop((id, options, responder));
        Err(Error::unsupported("this backend has no logs"))
    }

    /// Performs an action on a container.
    async fn act(&self, id: String, action: Action) -> Result<(), Error> {
        drop((id, action));
        Err(Error::unsupported("this backend has no actions"))
    }

    /// Removes one object.
    async fn remove(&self, target: Removal) -> Result<(), Error> {
        drop(target);
        Err(Error::unsupported("this backend removes nothing"))
    }
}

/// Makes the crate a plugin whose backend is the named type.
///
/// The crate must be a `cdylib`. In a build that is not a plugin (tests, say)
/// the macro only checks that the type is a backend.
#[macro_export]
macro_rules! export_backend {
    ($backend:ty) => {
        const _: () = {
            const fn is_backend<B: $crate::Backend>() {}
            is_backend::<$backend>();
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Plugin;

            impl $crate::component::Plugin for Plugin {
                type Backend = $backend;

                fn backend() -> ::std::rc::Rc<$backend> {
                    ::std::thread_local! {
                        static BACKEND: ::std::rc::Rc<$backend> = ::std::rc::Rc::new(
                            <$backend as $crate::Backend>::new($crate::component::host()),
                        );
                    }
                    BACKEND.with(::std::rc::Rc::clone)
                }
            }

            type Exports = $crate::component::Component<Plugin>;

    $crate::bindings::export!(Exports with_types_in $crate::bindings);
        };
    };
}
