//! Changes one object: read, change, judge, commit, and again when somebody
//! else was faster.

use std::sync::Arc;

use rdd_apiserver_storage::{CommitError, RecordChange, StoredRecord, WritePrecondition};
use serde_json::Value;

use super::call::{Answer, Call, MODIFIED, Shown};
use super::create;
use super::object::{self, Sent};
use super::options::WriteOptions;
use crate::admission::AdmissionOperation;
use crate::limits;
use crate::meta;
use crate::resource::ResourceStrategy;
use crate::status::{ApiError, StatusCause};
use crate::{managed, timestamp};

/// Attempts at a change that others keep overtaking.
const ATTEMPTS: usize = 64;

/// What a change makes of the live object.
pub(crate) struct Changed {
    pub(crate) object: Value,
    /// Warnings that go with it.
    pub(crate) warnings: Vec<String>,
    /// The managed fields are up to date: it was an apply.
    pub(crate) applied: bool,
}

/// Where a uid that does not match is a conflict (an update) or a change of an
/// immutable field (a patch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Update,
    Patch,
}

/// `PUT` of an object.
pub(crate) async fn update(call: &Call, body: &[u8]) -> Result<Answer, ApiError> {
    let options = WriteOptions::read(call, "UpdateOptions", false)?;
    let Sent { mut object, strict } = object::read(call, body)?;
    let warnings = object::strict(call, options.validation, strict)?;
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
    object::namespace(call, &mut object)?;
    if call.path.subresource.is_none()
        && let ResourceStrategy::Builtin(builtin) = &call.resource.strategy
        && builtin.allows_create_on_update()
        && call.server.store.snapshot().get(&call.key(name)).is_none()
    {
        meta::set(&mut object, "resourceVersion", "");
        let mut answer = create::insert(call, object, &options, &create::Managed::Update).await?;
        answer.warnings.extend(warnings);
        return Ok(answer);
    }
    change(call, &options, Verb::Update, |_| {
        Ok(Changed {
            object: object.clone(),
            warnings: warnings.clone(),
            applied: false,
        })
    })
    .await
}

/// Runs a change against the live object until it is committed.
pub(crate) async fn change(
    call: &Call,
    options: &WriteOptions,
    verb: Verb,
    make: impl Fn(&Value) -> Result<Changed, ApiError> + Send + Sync,
) -> Result<Answer, ApiError> {
    let name = call.name();
    let key = call.key(name);
    for _ in 0..ATTEMPTS {
        let record = call
            .server
            .store
            .snapshot()
            .get(&key)
            .cloned()
            .ok_or_else(|| call.not_found(name))?;
        let live = call.load(&record)?;
        let Changed {
            mut object,
            mut warnings,
            applied,
        } = make(&live)?;
        let pinned = revision(call, &mut object, &record, verb)?;
        identity(call, &mut object, &live, verb)?;
        let now = call.server.clock.now();
        prepare(call, &mut object, &live);
        if !applied {
            object = managed::update(call, Some(&live), object, &options.manager, now)?;
        }
        prepare_generation(call, &mut object, &live);
        meta::tidy(&mut object);
        limits::check(&object)?;
        let causes = object::validate(call, &object, Some(&live));
        if !causes.is_empty() {
            return Err(create::invalid(call, &object, causes));
        }
        warnings.extend(object::advice(call, &object));
        managed::keep_times(&mut object, &live);
        let answer = |shown| Answer {
            code: 200,
            shown,
            warnings: warnings.clone(),
        };
        if object == live {
            return Ok(answer(Shown::Stored(record)));
        }
        call.admit(
            AdmissionOperation::Update,
            name,
            Some(&object),
            Some(&live),
            options.dry_run,
        )?;
        if options.dry_run {
            return Ok(answer(Shown::Object(object)));
        }
        let gone = meta::terminating(&object)
            && meta::finalizers(&object).is_empty()
            && !holds(call, &object);
        let storable = object::storable(call, &object)?;
        let change = if gone {
            RecordChange::delete(move |revision| storable.at(revision))
        } else {
            RecordChange::put(move |revision| storable.at(revision))
        };
        let expect = WritePrecondition::Revision(record.revision);
        match call.server.store.commit(&key, expect, change).await {
            Ok(committed) => {
                crate::crd::wait_until_served(call, committed.revision).await;
                return Ok(answer(if gone {
                    Shown::Object(object)
                } else {
                    Shown::Stored(committed)
                }));
            }
            Err(CommitError::Mismatch(_)) if !pinned => {}
            Err(error) => return Err(create::failed(call, name, &error)),
        }
    }
    Err(call.conflict(name, MODIFIED))
}

/// Whether something but finalizers keeps a terminating object.
fn holds(call: &Call, object: &Value) -> bool {
    match &call.resource.strategy {
        ResourceStrategy::Builtin(builtin) => builtin.has_spec_finalizers(object),
        ResourceStrategy::Custom(_) => false,
    }
}

/// Checks the resourceVersion that the writer saw; true when there is one.
fn revision(
    call: &Call,
    object: &mut Value,
    record: &Arc<StoredRecord>,
    verb: Verb,
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
    if sent == 0 && verb == Verb::Update && !call.resource.is_builtin() {
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
        return Err(call.conflict(call.name(), MODIFIED));
    }
    meta::set(object, "resourceVersion", &record.revision.to_string());
    Ok(sent != 0 && verb == Verb::Update)
}

/// Checks the uid that the writer means.
fn identity(call: &Call, object: &mut Value, live: &Value, verb: Verb) -> Result<(), ApiError> {
    let (sent, uid) = (meta::text(object, "uid"), meta::text(live, "uid"));
    if verb == Verb::Update && !sent.is_empty() && sent != uid {
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
fn prepare(call: &Call, object: &mut Value, live: &Value) {
    match (&call.resource.strategy, call.path.subresource.as_deref()) {
        (ResourceStrategy::Custom(_), Some("status")) => {
            let status = object.get("status").cloned();
            let managed = object.pointer("/metadata/managedFields").cloned();
            *object = live.clone();
            put(object, "status", status);
            meta::edit(object, |meta| match managed {
                Some(managed) => {
                    meta.insert("managedFields".to_owned(), managed);
                }
                None => {
                    meta.remove("managedFields");
                }
            });
        }
        (ResourceStrategy::Custom(custom), _) => {
            if custom.status {
                put(object, "status", live.get("status").cloned());
            }
        }
        (ResourceStrategy::Builtin(builtin), subresource) => {
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

pub(crate) fn put(object: &mut Value, key: &str, value: Option<Value>) {
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
fn prepare_generation(call: &Call, object: &mut Value, live: &Value) {
    if call.path.subresource.as_deref() == Some("status") {
        return;
    }
    let ignores_status = match &call.resource.strategy {
        ResourceStrategy::Custom(custom) => custom.status,
        ResourceStrategy::Builtin(builtin) => {
            if !builtin.tracks_generation() {
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
pub(crate) fn now(call: &Call) -> String {
    timestamp::rfc3339_seconds(call.server.clock.now())
}
