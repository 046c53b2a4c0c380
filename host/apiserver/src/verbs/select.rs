//! Selectors of a collection request.

use serde_json::Value;

use super::call::Call;
use crate::resource::ServedResource;
use crate::selectors::field::FieldSelector;
use crate::selectors::label::LabelSelector;
use crate::status::ApiError;

/// What a collection is narrowed down to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    pub(crate) fn read(call: &Call) -> Result<Self, ApiError> {
        let labels = LabelSelector::parse(call.query.raw("labelSelector").unwrap_or_default())
            .map_err(ApiError::bad_request)?;
        let fields = FieldSelector::parse(call.query.raw("fieldSelector").unwrap_or_default())
            .map_err(ApiError::bad_request)?;
        for field in fields.fields() {
            if !call.resource.is_selectable(field) {
                let text = if call.resource.is_builtin() {
                    format!(
                        "Unable to find {:?} that match label selector \"\", field selector \"{field}\": field label not supported: {field}",
                        call.resource.kind.plural
                    )
                } else {
                    format!("field label not supported: {field}")
                };
                return Err(ApiError::bad_request(text));
            }
        }
        Ok(Self { labels, fields })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The only name that can match, if the selection says so and says no
    /// more.
    pub(crate) fn name(&self) -> Option<&str> {
        self.fields.name()
    }

    pub(crate) fn matches(&self, resource: &ServedResource, object: &Value) -> bool {
        self.labels.matches(object)
            && self
                .fields
                .matches(|field| resource.field_value(object, field))
    }
}
