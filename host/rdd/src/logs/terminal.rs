//! Filters a container's output for a terminal: only text, white space, and
//! colors (SGR sequences) pass. Other escape sequences could move the cursor, set
//! titles, or make the terminal send input.
//!
//! Written with `vte`: `anstream` removes either all escape sequences or none.

use vte::{Params, Parser, Perform};

/// The SGR parameter of the color red.
pub(super) const RED: &str = "31";

/// The filter of one stream. Sequences may be split between two pieces.
pub(crate) struct TerminalFilter {
    parser: Parser,
    passed: FilteredOutput,
}

impl TerminalFilter {
    /// Creates a filter. `color` is the SGR parameter of the default color, which
    /// a reset within the stream restores.
    pub(crate) fn new(color: Option<&'static str>) -> Self {
        Self {
            parser: Parser::new(),
            passed: FilteredOutput {
                color,
                bytes: Vec::new(),
            },
        }
    }

    /// Returns the part of `bytes` that may be shown.
    pub(crate) fn filter(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Self { parser, passed } = self;
        passed.sgr(passed.color);
        parser.advance(passed, bytes);
        if passed.color.is_some() {
            passed.sgr(Some("0"));
        }
        std::mem::take(&mut passed.bytes)
    }
}

struct FilteredOutput {
    color: Option<&'static str>,
    bytes: Vec<u8>,
}

impl FilteredOutput {
    fn sgr(&mut self, parameters: Option<&str>) {
        if let Some(parameters) = parameters {
            self.bytes
                .extend_from_slice(format!("\x1b[{parameters}m").as_bytes());
        }
    }
}

impl Perform for FilteredOutput {
    fn print(&mut self, character: char) {
        // Some terminals interpret C1 controls as escape sequences.
        if !character.is_control() {
            self.bytes
                .extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn execute(&mut self, byte: u8) {
        if matches!(byte, b'\n' | b'\r' | b'\t') {
            self.bytes.push(byte);
        }
    }

    fn csi_dispatch(
        &mut self,
        parameters: &Params,
        intermediates: &[u8],
        ignore: bool,
        action: char,
    ) {
        if action != 'm' || ignore || !intermediates.is_empty() {
            return;
        }
        let text: Vec<String> = parameters
            .iter()
            .map(|parameter| {
                parameter
                    .iter()
                    .map(u16::to_string)
                    .collect::<Vec<_>>()
                    .join(":")
            })
            .collect();
        self.sgr(Some(&text.join(";")));
        if text.last().is_none_or(|last| last == "0") {
            self.sgr(self.color);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(bytes: &[u8]) -> String {
        String::from_utf8(TerminalFilter::new(None).filter(bytes)).unwrap()
    }

    #[test]
    fn text_and_colors_pass() {
        for text in [
            "plain\n",
            "a\tb\r\n",
            "\x1b[31mred\x1b[0m",
            "\x1b[38;2;1;2;3mtrue\x1b[0m",
            "héllo — 世界\n",
        ] {
            assert_eq!(pass(text.as_bytes()), text);
        }
    }

    #[test]
    fn sequences_that_could_take_over_the_terminal_are_removed() {
        for (text, shown) in [
            ("\x1b]0;title\x07x", "x"),
            ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1b[2J\x1b[Hx", "x"),
            ("\x1b[6nx", "x"),
            ("\x1bP+q544e\x1b\\x", "x"),
            ("\x1bcx", "x"),
            ("\x07\x08\x0e\x0fx", "x"),
            ("\u{9b}2Jx", "2Jx"),
            ("\x1b[?25lx", "x"),
            ("\x1b[>4;1mx", "x"),
        ] {
            assert_eq!(pass(text.as_bytes()), shown, "{text:?}");
        }
    }

    #[test]
    fn a_sequence_split_in_two_is_recognized() {
        let mut filter = TerminalFilter::new(None);
        let mut shown = filter.filter(b"a\x1b]0;ti");
        shown.extend(filter.filter(b"tle\x07b\xe4\xb8"));
        shown.extend(filter.filter(b"\x96"));
        assert_eq!(String::from_utf8(shown).unwrap(), "ab世");
    }

    #[test]
    fn a_reset_restores_the_default_color() {
        let shown = TerminalFilter::new(Some("31")).filter(b"a\x1b[1mb\x1b[0mc");
        assert_eq!(
            String::from_utf8(shown).unwrap(),
            "\x1b[31ma\x1b[1mb\x1b[0m\x1b[31mc\x1b[0m"
        );
    }
}
