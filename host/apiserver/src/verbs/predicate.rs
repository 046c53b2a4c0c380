//! The selectors of a request for a collection.

use serde_json::Value;

use crate::request_context::RequestContext;
use crate::resource::ServedResource;
use crate::selectors::field::FieldSelector;
use crate::selectors::label::LabelSelector;
use crate::status::ApiError;

/// The label and field selectors that an object must match.
#[derive(Debug, Clone, Default)]
pub(crate) struct SelectionPredicate {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl SelectionPredicate {
    /// Parses `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    /// 400 for an invalid selector, or for a field that is not selectable.
    pub(crate) fn from_query(ctx: &RequestContext) -> Result<Self, ApiError> {
        let labels = LabelSelector::parse(ctx.query.raw("labelSelector").unwrap_or_default())
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let fields = FieldSelector::parse(ctx.query.raw("fieldSelector").unwrap_or_default())
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        for field in fields.fields() {
            if !ctx.resource.is_selectable(field) {
                let message = ctx.resource.strategy().unknown_field_message(field);
                return Err(ApiError::bad_request(message));
            }
        }
        Ok(Self { labels, fields })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The only name that can match, if a field selector requires one.
    pub(crate) fn single_name(&self) -> Option<&str> {
        self.fields.name()
    }

    pub(crate) fn matches(&self, resource: &ServedResource, object: &Value) -> bool {
        self.labels.matches(object)
            && self
                .fields
                .matches(|field| resource.strategy().field_value(object, field))
    }
}
