//! The result of a run, as text, JSON, and JUnit XML.

mod junit;

use serde::{Deserialize, Serialize};

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum CaseOutcome {
    /// The backend keeps the contract here.
    Passed,
    /// The backend violates the contract, or the case broke.
    Failed {
        /// One sentence that names the fault.
        message: String,
    },
    /// The case cannot be set up.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// A case with its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// The name.
    pub name: String,
    /// The result.
    #[serde(flatten)]
    pub outcome: CaseOutcome,
    /// How long it took.
    pub seconds: f64,
}

impl CaseRecord {
    /// Returns the result as one line.
    pub fn to_text(&self) -> String {
        let Self { name, .. } = self;
        match &self.outcome {
            CaseOutcome::Passed => format!("pass  {name}\n"),
            CaseOutcome::Failed { message } => format!("FAIL  {name}: {message}\n"),
            CaseOutcome::Skipped { reason } => format!("skip  {name}: {reason}\n"),
        }
    }
}

/// The results of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConformanceReport {
    /// The cases in the order of the table.
    pub cases: Vec<CaseRecord>,
    /// What was created and could not be removed.
    #[serde(default)]
    pub leftovers: Vec<String>,
}

/// A report that cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// As JSON.
    #[error("cannot write the report as JSON")]
    Json(#[from] serde_json::Error),
    /// As JUnit XML.
    #[error("cannot write the report as JUnit XML")]
    Junit(#[from] std::io::Error),
}

impl ConformanceReport {
    /// Returns whether no case failed.
    pub fn is_conformant(&self) -> bool {
        self.failed().is_empty()
    }

    /// Returns the names of the cases that failed.
    pub fn failed(&self) -> Vec<&str> {
        self.names(|outcome| matches!(outcome, CaseOutcome::Failed { .. }))
    }

    /// Returns the names of the cases that were skipped.
    pub fn skipped(&self) -> Vec<&str> {
        self.names(|outcome| matches!(outcome, CaseOutcome::Skipped { .. }))
    }

    fn names(&self, select: impl Fn(&CaseOutcome) -> bool) -> Vec<&str> {
        self.cases
            .iter()
            .filter(|case| select(&case.outcome))
            .map(|case| case.name.as_str())
            .collect()
    }

    /// Returns the number of cases that passed, failed, and were skipped.
    pub fn counts(&self) -> (usize, usize, usize) {
        let (failed, skipped) = (self.failed().len(), self.skipped().len());
        (self.cases.len() - failed - skipped, failed, skipped)
    }

    /// Returns the summary and what was left behind.
    pub fn summary(&self) -> String {
        let (passed, failed, skipped) = self.counts();
        let mut text = format!("{passed} passed, {failed} failed, {skipped} skipped\n");
        for leftover in &self.leftovers {
            text.push_str(&format!("not removed: {leftover}\n"));
        }
        text
    }

    /// Returns the report as text: a line for each case, and a summary.
    pub fn to_text(&self) -> String {
        let mut text: String = self.cases.iter().map(CaseRecord::to_text).collect();
        text.push_str(&self.summary());
        text
    }

    /// Returns the report as JSON.
    ///
    /// # Errors
    ///
    /// Fails only on a bug.
    pub fn to_json(&self) -> Result<String, ReportError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Returns the report as JUnit XML. The group of a case is its class.
    ///
    /// # Errors
    ///
    /// Fails only on a bug.
    pub fn to_junit(&self, backend: &str) -> Result<String, ReportError> {
        junit::to_xml(self, backend)
    }
}
