//! The functions of the host for one instance (`rdd_host`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdd_core::{EngineError, ErrorCode, Timestamp, text};
use rdd_plugin_contract::GrantedDirectory;
use rdd_sdk_abi as abi;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::host_call::HostCall;
use crate::host_connection::HostConnection;
use crate::host_context::{HostContext, InstanceKind};
use crate::host_function::{argument, guarded, set_error};
use crate::json;
use crate::thread_tracker::ThreadTracker;

/// The maximum length in bytes of a line that a backend logs, from the contract.
const MAX_LOG_LINE_BYTES: usize = 8 * 1024;
/// The longest sleep that the contract allows.
const MAX_SLEEP: Duration = Duration::from_secs(3600);
/// The maximum number of timers of an instance, from the contract.
pub(crate) const MAX_TIMERS: usize = 4_096;
/// The time limit for a credential helper, which may ask the user to unlock a
/// keychain.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(60);
/// The maximum length of a registry's host name and port.
const MAX_REGISTRY_BYTES: usize = 300;

/// The host of one instance, as the library sees it. It is on the heap, and the
/// library uses it on any thread, so everything in it is `Sync` and unchanged
/// after its creation.
#[repr(C)]
pub(crate) struct InstanceHost {
    base: abi::Host,
    context: Arc<HostContext>,
    /// What the instance's thread does.
    tracker: Arc<ThreadTracker>,
    timer_permits: Arc<Semaphore>,
    kind: InstanceKind,
    created_at: Instant,
    random: SystemRandom,
    /// The memory that `base` refers to.
    _directories: Box<[abi::Directory]>,
    too_many_connections: String,
}

/// The messages of errors that the functions return without an object. They are
/// static, because another thread may call the same function meanwhile.
const NULL_ARGUMENT: &str = "the backend passed a NULL pointer";
const TOO_MANY_TIMERS: &str = "the instance has 4096 timers, the maximum";
const SLEEP_TOO_LONG: &str = "a timer is for an hour at most";
const INVALID_REGISTRY: &str = "the registry is not the host name of a registry";
const OTHER_REGISTRY: &str =
    "this instance does not pull from or push to that registry; it gets credentials for no other";

impl InstanceHost {
    /// Creates the host of an instance.
    pub(crate) fn new(
        context: Arc<HostContext>,
        tracker: Arc<ThreadTracker>,
        kind: InstanceKind,
        timer_permits: Arc<Semaphore>,
    ) -> Box<Self> {
        let directories: Box<[_]> = context
            .directories
            .iter()
            .map(|GrantedDirectory { name, path }| abi::Directory {
                name: abi::Bytes::new(name.as_bytes()),
                path: abi::Bytes::new(path.as_os_str().as_encoded_bytes()),
            })
            .collect();
        let base = abi::Host {
            size: size_of::<abi::Host>(),
            major: abi::ABI_MAJOR,
            minor: abi::ABI_MINOR,
            directories: directories.as_ptr(),
            directory_count: directories.len(),
            log: Some(log),
            now: Some(now),
            monotonic_now: Some(monotonic_now),
            random: Some(random),
            sleep: Some(sleep),
            connect: Some(connect),
            get_credentials: Some(get_credentials),
        };
        Box::new(Self {
            base,
            tracker,
            timer_permits,
            kind,
            created_at: Instant::now(),
            random: SystemRandom::new(),
            _directories: directories,
            too_many_connections: format!(
                "{} connections to the engine are open, the maximum for a backend",
                context.max_connections
            ),
            context,
        })
    }

    fn acquire_connection(&self) -> Option<OwnedSemaphorePermit> {
        let HostContext {
            connection_permits,
            probe_permit,
            ..
        } = &*self.context;
        let permit = connection_permits.clone().try_acquire_owned();
        let permit = match &self.kind {
            InstanceKind::Control => permit.or_else(|_| probe_permit.clone().try_acquire_owned()),
            InstanceKind::Stream | InstanceKind::Transfer { .. } => permit,
        };
        permit.ok()
    }
}

/// Returns the host behind the pointer that the library passes.
///
/// # Safety
///
/// What the ABI demands: `host` is the pointer that `create` got, before the
/// return of `destroy`.
unsafe fn host_of<'a>(host: *const abi::Host) -> &'a InstanceHost {
    // SAFETY: `create` gets a pointer to an `InstanceHost`, which is freed after
    // `destroy`.
    unsafe { &*host.cast::<InstanceHost>() }
}

unsafe extern "C" fn log(host: *const abi::Host, level: u32, message: abi::Bytes) {
    // SAFETY: the ABI demands valid arguments.
    let (host, message) = unsafe { (host_of(host), argument(message)) };
    let write = || {
        let Some(dropped) = host.context.log_limiter.admit() else {
            return;
        };
        let _entered = host.context.span.enter();
        if dropped > 0 {
            tracing::warn!(dropped, "backend logged too many lines");
        }
        let message = message.unwrap_or_default();
        // A character more than is shown may be cut.
        let message = message.get(..=MAX_LOG_LINE_BYTES).unwrap_or(message);
        let message = String::from_utf8_lossy(message);
        let message = text::truncate(&message, MAX_LOG_LINE_BYTES);
        match level {
            abi::log_level::TRACE => tracing::trace!("{message}"),
            abi::log_level::DEBUG => tracing::debug!("{message}"),
            abi::log_level::INFO => tracing::info!("{message}"),
            abi::log_level::WARN => tracing::warn!("{message}"),
            _ => tracing::error!("{message}"),
        }
    };
    // A line that cannot be written is lost; `log` never fails.
    catch_unwind(AssertUnwindSafe(write)).ok();
}

unsafe extern "C" fn now(_: *const abi::Host, seconds: *mut i64, nanoseconds: *mut u32) {
    let now = Timestamp::from(jiff::Timestamp::now());
    // SAFETY: the ABI demands that the pointers are NULL or valid.
    if let Some(seconds) = unsafe { seconds.as_mut() } {
        *seconds = now.seconds();
    }
    // SAFETY: as above.
    if let Some(nanoseconds) = unsafe { nanoseconds.as_mut() } {
        *nanoseconds = now.nanoseconds();
    }
}

unsafe extern "C" fn monotonic_now(host: *const abi::Host) -> u64 {
    // SAFETY: the ABI demands a valid host.
    let host = unsafe { host_of(host) };
    u64::try_from(host.created_at.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

unsafe extern "C" fn random(host: *const abi::Host) -> u64 {
    // SAFETY: the ABI demands a valid host.
    let host = unsafe { host_of(host) };
    let mut bytes = [0; 8];
    if host.random.fill(&mut bytes).is_err() {
        // Never on a system that runs: the kernel has randomness after its start.
        tracing::error!("the system has no random numbers; using the time instead");
        // SAFETY: as above.
        return unsafe { monotonic_now(&raw const host.base) };
    }
    u64::from_ne_bytes(bytes)
}

unsafe extern "C" fn sleep(
    host: *const abi::Host,
    nanoseconds: u64,
    timer: *mut *mut abi::Call,
    error: *mut abi::Error,
) -> abi::Status {
    let create = || {
        // SAFETY: the ABI demands valid arguments; the messages are static.
        let (host, fail) = unsafe {
            (host_of(host), |code, message| {
                set_error(error, code, message)
            })
        };
        if timer.is_null() {
            return fail(abi::error_code::INTERNAL, NULL_ARGUMENT);
        }
        let duration = Duration::from_nanos(nanoseconds);
        if duration > MAX_SLEEP {
            return fail(abi::error_code::INVALID_ARGUMENT, SLEEP_TOO_LONG);
        }
        let Ok(permit) = host.timer_permits.clone().try_acquire_owned() else {
            return fail(abi::error_code::UNAVAILABLE, TOO_MANY_TIMERS);
        };
        let runtime = host.context.runtime.clone();
        let sleep = {
            let _entered = runtime.enter();
            tokio::time::sleep(duration)
        };
        let call = HostCall::create(runtime, async move {
            let _permit = permit;
            sleep.await;
            Ok(String::new())
        });
        // SAFETY: not NULL, and valid according to the ABI.
        unsafe { timer.write(call) };
        abi::READY
    };
    // SAFETY: passed on.
    unsafe { guarded(error, create) }
}

unsafe extern "C" fn connect(
    host: *const abi::Host,
    connection: *mut *mut abi::Connection,
    error: *mut abi::Error,
) -> abi::Status {
    let create = || {
        // SAFETY: the ABI demands valid arguments. The messages are static or live
        // as long as the host.
        let (host, fail) = unsafe {
            (host_of(host), |code, message| {
                set_error(error, code, message)
            })
        };
        if connection.is_null() {
            return fail(abi::error_code::INTERNAL, NULL_ARGUMENT);
        }
        let context = &host.context;
        let Some(permit) = host.acquire_connection() else {
            return fail(abi::error_code::UNAVAILABLE, &host.too_many_connections);
        };
        let created = HostConnection::create(context, host.tracker.clone(), permit);
        // SAFETY: not NULL, and valid according to the ABI.
        unsafe { connection.write(created) };
        abi::READY
    };
    // SAFETY: passed on.
    unsafe { guarded(error, create) }
}

unsafe extern "C" fn get_credentials(
    host: *const abi::Host,
    registry: abi::Bytes,
    call: *mut *mut abi::Call,
    error: *mut abi::Error,
) -> abi::Status {
    let create = || {
        // SAFETY: the ABI demands valid arguments; the messages are static.
        let (host, registry, fail) = unsafe {
            (host_of(host), argument(registry), |code, message| {
                set_error(error, code, message)
            })
        };
        if call.is_null() {
            return fail(abi::error_code::INTERNAL, NULL_ARGUMENT);
        }
        let registry = registry
            .filter(|registry| registry.len() <= MAX_REGISTRY_BYTES)
            .and_then(|registry| std::str::from_utf8(registry).ok())
            .filter(|registry| !registry.is_empty());
        let Some(registry) = registry else {
            return fail(abi::error_code::INVALID_ARGUMENT, INVALID_REGISTRY);
        };
        let is_granted = matches!(
            &host.kind,
            InstanceKind::Transfer { registry: granted } if granted == registry
        );
        if !is_granted {
            return fail(abi::error_code::PERMISSION_DENIED, OTHER_REGISTRY);
        }
        let store = host.context.credentials.clone();
        let registry = registry.to_owned();
        let request = async move {
            let found = store.credentials(&registry);
            let credentials = tokio::time::timeout(CREDENTIALS_TIMEOUT, found)
                .await
                .map_err(|_| {
                    EngineError::new(
                        ErrorCode::Timeout,
                        format!("the credentials for {registry} were not found within {CREDENTIALS_TIMEOUT:?}; check the credential helper of the Docker configuration"),
                    )
                })??;
            json::credentials(credentials).map_err(|error| {
                EngineError::new(
                    ErrorCode::Internal,
                    format!("cannot encode credentials: {error}"),
                )
            })
        };
        let created = HostCall::create(host.context.runtime.clone(), request);
        // SAFETY: not NULL, and valid according to the ABI.
        unsafe { call.write(created) };
        abi::READY
    };
    // SAFETY: passed on.
    unsafe { guarded(error, create) }
}
