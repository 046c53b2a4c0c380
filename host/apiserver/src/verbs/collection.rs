//! Deletes what a selection finds.

use http::Response;
use serde_json::Value;

use super::call::Call;
use super::delete::{self, DeleteOptions, Deleted};
use super::list::{self, Page};
use super::select::Selection;
use crate::admission::AdmissionOperation;
use crate::body::ResponseBody;
use crate::meta;
use crate::render;
use crate::status::ApiError;

/// Objects that are read for the policies before others have their turn.
const TURN: usize = 100;

/// `DELETE` of a collection: each object by itself; those that vanish
/// meanwhile count as deleted.
pub(crate) async fn delete(call: &Call, body: &[u8]) -> Result<Response<ResponseBody>, ApiError> {
    let options = DeleteOptions::read(call, body)?;
    let selection = Selection::read(call)?;
    let page = list::page(call, &selection)?;
    // All or nothing: a policy that keeps one object keeps the others too.
    call.admit(AdmissionOperation::Delete, "", None, None, options.dry_run)?;
    let asked = !call.server.admission.is_empty();
    for (index, record) in page.records.iter().filter(|_| asked).enumerate() {
        if index % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        let object = call.load(record)?;
        let name = meta::text(&object, "name");
        call.admit(
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
