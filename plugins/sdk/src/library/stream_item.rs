//! The items of streams, as the host reads them.

use rdd_sdk_abi as abi;

use super::records;
use crate::types::{
    EntryBatch, Error, Event, GapReason, OutputChunk, OutputSource, TransferProgress,
};

/// The memory of the item that the host has borrowed last.
#[derive(Default)]
pub(super) struct ItemBuffer {
    bytes: Vec<u8>,
    headers: Vec<abi::EntryHeader>,
}

impl ItemBuffer {
    fn lend(&mut self, item: &mut abi::Item, bytes: Vec<u8>) {
        self.bytes = bytes;
        item.bytes = abi::Bytes::new(&self.bytes);
    }
}

/// An item of a stream.
pub(super) trait StreamItem: 'static {
    /// Moves the item to the buffer, and lends it to the host.
    fn lend(self, buffer: &mut ItemBuffer, item: &mut abi::Item) -> Result<(), Error>;
}

impl StreamItem for Event {
    fn lend(self, buffer: &mut ItemBuffer, item: &mut abi::Item) -> Result<(), Error> {
        buffer.lend(item, records::encode(&self)?);
        Ok(())
    }
}

impl StreamItem for TransferProgress {
    fn lend(self, buffer: &mut ItemBuffer, item: &mut abi::Item) -> Result<(), Error> {
        buffer.lend(item, records::encode(&self)?);
        Ok(())
    }
}

impl StreamItem for OutputChunk {
    fn lend(self, buffer: &mut ItemBuffer, item: &mut abi::Item) -> Result<(), Error> {
        item.source = match self.source {
            OutputSource::Stdout => abi::STDOUT,
            OutputSource::Stderr => abi::STDERR,
        };
        buffer.lend(item, self.bytes);
        Ok(())
    }
}

impl StreamItem for EntryBatch {
    fn lend(self, buffer: &mut ItemBuffer, item: &mut abi::Item) -> Result<(), Error> {
        let Self {
            gap,
            headers,
            bytes,
        } = self;
        buffer.headers.clear();
        buffer
            .headers
            .extend(headers.iter().map(|header| abi::EntryHeader {
                time: header.time,
                length: header.length,
                attributes: header.attributes,
            }));
        item.headers = buffer.headers.as_ptr();
        item.header_count = u32::try_from(buffer.headers.len())
            .map_err(|_| Error::internal("the batch has too many entries"))?;
        item.gap = match gap {
            None => abi::gap::NONE,
            Some(GapReason::Rotated) => abi::gap::ROTATED,
            Some(GapReason::Replaced) => abi::gap::REPLACED,
            Some(GapReason::Lagged) => abi::gap::LAGGED,
            Some(GapReason::Unknown) => abi::gap::UNKNOWN,
        };
        buffer.lend(item, bytes);
        Ok(())
    }
}
