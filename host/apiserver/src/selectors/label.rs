//! Label selectors: `app=x,tier in (1,2),!old`.

use std::collections::BTreeMap;

use rdd_apiserver_schema::names;
use serde_json::Value;

use super::SelectorError;

#[derive(Debug, Clone, PartialEq)]
enum LabelOperator {
    In,
    NotIn,
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

#[derive(Debug, Clone, PartialEq)]
struct LabelRequirement {
    key: String,
    operator: LabelOperator,
    values: Vec<String>,
}

/// A parsed label selector; the empty one matches everything.
///
/// ```
/// use std::collections::BTreeMap;
/// use rdd_apiserver::LabelSelector;
///
/// let selector = LabelSelector::parse("app=web,tier in (front,back),!old")?;
/// let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
///     pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
/// };
/// assert!(selector.matches_labels(&labels(&[("app", "web"), ("tier", "back")])));
/// assert!(!selector.matches_labels(&labels(&[("app", "web")])));
/// # Ok::<(), rdd_apiserver::SelectorError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelSelector(Vec<LabelRequirement>);

#[derive(Debug, Clone, PartialEq)]
enum SelectorToken {
    Word(String),
    Comma,
    Open,
    Close,
    Equal,
    DoubleEqual,
    NotEqual,
    Not,
    Greater,
    Less,
    End,
}

impl SelectorToken {
    fn text(&self) -> &str {
        match self {
            SelectorToken::Word(word) => word,
            SelectorToken::Comma => ",",
            SelectorToken::Open => "(",
            SelectorToken::Close => ")",
            SelectorToken::Equal => "=",
            SelectorToken::DoubleEqual => "==",
            SelectorToken::NotEqual => "!=",
            SelectorToken::Not => "!",
            SelectorToken::Greater => ">",
            SelectorToken::Less => "<",
            SelectorToken::End => "",
        }
    }
}

fn tokenize(text: &str) -> Vec<SelectorToken> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let token = match c {
            ' ' | '\t' | '\r' | '\n' => continue,
            ',' => SelectorToken::Comma,
            '(' => SelectorToken::Open,
            ')' => SelectorToken::Close,
            '>' => SelectorToken::Greater,
            '<' => SelectorToken::Less,
            '=' if chars.next_if_eq(&'=').is_some() => SelectorToken::DoubleEqual,
            '=' => SelectorToken::Equal,
            '!' if chars.next_if_eq(&'=').is_some() => SelectorToken::NotEqual,
            '!' => SelectorToken::Not,
            first => {
                let mut word = String::from(first);
                while let Some(next) = chars.next_if(|c| {
                    !matches!(
                        c,
                        ' ' | '\t' | '\r' | '\n' | ',' | '(' | ')' | '>' | '<' | '=' | '!'
                    )
                }) {
                    word.push(next);
                }
                SelectorToken::Word(word)
            }
        };
        out.push(token);
    }
    out.push(SelectorToken::End);
    out
}

struct SelectorParser {
    tokens: Vec<SelectorToken>,
    position: usize,
}

impl SelectorParser {
    fn peek(&self) -> &SelectorToken {
        self.tokens
            .get(self.position)
            .unwrap_or(&SelectorToken::End)
    }

    fn next(&mut self) -> SelectorToken {
        let token = self.peek().clone();
        self.position += 1;
        token
    }

    fn requirements(&mut self) -> Result<Vec<LabelRequirement>, SelectorError> {
        let mut out = Vec::new();
        loop {
            match self.peek() {
                SelectorToken::Word(_) | SelectorToken::Not => {
                    let requirement = self
                        .requirement()
                        .map_err(|error| SelectorError::Requirement(Box::new(error)))?;
                    out.push(requirement);
                    match self.next() {
                        SelectorToken::End => return Ok(out),
                        SelectorToken::Comma => {
                            if !matches!(self.peek(), SelectorToken::Word(_) | SelectorToken::Not) {
                                return Err(unexpected(self.peek(), "identifier after ','"));
                            }
                        }
                        other => {
                            return Err(unexpected(&other, "',' or 'end of string'"));
                        }
                    }
                }
                SelectorToken::End => return Ok(out),
                other => {
                    return Err(unexpected(other, "!, identifier, or 'end of string'"));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<LabelRequirement, SelectorError> {
        let negated = *self.peek() == SelectorToken::Not;
        if negated {
            self.next();
        }
        let key = match self.next() {
            SelectorToken::Word(word) => word,
            other => return Err(unexpected(&other, "identifier")),
        };
        check_key(&key)?;
        if negated {
            return Ok(LabelRequirement {
                key,
                operator: LabelOperator::Absent,
                values: Vec::new(),
            });
        }
        if matches!(self.peek(), SelectorToken::End | SelectorToken::Comma) {
            return Ok(LabelRequirement {
                key,
                operator: LabelOperator::Exists,
                values: Vec::new(),
            });
        }
        let token = self.next();
        let (operator, values) = match &token {
            SelectorToken::Equal | SelectorToken::DoubleEqual => {
                (LabelOperator::In, vec![self.exact_value()])
            }
            SelectorToken::NotEqual => (LabelOperator::NotIn, vec![self.exact_value()]),
            SelectorToken::Greater | SelectorToken::Less => {
                let text = self.exact_value();
                let number = text
                    .parse::<i64>()
                    .map_err(|_| SelectorError::Integer(text))?;
                let comparison = if token == SelectorToken::Greater {
                    LabelOperator::Greater(number)
                } else {
                    LabelOperator::Less(number)
                };
                (comparison, Vec::new())
            }
            SelectorToken::Word(word) if word == "in" => (LabelOperator::In, self.values()?),
            SelectorToken::Word(word) if word == "notin" => (LabelOperator::NotIn, self.values()?),
            other => {
                return Err(unexpected(other, "in, notin, =, ==, !=, gt, lt"));
            }
        };
        for value in &values {
            check_value(&key, value)?;
        }
        Ok(LabelRequirement {
            key,
            operator,
            values,
        })
    }

    /// Returns the value after an operator, which may be empty.
    fn exact_value(&mut self) -> String {
        match self.peek() {
            SelectorToken::Word(word) => {
                let word = word.clone();
                self.position += 1;
                word
            }
            _ => String::new(),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        match self.next() {
            SelectorToken::Open => {}
            other => {
                return Err(SelectorError::NoValues {
                    found: other.text().to_owned(),
                });
            }
        }
        let mut out: Vec<String> = Vec::new();
        loop {
            match self.next() {
                SelectorToken::Word(word) => {
                    out.push(word);
                    match self.next() {
                        SelectorToken::Comma => {
                            if *self.peek() == SelectorToken::Close {
                                out.push(String::new());
                            }
                        }
                        SelectorToken::Close => return Ok(out),
                        other => {
                            return Err(unexpected(&other, "',' or ')'"));
                        }
                    }
                }
                SelectorToken::Comma => out.push(String::new()),
                SelectorToken::Close => {
                    if out.is_empty() {
                        out.push(String::new());
                    }
                    return Ok(out);
                }
                other => {
                    return Err(unexpected(&other, "',', ')' or identifier"));
                }
            }
        }
    }
}

fn unexpected(found: &SelectorToken, expected: &'static str) -> SelectorError {
    SelectorError::Unexpected {
        found: found.text().to_owned(),
        expected,
    }
}

fn check_key(key: &str) -> Result<(), SelectorError> {
    match names::validate_qualified_name(key).into_iter().next() {
        Some(reason) => Err(SelectorError::Key {
            key: key.to_owned(),
            reason,
        }),
        None => Ok(()),
    }
}

fn check_value(key: &str, value: &str) -> Result<(), SelectorError> {
    match names::validate_label_value(value).into_iter().next() {
        Some(reason) => Err(SelectorError::Value {
            key: key.to_owned(),
            value: value.to_owned(),
            reason,
        }),
        None => Ok(()),
    }
}

impl LabelSelector {
    /// Parses a selector.
    ///
    /// # Errors
    ///
    /// Fails if the text is not a selector, or if it has too many terms and values.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = SelectorParser {
            tokens: tokenize(text),
            position: 0,
        };
        let requirements = parser.requirements()?;
        let size = requirements.iter().map(|term| 1 + term.values.len()).sum();
        super::check_size(size)?;
        Ok(Self(requirements))
    }

    /// Reads a `LabelSelector` in an object, which was validated when it was
    /// written. One that is absent matches everything.
    pub(crate) fn from_object(selector: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let labels = selector["matchLabels"].as_object().into_iter().flatten();
        let labels = labels.map(|(key, value)| LabelRequirement {
            key: key.clone(),
            operator: LabelOperator::In,
            values: vec![text(value)],
        });
        let expressions = selector["matchExpressions"].as_array();
        let expressions = expressions.into_iter().flatten().map(|expression| {
            let values = expression["values"].as_array();
            LabelRequirement {
                key: text(&expression["key"]),
                operator: match expression["operator"].as_str() {
                    Some("NotIn") => LabelOperator::NotIn,
                    Some("Exists") => LabelOperator::Exists,
                    Some("DoesNotExist") => LabelOperator::Absent,
                    _ => LabelOperator::In,
                },
                values: values.into_iter().flatten().map(text).collect(),
            }
        });
        Self(labels.chain(expressions).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the labels of an object match.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        self.matches_values(|key| labels?.get(key)?.as_str())
    }

    /// Returns whether these labels match.
    pub fn matches_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matches_values(|key| labels.get(key).map(String::as_str))
    }

    fn matches_values<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| {
            let value = value_of(&requirement.key);
            let number = || value.and_then(|text| text.parse::<i64>().ok());
            match requirement.operator {
                LabelOperator::In => {
                    value.is_some_and(|v| requirement.values.iter().any(|w| w == v))
                }
                LabelOperator::NotIn => {
                    value.is_none_or(|v| !requirement.values.iter().any(|w| w == v))
                }
                LabelOperator::Exists => value.is_some(),
                LabelOperator::Absent => value.is_none(),
                LabelOperator::Greater(bound) => number().is_some_and(|n| n > bound),
                LabelOperator::Less(bound) => number().is_some_and(|n| n < bound),
            }
        })
    }
}
