//! `metadata.managedFields`: parsing, formatting, and the order of its entries.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::{Map, Value};

use crate::field_set::FieldSet;
use crate::fields_v1::FieldsV1Error;

/// The only supported `fieldsType`.
const FIELDS_TYPE: &str = "FieldsV1";

/// The operation by which a manager owns its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ManagedFieldsOperation {
    /// The manager applied a configuration. A field that it no longer applies is removed.
    Apply,
    /// Any other write.
    Update,
}

impl ManagedFieldsOperation {
    /// Returns the operation as it is written in managedFields.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// A manager as managedFields identifies it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManagerId {
    /// The name that the manager gave, or that was derived from its user agent.
    pub name: String,
    /// The operation of its writes.
    pub operation: ManagedFieldsOperation,
    /// The subresource that it writes; empty for the object itself.
    pub subresource: String,
}

/// Why managedFields cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManagedFieldsError {
    /// managedFields is not a list.
    #[error("managedFields must be a list")]
    NotAList,
    /// An entry that is not an object, or that has an invalid field.
    #[error("managedFields entry {index}: {field} must be {expected}")]
    InvalidField {
        /// The index of the entry in the list.
        index: usize,
        /// The name of the field.
        field: &'static str,
        /// What the field must be.
        expected: &'static str,
    },
    /// An entry whose `fieldsV1` cannot be parsed.
    #[error("managedFields entry {index}: {problem}")]
    InvalidFieldsV1 {
        /// The index of the entry in the list.
        index: usize,
        /// What is wrong with the fields.
        problem: FieldsV1Error,
    },
}

/// One entry: the fields of one manager, and the time of its last write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ManagedFieldsEntry {
    pub(crate) manager: ManagerId,
    pub(crate) api_version: String,
    /// RFC 3339 in UTC with whole seconds, so that strings sort by time.
    pub(crate) time: Option<String>,
    pub(crate) set: FieldSet,
}

impl ManagedFieldsEntry {
    /// Returns whether this is the manager's entry. An applier has one entry for all versions, an
    /// updater one for each.
    pub(crate) fn is_entry_of(&self, manager: &ManagerId, api_version: &str) -> bool {
        self.manager == *manager
            && (manager.operation == ManagedFieldsOperation::Apply
                || self.api_version == api_version)
    }
}

/// All entries of an object, at most one per manager (and version, see
/// [`ManagedFieldsEntry::is_entry_of`]).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ManagedFields {
    pub(crate) entries: Vec<ManagedFieldsEntry>,
}

impl ManagedFields {
    /// Parses `managedFields`. Absent and null are empty.
    pub(crate) fn parse(managed_fields: Option<&Value>) -> Result<Self, ManagedFieldsError> {
        let list = match managed_fields {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(ManagedFieldsError::NotAList),
        };
        let mut out = Self::default();
        for (index, entry) in list.iter().enumerate() {
            out.insert(parse_entry(index, entry)?);
        }
        Ok(out)
    }

    /// Inserts an entry, replacing the manager's previous one.
    pub(crate) fn insert(&mut self, entry: ManagedFieldsEntry) {
        self.remove(&entry.manager, &entry.api_version);
        self.entries.push(entry);
    }

    /// Removes and returns the manager's entry.
    pub(crate) fn remove(
        &mut self,
        manager: &ManagerId,
        api_version: &str,
    ) -> Option<ManagedFieldsEntry> {
        let index = self
            .entries
            .iter()
            .position(|entry| entry.is_entry_of(manager, api_version))?;
        Some(self.entries.remove(index))
    }

    /// Formats the entries in upstream's order: appliers first, then by time, name, version, and
    /// subresource. Returns `None` if there are none.
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

fn sort_key(
    entry: &ManagedFieldsEntry,
) -> (ManagedFieldsOperation, Option<&str>, &str, &str, &str) {
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
    // An empty name is omitted, like all empty strings.
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

/// Returns a string field of an entry. Absent and null are empty.
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
            expected: "a string",
        }),
    }
}

fn parse_entry(index: usize, entry: &Value) -> Result<ManagedFieldsEntry, ManagedFieldsError> {
    let invalid = |field, expected| ManagedFieldsError::InvalidField {
        index,
        field,
        expected,
    };
    if !entry.is_object() {
        return Err(invalid("the entry", "an object"));
    }
    let operation = match string_field(index, entry, "operation")? {
        "Apply" => ManagedFieldsOperation::Apply,
        "Update" => ManagedFieldsOperation::Update,
        _ => return Err(invalid("operation", "Apply or Update")),
    };
    let api_version = string_field(index, entry, "apiVersion")?;
    if api_version.is_empty() {
        return Err(invalid("apiVersion", "set"));
    }
    if string_field(index, entry, "fieldsType")? != FIELDS_TYPE {
        return Err(invalid("fieldsType", FIELDS_TYPE));
    }
    let time = match string_field(index, entry, "time")? {
        "" => None,
        time => Some(truncate_to_seconds(time).ok_or_else(|| invalid("time", "an RFC 3339 time"))?),
    };
    let set = match entry.get("fieldsV1") {
        None => FieldSet::default(),
        Some(fields) => FieldSet::from_fields_v1(fields)
            .map_err(|problem| ManagedFieldsError::InvalidFieldsV1 { index, problem })?,
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

/// Converts an RFC 3339 time to UTC, rounded down to seconds.
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

/// Removes managedFields from an object. Keeps `metadata` even if nothing else is in it.
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

/// Writes the entries to an object, creating its `metadata` if necessary.
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

/// Returns the managers of an object, in the order of its managedFields. Returns none if the
/// managedFields cannot be parsed.
pub fn managers(object: &Value) -> Vec<ManagerId> {
    ManagedFields::parse(managed_fields(object))
        .unwrap_or_default()
        .entries
        .into_iter()
        .map(|entry| entry.manager)
        .collect()
}

/// Restores the live object's managedFields times in `new` if nothing but these times differs, so
/// that such a write counts as unchanged. Call it last, just before comparing the two objects.
pub fn keep_timestamps_if_unchanged(live: &Value, new: &mut Value) {
    let (Some(Value::Array(old_entries)), Some(Value::Array(new_entries))) =
        (managed_fields(live), managed_fields(new))
    else {
        return;
    };
    let is_same = old_entries.len() == new_entries.len()
        && old_entries
            .iter()
            .zip(new_entries)
            .all(|(old, new)| is_equal_except_time(old, new));
    if !is_same || !is_equal_except_managed_fields(live, new) {
        return;
    }
    let old = Value::Array(old_entries.clone());
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
    let is_metadata_equal = match (l.get("metadata"), r.get("metadata")) {
        (Some(Value::Object(l)), Some(Value::Object(r))) => is_equal_except(l, r, "managedFields"),
        _ => false,
    };
    is_metadata_equal && is_equal_except(l, r, "metadata")
}

fn is_equal_except(old: &Map<String, Value>, new: &Map<String, Value>, except: &str) -> bool {
    let count = |map: &Map<String, Value>| map.len() - usize::from(map.contains_key(except));
    count(old) == count(new)
        && old
            .iter()
            .all(|(name, value)| name == except || new.get(name) == Some(value))
}
