//! The CRDs, as they are installed and as they lie in `crds/`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::{
    App, Container, ContainerCreateRequest, ContainerNamespace, Image, ImagePullRequest,
    ImagePushRequest, Volume, VolumeCreateRequest,
};

/// Every CRD of this crate, sorted by name.
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
            tidy(schema);
            if let Some(status) = schema
                .properties
                .as_mut()
                .and_then(|properties| properties.get_mut("status"))
            {
                without_defaults(status);
            }
        }
    }
    crds
}

/// What the generator says and Kubernetes conventions do not: an absent field
/// is absent, never null, and a description is text, not lines of a source file.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if let Some(description) = &mut schema.description {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    for_each_child(schema, &mut tidy);
}

/// A status is what its writer wrote: the server must not fill it up.
fn without_defaults(schema: &mut JSONSchemaProps) {
    schema.default = None;
    for_each_child(schema, &mut without_defaults);
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

    fn undescribed(path: &str, schema: &JSONSchemaProps, found: &mut Vec<String>) {
        for (name, child) in schema.properties.iter().flatten() {
            let path = format!("{path}.{name}");
            if child.description.as_deref().is_none_or(str::is_empty) {
                found.push(path.clone());
            }
            undescribed(&path, child, found);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
            undescribed(&format!("{path}[]"), items, found);
        }
    }

    fn schema(crd: &CustomResourceDefinition) -> &JSONSchemaProps {
        crd.spec.versions[0]
            .schema
            .as_ref()
            .and_then(|schema| schema.open_api_v3_schema.as_ref())
            .expect("a schema")
    }

    fn find(kind: &str) -> CustomResourceDefinition {
        crds()
            .into_iter()
            .find(|crd| crd.spec.names.kind == kind)
            .expect("the kind")
    }

    #[test]
    fn every_field_is_described() {
        let mut found = Vec::new();
        for crd in crds() {
            undescribed(&crd.spec.names.kind, schema(&crd), &mut found);
        }
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn columns_and_selectable_fields_are_those_of_the_contract() {
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
            let version = find(kind).spec.versions.remove(0);
            let columns = version.additional_printer_columns.unwrap_or_default();
            let column = columns.into_iter().find(|column| column.name == name);
            column.expect("a column").json_path
        };
        // What a person knows it by, neither an ID nor a hash.
        assert_eq!(path("Container", "Image"), ".status.imageName");
        assert_eq!(path("Container", "Name"), ".status.name");
        assert_eq!(path("Volume", "Name"), ".status.name");
        assert_eq!(path("Image", "Tag"), ".status.repoTag");
    }

    #[test]
    fn a_status_is_never_filled_up_or_demanded_by_the_server() {
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
    fn mirrors_are_in_category_all_and_have_their_short_name() {
        for kind in ["Container", "Image", "Volume", "ContainerNamespace"] {
            let names = find(kind).spec.names;
            assert_eq!(names.categories, Some(vec!["all".to_owned()]), "{kind}");
        }
        let names = find("ContainerNamespace").spec.names;
        assert_eq!(names.short_names, Some(vec!["cns".to_owned()]));
    }

    #[test]
    fn an_unheard_of_state_reads_as_unknown() {
        let status: ContainerStatus =
            serde_json::from_str(r#"{"name": "a", "status": "hibernating"}"#).expect("a status");
        assert_eq!(status.status, ContainerState::Unknown);
        assert_eq!(
            serde_json::to_value(status.status).expect("a value"),
            "unknown"
        );
    }

    #[test]
    fn wire_names_are_exact() {
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
            serde_json::to_value(status).expect("a value"),
            serde_json::json!({
                "name": "", "namespace": "", "image": "", "status": "unknown",
                "pid": 0, "exitCode": 0,
                "ports": [{"name": "80/tcp", "bindings": [{"hostIP": "::1", "hostPort": "80"}]}],
            })
        );
    }
}
