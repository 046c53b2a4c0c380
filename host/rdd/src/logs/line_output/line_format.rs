//! The formats in which lines are printed.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use regex::bytes::Regex;
use serde::Serialize;

use super::line_assembler::LogLine;
use super::line_template::LineTemplate;
use crate::logs::mux_client::LogId;

/// The colors of containers, in the order in which they join: none of them is the
/// red of standard error.
const CONTAINER_COLORS: [&str; 10] = ["36", "33", "32", "35", "34", "96", "93", "92", "95", "94"];
/// Reverse video on and off, which leaves the colors of the line as they are.
const HIGHLIGHT: (&[u8], &[u8]) = (b"\x1b[7m", b"\x1b[27m");
const RESET: &[u8] = b"\x1b[0m";

/// The length of an ID in place of a name.
const SHORT_ID: usize = 12;

/// Where lines come from.
#[derive(Debug)]
pub(crate) struct LogSource {
    pub(crate) log: LogId,
    /// The container's name, or its short ID if it has none.
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    color: &'static str,
}

impl LogSource {
    /// Creates the source that joins as the given number.
    pub(super) fn new(
        log: LogId,
        name: String,
        labels: BTreeMap<String, String>,
        number: usize,
    ) -> Self {
        let name = if name.is_empty() {
            log.chars().take(SHORT_ID).collect()
        } else {
            name
        };
        Self {
            log,
            name,
            labels,
            color: CONTAINER_COLORS[number % CONTAINER_COLORS.len()],
        }
    }
}

/// The form of a line.
#[derive(Debug)]
pub(crate) enum LineForm {
    /// With the container's name in front, if there are several.
    Default,
    /// The bytes alone.
    Raw,
    /// An object.
    Json,
    /// A template.
    Template(Box<LineTemplate>),
}

/// How lines are printed.
#[derive(Debug)]
pub(crate) struct LineFormat {
    pub(crate) form: LineForm,
    pub(crate) has_prefix: bool,
    pub(crate) has_timestamps: bool,
    /// Whether standard output and standard error are printed with colors.
    pub(crate) use_color: [bool; 2],
    pub(crate) highlight: Option<Regex>,
}

#[derive(Serialize)]
struct LineObject<'a> {
    time: String,
    container: &'a str,
    id: &'a str,
    stream: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl LineFormat {
    /// Appends a line, with its newline. `name_width` is the length of the longest
    /// name.
    ///
    /// # Errors
    ///
    /// Fails if the template cannot be used for the line.
    pub(super) fn put(
        &self,
        buffer: &mut Vec<u8>,
        source: &LogSource,
        line: &LogLine,
        name_width: usize,
    ) -> Result<(), minijinja::Error> {
        match &self.form {
            LineForm::Json => self.put_json(buffer, source, line),
            LineForm::Template(template) => {
                buffer.extend_from_slice(template.format(source, line)?.as_bytes());
            }
            LineForm::Default | LineForm::Raw => {
                let use_color = self.use_color[usize::from(line.is_stderr)];
                if self.has_prefix {
                    put_prefix(buffer, source, name_width, use_color);
                }
                if self.has_timestamps {
                    put_time(buffer, line.time);
                }
                self.put_message(buffer, &line.bytes, use_color);
            }
        }
        buffer.push(b'\n');
        Ok(())
    }

    fn put_json(&self, buffer: &mut Vec<u8>, source: &LogSource, line: &LogLine) {
        let text = std::str::from_utf8(&line.bytes).ok();
        let object = LineObject {
            time: display_time(line.time),
            container: &source.name,
            id: &source.log,
            stream: stream_name(line.is_stderr),
            text,
            base64: text.is_none().then(|| STANDARD.encode(&line.bytes)),
        };
        // Strings only, and a vector that grows: nothing can fail.
        serde_json::to_writer(buffer, &object).ok();
    }

    fn put_message(&self, buffer: &mut Vec<u8>, bytes: &[u8], use_color: bool) {
        let highlight = self.highlight.as_ref().filter(|_| use_color);
        let matches = highlight.map(|regex| regex.find_iter(bytes).map(|found| found.range()));
        put_highlighted(buffer, bytes, matches.into_iter().flatten());
        if use_color && self.has_prefix && bytes.contains(&b'\x1b') {
            // The next line may be of another container.
            buffer.extend_from_slice(RESET);
        }
    }
}

fn put_highlighted(
    buffer: &mut Vec<u8>,
    bytes: &[u8],
    matches: impl Iterator<Item = Range<usize>>,
) {
    let mut printed = 0;
    for found in matches.filter(|found| !found.is_empty()) {
        buffer.extend_from_slice(&bytes[printed..found.start]);
        buffer.extend_from_slice(HIGHLIGHT.0);
        buffer.extend_from_slice(&bytes[found.clone()]);
        buffer.extend_from_slice(HIGHLIGHT.1);
        printed = found.end;
    }
    buffer.extend_from_slice(&bytes[printed..]);
}

fn put_prefix(buffer: &mut Vec<u8>, source: &LogSource, width: usize, use_color: bool) {
    let (color, reset) = if use_color {
        (format!("\x1b[{}m", source.color), RESET)
    } else {
        (String::new(), &b""[..])
    };
    // Writing to a vector cannot fail.
    write!(buffer, "{color}{:<width$} |", source.name).ok();
    buffer.extend_from_slice(reset);
    buffer.push(b' ');
}

/// Appends a time as `docker logs -t` does.
pub(super) fn put_time(buffer: &mut Vec<u8>, time: i64) {
    // Writing to a vector cannot fail.
    write!(buffer, "{} ", display_time(time)).ok();
}

/// Returns a time in RFC 3339 with nine decimal places.
pub(super) fn display_time(time: i64) -> String {
    format!(
        "{:.9}",
        // All nanoseconds of 64 bits are in jiff's range.
        Timestamp::from_nanosecond(time.into()).unwrap_or_default()
    )
}

/// Returns the name of a stream.
pub(super) fn stream_name(is_stderr: bool) -> &'static str {
    if is_stderr { "stderr" } else { "stdout" }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::Bytes;

    use super::*;

    fn format(form: LineForm) -> LineFormat {
        LineFormat {
            form,
            has_prefix: true,
            has_timestamps: false,
            use_color: [false, false],
            highlight: None,
        }
    }

    fn printed(format: &LineFormat, is_stderr: bool, bytes: &[u8]) -> String {
        let labels = BTreeMap::from([("app".to_owned(), "x".to_owned())]);
        let source = LogSource::new("0123456789abcdef".into(), "web".to_owned(), labels, 1);
        let line = LogLine {
            time: 1_500_000_000,
            is_stderr,
            bytes: Bytes::copy_from_slice(bytes),
            cost: 0,
        };
        let mut buffer = Vec::new();
        format.put(&mut buffer, &source, &line, 5).unwrap();
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn names_are_padded_to_the_longest() {
        assert_eq!(
            printed(&format(LineForm::Default), false, b"hi"),
            "web   | hi\n"
        );
        let nameless = LogSource::new("0123456789abcdef".into(), String::new(), BTreeMap::new(), 0);
        assert_eq!(nameless.name, "0123456789ab");
    }

    #[test]
    fn times_have_nine_decimal_places() {
        let format = LineFormat {
            has_prefix: false,
            has_timestamps: true,
            ..format(LineForm::Raw)
        };
        assert_eq!(
            printed(&format, false, b"hi"),
            "1970-01-01T00:00:01.500000000Z hi\n"
        );
        assert_eq!(display_time(-1), "1969-12-31T23:59:59.999999999Z");
        for time in [i64::MIN, i64::MAX] {
            assert_ne!(display_time(time), display_time(0));
        }
    }

    #[test]
    fn json_has_text_or_base64() {
        let format = format(LineForm::Json);
        assert_eq!(
            printed(&format, false, b"a \"b\""),
            concat!(
                r#"{"time":"1970-01-01T00:00:01.500000000Z","container":"web","id":"0123456789abcdef","#,
                r#""stream":"stdout","text":"a \"b\""}"#,
                "\n"
            )
        );
        let line = printed(&format, true, b"\xff\x00");
        assert!(
            line.contains(r#""stream":"stderr","base64":"/wA="}"#),
            "{line}"
        );
    }

    #[test]
    fn a_template_has_the_parts_of_a_line_and_of_json() {
        let template = |text: &str| {
            let template = LineTemplate::new(text).unwrap();
            format(LineForm::Template(Box::new(template)))
        };
        assert_eq!(
            printed(
                &template("{{ container }}/{{ labels.app }} {{ stream }}: {{ message }}"),
                true,
                b"hi"
            ),
            "web/x stderr: hi\n"
        );
        let message = template(
            "{% set m = message | fromjson %}{{ m.level if m else '-' }} {{ m.msg if m else message }}",
        );
        assert_eq!(
            printed(&message, false, br#"{"level": "warn", "msg": "full"}"#),
            "warn full\n"
        );
        assert_eq!(printed(&message, false, b"plain"), "- plain\n");
        assert!(LineTemplate::new("{{ a").is_err());
    }

    #[test]
    fn colors_tell_containers_apart_and_matches_are_reversed() {
        let format = LineFormat {
            use_color: [true, false],
            highlight: Some(Regex::new("b+|$").unwrap()),
            ..format(LineForm::Default)
        };
        assert_eq!(
            printed(&format, false, b"abba"),
            "\x1b[33mweb   |\x1b[0m a\x1b[7mbb\x1b[27ma\n"
        );
        assert_eq!(
            printed(&format, false, b"\x1b[31mred"),
            "\x1b[33mweb   |\x1b[0m \x1b[31mred\x1b[0m\n"
        );
        assert_eq!(printed(&format, true, b"abba"), "web   | abba\n");
    }
}
