//! One event of the audit log.

use http::StatusCode;
use http::header::USER_AGENT;
use http::request::Parts;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::AuditLevel;
use super::external_record::ExternalRequest;
use super::request_record::{RequestBody, RequestRecord};
use crate::decode::{self, ContentType};
use crate::limits;
use crate::path::{RequestTarget, ResourcePath, parse};
use crate::query::QueryParams;
use crate::rbac::AccessOutcome;
use crate::request_verb::requested_verb;
use crate::timestamp::rfc3339_micros;
use crate::user::UserInfo;

/// The largest body that an event contains; larger ones are left out, and the event
/// says so.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// The longest request URI and user agent of an event, in bytes.
const MAX_TEXT_BYTES: usize = 4 * 1024;
/// Annotations of this server.
const OMITTED_BODY: &str = "audit.rdd.rancherdesktop.io/request-object";
const LOST_EVENTS: &str = "audit.rdd.rancherdesktop.io/lost-events";
const MISSING_RESPONSE: &str = "audit.rdd.rancherdesktop.io/response";
const NO_RESPONSE: &str = "none: the client disconnected, or the request failed in the server; it may have been carried out";
const DECISION: &str = "authorization.k8s.io/decision";
const REASON: &str = "authorization.k8s.io/reason";

/// An event that is not rendered yet, which the task does.
#[derive(Debug, Clone)]
pub(crate) struct AuditEvent {
    fields: Map<String, Value>,
    annotations: Map<String, Value>,
    body: Option<RequestBody>,
}

impl AuditEvent {
    /// Describes a request when it arrives.
    pub(crate) fn of_request(
        parts: &Parts,
        query: &QueryParams,
        audit_id: &str,
        level: AuditLevel,
        received_at: Timestamp,
    ) -> Self {
        let user = parts.extensions.get::<UserInfo>();
        let agent = parts.headers.get(USER_AGENT).and_then(|a| a.to_str().ok());
        let text = |text: &str| limits::ellipsize(text.to_owned(), MAX_TEXT_BYTES);
        let mut event = Self::new(audit_id, level, received_at);
        // Without the host, which HTTP/2 has in it.
        let uri = parts.uri.path_and_query().map_or("", |uri| uri.as_str());
        event.set("requestURI", text(uri).into());
        event.set("user", user.map_or_else(|| json!({}), UserInfo::to_value));
        if let Some(agent) = agent {
            event.set("userAgent", text(agent).into());
        }
        match parse(parts.uri.path()) {
            RequestTarget::Resource(path) => {
                let verb = requested_verb(&parts.method, &path, query);
                event.set("verb", verb.into());
                event.set("objectRef", object_reference(&path));
            }
            _ => event.set("verb", parts.method.as_str().to_ascii_lowercase().into()),
        }
        event
    }

    /// Describes a request that is served beside the API.
    pub(crate) fn of_external(
        request: &ExternalRequest<'_>,
        audit_id: &str,
        level: AuditLevel,
        received_at: Timestamp,
    ) -> Self {
        let text = |text: &str| limits::ellipsize(text.to_owned(), MAX_TEXT_BYTES);
        let mut event = Self::new(audit_id, level, received_at);
        event.set("requestURI", text(request.uri).into());
        event.set("user", request.user.to_value());
        let agent = request.headers.get(USER_AGENT);
        if let Some(agent) = agent.and_then(|agent| agent.to_str().ok()) {
            event.set("userAgent", text(agent).into());
        }
        let access = &request.access;
        event.set("verb", access.verb.into());
        let path = ResourcePath {
            group: access.group.to_owned(),
            version: request.version.to_owned(),
            namespace: Some(access.namespace.to_owned()),
            resource: access.resource.to_owned(),
            name: Some(text(access.name)),
            subresource: Some(access.subresource.to_owned()),
        };
        event.set("objectRef", object_reference(&path));
        event.set_outcome(request.outcome);
        event
    }

    /// Says how many events were lost.
    pub(crate) fn of_loss(count: u64, now: Timestamp) -> Self {
        let id = uuid::Uuid::new_v4().to_string();
        let mut event = Self::new(&id, AuditLevel::Metadata, now);
        event.set("stage", "ResponseComplete".into());
        event.set("stageTimestamp", rfc3339_micros(now).into());
        event
            .annotations
            .insert(LOST_EVENTS.to_owned(), count.to_string().into());
        event
    }

    fn new(audit_id: &str, level: AuditLevel, received_at: Timestamp) -> Self {
        let level = match level {
            AuditLevel::Metadata => "Metadata",
            AuditLevel::Request => "Request",
        };
        let fields = json!({
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": level,
            "auditID": audit_id,
            "requestReceivedTimestamp": rfc3339_micros(received_at),
        });
        Self {
            fields: match fields {
                Value::Object(fields) => fields,
                _ => Map::new(),
            },
            annotations: Map::new(),
            body: None,
        }
    }

    fn set(&mut self, field: &str, value: Value) {
        self.fields.insert(field.to_owned(), value);
    }

    /// Adds the response, if there was one, and what was learned about the request.
    #[must_use]
    pub(crate) fn with_response(
        mut self,
        record: RequestRecord,
        status: Option<StatusCode>,
        now: Timestamp,
    ) -> Self {
        let is_watch = self.fields.get("verb").is_some_and(|verb| verb == "watch");
        // The response of a watch has only begun.
        let stage = match is_watch && status == Some(StatusCode::OK) {
            true => "ResponseStarted",
            false => "ResponseComplete",
        };
        self = self.at_stage(stage, status, now);
        if let Some(user) = record.impersonated.get() {
            self.set("impersonatedUser", user.to_value());
        }
        if let Some(outcome) = record.outcome.get() {
            self.set_outcome(outcome);
        }
        let body = record.body.into_inner();
        if let Some(omitted) = body.as_ref().filter(|b| b.bytes.len() > MAX_BODY_BYTES) {
            let note = format!("omitted, since it has {} bytes", omitted.bytes.len());
            self.annotations
                .insert(OMITTED_BODY.to_owned(), note.into());
        }
        self.body = body.filter(|body| body.bytes.len() <= MAX_BODY_BYTES);
        self
    }

    /// Adds the stage, and the status code of the response if there was one.
    #[must_use]
    pub(super) fn at_stage(
        mut self,
        stage: &str,
        status: Option<StatusCode>,
        now: Timestamp,
    ) -> Self {
        self.set("stage", stage.into());
        self.set("stageTimestamp", rfc3339_micros(now).into());
        match status {
            Some(status) => self.set("responseStatus", json!({"code": status.as_u16()})),
            None => {
                self.annotations
                    .insert(MISSING_RESPONSE.to_owned(), NO_RESPONSE.into());
            }
        }
        self
    }

    fn set_outcome(&mut self, outcome: &AccessOutcome) {
        let decision = match outcome.allowed {
            true => "allow",
            false => "forbid",
        };
        self.annotations
            .insert(DECISION.to_owned(), decision.into());
        self.annotations
            .insert(REASON.to_owned(), outcome.reason.as_str().into());
    }

    /// Returns about how many bytes of memory the event takes, at least one.
    pub(super) fn weight(&self) -> u32 {
        /// The fields that are always there.
        const BASE: usize = 1024;
        let body = self.body.as_ref().map_or(0, |body| {
            body.bytes.len().saturating_add(body.media_type.len())
        });
        let bytes = [&self.fields, &self.annotations]
            .into_iter()
            .flat_map(Map::values)
            .map(text_bytes)
            .fold(BASE.saturating_add(body), usize::saturating_add);
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Writes the event as one line.
    pub(super) fn render(mut self) -> String {
        if let Some(body) = self.body.take() {
            match decode_body(&body) {
                Ok(object) => self.set("requestObject", object),
                Err(error) => {
                    let note = format!("omitted, since it cannot be read: {error}");
                    let note = limits::ellipsize(note, MAX_TEXT_BYTES);
                    self.annotations
                        .insert(OMITTED_BODY.to_owned(), note.into());
                }
            }
        }
        if !self.annotations.is_empty() {
            let annotations = Value::Object(std::mem::take(&mut self.annotations));
            self.set("annotations", annotations);
        }
        let mut line = Value::Object(self.fields).to_string();
        line.push('\n');
        line
    }
}

/// Returns the bytes of all texts of a value, with an allowance for each.
fn text_bytes(value: &Value) -> usize {
    /// Of a value beside its text.
    const VALUE: usize = 32;
    match value {
        Value::String(text) => VALUE + text.len(),
        Value::Array(items) => items.iter().map(text_bytes).sum::<usize>() + VALUE,
        Value::Object(members) => {
            let members = members.iter();
            members
                .map(|(key, item)| key.len() + text_bytes(item))
                .sum::<usize>()
                + VALUE
        }
        _ => VALUE,
    }
}

fn object_reference(path: &ResourcePath) -> Value {
    let mut reference = Map::new();
    for (field, text) in [
        ("resource", path.resource.as_str()),
        ("namespace", path.namespace.as_deref().unwrap_or_default()),
        ("name", path.name.as_deref().unwrap_or_default()),
        ("apiGroup", path.group.as_str()),
        ("apiVersion", path.version.as_str()),
        (
            "subresource",
            path.subresource.as_deref().unwrap_or_default(),
        ),
    ] {
        if !text.is_empty() {
            reference.insert(field.to_owned(), text.into());
        }
    }
    Value::Object(reference)
}

/// Decodes a body: an object, or a patch.
fn decode_body(body: &RequestBody) -> Result<Value, decode::DecodeError> {
    let media = body.media_type.split(';').next().unwrap_or_default().trim();
    let content_type = match media {
        yaml if yaml.ends_with("yaml") => ContentType::Yaml,
        protobuf if protobuf.ends_with("protobuf") => ContentType::Protobuf,
        _ => ContentType::Json,
    };
    decode::parse(content_type, &body.bytes).map(|decoded| decoded.value)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn event(path: &str) -> AuditEvent {
        let (parts, ()) = Request::get(path).body(()).unwrap().into_parts();
        let query = QueryParams::parse(None);
        AuditEvent::of_request(
            &parts,
            &query,
            "id",
            AuditLevel::Metadata,
            Timestamp::UNIX_EPOCH,
        )
    }

    #[test]
    fn whatever_a_client_can_make_long_counts_as_memory() {
        let long = "x".repeat(60_000);
        let base = event("/api").weight();
        let name = event(&format!("/api/v1/namespaces/default/configmaps/{long}"));
        assert!(name.weight() > base + 60_000, "{}", name.weight());
        let record = RequestRecord::new(true);
        record.impersonated.get_or_init(|| UserInfo {
            groups: vec![long.clone()],
            ..UserInfo::default()
        });
        let impersonated = event("/api").with_response(record, None, Timestamp::UNIX_EPOCH);
        assert!(impersonated.weight() > base + 60_000);
        let record = RequestRecord::new(true);
        record.body.get_or_init(|| RequestBody {
            media_type: String::new(),
            bytes: long.into(),
        });
        let with_body = event("/api").with_response(record, None, Timestamp::UNIX_EPOCH);
        assert!(with_body.weight() > base + 60_000);
    }
}
