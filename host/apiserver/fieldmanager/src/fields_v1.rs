//! The `fieldsV1` of a managedFields entry: parsing and formatting.

use serde_json::{Map, Value};

use crate::field_set::{FieldSet, SetNode};
use crate::path::PathElement;

/// Why a `fieldsV1` cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldsV1Error {
    /// A key that is neither `.` nor a letter followed by a colon.
    #[error("{0:?} is not a path element: expected f:name, k:{{...}}, v:value, i:index, or a dot")]
    InvalidElement(String),
    /// A `k:`, `v:`, or `i:` key whose remainder is malformed.
    #[error("path element {key:?}: {problem}")]
    InvalidContent {
        /// The whole key.
        key: String,
        /// What is wrong with its remainder.
        problem: String,
    },
    /// A value that is not an object.
    #[error("the value of {0:?} must be an object")]
    NotAnObject(String),
}

/// The key that makes the path up to here a member.
const SELF_KEY: &str = ".";

impl FieldSet {
    /// Parses a `fieldsV1`, whose keys are path elements and in which an empty object is a member.
    ///
    /// Skips elements of an unsupported type, which a later version may have written.
    ///
    /// # Errors
    ///
    /// Fails if anything else is malformed.
    pub fn from_fields_v1(fields: &Value) -> Result<Self, FieldsV1Error> {
        parse_node(SELF_KEY, fields).map(|node| node.children)
    }

    /// Formats the set as a `fieldsV1`.
    pub fn to_fields_v1(&self) -> Value {
        let mut out = Map::new();
        self.write_into(&mut out);
        Value::Object(out)
    }

    fn write_into(&self, out: &mut Map<String, Value>) {
        for (element, node) in self.nodes() {
            let mut inner = Map::new();
            if node.is_member && !node.children.is_empty() {
                inner.insert(SELF_KEY.to_owned(), Value::Object(Map::new()));
            }
            node.children.write_into(&mut inner);
            out.insert(format_element(element), Value::Object(inner));
        }
    }
}

fn format_element(element: &PathElement) -> String {
    match element {
        PathElement::Field(name) => format!("f:{name}"),
        PathElement::Key(fields) => {
            let mut out = String::from("k:{");
            for (i, (name, value)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                out.push_str(&value.to_string());
            }
            out.push('}');
            out
        }
        PathElement::Value(value) => format!("v:{value}"),
        PathElement::Index(index) => format!("i:{index}"),
    }
}

fn parse_node(key: &str, fields: &Value) -> Result<SetNode, FieldsV1Error> {
    let entries = match fields {
        Value::Object(entries) => entries,
        Value::Null => return Ok(SetNode::leaf()),
        _ => return Err(FieldsV1Error::NotAnObject(key.to_owned())),
    };
    let mut node = SetNode::default();
    for (key, inner) in entries {
        if key == SELF_KEY {
            node.is_member = true;
        } else if let Some(element) = parse_element(key)? {
            node.children.insert_node(element, parse_node(key, inner)?);
        }
    }
    if node.children.is_empty() {
        node.is_member = true;
    }
    Ok(node)
}

/// Returns the element that a key represents, or `None` for an element of an unsupported type.
fn parse_element(key: &str) -> Result<Option<PathElement>, FieldsV1Error> {
    let Some((prefix, rest)) = key
        .split_at_checked(1)
        .and_then(|(prefix, rest)| Some((prefix, rest.strip_prefix(':')?)))
    else {
        return Err(FieldsV1Error::InvalidElement(key.to_owned()));
    };
    let problem = |problem: String| FieldsV1Error::InvalidContent {
        key: key.to_owned(),
        problem,
    };
    Ok(Some(match prefix {
        "f" => PathElement::Field(rest.to_owned()),
        "v" => PathElement::Value(serde_json::from_str(rest).map_err(|e| problem(e.to_string()))?),
        "k" => {
            let fields: Map<String, Value> =
                serde_json::from_str(rest).map_err(|e| problem(e.to_string()))?;
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|(l, _), (r, _)| l.cmp(r));
            PathElement::Key(fields)
        }
        "i" => PathElement::Index(
            rest.parse()
                .map_err(|_| problem("expected an integer".to_owned()))?,
        ),
        _ => return Ok(None),
    }))
}
