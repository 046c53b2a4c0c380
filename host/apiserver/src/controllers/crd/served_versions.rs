//! The served resources of a definition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use rdd_apiserver_fieldmanager::ObjectType;
use rdd_apiserver_kinds::table::{ColumnError, TableColumns};
use rdd_apiserver_kinds::{ResourceKind, compare_versions};
use rdd_apiserver_schema::StructuralSchema;
use rdd_apiserver_schema::names::NameValidator;
use serde_json::Value;

use crate::meta;
use crate::resource::ServedResource;
use crate::scale_paths::ScalePaths;
use crate::strategy::{CustomStrategy, ResourceStrategy};
use crate::versioned_types::VersionedTypes;

/// The reason why a stored definition cannot be served. Validation refuses
/// such definitions, so this means a damaged one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DefinitionError {
    /// A version has no entry in `spec.versions`.
    #[error("version {0} is missing")]
    MissingVersion(String),
    /// A version has no type tree.
    #[error("version {0} has no types")]
    MissingTypes(String),
    /// A schema is not structural.
    #[error("{0}")]
    Schema(String),
    /// The printer columns cannot be parsed.
    #[error(transparent)]
    Columns(#[from] ColumnError),
}

/// Returns the resources of all served versions of an accepted definition.
pub(crate) fn resources(definition: &Value) -> Result<Vec<Arc<ServedResource>>, DefinitionError> {
    let versions = definition["spec"]["versions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let has_several_versions = versions.len() > 1;
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
            .ok_or_else(|| DefinitionError::MissingVersion(kind.version.clone()))?;
        let own = trees
            .iter()
            .find(|(api_version, _)| *api_version == kind.api_version())
            .map(|(_, tree)| Arc::clone(tree))
            .ok_or_else(|| DefinitionError::MissingTypes(kind.version.clone()))?;
        let custom = custom(definition, version, has_several_versions)?;
        let columns = TableColumns::from_crd_version(version)?;
        let (group, plural) = (kind.group.clone(), kind.plural.clone());
        out.push(Arc::new(ServedResource::new(
            kind,
            (&group, &plural),
            NameValidator::Subdomain,
            columns,
            VersionedTypes::with_versions(own, Arc::clone(&trees)),
            ResourceStrategy::Custom(custom),
        )));
    }
    Ok(out)
}

fn parse_schema(schema: &Value) -> Result<StructuralSchema, DefinitionError> {
    StructuralSchema::parse(schema).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        DefinitionError::Schema(texts.join(", "))
    })
}

fn custom(
    definition: &Value,
    version: &Value,
    has_several_versions: bool,
) -> Result<CustomStrategy, DefinitionError> {
    let openapi = version
        .pointer("/schema/openAPIV3Schema")
        .cloned()
        .unwrap_or_else(|| serde_json::json!({"type": "object"}));
    let schema = parse_schema(&openapi)?;
    let stored = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|other| other["storage"] == true && other["name"] != version["name"])
        .and_then(|other| other.pointer("/schema/openAPIV3Schema"))
        .map(parse_schema)
        .transpose()?;
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
                let spec = &definition["spec"];
                let group = spec["group"].as_str().unwrap_or_default();
                let kind = spec["names"]["kind"].as_str().unwrap_or_default();
                let name = version["name"].as_str().unwrap_or_default();
                let remedy = replacement(spec, name)
                    .map(|newer| format!("; use {group}/{newer} {kind}"))
                    .unwrap_or_default();
                format!("{group}/{name} {kind} is deprecated{remedy}")
            },
            str::to_owned,
        )
    });
    Ok(CustomStrategy {
        schema,
        storage_schema: stored,
        openapi_schema: Arc::new(openapi),
        status: version
            .pointer("/subresources/status")
            .is_some_and(Value::is_object),
        scale: version
            .pointer("/subresources/scale")
            .and_then(ScalePaths::from_definition),
        selectable_fields: selectable,
        terminating: AtomicBool::new(meta::is_terminating(definition)),
        // A definition of a dry run has no revision.
        definition_revision: AtomicU64::new(
            meta::text(definition, "resourceVersion")
                .parse()
                .unwrap_or_default(),
        ),
        normalize_on_read: has_several_versions || meta::generation(definition) > 1,
        deprecation_warning: warning,
    })
}

/// Returns the latest version that is served, not deprecated, and later than `deprecated`.
fn replacement<'v>(spec: &'v Value, deprecated: &str) -> Option<&'v str> {
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions
        .filter(|version| version["served"] == true && version["deprecated"] != true)
        .filter_map(|version| version["name"].as_str())
        .min_by(|a, b| compare_versions(a, b))
        .filter(|newest| compare_versions(newest, deprecated).is_lt())
}
