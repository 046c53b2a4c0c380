//! The conformance kit: a table of named cases that check whether a backend
//! keeps the contract, whatever form it is delivered in.
//!
//! A [`BackendTarget`] starts instances of the backend; a [`TestEnvironment`]
//! sets up the engine's objects and disturbs the engine, as far as it can. A case
//! that cannot be set up is skipped with the reason. A case that fails says what
//! was expected, what was seen, and which sentence of the WIT package that
//! violates. `docs/conformance.md` lists the cases.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use rdd_conformance::{BackendTarget, ConformanceSuite, SuiteOptions, ToyEnvironment};
//! use rdd_toy_engine::ToyEngine;
//!
//! # async fn example(backend: Arc<dyn BackendTarget>) {
//! let environment = Arc::new(ToyEnvironment::new(ToyEngine::new()));
//! let suite = ConformanceSuite::new(backend, environment, SuiteOptions::default());
//! let report = suite.run(|_| {}).await;
//! println!("{}", report.to_text());
//! # }
//! ```

// In layers: each module uses only those after it.

mod suite;

mod cases;
mod report;

mod reading;
mod reflector;

mod case;

mod environment;
mod rules;
mod target;

pub use case::{CaseFailure, ConformanceCase};
pub use cases::table;
pub use environment::{
    EngineDisturbance, EngineEnvironment, ExecScript, ImageReference, ImageReferenceError,
    SetupError, TestContainerSpec, TestEnvironment, ToyEnvironment, TransferSpec,
};
pub use report::{CaseOutcome, CaseRecord, ConformanceReport, ReportError};
pub use rules::{ContractRule, all_rules};
pub use suite::{ConformanceSuite, FilterError, NameFilter, SuiteOptions};
pub use target::{BackendTarget, ResourceUsage, TargetError};
