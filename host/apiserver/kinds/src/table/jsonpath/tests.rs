//! Tests of JSONPath in kubectl's dialect.

use serde_json::json;

use super::*;

fn first(path: &str, value: &Value) -> Result<Option<Value>, JsonPathTypeError> {
    JsonPath::compile(path)
        .unwrap()
        .first(value)
        .map(Option::<&Value>::cloned)
}

#[test]
fn a_path_finds_its_first_value() {
    let boat = json!({
        "metadata": {"annotations": {"crew.example.com/head.count": "7"}},
        "spec": {"oars": [{"side": "port", "length": 3}, {"side": "starboard", "length": 4.5}], "hull": {"a": 1, "b": 2}},
        "status": {"conditions": [{"type": "Afloat", "status": "True"}, {"type": "Ready", "status": "False"}]},
    });
    for (path, expected) in [
        (".spec.hull.b", json!(2)),
        (".spec['hull']['b']", json!(2)),
        (".spec[\"hull\"].b", json!(2)),
        (
            ".metadata.annotations.crew\\.example\\.com/head\\.count",
            json!("7"),
        ),
        (
            ".metadata.annotations['crew\\.example\\.com/head\\.count']",
            json!("7"),
        ),
        (".spec.oars[1].side", json!("starboard")),
        (".spec.oars[-1].side", json!("starboard")),
        (".spec.oars[*].side", json!("port")),
        (".spec.oars[1:].side", json!("starboard")),
        (".spec.oars[0,1].side", json!("port")),
        (".spec.hull.*", json!(1)),
        ("..side", json!("port")),
        (".spec.oars[?(@.length>3)].side", json!("starboard")),
        (".spec.oars[?(@.length <= 3)].side", json!("port")),
        (
            ".status.conditions[?(@.type==\"Ready\")].status",
            json!("False"),
        ),
        (
            ".status.conditions[?(@.type=='Ready')].status",
            json!("False"),
        ),
        (
            ".status.conditions[?(@.type!='Afloat')].type",
            json!("Ready"),
        ),
        (".status.conditions[?(@.status)].type", json!("Afloat")),
    ] {
        assert_eq!(first(path, &boat), Ok(Some(expected)), "{path}");
    }
}

#[test]
fn a_missing_field_is_none_and_a_wrong_type_is_an_error() {
    let boat = json!({"spec": {"oars": "none", "list": [], "gone": null}});
    for path in [
        ".spec.mast",
        ".status.x.y",
        ".spec.list[0]",
        ".spec.gone.further",
        ".spec.list[?(@.a==1)]",
    ] {
        assert_eq!(first(path, &boat), Ok(None), "{path}");
    }
    for path in [".spec.oars[0]", ".spec.oars.side", ".spec.list.x"] {
        assert_eq!(first(path, &boat), Err(JsonPathTypeError), "{path}");
    }
    assert_eq!(first(".spec.gone", &boat), Ok(Some(Value::Null)));
}

#[test]
fn an_error_contains_the_position_of_the_syntax_error() {
    assert_eq!(
        JsonPath::compile("spec.oars"),
        Err(JsonPathError::InvalidStart {
            path: "spec.oars".into()
        })
    );
    for (path, rest) in [
        (".a[", ""),
        (".a[x]", "x]"),
        (".a[?(@.b==)]", ")]"),
        (".a['b]", "'b]"),
        (".a[1", ""),
    ] {
        assert_eq!(
            JsonPath::compile(path),
            Err(JsonPathError::InvalidSyntax {
                path: path.into(),
                rest: rest.into()
            })
        );
    }
}
