//! The columns of bindings of roles.

use jiff::Timestamp;
use serde_json::Value;

use super::builtin_columns::{age_column, described_column};
use super::column::PrinterColumn;

/// Returns the columns of a kind of binding, which its descriptions call `name`.
pub(super) fn binding_columns(schema: &str, name: &str) -> Vec<PrinterColumn> {
    let subjects = |title: &str, cell: fn(&Value, Timestamp) -> Value| {
        let description = format!("{title} in the {name}");
        PrinterColumn::computed(title, "string", "", 1, &description, cell)
    };
    vec![
        PrinterColumn::name(),
        described_column(schema, "roleRef", "Role", 0, |object, _| {
            let text = |field: &str| object["roleRef"][field].as_str().unwrap_or_default();
            format!("{}/{}", text("kind"), text("name")).into()
        }),
        age_column(),
        subjects("Users", |object, _| subjects_cell(object, "User")),
        subjects("Groups", |object, _| subjects_cell(object, "Group")),
        subjects("ServiceAccounts", |object, _| {
            subjects_cell(object, "ServiceAccount")
        }),
    ]
}

/// Returns the names of the subjects of one kind.
fn subjects_cell(binding: &Value, kind: &str) -> Value {
    let subjects = binding["subjects"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let names: Vec<String> = subjects
        .iter()
        .filter(|subject| subject["kind"] == kind)
        .map(|subject| {
            let text = |field: &str| subject[field].as_str().unwrap_or_default();
            match kind {
                "ServiceAccount" => format!("{}/{}", text("namespace"), text("name")),
                _ => text("name").to_owned(),
            }
        })
        .collect();
    names.join(", ").into()
}
