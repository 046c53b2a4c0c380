//! The table that a run prints. It is Markdown, unlike those of `rdd`.

use std::io::Write as _;

use anyhow::Result;

/// The results, one per row.
#[derive(Default)]
pub(crate) struct BenchmarkReport {
    rows: Vec<[String; 5]>,
}

impl BenchmarkReport {
    /// Adds a result: the measured value, that of the rival, their ratio, and the
    /// goal.
    pub(crate) fn add(
        &mut self,
        measure: impl Into<String>,
        ours: impl Into<String>,
        rival: impl Into<String>,
        ratio: impl Into<String>,
        bar: impl Into<String>,
    ) {
        let line = [
            measure.into(),
            ours.into(),
            rival.into(),
            ratio.into(),
            bar.into(),
        ];
        // A run takes minutes, so show each result as progress.
        eprint_line(&line);
        self.rows.push(line);
    }

    /// Shows what was measured for a row that has only the worst of several values.
    pub(crate) fn show(&self, line: &[String]) {
        eprint_line(line);
    }

    /// Prints the table as Markdown to standard output. `engine` is the version of the
    /// engine, if there is one.
    pub(crate) fn print(&self, engine: Option<&str>) -> Result<()> {
        let cores = std::thread::available_parallelism()?;
        let mut out = std::io::stdout().lock();
        let engine =
            engine.map_or_else(String::new, |version| format!("Docker Engine {version}, "));
        writeln!(out, "{cores} cores, {engine}rdd built for release")?;
        writeln!(out)?;
        writeln!(out, "| measure | rdd | rival | ratio | bar |")?;
        writeln!(out, "|---|---|---|---|---|")?;
        for line in &self.rows {
            writeln!(out, "| {} |", line.join(" | "))?;
        }
        Ok(())
    }
}

fn eprint_line(line: &[String]) {
    let mut err = std::io::stderr().lock();
    // Progress that cannot be shown must not abort the run.
    writeln!(err, "{}", line.join("; ")).ok();
}

/// Formats the ratio of two values with the same unit.
pub(crate) fn ratio(ours: f64, rival: f64) -> String {
    format!("{:.2}", ours / rival)
}

/// Formats seconds as microseconds.
pub(crate) fn microseconds(seconds: f64) -> String {
    format!("{:.0} µs", seconds * 1_000_000.0)
}

/// Formats seconds as milliseconds.
pub(crate) fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1000.0)
}
