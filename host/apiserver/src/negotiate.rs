//! Content negotiation: the media type and the shape that a client accepts.

use http::HeaderMap;
use http::header::{ACCEPT, USER_AGENT};

use crate::query::QueryParams;
use crate::status::ApiError;

/// The encoding of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    Json,
    Yaml,
    Protobuf,
}

/// The representation of an object in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectShape {
    Whole,
    /// `Table`
    Table,
    /// `PartialObjectMetadata`
    PartialMetadata,
    /// `PartialObjectMetadataList`
    PartialMetadataList,
}

/// The negotiated format of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResponseFormat {
    pub(crate) media: MediaType,
    pub(crate) shape: ObjectShape,
    /// Whether JSON is indented.
    pub(crate) pretty: bool,
}

impl ResponseFormat {
    /// Compact JSON of whole objects.
    pub(crate) const JSON: Self = Self {
        media: MediaType::Json,
        shape: ObjectShape::Whole,
        pretty: false,
    };

    pub(crate) fn content_type(self) -> &'static str {
        match self.media {
            MediaType::Json => "application/json",
            MediaType::Yaml => "application/yaml",
            MediaType::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }
}

/// One media range of an `Accept` header.
pub(crate) struct AcceptClause<'a> {
    pub(crate) media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl AcceptClause<'_> {
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }
}

/// Returns the media ranges of the `Accept` headers, the preferred one first.
pub(crate) fn accept_clauses(headers: &HeaderMap) -> Vec<AcceptClause<'_>> {
    let mut out: Vec<AcceptClause<'_>> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|clause| !clause.is_empty())
        .map(|clause| {
            let mut parts = clause.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let parameters: Vec<(&str, &str)> = parts
                .filter_map(|part| part.split_once('='))
                .map(|(key, value)| (key.trim(), value.trim()))
                .collect();
            let quality = parameters
                .iter()
                .find(|(key, _)| *key == "q")
                .and_then(|(_, value)| value.parse().ok())
                .unwrap_or(1.0);
            AcceptClause {
                media,
                parameters,
                quality,
            }
        })
        .collect();
    // Stable: ranges of equal quality keep the client's order.
    out.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    out
}

/// Returns the shape that a media range requests; `None` for an unknown one.
fn requested_shape(clause: &AcceptClause<'_>) -> Option<ObjectShape> {
    let shape = match clause.parameter("as") {
        None => return Some(ObjectShape::Whole),
        Some("Table") => ObjectShape::Table,
        Some("PartialObjectMetadata") => ObjectShape::PartialMetadata,
        Some("PartialObjectMetadataList") => ObjectShape::PartialMetadataList,
        Some(_) => return None,
    };
    let is_served =
        clause.parameter("g") == Some("meta.k8s.io") && clause.parameter("v") == Some("v1");
    is_served.then_some(shape)
}

/// What a path serves, which decides what can be negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndpointKind {
    /// Objects of a built-in kind.
    Builtin,
    /// A list of a built-in kind.
    BuiltinList,
    /// A watch of a built-in kind.
    BuiltinWatch,
    /// Custom resources, whose objects have no protobuf message.
    Custom,
}

/// The media types of objects, in the order of kube-apiserver.
pub(crate) const MEDIA_TYPES: &str =
    "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// The media types of watches.
const STREAM_MEDIA_TYPES: &str =
    "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// Returns 406 with the media types of objects.
fn not_acceptable() -> ApiError {
    ApiError::not_acceptable(format!(
        "only the following media types are accepted: {MEDIA_TYPES}"
    ))
}

/// Returns 406 with the media types of watches.
pub(crate) fn not_acceptable_stream() -> ApiError {
    ApiError::not_acceptable(format!(
        "only the following media types are accepted: {STREAM_MEDIA_TYPES}"
    ))
}

/// Returns the encoding that a media range accepts.
fn served_media_type(clause: &AcceptClause<'_>) -> Option<MediaType> {
    match clause.media {
        "*/*" | "application/*" | "application/json" => Some(MediaType::Json),
        "application/yaml" => Some(MediaType::Yaml),
        "application/vnd.kubernetes.protobuf" => Some(MediaType::Protobuf),
        _ => None,
    }
}

/// Returns whether an endpoint can encode a shape in protobuf: tables have no
/// message, and custom resources only their metadata.
fn has_protobuf(shape: ObjectShape, endpoint: EndpointKind) -> bool {
    match shape {
        ObjectShape::Table => false,
        ObjectShape::PartialMetadata | ObjectShape::PartialMetadataList => true,
        ObjectShape::Whole => endpoint != EndpointKind::Custom,
    }
}

/// Negotiates the format of a response.
///
/// # Errors
/// 406 if the server supports nothing that the client accepts; the message for
/// built-in kinds differs.
pub(crate) fn format(
    headers: &HeaderMap,
    query: &QueryParams,
    endpoint: EndpointKind,
) -> Result<ResponseFormat, ApiError> {
    let pretty = wants_pretty(headers, query);
    let clauses = accept_clauses(headers);
    if clauses.is_empty() {
        return Ok(ResponseFormat {
            pretty,
            ..ResponseFormat::JSON
        });
    }
    if endpoint != EndpointKind::Custom
        && !clauses
            .iter()
            .any(|clause| served_media_type(clause).is_some() && clause.media != "application/*")
    {
        let streams = match endpoint {
            EndpointKind::BuiltinList | EndpointKind::BuiltinWatch => {
                format!(", {STREAM_MEDIA_TYPES}")
            }
            _ => String::new(),
        };
        return Err(ApiError::not_acceptable(format!(
            "406: Not Acceptable\n\nAvailable representations: {MEDIA_TYPES}{streams}"
        ))
        .with_empty_details());
    }
    clauses
        .iter()
        .filter_map(|clause| {
            Some(ResponseFormat {
                media: served_media_type(clause)?,
                shape: requested_shape(clause)?,
                pretty,
            })
        })
        .find(|format| format.media != MediaType::Protobuf || has_protobuf(format.shape, endpoint))
        .ok_or_else(not_acceptable)
}

/// Negotiates the format of a document that is not an object: an error or a
/// discovery document. It is JSON if the client accepts nothing else.
pub(crate) fn document_format(headers: &HeaderMap, query: &QueryParams) -> ResponseFormat {
    let media = accept_clauses(headers)
        .iter()
        .filter(|clause| clause.parameter("as").is_none())
        .find_map(served_media_type)
        .unwrap_or(MediaType::Json);
    ResponseFormat {
        media,
        shape: ObjectShape::Whole,
        pretty: wants_pretty(headers, query),
    }
}

/// Returns whether JSON is indented: as the query says, otherwise for tools that
/// people use interactively, as kube-apiserver does.
fn wants_pretty(headers: &HeaderMap, query: &QueryParams) -> bool {
    if query.raw("pretty").is_some() {
        return query.flag("pretty");
    }
    headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .is_some_and(|agent| {
            ["curl", "Wget", "Mozilla/5.0"]
                .iter()
                .any(|tool| agent.starts_with(tool))
        })
}
