//! A rule as its author wrote it.

/// One entry of `x-kubernetes-validations`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ValidationRule<'a> {
    pub(crate) rule: &'a str,
    pub(crate) message: &'a str,
    pub(crate) message_expression: &'a str,
    pub(crate) reason: Option<&'a str>,
    pub(crate) field_path: &'a str,
    pub(crate) optional_old_self: Option<bool>,
}
