//! `Accept`: in which form and serialisation a client wants its answer.

use http::HeaderMap;
use http::header::{ACCEPT, USER_AGENT};

use crate::query::Query;
use crate::status::ApiError;

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Yaml,
}

/// What of an object is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    Table,
    Partial,
    PartialList,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) media: Media,
    pub(crate) shape: Shape,
    pub(crate) pretty: bool,
}

impl Format {
    /// Compact JSON of whole objects.
    pub(crate) const JSON: Self = Self {
        media: Media::Json,
        shape: Shape::Whole,
        pretty: false,
    };

    pub(crate) fn content_type(self) -> &'static str {
        match self.media {
            Media::Json => "application/json",
            Media::Yaml => "application/yaml",
        }
    }
}

/// One alternative of an `Accept` header.
pub(crate) struct Clause<'a> {
    pub(crate) media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl Clause<'_> {
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }
}

/// The alternatives of the `Accept` header, best first.
pub(crate) fn clauses(headers: &HeaderMap) -> Vec<Clause<'_>> {
    let mut out: Vec<Clause<'_>> = headers
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
            Clause {
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

fn shape(clause: &Clause<'_>) -> Option<Shape> {
    let shape = match clause.parameter("as") {
        None => return Some(Shape::Whole),
        Some("Table") => Shape::Table,
        Some("PartialObjectMetadata") => Shape::Partial,
        Some("PartialObjectMetadataList") => Shape::PartialList,
        Some(_) => return None,
    };
    let ours = clause.parameter("g") == Some("meta.k8s.io");
    let version = clause.parameter("v") == Some("v1");
    (ours && version).then_some(shape)
}

fn media(clause: &Clause<'_>) -> Option<Media> {
    match clause.media {
        "*/*" | "application/*" | "application/json" => Some(Media::Json),
        "application/yaml" => Some(Media::Yaml),
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
    query: &Query,
    builtin: bool,
) -> Result<Format, ApiError> {
    let pretty = pretty(headers, query);
    let clauses = clauses(headers);
    if clauses.is_empty() {
        return Ok(Format {
            pretty,
            ..Format::JSON
        });
    }
    let served = |clause: &&Clause<'_>| media(clause).is_some();
    if builtin
        && !clauses
            .iter()
            .any(|c| media(c).is_some() && c.media != "application/*")
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
            Some(Format {
                media: media(clause)?,
                shape: shape(clause)?,
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
fn pretty(headers: &HeaderMap, query: &Query) -> bool {
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
