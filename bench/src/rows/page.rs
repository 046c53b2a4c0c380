//! The web page in a browser. What is measured, and how, is in
//! `host/web/ui/browser`: only JavaScript can drive the browser and look into it.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::BenchmarkConfig;
use crate::report::BenchmarkReport;

/// A line that the script prints for each result.
#[derive(Debug, Deserialize, PartialEq)]
struct PageResult {
    measure: String,
    value: String,
    bar: String,
}

impl PageResult {
    fn parse(line: &str) -> Result<Self> {
        serde_json::from_str(line)
            .with_context(|| format!("a result of the page is not what was expected: {line:?}"))
    }
}

/// Runs the script, which installs what it needs or names what is missing.
pub(crate) async fn run(bench: &BenchmarkConfig, table: &mut BenchmarkReport) -> Result<()> {
    let script = bench
        .page_script
        .as_ref()
        .context("these rows need --page-script scripts/page")?;
    let mut child = Command::new(script)
        .arg("bench")
        .arg(&bench.rdd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {}", script.display()))?;
    let stdout = child.stdout.take().context("the script has no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut count = 0;
    while let Some(line) = lines.next_line().await? {
        let PageResult {
            measure,
            value,
            bar,
        } = PageResult::parse(&line)?;
        table.add(measure, value, "–", "–", bar);
        count += 1;
    }
    let status = child.wait().await?;
    ensure!(
        status.success(),
        "{} bench failed with {status}; its message is above",
        script.display()
    );
    ensure!(count > 0, "the page was not measured");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_a_line_of_json() {
        let line = r#"{"measure":"first paint of the page","value":"120 ms","bar":"≤ 300 ms"}"#;
        let expected = PageResult {
            measure: "first paint of the page".to_owned(),
            value: "120 ms".to_owned(),
            bar: "≤ 300 ms".to_owned(),
        };
        assert_eq!(PageResult::parse(line).unwrap(), expected);
    }

    #[test]
    fn another_line_is_an_error_that_has_it() {
        let error = PageResult::parse("npm notice").unwrap_err();
        assert!(error.to_string().contains("npm notice"), "{error}");
    }
}
