//! `POST`: creates one object.

use rdd_apiserver_storage::{CommitError, RecordChange, WritePrecondition};
use serde_json::Value;

use super::create_guards::{create_guards, wait_for_all_definitions};
use super::handler_response::{HandlerResponse, ResponsePayload};
use super::managed_fields;
use super::request_object::{self, RequestObject};
use super::write_options::WriteOptions;
use crate::admission::AdmissionOperation;
use crate::meta;
use crate::request_context::{OPTIMISTIC_LOCK_MESSAGE, RequestContext};
use crate::status::{ApiError, StatusCause};
use crate::timestamp;

/// The maximum number of commits for one create. One fails if the generated name
/// is taken, which five random characters make a matter of one in millions, or
/// if the namespace or the definition changed, which is rare.
const MAX_ATTEMPTS: usize = 8;

/// `POST` of a collection.
///
/// # Errors
/// 400 for a body that cannot be decoded, 403 for a refused write, 409 for a
/// name that is taken, 422 for an invalid object.
pub(crate) async fn create(ctx: &RequestContext, body: &[u8]) -> Result<HandlerResponse, ApiError> {
    let options = WriteOptions::parse(ctx, "CreateOptions", false)?;
    let RequestObject {
        mut object,
        strict_errors,
    } = request_object::decode_body(ctx, body)?;
    request_object::handle_strict_errors(ctx, options.validation, strict_errors)?;
    request_object::ensure_namespace(ctx, &mut object)?;
    if !meta::text(&object, "resourceVersion").is_empty() {
        return Err(ApiError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    create_object(ctx, object, &options, &ManagedFieldsPolicy::Update).await
}

/// Who sets the managed fields of a new object.
pub(crate) enum ManagedFieldsPolicy {
    /// The create does: its manager owns every field that is set.
    Update,
    /// The apply that made the object has done it.
    Applied,
}

/// Sets the fields that the server owns, and stores a new object.
///
/// # Errors
/// See [`create`]; 503 if the attempts are used up.
pub(crate) async fn create_object(
    ctx: &RequestContext,
    mut object: Value,
    options: &WriteOptions,
    managed_fields_policy: &ManagedFieldsPolicy,
) -> Result<HandlerResponse, ApiError> {
    let prefix = meta::text(&object, "generateName").to_owned();
    let is_generated = meta::text(&object, "name").is_empty() && !prefix.is_empty();
    if is_generated {
        meta::set(&mut object, "name", &meta::generate_name(&prefix));
    }
    let now = ctx.server.clock.now();
    prepare_for_create(ctx, &mut object, &timestamp::rfc3339_seconds(now));
    if matches!(managed_fields_policy, ManagedFieldsPolicy::Update) {
        object = managed_fields::update(ctx, None, object, &options.manager, now)?;
    }
    ctx.resource.strategy().add_unowned_fields(&mut object);
    let name = meta::text(&object, "name").to_owned();
    let mut guards = create_guards(ctx, &name)?;
    let operation = AdmissionOperation::Create;
    let request = ctx.admission_request(operation, &name, Some(&object), None, options.dry_run);
    ctx.check_admission(&request)?;
    request_object::check_limits(&object)?;
    let causes = request_object::validate(ctx, &object, None);
    if !causes.is_empty() {
        return Err(invalid_object(ctx, &object, causes));
    }
    request_object::warn_about(ctx, &object);
    ctx.check_policies(&request).await?;
    ctx.resource.strategy().canonicalize(&mut object);
    let response = |payload| HandlerResponse::new(201, payload);
    if options.dry_run {
        if ctx.server.store.snapshot().get(&ctx.key(&name)).is_some() {
            return Err(already_exists(ctx, &name));
        }
        return Ok(response(ResponsePayload::Object(object)));
    }
    for _ in 0..MAX_ATTEMPTS {
        let name = meta::text(&object, "name").to_owned();
        let encoded = request_object::encode_object(ctx, &object)?;
        let committed = ctx
            .server
            .store
            .commit_guarded(
                &ctx.key(&name),
                WritePrecondition::Absent,
                guards.clone(),
                RecordChange::put(move |revision| encoded.at_revision(revision)),
            )
            .await;
        match committed {
            Ok(record) => {
                ctx.server
                    .wait_until_in_force(&ctx.resource.kind, record.revision)
                    .await;
                return Ok(response(ResponsePayload::Record(record)));
            }
            Err(CommitError::Exists(_)) if is_generated => {
                meta::set(&mut object, "name", &meta::generate_name(&prefix));
            }
            Err(CommitError::Exists(_)) => return Err(already_exists(ctx, &name)),
            // The namespace or the definition has changed or was deleted.
            Err(CommitError::Guard) => {
                if !ctx.resource.is_builtin() {
                    wait_for_all_definitions(ctx).await;
                }
                guards = create_guards(ctx, &name)?;
            }
            Err(error) => return Err(commit_error(ctx, &name, &error)),
        }
    }
    Err(ApiError::unavailable(
        "every generated name is taken, or the namespace keeps changing; try again",
    ))
}

fn already_exists(ctx: &RequestContext, name: &str) -> ApiError {
    let error = ApiError::already_exists(ctx.group(), &ctx.resource.kind.plural, name);
    let snapshot = ctx.server.store.snapshot();
    let existing = snapshot.get(&ctx.key(name)).map(|record| ctx.load(record));
    match existing {
        Some(Ok(object)) if meta::is_terminating(&object) => error.of_terminating_object(),
        _ => error,
    }
}

/// Returns 422 for an object of the request's kind.
pub(crate) fn invalid_object(
    ctx: &RequestContext,
    object: &Value,
    causes: Vec<StatusCause>,
) -> ApiError {
    let kind = object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or(&ctx.resource.kind.kind);
    ApiError::invalid(ctx.group(), kind, meta::text(object, "name"), causes)
}

/// Converts a failed commit.
pub(crate) fn commit_error(ctx: &RequestContext, name: &str, error: &CommitError) -> ApiError {
    match error {
        CommitError::Exists(_) => already_exists(ctx, name),
        CommitError::Mismatch(_) => ctx.conflict(name, OPTIMISTIC_LOCK_MESSAGE),
        CommitError::Missing => ctx.not_found(name),
        CommitError::Closed => ApiError::unavailable("the server is shutting down"),
        CommitError::Full => ApiError::unavailable(error.to_string()),
        other => {
            tracing::error!(error = %other, "cannot commit a write");
            ApiError::internal(other.to_string())
        }
    }
}

/// Sets the fields of a new object that only the server may set.
fn prepare_for_create(ctx: &RequestContext, object: &mut Value, now: &str) {
    meta::edit(object, |meta| {
        meta.remove("deletionTimestamp");
        meta.remove("deletionGracePeriodSeconds");
        meta.remove("resourceVersion");
        meta.remove("selfLink");
        meta.remove("generation");
        meta.insert("uid".to_owned(), uuid::Uuid::new_v4().to_string().into());
        meta.insert("creationTimestamp".to_owned(), now.into());
    });
    ctx.resource.strategy().prepare_for_create(object);
}
