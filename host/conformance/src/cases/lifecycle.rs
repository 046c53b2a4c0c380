//! Actions and removals.

use jiff::SignedDuration;
use rdd_core::{
    ContainerAction, ContainerRef, ContainerState, EngineObject, ErrorCode, ObjectKind, ObjectRef,
    RemoveRequest, RemoveTarget, Timestamp, VolumeSpec,
};

use super::inspect::{container as inspect, unknown_id};
use super::watch::equal_ids;
use crate::case::{ACTION_LIMIT, CaseContext, CaseFailure, CaseResult, check, check_eq};
use crate::environment::EngineDisturbance;
use crate::rules;

async fn act(
    context: &CaseContext,
    container: &ContainerRef,
    action: ContainerAction,
) -> CaseResult {
    let what = format!("the action {action:?}");
    let call = context.engine.act(container, action);
    context
        .ok_within(ACTION_LIMIT, rules::ACT_COMPLETE, &what, call)
        .await
}

/// Acts, then compares the state, which has changed when the action returns.
async fn act_to(
    context: &CaseContext,
    container: &ContainerRef,
    action: ContainerAction,
    state: ContainerState,
) -> CaseResult {
    act(context, container, action).await?;
    let found = inspect(context, container).await?;
    let what = format!("the state after {action:?}");
    check_eq(rules::ACT_COMPLETE, &what, &state, &found.state)
}

pub(super) async fn starts_and_stops(context: CaseContext) -> CaseResult {
    context.require(&["actions"])?;
    let container = context.container().await?;
    act_to(
        &context,
        &container,
        ContainerAction::Stop,
        ContainerState::Exited,
    )
    .await?;
    act_to(
        &context,
        &container,
        ContainerAction::Start,
        ContainerState::Running,
    )
    .await?;
    let before = inspect(&context, &container).await?.started_at;
    // Longer than the resolution of the engine's clock.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    act_to(
        &context,
        &container,
        ContainerAction::Restart,
        ContainerState::Running,
    )
    .await?;
    let after = inspect(&context, &container).await?.started_at;
    check(
        rules::ACT_COMPLETE,
        after > before,
        "a later start after a restart",
        format_args!("{after:?} after {before:?}"),
    )
}

pub(super) async fn pauses(context: CaseContext) -> CaseResult {
    context.require(&["actions"])?;
    let container = context.container().await?;
    act_to(
        &context,
        &container,
        ContainerAction::Pause,
        ContainerState::Paused,
    )
    .await?;
    let paused = inspect(&context, &container).await?;
    check(
        rules::INSPECT,
        paused.paused && paused.running,
        "a paused container that counts as running, too",
        format_args!("paused: {}, running: {}", paused.paused, paused.running),
    )?;
    act_to(
        &context,
        &container,
        ContainerAction::Unpause,
        ContainerState::Running,
    )
    .await
}

pub(super) async fn idempotent(context: CaseContext) -> CaseResult {
    context.require(&["actions"])?;
    let container = context.container().await?;
    for action in [
        ContainerAction::Start,
        ContainerAction::Pause,
        ContainerAction::Pause,
        ContainerAction::Unpause,
        ContainerAction::Stop,
        ContainerAction::Stop,
    ] {
        let what = format!("{action:?} when it has its result already");
        let call = context.engine.act(&container, action);
        context
            .ok_within(ACTION_LIMIT, rules::ACT_IDEMPOTENT, &what, call)
            .await?;
    }
    Ok(())
}

pub(super) async fn act_conflict(context: CaseContext) -> CaseResult {
    context.require(&["actions"])?;
    let container = context.container().await?;
    act(&context, &container, ContainerAction::Stop).await?;
    let call = context.engine.act(&container, ContainerAction::Pause);
    let what = "pausing a stopped container";
    context
        .fails(rules::ACT_CONFLICT, what, ErrorCode::Conflict, call)
        .await
}

pub(super) async fn act_not_found(context: CaseContext) -> CaseResult {
    context.require(&["actions"])?;
    let container = ContainerRef::new(context.environment.namespace(), unknown_id(&context));
    for action in [
        ContainerAction::Start,
        ContainerAction::Stop,
        ContainerAction::Pause,
    ] {
        let what = format!("{action:?} of an unknown container");
        let call = context.engine.act(&container, action);
        context
            .fails(rules::NOT_FOUND, &what, ErrorCode::NotFound, call)
            .await?;
    }
    Ok(())
}

fn removal(namespace: &str, target: RemoveTarget) -> RemoveRequest {
    RemoveRequest {
        namespace: namespace.to_owned(),
        target,
    }
}

fn container_removal(container: &ContainerRef) -> RemoveRequest {
    let id = container.id.clone();
    removal(&container.namespace, RemoveTarget::Container { id })
}

pub(super) async fn removes_the_container(context: CaseContext) -> CaseResult {
    context.require(&["removals"])?;
    let container = context.container().await?;
    let request = container_removal(&container);
    let call = context.engine.remove(&request);
    context
        .ok(
            rules::REMOVE_NOT_FOUND,
            "removing a running container",
            call,
        )
        .await?;
    let reference = container.into();
    let call = context.engine.inspect(&reference);
    let what = "inspecting a removed container";
    context
        .fails(rules::NOT_FOUND, what, ErrorCode::NotFound, call)
        .await?;
    let call = context.engine.remove(&request);
    let what = "removing a container again";
    context
        .fails(rules::REMOVE_NOT_FOUND, what, ErrorCode::NotFound, call)
        .await
}

pub(super) async fn remove_not_found(context: CaseContext) -> CaseResult {
    context.require(&["removals"])?;
    let namespace = context.environment.namespace();
    let image_id = format!("sha256:{}", "0".repeat(64));
    let targets = [
        RemoveTarget::Container {
            id: unknown_id(&context),
        },
        RemoveTarget::ImageTag {
            tag: "rdd-conformance/none:latest".to_owned(),
            image_id: image_id.clone(),
        },
        RemoveTarget::Image { id: image_id },
        RemoveTarget::Volume {
            name: context.environment.unique_name(),
            created_at: Some(Timestamp::from_seconds(0)),
        },
    ];
    for target in targets {
        let what = format!("removing what does not exist ({target:?})");
        let request = removal(namespace, target);
        let call = context.engine.remove(&request);
        context
            .fails(rules::REMOVE_NOT_FOUND, &what, ErrorCode::NotFound, call)
            .await?;
    }
    Ok(())
}

pub(super) async fn remove_in_one_namespace(context: CaseContext) -> CaseResult {
    context.require(&["removals"])?;
    let [here, elsewhere] = equal_ids(&context).await?;
    let request = container_removal(&ContainerRef::new(&elsewhere.namespace, &elsewhere.id));
    let call = context.engine.remove(&request);
    context
        .ok(rules::REMOVE_NAMESPACE, "removing a container", call)
        .await?;
    let call = context.engine.inspect(&here);
    context
        .ok(
            rules::REMOVE_NAMESPACE,
            "inspecting the container with the same ID in another namespace",
            call,
        )
        .await?;
    let call = context.engine.inspect(&elsewhere);
    let what = "inspecting the removed container";
    context
        .fails(rules::REMOVE_NAMESPACE, what, ErrorCode::NotFound, call)
        .await
}

/// Creates a volume and returns its name and the time of its creation.
async fn volume(context: &CaseContext) -> CaseResult<(String, Option<Timestamp>)> {
    context.require(&["removals", "create-volumes"])?;
    let namespace = context.environment.namespace();
    let spec = VolumeSpec {
        namespace: namespace.to_owned(),
        name: Some(context.environment.unique_name()),
        ..VolumeSpec::default()
    };
    let call = context.engine.create_volume(&spec);
    let name = context
        .ok(rules::CREATE_VOLUME, "create-volume", call)
        .await?;
    let created_at = None;
    context.environment.created(removal(
        namespace,
        RemoveTarget::Volume {
            name: name.clone(),
            created_at,
        },
    ));
    let reference = ObjectRef::new(ObjectKind::Volume, namespace, &name);
    let call = context.engine.inspect(&reference);
    match context
        .ok(rules::INSPECT, "inspecting a volume", call)
        .await?
        .object
    {
        EngineObject::Volume(volume) => Ok((name, volume.created_at)),
        other => Err(CaseFailure::Broken(format!("{other:?} is not a volume"))),
    }
}

pub(super) async fn replaced_volume(context: CaseContext) -> CaseResult {
    let (name, created_at) = volume(&context).await?;
    let Some(created_at) = created_at else {
        return Err(CaseFailure::Skipped(
            "the engine does not tell when a volume was created".to_owned(),
        ));
    };
    let request = removal(
        context.environment.namespace(),
        RemoveTarget::Volume {
            name: name.clone(),
            created_at: Some(created_at.saturating_sub(SignedDuration::from_hours(1))),
        },
    );
    let call = context.engine.remove(&request);
    let what = "removing a volume that was created an hour before";
    context
        .fails(rules::REMOVE_REPLACED, what, ErrorCode::Replaced, call)
        .await?;
    let request = removal(
        context.environment.namespace(),
        RemoveTarget::Volume {
            name,
            created_at: Some(created_at),
        },
    );
    let call = context.engine.remove(&request);
    let what = "removing the volume that is there";
    context.ok(rules::REMOVE_REPLACED, what, call).await
}

pub(super) async fn moved_tag(context: CaseContext) -> CaseResult {
    context.require(&["removals"])?;
    let namespace = context.environment.namespace();
    let tag = format!("{}:latest", context.environment.unique_name());
    let id = |digit: &str| format!("sha256:{}{:08x}", digit.repeat(56), fastrand::u32(..));
    let (old, new) = (id("1"), id("2"));
    for id in [&old, &new] {
        context
            .disturb(EngineDisturbance::AddImage {
                id: id.clone(),
                tag: tag.clone(),
            })
            .await?;
    }
    let request = |image_id: &str| {
        removal(
            namespace,
            RemoveTarget::ImageTag {
                tag: tag.clone(),
                image_id: image_id.to_owned(),
            },
        )
    };
    let moved = request(&old);
    let what = "removing a tag that refers to another image now";
    let call = context.engine.remove(&moved);
    context
        .fails(rules::REMOVE_REPLACED, what, ErrorCode::Replaced, call)
        .await?;
    let present = request(&new);
    let call = context.engine.remove(&present);
    context
        .ok(
            rules::REMOVE_REPLACED,
            "removing the tag of its image",
            call,
        )
        .await
}

pub(super) async fn remove_conflict(context: CaseContext) -> CaseResult {
    context.require(&["removals"])?;
    let container = context.container().await?;
    let found = inspect(&context, &container).await?;
    let namespace = context.environment.namespace();
    let reference = ObjectRef::new(ObjectKind::Image, namespace, &found.image_id);
    let call = context.engine.inspect(&reference);
    let image = context
        .ok(rules::INSPECT, "inspecting the image", call)
        .await?;
    let EngineObject::Image(image) = image.object else {
        return Err(CaseFailure::Broken("the image is no image".to_owned()));
    };
    let [tag] = image.repo_tags.as_slice() else {
        return Err(CaseFailure::Skipped(format!(
            "the image {} has other tags, so that its tag could be removed",
            context.environment.image()
        )));
    };
    // Not an image of the user: it is in use, so it cannot be removed, and only the
    // toy engine is risked in case of a faulty backend.
    if context.environment.other_namespace().is_none() {
        return Err(CaseFailure::Skipped(
            "a faulty backend might remove the user's image".to_owned(),
        ));
    }
    let request = removal(
        namespace,
        RemoveTarget::ImageTag {
            tag: tag.clone(),
            image_id: image.id.clone(),
        },
    );
    let call = context.engine.remove(&request);
    let what = "removing the last tag of an image that a container uses";
    context
        .fails(rules::REMOVE_CONFLICT, what, ErrorCode::Conflict, call)
        .await
}
