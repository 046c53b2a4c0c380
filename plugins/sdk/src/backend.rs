//! The trait that a backend implements.

use crate::types::{Action, BackendInfo, Error, Inspection, LogOptions, ObjectRef, Removal};
use crate::{Host, LogResponder, WatchResponder};

/// A backend for one kind of container engine. The contract in `wit/` defines
/// each call and its error codes; the [crate documentation](crate) has a
/// complete example.
///
/// Calls run concurrently on one thread. When the host stops a call, the call's
/// future is dropped at its next await with everything that it owns:
/// connections close, and pending reads and writes are cancelled. So a backend
/// needs no stop signal, but it must not rely on code after an await to restore
/// a state that it changed before.
#[allow(
    async_fn_in_trait,
    reason = "a backend is single-threaded: no caller needs its futures to be Send"
)]
pub trait Backend: 'static {
    /// Creates the backend. Called once for each instance, before every other
    /// function but [`describe`](Self::describe). Must not connect to the
    /// engine.
    fn new(host: Host) -> Self;

    /// Describes this backend. Must return the same value each time.
    fn describe() -> BackendInfo;

    /// Lists all objects, then reports their changes until the host stops the
    /// call. Accept the responder once the engine has responded.
    async fn watch(&self, responder: WatchResponder) -> Result<(), Error>;

    /// Sends the engine its cheapest request, to check that it still responds.
    async fn ping(&self) -> Result<(), Error>;

    /// Returns the current state of one object.
    async fn inspect(&self, object: ObjectRef) -> Result<Inspection, Error>;

    /// Sends a container's log. Accept the responder once the engine has begun
    /// to respond. The default implementation fails with `unsupported`.
    async fn get_logs(
        &self,
        id: String,
        options: LogOptions,
        responder: LogResponder,
    ) -> Result<(), Error> {
        drop((id, options, responder));
        Err(Error::unsupported("this backend does not support logs"))
    }

    /// Performs an action on a container. The default implementation fails with
    /// `unsupported`.
    async fn act(&self, id: String, action: Action) -> Result<(), Error> {
        drop((id, action));
        Err(Error::unsupported("this backend does not support actions"))
    }

    /// Removes one object. The default implementation fails with `unsupported`.
    async fn remove(&self, target: Removal) -> Result<(), Error> {
        drop(target);
        Err(Error::unsupported("this backend does not support removals"))
    }
}

/// Exports the named [`Backend`] as the crate's plugin.
///
/// The crate must be a `cdylib`. In a build for another target than
/// WebAssembly, such as a test, the macro only checks that the type implements
/// [`Backend`].
#[macro_export]
macro_rules! export_backend {
    ($backend:ty) => {
        const _: () = {
            const fn is_backend<B: $crate::Backend>() {}
            is_backend::<$backend>();
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Instance;

            impl $crate::component::BackendInstance for Instance {
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

            type Exports = $crate::component::ComponentExports<Instance>;

    $crate::bindings::export!(Exports with_types_in $crate::bindings);
        };
    };
}
