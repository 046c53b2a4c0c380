//! Changes one object: read, change, judge, commit, and again when somebody
//! else was faster.

use std::sync::Arc;

use rdd_apiserver_storage::{CommitError, RecordChange, StoredRecord, WritePrecondition};
use serde_json::Value;

use super::context::{HandlerResponse, OPTIMISTIC_LOCK_MESSAGE, RequestContext, ResponsePayload};
use super::create;
use super::request_object::{self, RequestObject};
use super::write_options::WriteOptions;
use crate::admission::AdmissionOperation;
use crate::limits;
use crate::meta;
use crate::resource::Source;
use crate::status::{ApiError, StatusCause};
use crate::{clock, managed_fields};

/// Attempts at a change that others keep overtaking.
const MAX_ATTEMPTS: usize = 64;

/// What a change makes of the live object.
pub(crate) struct ObjectUpdate {
    pub(crate) object: Value,
    /// Warnings that go with it.
    pub(crate) warnings: Vec<String>,
    /// The managed fields are up to date: it was an apply.
    pub(crate) applied: bool,
}

/// Where a uid that does not match is a conflict (an update) or a change of an
/// immutable field (a patch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpdateKind {
    Update,
    Patch,
}

/// `PUT` of an object.
pub(crate) async fn update(
    call: &RequestContext,
    body: &[u8],
) -> Result<HandlerResponse, ApiError> {
    let options = WriteOptions::parse(call, "UpdateOptions", false)?;
    let RequestObject {
        mut object,
        strict_errors: strict,
    } = request_object::decode_body(call, body)?;
    let warnings = request_object::handle_strict_errors(call, options.validation, strict)?;
    let name = call.name();
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
    request_object::ensure_namespace(call, &mut object)?;
    if call.path.subresource.is_none()
        && let Source::Builtin(builtin) = &call.resource.source
        && builtin.create_on_update()
        && call.server.store.snapshot().get(&call.key(name)).is_none()
    {
        meta::set(&mut object, "resourceVersion", "");
        let mut answer =
            create::create_object(call, object, &options, &create::ManagedFieldsPolicy::Update)
                .await?;
        answer.warnings.extend(warnings);
        return Ok(answer);
    }
    guaranteed_update(call, &options, UpdateKind::Update, |_| {
        Ok(ObjectUpdate {
            object: object.clone(),
            warnings: warnings.clone(),
            applied: false,
        })
    })
    .await
}

/// Runs a change against the live object until it is committed.
pub(crate) async fn guaranteed_update(
    call: &RequestContext,
    options: &WriteOptions,
    verb: UpdateKind,
    make: impl Fn(&Value) -> Result<ObjectUpdate, ApiError> + Send + Sync,
) -> Result<HandlerResponse, ApiError> {
    let name = call.name();
    let key = call.key(name);
    for _ in 0..MAX_ATTEMPTS {
        let record = call
            .server
            .store
            .snapshot()
            .get(&key)
            .cloned()
            .ok_or_else(|| call.not_found(name))?;
        let live = call.load(&record)?;
        let ObjectUpdate {
            mut object,
            mut warnings,
            applied,
        } = make(&live)?;
        let pinned = check_resource_version(call, &mut object, &record, verb)?;
        check_uid(call, &mut object, &live, verb)?;
        let now = (call.server.clock)();
        prepare_for_update(call, &mut object, &live);
        if !applied {
            object = managed_fields::update(call, Some(&live), object, &options.manager, now)?;
        }
        update_generation(call, &mut object, &live);
        meta::drop_empty_fields(&mut object);
        limits::check(&object)?;
        let causes = request_object::validate(call, &object, Some(&live));
        if !causes.is_empty() {
            return Err(create::invalid_object(call, &object, causes));
        }
        warnings.extend(request_object::object_warnings(call, &object));
        managed_fields::keep_times(&mut object, &live);
        let answer = |shown| HandlerResponse {
            code: 200,
            payload: shown,
            warnings: warnings.clone(),
        };
        if object == live {
            return Ok(answer(ResponsePayload::Record(record)));
        }
        call.check_admission(
            AdmissionOperation::Update,
            name,
            Some(&object),
            Some(&live),
            options.dry_run,
        )?;
        if options.dry_run {
            return Ok(answer(ResponsePayload::Object(object)));
        }
        let gone = meta::is_terminating(&object)
            && meta::finalizers(&object).is_empty()
            && !is_held(call, &object);
        let storable = request_object::encode_object(call, &object)?;
        let change = if gone {
            RecordChange::delete(move |revision| storable.at_revision(revision))
        } else {
            RecordChange::put(move |revision| storable.at_revision(revision))
        };
        let expect = WritePrecondition::Revision(record.revision);
        match call.server.store.commit(&key, expect, change).await {
            Ok(committed) => {
                crate::crd::settle(call, committed.revision).await;
                return Ok(answer(if gone {
                    ResponsePayload::Object(object)
                } else {
                    ResponsePayload::Record(committed)
                }));
            }
            Err(CommitError::Mismatch(_)) if !pinned => {}
            Err(error) => return Err(create::commit_error(call, name, &error)),
        }
    }
    Err(call.conflict(name, OPTIMISTIC_LOCK_MESSAGE))
}

/// Whether something but finalizers keeps a terminating object.
fn is_held(call: &RequestContext, object: &Value) -> bool {
    match &call.resource.source {
        Source::Builtin(builtin) => builtin.holds(object),
        Source::Custom(_) => false,
    }
}

/// Checks the resourceVersion that the writer saw; true when there is one.
fn check_resource_version(
    call: &RequestContext,
    object: &mut Value,
    record: &Arc<StoredRecord>,
    verb: UpdateKind,
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
    if sent == 0 && verb == UpdateKind::Update && !call.resource.is_builtin() {
        let kind = &call.resource.kind;
        return Err(ApiError::invalid(
            &kind.group,
            &kind.plural,
            meta::text(object, "name"),
            vec![StatusCause::invalid(
                "metadata.resourceVersion",
                &0.into(),
                "must be specified for an update",
            )],
        ));
    }
    if sent != 0 && sent != record.revision {
        return Err(call.conflict(call.name(), OPTIMISTIC_LOCK_MESSAGE));
    }
    meta::set(object, "resourceVersion", &record.revision.to_string());
    Ok(sent != 0 && verb == UpdateKind::Update)
}

/// Checks the uid that the writer means.
fn check_uid(
    call: &RequestContext,
    object: &mut Value,
    live: &Value,
    verb: UpdateKind,
) -> Result<(), ApiError> {
    let (sent, uid) = (meta::text(object, "uid"), meta::text(live, "uid"));
    if verb == UpdateKind::Update && !sent.is_empty() && sent != uid {
        return Err(call.conflict(
            call.name(),
            &format!("Precondition failed: UID in precondition: {sent}, UID in object meta: {uid}"),
        ));
    }
    if sent.is_empty() {
        let uid = uid.to_owned();
        meta::set(object, "uid", &uid);
    }
    Ok(())
}

/// Takes from the live object what this write may not touch.
fn prepare_for_update(call: &RequestContext, object: &mut Value, live: &Value) {
    match (&call.resource.source, call.path.subresource.as_deref()) {
        (Source::Custom(_), Some("status")) => {
            let status = object.get("status").cloned();
            let managed = object.pointer("/metadata/managedFields").cloned();
            *object = live.clone();
            set_field(object, "status", status);
            meta::edit(object, |meta| match managed {
                Some(managed) => {
                    meta.insert("managedFields".to_owned(), managed);
                }
                None => {
                    meta.remove("managedFields");
                }
            });
        }
        (Source::Custom(custom), _) => {
            if custom.status {
                set_field(object, "status", live.get("status").cloned());
            }
        }
        (Source::Builtin(builtin), subresource) => {
            builtin.prepare_update(object, live, subresource);
        }
    }
    let kept = |key: &str| live.pointer(&format!("/metadata/{key}")).cloned();
    let (created, deleted) = (kept("creationTimestamp"), kept("deletionTimestamp"));
    let (grace, generation) = (kept("deletionGracePeriodSeconds"), kept("generation"));
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
        if deleted.is_some() {
            set("deletionTimestamp", deleted);
        }
        if grace.is_some() && !meta.contains_key("deletionGracePeriodSeconds") {
            meta.insert(
                "deletionGracePeriodSeconds".to_owned(),
                grace.unwrap_or_default(),
            );
        }
        meta.remove("selfLink");
    });
}

pub(crate) fn set_field(object: &mut Value, key: &str, value: Option<Value>) {
    if let Some(root) = object.as_object_mut() {
        match value {
            Some(value) => {
                root.insert(key.to_owned(), value);
            }
            None => {
                root.remove(key);
            }
        }
    }
}

/// Moves the generation when anything changed that it counts.
fn update_generation(call: &RequestContext, object: &mut Value, live: &Value) {
    if call.path.subresource.as_deref() == Some("status") {
        return;
    }
    let ignores_status = match &call.resource.source {
        Source::Custom(custom) => custom.status,
        Source::Builtin(builtin) => {
            if !builtin.counts_generations() {
                return;
            }
            true
        }
    };
    let counted = |value: &Value| {
        let mut parts = value.as_object().cloned().unwrap_or_default();
        parts.remove("metadata");
        if ignores_status {
            parts.remove("status");
        }
        parts
    };
    if counted(object) != counted(live) {
        let next = meta::generation(live) + 1;
        meta::edit(object, |meta| {
            meta.insert("generation".to_owned(), next.into());
        });
    }
}

/// The time that a change happens, as metadata has it.
pub(crate) fn current_time(call: &RequestContext) -> String {
    clock::seconds((call.server.clock)())
}
