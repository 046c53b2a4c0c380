//! Creates one object.

use rdd_apiserver_storage::{CommitError, RecordChange, RecordGuard, WritePrecondition};
use serde_json::Value;

use super::context::{HandlerResponse, RequestContext, ResponsePayload};
use super::request_object::{self, RequestObject};
use super::write_options::WriteOptions;
use crate::admission::AdmissionOperation;
use crate::limits;
use crate::meta;
use crate::resource::Source;
use crate::status::{ApiError, StatusCause};
use crate::{clock, managed_fields, namespaces};

/// Tries for a generated name that is free, in a namespace that may change
/// meanwhile: five random characters meet a taken name once in millions, and
/// a namespace is seldom written.
const NAME_ATTEMPTS: usize = 8;

/// `POST` of a collection.
pub(crate) async fn create(
    call: &RequestContext,
    body: &[u8],
) -> Result<HandlerResponse, ApiError> {
    let options = WriteOptions::parse(call, "CreateOptions", false)?;
    let RequestObject {
        mut object,
        strict_errors: strict,
    } = request_object::decode_body(call, body)?;
    let mut warnings = request_object::handle_strict_errors(call, options.validation, strict)?;
    request_object::ensure_namespace(call, &mut object)?;
    if !meta::text(&object, "resourceVersion").is_empty() {
        return Err(ApiError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let mut answer = create_object(call, object, &options, &ManagedFieldsPolicy::Update).await?;
    warnings.append(&mut answer.warnings);
    answer.warnings = warnings;
    Ok(answer)
}

/// How the managed fields of a new object come about.
pub(crate) enum ManagedFieldsPolicy {
    /// Everything that is set belongs to the writer.
    Update,
    /// The object comes from an apply and carries them already.
    Applied,
}

/// Fills in what the server owns and stores a new object.
pub(crate) async fn create_object(
    call: &RequestContext,
    mut object: Value,
    options: &WriteOptions,
    how: &ManagedFieldsPolicy,
) -> Result<HandlerResponse, ApiError> {
    let generate = meta::text(&object, "generateName").to_owned();
    let generated = meta::text(&object, "name").is_empty() && !generate.is_empty();
    if generated {
        meta::set(&mut object, "name", &meta::generate_name(&generate));
    }
    let now = (call.server.clock)();
    prepare_for_create(call, &mut object, &clock::seconds(now));
    if matches!(how, ManagedFieldsPolicy::Update) {
        object = managed_fields::update(call, None, object, &options.manager, now)?;
    }
    let named = meta::text(&object, "name").to_owned();
    let mut guards = write_guards(call, &named)?;
    call.check_admission(
        AdmissionOperation::Create,
        &named,
        Some(&object),
        None,
        options.dry_run,
    )?;
    limits::check(&object)?;
    let causes = request_object::validate(call, &object, None);
    if !causes.is_empty() {
        return Err(invalid_object(call, &object, causes));
    }
    let warnings = request_object::object_warnings(call, &object);
    let answer = |shown| HandlerResponse {
        code: 201,
        payload: shown,
        warnings: warnings.clone(),
    };
    if options.dry_run {
        if call
            .server
            .store
            .snapshot()
            .get(&call.key(&named))
            .is_some()
        {
            return Err(already_exists(call, &named));
        }
        return Ok(answer(ResponsePayload::Object(object)));
    }
    for _ in 0..NAME_ATTEMPTS {
        let name = meta::text(&object, "name").to_owned();
        let storable = request_object::encode_object(call, &object)?;
        let committed = call
            .server
            .store
            .commit_guarded(
                &call.key(&name),
                WritePrecondition::Absent,
                guards.clone(),
                RecordChange::put(move |revision| storable.at_revision(revision)),
            )
            .await;
        match committed {
            Ok(record) => {
                crate::crd::settle(call, record.revision).await;
                return Ok(answer(ResponsePayload::Record(record)));
            }
            Err(CommitError::Exists(_)) if generated => {
                meta::set(&mut object, "name", &meta::generate_name(&generate));
            }
            Err(CommitError::Exists(_)) => return Err(already_exists(call, &name)),
            // Its namespace or definition was changed meanwhile, or deleted.
            Err(CommitError::Guard) => {
                if !call.resource.is_builtin() {
                    crate::crd::caught_up(call).await;
                }
                guards = write_guards(call, &name)?;
            }
            Err(error) => return Err(commit_error(call, &name, &error)),
        }
    }
    Err(ApiError::unavailable(
        "the names that were generated are taken, or the namespace is changed all the time; try again",
    ))
}

/// What a new object rests on: its namespace and its definition.
fn write_guards(call: &RequestContext, name: &str) -> Result<Vec<RecordGuard>, ApiError> {
    let namespace = namespaces::ground(call, name)?;
    let definition = crate::crd::ground(call, name)?;
    Ok(namespace.into_iter().chain(definition).collect())
}

fn already_exists(call: &RequestContext, name: &str) -> ApiError {
    ApiError::already_exists(call.group(), &call.resource.kind.plural, name)
}

/// 422 about an object of the call's kind.
pub(crate) fn invalid_object(
    call: &RequestContext,
    object: &Value,
    causes: Vec<StatusCause>,
) -> ApiError {
    let kind = object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or(&call.resource.kind.kind);
    ApiError::invalid(call.group(), kind, meta::text(object, "name"), causes)
}

/// A commit that failed for a reason of the store's own.
pub(crate) fn commit_error(call: &RequestContext, name: &str, error: &CommitError) -> ApiError {
    match error {
        CommitError::Exists(_) => already_exists(call, name),
        CommitError::Mismatch(_) => call.conflict(name, super::context::OPTIMISTIC_LOCK_MESSAGE),
        CommitError::Missing => call.not_found(name),
        CommitError::Closed => ApiError::unavailable("the server is shutting down"),
        CommitError::Full => ApiError::unavailable(error.to_string()),
        other => {
            tracing::error!(error = %other, "a write failed");
            ApiError::internal(other.to_string())
        }
    }
}

/// Sets what only the server may set on a new object.
fn prepare_for_create(call: &RequestContext, object: &mut Value, now: &str) {
    meta::edit(object, |meta| {
        meta.remove("deletionTimestamp");
        meta.remove("deletionGracePeriodSeconds");
        meta.remove("resourceVersion");
        meta.remove("selfLink");
        meta.remove("generation");
        meta.insert("uid".to_owned(), uuid::Uuid::new_v4().to_string().into());
        meta.insert("creationTimestamp".to_owned(), now.into());
    });
    match &call.resource.source {
        Source::Custom(custom) => {
            if custom.status
                && let Some(root) = object.as_object_mut()
            {
                root.remove("status");
            }
            meta::edit(object, |meta| {
                meta.insert("generation".to_owned(), 1.into());
            });
        }
        Source::Builtin(builtin) => builtin.prepare_create(object),
    }
}
