//! `DELETE` of a collection.

use http::Response;
use serde_json::Value;

use super::delete::{self, DeleteOptions};
use super::list::{self, ListPage};
use super::predicate::SelectionPredicate;
use crate::admission::AdmissionOperation;
use crate::body::ResponseBody;
use crate::meta;
use crate::render;
use crate::request_context::RequestContext;
use crate::status::ApiError;

/// Number of objects decoded for admission before the task yields.
const YIELD_EVERY: usize = 100;

/// `DELETE` of a collection: deletes the matching objects one by one. Objects
/// that are gone by then are skipped.
pub(crate) async fn delete_collection(
    ctx: &RequestContext,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let options = DeleteOptions::from_request(ctx, body)?;
    let predicate = SelectionPredicate::from_query(ctx)?;
    let page = list::select_page(ctx, &predicate)?;
    // All or nothing: a policy that refuses one object refuses the collection.
    let operation = AdmissionOperation::Delete;
    let request = ctx.admission_request(operation, "", None, None, options.dry_run);
    ctx.check_admission(&request)?;
    let has_policies = !ctx.server.admission.is_empty();
    for (index, record) in page.records.iter().filter(|_| has_policies).enumerate() {
        if index % YIELD_EVERY == YIELD_EVERY - 1 {
            tokio::task::yield_now().await;
        }
        let object = ctx.load(record)?;
        let name = meta::text(&object, "name");
        let request = ctx.admission_request(operation, name, None, Some(&object), options.dry_run);
        ctx.check_admission(&request)?;
    }
    let mut deleted: Vec<Value> = Vec::with_capacity(page.records.len());
    for record in &page.records {
        let name = record.key.rsplit('/').next().unwrap_or_default();
        let result = if ctx.namespace().is_some() || !ctx.resource.kind.namespaced {
            delete::delete_object(ctx, name, &options).await
        } else {
            return Err(ApiError::method_not_allowed());
        };
        match result {
            // As it was listed.
            Ok(_) => deleted.push(ctx.load(record)?),
            Err(error) if error.code() == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let page = ListPage {
        records: Vec::new(),
        ..page
    };
    let value = list::list_value(ctx, &page, deleted)?;
    Ok(render::value(200, &value, ctx.format))
}
