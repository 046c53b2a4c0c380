//! Templates of `rdd logs -o template`.

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, context};

use super::line_assembler::LogLine;
use super::line_format::{LogSource, display_time, stream_name};

const NAME: &str = "template";

/// A template of Jinja's syntax for a line.
#[derive(Debug)]
pub(crate) struct LineTemplate {
    environment: Environment<'static>,
}

impl LineTemplate {
    /// Parses a template.
    pub(crate) fn new(text: &str) -> Result<Self, Error> {
        let mut environment = Environment::new();
        // Members of a message that is not JSON are nothing, too.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.add_filter("fromjson", from_json);
        environment.add_template_owned(NAME, text.to_owned())?;
        Ok(Self { environment })
    }

    /// Formats a line, without a newline.
    pub(super) fn format(&self, source: &LogSource, line: &LogLine) -> Result<String, Error> {
        self.environment.get_template(NAME)?.render(context! {
            container => source.name.as_str(),
            id => &*source.log,
            labels => source.labels.clone(),
            time => display_time(line.time),
            stream => stream_name(line.is_stderr),
            message => String::from_utf8_lossy(&line.bytes),
        })
    }
}

/// Parses a message as JSON. Returns nothing for one that is none: applications
/// mix both.
fn from_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::UNDEFINED)
}

/// Returns an error of a template as one line.
pub(crate) fn describe_error(error: &Error) -> String {
    let reason = match error.kind() {
        ErrorKind::SyntaxError => "the template is not valid",
        _ => "the template cannot be used for a line",
    };
    format!("{reason}: {error}")
}
