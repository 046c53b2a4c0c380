//! `rdd version`.

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use crate::output::{CommandReport, OutputArgs};

/// The versions of this build.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionReport {
    version: &'static str,
    engine_interface: &'static str,
    kubernetes_version: &'static str,
    platform: String,
}

impl CommandReport for VersionReport {
    fn text(&self) -> String {
        format!(
            "rdd {}\nengine interface  {}\nKubernetes API    {}\nplatform          {}\n",
            self.version, self.engine_interface, self.kubernetes_version, self.platform
        )
    }

    fn names(&self) -> Vec<String> {
        vec![self.version.to_owned()]
    }
}

/// Prints the versions of this build.
pub(crate) fn run(output: OutputArgs) -> Result<ExitCode> {
    output.print(&VersionReport {
        version: env!("CARGO_PKG_VERSION"),
        engine_interface: rdd_plugin::INTERFACE,
        kubernetes_version: rdd_apiserver::VERSION,
        platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
    })?;
    Ok(ExitCode::SUCCESS)
}
