//! Names shared by several kinds: API groups, labels, annotations, finalizers,
//! field managers, condition types, and reasons.

/// API group of the mirrored kinds and the request kinds.
pub const CONTAINERS_GROUP: &str = "containers.rancherdesktop.io";

/// API group of [`App`](crate::App).
pub const APP_GROUP: &str = "app.rancherdesktop.io";

/// Version of both API groups.
pub const VERSION: &str = "v1alpha1";

/// Field manager of every write by the mirror controller.
pub const FIELD_MANAGER: &str = "engine-controller";

/// Finalizer of every mirror except ContainerNamespace: the mirror stays until
/// the engine has removed its object.
pub const MIRROR_FINALIZER: &str = "engine.rancherdesktop.io/mirror";

/// Label of every mirror. Its value is the name of the backend that reported
/// the object. Objects without it are not managed by the daemon.
pub const BACKEND_LABEL: &str = "engine.rancherdesktop.io/backend";

/// Label of every mirror. Its value is the ID of the daemon instance that
/// created it. Only that instance acts on the mirror, or the one that has taken
/// over its Lease.
pub const INSTANCE_LABEL: &str = "engine.rancherdesktop.io/instance";

/// Annotation with which a daemon claims an action before carrying it out. Its
/// value is the ID of the instance. It is removed together with
/// [`ACTION_ANNOTATION`].
pub const ACTION_CLAIM_ANNOTATION: &str = "engine.rancherdesktop.io/action-claim";

/// Annotation with which a client requests an action on a Container. Its value
/// is an [`ActionName`](crate::ActionName).
pub const ACTION_ANNOTATION: &str = "containers.rancherdesktop.io/action";

/// Label of the admission policies of this crate and their bindings, which the
/// daemon keeps up to date. Those without it belong to somebody else.
pub const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";

/// Value of [`PART_OF_LABEL`].
pub const PART_OF: &str = "rdd";

/// Name of the only App.
pub const APP_NAME: &str = "app";

/// Backend of an App that does not name one.
pub const DEFAULT_BACKEND: &str = "moby";

/// Namespace of the mirrors if the App does not name one.
pub const DEFAULT_NAMESPACE: &str = "rancher-desktop";

/// Namespace of the daemon's own objects: its Leases and its discovery
/// ConfigMap.
pub const SYSTEM_NAMESPACE: &str = "rdd-system";

/// Condition types.
pub mod condition {
    /// App: follows `spec.running`. Container: it has processes, including paused
    /// ones.
    pub const RUNNING: &str = "Running";
    /// App: the engine is mirrored and can be called.
    pub const CONTAINER_ENGINE_READY: &str = "ContainerEngineReady";
    /// App: the other conditions reflect the current spec.
    pub const SETTLED: &str = "Settled";
    /// Container: its processes are paused.
    pub const PAUSED: &str = "Paused";
    /// Container: its restart policy is about to restart it.
    pub const RESTARTING: &str = "Restarting";
    /// Container: the kernel killed it because it ran out of memory.
    pub const OOM_KILLED: &str = "OOMKilled";
    /// Container: the engine failed to remove it.
    pub const DEAD: &str = "Dead";
    /// Container, Image, Volume: the mirror was deleted, but the engine refuses
    /// to remove its object. Present only while that is the case; the message
    /// is the engine's.
    pub const DELETE_FAILED: &str = "DeleteFailed";
    /// Requests: succeeded.
    pub const COMPLETE: &str = "Complete";
    /// Requests: failed permanently.
    pub const FAILED: &str = "Failed";
}

/// Reasons of the App's conditions.
pub mod reason {
    /// Running is True.
    pub const STARTED: &str = "Started";
    /// `spec.running` is false and all mirrors are deleted.
    pub const STOPPED: &str = "Stopped";
    /// The first full sync is complete.
    pub const CONNECTED: &str = "Connected";
    /// There is no usable plugin with the selected name. Log requests get 501.
    pub const BACKEND_NOT_INSTALLED: &str = "BackendNotInstalled";
    /// The engine cannot be reached. Log requests get 503.
    pub const CONNECT_FAILED: &str = "ConnectFailed";
    /// The engine is connected and being listed, or orphans are being pruned.
    pub const RESYNCING: &str = "Resyncing";
    /// The plugin failed and is about to be restarted. Log requests get 503.
    pub const PLUGIN_FAILED: &str = "PluginFailed";
    /// Settled is True.
    pub const SETTLED: &str = "Settled";
    /// `spec.running` is false and mirrors are still being deleted.
    pub const STOPPING: &str = "Stopping";
    /// A condition of a mirror is True because the engine reports it.
    pub const REPORTED: &str = "EngineReported";
    /// A condition of a mirror is False because the engine does not report it.
    pub const NOT_REPORTED: &str = "EngineNotReported";
}
