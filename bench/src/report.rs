//! The one table that a run prints.

use std::io::Write as _;

use anyhow::Result;

/// Measures, one a line.
#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<[String; 5]>,
}

impl Table {
    /// Adds a measure: its figure, the rival's, what one is to the other, and the bar.
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
        // A run takes minutes: what is known already is worth seeing.
        eprint_line(&line);
        self.lines.push(line);
    }

    /// Prints everything as Markdown to standard output.
    pub(crate) fn print(&self, engine: &str) -> Result<()> {
        let cores = std::thread::available_parallelism()?;
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "{cores} cores, Docker Engine {engine}, rdd built for release"
        )?;
        writeln!(out)?;
        writeln!(out, "| measure | rdd | rival | ratio | bar |")?;
        writeln!(out, "|---|---|---|---|---|")?;
        for line in &self.lines {
            writeln!(out, "| {} |", line.join(" | "))?;
        }
        Ok(())
    }
}

fn eprint_line(line: &[String; 5]) {
    let mut err = std::io::stderr().lock();
    // Progress that nobody can be shown is no reason to lose the run.
    writeln!(err, "{}", line.join("; ")).ok();
}

/// A ratio with the two figures' units gone.
pub(crate) fn ratio(ours: f64, rival: f64) -> String {
    format!("{:.2}", ours / rival)
}

/// Milliseconds, from seconds.
pub(crate) fn ms(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1000.0)
}
