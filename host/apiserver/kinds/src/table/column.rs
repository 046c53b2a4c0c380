//! One column of a table: its definition, and the source of its cells.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cell::cell;
use super::jsonpath::{JsonPath, JsonPathError};
use crate::schemas;

/// A `TableColumnDefinition` and the source of the column's cells.
#[derive(Clone, Debug)]
pub(crate) struct PrinterColumn {
    definition: Value,
    source: CellSource,
}

#[derive(Clone, Debug)]
enum CellSource {
    /// A function of the object and the current time.
    Computed(fn(&Value, Timestamp) -> Value),
    /// The first value at a path, formatted according to the column's type.
    JsonPath(JsonPath, ColumnType),
}

/// The type of a printer column in a CRD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    String,
    Integer,
    Number,
    Boolean,
    Date,
}

/// Why a printer column of a CRD cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// The name, the type, or the path is missing or invalid.
    #[error(
        "printer column {index} needs a name, a jsonPath, and a type out of string, integer, number, boolean, date"
    )]
    Incomplete {
        /// The column's index in the list.
        index: usize,
    },
    /// The path cannot be compiled.
    #[error("printer column {index} has an invalid jsonPath")]
    InvalidPath {
        /// The column's index in the list.
        index: usize,
        /// What is wrong with the path.
        #[source]
        source: JsonPathError,
    },
}

impl PrinterColumn {
    /// Returns a column whose cells are computed by a function.
    pub(super) fn computed(
        name: &str,
        column_type: &str,
        format: &str,
        priority: u32,
        description: &str,
        cell: fn(&Value, Timestamp) -> Value,
    ) -> Self {
        Self {
            definition: definition(name, column_type, format, priority.into(), description),
            source: CellSource::Computed(cell),
        }
    }

    /// Returns the column with the object's name, which comes first in most tables.
    pub(super) fn name() -> Self {
        Self::computed(
            "Name",
            "string",
            "name",
            0,
            schemas::object_meta_field("name"),
            |object, _| object["metadata"]["name"].clone(),
        )
    }

    /// Returns the column of an entry of a CRD's `additionalPrinterColumns`.
    pub(super) fn from_crd(index: usize, column: &Value) -> Result<Self, ColumnError> {
        let string = |field: &str| column[field].as_str();
        let (Some(name), Some(type_name), Some(path)) =
            (string("name"), string("type"), string("jsonPath"))
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
        let compiled =
            JsonPath::compile(path).map_err(|source| ColumnError::InvalidPath { index, source })?;
        let description = string("description").filter(|d| !d.is_empty()).map_or_else(
            || format!("Custom resource definition column (in JSONPath format): {path}"),
            String::from,
        );
        Ok(Self {
            definition: definition(
                name,
                type_name,
                string("format").unwrap_or_default(),
                column["priority"].as_i64().unwrap_or_default(),
                &description,
            ),
            source: CellSource::JsonPath(compiled, column_type),
        })
    }

    /// Returns the `TableColumnDefinition`.
    pub(super) fn definition(&self) -> &Value {
        &self.definition
    }

    /// Returns the column's cell for an object.
    pub(super) fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match &self.source {
            CellSource::Computed(cell) => cell(object, now),
            CellSource::JsonPath(path, column_type) => match path.first(object) {
                Ok(Some(value)) => cell(value, *column_type, now),
                // If the path finds nothing, or enters a value of another type, the cell is empty.
                // One unusual object must not make the whole table fail.
                Ok(None) | Err(_) => Value::Null,
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
