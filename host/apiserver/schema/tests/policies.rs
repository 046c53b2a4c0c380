//! Expressions of admission policies.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that cannot continue must fail"
)]

use rdd_apiserver_schema::{
    AdmissionInput, FailureReason, MatchedType, PolicyProgram, PolicyReport, ValidationFailure,
};
use serde_json::{Value, json};

fn compile_errors(spec: &Value) -> Vec<String> {
    let errors = PolicyProgram::compile(spec).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

fn evaluate(spec: &Value, object: &Value) -> PolicyReport {
    let program = PolicyProgram::compile(spec).unwrap();
    let request = json!({"operation": "CREATE", "userInfo": {"username": "admin"}});
    let input = AdmissionInput::new(Some(object), None, &request, None);
    program.evaluate(&input, None)
}

fn messages(report: &PolicyReport) -> Vec<&str> {
    report
        .failures
        .iter()
        .map(|failure| failure.message.as_str())
        .collect()
}

/// Returns a spec with one validation.
fn validation(expression: &str) -> Value {
    json!({"validations": [{"expression": expression, "message": "failed"}]})
}

#[test]
fn expressions_of_the_wrong_type_and_unknown_variables_are_rejected() {
    for (spec, expected) in [
        (
            validation("'text'"),
            "spec.validations[0].expression: Invalid value: \"'text'\": must evaluate to bool but got string",
        ),
        (
            validation(" "),
            "spec.validations[0].expression: Required value: expression is not specified",
        ),
        (
            validation("params.x == 1"),
            "undeclared reference to 'params' (in container '')\n | params.x == 1\n | ^",
        ),
        (
            validation("variables.x"),
            "undeclared reference to 'variables' (in container '')\n | variables.x\n | ^",
        ),
        (
            validation("request.user == ''"),
            "ERROR: <input>:1:8: undefined field 'user'",
        ),
        (
            json!({"matchConditions": [{"name": "a", "expression": "variables.x"}], "variables": [{"name": "x", "expression": "true"}]}),
            "spec.matchConditions[0].expression",
        ),
        (
            json!({"variables": [{"name": "a", "expression": "variables.b"}, {"name": "b", "expression": "1"}]}),
            "ERROR: <input>:1:10: undefined field 'b'\n | variables.b\n | .........^",
        ),
        (
            json!({"auditAnnotations": [{"key": "k", "valueExpression": "1"}]}),
            "must evaluate to one of [string null_type] but got int",
        ),
        (
            json!({"validations": [{"expression": "true", "messageExpression": "1"}]}),
            "spec.validations[0].messageExpression: Invalid value: \"1\": must evaluate to string but got int",
        ),
    ] {
        let errors = compile_errors(&spec);
        assert!(
            errors.len() == 1 && errors[0].contains(expected),
            "{expected}: {errors:?}"
        );
    }
    let with_params = json!({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "validations": [{"expression": "params.x == 1"}]});
    assert_eq!(compile_errors(&with_params), Vec::<String>::new());
}

#[test]
fn fields_of_optionals_are_optionals() {
    let spec =
        validation("object.?spec.a['b'].c.orValue('none') == 'found' && !has(object.?nothing.x)");
    assert_eq!(
        messages(&evaluate(
            &spec,
            &json!({"spec": {"a": {"b": {"c": "found"}}}})
        )),
        Vec::<&str>::new()
    );
    assert_eq!(
        messages(&evaluate(&spec, &json!({"spec": {"a": {}}}))),
        ["failed"]
    );
    let present = validation("has(object.?spec.a)");
    assert_eq!(
        messages(&evaluate(&present, &json!({"spec": {"a": 1}}))),
        Vec::<&str>::new()
    );
}

#[test]
fn a_variable_is_evaluated_only_if_an_expression_uses_it() {
    let spec = json!({
        "variables": [{"name": "broken", "expression": "object.nope"}, {"name": "twice", "expression": "variables.n + variables.n"}],
        "validations": [{"expression": "has(object.x) || variables.broken", "message": "failed"}],
    });
    let mut reordered = spec.clone();
    reordered["variables"] = json!([
        {"name": "n", "expression": "2"},
        {"name": "broken", "expression": "object.nope"},
        {"name": "twice", "expression": "variables.n + variables.n"},
    ]);
    assert_eq!(compile_errors(&spec).len(), 1);
    assert_eq!(
        messages(&evaluate(&reordered, &json!({"x": 1}))),
        Vec::<&str>::new()
    );
    let error = "expression 'has(object.x) || variables.broken' resulted in error: composited variable \"broken\" fails to evaluate: no such key: nope";
    assert_eq!(messages(&evaluate(&reordered, &json!({}))), [error]);
}

#[test]
fn a_chain_of_variables_cannot_overflow_the_stack() {
    let variables: Vec<Value> = (0..5_000)
        .map(|index| match index {
            0 => json!({"name": "v0", "expression": "1"}),
            _ => json!({"name": format!("v{index}"), "expression": format!("variables.v{} + 1", index - 1)}),
        })
        .collect();
    let spec =
        json!({"variables": variables, "validations": [{"expression": "variables.v4999 > 0"}]});
    let errors = compile_errors(&spec);
    assert!(errors[0].contains("nested more than"), "{}", errors[0]);
    let short = json!({"variables": variables[..20], "validations": [{"expression": "variables.v19 == 20"}]});
    assert_eq!(evaluate(&short, &json!({})), PolicyReport::default());
}

#[test]
fn a_policy_that_uses_up_its_steps_reports_one_error() {
    let loops = "object.all(a, object.all(b, object.all(c, a + b + c >= 0)))";
    let spec = json!({"validations": vec![json!({"expression": loops}); 20]});
    let numbers: Value = (0..45).collect();
    assert_eq!(
        messages(&evaluate(&spec, &numbers)),
        [
            "validation failed due to running out of cost budget, no further validation rules will be run"
        ]
    );
}

#[test]
fn a_message_expression_that_returns_no_usable_text_is_replaced() {
    let failed = |message_expression: &str| {
        let spec = json!({"validations": [{
            "expression": "object.n > 1", "message": "plain", "messageExpression": message_expression, "reason": "Forbidden",
        }]});
        let report = evaluate(&spec, &json!({"n": 1}));
        assert_eq!(report.failures[0].reason, FailureReason::Forbidden);
        report.failures[0].message.clone()
    };
    assert_eq!(failed("' n is ' + string(object.n) + ' '"), "n is 1");
    for unusable in ["'  '", "'a\\nb'", "string(object.nope)"] {
        assert_eq!(failed(unusable), "plain", "{unusable}");
    }
    let unnamed = json!({"validations": [{"expression": " object.n > 1 "}]});
    assert_eq!(
        messages(&evaluate(&unnamed, &json!({"n": 1}))),
        ["failed expression: object.n > 1"]
    );
}

#[test]
fn an_audit_annotation_with_an_error_is_reported_apart() {
    let spec = json!({
        "validations": [{"expression": "true"}],
        "auditAnnotations": [{"key": "a", "valueExpression": "null"}, {"key": "b", "valueExpression": "string(object.nope)"}],
    });
    let message = "expression 'string(object.nope)' resulted in error: no such key: nope";
    let expected = PolicyReport {
        failures: Vec::new(),
        annotation_failures: vec![ValidationFailure::new(message)],
    };
    assert_eq!(evaluate(&spec, &json!({})), expected);
}

#[test]
fn types_are_checked_with_the_variables_and_the_parameters() {
    let matched = |name: &str, schema: Value| MatchedType {
        name: name.to_owned(),
        schema,
    };
    let types = [
        matched(
            "/v1, Kind=A",
            json!({"type": "object", "properties": {"n": {"type": "integer"}, "any": {}}}),
        ),
        matched(
            "/v1, Kind=B",
            json!({"type": "object", "properties": {"n": {"type": "string"}, "any": {"x-kubernetes-preserve-unknown-fields": true}}}),
        ),
    ];
    let params = json!({"type": "object", "properties": {"max": {"type": "integer"}}});
    let spec = json!({
        "paramKind": {"apiVersion": "v1", "kind": "P"},
        "variables": [{"name": "n", "expression": "object.n"}],
        "validations": [
            {"expression": "variables.n < params.max && object.any.x.y == 1"},
            {"expression": "true", "messageExpression": "string(params.min)"},
        ],
    });
    let warnings = PolicyProgram::check_types(&spec, &types, Some(&params));
    let fields: Vec<&str> = warnings
        .iter()
        .map(|warning| warning.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "spec.validations[1].messageExpression",
            "spec.validations[0].expression"
        ]
    );
    assert_eq!(
        warnings[0].warning.matches("undefined field 'min'").count(),
        2
    );
    let mismatch = "/v1, Kind=B: compilation failed: ERROR: <input>:1:13: found no matching overload for '_<_' applied to '(string, int)'";
    assert!(
        warnings[1].warning.starts_with(mismatch),
        "{}",
        warnings[1].warning
    );
    assert!(PolicyProgram::check_types(&spec, &types[..1], None).is_empty());
}
