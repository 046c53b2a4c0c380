//! `DELETE` of one object, which terminates first if finalizers hold it.

use rdd_apiserver_kinds::go_json;
use rdd_apiserver_storage::{CommitError, RecordChange, WritePrecondition};
use serde_json::{Value, json};

use super::create;
use super::handler_response::{HandlerResponse, ResponsePayload};
use super::request_object;
use super::write_options;
use crate::admission::AdmissionOperation;
use crate::decode::{self, ExpectedKind};
use crate::meta;
use crate::request_context::{OPTIMISTIC_LOCK_MESSAGE, RequestContext};
use crate::status::{ApiError, StatusCause};

/// The maximum number of attempts while other writers keep changing the object.
const MAX_ATTEMPTS: usize = 64;

/// `DeleteOptions`, from the body or from the query.
#[derive(Debug, Default, Clone)]
pub(crate) struct DeleteOptions {
    pub(crate) dry_run: bool,
    pub(crate) grace_period_seconds: Option<i64>,
    pub(crate) precondition_uid: Option<String>,
    pub(crate) precondition_resource_version: Option<String>,
    pub(crate) propagation_policy: Option<String>,
    pub(crate) orphan_dependents: Option<bool>,
}

impl DeleteOptions {
    /// Parses the options from the body, or from the query if there is no body.
    ///
    /// # Errors
    /// 400 for a body or a number that cannot be parsed, 422 for invalid options.
    pub(crate) fn from_request(ctx: &RequestContext, body: &[u8]) -> Result<Self, ApiError> {
        let mut out = Self::default();
        let mut causes = Vec::new();
        let dry_run_values: Vec<String>;
        if body.is_empty() {
            let query = &ctx.query;
            if let Some(text) = query.get("gracePeriodSeconds") {
                out.grace_period_seconds = Some(text.parse().map_err(|_| {
                    ApiError::bad_request(format!(
                        "strconv.ParseInt: parsing {text:?}: invalid syntax"
                    ))
                })?);
            }
            out.propagation_policy = query.get("propagationPolicy").map(str::to_owned);
            out.orphan_dependents = query
                .get("orphanDependents")
                .map(|v| v != "false" && v != "0");
            dry_run_values = query.all("dryRun").map(str::to_owned).collect();
        } else {
            let value = decode_options(ctx, body)?;
            dry_run_values = out.fill_from_body(&value)?;
        }
        let dry_run_values: Vec<&str> = dry_run_values.iter().map(String::as_str).collect();
        out.dry_run = write_options::parse_dry_run(&dry_run_values).unwrap_or_else(|cause| {
            causes.push(cause);
            false
        });
        if let Some(policy) = &out.propagation_policy {
            if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
                causes.push(StatusCause::new(
                    "FieldValueNotSupported",
                    "propagationPolicy",
                    format!("Unsupported value: {policy:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""),
                ));
            }
            if out.orphan_dependents.is_some() {
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

    /// Sets the options of a body, except `dryRun`, whose values are returned.
    fn fill_from_body(&mut self, value: &Value) -> Result<Vec<String>, ApiError> {
        let wrong_type = |value: &Value, field: &str, expected: &str| {
            ApiError::bad_request(format!(
                "json: cannot unmarshal {} into Go struct field {field} of type {expected}",
                go_json::type_name(value)
            ))
        };
        let text = |value: Option<&Value>, field: &str, expected: &str| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(wrong_type(other, field, expected)),
        };
        self.grace_period_seconds =
            match value.get("gracePeriodSeconds") {
                None | Some(Value::Null) => None,
                Some(number) => Some(number.as_i64().ok_or_else(|| {
                    wrong_type(number, "DeleteOptions.gracePeriodSeconds", "int64")
                })?),
            };
        self.propagation_policy = text(
            value.get("propagationPolicy"),
            "DeleteOptions.propagationPolicy",
            "v1.DeletionPropagation",
        )?;
        self.orphan_dependents = match value.get("orphanDependents") {
            None | Some(Value::Null) => None,
            Some(flag) => Some(
                flag.as_bool()
                    .ok_or_else(|| wrong_type(flag, "DeleteOptions.orphanDependents", "bool"))?,
            ),
        };
        if let Some(preconditions) = value.get("preconditions") {
            self.precondition_uid = text(
                preconditions.get("uid"),
                "Preconditions.preconditions.uid",
                "types.UID",
            )?;
            self.precondition_resource_version = text(
                preconditions.get("resourceVersion"),
                "Preconditions.preconditions.resourceVersion",
                "string",
            )?;
        }
        match value.get("dryRun") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items
                .iter()
                .map(|item| item.as_str().unwrap_or_default().to_owned())
                .collect()),
            Some(other) => Err(wrong_type(other, "DeleteOptions.dryRun", "[]string")),
        }
    }

    /// Returns the finalizers of an object deleted with these options.
    fn finalizers(&self, object: &Value) -> Vec<String> {
        let present = meta::finalizers(object);
        let policy = match (&self.propagation_policy, self.orphan_dependents) {
            (Some(policy), _) => Some(policy.as_str()),
            (None, Some(true)) => Some("Orphan"),
            (None, Some(false)) => Some("Background"),
            (None, None) => None,
        };
        let mut out: Vec<String> = present
            .iter()
            .filter(|f| policy.is_none() || (**f != meta::ORPHAN && **f != meta::FOREGROUND))
            .map(|f| (*f).to_owned())
            .collect();
        match policy {
            Some("Orphan") => out.push(meta::ORPHAN.to_owned()),
            Some("Foreground") => out.push(meta::FOREGROUND.to_owned()),
            _ => {}
        }
        out
    }
}

fn decode_options(ctx: &RequestContext, body: &[u8]) -> Result<Value, ApiError> {
    let content_type = ctx
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let expected = ctx.resource.is_builtin().then_some(ExpectedKind {
        api_version: "v1",
        kind: "DeleteOptions",
    });
    let content_type = decode::accepted_content_type(content_type, expected)?;
    let value = decode::parse(content_type, body)
        .map_err(|error| ApiError::bad_request(decode::unreadable(&error)))?
        .value;
    if let Some(reason) = go_json::type_meta_error(&value) {
        return Err(ApiError::bad_request(decode::unreadable_type(&reason)));
    }
    let kind = value
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let version = value
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !kind.is_empty() && kind != "DeleteOptions" {
        return Err(ApiError::bad_request(request_object::unknown_kind(
            version, kind,
        )));
    }
    Ok(value)
}

/// The outcome of a delete.
pub(crate) enum DeleteOutcome {
    /// The object was removed; this was its last state.
    Removed(Value),
    /// The object is terminating until its finalizers are removed.
    Terminating(Value),
}

/// `DELETE` of an object.
///
/// # Errors
/// See [`delete_object`]; 400 or 422 for invalid options.
pub(crate) async fn delete(ctx: &RequestContext, body: &[u8]) -> Result<HandlerResponse, ApiError> {
    let options = DeleteOptions::from_request(ctx, body)?;
    let name = ctx.name();
    Ok(match delete_object(ctx, name, &options).await? {
        DeleteOutcome::Terminating(object) => {
            HandlerResponse::new(200, ResponsePayload::Object(object))
        }
        DeleteOutcome::Removed(object) => {
            if ctx.resource.strategy().returns_deleted_object() {
                HandlerResponse::new(200, ResponsePayload::Object(object))
            } else {
                HandlerResponse::new(
                    200,
                    ResponsePayload::Plain(success_status(ctx, name, meta::text(&object, "uid"))),
                )
            }
        }
    })
}

fn success_status(ctx: &RequestContext, name: &str, uid: &str) -> Value {
    let kind = &ctx.resource.kind;
    let mut details = json!({"name": name, "kind": kind.plural, "uid": uid});
    if let (false, Some(details)) = (kind.group.is_empty(), details.as_object_mut()) {
        details.insert("group".to_owned(), kind.group.as_str().into());
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// Deletes an object of the request's collection, or marks it as terminating.
///
/// # Errors
/// 403 for a refused or forbidden delete, 404 for an object that does not exist,
/// 409 for a precondition that is not met.
pub(crate) async fn delete_object(
    ctx: &RequestContext,
    name: &str,
    options: &DeleteOptions,
) -> Result<DeleteOutcome, ApiError> {
    let key = ctx.key(name);
    let strategy = ctx.resource.strategy();
    strategy.check_deletable(name)?;
    for _ in 0..MAX_ATTEMPTS {
        let record = ctx
            .server
            .store
            .snapshot()
            .get(&key)
            .cloned()
            .ok_or_else(|| ctx.not_found(name))?;
        let live = ctx.load(&record)?;
        check_preconditions(ctx, name, &live, options)?;
        let operation = AdmissionOperation::Delete;
        let request = ctx.admission_request(operation, name, None, Some(&live), options.dry_run);
        ctx.check_admission(&request)?;
        ctx.check_policies(&request).await?;
        let mut object = live.clone();
        let finalizers = options.finalizers(&live);
        let live_finalizers: Vec<&str> = meta::finalizers(&live);
        let is_unchanged = live_finalizers.iter().eq(finalizers.iter());
        meta::edit(&mut object, |meta| {
            if finalizers.is_empty() {
                meta.remove("finalizers");
            } else {
                meta.insert("finalizers".to_owned(), finalizers.into());
            }
        });
        let is_first_delete = !meta::is_terminating(&live);
        let now = super::update::current_time(ctx);
        strategy.prepare_for_delete(&mut object, &now);
        let is_held = !meta::finalizers(&object).is_empty() || strategy.is_held(&object);
        if is_held {
            if !is_first_delete && is_unchanged {
                return Ok(DeleteOutcome::Terminating(live));
            }
            if is_first_delete {
                meta::mark_terminating(&mut object, &now, strategy.has_grace_period());
            }
        }
        if options.dry_run {
            return Ok(if is_held {
                DeleteOutcome::Terminating(object)
            } else {
                DeleteOutcome::Removed(live)
            });
        }
        let encoded = ctx.resource.storable(&object);
        let change = if is_held {
            RecordChange::put(move |revision| encoded.at_revision(revision))
        } else {
            RecordChange::delete(move |revision| encoded.at_revision(revision))
        };
        let precondition = WritePrecondition::Revision(record.revision);
        match ctx.server.store.commit(&key, precondition, change).await {
            Ok(committed) => {
                ctx.server
                    .wait_until_in_force(&ctx.resource.kind, committed.revision)
                    .await;
                let object = ctx.load(&committed)?;
                return Ok(if is_held {
                    DeleteOutcome::Terminating(object)
                } else {
                    DeleteOutcome::Removed(object)
                });
            }
            Err(CommitError::Mismatch(_)) => {}
            Err(error) => return Err(create::commit_error(ctx, name, &error)),
        }
    }
    Err(ctx.conflict(name, OPTIMISTIC_LOCK_MESSAGE))
}

fn check_preconditions(
    ctx: &RequestContext,
    name: &str,
    live: &Value,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let kind = &ctx.resource.kind;
    let conflict = |field: &str, expected: &str, actual: &str, hint: &str| {
        ApiError::conflict(
            &kind.group,
            &kind.kind,
            name,
            &format!(
                "the {field} in the precondition ({expected}) does not match the {field} in record ({actual}). The object might have been {hint}"
            ),
        )
    };
    let (uid, revision) = (meta::text(live, "uid"), meta::text(live, "resourceVersion"));
    if let Some(expected) = options
        .precondition_uid
        .as_deref()
        .filter(|expected| *expected != uid)
    {
        return Err(conflict("UID", expected, uid, "deleted and then recreated"));
    }
    if let Some(expected) = options
        .precondition_resource_version
        .as_deref()
        .filter(|expected| *expected != revision)
    {
        return Err(conflict("ResourceVersion", expected, revision, "modified"));
    }
    Ok(())
}
