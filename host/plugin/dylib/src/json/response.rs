//! What the calls of a library return.

use rdd_core::{
    BackendInfo, Capabilities, IdFormat, InspectResponse, TransferPhase, TransferProgress,
    WatchEvent,
};
use serde::Deserialize;

use super::object::{ObjectVariant, RefRecord};
use super::parse;
use crate::library_fault::{LibraryFault, contract_fault};

/// `id-form`
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum IdForm {
    LowerHex(u32),
    Identifier(u32),
}

/// `backend-info`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct InfoRecord {
    name: String,
    version: String,
    engine: String,
    id_form: IdForm,
    namespaces: Vec<String>,
    capabilities: Vec<String>,
}

/// Decodes `backend-info`.
pub(crate) fn backend_info(text: &str) -> Result<BackendInfo, LibraryFault> {
    let info: InfoRecord = parse("backend-info", text)?;
    Ok(BackendInfo {
        name: info.name,
        version: info.version,
        engine: info.engine,
        id_format: match info.id_form {
            IdForm::LowerHex(digits) => IdFormat::LowerHex(digits),
            IdForm::Identifier(max) => IdFormat::Identifier(max),
        },
        namespaces: info.namespaces,
        capabilities: capabilities(&info.capabilities)?,
    })
}

fn capabilities(names: &[String]) -> Result<Capabilities, LibraryFault> {
    let mut capabilities = Capabilities::default();
    for name in names {
        let flag = match name.as_str() {
            "logs" => &mut capabilities.logs,
            "entries" => &mut capabilities.entries,
            "entry-times" => &mut capabilities.entry_times,
            "actions" => &mut capabilities.actions,
            "removals" => &mut capabilities.removals,
            "create-containers" => &mut capabilities.create_containers,
            "create-volumes" => &mut capabilities.create_volumes,
            "exec" => &mut capabilities.exec,
            "pull" => &mut capabilities.pull,
            "push" => &mut capabilities.push,
            _ => {
                return Err(contract_fault!(
                    "describe returned the capability {}, which this version does not have",
                    rdd_core::text::quote(name, 80)
                ));
            }
        };
        *flag = true;
    }
    Ok(capabilities)
}

/// `event`
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EventVariant {
    InitBegin,
    Applied(ObjectVariant),
    InitDone,
    Removed(RefRecord),
}

/// Decodes `event`.
pub(crate) fn event(text: &str) -> Result<WatchEvent, LibraryFault> {
    Ok(match parse("event", text)? {
        EventVariant::InitBegin => WatchEvent::InitBegin,
        EventVariant::Applied(object) => WatchEvent::Applied(Box::new(object.into_object()?)),
        EventVariant::InitDone => WatchEvent::InitDone,
        EventVariant::Removed(reference) => WatchEvent::Removed(reference.into()),
    })
}

/// `inspection`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InspectionRecord {
    object: ObjectVariant,
    raw: String,
}

/// Decodes `inspection`.
pub(crate) fn inspection(text: &str) -> Result<InspectResponse, LibraryFault> {
    let InspectionRecord { object, raw } = parse("inspection", text)?;
    Ok(InspectResponse {
        object: object.into_object()?,
        raw,
    })
}

/// `transfer-progress`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProgressRecord {
    layer: String,
    phase: TransferPhase,
    bytes_done: u64,
    #[serde(default)]
    bytes_total: Option<u64>,
}

/// Decodes `transfer-progress`.
pub(crate) fn progress(text: &str) -> Result<TransferProgress, LibraryFault> {
    let progress: ProgressRecord = parse("transfer-progress", text)?;
    Ok(TransferProgress {
        layer: progress.layer,
        phase: progress.phase,
        bytes_done: progress.bytes_done,
        bytes_total: progress.bytes_total,
    })
}

/// Decodes a string.
pub(crate) fn string(text: &str) -> Result<String, LibraryFault> {
    parse("string", text)
}
