//! Deletes what a selection finds.

use http::Response;
use serde_json::Value;

use super::context::RequestContext;
use super::delete::{self, DeleteOptions, DeleteOutcome};
use super::list::{self, ListPage};
use super::predicate::SelectionPredicate;
use crate::admission::AdmissionOperation;
use crate::body::ResponseBody;
use crate::meta;
use crate::render;
use crate::status::ApiError;

/// Objects that are read for the policies before others have their turn.
const YIELD_EVERY: usize = 100;

/// `DELETE` of a collection: each object by itself; those that vanish
/// meanwhile count as deleted.
pub(crate) async fn delete_collection(
    call: &RequestContext,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let options = DeleteOptions::from_request(call, body)?;
    let selection = SelectionPredicate::from_query(call)?;
    let page = list::select_page(call, &selection)?;
    // All or nothing: a policy that keeps one object keeps the others too.
    call.check_admission(AdmissionOperation::Delete, "", None, None, options.dry_run)?;
    let asked = !call.server.admission.is_empty();
    for (index, record) in page.records.iter().filter(|_| asked).enumerate() {
        if index % YIELD_EVERY == YIELD_EVERY - 1 {
            tokio::task::yield_now().await;
        }
        let object = call.load(record)?;
        let name = meta::text(&object, "name");
        call.check_admission(
            AdmissionOperation::Delete,
            name,
            None,
            Some(&object),
            options.dry_run,
        )?;
    }
    let mut deleted: Vec<Value> = Vec::with_capacity(page.records.len());
    for record in &page.records {
        let name = record.key.rsplit('/').next().unwrap_or_default();
        let result = if call.namespace().is_some() || !call.resource.kind.namespaced {
            delete::delete_object(call, name, &options).await
        } else {
            return Err(ApiError::method_not_allowed());
        };
        match result {
            Ok(DeleteOutcome::Removed(object) | DeleteOutcome::Terminating(object)) => {
                deleted.push(object)
            }
            Err(error) if error.code() == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let page = ListPage {
        records: Vec::new(),
        ..page
    };
    let value = list::list_value(call, &page, deleted)?;
    Ok(render::value(200, &value, call.format))
}
