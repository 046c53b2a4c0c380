//! `fieldsV1` of a managedFields entry: reading and printing.

use serde_json::{Map, Value};

use crate::path::PathElement;
use crate::set::{FieldSet, SetNode};

/// Why a `fieldsV1` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldsV1Error {
    /// A key that is neither `.` nor one letter, a colon and the rest.
    #[error("{0:?} is no path element: expected f:name, k:{{...}}, v:value, i:index or a dot")]
    InvalidElement(String),
    /// The rest of a `k:`, `v:` or `i:` key is not what it must be.
    #[error("path element {key:?}: {problem}")]
    InvalidContent {
        /// The key as it came.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A value that is not an object.
    #[error("the value of {0:?} must be an object")]
    NotAnObject(String),
}

/// The key of an entry that says that the path so far is itself a member.
const SELF_KEY: &str = ".";

impl FieldSet {
    /// Reads a `fieldsV1`: keys are path elements, an empty object is a member. Elements of a kind not known here are left out,
    /// for a later version may have written them; everything else that is malformed is an error.
    pub fn from_fields_v1(fields: &Value) -> Result<Self, FieldsV1Error> {
        parse_node(SELF_KEY, fields).map(|node| node.children)
    }

    /// Prints the set as a `fieldsV1`.
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
        Value::Null => return Ok(member()),
        _ => return Err(FieldsV1Error::NotAnObject(key.to_owned())),
    };
    let mut node = SetNode::default();
    for (key, inner) in entries {
        if key == SELF_KEY {
            node.member = true;
        } else if let Some(element) = parse_element(key)? {
            node.children.add(element, parse_node(key, inner)?);
        }
    }
    if node.children.is_empty() {
        node.member = true;
    }
    Ok(node)
}

fn member() -> SetNode {
    SetNode {
        is_member: true,
        children: FieldSet::default(),
    }
}

/// The element that a key stands for, or none for a kind of element that is not known here.
fn parse_element(key: &str) -> Result<Option<PathElement>, FieldsV1Error> {
    let Some((kind, rest)) = key
        .split_at_checked(1)
        .and_then(|(kind, rest)| Some((kind, rest.strip_prefix(':')?)))
    else {
        return Err(FieldsV1Error::InvalidElement(key.to_owned()));
    };
    let problem = |problem: String| FieldsV1Error::InvalidContent {
        key: key.to_owned(),
        problem,
    };
    Ok(Some(match kind {
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
                .map_err(|_| problem("expected a whole number".to_owned()))?,
        ),
        _ => return Ok(None),
    }))
}
