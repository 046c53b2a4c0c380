//! Watches.

use std::time::Duration;

use rdd_core::{ContainerState, EngineObject, ErrorCode, ObjectKind, ObjectRef, WatchEvent};

use crate::case::{CaseContext, CaseFailure, CaseResult, STOP_LIMIT, check, fault};
use crate::environment::{EngineDisturbance, TestContainerSpec};
use crate::reading::LimitedStream;
use crate::reflector::ObjectReflector;
use crate::rules;

/// How often and how many times the number of connections is compared until it
/// no longer changes: longer than the toy engine takes to notice a closed one.
const SETTLING_INTERVAL: Duration = Duration::from_millis(150);
const MAX_SETTLING_CHECKS: usize = 20;

/// The number of changes in a burst: more than an engine keeps for a reader.
const BURST: usize = 10_000;

async fn open(context: &CaseContext) -> CaseResult<LimitedStream<WatchEvent>> {
    let watch = context
        .ok(rules::WATCH_LISTING, "watch", context.engine.watch())
        .await?;
    Ok(LimitedStream::new(watch, rules::WATCH_LISTING, "the watch"))
}

/// Reads the first listing.
async fn listing(
    context: &CaseContext,
) -> CaseResult<(LimitedStream<WatchEvent>, ObjectReflector)> {
    let mut watch = open(context).await?;
    let mut reflector = ObjectReflector::default();
    follow(&mut watch, &mut reflector, "a complete listing", |_| true).await?;
    Ok((watch, reflector))
}

/// Applies events until the reflector is settled and `is_reached`.
async fn follow(
    watch: &mut LimitedStream<WatchEvent>,
    reflector: &mut ObjectReflector,
    expected: &str,
    is_reached: impl Fn(&ObjectReflector) -> bool,
) -> CaseResult {
    let mut failure = None;
    if reflector.is_settled() && is_reached(reflector) {
        return Ok(());
    }
    watch
        .until(expected, |event| match reflector.apply(event) {
            Ok(()) => reflector.is_settled() && is_reached(reflector),
            Err(error) => {
                failure = Some(error);
                true
            }
        })
        .await?;
    failure.map_or(Ok(()), Err)
}

fn state(reflector: &ObjectReflector, reference: &ObjectRef) -> Option<ContainerState> {
    match reflector.objects.get(reference) {
        Some(EngineObject::Container(container)) => Some(container.state),
        _ => None,
    }
}

pub(super) async fn begins_with_a_listing(context: CaseContext) -> CaseResult {
    listing(&context).await.map(drop)
}

pub(super) async fn lists_each_object(context: CaseContext) -> CaseResult {
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(ObjectRef::from(context.container().await?));
    }
    let (_watch, reflector) = listing(&context).await?;
    for reference in made {
        check(
            rules::WATCH_LISTING,
            reflector.objects.contains_key(&reference),
            format_args!("the container {} in the listing", reference.id),
            format_args!("{} objects without it", reflector.objects.len()),
        )?;
    }
    Ok(())
}

pub(super) async fn lists_equal_ids(context: CaseContext) -> CaseResult {
    let pair = equal_ids(&context).await?;
    let (_watch, reflector) = listing(&context).await?;
    for reference in pair {
        check(
            rules::NAMESPACES,
            reflector.objects.contains_key(&reference),
            format_args!(
                "the container {} of the namespace {} in the listing",
                reference.id, reference.namespace
            ),
            "a listing without it",
        )?;
    }
    Ok(())
}

/// Runs two containers with the same ID in two namespaces.
pub(super) async fn equal_ids(context: &CaseContext) -> CaseResult<[ObjectRef; 2]> {
    let id = Some(format!("same-{:08x}", fastrand::u32(..)));
    let first = TestContainerSpec {
        id: id.clone(),
        ..TestContainerSpec::default()
    };
    let second = TestContainerSpec {
        id,
        in_other_namespace: true,
        ..TestContainerSpec::default()
    };
    Ok([
        context.container_with(&first).await?.into(),
        context.container_with(&second).await?.into(),
    ])
}

pub(super) async fn reports_changes_in_order(context: CaseContext) -> CaseResult {
    let (mut watch, mut reflector) = listing(&context).await?;
    let container = context.container().await?;
    let reference = ObjectRef::from(container.clone());
    let is = |wanted| {
        let reference = reference.clone();
        move |reflector: &ObjectReflector| state(reflector, &reference) == Some(wanted)
    };
    watch = watch.with_rule(rules::WATCH_CHANGES);
    let running = "the container running, as it was started";
    follow(
        &mut watch,
        &mut reflector,
        running,
        is(ContainerState::Running),
    )
    .await?;
    context.stop(&container).await?;
    let exited = "the container exited, as it was stopped";
    follow(
        &mut watch,
        &mut reflector,
        exited,
        is(ContainerState::Exited),
    )
    .await
}

pub(super) async fn reports_removals(context: CaseContext) -> CaseResult {
    let container = context.container().await?;
    let reference = ObjectRef::from(container.clone());
    let (watch, mut reflector) = listing(&context).await?;
    let mut watch = watch.with_rule(rules::WATCH_REMOVED);
    context
        .environment
        .remove(&*context.engine, &container)
        .await?;
    follow(
        &mut watch,
        &mut reflector,
        "the removal of the container",
        |reflector| !reflector.objects.contains_key(&reference),
    )
    .await
}

pub(super) async fn reports_namespaces(context: CaseContext) -> CaseResult {
    let name = format!("lab-{:08x}", fastrand::u32(..));
    let reference = ObjectRef::new(ObjectKind::Namespace, &name, &name);
    let (watch, mut reflector) = listing(&context).await?;
    let mut watch = watch.with_rule(rules::WATCH_CHANGES);
    context
        .disturb(EngineDisturbance::CreateNamespace(name.clone()))
        .await?;
    follow(
        &mut watch,
        &mut reflector,
        "the new namespace",
        |reflector| reflector.objects.contains_key(&reference),
    )
    .await?;
    context
        .disturb(EngineDisturbance::RemoveNamespace(name))
        .await?;
    follow(
        &mut watch,
        &mut reflector,
        "the removal of the namespace",
        |reflector| !reflector.objects.contains_key(&reference),
    )
    .await
}

pub(super) async fn burst(context: CaseContext) -> CaseResult {
    let container = context.container().await?;
    let reference = ObjectRef::from(container.clone());
    let (watch, mut reflector) = listing(&context).await?;
    let mut watch = watch.with_rule(rules::WATCH_MISSED);
    context
        .disturb(EngineDisturbance::Burst {
            container,
            changes: BURST,
        })
        .await?;
    let inspected = context
        .ok(
            rules::INSPECT,
            "inspect",
            context.engine.inspect(&reference),
        )
        .await?
        .object;
    let expected = format!("the last state of the container after {BURST} changes in a row");
    follow(&mut watch, &mut reflector, &expected, |reflector| {
        reflector.objects.get(&reference) == Some(&inspected)
    })
    .await
}

pub(super) async fn cut_connection(context: CaseContext) -> CaseResult {
    let (watch, _) = listing(&context).await?;
    let mut watch = watch.with_rule(rules::WATCH_END);
    context.disturb(EngineDisturbance::CutConnections).await?;
    let error = watch.error().await?;
    check(
        rules::WATCH_END,
        error.code == ErrorCode::Unavailable,
        "the watch to end with \"unavailable\" after its connection was cut",
        format_args!("the error {:?} ({})", error.message, error.code),
    )
}

pub(super) async fn nothing_is_missed_across_a_cut(context: CaseContext) -> CaseResult {
    let container = context.container().await?;
    let removed = ObjectRef::from(container.clone());
    let (mut watch, _) = listing(&context).await?;
    context.disturb(EngineDisturbance::CutConnections).await?;
    context
        .environment
        .remove(&*context.engine, &container)
        .await?;
    let added = ObjectRef::from(context.container().await?);
    // Either the watch ended and another one lists again, or it goes on.
    watch.error().await.map_err(|_| {
        fault(
            rules::WATCH_END,
            "the watch to end after its connection was cut",
            "that it went on",
        )
    })?;
    let (_watch, reflector) = listing(&context).await?;
    check(
        rules::WATCH_LISTING,
        reflector.objects.contains_key(&added) && !reflector.objects.contains_key(&removed),
        "a listing of what the engine has now",
        "objects from before the cut",
    )
}

pub(super) async fn ends_within_a_second(context: CaseContext) -> CaseResult {
    let before = open_connections(&context).await?;
    let (watch, _) = listing(&context).await?;
    drop(watch);
    context
        .eventually(
            rules::STOP,
            "the watch's connections to the engine to be closed",
            STOP_LIMIT,
            || {
                let open = context.environment.connections()?;
                (open > before).then(|| format!("{} of them open", open - before))
            },
        )
        .await?;
    // An instance has one watch at a time: this one has to be over.
    listing(&context).await.map(drop)
}

/// Returns the number of connections once it no longer changes, since those of an
/// earlier case may still be closing. Skips the case if the engine cannot tell.
pub(super) async fn open_connections(context: &CaseContext) -> CaseResult<usize> {
    let count = || {
        context.environment.connections().ok_or_else(|| {
            let reason = "this engine does not tell how many connections are open";
            CaseFailure::Skipped(reason.to_owned())
        })
    };
    let mut open = count()?;
    for _ in 0..MAX_SETTLING_CHECKS {
        tokio::time::sleep(SETTLING_INTERVAL).await;
        let before = std::mem::replace(&mut open, count()?);
        if open == before {
            break;
        }
    }
    Ok(open)
}
