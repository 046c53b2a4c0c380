//! Tables, which kubectl prints, and `PartialObjectMetadata`.

mod age;
mod builtin_columns;
mod cell;
mod column;
mod jsonpath;
mod rbac_columns;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub use age::age;
pub use column::ColumnError;
pub use jsonpath::{JsonPath, JsonPathError, JsonPathTypeError};

use self::column::PrinterColumn;
use crate::schemas;

/// The `apiVersion` of tables and of `PartialObjectMetadata`.
const META_API_VERSION: &str = "meta.k8s.io/v1";

/// The form of the object in each row: the query parameter `includeObject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObjectPolicy {
    /// No object: `object` is null.
    None,
    /// A `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

/// The query parameter `includeObject` has an unsupported value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("includeObject: Invalid value: {value:?}: must be 'Metadata', 'Object', 'None', or empty")]
pub struct IncludeObjectError {
    /// The value of the parameter.
    pub value: String,
}

impl IncludeObjectPolicy {
    /// Parses the query parameter `includeObject`.
    ///
    /// # Errors
    ///
    /// Fails if the value is neither empty nor one of the three policies.
    pub fn parse(value: &str) -> Result<Self, IncludeObjectError> {
        match value {
            "None" => Ok(Self::None),
            "Metadata" | "" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            _ => Err(IncludeObjectError {
                value: value.into(),
            }),
        }
    }
}

/// The compiled columns of one kind in one version. Cheap to clone.
///
/// # Examples
///
/// The printer columns of a CRD version:
///
/// ```
/// use rdd_apiserver_kinds::table::{ColumnError, TableColumns};
/// use serde_json::json;
///
/// let columns = TableColumns::from_crd_version(&json!({
///     "additionalPrinterColumns": [
///         {"name": "Crew", "type": "integer", "jsonPath": ".spec.crew"},
///         {
///             "name": "Ready",
///             "type": "string",
///             "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status",
///         },
///     ],
/// }))?;
/// let boat = json!({
///     "metadata": {"name": "argo"},
///     "spec": {"crew": 50},
///     "status": {"conditions": [{"type": "Ready", "status": "True"}]},
/// });
/// let now = jiff::Timestamp::UNIX_EPOCH;
/// assert_eq!(columns.cells(&boat, now), [json!("argo"), json!(50), json!("True")]);
/// # Ok::<(), ColumnError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TableColumns(Arc<[PrinterColumn]>);

impl TableColumns {
    /// Returns the columns of an entry of a CRD's `spec.versions`: Name and its
    /// `additionalPrinterColumns`, or Name and Age if it has none.
    ///
    /// # Errors
    ///
    /// Fails if a column is invalid.
    pub fn from_crd_version(version: &Value) -> Result<Self, ColumnError> {
        let declared = version["additionalPrinterColumns"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        if declared.is_empty() {
            return Ok(Self::name_and_age());
        }
        let mut columns = vec![PrinterColumn::name()];
        for (index, column) in declared.iter().enumerate() {
            columns.push(PrinterColumn::from_crd(index, column)?);
        }
        Ok(Self(columns.into()))
    }

    /// Returns Name and Age, the columns of a kind that declares none.
    pub fn name_and_age() -> Self {
        Self(Arc::new([
            PrinterColumn::name(),
            PrinterColumn::computed(
                "Age",
                "date",
                "",
                0,
                schemas::object_meta_field("creationTimestamp"),
                |object, now| {
                    builtin_columns::age_cell(&object["metadata"]["creationTimestamp"], now)
                },
            ),
        ]))
    }

    /// Returns the columns of a built-in kind, or `None` if there is no such kind.
    pub fn for_builtin(group: &str, kind: &str) -> Option<Self> {
        builtin_columns::builtin_columns(group, kind).map(|columns| Self(columns.into()))
    }

    /// Returns the table's `columnDefinitions`.
    pub fn definitions(&self) -> Value {
        self.0
            .iter()
            .map(|column| column.definition().clone())
            .collect()
    }

    /// Returns a table of `objects`.
    ///
    /// `metadata` is that of the list, or contains only the `resourceVersion` of a single object.
    /// `has_definitions` is false for all events of a watch but the first.
    pub fn table<'o>(
        &self,
        objects: impl IntoIterator<Item = &'o Value>,
        metadata: Value,
        include: IncludeObjectPolicy,
        now: Timestamp,
        has_definitions: bool,
    ) -> Value {
        let rows: Vec<Value> = objects
            .into_iter()
            .map(|object| self.row(object, include, now))
            .collect();
        let definitions = if has_definitions {
            self.definitions()
        } else {
            Value::Null
        };
        json!({
            "kind": "Table",
            "apiVersion": META_API_VERSION,
            "metadata": metadata,
            "columnDefinitions": definitions,
            "rows": rows,
        })
    }

    /// Returns one row of a table.
    pub fn row(&self, object: &Value, include: IncludeObjectPolicy, now: Timestamp) -> Value {
        let row_object = match include {
            IncludeObjectPolicy::None => Value::Null,
            IncludeObjectPolicy::Metadata => partial_object_metadata(object),
            IncludeObjectPolicy::Object => object.clone(),
        };
        json!({"cells": self.cells(object, now), "object": row_object})
    }

    /// Returns the cells of one object, one per column.
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        self.0
            .iter()
            .map(|column| column.cell(object, now))
            .collect()
    }
}

/// Returns the `PartialObjectMetadata` of an object.
pub fn partial_object_metadata(object: &Value) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| json!({}));
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": META_API_VERSION,
        "metadata": metadata,
    })
}

/// Returns the `PartialObjectMetadataList` of objects. `metadata` is that of the list.
pub fn partial_object_metadata_list<'o>(
    objects: impl IntoIterator<Item = &'o Value>,
    metadata: Value,
) -> Value {
    let items: Vec<Value> = objects.into_iter().map(partial_object_metadata).collect();
    let mut list = Map::new();
    list.insert("kind".into(), "PartialObjectMetadataList".into());
    list.insert("apiVersion".into(), META_API_VERSION.into());
    list.insert("metadata".into(), metadata);
    list.insert("items".into(), Value::Array(items));
    Value::Object(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_definitions_rows_and_the_requested_object() {
        let version = json!({"additionalPrinterColumns": [
            {"name": "Crew", "type": "integer", "jsonPath": ".spec.crew", "priority": 1}]});
        let columns = TableColumns::from_crd_version(&version).unwrap();
        let boat = json!({"metadata": {"name": "a"}, "spec": {"crew": 3}});
        let now = "2024-06-01T12:00:00Z".parse().unwrap();
        let table_with = |include, has_definitions| {
            columns.table(
                [&boat],
                json!({"resourceVersion": "7"}),
                include,
                now,
                has_definitions,
            )
        };
        let table = table_with(IncludeObjectPolicy::Metadata, true);
        assert_eq!(table["rows"][0]["cells"], json!(["a", 3]));
        assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(table["columnDefinitions"][1]["priority"], 1);
        assert_eq!(
            table_with(IncludeObjectPolicy::Object, false)["rows"][0]["object"],
            boat
        );
        let bare = table_with(IncludeObjectPolicy::None, false);
        assert_eq!(
            (&bare["rows"][0]["object"], &bare["columnDefinitions"]),
            (&Value::Null, &Value::Null)
        );
    }

    #[test]
    fn a_column_with_an_invalid_path_is_rejected() {
        let version = json!({"additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": ".a["}]});
        assert!(matches!(
            TableColumns::from_crd_version(&version),
            Err(ColumnError::InvalidPath { index: 0, .. })
        ));
        assert!(IncludeObjectPolicy::parse("Half").is_err());
    }
}
