//! The records of the contract as JSON, by the rules in docs/abi.md: names are
//! those of the WIT package.
//!
//! wit-bindgen generates the types and cannot put attributes on their fields, so
//! `serde` is implemented here by macros, through types of the same shape.

use rdd_sdk_abi as abi;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::guard::borrow;
use crate::types::{
    Action, BackendInfo, Capabilities, Container, ContainerRef, ContainerSpec, ContainerState,
    Credentials, EntryOptions, EntryPosition, Error, Event, ExecOptions, IdForm, Image, Inspection,
    LogOptions, Mount, MountKind, Object, ObjectKind, ObjectRef, PasswordCredentials, Port,
    PortBinding, PullSpec, PushSpec, Removal, RemovalTarget, RestartPolicy, Timestamp,
    TransferPhase, TransferProgress, Volume, VolumeSpec,
};

/// A list of pairs, such as labels.
type Pairs = Vec<(String, String)>;

/// Encodes a result for the host.
pub(super) fn encode(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value)
        .map_err(|error| Error::internal(format!("cannot encode a result: {error}")))
}

/// Decodes the parameters of a call.
///
/// # Safety
///
/// The bytes are valid.
pub(super) unsafe fn decode<T: DeserializeOwned>(bytes: abi::Bytes) -> Result<T, Error> {
    // SAFETY: passed on to the caller.
    let bytes = unsafe { borrow(bytes) };
    serde_json::from_slice(bytes)
        .map_err(|error| Error::invalid_argument(format!("the parameters are not valid: {error}")))
}

/// The parameters of `inspect`.
#[derive(Deserialize)]
pub(super) struct InspectParameters {
    #[serde(rename = "ref")]
    pub(super) object: ObjectRef,
}

/// The parameters of `get-logs`, `get-entries`, and `exec`.
#[derive(Deserialize)]
pub(super) struct ContainerParameters<O> {
    pub(super) container: ContainerRef,
    pub(super) options: O,
}

/// The parameters of `act`.
#[derive(Deserialize)]
pub(super) struct ActParameters {
    pub(super) container: ContainerRef,
    pub(super) action: Action,
}

/// The parameters of `remove`.
#[derive(Deserialize)]
pub(super) struct RemoveParameters {
    pub(super) removal: Removal,
}

/// The parameters of creations and transfers.
#[derive(Deserialize)]
pub(super) struct SpecParameters<S> {
    pub(super) spec: S,
}

/// Implements `serde` for records.
macro_rules! records {
    ($($type:ident { $($field:ident: $value:ty),* $(,)? })*) => { $(
        const _: () = {
            #[derive(Serialize)]
            #[serde(rename_all = "kebab-case")]
            struct Encoded<'a> { $($field: &'a $value),* }

            #[derive(Deserialize)]
            #[serde(rename_all = "kebab-case")]
            struct Decoded { $($field: $value),* }

            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let Self { $($field),* } = self;
                    Encoded { $($field),* }.serialize(serializer)
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let Decoded { $($field),* } = Decoded::deserialize(deserializer)?;
                    Ok(Self { $($field),* })
                }
            }
        };
    )* };
}

/// Implements `serde` for enumerations.
macro_rules! enumerations {
    ($($type:ident { $($case:ident),* $(,)? })*) => { $(
        const _: () = {
            #[derive(Serialize, Deserialize)]
            #[serde(rename_all = "kebab-case")]
            enum Name { $($case),* }

            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    match self { $(Self::$case => Name::$case),* }.serialize(serializer)
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Ok(match Name::deserialize(deserializer)? { $(Name::$case => Self::$case),* })
                }
            }
        };
    )* };
}

/// Implements `serde` for variants of which at least one case has a value.
macro_rules! variants {
    ($($type:ident { $($case:ident $(($name:ident: $value:ty))?),* $(,)? })*) => { $(
        const _: () = {
            #[derive(Serialize)]
            #[serde(rename_all = "kebab-case")]
            enum Encoded<'a> { $($case $((&'a $value))?),* }

            #[allow(clippy::large_enum_variant, reason = "the shape is the contract's")]
            #[derive(Deserialize)]
            #[serde(rename_all = "kebab-case")]
            enum Decoded { $($case $(($value))?),* }

            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    match self { $(Self::$case $(($name))? => Encoded::$case $(($name))?),* }
                        .serialize(serializer)
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Ok(match Decoded::deserialize(deserializer)? {
                        $(Decoded::$case $(($name))? => Self::$case $(($name))?),*
                    })
                }
            }
        };
    )* };
}

enumerations! {
    ObjectKind { Container, Image, Volume, Namespace }
    ContainerState {
        Created, Running, Pausing, Paused, Restarting, Removing, Exited, Dead, Unknown,
    }
    Action { Start, Stop, Pause, Unpause, Restart }
    MountKind { Bind, Volume, Tmpfs }
    TransferPhase {
        Waiting, Downloading, Verifying, Downloaded, Extracting, Uploading, Exists, Complete,
        Unknown,
    }
}

variants! {
    IdForm { LowerHex(digits: u32), Identifier(max: u32) }
    Object {
        Container(container: Container),
        Image(image: Image),
        Volume(volume: Volume),
        Namespace(name: String),
    }
    Event { InitBegin, Applied(object: Object), InitDone, Removed(object: ObjectRef) }
    RemovalTarget {
        Container(id: String),
        ImageTag(tag: (String, String)),
        Image(id: String),
        Volume(volume: (String, Option<Timestamp>)),
    }
    RestartPolicy { No, Always, UnlessStopped, OnFailure(max: u32) }
    Credentials {
        Password(password: PasswordCredentials),
        IdentityToken(token: String),
        RegistryToken(token: String),
    }
}

records! {
    Timestamp { seconds: i64, nanoseconds: u32 }
    PortBinding { host_ip: String, host_port: String }
    Port { name: String, bindings: Vec<PortBinding> }
    Container {
        id: String, name: String, namespace: String, path: String, args: Vec<String>,
        image_id: String, image_name: String, labels: Pairs, state: ContainerState, pid: i32,
        exit_code: i32, error: String, created_at: Option<Timestamp>,
        started_at: Option<Timestamp>, finished_at: Option<Timestamp>, ports: Vec<Port>,
        running: bool, paused: bool, restarting: bool, oom_killed: bool, dead: bool, tty: bool,
    }
    Image {
        id: String, namespace: String, repo_tags: Vec<String>, repo_digests: Vec<String>,
        created_at: Option<Timestamp>, architecture: String, os: String, size: i64, labels: Pairs,
    }
    Volume {
        name: String, namespace: String, created_at: Option<Timestamp>, driver: String,
        mountpoint: String, labels: Pairs, scope: String, options: Pairs,
    }
    ObjectRef { kind: ObjectKind, namespace: String, id: String }
    ContainerRef { namespace: String, id: String }
    BackendInfo {
        name: String, version: String, engine: String, id_form: IdForm, namespaces: Vec<String>,
        capabilities: Capabilities,
    }
    Inspection { object: Object, raw: String }
    LogOptions {
        follow: bool, tail: Option<u64>, since: Option<Timestamp>, until: Option<Timestamp>,
        timestamps: bool, stdout: bool, stderr: bool,
    }
    EntryPosition { time: i64, index: u32 }
    EntryOptions {
        follow: bool, tail: Option<u64>, since: Option<Timestamp>, until: Option<Timestamp>,
        after: Option<EntryPosition>, stdout: bool, stderr: bool,
    }
    Removal { namespace: String, target: RemovalTarget }
    Mount { kind: MountKind, source: String, target: String, read_only: bool }
    ContainerSpec {
        namespace: String, name: Option<String>, image: String, command: Vec<String>,
        args: Vec<String>, env: Pairs, labels: Pairs, ports: Vec<Port>, mounts: Vec<Mount>,
        working_dir: Option<String>, user: Option<String>, tty: bool,
        restart_policy: RestartPolicy,
    }
    VolumeSpec {
        namespace: String, name: Option<String>, driver: Option<String>, options: Pairs,
        labels: Pairs,
    }
    ExecOptions {
        command: Vec<String>, env: Pairs, working_dir: Option<String>, user: Option<String>,
        tty: bool, stdin: bool, stdout: bool, stderr: bool,
    }
    PullSpec { namespace: String, image: String, platform: Option<String> }
    PushSpec { namespace: String, image: String }
    TransferProgress {
        layer: String, phase: TransferPhase, bytes_done: u64, bytes_total: Option<u64>,
    }
    PasswordCredentials { username: String, password: String }
}

/// The flags by name, in the contract's order.
const CAPABILITIES: [(&str, Capabilities); 10] = [
    ("logs", Capabilities::LOGS),
    ("entries", Capabilities::ENTRIES),
    ("entry-times", Capabilities::ENTRY_TIMES),
    ("actions", Capabilities::ACTIONS),
    ("removals", Capabilities::REMOVALS),
    ("create-containers", Capabilities::CREATE_CONTAINERS),
    ("create-volumes", Capabilities::CREATE_VOLUMES),
    ("exec", Capabilities::EXEC),
    ("pull", Capabilities::PULL),
    ("push", Capabilities::PUSH),
];

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let set = CAPABILITIES
            .iter()
            .filter(|(_, flag)| self.contains(*flag))
            .map(|(name, _)| name);
        serializer.collect_seq(set)
    }
}

impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let mut capabilities = Self::empty();
        for name in names {
            let Some((_, flag)) = CAPABILITIES.iter().find(|(known, _)| *known == name) else {
                return Err(serde::de::Error::custom(format!("no capability {name:?}")));
            };
            capabilities |= *flag;
        }
        Ok(capabilities)
    }
}
