//! Names that more than one kind uses: labels, annotations, finalizers,
//! managers, condition types and reasons.

/// API group of the mirrored kinds and of the requests.
pub const CONTAINERS_GROUP: &str = "containers.rancherdesktop.io";

/// API group of [`App`](crate::App).
pub const APP_GROUP: &str = "app.rancherdesktop.io";

/// Version of both groups.
pub const VERSION: &str = "v1alpha1";

/// Field manager of every server-side apply of the mirror.
pub const FIELD_MANAGER: &str = "engine-controller";

/// Finalizer of each mirror but ContainerNamespace: the engine's object goes
/// before its mirror does.
pub const MIRROR_FINALIZER: &str = "engine.rancherdesktop.io/mirror";

/// Label of each mirror; its value is the name of the backend that reported
/// the object. What lacks it is somebody else's.
pub const BACKEND_LABEL: &str = "engine.rancherdesktop.io/backend";

/// Label of each mirror; its value is the ID of the daemon's instance that made
/// it. Only that instance acts on it, or the one that has taken over its Lease.
pub const INSTANCE_LABEL: &str = "engine.rancherdesktop.io/instance";

/// Annotation by which the daemon claims an action that it carries out; its
/// value is the ID of its instance. It goes together with the
/// [`ACTION_ANNOTATION`].
pub const ACTION_CLAIM_ANNOTATION: &str = "engine.rancherdesktop.io/action-claim";

/// Annotation by which a client asks for an action on a Container; its value
/// is an [`ActionName`](crate::ActionName).
pub const ACTION_ANNOTATION: &str = "containers.rancherdesktop.io/action";

/// Name of the only App.
pub const APP_NAME: &str = "app";

/// Backend of an App that names none.
pub const DEFAULT_BACKEND: &str = "moby";

/// Namespace of the mirrors when the App names none.
pub const DEFAULT_NAMESPACE: &str = "rancher-desktop";

/// Namespace of what the daemon says of itself.
pub const SYSTEM_NAMESPACE: &str = "rdd-system";

/// Condition types.
pub mod condition {
    /// App: follows `spec.running`. Container: processes exist, frozen or not.
    pub const RUNNING: &str = "Running";
    /// App: the engine is mirrored and can be asked.
    pub const CONTAINER_ENGINE_READY: &str = "ContainerEngineReady";
    /// App: the other conditions have caught up with the spec.
    pub const SETTLED: &str = "Settled";
    /// Container: processes exist and are frozen.
    pub const PAUSED: &str = "Paused";
    /// Container: a restart policy is about to start it again.
    pub const RESTARTING: &str = "Restarting";
    /// Container: the kernel killed it for its memory.
    pub const OOM_KILLED: &str = "OOMKilled";
    /// Container: the engine gave up removing it.
    pub const DEAD: &str = "Dead";
    /// Container, Image, Volume: the object was deleted here and the engine
    /// does not let its own go. Present only while that is so; the message
    /// has the engine's words.
    pub const DELETE_FAILED: &str = "DeleteFailed";
    /// Requests: done.
    pub const COMPLETE: &str = "Complete";
    /// Requests: will never be done.
    pub const FAILED: &str = "Failed";
}

/// Reasons of the App's conditions.
pub mod reason {
    /// Running is True.
    pub const STARTED: &str = "Started";
    /// `spec.running` is false and no mirror is left.
    pub const STOPPED: &str = "Stopped";
    /// The first full sync is done.
    pub const CONNECTED: &str = "Connected";
    /// No usable plugin of the chosen name: logs answer 501.
    pub const BACKEND_NOT_INSTALLED: &str = "BackendNotInstalled";
    /// The engine cannot be reached: logs answer 503.
    pub const CONNECT_FAILED: &str = "ConnectFailed";
    /// The engine answers and is being read, or old mirrors are being removed.
    pub const RESYNCING: &str = "Resyncing";
    /// The plugin crashed and is about to be started again: logs answer 503.
    pub const PLUGIN_FAILED: &str = "PluginFailed";
    /// Settled is True.
    pub const SETTLED: &str = "Settled";
    /// `spec.running` is false and mirrors are still being removed.
    pub const STOPPING: &str = "Stopping";
    /// A condition of a mirror is True because the engine says so.
    pub const REPORTED: &str = "EngineReported";
    /// A condition of a mirror is False because the engine does not say so.
    pub const NOT_REPORTED: &str = "EngineNotReported";
}
