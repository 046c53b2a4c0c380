//! `Accept`: in which form and serialisation a client wants its answer.

use http::HeaderMap;
use http::header::{ACCEPT, USER_AGENT};

use crate::query::QueryParams;
use crate::status::ApiError;

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    Json,
    Yaml,
}

/// What of an object is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectShape {
    Whole,
    Table,
    PartialMetadata,
    PartialMetadataList,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResponseFormat {
    pub(crate) media: MediaType,
    pub(crate) shape: ObjectShape,
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
        }
    }
}

/// One alternative of an `Accept` header.
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

/// The alternatives of the `Accept` header, best first.
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
    // A stable sort: among equals the client's order counts.
    out.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    out
}

fn requested_shape(clause: &AcceptClause<'_>) -> Option<ObjectShape> {
    let shape = match clause.parameter("as") {
        None => return Some(ObjectShape::Whole),
        Some("Table") => ObjectShape::Table,
        Some("PartialObjectMetadata") => ObjectShape::PartialMetadata,
        Some("PartialObjectMetadataList") => ObjectShape::PartialMetadataList,
        Some(_) => return None,
    };
    let ours = clause.parameter("g") == Some("meta.k8s.io");
    let version = clause.parameter("v") == Some("v1");
    (ours && version).then_some(shape)
}

fn served_media_type(clause: &AcceptClause<'_>) -> Option<MediaType> {
    match clause.media {
        "*/*" | "application/*" | "application/json" => Some(MediaType::Json),
        "application/yaml" => Some(MediaType::Yaml),
        _ => None,
    }
}

/// Chooses the form of an answer.
///
/// # Errors
/// 406 when nothing that the client accepts can be served; `builtin` kinds
/// word it differently.
pub(crate) fn format(
    headers: &HeaderMap,
    query: &QueryParams,
    builtin: bool,
) -> Result<ResponseFormat, ApiError> {
    let pretty = wants_pretty(headers, query);
    let clauses = accept_clauses(headers);
    if clauses.is_empty() {
        return Ok(ResponseFormat {
            pretty,
            ..ResponseFormat::JSON
        });
    }
    let served = |clause: &&AcceptClause<'_>| served_media_type(clause).is_some();
    if builtin
        && !clauses
            .iter()
            .any(|c| served_media_type(c).is_some() && c.media != "application/*")
    {
        return Err(ApiError::not_acceptable(
            "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml",
        )
        .with_empty_details());
    }
    clauses
        .iter()
        .filter(served)
        .find_map(|clause| {
            Some(ResponseFormat {
                media: served_media_type(clause)?,
                shape: requested_shape(clause)?,
                pretty,
            })
        })
        .ok_or_else(|| {
            ApiError::not_acceptable(
                "only the following media types are accepted: application/json, application/yaml",
            )
        })
}

/// Whether JSON is indented: by parameter, else for people's own tools.
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
