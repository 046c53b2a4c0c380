//! The items of the streams that calls return.

use rdd_core::{
    EntryBatch, EntryHeader, GapReason, OutputChunk, OutputSource, TransferPhase, TransferProgress,
};
use rdd_plugin_contract::ContractError;
use rdd_plugin_contract::validation::{self, TransferValidator};
use wasmtime::component::Lift;

use crate::bindings::{images, logs, types};

/// The bit of [`logs::EntryHeader::attributes`] for standard error.
const STDERR: u32 = 1 << 0;
/// The bit of [`logs::EntryHeader::attributes`] for a partial entry.
const PARTIAL: u32 = 1 << 1;

/// An item of a stream, as the host reads it.
pub(crate) trait StreamItem: Send + Sized + 'static {
    /// The item as the component sends it.
    type Guest: Lift + Send + Sync + 'static;
    /// What the validation keeps between items.
    type Validator: Default + Send + 'static;

    /// Converts and validates the next item.
    fn convert(guest: Self::Guest, validator: &mut Self::Validator) -> Result<Self, ContractError>;

    /// Returns the memory in bytes that the item holds.
    fn memory_bytes(&self) -> usize;
}

impl StreamItem for OutputChunk {
    type Guest = types::OutputChunk;
    type Validator = ();

    fn convert(guest: types::OutputChunk, (): &mut ()) -> Result<Self, ContractError> {
        let types::OutputChunk { source, bytes } = guest;
        validation::output_chunk(bytes.len())?;
        Ok(Self {
            source: match source {
                types::OutputSource::Stdout => OutputSource::Stdout,
                types::OutputSource::Stderr => OutputSource::Stderr,
            },
            bytes: bytes.into(),
        })
    }

    fn memory_bytes(&self) -> usize {
        self.bytes.len()
    }
}

impl StreamItem for EntryBatch {
    type Guest = logs::EntryBatch;
    type Validator = ();

    fn convert(guest: logs::EntryBatch, (): &mut ()) -> Result<Self, ContractError> {
        let logs::EntryBatch {
            gap,
            headers,
            bytes,
        } = guest;
        let gap = gap.map(|reason| match reason {
            logs::GapReason::Rotated => GapReason::Rotated,
            logs::GapReason::Replaced => GapReason::Replaced,
            logs::GapReason::Lagged => GapReason::Lagged,
            logs::GapReason::Unknown => GapReason::Unknown,
        });
        let headers = headers
            .into_iter()
            .map(
                |logs::EntryHeader {
                     time,
                     length,
                     attributes,
                 }| EntryHeader {
                    time,
                    length,
                    source: if attributes & STDERR == 0 {
                        OutputSource::Stdout
                    } else {
                        OutputSource::Stderr
                    },
                    is_partial: attributes & PARTIAL != 0,
                },
            )
            .collect();
        Self::new(gap, headers, bytes.into()).map_err(|error| ContractError(error.to_string()))
    }

    fn memory_bytes(&self) -> usize {
        Self::memory_bytes(self)
    }
}

impl StreamItem for TransferProgress {
    type Guest = images::TransferProgress;
    type Validator = TransferValidator;

    fn convert(
        guest: images::TransferProgress,
        validator: &mut TransferValidator,
    ) -> Result<Self, ContractError> {
        let images::TransferProgress {
            layer,
            phase,
            bytes_done,
            bytes_total,
        } = guest;
        let progress = Self {
            layer,
            phase: match phase {
                images::TransferPhase::Waiting => TransferPhase::Waiting,
                images::TransferPhase::Downloading => TransferPhase::Downloading,
                images::TransferPhase::Verifying => TransferPhase::Verifying,
                images::TransferPhase::Downloaded => TransferPhase::Downloaded,
                images::TransferPhase::Extracting => TransferPhase::Extracting,
                images::TransferPhase::Uploading => TransferPhase::Uploading,
                images::TransferPhase::Exists => TransferPhase::Exists,
                images::TransferPhase::Complete => TransferPhase::Complete,
                images::TransferPhase::Unknown => TransferPhase::Unknown,
            },
            bytes_done,
            bytes_total,
        };
        validator.validate(&progress)?;
        Ok(progress)
    }

    fn memory_bytes(&self) -> usize {
        /// The fields besides the layer's ID.
        const FIELD_BYTES: usize = 64;
        self.layer.len() + FIELD_BYTES
    }
}
