//! From a definition to the resources that it stands for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use rdd_apiserver_fieldmanager::ObjectType;
use rdd_apiserver_kinds::ResourceKind;
use rdd_apiserver_kinds::table::TableColumns;
use rdd_apiserver_schema::StructuralSchema;
use rdd_apiserver_schema::names::NameRule;
use serde_json::Value;

use crate::managed::Types;
use crate::meta;
use crate::resource::{Custom, Resource, Source};
use crate::scale::ScalePaths;

/// The served versions of an accepted definition.
///
/// # Errors
/// A definition that validation would not have let in: the sentence says why.
pub(crate) fn resources(definition: &Value) -> Result<Vec<Arc<Resource>>, String> {
    let versions = definition["spec"]["versions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let several = versions.len() > 1;
    let mut trees = Vec::new();
    for version in versions.iter().filter(|v| v["served"] == true) {
        let schema = version
            .pointer("/schema/openAPIV3Schema")
            .unwrap_or(&Value::Null);
        let group = definition["spec"]["group"].as_str().unwrap_or_default();
        let name = version["name"].as_str().unwrap_or_default();
        trees.push((
            rdd_apiserver_kinds::api_version(group, name),
            Arc::new(ObjectType::from_openapi(schema)),
        ));
    }
    let trees: Arc<[(String, Arc<ObjectType>)]> = trees.into();
    let mut out = Vec::new();
    for kind in ResourceKind::from_crd(definition) {
        let version = versions
            .iter()
            .find(|v| v["name"] == kind.version.as_str())
            .ok_or_else(|| format!("version {} is missing", kind.version))?;
        let own = trees
            .iter()
            .find(|(api_version, _)| *api_version == kind.api_version())
            .map(|(_, tree)| Arc::clone(tree))
            .ok_or_else(|| format!("version {} has no types", kind.version))?;
        let custom = custom(definition, version, several)?;
        let columns = TableColumns::from_crd_version(version).map_err(|error| error.to_string())?;
        let (group, plural) = (kind.group.clone(), kind.plural.clone());
        out.push(Arc::new(Resource::new(
            kind,
            (&group, &plural),
            NameRule::Subdomain,
            columns,
            Types::among(own, Arc::clone(&trees)),
            Source::Custom(custom),
        )));
    }
    Ok(out)
}

fn custom(definition: &Value, version: &Value, several: bool) -> Result<Custom, String> {
    let openapi = version
        .pointer("/schema/openAPIV3Schema")
        .cloned()
        .unwrap_or_else(|| serde_json::json!({"type": "object"}));
    let schema = StructuralSchema::parse(&openapi).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.join(", ")
    })?;
    let stored = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|other| other["storage"] == true && other["name"] != version["name"])
        .and_then(|other| other.pointer("/schema/openAPIV3Schema"))
        .map(StructuralSchema::parse)
        .transpose()
        .map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            texts.join(", ")
        })?;
    let selectable = version["selectableFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|field| field["jsonPath"].as_str())
        .map(|path| path.trim_start_matches('.').to_owned())
        .collect();
    let warning = (version["deprecated"] == true).then(|| {
        version["deprecationWarning"].as_str().map_or_else(
            || {
                format!(
                    "{}/{} {} is deprecated",
                    definition["spec"]["group"].as_str().unwrap_or_default(),
                    version["name"].as_str().unwrap_or_default(),
                    definition["spec"]["names"]["kind"]
                        .as_str()
                        .unwrap_or_default()
                )
            },
            str::to_owned,
        )
    });
    Ok(Custom {
        schema,
        stored,
        openapi: Arc::new(openapi),
        status: version
            .pointer("/subresources/status")
            .is_some_and(Value::is_object),
        scale: version
            .pointer("/subresources/scale")
            .and_then(ScalePaths::read),
        selectable,
        terminating: AtomicBool::new(meta::terminating(definition)),
        // A definition that is only tried out has none.
        definition: AtomicU64::new(
            meta::text(definition, "resourceVersion")
                .parse()
                .unwrap_or_default(),
        ),
        mend: several || meta::generation(definition) > 1,
        warning,
    })
}
