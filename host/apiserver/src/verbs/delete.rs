//! Deletes one object, or marks it when finalizers hold it.

use rdd_apiserver_storage::{CommitError, RecordChange, WritePrecondition};
use serde_json::{Value, json};

use super::call::{Answer, Call, MODIFIED, Shown};
use super::create;
use super::options;
use crate::admission::AdmissionOperation;
use crate::decode::{self, Expected};
use crate::meta;
use crate::resource::ResourceStrategy;
use crate::status::{ApiError, StatusCause};

/// Attempts at a delete that others keep overtaking.
const ATTEMPTS: usize = 64;

/// `DeleteOptions`, from the body or the query.
#[derive(Debug, Default, Clone)]
pub(crate) struct DeleteOptions {
    pub(crate) dry_run: bool,
    pub(crate) grace: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) orphan: Option<bool>,
}

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::bad_request(message)
}

impl DeleteOptions {
    /// Reads the options: a body wins over the query.
    pub(crate) fn read(call: &Call, body: &[u8]) -> Result<Self, ApiError> {
        let mut out = Self::default();
        let mut causes = Vec::new();
        let dry: Vec<String>;
        if body.is_empty() {
            let query = &call.query;
            if let Some(text) = query.get("gracePeriodSeconds") {
                out.grace = Some(text.parse().map_err(|_| {
                    bad(format!(
                        "strconv.ParseInt: parsing {text:?}: invalid syntax"
                    ))
                })?);
            }
            out.policy = query.get("propagationPolicy").map(str::to_owned);
            out.orphan = query
                .get("orphanDependents")
                .map(|v| v != "false" && v != "0");
            dry = query.all("dryRun").map(str::to_owned).collect();
        } else {
            let value = parse(call, body)?;
            dry = out.fill(&value)?;
        }
        let dry: Vec<&str> = dry.iter().map(String::as_str).collect();
        out.dry_run = options::dry_run(&dry).unwrap_or_else(|cause| {
            causes.push(cause);
            false
        });
        if let Some(policy) = &out.policy {
            if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
                causes.push(StatusCause::new(
                    "FieldValueNotSupported",
                    "propagationPolicy",
                    format!("Unsupported value: {policy:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""),
                ));
            }
            if out.orphan.is_some() {
                causes.push(StatusCause::invalid(
                    "propagationPolicy",
                    &policy.as_str().into(),
                    "orphanDependents and deletionPropagation cannot be both set",
                ));
            }
        }
        if !causes.is_empty() {
            return Err(ApiError::invalid(
                "meta.k8s.io",
                "DeleteOptions",
                "",
                causes,
            ));
        }
        Ok(out)
    }

    fn fill(&mut self, value: &Value) -> Result<Vec<String>, ApiError> {
        let wrong = |field: &str| {
            bad(format!(
                "json: cannot unmarshal into Go struct field DeleteOptions.{field}"
            ))
        };
        let text = |at: &Value, field: &str| match at.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(field)),
        };
        self.grace = match value.get("gracePeriodSeconds") {
            None | Some(Value::Null) => None,
            Some(number) => Some(number.as_i64().ok_or_else(|| wrong("gracePeriodSeconds"))?),
        };
        self.policy = text(value, "propagationPolicy")?;
        self.orphan = match value.get("orphanDependents") {
            None | Some(Value::Null) => None,
            Some(flag) => Some(flag.as_bool().ok_or_else(|| wrong("orphanDependents"))?),
        };
        if let Some(preconditions) = value.get("preconditions") {
            self.uid = text(preconditions, "uid")?;
            self.revision = text(preconditions, "resourceVersion")?;
        }
        match value.get("dryRun") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items
                .iter()
                .map(|item| item.as_str().unwrap_or_default().to_owned())
                .collect()),
            Some(_) => Err(wrong("dryRun")),
        }
    }

    /// The finalizers that an object gets for this kind of delete.
    fn finalizers(&self, object: &Value) -> Vec<String> {
        let present = meta::finalizers(object);
        let choice = match (&self.policy, self.orphan) {
            (Some(policy), _) => Some(policy.as_str()),
            (None, Some(true)) => Some("Orphan"),
            (None, Some(false)) => Some("Background"),
            (None, None) => None,
        };
        let mut out: Vec<String> = present
            .iter()
            .filter(|f| choice.is_none() || (**f != meta::ORPHAN && **f != meta::FOREGROUND))
            .map(|f| (*f).to_owned())
            .collect();
        match choice {
            Some("Orphan") => out.push(meta::ORPHAN.to_owned()),
            Some("Foreground") => out.push(meta::FOREGROUND.to_owned()),
            _ => {}
        }
        out
    }
}

fn parse(call: &Call, body: &[u8]) -> Result<Value, ApiError> {
    let content_type = call
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let expected = call.resource.is_builtin().then_some(Expected {
        api_version: "v1",
        kind: "DeleteOptions",
    });
    let syntax = decode::accepted(content_type, expected)?;
    let value = decode::parse(syntax, body)
        .map_err(|why| bad(decode::unreadable(syntax, &why)))?
        .value;
    let kind = value
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let version = value
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !kind.is_empty() && kind != "DeleteOptions" {
        return Err(bad(format!(
            "no kind {kind:?} is registered for version {version:?}"
        )));
    }
    if !value.is_object() {
        return Err(bad(
            "couldn't get version/kind; json parse error: the body is not an object",
        ));
    }
    Ok(value)
}

/// What a delete came to.
pub(crate) enum Deleted {
    /// The object is gone; this was its last form.
    Gone(Value),
    /// The object waits for its finalizers.
    Waiting(Value),
}

/// `DELETE` of an object.
pub(crate) async fn delete(call: &Call, body: &[u8]) -> Result<Answer, ApiError> {
    let options = DeleteOptions::read(call, body)?;
    let name = call.name();
    Ok(match remove(call, name, &options).await? {
        Deleted::Waiting(object) => Answer::new(200, Shown::Object(object)),
        Deleted::Gone(object) => {
            let returns = match &call.resource.strategy {
                ResourceStrategy::Builtin(builtin) => builtin.delete_returns_object(),
                ResourceStrategy::Custom(_) => false,
            };
            if returns {
                Answer::new(200, Shown::Object(object))
            } else {
                Answer::new(
                    200,
                    Shown::Plain(success(call, name, meta::text(&object, "uid"))),
                )
            }
        }
    })
}

fn success(call: &Call, name: &str, uid: &str) -> Value {
    let kind = &call.resource.kind;
    let mut details = json!({"name": name, "kind": kind.plural, "uid": uid});
    if let (false, Some(details)) = (kind.group.is_empty(), details.as_object_mut()) {
        details.insert("group".to_owned(), kind.group.as_str().into());
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// Deletes or marks one object of the call's collection.
pub(crate) async fn remove(
    call: &Call,
    name: &str,
    options: &DeleteOptions,
) -> Result<Deleted, ApiError> {
    let key = call.key(name);
    if let ResourceStrategy::Builtin(builtin) = &call.resource.strategy {
        builtin.check_deletable(name)?;
    }
    for _ in 0..ATTEMPTS {
        let record = call
            .server
            .store
            .snapshot()
            .get(&key)
            .cloned()
            .ok_or_else(|| call.not_found(name))?;
        let live = call.load(&record)?;
        preconditions(call, name, &live, options)?;
        call.admit(
            AdmissionOperation::Delete,
            name,
            None,
            Some(&live),
            options.dry_run,
        )?;
        let mut object = live.clone();
        let finalizers = options.finalizers(&live);
        let before: Vec<&str> = meta::finalizers(&live);
        let same = before.iter().eq(finalizers.iter());
        let builtin = match &call.resource.strategy {
            ResourceStrategy::Builtin(builtin) => Some(builtin),
            ResourceStrategy::Custom(_) => None,
        };
        meta::edit(&mut object, |meta| {
            if finalizers.is_empty() {
                meta.remove("finalizers");
            } else {
                meta.insert("finalizers".to_owned(), finalizers.into());
            }
        });
        let marked_now = !meta::terminating(&live);
        if let Some(builtin) = builtin {
            builtin.prepare_delete(&mut object, &super::update::now(call));
        }
        let waits = !meta::finalizers(&object).is_empty()
            || builtin.is_some_and(|builtin| builtin.has_spec_finalizers(&object));
        if waits {
            if !marked_now && same {
                return Ok(Deleted::Waiting(live));
            }
            if marked_now {
                mark(
                    &mut object,
                    &super::update::now(call),
                    builtin.is_none_or(|b| b.has_grace_period()),
                );
            }
        }
        if options.dry_run {
            return Ok(if waits {
                Deleted::Waiting(object)
            } else {
                Deleted::Gone(live)
            });
        }
        let storable = call.resource.storable(&object);
        let change = if waits {
            RecordChange::put(move |revision| storable.at(revision))
        } else {
            RecordChange::delete(move |revision| storable.at(revision))
        };
        let expect = WritePrecondition::Revision(record.revision);
        match call.server.store.commit(&key, expect, change).await {
            Ok(committed) => {
                crate::crd::wait_until_served(call, committed.revision).await;
                let object = call.load(&committed)?;
                return Ok(if waits {
                    Deleted::Waiting(object)
                } else {
                    Deleted::Gone(object)
                });
            }
            Err(CommitError::Mismatch(_)) => {}
            Err(error) => return Err(create::failed(call, name, &error)),
        }
    }
    Err(call.conflict(name, MODIFIED))
}

/// Marks an object as being deleted.
pub(crate) fn mark(object: &mut Value, now: &str, grace: bool) {
    let generation = meta::generation(object);
    meta::edit(object, |meta| {
        meta.insert("deletionTimestamp".to_owned(), now.into());
        if grace {
            meta.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
        }
        if generation > 0 {
            meta.insert("generation".to_owned(), (generation + 1).into());
        }
    });
}

fn preconditions(
    call: &Call,
    name: &str,
    live: &Value,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let kind = &call.resource.kind;
    let conflict = |what: &str, wanted: &str, found: &str, hint: &str| {
        ApiError::conflict(
            &kind.group,
            &kind.kind,
            name,
            &format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {hint}"
            ),
        )
    };
    let (uid, revision) = (meta::text(live, "uid"), meta::text(live, "resourceVersion"));
    if let Some(wanted) = options.uid.as_deref().filter(|wanted| *wanted != uid) {
        return Err(conflict("UID", wanted, uid, "deleted and then recreated"));
    }
    if let Some(wanted) = options
        .revision
        .as_deref()
        .filter(|wanted| *wanted != revision)
    {
        return Err(conflict("ResourceVersion", wanted, revision, "modified"));
    }
    Ok(())
}
