//! Server-side apply.

use rdd_apiserver_kinds::go_json;
use serde_json::{Map, Value, json};

use super::create;
use super::handler_response::HandlerResponse;
use super::managed_fields;
use super::patch::ensure_name;
use super::request_object;
use super::scale;
use super::update::{self, ObjectUpdate, UpdateKind};
use super::write_options::{FieldValidation, WriteOptions};
use crate::authorization;
use crate::decode::{self, YamlError};
use crate::meta;
use crate::request_context::RequestContext;
use crate::status::{ALREADY_EXISTS, ApiError};
use crate::strategy::{NormalizeError, NullPolicy};

/// The type of a scale.
const SCALE_API_VERSION: &str = "autoscaling/v1";
const SCALE_KIND: &str = "Scale";

/// Applies a configuration (server-side apply), and creates the object if it does
/// not exist.
pub(super) async fn apply(
    ctx: &RequestContext,
    body: &[u8],
    options: &WriteOptions,
) -> Result<HandlerResponse, ApiError> {
    let document = decode::parse_yaml(body).map_err(|error| {
        let action = match error {
            YamlError::Syntax { .. } => "error converting YAML to JSON: ",
            _ => "",
        };
        ApiError::bad_request(format!("error decoding YAML: {action}{error}"))
    })?;
    let mut applied = match document.value {
        Value::Null => Value::Object(Map::new()),
        value => value,
    };
    let kind = &ctx.resource.kind;
    if !applied.is_object() {
        return Err(ApiError::bad_request(format!(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: {}",
            go_json::cannot_unmarshal(&applied, "map[string]interface {}")
        )));
    }
    let text = |key: &str| {
        applied
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (sent_version, sent_kind) = (text("apiVersion"), text("kind"));
    let is_scale = ctx.path.subresource.as_deref() == Some("scale");
    let (api_version, kind_name) = if is_scale {
        (SCALE_API_VERSION.to_owned(), SCALE_KIND)
    } else {
        (kind.api_version(), kind.kind.as_str())
    };
    if sent_version != api_version || sent_kind != kind_name {
        // The version alone names the core group.
        let separator = if sent_version.contains('/') { "" } else { "/" };
        return Err(ApiError::bad_request(format!(
            "invalid object type: {separator}{sent_version}, Kind={sent_kind}"
        )));
    }
    if applied
        .pointer("/metadata/managedFields")
        .is_some_and(|fields| !fields.is_null())
    {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    meta::object_meta::decode_object_meta(&mut applied)
        .map_err(|error| request_object::decode_error(ctx, &kind.kind, error))?;
    meta::edit(&mut applied, |meta| {
        meta.remove("managedFields");
    });
    if meta::text(&applied, "name").is_empty() {
        let name = ctx.name().to_owned();
        meta::set(&mut applied, "name", &name);
    }
    // The configuration stays without the namespace, which messages quote.
    ensure_name(ctx, &mut applied.clone())?;
    if is_scale {
        return Err(apply_scale(ctx, &applied, options));
    }
    request_object::handle_strict_errors(ctx, options.validation, document.duplicates)?;
    let key = ctx.key(ctx.name());
    if ctx.server.store.snapshot().get(&key).is_none() {
        if ctx.path.subresource.is_some() {
            return Err(ctx.not_found(ctx.name()));
        }
        match create_applied(ctx, &applied, options).await {
            // Another writer has created it meanwhile: update it.
            Err(error) if error.reason() == ALREADY_EXISTS => {}
            result => return result,
        }
    }
    update::guaranteed_update(ctx, options, UpdateKind::Patch, |live| {
        let mut object = managed_fields::apply(ctx, Some(live), &applied, options)?;
        request_object::ensure_namespace(ctx, &mut object)?;
        let strict_errors = request_object::normalize(ctx, &mut object, NullPolicy::Keep)
            .map_err(|error| not_convertible(ctx, &applied, &error))?;
        if let (FieldValidation::Strict, Some(first)) = (options.validation, strict_errors.first())
        {
            return Err(ApiError::untyped(first.clone()));
        }
        Ok(ObjectUpdate {
            object,
            is_applied: true,
        })
    })
    .await
}

/// Returns the error of an apply of a scale: kube-apiserver reports conflicts, but
/// cannot store the scale of a custom resource in this way.
fn apply_scale(ctx: &RequestContext, applied: &Value, options: &WriteOptions) -> ApiError {
    let check = || {
        let paths = scale::scale_paths(ctx)?;
        let snapshot = ctx.server.store.snapshot();
        let record = snapshot
            .get(&ctx.key(ctx.name()))
            .ok_or_else(|| ctx.not_found(ctx.name()))?;
        let live = ctx.load(record)?;
        let kind = &ctx.resource.kind;
        let bare = json!({
            "apiVersion": kind.api_version(),
            "kind": kind.kind,
            "metadata": {"name": ctx.name()},
        });
        let mut configuration = paths
            .apply_scale(applied, &bare)
            .map_err(|cause| create::invalid_object(ctx, &live, vec![cause]))?;
        meta::edit(&mut configuration, |meta| {
            meta.remove("resourceVersion");
        });
        managed_fields::apply(ctx, Some(&live), &configuration, options)
    };
    check().err().unwrap_or_else(|| {
        ApiError::untyped(format!(
            "failed to convert new object ({}/{}; {SCALE_API_VERSION}, Kind={SCALE_KIND}) to proper version: request to convert CR to an invalid group/version: {SCALE_API_VERSION}",
            meta::text(applied, "namespace"),
            ctx.name()
        ))
    })
}

async fn create_applied(
    ctx: &RequestContext,
    applied: &Value,
    options: &WriteOptions,
) -> Result<HandlerResponse, ApiError> {
    let uid = meta::text(applied, "uid");
    if !uid.is_empty() {
        // A new object gets its UID from the server.
        let kind = &ctx.resource.kind;
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(ApiError::conflict(
            &kind.group,
            &kind.plural,
            ctx.name(),
            &why,
        ));
    }
    authorization::check_create(ctx)?;
    let mut object = managed_fields::apply(ctx, None, applied, options)?;
    request_object::ensure_namespace(ctx, &mut object)?;
    request_object::normalize(ctx, &mut object, NullPolicy::Keep)
        .map_err(|error| not_convertible(ctx, applied, &error))?;
    create::create_object(ctx, object, options, &create::ManagedFieldsPolicy::Applied).await
}

/// Returns the error of a configuration with a value that its kind cannot have.
fn not_convertible(ctx: &RequestContext, applied: &Value, error: &NormalizeError) -> ApiError {
    if !matches!(error, NormalizeError::Builtin(_)) {
        return ApiError::untyped(error.to_string());
    }
    let reason = error.converter_message();
    let kind = format!(
        "{}, Kind={}",
        ctx.resource.kind.api_version(),
        ctx.resource.kind.kind
    );
    // Upstream writes the group of the core kinds, which is empty.
    let separator = if kind.contains('/') { "" } else { "/" };
    ApiError::untyped(format!(
        "failed to convert new object ({}/{}; {separator}{kind}) to proper version: unable to convert unstructured object to {separator}{kind}: {reason}",
        meta::text(applied, "namespace"),
        ctx.name()
    ))
}
