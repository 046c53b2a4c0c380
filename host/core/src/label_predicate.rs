//! Label selectors, which the API server parses and the passthrough uses.

use std::collections::BTreeMap;

/// A parsed label selector.
pub trait LabelPredicate: Send + Sync {
    /// Returns whether an object with these labels is selected.
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool;
}

/// A label selector that cannot be parsed, in the words of kube-apiserver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorTextError(pub String);

/// A parser of label selectors in Kubernetes' syntax.
pub type SelectorParser = fn(&str) -> Result<Box<dyn LabelPredicate>, SelectorTextError>;
