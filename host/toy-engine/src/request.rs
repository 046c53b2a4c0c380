//! The requests of clients, parsed from their blocks.

use std::collections::BTreeMap;

use rdd_core::{
    ContainerAction, ContainerRef, ContainerRestartPolicy, ContainerSpec, EngineError,
    EntryPosition, ExecOptions, ExposedPort, MountKind, MountSpec, ObjectKind, ObjectRef,
    PortBinding, PullSpec, PushSpec, RegistryCredentials, RemoveRequest, RemoveTarget, VolumeSpec,
};

use crate::clock;
use crate::container_log::LogSelection;
use crate::protocol;
use crate::state::invalid;

/// A request.
#[derive(Debug)]
pub(crate) enum ToyRequest {
    Ping,
    List,
    Watch,
    Inspect(ObjectRef),
    Logs(ContainerRef, LogSelection),
    Act(ContainerRef, ContainerAction),
    Remove(RemoveRequest),
    CreateContainer(Box<ContainerSpec>),
    CreateVolume(VolumeSpec),
    Exec(ContainerRef, ExecOptions),
    Pull(PullSpec, Option<RegistryCredentials>),
    Push(PushSpec, Option<RegistryCredentials>),
}

/// Parses the lines of a request.
pub(crate) fn parse(block: &[u8]) -> Result<ToyRequest, EngineError> {
    let mut lines = Vec::new();
    for line in block.split(|byte| *byte == b'\n') {
        lines.push(protocol::parse_line(line).map_err(|error| invalid(error.to_string()))?);
    }
    let lines: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.iter().map(String::as_str).collect())
        .collect();
    let Some((first, options)) = lines.split_first() else {
        return Err(invalid("the request is empty"));
    };
    let without_options = |request| match options.first() {
        None => Ok(request),
        Some(option) => Err(unknown_option(option)),
    };
    match first.as_slice() {
        ["ping"] => without_options(ToyRequest::Ping),
        ["list"] => without_options(ToyRequest::List),
        ["watch"] => without_options(ToyRequest::Watch),
        ["inspect", kind, namespace, id] => without_options(ToyRequest::Inspect(ObjectRef::new(
            object_kind(kind)?,
            *namespace,
            *id,
        ))),
        ["logs", namespace, id] => Ok(ToyRequest::Logs(
            ContainerRef::new(*namespace, *id),
            log_selection(options)?,
        )),
        ["act", namespace, id, action] => without_options(ToyRequest::Act(
            ContainerRef::new(*namespace, *id),
            container_action(action)?,
        )),
        ["remove", kind, namespace, target @ ..] => {
            without_options(ToyRequest::Remove(RemoveRequest {
                namespace: (*namespace).to_owned(),
                target: remove_target(kind, target)?,
            }))
        }
        ["create", "container", namespace] => Ok(ToyRequest::CreateContainer(Box::new(
            container_spec(namespace, options)?,
        ))),
        ["create", "volume", namespace] => {
            Ok(ToyRequest::CreateVolume(volume_spec(namespace, options)?))
        }
        ["exec", namespace, id] => Ok(ToyRequest::Exec(
            ContainerRef::new(*namespace, *id),
            exec_options(options)?,
        )),
        ["pull", namespace, image] => {
            let (platform, credentials) = transfer_options(options, true)?;
            let spec = PullSpec {
                namespace: (*namespace).to_owned(),
                image: (*image).to_owned(),
                platform,
            };
            Ok(ToyRequest::Pull(spec, credentials))
        }
        ["push", namespace, image] => {
            let (_, credentials) = transfer_options(options, false)?;
            let spec = PushSpec {
                namespace: (*namespace).to_owned(),
                image: (*image).to_owned(),
            };
            Ok(ToyRequest::Push(spec, credentials))
        }
        [verb, ..] => Err(invalid(format!(
            "no request {verb:?} with {} arguments",
            first.len() - 1
        ))),
        [] => Err(invalid("the request is empty")),
    }
}

fn unknown_option(option: &[&str]) -> EngineError {
    let word = option.first().copied().unwrap_or_default();
    let arguments = option.len().saturating_sub(1);
    invalid(format!("no option {word:?} with {arguments} arguments"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, EngineError> {
    text.parse()
        .map_err(|_| invalid(format!("{text:?} is not a number, or is out of range")))
}

fn object_kind(kind: &str) -> Result<ObjectKind, EngineError> {
    match kind {
        "container" => Ok(ObjectKind::Container),
        "image" => Ok(ObjectKind::Image),
        "volume" => Ok(ObjectKind::Volume),
        "namespace" => Ok(ObjectKind::Namespace),
        kind => Err(invalid(format!("no kind of object {kind:?}"))),
    }
}

fn container_action(action: &str) -> Result<ContainerAction, EngineError> {
    match action {
        "start" => Ok(ContainerAction::Start),
        "stop" => Ok(ContainerAction::Stop),
        "pause" => Ok(ContainerAction::Pause),
        "unpause" => Ok(ContainerAction::Unpause),
        "restart" => Ok(ContainerAction::Restart),
        action => Err(invalid(format!("no action {action:?}"))),
    }
}

fn log_selection(options: &[Vec<&str>]) -> Result<LogSelection, EngineError> {
    let mut selection = LogSelection::default();
    for option in options {
        match option.as_slice() {
            ["follow"] => selection.follow = true,
            ["tail", count] => selection.tail = Some(number(count)?),
            ["since", time] => selection.since = Some(number(time)?),
            ["until", time] => selection.until = Some(number(time)?),
            ["after", time, index] => {
                selection.after = Some(EntryPosition {
                    time: number(time)?,
                    index: number(index)?,
                });
            }
            ["stdout"] => selection.stdout = true,
            ["stderr"] => selection.stderr = true,
            option => return Err(unknown_option(option)),
        }
    }
    if selection.after.is_some() && (selection.tail.is_some() || selection.since.is_some()) {
        return Err(invalid("'after' excludes 'tail' and 'since'"));
    }
    if !selection.stdout && !selection.stderr {
        (selection.stdout, selection.stderr) = (true, true);
    }
    Ok(selection)
}

fn remove_target(kind: &str, target: &[&str]) -> Result<RemoveTarget, EngineError> {
    match (kind, target) {
        ("container", [id]) => Ok(RemoveTarget::Container {
            id: (*id).to_owned(),
        }),
        ("image", [id]) => Ok(RemoveTarget::Image {
            id: (*id).to_owned(),
        }),
        ("tag", [tag, image_id]) => Ok(RemoveTarget::ImageTag {
            tag: (*tag).to_owned(),
            image_id: (*image_id).to_owned(),
        }),
        ("volume", [name, created]) => Ok(RemoveTarget::Volume {
            name: (*name).to_owned(),
            created_at: if created.is_empty() {
                None
            } else {
                Some(clock::timestamp(number(created)?))
            },
        }),
        (kind, target) => Err(invalid(format!(
            "no removal of {kind:?} with {} arguments",
            target.len()
        ))),
    }
}

fn container_spec(namespace: &str, options: &[Vec<&str>]) -> Result<ContainerSpec, EngineError> {
    let mut spec = ContainerSpec::new(namespace, "");
    for option in options {
        match option.as_slice() {
            ["name", name] => spec.name = Some((*name).to_owned()),
            ["image", image] => spec.image = (*image).to_owned(),
            ["command", word] => spec.command.push((*word).to_owned()),
            ["arg", word] => spec.args.push((*word).to_owned()),
            ["env", name, value] => spec.env.push(((*name).to_owned(), (*value).to_owned())),
            ["label", key, value] => insert(&mut spec.labels, key, value)?,
            ["port", name] => spec.ports.push(ExposedPort {
                name: (*name).to_owned(),
                bindings: Vec::new(),
            }),
            ["binding", name, ip, port] => {
                let Some(exposed) = spec.ports.iter_mut().find(|port| port.name == *name) else {
                    return Err(invalid(format!(
                        "the port {name:?} is bound but not exposed"
                    )));
                };
                exposed.bindings.push(PortBinding {
                    host_ip: (*ip).to_owned(),
                    host_port: (*port).to_owned(),
                });
            }
            ["mount", kind, source, target, mode] => {
                spec.mounts.push(mount_spec(kind, source, target, mode)?);
            }
            ["working-dir", dir] => spec.working_dir = Some((*dir).to_owned()),
            ["user", user] => spec.user = Some((*user).to_owned()),
            ["tty"] => spec.tty = true,
            ["restart", policy, count] => spec.restart_policy = restart_policy(policy, count)?,
            option => return Err(unknown_option(option)),
        }
    }
    Ok(spec)
}

fn insert(map: &mut BTreeMap<String, String>, key: &str, value: &str) -> Result<(), EngineError> {
    match map.insert(key.to_owned(), value.to_owned()) {
        None => Ok(()),
        Some(_) => Err(invalid(format!("the key {key:?} occurs twice"))),
    }
}

fn mount_spec(
    kind: &str,
    source: &str,
    target: &str,
    mode: &str,
) -> Result<MountSpec, EngineError> {
    Ok(MountSpec {
        kind: match kind {
            "bind" => MountKind::Bind,
            "volume" => MountKind::Volume,
            "tmpfs" => MountKind::Tmpfs,
            kind => return Err(invalid(format!("no kind of mount {kind:?}"))),
        },
        source: source.to_owned(),
        target: target.to_owned(),
        read_only: match mode {
            "ro" => true,
            "rw" => false,
            mode => return Err(invalid(format!("no mode of a mount {mode:?}"))),
        },
    })
}

fn restart_policy(policy: &str, count: &str) -> Result<ContainerRestartPolicy, EngineError> {
    let max_retries = number(count)?;
    match policy {
        "no" => Ok(ContainerRestartPolicy::No),
        "always" => Ok(ContainerRestartPolicy::Always),
        "unless-stopped" => Ok(ContainerRestartPolicy::UnlessStopped),
        "on-failure" => Ok(ContainerRestartPolicy::OnFailure { max_retries }),
        policy => Err(invalid(format!("no restart policy {policy:?}"))),
    }
}

fn volume_spec(namespace: &str, options: &[Vec<&str>]) -> Result<VolumeSpec, EngineError> {
    let mut spec = VolumeSpec {
        namespace: namespace.to_owned(),
        ..VolumeSpec::default()
    };
    for option in options {
        match option.as_slice() {
            ["name", name] => spec.name = Some((*name).to_owned()),
            ["driver", driver] => spec.driver = Some((*driver).to_owned()),
            ["option", key, value] => insert(&mut spec.options, key, value)?,
            ["label", key, value] => insert(&mut spec.labels, key, value)?,
            option => return Err(unknown_option(option)),
        }
    }
    Ok(spec)
}

fn exec_options(options: &[Vec<&str>]) -> Result<ExecOptions, EngineError> {
    let mut exec = ExecOptions {
        stdout: false,
        stderr: false,
        ..ExecOptions::default()
    };
    for option in options {
        match option.as_slice() {
            ["command", word] => exec.command.push((*word).to_owned()),
            ["env", name, value] => exec.env.push(((*name).to_owned(), (*value).to_owned())),
            ["working-dir", dir] => exec.working_dir = Some((*dir).to_owned()),
            ["user", user] => exec.user = Some((*user).to_owned()),
            ["tty"] => exec.tty = true,
            ["stdin"] => exec.stdin = true,
            ["stdout"] => exec.stdout = true,
            ["stderr"] => exec.stderr = true,
            option => return Err(unknown_option(option)),
        }
    }
    if exec.command.is_empty() {
        return Err(invalid("a process needs a command"));
    }
    Ok(exec)
}

type TransferOptions = (Option<String>, Option<RegistryCredentials>);

fn transfer_options(
    options: &[Vec<&str>],
    has_platform: bool,
) -> Result<TransferOptions, EngineError> {
    let (mut platform, mut credentials) = (None, None);
    for option in options {
        match option.as_slice() {
            ["platform", name] if has_platform => platform = Some((*name).to_owned()),
            ["user", username, password] => {
                credentials = Some(RegistryCredentials::Password {
                    username: (*username).to_owned(),
                    password: (*password).to_owned(),
                });
            }
            ["token", token] => {
                credentials = Some(RegistryCredentials::RegistryToken((*token).to_owned()));
            }
            option => return Err(unknown_option(option)),
        }
    }
    Ok((platform, credentials))
}
