//! Pulls and pushes.

use std::collections::BTreeMap;

use rdd_core::{
    EngineObject, ErrorCode, PullSpec, PushSpec, RemoveRequest, RemoveTarget, TransferProgress,
    TransferStream, WatchEvent,
};
use tokio::time::{Duration, Instant, timeout};

use super::watch::open_connections;
use crate::case::{CaseContext, CaseFailure, CaseResult, STOP_LIMIT, check, fault};
use crate::reading::LimitedStream;
use crate::rules::{self, ContractRule};

/// The time that a transfer of a small image may take.
const TRANSFER_LIMIT: Duration = Duration::from_secs(50);

/// The layers that a transfer of an image reports at least.
const MIN_LAYERS: usize = 1;

fn pull_spec(context: &CaseContext, image: String) -> PullSpec {
    PullSpec {
        namespace: context.environment.namespace().to_owned(),
        image,
        platform: None,
    }
}

fn skip(reason: &str) -> CaseFailure {
    CaseFailure::Skipped(reason.to_owned())
}

/// Reads the progress to its end and checks it.
async fn check_progress(
    rule: ContractRule,
    transfer: TransferStream,
    min_layers: usize,
) -> CaseResult {
    let mut stream = LimitedStream::new(transfer, rule, "the transfer");
    let end = Instant::now() + TRANSFER_LIMIT;
    let mut layers: BTreeMap<String, TransferProgress> = BTreeMap::new();
    while let Some(progress) = stream.next(end).await? {
        check(
            rules::LAYER,
            (1..=256).contains(&progress.layer.len()),
            "a layer's ID of at most 256 bytes",
            format_args!("one of {} bytes", progress.layer.len()),
        )?;
        if let Some(total) = progress.bytes_total {
            check(
                rules::PULL_PROGRESS,
                progress.bytes_done <= total,
                format_args!("at most the total of {total} bytes"),
                format_args!("{} bytes done", progress.bytes_done),
            )?;
        }
        layers.insert(progress.layer.clone(), progress);
    }
    check(
        rules::PULL_PROGRESS,
        layers.len() >= min_layers,
        "the progress of at least one layer",
        "none",
    )?;
    let incomplete = layers.values().find(|layer| !layer.phase.is_complete());
    match incomplete {
        None => Ok(()),
        Some(layer) => Err(fault(
            rule,
            "each layer complete at the end",
            format_args!("the layer {} in the phase {:?}", layer.layer, layer.phase),
        )),
    }
}

/// Returns the ID of the image with this tag, if the engine has it.
async fn find_image(context: &CaseContext, tag: &str) -> Result<Option<String>, CaseFailure> {
    let watch = context
        .ok(rules::WATCH_LISTING, "watch", context.engine.watch())
        .await?;
    let mut watch = LimitedStream::new(watch, rules::PULL, "the watch");
    let mut id = None;
    watch
        .until("a complete listing", |event| {
            if let WatchEvent::Applied(object) = event
                && let EngineObject::Image(found) = &**object
                && found.repo_tags.iter().any(|found| found == tag)
            {
                id = Some(found.id.clone());
            }
            *event == WatchEvent::InitDone
        })
        .await?;
    Ok(id)
}

pub(super) async fn pull(context: CaseContext) -> CaseResult {
    context.require(&["pull"])?;
    let image = context
        .environment
        .pullable_image()
        .ok_or_else(|| skip("there is no registry from which an image can be pulled"))?;
    if find_image(&context, &image).await?.is_some() {
        return Err(CaseFailure::Skipped(format!(
            "the engine already has {image}; remove it, so that it can be pulled"
        )));
    }
    let pulled = pull_twice(&context, &image).await;
    let id = find_image(&context, &image).await?;
    if let Some(image_id) = &id {
        context.environment.created(RemoveRequest {
            namespace: context.environment.namespace().to_owned(),
            target: RemoveTarget::ImageTag {
                tag: image.clone(),
                image_id: image_id.clone(),
            },
        });
    }
    pulled?;
    let expected = format!("the image {image} in the engine when the pull has completed");
    check(rules::PULL, id.is_some(), expected, "a listing without it")
}

/// Pulls an image, and again when the engine has it.
async fn pull_twice(context: &CaseContext, image: &str) -> CaseResult {
    let spec = pull_spec(context, image.to_owned());
    let call = context.engine.pull(&spec);
    let transfer = context.ok(rules::PULL, "pull", call).await?;
    check_progress(rules::PULL, transfer, MIN_LAYERS).await?;
    let call = context.engine.pull(&spec);
    let what = "pull of an image that is there";
    let transfer = context.ok(rules::PULL, what, call).await?;
    // An engine that compares only the image's digest names no layer.
    check_progress(rules::PULL, transfer, 0).await
}

pub(super) async fn pull_not_found(context: CaseContext) -> CaseResult {
    context.require(&["pull"])?;
    let image = context
        .environment
        .missing_image()
        .ok_or_else(|| skip("there is no registry that can be asked for an image"))?;
    let spec = pull_spec(&context, image);
    // Either the call or its stream fails.
    let outcome = async {
        let transfer = context.engine.pull(&spec).await?;
        let mut items: Vec<_> = futures::StreamExt::collect(transfer).await;
        items.pop().unwrap_or_else(|| {
            Err(rdd_core::EngineError::new(
                ErrorCode::Other("none".to_owned()),
                "an end without an error",
            ))
        })
    };
    let what = "pulling an image that the registry does not have";
    context
        .fails(rules::PULL_NOT_FOUND, what, ErrorCode::NotFound, outcome)
        .await
}

pub(super) async fn pull_stops(context: CaseContext) -> CaseResult {
    context.require(&["pull"])?;
    let image = context
        .environment
        .slow_image()
        .ok_or_else(|| skip("there is no image that takes long to pull"))?;
    let before = open_connections(&context).await?;
    let spec = pull_spec(&context, image);
    let call = context.engine.pull(&spec);
    let transfer = context.ok(rules::PULL_STOP, "pull", call).await?;
    let mut stream = LimitedStream::new(transfer, rules::PULL_STOP, "the transfer");
    stream.until("the first progress", |_| true).await?;
    drop(stream);
    context
        .eventually(
            rules::PULL_STOP,
            "the connection of the transfer to be closed",
            STOP_LIMIT,
            || {
                let open = context.environment.connections()?;
                (open > before).then(|| format!("{} of them open", open - before))
            },
        )
        .await
}

pub(super) async fn push(context: CaseContext) -> CaseResult {
    context.require(&["push"])?;
    let image = context
        .environment
        .pushable_image()
        .ok_or_else(|| skip("there is no registry to which an image can be pushed"))?;
    let spec = PushSpec {
        namespace: context.environment.namespace().to_owned(),
        image,
    };
    let call = context.engine.push(&spec);
    let transfer = context.ok(rules::PULL, "push", call).await?;
    check_progress(rules::PULL, transfer, MIN_LAYERS).await
}

pub(super) async fn push_not_found(context: CaseContext) -> CaseResult {
    context.require(&["push"])?;
    let spec = PushSpec {
        namespace: context.environment.namespace().to_owned(),
        image: format!("127.0.0.1:1/{}:latest", context.environment.unique_name()),
    };
    let outcome = async {
        let transfer = context.engine.push(&spec).await?;
        let mut items: Vec<_> = futures::StreamExt::collect(transfer).await;
        items.pop().unwrap_or_else(|| {
            Err(rdd_core::EngineError::new(
                ErrorCode::Other("none".to_owned()),
                "an end without an error",
            ))
        })
    };
    let what = "pushing a tag that the engine does not have";
    let call = timeout(TRANSFER_LIMIT, outcome);
    match call.await {
        Ok(result) => {
            let ready = std::future::ready(result);
            context
                .fails(rules::PUSH_NOT_FOUND, what, ErrorCode::NotFound, ready)
                .await
        }
        Err(_) => Err(fault(rules::PUSH_NOT_FOUND, "an error", "no response")),
    }
}
