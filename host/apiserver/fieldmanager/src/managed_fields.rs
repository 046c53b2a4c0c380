//! `metadata.managedFields`: reading, printing and the order of its entries.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::{Map, Value};

use crate::fields_v1::FieldsV1Error;
use crate::set::FieldSet;

/// How a manager came to its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ManagedFieldsOperation {
    /// By applying a configuration: giving the field up removes it.
    Apply,
    /// By any other write.
    Update,
}

impl ManagedFieldsOperation {
    /// As it is written in managedFields.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// A writer that an object's managedFields name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManagerId {
    /// The name that the writer gave, or that was made from its user agent.
    pub name: String,
    /// How it wrote.
    pub operation: ManagedFieldsOperation,
    /// The subresource that it wrote to; empty for the object itself.
    pub subresource: String,
}

/// Why managedFields cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManagedFieldsError {
    /// Not a list of objects, or a field of another form than it must have.
    #[error("managedFields entry {index}: {field} must be {expected}")]
    InvalidField {
        /// The place of the entry in the list.
        index: usize,
        /// The field of the entry.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The fields of an entry.
    #[error("managedFields entry {index}: {source}")]
    Fields {
        /// The place of the entry in the list.
        index: usize,
        /// What is wrong with them.
        source: FieldsV1Error,
    },
}

/// One entry: who owns what since when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ManagedFieldsEntry {
    pub(crate) manager: ManagerId,
    pub(crate) api_version: String,
    /// RFC 3339 in UTC with whole seconds, so that text order is time order.
    pub(crate) time: Option<String>,
    pub(crate) set: FieldSet,
}

impl ManagedFieldsEntry {
    /// Whether both are entries of one writer. An applier has one entry whatever the version, others one for each version.
    pub(crate) fn has_manager(&self, manager: &ManagerId, api_version: &str) -> bool {
        self.manager == *manager
            && (manager.operation == ManagedFieldsOperation::Apply
                || self.api_version == api_version)
    }
}

/// All entries of an object; no two of the same writer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ManagedFields {
    pub(crate) entries: Vec<ManagedFieldsEntry>,
}

impl ManagedFields {
    /// Reads a `managedFields`; absent and null are empty.
    pub(crate) fn parse(managed_fields: Option<&Value>) -> Result<Self, ManagedFieldsError> {
        let list = match managed_fields {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Array(list)) => list,
            Some(_) => {
                return Err(ManagedFieldsError::InvalidField {
                    index: 0,
                    field: "managedFields",
                    expected: "a list",
                });
            }
        };
        let mut out = Self::default();
        for (index, entry) in list.iter().enumerate() {
            out.put(parse_entry(index, entry)?);
        }
        Ok(out)
    }

    /// Adds the entry, in place of one of the same writer.
    pub(crate) fn insert(&mut self, entry: ManagedFieldsEntry) {
        self.remove(&entry.manager, &entry.api_version);
        self.entries.push(entry);
    }

    /// Removes the entry of that writer.
    pub(crate) fn remove(
        &mut self,
        manager: &ManagerId,
        api_version: &str,
    ) -> Option<ManagedFieldsEntry> {
        let at = self
            .entries
            .iter()
            .position(|entry| entry.is_same_writer(manager, api_version))?;
        Some(self.entries.remove(at))
    }

    /// Prints the entries in their order: appliers first, then by time, name, version and subresource. None if there is none.
    pub(crate) fn into_json(mut self) -> Option<Value> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.sort_by(|l, r| sort_key(l).cmp(&sort_key(r)));
        Some(Value::Array(
            self.entries.into_iter().map(entry_to_json).collect(),
        ))
    }
}

fn sort_key(entry: &ManagedFieldsEntry) -> (ManagedFieldsOperation, Option<&str>, &str, &str, &str) {
    (
        entry.manager.operation,
        entry.time.as_deref(),
        &entry.manager.name,
        &entry.api_version,
        &entry.manager.subresource,
    )
}

fn entry_to_json(entry: ManagedFieldsEntry) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    // An empty name is left out, as all empty text is.
    if !entry.manager.name.is_empty() {
        put("manager", entry.manager.name.into());
    }
    put("operation", entry.manager.operation.as_str().into());
    put("apiVersion", entry.api_version.into());
    if let Some(time) = entry.time {
        put("time", time.into());
    }
    put("fieldsType", FIELDS_TYPE.into());
    put("fieldsV1", entry.set.to_fields_v1());
    if !entry.manager.subresource.is_empty() {
        put("subresource", entry.manager.subresource.into());
    }
    Value::Object(out)
}

const FIELDS_TYPE: &str = "FieldsV1";

/// Text of an entry; absent and null are empty.
fn string_field<'a>(
    index: usize,
    entry: &'a Value,
    field: &'static str,
) -> Result<&'a str, ManagedFieldsError> {
    match entry.get(field) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(ManagedFieldsError::InvalidField {
            index,
            field,
            expected: "text",
        }),
    }
}

fn parse_entry(index: usize, entry: &Value) -> Result<ManagedFieldsEntry, ManagedFieldsError> {
    let form = |field, expected| ManagedFieldsError::InvalidField {
        index,
        field,
        expected,
    };
    if !entry.is_object() {
        return Err(form("the entry", "an object"));
    }
    let operation = match string_field(index, entry, "operation")? {
        "Apply" => ManagedFieldsOperation::Apply,
        "Update" => ManagedFieldsOperation::Update,
        _ => return Err(form("operation", "Apply or Update")),
    };
    let api_version = string_field(index, entry, "apiVersion")?;
    if api_version.is_empty() {
        return Err(form("apiVersion", "given"));
    }
    if string_field(index, entry, "fieldsType")? != FIELDS_TYPE {
        return Err(form("fieldsType", FIELDS_TYPE));
    }
    let time = match string_field(index, entry, "time")? {
        "" => None,
        time => Some(truncate_to_seconds(time).ok_or_else(|| form("time", "an RFC 3339 time"))?),
    };
    let set = match entry.get("fieldsV1") {
        None => FieldSet::default(),
        Some(fields) => FieldSet::from_fields_v1(fields)
            .map_err(|source| ManagedFieldsError::Fields { index, source })?,
    };
    Ok(ManagedFieldsEntry {
        manager: ManagerId {
            name: string_field(index, entry, "manager")?.to_owned(),
            operation,
            subresource: string_field(index, entry, "subresource")?.to_owned(),
        },
        api_version: api_version.to_owned(),
        time,
        set,
    })
}

/// The time in UTC with whole seconds.
fn truncate_to_seconds(time: &str) -> Option<String> {
    let parsed: Timestamp = time.parse().ok()?;
    let whole = parsed
        .round(
            TimestampRound::new()
                .smallest(Unit::Second)
                .mode(RoundMode::Floor),
        )
        .ok()?;
    Some(whole.to_string())
}

/// Takes managedFields off an object; a metadata that is left empty stays.
pub fn strip_managed_fields(object: &mut Value) {
    take_managed_fields(object);
}

pub(crate) fn take_managed_fields(object: &mut Value) -> Option<Value> {
    object
        .get_mut("metadata")?
        .as_object_mut()?
        .remove("managedFields")
}

pub(crate) fn managed_fields(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}

/// Puts the entries into the object, whose metadata is made if it has none.
pub(crate) fn set_managed_fields(object: &mut Value, managed: ManagedFields) {
    let Some(printed) = managed.into_json() else {
        take_managed_fields(object);
        return;
    };
    if let Value::Object(fields) = object {
        let metadata = fields
            .entry("metadata")
            .or_insert_with(|| Value::Object(Map::new()));
        if metadata.is_null() {
            *metadata = Value::Object(Map::new());
        }
        if let Value::Object(metadata) = metadata {
            metadata.insert("managedFields".to_owned(), printed);
        }
    }
}

/// The writers that the object's managedFields name, in their order; none where they cannot be read.
pub fn managers(object: &Value) -> Vec<ManagerId> {
    ManagedFields::parse(managed_fields(object))
        .unwrap_or_default()
        .entries
        .into_iter()
        .map(|entry| entry.manager)
        .collect()
}

/// Puts the old times back where times are all that differs between an object and what is to be stored in its place:
/// a write that changes nothing else must not change these. Call it last, just before that comparison is made.
pub fn keep_timestamps_if_unchanged(live: &Value, new: &mut Value) {
    let (Some(Value::Array(old)), Some(Value::Array(fresh))) =
        (managed_fields(live), managed_fields(new))
    else {
        return;
    };
    let same = old.len() == fresh.len()
        && old
            .iter()
            .zip(fresh)
            .all(|(old, fresh)| is_equal_except_time(old, fresh));
    if !same || !is_equal_except_managed_fields(live, new) {
        return;
    }
    let old = Value::Array(old.clone());
    if let Some(Value::Object(metadata)) = new.get_mut("metadata") {
        metadata.insert("managedFields".to_owned(), old);
    }
}

fn is_equal_except_time(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => is_equal_except(old, new, "time"),
        _ => false,
    }
}

fn is_equal_except_managed_fields(old: &Value, new: &Value) -> bool {
    let (Value::Object(l), Value::Object(r)) = (old, new) else {
        return false;
    };
    let metadata = match (l.get("metadata"), r.get("metadata")) {
        (Some(Value::Object(l)), Some(Value::Object(r))) => is_equal_except(l, r, "managedFields"),
        _ => false,
    };
    metadata && is_equal_except(l, r, "metadata")
}

fn is_equal_except(old: &Map<String, Value>, new: &Map<String, Value>, but: &str) -> bool {
    let count = |map: &Map<String, Value>| map.len() - usize::from(map.contains_key(but));
    count(old) == count(new)
        && old
            .iter()
            .all(|(name, value)| name == but || new.get(name) == Some(value))
}
