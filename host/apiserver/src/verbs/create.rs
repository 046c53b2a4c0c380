//! Creates one object.

use rdd_apiserver_storage::{CommitError, RecordChange, RecordGuard, WritePrecondition};
use serde_json::Value;

use super::call::{Answer, Call, Shown};
use super::object::{self, Sent};
use super::options::WriteOptions;
use crate::admission::AdmissionOperation;
use crate::limits;
use crate::meta;
use crate::resource::ResourceStrategy;
use crate::status::{ApiError, StatusCause};
use crate::{managed, namespaces, timestamp};

/// Tries for a generated name that is free, in a namespace that may change
/// meanwhile: five random characters meet a taken name once in millions, and
/// a namespace is seldom written.
const TRIES: usize = 8;

/// `POST` of a collection.
pub(crate) async fn create(call: &Call, body: &[u8]) -> Result<Answer, ApiError> {
    let options = WriteOptions::read(call, "CreateOptions", false)?;
    let Sent { mut object, strict } = object::read(call, body)?;
    let mut warnings = object::strict(call, options.validation, strict)?;
    object::namespace(call, &mut object)?;
    if !meta::text(&object, "resourceVersion").is_empty() {
        return Err(ApiError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let mut answer = insert(call, object, &options, &Managed::Update).await?;
    warnings.append(&mut answer.warnings);
    answer.warnings = warnings;
    Ok(answer)
}

/// How the managed fields of a new object come about.
pub(crate) enum Managed {
    /// Everything that is set belongs to the writer.
    Update,
    /// The object comes from an apply and carries them already.
    Applied,
}

/// Fills in what the server owns and stores a new object.
pub(crate) async fn insert(
    call: &Call,
    mut object: Value,
    options: &WriteOptions,
    how: &Managed,
) -> Result<Answer, ApiError> {
    let generate = meta::text(&object, "generateName").to_owned();
    let generated = meta::text(&object, "name").is_empty() && !generate.is_empty();
    if generated {
        meta::set(&mut object, "name", &meta::generate_name(&generate));
    }
    let now = call.server.clock.now();
    prepare(call, &mut object, &timestamp::rfc3339_seconds(now));
    if matches!(how, Managed::Update) {
        object = managed::update(call, None, object, &options.manager, now)?;
    }
    let named = meta::text(&object, "name").to_owned();
    let mut guards = ground(call, &named)?;
    call.admit(
        AdmissionOperation::Create,
        &named,
        Some(&object),
        None,
        options.dry_run,
    )?;
    limits::check(&object)?;
    let causes = object::validate(call, &object, None);
    if !causes.is_empty() {
        return Err(invalid(call, &object, causes));
    }
    let warnings = object::advice(call, &object);
    let answer = |shown| Answer {
        code: 201,
        shown,
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
            return Err(exists(call, &named));
        }
        return Ok(answer(Shown::Object(object)));
    }
    for _ in 0..TRIES {
        let name = meta::text(&object, "name").to_owned();
        let storable = object::storable(call, &object)?;
        let committed = call
            .server
            .store
            .commit_guarded(
                &call.key(&name),
                WritePrecondition::Absent,
                guards.clone(),
                RecordChange::put(move |revision| storable.at(revision)),
            )
            .await;
        match committed {
            Ok(record) => {
                crate::crd::wait_until_served(call, record.revision).await;
                return Ok(answer(Shown::Stored(record)));
            }
            Err(CommitError::Exists(_)) if generated => {
                meta::set(&mut object, "name", &meta::generate_name(&generate));
            }
            Err(CommitError::Exists(_)) => return Err(exists(call, &name)),
            // Its namespace or definition was changed meanwhile, or deleted.
            Err(CommitError::Guard) => {
                if !call.resource.is_builtin() {
                    crate::crd::wait_for_all_definitions(call).await;
                }
                guards = ground(call, &name)?;
            }
            Err(error) => return Err(failed(call, &name, &error)),
        }
    }
    Err(ApiError::unavailable(
        "the names that were generated are taken, or the namespace is changed all the time; try again",
    ))
}

/// What a new object rests on: its namespace and its definition.
fn ground(call: &Call, name: &str) -> Result<Vec<RecordGuard>, ApiError> {
    let namespace = namespaces::namespace_guard(call, name)?;
    let definition = crate::crd::definition_guard(call, name)?;
    Ok(namespace.into_iter().chain(definition).collect())
}

fn exists(call: &Call, name: &str) -> ApiError {
    ApiError::already_exists(call.group(), &call.resource.kind.plural, name)
}

/// 422 about an object of the call's kind.
pub(crate) fn invalid(call: &Call, object: &Value, causes: Vec<StatusCause>) -> ApiError {
    let kind = object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or(&call.resource.kind.kind);
    ApiError::invalid(call.group(), kind, meta::text(object, "name"), causes)
}

/// A commit that failed for a reason of the store's own.
pub(crate) fn failed(call: &Call, name: &str, error: &CommitError) -> ApiError {
    match error {
        CommitError::Exists(_) => exists(call, name),
        CommitError::Mismatch(_) => call.conflict(name, super::call::MODIFIED),
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
fn prepare(call: &Call, object: &mut Value, now: &str) {
    meta::edit(object, |meta| {
        meta.remove("deletionTimestamp");
        meta.remove("deletionGracePeriodSeconds");
        meta.remove("resourceVersion");
        meta.remove("selfLink");
        meta.remove("generation");
        meta.insert("uid".to_owned(), uuid::Uuid::new_v4().to_string().into());
        meta.insert("creationTimestamp".to_owned(), now.into());
    });
    match &call.resource.strategy {
        ResourceStrategy::Custom(custom) => {
            if custom.status
                && let Some(root) = object.as_object_mut()
            {
                root.remove("status");
            }
            meta::edit(object, |meta| {
                meta.insert("generation".to_owned(), 1.into());
            });
        }
        ResourceStrategy::Builtin(builtin) => builtin.prepare_create(object),
    }
}
