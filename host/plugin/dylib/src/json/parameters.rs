//! The parameters of calls.

use rdd_core::{
    ContainerAction, ContainerRef, ContainerRestartPolicy, ContainerSpec, EntryOptions,
    EntryPosition, ExecOptions, LogOptions, MountKind, MountSpec, ObjectRef, PullSpec, PushSpec,
    RemoveRequest, RemoveTarget, VolumeSpec,
};
use serde::{Serialize, Serializer};

use super::TimestampRecord;
use super::object::{KindName, PortRecord};

/// A value in the shape that the contract gives it.
pub(crate) struct Shape<'a, T>(&'a T);

/// The parameters of `inspect`.
#[derive(Serialize)]
pub(crate) struct InspectParameters<'a> {
    r#ref: Shape<'a, ObjectRef>,
}

impl<'a> InspectParameters<'a> {
    pub(crate) fn new(object: &'a ObjectRef) -> Self {
        Self {
            r#ref: Shape(object),
        }
    }
}

/// The parameters of `get-logs`, `get-entries`, and `exec`.
#[derive(Serialize)]
#[serde(bound = "Shape<'a, O>: Serialize")]
pub(crate) struct ContainerParameters<'a, O> {
    container: Shape<'a, ContainerRef>,
    options: Shape<'a, O>,
}

impl<'a, O> ContainerParameters<'a, O> {
    pub(crate) fn new(container: &'a ContainerRef, options: &'a O) -> Self {
        Self {
            container: Shape(container),
            options: Shape(options),
        }
    }
}

/// The parameters of `act`.
#[derive(Serialize)]
pub(crate) struct ActParameters<'a> {
    container: Shape<'a, ContainerRef>,
    action: &'static str,
}

impl<'a> ActParameters<'a> {
    pub(crate) fn new(container: &'a ContainerRef, action: ContainerAction) -> Self {
        Self {
            container: Shape(container),
            action: match action {
                ContainerAction::Start => "start",
                ContainerAction::Stop => "stop",
                ContainerAction::Pause => "pause",
                ContainerAction::Unpause => "unpause",
                ContainerAction::Restart => "restart",
            },
        }
    }
}

/// The parameters of `remove`.
#[derive(Serialize)]
pub(crate) struct RemoveParameters<'a> {
    removal: Shape<'a, RemoveRequest>,
}

impl<'a> RemoveParameters<'a> {
    pub(crate) fn new(request: &'a RemoveRequest) -> Self {
        Self {
            removal: Shape(request),
        }
    }
}

/// The parameters of creations and transfers.
#[derive(Serialize)]
#[serde(bound = "Shape<'a, S>: Serialize")]
pub(crate) struct SpecParameters<'a, S> {
    spec: Shape<'a, S>,
}

impl<'a, S> SpecParameters<'a, S> {
    pub(crate) fn new(spec: &'a S) -> Self {
        Self { spec: Shape(spec) }
    }
}

/// Implements [`Serialize`] for the shape of a type of `rdd-core`, by a record
/// with the fields of the contract.
macro_rules! records {
    ($($record:ident: $core:ident {
        $($field:ident: $type:ty = |$it:ident| $value:expr),* $(,)?
    })*) => { $(
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct $record<'a> {
            $($field: $type,)*
            #[serde(skip)]
            _borrow: std::marker::PhantomData<&'a ()>,
        }

        impl Serialize for Shape<'_, $core> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let value = self.0;
                let record = $record {
                    $($field: { let $it = value; $value },)*
                    _borrow: std::marker::PhantomData,
                };
                record.serialize(serializer)
            }
        }
    )* };
}

records! {
    RefRecord: ObjectRef {
        kind: KindName = |it| it.kind.into(),
        namespace: &'a str = |it| &it.namespace,
        id: &'a str = |it| &it.id,
    }
    ContainerRefRecord: ContainerRef {
        namespace: &'a str = |it| &it.namespace,
        id: &'a str = |it| &it.id,
    }
    LogOptionsRecord: LogOptions {
        follow: bool = |it| it.follow,
        tail: Option<u64> = |it| it.tail,
        since: Option<TimestampRecord> = |it| it.since.map(Into::into),
        until: Option<TimestampRecord> = |it| it.until.map(Into::into),
        timestamps: bool = |it| it.timestamps,
        stdout: bool = |it| it.stdout,
        stderr: bool = |it| it.stderr,
    }
    PositionRecord: EntryPosition {
        time: i64 = |it| it.time,
        index: u32 = |it| it.index,
    }
    EntryOptionsRecord: EntryOptions {
        follow: bool = |it| it.follow,
        tail: Option<u64> = |it| it.tail,
        since: Option<TimestampRecord> = |it| it.since.map(Into::into),
        until: Option<TimestampRecord> = |it| it.until.map(Into::into),
        after: Option<Shape<'a, EntryPosition>> = |it| it.after.as_ref().map(Shape),
        stdout: bool = |it| it.stdout,
        stderr: bool = |it| it.stderr,
    }
    ExecOptionsRecord: ExecOptions {
        command: &'a [String] = |it| &it.command,
        env: &'a [(String, String)] = |it| &it.env,
        working_dir: Option<&'a str> = |it| it.working_dir.as_deref(),
        user: Option<&'a str> = |it| it.user.as_deref(),
        tty: bool = |it| it.tty,
        stdin: bool = |it| it.stdin,
        stdout: bool = |it| it.stdout,
        stderr: bool = |it| it.stderr,
    }
    RemovalRecord: RemoveRequest {
        namespace: &'a str = |it| &it.namespace,
        target: TargetVariant<'a> = |it| (&it.target).into(),
    }
    MountRecord: MountSpec {
        kind: &'static str = |it| match it.kind {
            MountKind::Bind => "bind",
            MountKind::Volume => "volume",
            MountKind::Tmpfs => "tmpfs",
        },
        source: &'a str = |it| &it.source,
        target: &'a str = |it| &it.target,
        read_only: bool = |it| it.read_only,
    }
    ContainerSpecRecord: ContainerSpec {
        namespace: &'a str = |it| &it.namespace,
        name: Option<&'a str> = |it| it.name.as_deref(),
        image: &'a str = |it| &it.image,
        command: &'a [String] = |it| &it.command,
        args: &'a [String] = |it| &it.args,
        env: &'a [(String, String)] = |it| &it.env,
        labels: Vec<(&'a String, &'a String)> = |it| it.labels.iter().collect(),
        ports: Vec<PortRecord> = |it| it.ports.iter().map(Into::into).collect(),
        mounts: Vec<Shape<'a, MountSpec>> = |it| it.mounts.iter().map(Shape).collect(),
        working_dir: Option<&'a str> = |it| it.working_dir.as_deref(),
        user: Option<&'a str> = |it| it.user.as_deref(),
        tty: bool = |it| it.tty,
        restart_policy: PolicyVariant = |it| it.restart_policy.into(),
    }
    VolumeSpecRecord: VolumeSpec {
        namespace: &'a str = |it| &it.namespace,
        name: Option<&'a str> = |it| it.name.as_deref(),
        driver: Option<&'a str> = |it| it.driver.as_deref(),
        options: Vec<(&'a String, &'a String)> = |it| it.options.iter().collect(),
        labels: Vec<(&'a String, &'a String)> = |it| it.labels.iter().collect(),
    }
    PullSpecRecord: PullSpec {
        namespace: &'a str = |it| &it.namespace,
        image: &'a str = |it| &it.image,
        platform: Option<&'a str> = |it| it.platform.as_deref(),
    }
    PushSpecRecord: PushSpec {
        namespace: &'a str = |it| &it.namespace,
        image: &'a str = |it| &it.image,
    }
}

/// `removal-target`
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum TargetVariant<'a> {
    Container(&'a str),
    ImageTag(&'a str, &'a str),
    Image(&'a str),
    Volume(&'a str, Option<TimestampRecord>),
}

impl<'a> From<&'a RemoveTarget> for TargetVariant<'a> {
    fn from(target: &'a RemoveTarget) -> Self {
        match target {
            RemoveTarget::Container { id } => Self::Container(id),
            RemoveTarget::ImageTag { tag, image_id } => Self::ImageTag(tag, image_id),
            RemoveTarget::Image { id } => Self::Image(id),
            RemoveTarget::Volume { name, created_at } => {
                Self::Volume(name, created_at.map(Into::into))
            }
        }
    }
}

/// `restart-policy`
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum PolicyVariant {
    No,
    Always,
    UnlessStopped,
    OnFailure(u32),
}

impl From<ContainerRestartPolicy> for PolicyVariant {
    fn from(policy: ContainerRestartPolicy) -> Self {
        match policy {
            ContainerRestartPolicy::No => Self::No,
            ContainerRestartPolicy::Always => Self::Always,
            ContainerRestartPolicy::UnlessStopped => Self::UnlessStopped,
            ContainerRestartPolicy::OnFailure { max_retries } => Self::OnFailure(max_retries),
        }
    }
}
