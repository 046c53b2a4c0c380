//! Why the result of a strategic merge patch is no object of its kind, in the words
//! of upstream's converter: it converts maps without JSON, and so fails in other
//! words than a decoder.

use rdd_apiserver_kinds::builtin::DecodeError;

use crate::meta::object_meta::ObjectMetaError;
use crate::strategy::NormalizeError;

/// Returns the message of the converter.
pub(crate) fn conversion_message(error: &NormalizeError) -> String {
    match error {
        NormalizeError::Builtin(DecodeError::WrongType {
            found, expected, ..
        }) => type_message(found, expected),
        NormalizeError::ObjectMeta(
            ObjectMetaError::Field {
                actual, expected, ..
            }
            | ObjectMetaError::OwnerReference {
                actual, expected, ..
            },
        ) => type_message(actual, expected),
        NormalizeError::ObjectMeta(
            ObjectMetaError::NotObject { actual } | ObjectMetaError::NotObjectIn { actual, .. },
        ) => type_message(actual, "v1.ObjectMeta"),
        other => other.converter_message(),
    }
}

/// Returns the message for a value of the JSON type `found`, whose number may
/// follow, where Go's type `expected` is required.
fn type_message(found: &str, expected: &str) -> String {
    // The Go type into which JSON of this type is decoded.
    let kind = match found.split_once(' ') {
        Some((_, number)) if number.contains(['.', 'e', 'E']) => "float64",
        Some(_) => "int64",
        None => match found {
            "array" => "slice",
            "object" => "map",
            "number" => "int64",
            other => other,
        },
    };
    if expected.starts_with("map[") {
        format!("cannot restore map from {kind}")
    } else if expected.starts_with("[]") {
        format!("cannot restore slice from {kind}")
    } else if expected.starts_with("v1.") {
        format!("cannot restore struct from: {kind}")
    } else if kind == "int64" || (kind == "float64" && expected != "string") {
        // Go could convert these, but a conversion would change the value.
        format!("cannot convert {kind} to {expected}")
    } else {
        format!("unrecognized type: {expected}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_types_of_the_converter() {
        for (found, expected, message) in [
            (
                "string",
                "map[string]string",
                "cannot restore map from string",
            ),
            ("object", "[]string", "cannot restore slice from map"),
            (
                "array",
                "v1.ObjectMeta",
                "cannot restore struct from: slice",
            ),
            ("array", "string", "unrecognized type: string"),
            ("number", "string", "cannot convert int64 to string"),
            ("number 1.5", "int32", "cannot convert float64 to int32"),
            ("string", "bool", "unrecognized type: bool"),
        ] {
            assert_eq!(type_message(found, expected), message);
        }
    }
}
