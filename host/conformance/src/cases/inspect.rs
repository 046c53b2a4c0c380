//! Inspections.

use rdd_core::{
    Container, ContainerRef, EngineObject, ErrorCode, IdFormat, ObjectKind, ObjectRef, WatchEvent,
};
use tokio::time::{Duration, timeout};

use super::watch::equal_ids;
use crate::case::{CaseContext, CaseFailure, CaseResult, check, check_eq, fault};
use crate::environment::{EngineDisturbance, TestContainerSpec};
use crate::reading::LimitedStream;
use crate::rules;

/// Inspects a container.
pub(super) async fn container(
    context: &CaseContext,
    reference: &ContainerRef,
) -> CaseResult<Container> {
    let reference = ObjectRef::from(reference.clone());
    let call = context.engine.inspect(&reference);
    match context.ok(rules::INSPECT, "inspect", call).await?.object {
        EngineObject::Container(container) => Ok(container),
        other => Err(fault(
            rules::INSPECT,
            format_args!("the container {}", reference.id),
            format_args!("{:?}", other.reference()),
        )),
    }
}

pub(super) async fn returns_the_object(context: CaseContext) -> CaseResult {
    let reference = context.container().await?;
    let found = container(&context, &reference).await?;
    check_eq(
        rules::INSPECT,
        "namespace and ID",
        &reference,
        &found.container_ref(),
    )?;
    check(
        rules::INSPECT,
        found.running && !found.paused && found.created_at.is_some() && found.started_at.is_some(),
        "a running container with the times of its creation and start",
        format_args!(
            "state {:?}, running: {}, created at {:?}, started at {:?}",
            found.state, found.running, found.created_at, found.started_at
        ),
    )?;
    check_eq(rules::INSPECT, "the terminal", &false, &found.tty)
}

pub(super) async fn equals_the_listed_object(context: CaseContext) -> CaseResult {
    let reference = context.container().await?;
    let watch = context
        .ok(rules::WATCH_LISTING, "watch", context.engine.watch())
        .await?;
    let mut watch = LimitedStream::new(watch, rules::WATCH_LISTING, "the watch");
    let mut listed = None;
    watch
        .until("the container in the listing", |event| match event {
            WatchEvent::Applied(object) if object.reference() == reference.clone().into() => {
                listed = Some((**object).clone());
                true
            }
            _ => false,
        })
        .await?;
    let inspected = EngineObject::Container(container(&context, &reference).await?);
    check_eq(
        rules::INSPECT,
        "the inspected container",
        &listed,
        &Some(inspected),
    )
}

pub(super) async fn unknown_objects(context: CaseContext) -> CaseResult {
    let namespace = context.environment.namespace();
    let image = format!("sha256:{}", "0".repeat(64));
    let container = unknown_id(&context);
    for (kind, id) in [
        (ObjectKind::Container, container.as_str()),
        (ObjectKind::Image, &image),
        (ObjectKind::Volume, "rdd-conformance-none"),
    ] {
        let reference = ObjectRef::new(kind, namespace, id);
        context
            .fails(
                rules::NOT_FOUND,
                &format!("inspecting an unknown object ({kind:?})"),
                ErrorCode::NotFound,
                context.engine.inspect(&reference),
            )
            .await?;
    }
    Ok(())
}

/// Returns a well-formed ID that no container has.
pub(super) fn unknown_id(context: &CaseContext) -> String {
    match context.info().id_format {
        IdFormat::LowerHex(digits) => "0123456789abcdef"
            .chars()
            .cycle()
            .take(digits as usize)
            .collect(),
        IdFormat::Identifier(max) => "none-0123456789".chars().take(max as usize).collect(),
    }
}

pub(super) async fn looks_in_the_namespace_only(context: CaseContext) -> CaseResult {
    let only_here = context.container().await?;
    if let Some(other) = context.environment.other_namespace() {
        let elsewhere = ObjectRef::new(ObjectKind::Container, other, &only_here.id);
        context
            .fails(
                rules::NAMESPACES,
                "inspecting a container in another namespace than its own",
                ErrorCode::NotFound,
                context.engine.inspect(&elsewhere),
            )
            .await?;
    }
    for reference in equal_ids(&context).await? {
        let call = context.engine.inspect(&reference);
        let found = context.ok(rules::NAMESPACES, "inspect", call).await?;
        check_eq(
            rules::NAMESPACES,
            "the inspected container",
            &reference,
            &found.object.reference(),
        )?;
    }
    Ok(())
}

pub(super) async fn id_form(context: CaseContext) -> CaseResult {
    let reference = context.container().await?;
    let format = context.info().id_format;
    check(
        rules::ID_FORM,
        format.matches(&reference.id),
        format_args!("an ID of {format}"),
        format_args!("{:?}", reference.id),
    )
}

pub(super) async fn malformed_id(context: CaseContext) -> CaseResult {
    for id in ["", "../x", "a b", "ü", &"a".repeat(300)] {
        let reference = ObjectRef::new(ObjectKind::Container, context.environment.namespace(), id);
        context
            .fails(
                rules::INVALID,
                &format!("inspecting a container with the malformed ID {:.20?}", id),
                ErrorCode::InvalidArgument,
                context.engine.inspect(&reference),
            )
            .await?;
    }
    Ok(())
}

pub(super) async fn odd_names(context: CaseContext) -> CaseResult {
    let reference = context.container().await?;
    let long = "long-".repeat(800);
    for name in [
        "",
        "/",
        "ein Näme 漢字",
        "a/b\\c \"quoted\" 'x'",
        "$(x)<&>",
        &long,
    ] {
        context
            .disturb(EngineDisturbance::Rename {
                container: reference.clone(),
                name: name.to_owned(),
            })
            .await?;
        let found = container(&context, &reference).await?;
        check_eq(rules::NAMES, "the name", &name.to_owned(), &found.name)?;
    }
    Ok(())
}

pub(super) async fn raw_has_no_secrets(context: CaseContext) -> CaseResult {
    const SECRET: &str = "rdd-conformance-secret";
    let spec = TestContainerSpec {
        env: vec![("PASSWORD".to_owned(), SECRET.to_owned())],
        ..TestContainerSpec::default()
    };
    let reference = ObjectRef::from(context.container_with(&spec).await?);
    let call = context.engine.inspect(&reference);
    let found = context.ok(rules::INSPECT, "inspect", call).await?;
    let is_json = serde_json::from_str::<serde_json::Value>(&found.raw).is_ok();
    check(
        rules::INSPECT_RAW,
        found.raw.is_empty() || is_json,
        "no text or a JSON document",
        crate::case::shorten(&found.raw),
    )?;
    check(
        rules::INSPECT_RAW,
        !found.raw.contains(SECRET) && !format!("{:?}", found.object).contains(SECRET),
        "no value of an environment variable",
        "the value of PASSWORD",
    )
}

/// Checks that a call that waits for the engine delays no other one, and ends
/// when its caller leaves.
pub(super) async fn concurrent_calls(context: CaseContext) -> CaseResult {
    let reference = ObjectRef::from(context.container().await?);
    context.disturb(EngineDisturbance::StopAnswering).await?;
    let waiting = timeout(
        Duration::from_millis(200),
        context.engine.inspect(&reference),
    );
    let answered = waiting.await.is_ok();
    context.disturb(EngineDisturbance::Answer).await?;
    if answered {
        return Err(CaseFailure::Broken(
            "the engine answered although it should not have".to_owned(),
        ));
    }
    let call = context.engine.inspect(&reference);
    context
        .ok(
            rules::CONCURRENT,
            "inspect after one that was stopped",
            call,
        )
        .await
        .map(drop)
}
