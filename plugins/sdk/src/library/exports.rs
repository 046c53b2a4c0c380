//! The functions of a library, implemented by a [`Backend`].

use std::rc::Rc;
use std::sync::OnceLock;

use rdd_sdk_abi as abi;
use serde::de::DeserializeOwned;

use super::call_object::CallObject;
use super::guard::{PollOutcome, ReturnBuffer, catch};
use super::host::LibraryHost;
use super::records::{
    self, ActParameters, ContainerParameters, InspectParameters, RemoveParameters, SpecParameters,
};
use super::stream_object::StreamObject;
use crate::{Backend, Host};

/// The backend of this library. Implemented by
/// [`export_backend!`](crate::export_backend).
pub trait LibraryExports: 'static {
    /// The type of the backend.
    type Backend: Backend;

    /// Returns the memory of the backend's description.
    fn description() -> &'static OnceLock<Vec<u8>>;
}

/// Returns the functions of a library for a backend.
pub const fn functions<E: LibraryExports>() -> abi::Library {
    abi::Library {
        size: size_of::<abi::Library>(),
        major: abi::ABI_MAJOR,
        minor: abi::ABI_MINOR,
        describe: Some(describe::<E>),
        create: Some(create::<E>),
        destroy: Some(destroy::<E>),
        watch: Some(watch::<E>),
        ping: Some(ping::<E>),
        inspect: Some(inspect::<E>),
        get_logs: Some(get_logs::<E>),
        get_entries: Some(get_entries::<E>),
        act: Some(act::<E>),
        remove: Some(remove::<E>),
        create_container: Some(create_container::<E>),
        create_volume: Some(create_volume::<E>),
        exec: Some(exec::<E>),
        pull: Some(pull::<E>),
        push: Some(push::<E>),
    }
}

/// An instance. The host knows its address only.
struct LibraryInstance<E: LibraryExports> {
    backend: Rc<E::Backend>,
    returned: ReturnBuffer,
}

thread_local! {
    /// What functions without an instance lend to the host.
    static RETURNED: std::cell::RefCell<ReturnBuffer> = std::cell::RefCell::default();
}

/// Converts the result of a function without an instance.
///
/// # Safety
///
/// `error` is NULL or valid.
unsafe fn finish_without_instance(
    error: *mut abi::Error,
    outcome: Result<PollOutcome, super::guard::PanicMessage>,
) -> abi::Status {
    RETURNED.with_borrow_mut(|returned| {
        // SAFETY: passed on to the caller.
        unsafe { returned.finish(error, outcome) }
    })
}

unsafe extern "C" fn describe<E: LibraryExports>(
    info: *mut abi::Bytes,
    error: *mut abi::Error,
) -> abi::Status {
    let outcome = catch(|| {
        let text = match E::description().get() {
            Some(text) => text,
            None => match records::encode(&E::Backend::describe()) {
                Ok(text) => E::description().get_or_init(|| text),
                Err(error) => return PollOutcome::Failed(error),
            },
        };
        // SAFETY: the host passes a valid pointer.
        unsafe { info.write(abi::Bytes::new(text)) };
        PollOutcome::Ready
    });
    // SAFETY: the host passes a valid pointer.
    unsafe { finish_without_instance(error, outcome) }
}

unsafe extern "C" fn create<E: LibraryExports>(
    host: *const abi::Host,
    instance: *mut *mut abi::Instance,
    error: *mut abi::Error,
) -> abi::Status {
    let outcome = catch(|| {
        // SAFETY: the host remains valid until the instance is destroyed.
        let host = Host::new(unsafe { LibraryHost::new(host) });
        let created = Box::new(LibraryInstance::<E> {
            backend: Rc::new(E::Backend::new(host)),
            returned: ReturnBuffer::default(),
        });
        // SAFETY: the host passes a valid pointer.
        unsafe { instance.write(Box::into_raw(created).cast()) };
        PollOutcome::Ready
    });
    // SAFETY: the host passes a valid pointer.
    unsafe { finish_without_instance(error, outcome) }
}

unsafe extern "C" fn destroy<E: LibraryExports>(instance: *mut abi::Instance) {
    // SAFETY: the host destroys each instance once, after its objects.
    let instance = unsafe { Box::from_raw(instance.cast::<LibraryInstance<E>>()) };
    // A panic of a destructor leaves nothing to report it to; it was printed.
    catch(|| drop(instance)).ok();
}

/// Begins a call: decodes its parameters, and writes the new object to `object`.
///
/// # Safety
///
/// The host passes an instance on its thread, and pointers that are valid.
unsafe fn start<E: LibraryExports, P: DeserializeOwned, O>(
    instance: *mut abi::Instance,
    parameters: abi::Bytes,
    object: *mut *mut O,
    error: *mut abi::Error,
    begin: impl FnOnce(Rc<E::Backend>, P) -> *mut O,
) -> abi::Status {
    // SAFETY: the caller guarantees it.
    let instance = unsafe { &mut *instance.cast::<LibraryInstance<E>>() };
    let backend = instance.backend.clone();
    let outcome = catch(|| {
        // SAFETY: the caller guarantees it.
        match unsafe { records::decode(parameters) } {
            Ok(parameters) => {
                // SAFETY: the caller guarantees it.
                unsafe { object.write(begin(backend, parameters)) };
                PollOutcome::Ready
            }
            Err(error) => PollOutcome::Failed(error),
        }
    });
    // SAFETY: the caller guarantees it.
    unsafe { instance.returned.finish(error, outcome) }
}

/// Defines the function of a call. `$parameters` is the type of the parameters,
/// and the closure creates the object.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($object:ident, $parameters:ty) => $begin:expr;)*) => { $(
        $(#[$doc])*
        unsafe extern "C" fn $name<E: LibraryExports>(
            instance: *mut abi::Instance,
            parameters: abi::Bytes,
            object: *mut *mut abi::$object,
            error: *mut abi::Error,
        ) -> abi::Status {
            // SAFETY: passed on to the host.
            unsafe {
                start::<E, $parameters, _>(instance, parameters, object, error, $begin)
            }
        }
    )* };
}

/// The parameters of calls that have none.
#[derive(serde::Deserialize)]
struct NoParameters {}

calls! {
    watch(Stream, NoParameters) => |backend, _| {
        StreamObject::create(|responder| async move { backend.watch(responder).await })
    };
    ping(Call, NoParameters) => |backend, _| {
        CallObject::without_result(async move { backend.ping().await })
    };
    inspect(Call, InspectParameters) => |backend, parameters| {
        CallObject::with_result(async move { backend.inspect(parameters.object).await })
    };
    get_logs(Stream, ContainerParameters<_>) => |backend, parameters| {
        let ContainerParameters { container, options } = parameters;
        StreamObject::create(|responder| async move {
            backend.get_logs(container, options, responder).await
        })
    };
    get_entries(Stream, ContainerParameters<_>) => |backend, parameters| {
        let ContainerParameters { container, options } = parameters;
        StreamObject::create(|responder| async move {
            backend.get_entries(container, options, responder).await
        })
    };
    act(Call, ActParameters) => |backend, parameters| {
        let ActParameters { container, action } = parameters;
        CallObject::without_result(async move { backend.act(container, action).await })
    };
    remove(Call, RemoveParameters) => |backend, parameters| {
        CallObject::without_result(async move { backend.remove(parameters.removal).await })
    };
    create_container(Call, SpecParameters<_>) => |backend, parameters| {
        CallObject::with_result(async move { backend.create_container(parameters.spec).await })
    };
    create_volume(Call, SpecParameters<_>) => |backend, parameters| {
        CallObject::with_result(async move { backend.create_volume(parameters.spec).await })
    };
    exec(Stream, ContainerParameters<_>) => |backend, parameters| {
        let ContainerParameters { container, options } = parameters;
        StreamObject::create_process(|input, responder| async move {
            backend.exec(container, options, input, responder).await
        })
    };
    pull(Stream, SpecParameters<_>) => |backend, parameters| {
        StreamObject::create(|responder| async move {
            backend.pull(parameters.spec, responder).await
        })
    };
    push(Stream, SpecParameters<_>) => |backend, parameters| {
        StreamObject::create(|responder| async move {
            backend.push(parameters.spec, responder).await
        })
    };
}
