//! The kinds of reviews, and their entries in discovery.

use rdd_apiserver_kinds::{KindOrigin, ResourceKind};

use crate::path::ResourcePath;

/// A kind of review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReviewKind {
    SelfSubject,
    Token,
    SelfSubjectAccess,
    SubjectAccess,
    LocalSubjectAccess,
    SelfSubjectRules,
}

const ALL: [ReviewKind; 6] = [
    ReviewKind::SelfSubject,
    ReviewKind::Token,
    ReviewKind::LocalSubjectAccess,
    ReviewKind::SelfSubjectAccess,
    ReviewKind::SelfSubjectRules,
    ReviewKind::SubjectAccess,
];

impl ReviewKind {
    pub(super) fn group(self) -> &'static str {
        match self {
            Self::SelfSubject | Self::Token => "authentication.k8s.io",
            _ => "authorization.k8s.io",
        }
    }

    pub(super) fn api_version(self) -> String {
        format!("{}/v1", self.group())
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::SelfSubject => "SelfSubjectReview",
            Self::Token => "TokenReview",
            Self::SelfSubjectAccess => "SelfSubjectAccessReview",
            Self::SubjectAccess => "SubjectAccessReview",
            Self::LocalSubjectAccess => "LocalSubjectAccessReview",
            Self::SelfSubjectRules => "SelfSubjectRulesReview",
        }
    }

    /// Returns whether its path contains a namespace.
    pub(super) fn is_namespaced(self) -> bool {
        self == Self::LocalSubjectAccess
    }

    fn plural(self) -> String {
        format!("{}s", self.kind().to_lowercase())
    }
}

/// Returns the kind of review of a path.
pub(super) fn find(path: &ResourcePath) -> Option<ReviewKind> {
    if path.version != "v1" {
        return None;
    }
    ALL.into_iter()
        .find(|review| path.group == review.group() && path.resource == review.plural())
}

/// Returns the kinds of all reviews for discovery.
pub(crate) fn kinds() -> Vec<ResourceKind> {
    ALL.into_iter()
        .map(|review| ResourceKind {
            group: review.group().to_owned(),
            version: "v1".to_owned(),
            plural: review.plural(),
            singular: review.kind().to_lowercase(),
            kind: review.kind().to_owned(),
            list_kind: String::new(),
            short_names: Vec::new(),
            categories: Vec::new(),
            namespaced: review.is_namespaced(),
            verbs: vec!["create"],
            storage_version_hash: String::new(),
            subresources: Vec::new(),
            origin: KindOrigin::Builtin,
        })
        .collect()
}
