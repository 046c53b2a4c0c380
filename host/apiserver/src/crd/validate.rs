//! What makes a definition acceptable.

use rdd_apiserver_schema::Schema;
use serde_json::Value;

use crate::status::Cause;

/// What is wrong with a definition.
pub(crate) fn definition(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    let plural = spec["names"]["plural"].as_str().unwrap_or_default();
    let group = spec["group"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let wanted = format!("{plural}.{group}");
    if name != wanted {
        causes.push(Cause::invalid("metadata.name", &name.into(), "must be spec.names.plural+\".\"+spec.group"));
    }
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    if versions.iter().filter(|v| v["storage"] == true).count() != 1 {
        causes.push(Cause::invalid("spec.versions", &spec["versions"], "must have exactly one version marked as storage version"));
    }
    for (index, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        match version.pointer("/schema/openAPIV3Schema") {
            Some(schema) => {
                if let Err(errors) = Schema::parse_at(&path, schema) {
                    causes.extend(errors.into_iter().map(|error| {
                        Cause::new(error.kind.reason(), error.field.clone(), error.message())
                    }));
                }
            }
            None => causes.push(Cause::required(path, "schemas are required")),
        }
    }
    causes
}
