//! Checks that a structural schema is complete: value validation refers to declared fields only.

use super::props::SchemaProps;
use crate::error::FieldError;
use crate::path::PathRef;

/// Checks that the structure declares every field that value validation refers to.
pub(super) fn check(
    validation: &SchemaProps<'_>,
    structure: &SchemaProps<'_>,
    structure_path: &PathRef<'_>,
    path: &PathRef<'_>,
    errors: &mut Vec<FieldError>,
) {
    if let Some(not) = &validation.not {
        check_nested(not, structure, structure_path, &path.field("not"), errors);
    }
    for (keyword, schemas) in [
        ("allOf", &validation.all_of),
        ("anyOf", &validation.any_of),
        ("oneOf", &validation.one_of),
    ] {
        let path = path.field(keyword);
        for (index, schema) in schemas.iter().enumerate() {
            check_nested(
                schema,
                structure,
                structure_path,
                &path.index(index),
                errors,
            );
        }
    }
}

fn check_nested(
    validation: &SchemaProps<'_>,
    structure: &SchemaProps<'_>,
    structure_path: &PathRef<'_>,
    path: &PathRef<'_>,
    errors: &mut Vec<FieldError>,
) {
    check(validation, structure, structure_path, path, errors);
    if let Some(item) = validation.item() {
        let (structure_path, path) = (structure_path.field("items"), path.field("items"));
        match structure.item() {
            Some(structure) => check_nested(item, structure, &structure_path, &path, errors),
            None => errors.push(FieldError::required(
                structure_path,
                format!("because it is defined in {path}"),
            )),
        }
    }
    let (structure_path, path) = (structure_path.field("properties"), path.field("properties"));
    for (name, property) in &validation.properties {
        let (structure_path, path) = (structure_path.key(name), path.key(name));
        match structure.properties.get(name) {
            Some(structure) => check_nested(property, structure, &structure_path, &path, errors),
            None => errors.push(FieldError::required(
                structure_path,
                format!("because it is defined in {path}"),
            )),
        }
    }
}
