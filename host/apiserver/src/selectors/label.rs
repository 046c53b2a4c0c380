//! Label selectors: `app=x,tier in (1,2),!old`.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
enum Op {
    In,
    NotIn,
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    key: String,
    op: Op,
    values: Vec<String>,
}

/// A parsed label selector; the empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq)]
enum Token {
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

impl Token {
    fn text(&self) -> &str {
        match self {
            Token::Word(word) => word,
            Token::Comma => ",",
            Token::Open => "(",
            Token::Close => ")",
            Token::Equal => "=",
            Token::DoubleEqual => "==",
            Token::NotEqual => "!=",
            Token::Not => "!",
            Token::Greater => ">",
            Token::Less => "<",
            Token::End => "",
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let token = match c {
            ' ' | '\t' | '\r' | '\n' => continue,
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '>' => Token::Greater,
            '<' => Token::Less,
            '=' if chars.next_if_eq(&'=').is_some() => Token::DoubleEqual,
            '=' => Token::Equal,
            '!' if chars.next_if_eq(&'=').is_some() => Token::NotEqual,
            '!' => Token::Not,
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
                Token::Word(word)
            }
        };
        out.push(token);
    }
    out.push(Token::End);
    Ok(out)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn requirements(&mut self) -> Result<Vec<Requirement>, String> {
        let mut out = Vec::new();
        loop {
            match self.peek() {
                Token::Word(_) | Token::Not => {
                    let requirement = self
                        .requirement()
                        .map_err(|why| format!("unable to parse requirement: {why}"))?;
                    out.push(requirement);
                    match self.next() {
                        Token::End => return Ok(out),
                        Token::Comma => {
                            if !matches!(self.peek(), Token::Word(_) | Token::Not) {
                                return Err(format!(
                                    "found '{}', expected: identifier after ','",
                                    self.peek().text()
                                ));
                            }
                        }
                        other => {
                            return Err(format!(
                                "found '{}', expected: ',' or 'end of string'",
                                other.text()
                            ));
                        }
                    }
                }
                Token::End => return Ok(out),
                other => {
                    return Err(format!(
                        "found '{}', expected: !, identifier, or 'end of string'",
                        other.text()
                    ));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = *self.peek() == Token::Not;
        if negated {
            self.next();
        }
        let key = match self.next() {
            Token::Word(word) => word,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        check_key(&key)?;
        if negated {
            return Ok(Requirement {
                key,
                op: Op::Absent,
                values: Vec::new(),
            });
        }
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Ok(Requirement {
                key,
                op: Op::Exists,
                values: Vec::new(),
            });
        }
        let operator = self.next();
        let (op, values) = match &operator {
            Token::Equal | Token::DoubleEqual => (Op::In, vec![self.exact()]),
            Token::NotEqual => (Op::NotIn, vec![self.exact()]),
            Token::Greater | Token::Less => {
                let text = self.exact();
                let number = text.parse::<i64>().map_err(|_| {
                    format!("values[0][{key}]: Invalid value: \"{text}\": for 'Gt', 'Lt' operators, the value must be an integer")
                })?;
                let op = if operator == Token::Greater {
                    Op::Greater(number)
                } else {
                    Op::Less(number)
                };
                (op, Vec::new())
            }
            Token::Word(word) if word == "in" => (Op::In, self.values()?),
            Token::Word(word) if word == "notin" => (Op::NotIn, self.values()?),
            other => {
                return Err(format!(
                    "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                    other.text()
                ));
            }
        };
        for value in &values {
            check_value(&key, value)?;
        }
        Ok(Requirement { key, op, values })
    }

    /// The value after an operator, which may be empty.
    fn exact(&mut self) -> String {
        match self.peek() {
            Token::Word(word) => {
                let word = word.clone();
                self.at += 1;
                word
            }
            _ => String::new(),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        match self.next() {
            Token::Open => {}
            other => return Err(format!("found '{}' expected: '('", other.text())),
        }
        let mut out: Vec<String> = Vec::new();
        loop {
            match self.next() {
                Token::Word(word) => {
                    out.push(word);
                    match self.next() {
                        Token::Comma => {
                            if *self.peek() == Token::Close {
                                out.push(String::new());
                            }
                        }
                        Token::Close => return Ok(out),
                        other => {
                            return Err(format!("found '{}', expected: ',' or ')'", other.text()));
                        }
                    }
                }
                Token::Comma => out.push(String::new()),
                Token::Close => {
                    if out.is_empty() {
                        out.push(String::new());
                    }
                    return Ok(out);
                }
                other => {
                    return Err(format!(
                        "found '{}', expected: ',', ')' or identifier",
                        other.text()
                    ));
                }
            }
        }
    }
}

fn check_key(key: &str) -> Result<(), String> {
    match rdd_apiserver_schema::names::validate_qualified_name(key).first() {
        Some(why) => Err(format!("key: Invalid value: \"{key}\": {why}")),
        None => Ok(()),
    }
}

fn check_value(key: &str, value: &str) -> Result<(), String> {
    match rdd_apiserver_schema::names::validate_label_value(value).first() {
        Some(why) => Err(format!(
            "values[0][{key}]: Invalid value: \"{value}\": {why}"
        )),
        None => Ok(()),
    }
}

impl LabelSelector {
    /// Parses a selector; the text of the error is the real server's.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
        };
        let requirements = parser.requirements()?;
        let size = requirements.iter().map(|term| 1 + term.values.len()).sum();
        super::limited(size)?;
        Ok(Self(requirements))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the labels of an object match.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        self.0.iter().all(|requirement| {
            let value = labels
                .and_then(|labels| labels.get(&requirement.key))
                .and_then(Value::as_str);
            let number = || value.and_then(|text| text.parse::<i64>().ok());
            match requirement.op {
                Op::In => value.is_some_and(|v| requirement.values.iter().any(|w| w == v)),
                Op::NotIn => value.is_none_or(|v| !requirement.values.iter().any(|w| w == v)),
                Op::Exists => value.is_some(),
                Op::Absent => value.is_none(),
                Op::Greater(bound) => number().is_some_and(|n| n > bound),
                Op::Less(bound) => number().is_some_and(|n| n < bound),
            }
        })
    }
}
