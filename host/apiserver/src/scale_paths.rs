//! The paths of a custom resource's scale, and the `Scale` that they select.

use serde_json::{Value, json};

use crate::meta;
use crate::status::StatusCause;

/// The fields of an object that make up its scale, as paths without the leading
/// dot.
#[derive(Debug, Clone)]
pub(crate) struct ScalePaths {
    pub(crate) spec: Vec<String>,
    pub(crate) status: Vec<String>,
    pub(crate) selector: Option<Vec<String>>,
}

fn parse_path(text: &Value) -> Option<Vec<String>> {
    let text = text.as_str()?;
    Some(
        text.trim_start_matches('.')
            .split('.')
            .map(str::to_owned)
            .collect(),
    )
}

/// An object without a replica count.
#[derive(Debug, thiserror::Error)]
#[error("the spec replicas field \".{path}\" does not exist")]
pub(crate) struct MissingReplicasError {
    path: String,
}

fn lookup<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, part| value.get(part))
}

/// Returns what is wrong with a replica count.
fn replicas_cause(object: &Value, path: &[String]) -> Option<StatusCause> {
    let value = lookup(object, path)?;
    let Some(count) = value.as_i64() else {
        return Some(accessor_cause(path, &0.into(), value, "int64"));
    };
    let detail = match count {
        ..0 => "should be a non-negative integer".to_owned(),
        count if count > i64::from(i32::MAX) => {
            format!("should be less than or equal to {}", i32::MAX)
        }
        _ => return None,
    };
    Some(StatusCause::invalid(
        format!(".{}", path.join(".")),
        value,
        &detail,
    ))
}

/// Returns the cause of a value that has another type. `zero` is the zero value of the
/// expected one.
fn accessor_cause(path: &[String], zero: &Value, value: &Value, expected: &str) -> StatusCause {
    let path = format!(".{}", path.join("."));
    let (text, found) = match value {
        Value::Null => ("<nil>".to_owned(), "<nil>"),
        Value::Bool(flag) => (flag.to_string(), "bool"),
        Value::Number(number) if number.is_f64() => (number.to_string(), "float64"),
        Value::Number(number) => (number.to_string(), "int64"),
        Value::String(text) => (text.clone(), "string"),
        Value::Array(_) => (value.to_string(), "[]interface {}"),
        Value::Object(_) => (value.to_string(), "map[string]interface {}"),
    };
    let detail =
        format!("{path} accessor error: {text} is of the type {found}, expected {expected}");
    StatusCause::invalid(path, zero, &detail)
}

impl ScalePaths {
    /// Parses `subresources.scale` of a definition's version.
    pub(crate) fn from_definition(scale: &Value) -> Option<Self> {
        Some(Self {
            spec: parse_path(scale.get("specReplicasPath")?)?,
            status: parse_path(scale.get("statusReplicasPath")?)?,
            selector: scale.get("labelSelectorPath").and_then(parse_path),
        })
    }

    /// Validates the replica counts and the selector of an object. What is absent is
    /// valid.
    pub(crate) fn validate(&self, object: &Value) -> Vec<StatusCause> {
        let mut causes: Vec<StatusCause> = [&self.spec, &self.status]
            .into_iter()
            .filter_map(|path| replicas_cause(object, path))
            .collect();
        if let Some(path) = &self.selector
            && let Some(value) = lookup(object, path)
            && !value.is_string()
        {
            causes.push(accessor_cause(path, &"".into(), value, "string"));
        }
        causes
    }

    /// Returns the `Scale` of an object.
    ///
    /// # Errors
    /// The object has no replica count.
    pub(crate) fn to_scale(&self, object: &Value) -> Result<Value, MissingReplicasError> {
        let replicas = lookup(object, &self.spec)
            .and_then(Value::as_i64)
            .ok_or_else(|| MissingReplicasError {
                path: self.spec.join("."),
            })?;
        Ok(self.build_scale(object, replicas))
    }

    /// Returns the `Scale` of an object, with 0 replicas if it has no count.
    pub(crate) fn to_scale_or_zero(&self, object: &Value) -> Value {
        self.build_scale(
            object,
            lookup(object, &self.spec)
                .and_then(Value::as_i64)
                .unwrap_or_default(),
        )
    }

    fn build_scale(&self, object: &Value, replicas: i64) -> Value {
        let mut metadata = serde_json::Map::new();
        for key in [
            "name",
            "namespace",
            "uid",
            "resourceVersion",
            "creationTimestamp",
        ] {
            if let Some(value) = object.get("metadata").and_then(|m| m.get(key)) {
                metadata.insert(key.to_owned(), value.clone());
            }
        }
        let mut status = json!({
            "replicas": lookup(object, &self.status).and_then(Value::as_i64).unwrap_or_default(),
        });
        let selector = self
            .selector
            .as_ref()
            .and_then(|path| lookup(object, path))
            .and_then(Value::as_str);
        if let (Some(selector), Some(status)) = (selector, status.as_object_mut()) {
            status.insert("selector".to_owned(), selector.into());
        }
        let spec = if replicas == 0 {
            json!({})
        } else {
            json!({"replicas": replicas})
        };
        json!({
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": metadata,
            "spec": spec,
            "status": status,
        })
    }

    /// Returns the object with the replica count and resource version of a `Scale`.
    ///
    /// # Errors
    /// The count is negative.
    pub(crate) fn apply_scale(&self, scale: &Value, object: &Value) -> Result<Value, StatusCause> {
        let replicas = scale
            .pointer("/spec/replicas")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        if replicas < 0 {
            return Err(StatusCause::invalid(
                format!(".{}", self.spec.join(".")),
                &replicas.into(),
                "should be a non-negative integer",
            ));
        }
        let mut out = object.clone();
        meta::set(
            &mut out,
            "resourceVersion",
            meta::text(scale, "resourceVersion"),
        );
        let mut target = &mut out;
        for part in &self.spec {
            if !target.is_object() {
                *target = json!({});
            }
            target = match target {
                Value::Object(map) => map.entry(part.as_str()).or_insert(Value::Null),
                other => other,
            };
        }
        *target = replicas.into();
        Ok(out)
    }
}
