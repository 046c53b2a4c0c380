//! What of a container's output a terminal may see: text, white space, and
//! colours (SGR sequences). Anything else could move the cursor, set titles,
//! or make the terminal type.

use vte::{Params, Parser, Perform};

/// Filters one stream; state carries over from one piece to the next.
pub(crate) struct Filter {
    parser: Parser,
    passed: Passed,
}

impl Filter {
    /// `colour` is the SGR parameter that text is shown in; a reset within the
    /// stream returns to it.
    pub(crate) fn new(colour: Option<&'static str>) -> Self {
        Self {
            parser: Parser::new(),
            passed: Passed {
                colour,
                bytes: Vec::new(),
            },
        }
    }

    /// What of `bytes` may be shown.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Self { parser, passed } = self;
        passed.sgr(passed.colour);
        parser.advance(passed, bytes);
        if passed.colour.is_some() {
            passed.sgr(Some("0"));
        }
        std::mem::take(&mut passed.bytes)
    }
}

struct Passed {
    colour: Option<&'static str>,
    bytes: Vec<u8>,
}

impl Passed {
    fn sgr(&mut self, parameters: Option<&str>) {
        if let Some(parameters) = parameters {
            self.bytes
                .extend_from_slice(format!("\x1b[{parameters}m").as_bytes());
        }
    }
}

impl Perform for Passed {
    fn print(&mut self, character: char) {
        // C1 controls are sequences of their own to some terminals.
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
            self.sgr(self.colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(bytes: &[u8]) -> String {
        String::from_utf8(Filter::new(None).pass(bytes)).unwrap()
    }

    #[test]
    fn text_and_colours_pass() {
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
    fn what_could_take_the_terminal_over_does_not_pass() {
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
    fn a_sequence_cut_in_two_is_still_one() {
        let mut filter = Filter::new(None);
        let mut shown = filter.pass(b"a\x1b]0;ti");
        shown.extend(filter.pass(b"tle\x07b\xe4\xb8"));
        shown.extend(filter.pass(b"\x96"));
        assert_eq!(String::from_utf8(shown).unwrap(), "ab世");
    }

    #[test]
    fn standard_error_is_coloured_and_a_reset_returns_to_that_colour() {
        let shown = Filter::new(Some("31")).pass(b"a\x1b[1mb\x1b[0mc");
        assert_eq!(
            String::from_utf8(shown).unwrap(),
            "\x1b[31ma\x1b[1mb\x1b[0m\x1b[31mc\x1b[0m"
        );
    }
}
