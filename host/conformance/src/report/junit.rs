//! The report as JUnit XML, which CI systems display.
//!
//! `quick-junit` is not used: with its five dependencies, among them another
//! version of `vte`, it costs more than these elements.

use std::io::{self, Cursor};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{CaseOutcome, ConformanceReport, ReportError};

type XmlWriter = Writer<Cursor<Vec<u8>>>;

pub(super) fn to_xml(report: &ConformanceReport, backend: &str) -> Result<String, ReportError> {
    let mut writer = Writer::new_with_indent(Cursor::new(Vec::new()), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let (_, failed, skipped) = report.counts();
    let seconds: f64 = report.cases.iter().map(|case| case.seconds).sum();
    let (tests, failed) = (report.cases.len().to_string(), failed.to_string());
    let (skipped, seconds) = (skipped.to_string(), format!("{seconds:.3}"));
    let name = printable(&format!("conformance of {backend}"));
    writer
        .create_element("testsuites")
        .write_inner_content(|writer| {
            writer
                .create_element("testsuite")
                .with_attributes([
                    ("name", name.as_str()),
                    ("tests", tests.as_str()),
                    ("failures", failed.as_str()),
                    ("errors", "0"),
                    ("skipped", skipped.as_str()),
                    ("time", seconds.as_str()),
                ])
                .write_inner_content(|writer| write_cases(writer, report))
                .map(drop)
        })?;
    let mut bytes = writer.into_inner().into_inner();
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(|error| io::Error::other(error).into())
}

fn write_cases(writer: &mut XmlWriter, report: &ConformanceReport) -> io::Result<()> {
    for case in &report.cases {
        let (group, _) = case.name.split_once('/').unwrap_or((&case.name, ""));
        let (class, seconds) = (
            format!("conformance.{group}"),
            format!("{:.3}", case.seconds),
        );
        let element = writer.create_element("testcase").with_attributes([
            ("name", case.name.as_str()),
            ("classname", class.as_str()),
            ("time", seconds.as_str()),
        ]);
        match &case.outcome {
            CaseOutcome::Passed => element.write_empty()?,
            CaseOutcome::Failed { message } => element.write_inner_content(|writer| {
                let message = printable(message);
                writer
                    .create_element("failure")
                    .with_attribute(("message", message.as_str()))
                    .write_text_content(BytesText::new(&message))
                    .map(drop)
            })?,
            CaseOutcome::Skipped { reason } => element.write_inner_content(|writer| {
                let reason = printable(reason);
                writer
                    .create_element("skipped")
                    .with_attribute(("message", reason.as_str()))
                    .write_empty()
                    .map(drop)
            })?,
        };
    }
    Ok(())
}

/// Replaces the characters that XML cannot have, not even escaped.
fn printable(text: &str) -> String {
    let is_allowed = |char: char| {
        matches!(char, '\t' | '\n' | '\r')
            || !(char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}'))
    };
    text.chars()
        .map(|char| if is_allowed(char) { char } else { '\u{fffd}' })
        .collect()
}
