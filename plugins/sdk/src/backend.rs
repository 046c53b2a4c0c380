//! The trait that a backend implements.

use crate::types::{
    Action, BackendInfo, ContainerRef, ContainerSpec, EntryOptions, Error, ExecOptions, Inspection,
    LogOptions, ObjectRef, PullSpec, PushSpec, Removal, VolumeSpec,
};
use crate::{
    EntryResponder, ExecInput, Host, LogResponder, OutputResponder, TransferResponder,
    WatchResponder,
};

/// A backend for one kind of container engine. The contract in `wit/` defines
/// each call and its error codes; the [crate documentation](crate) has a
/// complete example.
///
/// Calls run concurrently on one thread. When the host stops a call, the call's
/// future is dropped at its next await with everything that it owns:
/// connections close, and pending reads and writes are cancelled. So a backend
/// needs no stop signal, but it must not rely on code after an await to restore
/// a state that it changed before.
///
/// The default implementation of a call fails with `unsupported`. The host never
/// makes a call whose capability is missing from [`describe`](Self::describe).
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

    /// Sends a container's log as bytes. Accept the responder once the engine
    /// has begun to respond.
    async fn get_logs(
        &self,
        container: ContainerRef,
        options: LogOptions,
        responder: LogResponder,
    ) -> Result<(), Error> {
        drop((container, options, responder));
        Err(Error::unsupported("this backend does not support logs"))
    }

    /// Sends a container's log as entries. Accept the responder once the engine
    /// has begun to respond.
    async fn get_entries(
        &self,
        container: ContainerRef,
        options: EntryOptions,
        responder: EntryResponder,
    ) -> Result<(), Error> {
        drop((container, options, responder));
        Err(Error::unsupported(
            "this backend does not support logs as entries",
        ))
    }

    /// Performs an action on a container.
    async fn act(&self, container: ContainerRef, action: Action) -> Result<(), Error> {
        drop((container, action));
        Err(Error::unsupported("this backend does not support actions"))
    }

    /// Removes one object.
    async fn remove(&self, removal: Removal) -> Result<(), Error> {
        drop(removal);
        Err(Error::unsupported("this backend does not support removals"))
    }

    /// Creates a container without starting it. Returns its ID.
    async fn create_container(&self, spec: ContainerSpec) -> Result<String, Error> {
        drop(spec);
        Err(Error::unsupported(
            "this backend does not support the creation of containers",
        ))
    }

    /// Creates a volume. Returns its name.
    async fn create_volume(&self, spec: VolumeSpec) -> Result<String, Error> {
        drop(spec);
        Err(Error::unsupported(
            "this backend does not support the creation of volumes",
        ))
    }

    /// Runs a process in a container. Accept the responder once the engine has
    /// started the process, and return its exit code.
    ///
    /// Copy the input and the output concurrently, for example with `join!`: one
    /// must not wait for the other.
    async fn exec(
        &self,
        container: ContainerRef,
        options: ExecOptions,
        input: ExecInput,
        responder: OutputResponder,
    ) -> Result<i32, Error> {
        drop((container, options, input, responder));
        Err(Error::unsupported("this backend does not support exec"))
    }

    /// Pulls an image. Accept the responder once the engine has begun.
    async fn pull(&self, spec: PullSpec, responder: TransferResponder) -> Result<(), Error> {
        drop((spec, responder));
        Err(Error::unsupported("this backend does not support pulls"))
    }

    /// Pushes an image. Accept the responder once the engine has begun.
    async fn push(&self, spec: PushSpec, responder: TransferResponder) -> Result<(), Error> {
        drop((spec, responder));
        Err(Error::unsupported("this backend does not support pushes"))
    }
}
