//! The paths of one kind, and their operations.

use serde_json::{Map, Value, json};

use super::custom::reference;
use super::{list_name, parameters};
use crate::kind::{KindOrigin, ResourceKind};
use crate::schemas::{DELETE_OPTIONS, PATCH, SCALE, STATUS};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const APPLY: &str = "application/apply-patch+yaml";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";

/// One operation before it is converted to JSON.
struct OperationSpec<'a> {
    method: &'static str,
    /// `x-kubernetes-action`.
    action: &'static str,
    /// The name of the schema of a successful response.
    response_schema: &'a str,
    /// The status codes of successful responses. 401 is added to them.
    statuses: &'static [&'static str],
    parameters: Vec<Value>,
    body: Option<Value>,
}

/// Returns all paths of a kind whose schema is `name`.
pub(super) fn paths_of_kind(kind: &ResourceKind, name: &str) -> Vec<(String, Value)> {
    let root = kind.root_path();
    let plural = &kind.plural;
    let collection = if kind.namespaced {
        format!("{root}/namespaces/{{namespace}}/{plural}")
    } else {
        format!("{root}/{plural}")
    };
    let item = format!("{collection}/{{name}}");
    let list = list_name(name);
    let mut found = Vec::new();
    if kind.namespaced && kind.has_verb("list") {
        let all_namespaces = format!("{root}/{plural}");
        found.push((
            all_namespaces.clone(),
            path_item(
                kind,
                &all_namespaces,
                "ForAllNamespaces",
                vec![list_operation(&list)],
            ),
        ));
    }
    found.push((
        collection.clone(),
        path_item(
            kind,
            &collection,
            "",
            collection_operations(kind, name, &list),
        ),
    ));
    found.push((
        item.clone(),
        path_item(kind, &item, "", item_operations(kind, name, &kind.verbs)),
    ));
    for subresource in &kind.subresources {
        let path = format!("{item}/{}", subresource.name);
        let response_schema = if subresource.kind == "Scale" {
            SCALE
        } else {
            name
        };
        let operations = item_operations(kind, response_schema, &subresource.verbs);
        let suffix = capitalize(&subresource.name);
        found.push((path.clone(), path_item(kind, &path, &suffix, operations)));
    }
    found
}

fn list_operation(list: &str) -> OperationSpec<'_> {
    OperationSpec {
        method: "get",
        action: "list",
        response_schema: list,
        statuses: &["200"],
        parameters: parameters::to_json(parameters::LIST),
        body: None,
    }
}

fn collection_operations<'a>(
    kind: &ResourceKind,
    name: &'a str,
    list: &'a str,
) -> Vec<OperationSpec<'a>> {
    let mut operations = Vec::new();
    if kind.has_verb("list") {
        operations.push(list_operation(list));
    }
    if kind.has_verb("create") {
        operations.push(OperationSpec {
            method: "post",
            action: "post",
            response_schema: name,
            statuses: &["200", "201", "202"],
            parameters: parameters::to_json(parameters::WRITE),
            body: Some(body(&[JSON, YAML], name, true)),
        });
    }
    if kind.has_verb("deletecollection") {
        operations.push(OperationSpec {
            method: "delete",
            action: "deletecollection",
            response_schema: STATUS,
            statuses: &["200"],
            parameters: parameters::to_json(parameters::LIST),
            body: None,
        });
    }
    operations
}

fn item_operations<'a>(
    kind: &ResourceKind,
    name: &'a str,
    verbs: &[&str],
) -> Vec<OperationSpec<'a>> {
    let mut operations = Vec::new();
    if verbs.contains(&"get") {
        operations.push(OperationSpec {
            method: "get",
            action: "get",
            response_schema: name,
            statuses: &["200"],
            parameters: parameters::to_json(parameters::GET),
            body: None,
        });
    }
    if verbs.contains(&"update") {
        operations.push(OperationSpec {
            method: "put",
            action: "put",
            response_schema: name,
            statuses: &["200", "201"],
            parameters: parameters::to_json(parameters::WRITE),
            body: Some(body(&[JSON, YAML], name, true)),
        });
    }
    if verbs.contains(&"delete") {
        operations.push(OperationSpec {
            method: "delete",
            action: "delete",
            response_schema: STATUS,
            statuses: &["200", "202"],
            parameters: parameters::to_json(parameters::DELETE),
            body: Some(body(&[JSON, YAML], DELETE_OPTIONS, false)),
        });
    }
    if verbs.contains(&"patch") {
        // Strategic merge patches need merge keys, which custom resources do
        // not have.
        let (media, statuses): (&[&str], &'static [&'static str]) = match kind.origin {
            KindOrigin::Builtin => (
                &[APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH],
                &["200", "201"],
            ),
            KindOrigin::Crd => (&[APPLY, JSON_PATCH, MERGE_PATCH], &["200"]),
        };
        operations.push(OperationSpec {
            method: "patch",
            action: "patch",
            response_schema: name,
            statuses,
            parameters: parameters::to_json(parameters::PATCH),
            body: Some(body(media, PATCH, true)),
        });
    }
    operations
}

fn content(media: &[&str], schema: &str) -> Value {
    let content: Map<String, Value> = media
        .iter()
        .map(|media| ((*media).to_owned(), json!({"schema": reference(schema)})))
        .collect();
    Value::Object(content)
}

fn body(media: &[&str], schema: &str, required: bool) -> Value {
    let mut body = json!({"content": content(media, schema)});
    if let (true, Some(body)) = (required, body.as_object_mut()) {
        body.insert("required".into(), true.into());
    }
    body
}

/// Returns the path item of one path. Parameters that all operations share are
/// listed once, in the path item.
fn path_item(
    kind: &ResourceKind,
    path: &str,
    suffix: &str,
    operations: Vec<OperationSpec<'_>>,
) -> Value {
    let shared: Vec<Value> = operations
        .first()
        .map(|first| {
            let is_shared = |p: &&Value| operations.iter().all(|o| o.parameters.contains(p));
            first.parameters.iter().filter(is_shared).cloned().collect()
        })
        .unwrap_or_default();
    let mut item = Map::new();
    for operation in operations {
        let method = operation.method;
        item.insert(
            method.into(),
            operation_to_json(kind, suffix, operation, &shared),
        );
    }
    let mut common = parameters::path_parameters(path, &kind.kind);
    common.extend(shared);
    item.insert("parameters".into(), Value::Array(common));
    Value::Object(item)
}

fn operation_to_json(
    kind: &ResourceKind,
    suffix: &str,
    operation: OperationSpec<'_>,
    shared: &[Value],
) -> Value {
    let OperationSpec {
        method: _,
        action,
        response_schema,
        statuses,
        parameters,
        body,
    } = operation;
    let mut responses: Map<String, Value> = statuses
        .iter()
        .map(|status| {
            let description = match *status {
                "201" => "Created",
                "202" => "Accepted",
                _ => "OK",
            };
            (
                (*status).to_owned(),
                json!({"description": description, "content": content(&[JSON, YAML], response_schema)}),
            )
        })
        .collect();
    responses.insert("401".into(), json!({"description": "Unauthorized"}));
    let remaining: Vec<Value> = parameters
        .into_iter()
        .filter(|p| !shared.contains(p))
        .collect();
    let mut object = json!({
        "operationId": operation_id(kind, action, suffix),
        "tags": [format!("{}_{}", group_word(kind), kind.version)],
        "responses": responses,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    });
    if let Some(object) = object.as_object_mut() {
        if !remaining.is_empty() {
            object.insert("parameters".into(), Value::Array(remaining));
        }
        if let Some(body) = body {
            object.insert("requestBody".into(), body);
        }
    }
    object
}

/// Returns a name that is unique among all operations of the server, such as
/// `replaceCoreV1NamespacedConfigMap`.
fn operation_id(kind: &ResourceKind, action: &str, suffix: &str) -> String {
    let (verb, collection) = match action {
        "list" => ("list", ""),
        "post" => ("create", ""),
        "deletecollection" => ("delete", "Collection"),
        "get" => ("read", ""),
        "put" => ("replace", ""),
        other => (other, ""),
    };
    let scope = if kind.namespaced && suffix != "ForAllNamespaces" {
        "Namespaced"
    } else {
        ""
    };
    let group = capitalize(&group_word(kind));
    let version = capitalize(&kind.version);
    format!(
        "{verb}{group}{version}{collection}{scope}{}{suffix}",
        kind.kind
    )
}

/// Returns a group as one word: `core`, `coordination`, `comExample`.
fn group_word(kind: &ResourceKind) -> String {
    let parts: Vec<&str> = match (kind.origin, kind.group.as_str()) {
        (_, "") => vec!["core"],
        (KindOrigin::Builtin, group) => group.split('.').take(1).collect(),
        (KindOrigin::Crd, group) => group.rsplit('.').collect(),
    };
    let words = parts.iter().flat_map(|part| part.split('-'));
    words
        .enumerate()
        .map(|(i, word)| {
            if i == 0 {
                word.into()
            } else {
                capitalize(word)
            }
        })
        .collect()
}

fn capitalize(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
