//! Generates the CRDs that the daemon installs and that `crds/` contains.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::{
    App, Container, ContainerCreateRequest, ContainerNamespace, Image, ImagePullRequest,
    ImagePushRequest, Volume, VolumeCreateRequest,
};

/// Returns every CRD of this crate, sorted by name.
///
/// ```
/// let crds = rdd_api::crds();
/// assert!(crds.iter().any(|crd| {
///     crd.metadata.name.as_deref() == Some("containers.containers.rancherdesktop.io")
/// }));
/// ```
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![
        App::crd(),
        Container::crd(),
        ContainerCreateRequest::crd(),
        ContainerNamespace::crd(),
        Image::crd(),
        ImagePullRequest::crd(),
        ImagePushRequest::crd(),
        Volume::crd(),
        VolumeCreateRequest::crd(),
    ];
    crds.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    for crd in &mut crds {
        for version in &mut crd.spec.versions {
            let Some(schema) = version
                .schema
                .as_mut()
                .and_then(|schema| schema.open_api_v3_schema.as_mut())
            else {
                continue;
            };
            normalize(schema);
            if let Some(status) = schema
                .properties
                .as_mut()
                .and_then(|properties| properties.get_mut("status"))
            {
                strip_defaults(status);
            }
        }
    }
    crds
}

/// Removes what the generator adds contrary to Kubernetes conventions: optional
/// fields are absent instead of null, and descriptions have no line breaks.
fn normalize(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if let Some(description) = &mut schema.description {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    for_each_child(schema, &mut normalize);
}

/// Removes all defaults: the server must not add fields to a status.
fn strip_defaults(schema: &mut JSONSchemaProps) {
    schema.default = None;
    for_each_child(schema, &mut strip_defaults);
}

fn for_each_child(schema: &mut JSONSchemaProps, f: &mut dyn FnMut(&mut JSONSchemaProps)) {
    for child in schema
        .properties
        .iter_mut()
        .flat_map(|map| map.values_mut())
    {
        f(child);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(child)) = &mut schema.additional_properties {
        f(child);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(child)) = &mut schema.items {
        f(child);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::*;

    fn collect_undescribed(path: &str, schema: &JSONSchemaProps, found: &mut Vec<String>) {
        for (name, child) in schema.properties.iter().flatten() {
            let path = format!("{path}.{name}");
            if child.description.as_deref().is_none_or(str::is_empty) {
                found.push(path.clone());
            }
            collect_undescribed(&path, child, found);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            collect_undescribed(&format!("{path}[]"), items, found);
        }
    }

    fn schema(crd: &CustomResourceDefinition) -> &JSONSchemaProps {
        crd.spec.versions[0]
            .schema
            .as_ref()
            .and_then(|schema| schema.open_api_v3_schema.as_ref())
            .expect("the CRD has no schema")
    }

    fn crd_of(kind: &str) -> CustomResourceDefinition {
        crds()
            .into_iter()
            .find(|crd| crd.spec.names.kind == kind)
            .expect("no CRD of this kind")
    }

    #[test]
    fn every_field_has_a_description() {
        let mut found = Vec::new();
        for crd in crds() {
            collect_undescribed(&crd.spec.names.kind, schema(&crd), &mut found);
        }
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn printer_columns_and_selectable_fields_match_the_contract() {
        let table = [
            ("App", "Engine,Running,Ready,Reason,Age", ""),
            (
                "Container",
                "Name,Image,Status,Running,Age",
                ".status.namespace,.status.name",
            ),
            (
                "ContainerCreateRequest",
                "Complete,Failed,Age",
                ".spec.namespace",
            ),
            ("ContainerNamespace", "", ""),
            (
                "Image",
                "Tag,Created,Size",
                ".status.namespace,.status.id,.status.repoTag",
            ),
            ("ImagePullRequest", "Complete,Failed,Age", ".spec.namespace"),
            ("ImagePushRequest", "Complete,Failed,Age", ""),
            ("Volume", "Name,Driver", ".status.namespace,.status.name"),
            (
                "VolumeCreateRequest",
                "Complete,Failed,Age",
                ".spec.namespace",
            ),
        ];
        let found: BTreeSet<_> = crds()
            .into_iter()
            .map(|crd| {
                let version = crd.spec.versions[0].clone();
                let columns = version.additional_printer_columns.unwrap_or_default();
                let columns: Vec<_> = columns.into_iter().map(|column| column.name).collect();
                let fields = version.selectable_fields.unwrap_or_default();
                let fields: Vec<_> = fields.into_iter().map(|field| field.json_path).collect();
                (crd.spec.names.kind, columns.join(","), fields.join(","))
            })
            .collect();
        let wanted = table.map(|(kind, columns, fields)| {
            (kind.to_owned(), columns.to_owned(), fields.to_owned())
        });
        assert_eq!(found, BTreeSet::from(wanted));
        let path = |kind, name: &str| {
            let version = crd_of(kind).spec.versions.remove(0);
            let columns = version.additional_printer_columns.unwrap_or_default();
            let column = columns.into_iter().find(|column| column.name == name);
            column.expect("no column of this name").json_path
        };
        // Columns show names that people recognize, neither IDs nor hashes.
        assert_eq!(path("Container", "Image"), ".status.imageName");
        assert_eq!(path("Container", "Name"), ".status.name");
        assert_eq!(path("Volume", "Name"), ".status.name");
        assert_eq!(path("Image", "Tag"), ".status.repoTag");
    }

    #[test]
    fn a_status_has_no_defaults_and_no_required_fields() {
        fn defaults(schema: &JSONSchemaProps) -> usize {
            let children = schema.properties.iter().flatten().map(|(_, child)| child);
            usize::from(schema.default.is_some()) + children.map(defaults).sum::<usize>()
        }
        for crd in crds() {
            if let Some(status) = schema(&crd)
                .properties
                .as_ref()
                .and_then(|p| p.get("status"))
            {
                assert_eq!(defaults(status), 0, "{}", crd.spec.names.kind);
                assert_eq!(status.required, None, "{}", crd.spec.names.kind);
            }
        }
    }

    #[test]
    fn mirrored_kinds_are_in_category_all_and_namespaces_have_a_short_name() {
        for kind in ["Container", "Image", "Volume", "ContainerNamespace"] {
            let names = crd_of(kind).spec.names;
            assert_eq!(names.categories, Some(vec!["all".to_owned()]), "{kind}");
        }
        let names = crd_of("ContainerNamespace").spec.names;
        assert_eq!(names.short_names, Some(vec!["cns".to_owned()]));
    }

    #[test]
    fn an_unknown_state_is_parsed_as_unknown() {
        let status: ContainerStatus =
            serde_json::from_str(r#"{"name": "a", "status": "hibernating"}"#)
                .expect("the status must parse");
        assert_eq!(status.status, ContainerState::Unknown);
        assert_eq!(
            serde_json::to_value(status.status).expect("the value must serialize"),
            "unknown"
        );
    }

    #[test]
    fn field_names_match_the_contract() {
        let binding = HostBinding {
            host_ip: "::1".to_owned(),
            host_port: "80".to_owned(),
        };
        let status = ContainerStatus {
            ports: vec![ContainerPort {
                name: "80/tcp".to_owned(),
                bindings: vec![binding],
            }],
            ..ContainerStatus::default()
        };
        assert_eq!(
            serde_json::to_value(status).expect("the value must serialize"),
            serde_json::json!({
                "name": "", "namespace": "", "image": "", "status": "unknown",
                "pid": 0, "exitCode": 0,
                "ports": [{"name": "80/tcp", "bindings": [{"hostIP": "::1", "hostPort": "80"}]}],
            })
        );
    }
}
