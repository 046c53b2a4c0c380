//! The items of streams, from what the library sends to the types of `rdd-core`.

use bytes::Bytes;
use rdd_core::{
    EntryBatch, EntryHeader, GapReason, OutputChunk, OutputSource, TransferProgress, WatchEvent,
};
use rdd_plugin_contract::validation::{self, TransferValidator, WatchValidator};
use rdd_sdk_abi as abi;

use crate::json;
use crate::library_fault::{LibraryFault, contract_fault};
use crate::library_stream::{ItemView, SizedItem};

/// The memory of a value besides its text.
const FIELD_BYTES: usize = 64;

/// Returns the text of an item.
fn text<'a>(item: &ItemView<'a>) -> Result<&'a str, LibraryFault> {
    std::str::from_utf8(item.bytes).map_err(|error| {
        contract_fault!(
            "{} returned JSON that is not UTF-8 at its byte {}",
            item.site,
            error.valid_up_to()
        )
    })
}

/// Converts an event of a watch.
pub(crate) fn event(
    item: &ItemView<'_>,
    validator: &mut WatchValidator,
) -> Result<SizedItem<WatchEvent>, LibraryFault> {
    let mut event = json::event(text(item)?)?;
    validator.validate(&mut event)?;
    Ok(SizedItem {
        queued: None,
        item: event,
        bytes: validator.last_object_bytes() + FIELD_BYTES,
    })
}

/// Converts a chunk of output.
pub(crate) fn chunk(item: &ItemView<'_>) -> Result<SizedItem<OutputChunk>, LibraryFault> {
    validation::output_chunk(item.bytes.len())?;
    let source = match item.source {
        abi::STDOUT => OutputSource::Stdout,
        abi::STDERR => OutputSource::Stderr,
        source => {
            return Err(contract_fault!(
                "{} returned the invalid source {source}",
                item.site
            ));
        }
    };
    Ok(SizedItem {
        queued: None,
        bytes: item.bytes.len() + FIELD_BYTES,
        item: OutputChunk {
            source,
            bytes: Bytes::copy_from_slice(item.bytes),
        },
    })
}

/// Converts a batch of log entries.
pub(crate) fn entries(item: &ItemView<'_>) -> Result<SizedItem<EntryBatch>, LibraryFault> {
    let gap = match item.gap {
        abi::gap::NONE => None,
        abi::gap::ROTATED => Some(GapReason::Rotated),
        abi::gap::REPLACED => Some(GapReason::Replaced),
        abi::gap::LAGGED => Some(GapReason::Lagged),
        abi::gap::UNKNOWN => Some(GapReason::Unknown),
        gap => {
            return Err(contract_fault!(
                "{} returned the invalid gap {gap}",
                item.site
            ));
        }
    };
    // Checked before they are copied.
    if item.bytes.len() > EntryBatch::MAX_BYTES {
        return Err(contract_fault!(
            "a batch has {} bytes; {} are allowed",
            item.bytes.len(),
            EntryBatch::MAX_BYTES
        ));
    }
    let headers = item
        .headers
        .iter()
        .map(|header| EntryHeader {
            time: header.time,
            length: header.length,
            source: if header.attributes & abi::ENTRY_STDERR == 0 {
                OutputSource::Stdout
            } else {
                OutputSource::Stderr
            },
            is_partial: header.attributes & abi::ENTRY_PARTIAL != 0,
        })
        .collect();
    let batch = EntryBatch::new(gap, headers, Bytes::copy_from_slice(item.bytes))
        .map_err(|error| contract_fault!("{error}"))?;
    Ok(SizedItem {
        queued: None,
        bytes: batch.memory_bytes() + FIELD_BYTES,
        item: batch,
    })
}

/// Converts the progress of a transfer.
pub(crate) fn progress(
    item: &ItemView<'_>,
    validator: &mut TransferValidator,
) -> Result<SizedItem<TransferProgress>, LibraryFault> {
    let progress = json::progress(text(item)?)?;
    validator.validate(&progress)?;
    Ok(SizedItem {
        queued: None,
        bytes: progress.layer.len() + FIELD_BYTES,
        item: progress,
    })
}
