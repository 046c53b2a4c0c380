//! Logs as entries: the request, and the lines of the response.

use rdd_sdk::entries::EntryBatcher;
use rdd_sdk::types::{ContainerRef, EntryOptions, Error, GapReason, OutputSource};

use crate::connection::ToyConnection;
use crate::objects;
use crate::request::EngineRequest;

/// Returns the request for a log. The engine has all options of the contract.
pub(crate) fn request(container: &ContainerRef, options: &EntryOptions) -> EngineRequest {
    let mut request = EngineRequest::new("logs", &[&container.namespace, &container.id]);
    for (word, is_set) in [
        ("follow", options.follow),
        ("stdout", options.stdout),
        ("stderr", options.stderr),
    ] {
        if is_set {
            request = request.with(word, &[]);
        }
    }
    request = request
        .with_some("tail", options.tail)
        .with_some("since", options.since.as_ref().map(objects::nanoseconds))
        .with_some("until", options.until.as_ref().map(objects::nanoseconds));
    match &options.after {
        Some(after) => request.with(
            "after",
            &[&after.time.to_string(), &after.index.to_string()],
        ),
        None => request,
    }
}

/// Reads the next entry or gap. Returns false at the end of the log.
pub(crate) async fn read_next(
    connection: &mut ToyConnection,
    batcher: &mut EntryBatcher,
) -> Result<bool, Error> {
    let line = connection.line().await?;
    match line.words()[..] {
        ["done"] => return Ok(false),
        ["gap", reason] => batcher.push_gap(match reason {
            "rotated" => GapReason::Rotated,
            "replaced" => GapReason::Replaced,
            "lagged" => GapReason::Lagged,
            _ => GapReason::Unknown,
        }),
        ["entry", time, source, end, length] => {
            let source = match source {
                "stderr" => OutputSource::Stderr,
                _ => OutputSource::Stdout,
            };
            let length = objects::parse_number(length)?;
            let bytes = connection.payload(length).await?;
            batcher.push(objects::parse_number(time)?, source, bytes, end == "part");
        }
        _ => return Err(Error::internal("the engine sent no entry")),
    }
    Ok(true)
}
