//! The topologies of lists and maps (`x-kubernetes-list-type` and the like), which the generated API
//! bindings do not contain.

use serde_json::{Map, Value, json};

/// How a list or map is merged by server-side apply and by strategic merge patches.
#[derive(Clone, Copy)]
pub(super) enum FieldTopology {
    /// A map that is owned and replaced as a whole.
    AtomicMap,
    /// A list that is owned and replaced as a whole.
    AtomicList,
    /// A set of scalars.
    Set,
    /// A set of scalars that a strategic merge patch replaces.
    ReplacedSet,
    /// A list whose items are identified by one field.
    Keyed(&'static str),
}

/// The topology of each list and map: the type without its package, the field (empty for the type
/// itself), and the topology.
pub(super) const TOPOLOGIES: [(&str, &str, FieldTopology); 61] = [
    ("ObjectMeta", "finalizers", FieldTopology::Set),
    ("ObjectMeta", "managedFields", FieldTopology::AtomicList),
    ("ObjectMeta", "ownerReferences", FieldTopology::Keyed("uid")),
    ("OwnerReference", "", FieldTopology::AtomicMap),
    ("DeleteOptions", "dryRun", FieldTopology::AtomicList),
    ("StatusDetails", "causes", FieldTopology::AtomicList),
    ("LocalObjectReference", "", FieldTopology::AtomicMap),
    ("ObjectReference", "", FieldTopology::AtomicMap),
    (
        "ServiceAccount",
        "imagePullSecrets",
        FieldTopology::AtomicList,
    ),
    ("ServiceAccount", "secrets", FieldTopology::Keyed("name")),
    ("NamespaceSpec", "finalizers", FieldTopology::AtomicList),
    (
        "NamespaceStatus",
        "conditions",
        FieldTopology::Keyed("type"),
    ),
    (
        "CustomResourceDefinitionNames",
        "categories",
        FieldTopology::AtomicList,
    ),
    (
        "CustomResourceDefinitionNames",
        "shortNames",
        FieldTopology::AtomicList,
    ),
    (
        "CustomResourceDefinitionSpec",
        "versions",
        FieldTopology::AtomicList,
    ),
    (
        "CustomResourceDefinitionStatus",
        "conditions",
        FieldTopology::Keyed("type"),
    ),
    (
        "CustomResourceDefinitionStatus",
        "storedVersions",
        FieldTopology::AtomicList,
    ),
    (
        "CustomResourceDefinitionVersion",
        "additionalPrinterColumns",
        FieldTopology::AtomicList,
    ),
    (
        "CustomResourceDefinitionVersion",
        "selectableFields",
        FieldTopology::AtomicList,
    ),
    (
        "WebhookConversion",
        "conversionReviewVersions",
        FieldTopology::AtomicList,
    ),
    ("JSONSchemaProps", "allOf", FieldTopology::AtomicList),
    ("JSONSchemaProps", "anyOf", FieldTopology::AtomicList),
    ("JSONSchemaProps", "enum", FieldTopology::AtomicList),
    ("JSONSchemaProps", "oneOf", FieldTopology::AtomicList),
    ("JSONSchemaProps", "required", FieldTopology::AtomicList),
    (
        "JSONSchemaProps",
        "x-kubernetes-list-map-keys",
        FieldTopology::AtomicList,
    ),
    (
        "JSONSchemaProps",
        "x-kubernetes-validations",
        FieldTopology::Keyed("rule"),
    ),
    ("PolicyRule", "verbs", FieldTopology::AtomicList),
    ("PolicyRule", "apiGroups", FieldTopology::AtomicList),
    ("PolicyRule", "resources", FieldTopology::AtomicList),
    ("PolicyRule", "resourceNames", FieldTopology::AtomicList),
    ("PolicyRule", "nonResourceURLs", FieldTopology::AtomicList),
    ("Role", "rules", FieldTopology::AtomicList),
    ("ClusterRole", "rules", FieldTopology::AtomicList),
    (
        "AggregationRule",
        "clusterRoleSelectors",
        FieldTopology::AtomicList,
    ),
    ("RoleBinding", "subjects", FieldTopology::AtomicList),
    ("ClusterRoleBinding", "subjects", FieldTopology::AtomicList),
    ("Subject", "", FieldTopology::AtomicMap),
    ("RoleRef", "", FieldTopology::AtomicMap),
    ("NamedRuleWithOperations", "", FieldTopology::AtomicMap),
    (
        "NamedRuleWithOperations",
        "apiGroups",
        FieldTopology::AtomicList,
    ),
    (
        "NamedRuleWithOperations",
        "apiVersions",
        FieldTopology::AtomicList,
    ),
    (
        "NamedRuleWithOperations",
        "operations",
        FieldTopology::AtomicList,
    ),
    (
        "NamedRuleWithOperations",
        "resourceNames",
        FieldTopology::AtomicList,
    ),
    (
        "NamedRuleWithOperations",
        "resources",
        FieldTopology::AtomicList,
    ),
    ("MatchResources", "", FieldTopology::AtomicMap),
    (
        "MatchResources",
        "excludeResourceRules",
        FieldTopology::AtomicList,
    ),
    ("MatchResources", "resourceRules", FieldTopology::AtomicList),
    ("ParamKind", "", FieldTopology::AtomicMap),
    ("ParamRef", "", FieldTopology::AtomicMap),
    ("Variable", "", FieldTopology::AtomicMap),
    ("LabelSelector", "", FieldTopology::AtomicMap),
    (
        "LabelSelector",
        "matchExpressions",
        FieldTopology::AtomicList,
    ),
    (
        "LabelSelectorRequirement",
        "values",
        FieldTopology::AtomicList,
    ),
    (
        "ValidatingAdmissionPolicySpec",
        "auditAnnotations",
        FieldTopology::AtomicList,
    ),
    (
        "ValidatingAdmissionPolicySpec",
        "matchConditions",
        FieldTopology::Keyed("name"),
    ),
    (
        "ValidatingAdmissionPolicySpec",
        "validations",
        FieldTopology::AtomicList,
    ),
    (
        "ValidatingAdmissionPolicySpec",
        "variables",
        FieldTopology::Keyed("name"),
    ),
    (
        "ValidatingAdmissionPolicyStatus",
        "conditions",
        FieldTopology::Keyed("type"),
    ),
    (
        "TypeChecking",
        "expressionWarnings",
        FieldTopology::AtomicList,
    ),
    (
        "ValidatingAdmissionPolicyBindingSpec",
        "validationActions",
        FieldTopology::ReplacedSet,
    ),
];

/// Adds the topologies of a type's lists and maps to its schema.
pub(super) fn add_topologies(type_name: &str, schema: &mut Value) {
    for (_, field, topology) in TOPOLOGIES.iter().filter(|(name, ..)| *name == type_name) {
        let target = match *field {
            "" => Some(&mut *schema),
            field => schema["properties"].get_mut(field),
        };
        if let Some(Value::Object(target)) = target {
            topology.add_to(target);
        }
    }
}

impl FieldTopology {
    fn add_to(self, schema: &mut Map<String, Value>) {
        match self {
            Self::AtomicMap => {
                schema.insert("x-kubernetes-map-type".into(), "atomic".into());
            }
            Self::AtomicList => {
                schema.insert("x-kubernetes-list-type".into(), "atomic".into());
            }
            Self::Set => {
                schema.insert("x-kubernetes-list-type".into(), "set".into());
                schema.insert("x-kubernetes-patch-strategy".into(), "merge".into());
            }
            Self::ReplacedSet => {
                schema.insert("x-kubernetes-list-type".into(), "set".into());
            }
            Self::Keyed(key) => {
                schema.insert("x-kubernetes-list-type".into(), "map".into());
                schema.insert("x-kubernetes-list-map-keys".into(), json!([key]));
                schema.insert("x-kubernetes-patch-strategy".into(), "merge".into());
                schema.insert("x-kubernetes-patch-merge-key".into(), key.into());
            }
        }
    }
}
