//! Translates RE2's syntax into that of the `regex` crate.

use std::iter::Peekable;
use std::str::CharIndices;

use super::error::{PatternError, PatternErrorKind};

/// The largest repeat count that RE2 accepts.
const MAX_REPEAT: u32 = 1000;

/// Returns an equivalent pattern in the syntax of the `regex` crate.
pub(super) fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut translator = Translator {
        pattern,
        chars: pattern.char_indices().peekable(),
        out: String::new(),
    };
    translator.translate()?;
    Ok(translator.out)
}

/// Creates the error for an escape; `escape` is what follows the backslash.
fn invalid_escape(escape: impl std::fmt::Display) -> PatternError {
    PatternError::new(PatternErrorKind::InvalidEscape, format!("\\{escape}"))
}

struct Translator<'a> {
    pattern: &'a str,
    chars: Peekable<CharIndices<'a>>,
    out: String,
}

impl Translator<'_> {
    fn rest(&mut self) -> &str {
        let at = self.chars.peek().map_or(self.pattern.len(), |(at, _)| *at);
        self.pattern.get(at..).unwrap_or_default()
    }

    fn skip(&mut self, characters: usize) {
        for _ in 0..characters {
            self.chars.next();
        }
    }

    fn translate(&mut self) -> Result<(), PatternError> {
        while let Some((_, c)) = self.chars.next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => self.group()?,
                '{' => self.repetition()?,
                c => self.out.push(c),
            }
        }
        Ok(())
    }

    /// Translates what follows a backslash, inside or outside a class.
    fn escape(&mut self, in_class: bool) -> Result<(), PatternError> {
        let Some((_, c)) = self.chars.next() else {
            return Err(PatternError::new(PatternErrorKind::TrailingBackslash, ""));
        };
        let (inner, negated) = match c {
            'd' | 'D' => ("0-9", c == 'D'),
            'w' | 'W' => ("0-9A-Za-z_", c == 'W'),
            's' | 'S' => ("\\t\\n\\x0c\\r ", c == 'S'),
            'b' | 'B' if !in_class => {
                self.out.push_str(&format!("(?-u:\\{c})"));
                return Ok(());
            }
            'Q' if !in_class => {
                self.quoted();
                return Ok(());
            }
            '0'..='7' => return self.octal(c),
            'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' => {
                self.out.extend(['\\', c]);
                // The braces around a code point or a class name are not a repetition.
                if matches!(c, 'x' | 'p' | 'P') && self.rest().starts_with('{') {
                    let named = self
                        .rest()
                        .split_inclusive('}')
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                    self.skip(named.chars().count());
                    self.out.push_str(&named);
                }
                return Ok(());
            }
            'A' | 'z' if !in_class => {
                self.out.extend(['\\', c]);
                return Ok(());
            }
            c if c.is_ascii_punctuation() => {
                // `\<` and `\>` are word boundaries in `regex`.
                self.out.extend((!matches!(c, '<' | '>')).then_some('\\'));
                self.out.push(c);
                return Ok(());
            }
            c => return Err(invalid_escape(c)),
        };
        match (in_class, negated) {
            (true, false) => self.out.push_str(inner),
            (_, true) => self.out.push_str(&format!("[^{inner}]")),
            (false, false) => self.out.push_str(&format!("[{inner}]")),
        }
        Ok(())
    }

    /// Translates an octal escape such as `\123`. A single digit other than zero would be a back-reference, which RE2
    /// does not support.
    fn octal(&mut self, first: char) -> Result<(), PatternError> {
        let mut digits = String::from(first);
        while let Some((_, digit @ '0'..='7')) =
            self.chars.peek().copied().filter(|_| digits.len() < 3)
        {
            digits.push(digit);
            self.skip(1);
        }
        if digits.len() == 1 && first != '0' {
            return Err(invalid_escape(first));
        }
        let code = u32::from_str_radix(&digits, 8).map_err(|_| invalid_escape(&digits))?;
        self.out.push_str(&format!("\\x{{{code:x}}}"));
        Ok(())
    }

    /// Translates a literal: the characters between `\Q` and `\E` or the end of the pattern.
    fn quoted(&mut self) {
        let rest = self.rest();
        let text = rest
            .split_once("\\E")
            .map_or(rest, |(text, _)| text)
            .to_owned();
        self.skip(text.chars().count() + 2);
        self.out.push_str(&regex::escape(&text));
    }

    fn class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        if self.rest().starts_with('^') {
            self.skip(1);
            self.out.push('^');
        }
        let mut first = true;
        while let Some((_, c)) = self.chars.next() {
            match c {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' if self.rest().starts_with(':') && self.rest().contains(":]") => {
                    let name = self
                        .rest()
                        .split_once(":]")
                        .map(|(name, _)| format!("{name}:]"))
                        .unwrap_or_default();
                    self.skip(name.chars().count());
                    self.out.push('[');
                    self.out.push_str(&name);
                }
                '\\' => self.escape(true)?,
                '-' => {
                    self.out.push('-');
                    if self.rest().starts_with('-') {
                        self.skip(1);
                        self.out.push_str("\\-");
                    }
                }
                '[' | ']' | '&' | '~' | '^' => self.out.extend(['\\', c]),
                c => self.out.push(c),
            }
            first = false;
        }
        Err(PatternError::new(
            PatternErrorKind::MissingBracket,
            self.pattern,
        ))
    }

    /// Translates what follows an opening parenthesis. RE2 supports fewer kinds of groups than `regex`.
    fn group(&mut self) -> Result<(), PatternError> {
        self.out.push('(');
        let Some(rest) = self.rest().strip_prefix('?').map(ToOwned::to_owned) else {
            return Ok(());
        };
        let named = rest.starts_with("P<")
            || rest.starts_with('<') && !rest.starts_with("<=") && !rest.starts_with("<!");
        if named {
            return Ok(());
        }
        let flags: String = rest.chars().take_while(|c| "imsU-".contains(*c)).collect();
        let has_end = rest
            .get(flags.len()..)
            .is_some_and(|rest| rest.starts_with([':', ')']));
        if !has_end {
            let start: String = rest.chars().take(1).collect();
            return Err(PatternError::new(
                PatternErrorKind::InvalidPerlSyntax,
                format!("(?{start}"),
            ));
        }
        Ok(())
    }

    /// Translates what follows an opening brace: a repetition has the form `{n}`, `{n,}`, or `{n,m}`; any other brace is
    /// literal.
    fn repetition(&mut self) -> Result<(), PatternError> {
        let counts = self
            .rest()
            .split_once('}')
            .map(|(counts, _)| counts.to_owned())
            .unwrap_or_default();
        let (low, high) = counts.split_once(',').unwrap_or((&counts, ""));
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        if low.is_empty() || !digits(low) || !digits(high) {
            self.out.push_str("\\{");
            return Ok(());
        }
        let too_many = |text: &str| {
            !text.is_empty() && text.parse().map_or(true, |count: u32| count > MAX_REPEAT)
        };
        if too_many(low) || too_many(high) {
            return Err(PatternError::new(
                PatternErrorKind::InvalidRepeatCount,
                format!("{{{counts}}}"),
            ));
        }
        self.out.push('{');
        Ok(())
    }
}
