//! Tests of the validation of policies and bindings.

use serde_json::json;

use super::*;

fn policy(change: impl Fn(&mut Value)) -> Value {
    let mut object = json!({
        "metadata": {"name": "p.example.com"},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["configmaps"],
            }]},
            "validations": [{"expression": "object.metadata.name != 'x'"}],
        },
    });
    change(&mut object);
    prepare_create(&mut object);
    object
}

/// Returns the errors of a policy whose field at `pointer` is changed.
fn errors(pointer: &str, value: &Value) -> Vec<String> {
    let object = policy(|object| *object.pointer_mut(pointer).unwrap() = value.clone());
    texts(&validate(&object))
}

fn texts(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_policy_gets_upstreams_defaults_and_an_empty_status() {
    let object = policy(|object| object["status"] = json!({"observedGeneration": 3}));
    assert_eq!(texts(&validate(&object)), Vec::<String>::new());
    assert_eq!(object["status"], json!({}));
    let spec = &object["spec"];
    assert_eq!(spec["failurePolicy"], "Fail");
    let constraints = &spec["matchConstraints"];
    assert_eq!(constraints["matchPolicy"], "Equivalent");
    assert_eq!(constraints["namespaceSelector"], json!({}));
    assert_eq!(constraints["objectSelector"], json!({}));
    assert_eq!(constraints["resourceRules"][0]["scope"], "*");
}

#[test]
fn resources_that_a_wildcard_includes_are_rejected() {
    let resources = "/spec/matchConstraints/resourceRules/0/resources";
    let field = "spec.matchConstraints.resourceRules[0].resources";
    for (list, problem) in [
        (
            json!(["pods/*", "pods/status"]),
            format!(
                "{field}[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status"
            ),
        ),
        (
            json!(["*/scale", "pods/scale"]),
            format!(
                "{field}[1]: Invalid value: \"pods/scale\": if '*/scale' is present, must not specify pods/scale"
            ),
        ),
        (
            json!(["*/*", "pods"]),
            format!(
                "{field}: Invalid value: [\"*/*\",\"pods\"]: if '*/*' is present, must not specify other resources"
            ),
        ),
        (
            json!(["*", "pods"]),
            format!(
                "{field}: Invalid value: [\"*\",\"pods\"]: if '*' is present, must not specify other resources without subresources"
            ),
        ),
        (json!([]), format!("{field}: Required value")),
    ] {
        assert_eq!(errors(resources, &list), [problem]);
    }
    assert_eq!(
        errors(resources, &json!(["*", "pods/status", "nodes/*"])),
        Vec::<String>::new()
    );
}

#[test]
fn selectors_of_a_policy_are_validated() {
    let selector = json!({
        "matchLabels": {"a b": "x"},
        "matchExpressions": [{"key": "k", "operator": "In"}, {"key": "k", "operator": "Like"}],
    });
    let object = policy(|object| {
        object["spec"]["matchConstraints"]["objectSelector"] = selector.clone();
    });
    let found = texts(&validate(&object));
    let field = "spec.matchConstraints.objectSelector";
    assert!(
        found[0].starts_with(&format!("{field}.matchLabels: Invalid value: \"a b\"")),
        "{found:?}"
    );
    assert_eq!(
        found[1..],
        [
            format!(
                "{field}.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
            ),
            format!(
                "{field}.matchExpressions[1].operator: Invalid value: \"Like\": not a valid selector operator"
            ),
        ]
    );
}

#[test]
fn the_kind_of_parameters_has_a_valid_version_and_name() {
    let check = |kind: Value| {
        let object = policy(|object| object["spec"]["paramKind"] = kind.clone());
        texts(&validate(&object))
    };
    let none = Vec::<String>::new();
    assert_eq!(
        check(json!({"apiVersion": "v1", "kind": "ConfigMap"})),
        none
    );
    assert_eq!(
        check(json!({"apiVersion": "a.example/v1", "kind": "Limit"})),
        none
    );
    for invalid in ["a/b/c", "A.example/v1", "example/1"] {
        let found = check(json!({"apiVersion": invalid, "kind": "Limit"}));
        assert!(
            found[0].starts_with("spec.paramKind.apiVersion: Invalid value"),
            "{found:?}"
        );
    }
    let found = check(json!({"apiVersion": "v1", "kind": "Li mit"}));
    assert!(
        found[0].starts_with("spec.paramKind.kind: Invalid value: \"Li mit\": may have mixed case"),
        "{found:?}"
    );
}

#[test]
fn an_expression_with_several_lines_needs_a_message() {
    let expression = json!("true ||\nfalse");
    assert_eq!(
        errors("/spec/validations/0/expression", &expression),
        [
            "spec.validations[0].message: Required value: message must be specified if expression contains line breaks"
        ]
    );
}

#[test]
fn the_warnings_of_type_checking_name_a_field() {
    let status = json!({"typeChecking": {"expressionWarnings": [{"fieldRef": "spec", "warning": "w"}, {"fieldRef": "", "warning": " "}]}});
    assert_eq!(
        texts(&validate_status(&json!({"status": status}), &Value::Null)),
        [
            "status.typeChecking.expressionWarnings[1].warning: Required value",
            "status.typeChecking.expressionWarnings[1].fieldRef: Required value",
        ]
    );
}
