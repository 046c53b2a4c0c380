//! Authorization checks in the expressions of admission policies.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that cannot continue must fail"
)]

use std::sync::Arc;

use rdd_apiserver_schema::{
    AdmissionInput, AuthorizationSource, CheckOutcome, CheckRequest, PolicyProgram, ResourceTarget,
};
use serde_json::json;

/// Allows the verbs `get`, and says what it was asked.
#[derive(Debug)]
struct EchoSource {
    user: String,
}

impl AuthorizationSource for EchoSource {
    fn for_service_account(&self, namespace: &str, name: &str) -> Arc<dyn AuthorizationSource> {
        let user = format!("{namespace}/{name}");
        Arc::new(Self { user })
    }

    fn decide(&self, request: &CheckRequest<'_>) -> CheckOutcome {
        let user = &self.user;
        let (verb, reason) = match request {
            CheckRequest::Path { verb, path } => (verb, format!("{user} {verb} {path}")),
            CheckRequest::Resource { verb, target } => {
                let ResourceTarget {
                    group,
                    resource,
                    subresource,
                    namespace,
                    name,
                } = target;
                let text =
                    format!("{user} {verb} {group}|{resource}|{subresource}|{namespace}|{name}");
                (verb, text)
            }
        };
        CheckOutcome {
            allowed: *verb == "get",
            reason,
        }
    }
}

/// Evaluates an expression as a validation. Returns the messages of its failure.
fn evaluate(expression: &str) -> Vec<String> {
    let spec = json!({"validations": [{"expression": expression, "message": "false"}]});
    let program = PolicyProgram::compile(&spec).unwrap();
    let request = json!({"operation": "CREATE", "userInfo": {"username": "alice"}});
    let source = Arc::new(EchoSource {
        user: "alice".to_owned(),
    });
    let target = ResourceTarget {
        resource: "configmaps".to_owned(),
        namespace: "default".to_owned(),
        name: "c".to_owned(),
        ..ResourceTarget::default()
    };
    let object = json!({"metadata": {"name": "c"}});
    let input =
        AdmissionInput::new(Some(&object), None, &request, None).with_authorizer(source, target);
    let report = program.evaluate(&input, None);
    report.failures.into_iter().map(|it| it.message).collect()
}

#[test]
fn checks_ask_about_the_resource_or_path_that_was_built() {
    for expression in [
        "authorizer.group('apps').resource('deployments').check('get').reason() == 'alice get apps|deployments|||'",
        "authorizer.group('').resource('pods').subresource('exec').namespace('x').name('p').check('create').reason() == 'alice create |pods|exec|x|p'",
        // Later calls replace earlier ones, and an empty text is an absent one.
        "authorizer.group('').resource('pods').name('p').name('').namespace('x').namespace('y').check('get').reason() == 'alice get |pods||y|'",
        "authorizer.group('').resource('pods').fieldSelector('a=b').labelSelector('c').check('get').reason() == 'alice get |pods|||'",
        "authorizer.path('/metrics').check('get').reason() == 'alice get /metrics'",
        "authorizer.serviceAccount('default', 'a.b').path('/x').check('get').reason() == 'default/a.b get /x'",
        "authorizer.requestResource.check('update').reason() == 'alice update |configmaps||default|c'",
        "authorizer.requestResource.subresource('status').name('d').check('get').reason() == 'alice get |configmaps|status|default|d'",
        "authorizer.path('/x').check('get').allowed() && !authorizer.path('/x').check('post').allowed()",
        "!authorizer.path('/x').check('get').errored() && authorizer.path('/x').check('get').error() == ''",
        "authorizer.group('a') != authorizer.group('b')",
        "['get'].all(verb, authorizer.requestResource.check(verb).allowed())",
        // A variable of a macro hides it.
        "[{'requestResource': 1}].all(authorizer, authorizer.requestResource == 1)",
        "dyn(authorizer).path('/x').check('get').allowed()",
    ] {
        assert_eq!(evaluate(expression), Vec::<String>::new(), "{expression}");
    }
    assert_eq!(
        evaluate("authorizer.path('/x').check('put').allowed()"),
        ["false"]
    );
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    for (expression, error) in [
        (
            "authorizer.path(' ').check('get').allowed()",
            "path must not be empty",
        ),
        (
            "authorizer.group('').resource('').check('get').allowed()",
            "resource must not be empty",
        ),
        (
            "authorizer.serviceAccount('default', 'No').path('/').check('get').allowed()",
            "Invalid service account name",
        ),
        (
            "authorizer.serviceAccount('a.b', 'c').path('/').check('get').allowed()",
            "Invalid service account namespace",
        ),
        ("dyn(authorizer).check('get').allowed()", "no such overload"),
        (
            "authorizer.path(dyn(1)).check('get').allowed()",
            "no such overload",
        ),
        ("dyn(authorizer).user == ''", "no such overload"),
        ("authorizer == authorizer", "no such overload"),
    ] {
        let wanted = format!("expression '{expression}' resulted in error: {error}");
        assert_eq!(evaluate(expression), [wanted]);
    }
}

#[test]
fn an_expression_can_check_twice() {
    let check = "authorizer.path('/x').check('get').allowed()";
    assert_eq!(
        evaluate(&format!("{check} && {check}")),
        Vec::<String>::new()
    );
    // Also where a macro repeats it.
    for expression in [
        format!("{check} && {check} && {check}"),
        format!("[1, 2, 3].all(i, {check})"),
    ] {
        let failures = evaluate(&expression);
        assert!(
            failures[0].ends_with("operation cancelled: actual cost limit exceeded"),
            "{failures:?}"
        );
    }
}

#[test]
fn calls_that_do_not_fit_are_rejected_when_the_policy_is_written() {
    for (spec, error) in [
        (
            json!({"validations": [{"expression": "authorizer.group('').check('get').allowed()"}]}),
            "found no matching overload for 'check' applied to 'kubernetes.authorization.GroupCheck.(string)'",
        ),
        (
            json!({"validations": [{"expression": "authorizer.path('/').check('get')"}]}),
            "must evaluate to bool but got kubernetes.authorization.Decision",
        ),
        (
            json!({"validations": [{"expression": "authorizer.group(1).resource('a').check('get').allowed()"}]}),
            "found no matching overload for 'group' applied to 'kubernetes.authorization.Authorizer.(int)'",
        ),
        (
            json!({"validations": [{"expression": "authorizer.user == ''"}]}),
            "unexpected failed resolution of 'kubernetes.authorization.Authorizer'",
        ),
        (
            json!({"validations": [{"expression": "has(authorizer.requestResource)"}]}),
            "unexpected failed resolution of 'kubernetes.authorization.Authorizer'",
        ),
        // A message only says what has been decided.
        (
            json!({"validations": [{"expression": "true", "messageExpression": "authorizer.path('/').check('get').reason()"}]}),
            "undeclared reference to 'authorizer' (in container '')",
        ),
    ] {
        let errors = PolicyProgram::compile(&spec).err().unwrap_or_default();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(
            texts.len() == 1 && texts[0].contains(error),
            "{error}: {texts:?}"
        );
    }
    // Everything else may check.
    let check = "authorizer.path('/').check('get').allowed()";
    let spec = json!({
        "matchConditions": [{"name": "a", "expression": check}],
        "variables": [{"name": "group", "expression": "authorizer.group('apps')"}],
        "validations": [{"expression": "variables.group.resource('a').check('get').allowed()"}],
        "auditAnnotations": [{"key": "k", "valueExpression": "authorizer.path('/').check('get').reason()"}],
    });
    assert!(PolicyProgram::compile(&spec).is_ok());
}
