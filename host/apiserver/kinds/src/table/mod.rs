//! Tables as kubectl prints them, and objects cut down to their metadata.

mod age;
mod builtin_columns;
mod cell;
mod jsonpath;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub use age::age;
pub use jsonpath::{JsonPath, JsonPathError, JsonPathTypeError};

use crate::schemas;

/// `apiVersion` of tables and of metadata-only objects.
const META_API_VERSION: &str = "meta.k8s.io/v1";

/// What a row carries beside its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObjectPolicy {
    /// Nothing: `object` is null.
    None,
    /// A `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

/// The parameter `includeObject` has a value that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("includeObject: Invalid value: {value:?}: must be 'Metadata', 'Object', 'None', or empty")]
pub struct IncludeObjectError {
    /// The value as given.
    pub value: String,
}

impl IncludeObjectPolicy {
    /// Reads the query parameter `includeObject`.
    ///
    /// # Errors
    /// When it is neither empty nor one of the three words.
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

/// The columns of one kind in one version, compiled. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TableColumns(Arc<[PrinterColumn]>);

/// One column: its definition as clients see it, and where its cells come
/// from.
#[derive(Clone, Debug)]
pub(crate) struct PrinterColumn {
    definition: Value,
    cell: CellSource,
}

#[derive(Clone, Debug)]
enum CellSource {
    /// A function of the object.
    Computed(fn(&Value, Timestamp) -> Value),
    /// What a path finds, shown as the column's type says.
    JsonPath(JsonPath, ColumnType),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnType {
    String,
    Integer,
    Number,
    Boolean,
    Date,
}

/// A printer column cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// It lacks a name, a type or a path.
    #[error(
        "printer column {index} needs a name, a jsonPath and a type out of string, integer, number, boolean, date"
    )]
    Incomplete {
        /// Its place in the list.
        index: usize,
    },
    /// Its path cannot be compiled.
    #[error("printer column {index} has a bad jsonPath")]
    Path {
        /// Its place in the list.
        index: usize,
        /// What is wrong with the path.
        #[source]
        source: JsonPathError,
    },
}

impl TableColumns {
    /// The columns of one entry of a CRD's `spec.versions`: Name and its
    /// `additionalPrinterColumns`, or Name and Age when it has none.
    ///
    /// # Errors
    /// When a column is not one that a valid CRD can have.
    pub fn from_crd_version(version: &Value) -> Result<Self, ColumnError> {
        let declared = version["additionalPrinterColumns"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        if declared.is_empty() {
            return Ok(Self::name_and_age());
        }
        let mut columns = vec![name_column()];
        for (index, column) in declared.iter().enumerate() {
            columns.push(crd_column(index, column)?);
        }
        Ok(Self(columns.into()))
    }

    /// Name and Age: the columns of a kind that says nothing of its own.
    pub fn name_and_age() -> Self {
        Self(Arc::new([
            name_column(),
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

    /// The columns of a built-in kind; `None` when there is no such kind.
    pub fn for_builtin(group: &str, kind: &str) -> Option<Self> {
        builtin_columns::builtin_columns(group, kind).map(|columns| Self(columns.into()))
    }

    /// `columnDefinitions`.
    pub fn definitions(&self) -> Value {
        self.0
            .iter()
            .map(|column| column.definition.clone())
            .collect()
    }

    /// A table of `objects`. `metadata` is that of the list, or the
    /// `resourceVersion` of a single object; `headers` is false for every
    /// event of a watch but the first.
    pub fn table<'o>(
        &self,
        objects: impl IntoIterator<Item = &'o Value>,
        metadata: Value,
        include: IncludeObjectPolicy,
        now: Timestamp,
        headers: bool,
    ) -> Value {
        let rows: Vec<Value> = objects
            .into_iter()
            .map(|object| self.row(object, include, now))
            .collect();
        let definitions = if headers {
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

    /// One row of a table.
    pub fn row(&self, object: &Value, include: IncludeObjectPolicy, now: Timestamp) -> Value {
        let object_cell = match include {
            IncludeObjectPolicy::None => Value::Null,
            IncludeObjectPolicy::Metadata => partial_object_metadata(object),
            IncludeObjectPolicy::Object => object.clone(),
        };
        json!({"cells": self.cells(object, now), "object": object_cell})
    }

    /// The cells of one object, one for each column.
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        self.0
            .iter()
            .map(|column| column.cell(object, now))
            .collect()
    }
}

impl PrinterColumn {
    fn computed(
        name: &str,
        column_type: &str,
        format: &str,
        priority: u32,
        description: &str,
        cell: fn(&Value, Timestamp) -> Value,
    ) -> Self {
        Self {
            definition: definition(name, column_type, format, priority.into(), description),
            cell: CellSource::Computed(cell),
        }
    }

    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            CellSource::Computed(cell) => cell(object, now),
            CellSource::JsonPath(path, column_type) => match path.first(object) {
                Ok(Some(value)) => cell::cell(value, *column_type, now),
                // A path that leads nowhere, or into something of another
                // shape, leaves its cell empty: one odd object must not take
                // the whole table away.
                Ok(None) | Err(JsonPathTypeError) => Value::Null,
            },
        }
    }
}

fn definition(
    name: &str,
    column_type: &str,
    format: &str,
    priority: i64,
    description: &str,
) -> Value {
    json!({
        "name": name,
        "type": column_type,
        "format": format,
        "description": description,
        "priority": priority,
    })
}

fn name_column() -> PrinterColumn {
    PrinterColumn::computed(
        "Name",
        "string",
        "name",
        0,
        schemas::object_meta_field("name"),
        |object, _| object["metadata"]["name"].clone(),
    )
}

fn crd_column(index: usize, column: &Value) -> Result<PrinterColumn, ColumnError> {
    let text = |field: &str| column[field].as_str();
    let (Some(name), Some(type_name), Some(path)) = (text("name"), text("type"), text("jsonPath"))
    else {
        return Err(ColumnError::Incomplete { index });
    };
    let column_type = match type_name {
        "string" => ColumnType::String,
        "integer" => ColumnType::Integer,
        "number" => ColumnType::Number,
        "boolean" => ColumnType::Boolean,
        "date" => ColumnType::Date,
        _ => return Err(ColumnError::Incomplete { index }),
    };
    let compiled = JsonPath::compile(path).map_err(|source| ColumnError::Path { index, source })?;
    let described = text("description").filter(|d| !d.is_empty()).map_or_else(
        || format!("Custom resource definition column (in JSONPath format): {path}"),
        String::from,
    );
    Ok(PrinterColumn {
        definition: definition(
            name,
            type_name,
            text("format").unwrap_or_default(),
            column["priority"].as_i64().unwrap_or_default(),
            &described,
        ),
        cell: CellSource::JsonPath(compiled, column_type),
    })
}

/// The `PartialObjectMetadata` of an object.
pub fn partial_object_metadata(object: &Value) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| json!({}));
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": META_API_VERSION,
        "metadata": metadata,
    })
}

/// The `PartialObjectMetadataList` of some objects; `metadata` is that of the
/// list.
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
    fn a_table_shows_columns_rows_and_the_object_asked_for() {
        let version = json!({"additionalPrinterColumns": [
            {"name": "Crew", "type": "integer", "jsonPath": ".spec.crew", "priority": 1}]});
        let columns = TableColumns::from_crd_version(&version).unwrap();
        let boat = json!({"metadata": {"name": "a"}, "spec": {"crew": 3}});
        let now = "2024-06-01T12:00:00Z".parse().unwrap();
        let show = |include, headers| {
            columns.table(
                [&boat],
                json!({"resourceVersion": "7"}),
                include,
                now,
                headers,
            )
        };
        let table = show(IncludeObjectPolicy::Metadata, true);
        assert_eq!(table["rows"][0]["cells"], json!(["a", 3]));
        assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(table["columnDefinitions"][1]["priority"], 1);
        assert_eq!(
            show(IncludeObjectPolicy::Object, false)["rows"][0]["object"],
            boat
        );
        let bare = show(IncludeObjectPolicy::None, false);
        assert_eq!(
            (&bare["rows"][0]["object"], &bare["columnDefinitions"]),
            (&Value::Null, &Value::Null)
        );
    }

    #[test]
    fn a_column_that_cannot_be_followed_is_refused() {
        let version = json!({"additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": ".a["}]});
        assert!(matches!(
            TableColumns::from_crd_version(&version),
            Err(ColumnError::Path { index: 0, .. })
        ));
        assert!(IncludeObjectPolicy::parse("Half").is_err());
    }
}
