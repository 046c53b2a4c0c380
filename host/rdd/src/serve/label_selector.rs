//! The label selectors of the API server, for the passthrough.

use std::collections::BTreeMap;

use rdd_apiserver::LabelSelector;
use rdd_core::{LabelPredicate, SelectorTextError};

struct ParsedSelector(LabelSelector);

impl LabelPredicate for ParsedSelector {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.matches_labels(labels)
    }
}

/// Parses a label selector in Kubernetes' syntax.
pub(super) fn parse(text: &str) -> Result<Box<dyn LabelPredicate>, SelectorTextError> {
    match LabelSelector::parse(text) {
        Ok(selector) => Ok(Box::new(ParsedSelector(selector))),
        Err(error) => Err(SelectorTextError(error.to_string())),
    }
}
