//! The rules about writes that definitions cannot express, as
//! ValidatingAdmissionPolicies: the daemon installs them, and `crds/` contains
//! them.

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec,
    ValidatingAdmissionPolicySpec, Validation, Variable,
};
use kube::CustomResourceExt;
use kube::core::ObjectMeta;

use crate::{
    ACTION_ANNOTATION, ActionName, CONTAINERS_GROUP, Container, ContainerCreateRequest,
    ImagePullRequest, ImagePushRequest, PART_OF, PART_OF_LABEL, VERSION, VolumeCreateRequest,
};

/// How much of an invalid action its message quotes, in characters: annotations may
/// have 256 KiB, and servers discard messages of more than 5 KiB.
const MAX_QUOTED_CHARS: usize = 64;

/// The reason of every denial: 422 in the response, as for a field that the schema
/// rejects.
const REASON: &str = "Invalid";

/// A policy and the binding of the same name, which puts it in force everywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundPolicy {
    /// The policy.
    pub policy: ValidatingAdmissionPolicy,
    /// The binding.
    pub binding: ValidatingAdmissionPolicyBinding,
}

/// Returns the policies of this crate, sorted by name.
///
/// They need Kubernetes 1.30 or newer. Both objects of each have the label
/// [`PART_OF_LABEL`].
///
/// ```
/// let policies = rdd_api::admission_policies();
/// assert!(policies.iter().all(|it| it.policy.metadata.name == it.binding.metadata.name));
/// ```
pub fn admission_policies() -> Vec<BoundPolicy> {
    vec![container_actions(), immutable_requests()]
}

/// The action annotation is not on a new Container, and is an action.
fn container_actions() -> BoundPolicy {
    let annotations = |object: &str| format!("{object}.metadata.annotations");
    let (new, old) = (annotations("object"), annotations("oldObject"));
    let is_requested = format!("has({new}) && '{ACTION_ANNOTATION}' in {new}");
    // Writes that leave the annotation as it is pass: the daemon removes one that is
    // older than the policy.
    let is_unchanged = format!(
        "has({old}) && '{ACTION_ANNOTATION}' in {old} && {old}['{ACTION_ANNOTATION}'] == {new}['{ACTION_ANNOTATION}']"
    );
    let actions = ActionName::ALL.map(|action| format!("'{}'", action.as_str()));
    let action = "variables.action";
    let quoted = format!(
        "({action}.size() > {MAX_QUOTED_CHARS} ? {action}.substring(0, {MAX_QUOTED_CHARS}) : {action}).replace('\\n', ' ')"
    );
    let invalid = format!("invalid {ACTION_ANNOTATION} annotation");
    let spec = ValidatingAdmissionPolicySpec {
        match_conditions: Some(vec![
            condition("requests-an-action", is_requested),
            condition(
                "changes-the-request",
                format!("request.operation == 'CREATE' || !({is_unchanged})"),
            ),
        ]),
        variables: Some(vec![Variable {
            name: "action".to_owned(),
            expression: format!("{new}['{ACTION_ANNOTATION}']"),
        }]),
        validations: Some(vec![
            Validation {
                expression: "request.operation != 'CREATE'".to_owned(),
                message: Some(format!(
                    "annotation {ACTION_ANNOTATION} is not allowed on create"
                )),
                reason: Some(REASON.to_owned()),
                ..Validation::default()
            },
            Validation {
                expression: format!("{action} in [{}]", actions.join(", ")),
                message: Some(invalid.clone()),
                message_expression: Some(format!("'{invalid} \"' + {quoted} + '\"'")),
                reason: Some(REASON.to_owned()),
            },
        ]),
        ..constrained_spec(&["CREATE", "UPDATE"], vec![plural::<Container>()])
    };
    bound("container-actions", spec)
}

/// The spec of a request does not change.
fn immutable_requests() -> BoundPolicy {
    let requests = vec![
        plural::<ContainerCreateRequest>(),
        plural::<ImagePullRequest>(),
        plural::<ImagePushRequest>(),
        plural::<VolumeCreateRequest>(),
    ];
    let spec = ValidatingAdmissionPolicySpec {
        validations: Some(vec![Validation {
            expression: "object.spec == oldObject.spec".to_owned(),
            message: Some("spec is immutable".to_owned()),
            reason: Some(REASON.to_owned()),
            ..Validation::default()
        }]),
        ..constrained_spec(&["UPDATE"], requests)
    };
    bound("immutable-requests", spec)
}

fn plural<K: CustomResourceExt>() -> String {
    K::crd().spec.names.plural
}

fn condition(name: &str, expression: String) -> MatchCondition {
    MatchCondition {
        name: name.to_owned(),
        expression,
    }
}

/// Returns the spec of a policy about resources of this crate. Subresources are not
/// matched: writes of a status cannot change anything else.
fn constrained_spec(operations: &[&str], resources: Vec<String>) -> ValidatingAdmissionPolicySpec {
    let rule = NamedRuleWithOperations {
        api_groups: Some(vec![CONTAINERS_GROUP.to_owned()]),
        api_versions: Some(vec![VERSION.to_owned()]),
        operations: Some(operations.iter().map(|&it| it.to_owned()).collect()),
        resources: Some(resources),
        ..NamedRuleWithOperations::default()
    };
    ValidatingAdmissionPolicySpec {
        failure_policy: Some("Fail".to_owned()),
        match_constraints: Some(MatchResources {
            resource_rules: Some(vec![rule]),
            ..MatchResources::default()
        }),
        ..ValidatingAdmissionPolicySpec::default()
    }
}

/// Names a policy within the group of what it is about, and binds it.
fn bound(name: &str, spec: ValidatingAdmissionPolicySpec) -> BoundPolicy {
    let metadata = ObjectMeta {
        name: Some(format!("{name}.{CONTAINERS_GROUP}")),
        labels: Some([(PART_OF_LABEL.to_owned(), PART_OF.to_owned())].into()),
        ..ObjectMeta::default()
    };
    let binding = ValidatingAdmissionPolicyBindingSpec {
        policy_name: metadata.name.clone(),
        validation_actions: Some(vec!["Deny".to_owned()]),
        ..ValidatingAdmissionPolicyBindingSpec::default()
    };
    BoundPolicy {
        policy: ValidatingAdmissionPolicy {
            metadata: metadata.clone(),
            spec: Some(spec),
            status: None,
        },
        binding: ValidatingAdmissionPolicyBinding {
            metadata,
            spec: Some(binding),
        },
    }
}
