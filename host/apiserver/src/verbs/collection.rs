//! Deletes what a selection finds.

use http::Response;
use serde_json::Value;

use super::call::Call;
use super::delete::{self, DeleteOptions, Deleted};
use super::list::{self, Page};
use super::select::Selection;
use crate::body::Body;
use crate::render;
use crate::status::ApiError;

/// `DELETE` of a collection: each object by itself; those that vanish
/// meanwhile count as deleted.
pub(crate) async fn delete(call: &Call, body: &[u8]) -> Result<Response<Body>, ApiError> {
    let options = DeleteOptions::read(call, body)?;
    let selection = Selection::read(call)?;
    let page = list::page(call, &selection)?;
    let mut deleted: Vec<Value> = Vec::with_capacity(page.records.len());
    for record in &page.records {
        let name = record.key.rsplit('/').next().unwrap_or_default();
        let result = if call.namespace().is_some() || !call.resource.kind.namespaced {
            delete::remove(call, name, &options).await
        } else {
            return Err(ApiError::method_not_allowed());
        };
        match result {
            Ok(Deleted::Gone(object) | Deleted::Waiting(object)) => deleted.push(object),
            Err(error) if error.code() == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let page = Page {
        records: Vec::new(),
        ..page
    };
    let value = list::shaped(call, &page, deleted)?;
    Ok(render::value(200, &value, call.format))
}
