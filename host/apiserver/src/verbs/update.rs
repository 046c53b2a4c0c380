//! `PUT`, and the update that `PATCH` and scale share: read, change, validate,
//! commit, and retry if the object has changed meanwhile.

use std::sync::Arc;

use rdd_apiserver_storage::{CommitError, RecordChange, StoredRecord, WritePrecondition};
use serde_json::Value;

use super::create;
use super::handler_response::{HandlerResponse, ResponsePayload};
use super::managed_fields;
use super::request_object::{self, RequestObject};
use super::write_options::WriteOptions;
use crate::admission::AdmissionOperation;
use crate::meta;
use crate::request_context::{OPTIMISTIC_LOCK_MESSAGE, RequestContext};
use crate::status::{ApiError, StatusCause};
use crate::{authorization, records, timestamp};

/// The maximum number of attempts while other writers keep changing the object.
const MAX_ATTEMPTS: usize = 64;

/// The new state of an object.
pub(crate) struct ObjectUpdate {
    pub(crate) object: Value,
    /// Whether it is the result of an apply, which also updates the managed fields.
    pub(crate) is_applied: bool,
}

/// The kind of a write: a different `uid` is a conflict in an update, and a change
/// of an immutable field in a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpdateKind {
    Update,
    Patch,
}

/// `PUT` of an object.
///
/// # Errors
/// See [`guaranteed_update`]; 400 for a body that cannot be decoded or that names
/// another object.
pub(crate) async fn update(ctx: &RequestContext, body: &[u8]) -> Result<HandlerResponse, ApiError> {
    let options = WriteOptions::parse(ctx, "UpdateOptions", false)?;
    let RequestObject {
        mut object,
        strict_errors,
    } = request_object::decode_body(ctx, body)?;
    request_object::handle_strict_errors(ctx, options.validation, strict_errors)?;
    let name = ctx.name();
    let sent = meta::text(&object, "name");
    if sent.is_empty() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )));
    }
    if sent != name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({sent}) does not match the name on the URL ({name})"
        )));
    }
    request_object::ensure_namespace(ctx, &mut object)?;
    if ctx.path.subresource.is_none()
        && ctx.resource.strategy().allow_create_on_update()
        && ctx.server.store.snapshot().get(&ctx.key(name)).is_none()
    {
        authorization::check_create(ctx)?;
        meta::set(&mut object, "resourceVersion", "");
        let managed_fields_policy = create::ManagedFieldsPolicy::Update;
        return create::create_object(ctx, object, &options, &managed_fields_policy).await;
    }
    guaranteed_update(ctx, &options, UpdateKind::Update, |_| {
        Ok(ObjectUpdate {
            object: object.clone(),
            is_applied: false,
        })
    })
    .await
}

/// Updates the stored object with `make`, which is called again after each
/// conflict with another writer.
///
/// # Errors
/// The error of `make`; 403 for a refused write, 404 for an object that does not
/// exist, 409 for a conflict, 422 for an invalid object.
pub(crate) async fn guaranteed_update(
    ctx: &RequestContext,
    options: &WriteOptions,
    kind: UpdateKind,
    make: impl Fn(&Value) -> Result<ObjectUpdate, ApiError> + Send + Sync,
) -> Result<HandlerResponse, ApiError> {
    let name = ctx.name();
    let key = ctx.key(name);
    for _ in 0..MAX_ATTEMPTS {
        let record = ctx
            .server
            .store
            .snapshot()
            .get(&key)
            .cloned()
            .ok_or_else(|| ctx.not_found(name))?;
        let live = ctx.load(&record)?;
        let ObjectUpdate {
            mut object,
            is_applied: applied,
        } = make(&live)?;
        let has_precondition = check_resource_version(ctx, &mut object, &record, kind)?;
        check_uid(ctx, &mut object, &live, kind)?;
        let now = ctx.server.clock.now();
        prepare_for_update(ctx, &mut object, &live);
        if !applied {
            object = managed_fields::update(ctx, Some(&live), object, &options.manager, now)?;
        }
        restore_deletion_time(&mut object, &live);
        update_generation(ctx, &mut object, &live);
        meta::drop_empty_fields(&mut object);
        request_object::check_limits(&object)?;
        let causes = request_object::validate(ctx, &object, Some(&live));
        if !causes.is_empty() {
            return Err(create::invalid_object(ctx, &object, causes));
        }
        request_object::warn_about(ctx, &object);
        ctx.resource.strategy().canonicalize(&mut object);
        managed_fields::keep_times(&mut object, &live);
        let response = |payload| HandlerResponse::new(200, payload);
        let operation = AdmissionOperation::Update;
        let (new, old) = (Some(&object), Some(&live));
        let request = ctx.admission_request(operation, name, new, old, options.dry_run);
        ctx.check_policies(&request).await?;
        if object == live {
            return Ok(response(ResponsePayload::Record(record)));
        }
        ctx.check_admission(&request)?;
        if options.dry_run {
            return Ok(response(ResponsePayload::Object(object)));
        }
        let is_removed = meta::is_terminating(&object)
            && meta::finalizers(&object).is_empty()
            && !ctx.resource.strategy().is_held(&object);
        let change = if is_removed {
            records::removal(&record).map_err(|error| ApiError::internal(error.to_string()))?
        } else {
            let encoded = request_object::encode_object(ctx, &object)?;
            RecordChange::put(move |revision| encoded.at_revision(revision))
        };
        let precondition = WritePrecondition::Revision(record.revision);
        match ctx.server.store.commit(&key, precondition, change).await {
            Ok(committed) => {
                ctx.server
                    .wait_until_in_force(&ctx.resource.kind, committed.revision)
                    .await;
                return Ok(response(if is_removed {
                    ResponsePayload::Object(object)
                } else {
                    ResponsePayload::Record(committed)
                }));
            }
            Err(CommitError::Mismatch(_)) if !has_precondition => {}
            Err(error) => return Err(create::commit_error(ctx, name, &error)),
        }
    }
    Err(ctx.conflict(name, OPTIMISTIC_LOCK_MESSAGE))
}

/// Checks `resourceVersion` in the new object and sets the current one. Returns
/// whether it is the precondition of an update.
///
/// # Errors
/// 409 if it is not the current one, 422 if the object lacks it and its kind requires
/// it, 500 if it is not a number.
fn check_resource_version(
    ctx: &RequestContext,
    object: &mut Value,
    record: &Arc<StoredRecord>,
    kind: UpdateKind,
) -> Result<bool, ApiError> {
    let sent = meta::text(object, "resourceVersion").to_owned();
    let sent = match sent.as_str() {
        "" => 0,
        text => text.parse::<u64>().map_err(|_| {
            ApiError::untyped(format!(
                "strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })?,
    };
    if sent == 0
        && kind == UpdateKind::Update
        && !ctx.resource.strategy().allow_unconditional_update()
    {
        let resource = &ctx.resource.kind;
        return Err(ApiError::invalid(
            &resource.group,
            &resource.plural,
            meta::text(object, "name"),
            vec![StatusCause::invalid(
                "metadata.resourceVersion",
                &0.into(),
                "must be specified for an update",
            )],
        ));
    }
    if sent != 0 && sent != record.revision {
        return Err(ctx.conflict(ctx.name(), OPTIMISTIC_LOCK_MESSAGE));
    }
    meta::set(object, "resourceVersion", &record.revision.to_string());
    Ok(sent != 0 && kind == UpdateKind::Update)
}

/// Returns the key that kube-apiserver has for the object, which its messages name.
fn storage_key(ctx: &RequestContext) -> String {
    let kind = &ctx.resource.kind;
    let has_group = !ctx.resource.is_builtin() || kind.group == crate::definition::GROUP;
    let group = if has_group {
        format!("{}/", kind.group)
    } else {
        String::new()
    };
    let namespace = ctx
        .namespace()
        .map_or_else(String::new, |namespace| format!("{namespace}/"));
    format!("/registry/{group}{}/{namespace}{}", kind.plural, ctx.name())
}

/// Checks `uid` in the new object, and sets the current one if it is empty.
fn check_uid(
    ctx: &RequestContext,
    object: &mut Value,
    live: &Value,
    kind: UpdateKind,
) -> Result<(), ApiError> {
    let (sent, uid) = (meta::text(object, "uid"), meta::text(live, "uid"));
    if kind == UpdateKind::Update && !sent.is_empty() && sent != uid {
        return Err(ctx.conflict(
            ctx.name(),
            &format!(
                "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {sent}, UID in object meta: {uid}",
                storage_key(ctx)
            ),
        ));
    }
    if sent.is_empty() {
        let uid = uid.to_owned();
        meta::set(object, "uid", &uid);
    }
    Ok(())
}

/// Resets the fields that this write must not change to those of the live object.
fn prepare_for_update(ctx: &RequestContext, object: &mut Value, live: &Value) {
    let subresource = ctx.path.subresource.as_deref();
    let strategy = ctx.resource.strategy();
    strategy.prepare_for_update(object, live, subresource);
    let live_field = |key: &str| live.pointer(&format!("/metadata/{key}")).cloned();
    let created = live_field("creationTimestamp");
    let (grace, generation) = (
        live_field("deletionGracePeriodSeconds"),
        live_field("generation"),
    );
    meta::edit(object, |meta| {
        let mut set = |key: &str, value: Option<Value>| match value {
            Some(value) => {
                meta.insert(key.to_owned(), value);
            }
            None => {
                meta.remove(key);
            }
        };
        set("creationTimestamp", created);
        set("generation", generation);
        if grace.is_some() && !meta.contains_key("deletionGracePeriodSeconds") {
            meta.insert(
                "deletionGracePeriodSeconds".to_owned(),
                grace.unwrap_or_default(),
            );
        }
        meta.remove("selfLink");
    });
}

/// Resets the time of a deletion, which no update can change. The manager owns the
/// field nevertheless, as in kube-apiserver, and so this follows the tracking.
fn restore_deletion_time(object: &mut Value, live: &Value) {
    if let Some(time) = live.pointer("/metadata/deletionTimestamp") {
        meta::edit(object, |meta| {
            meta.insert("deletionTimestamp".to_owned(), time.clone());
        });
    }
}

/// Increments `generation` if the update changes a field that it counts.
fn update_generation(ctx: &RequestContext, object: &mut Value, live: &Value) {
    if ctx.path.subresource.as_deref() == Some("status") {
        return;
    }
    let strategy = ctx.resource.strategy();
    if !strategy.tracks_generation() {
        return;
    }
    let counted = |value: &Value| {
        let mut fields = value.as_object().cloned().unwrap_or_default();
        fields.remove("metadata");
        if strategy.has_status_subresource() {
            fields.remove("status");
        }
        fields
    };
    if counted(object) != counted(live) {
        let next = meta::generation(live) + 1;
        meta::edit(object, |meta| {
            meta.insert("generation".to_owned(), next.into());
        });
    }
}

/// Returns the current time in the format of metadata.
pub(crate) fn current_time(ctx: &RequestContext) -> String {
    timestamp::rfc3339_seconds(ctx.server.clock.now())
}
