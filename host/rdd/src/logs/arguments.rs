//! The command line of `rdd logs`, with the options of `docker logs`, and with those
//! of `kubectl logs` and `stern` for several containers.

use anyhow::{Result, bail};
use clap::builder::ArgPredicate;
use clap::{Args, ColorChoice, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use super::line_output::{self, LineFilter, LineForm, LineTemplate, describe_error};
use super::mux_client::{FollowMode, LogRange};
use super::time_argument;
use crate::completion;

/// Options of `rdd logs`.
#[derive(Args)]
pub(crate) struct LogsArgs {
    /// Names, IDs, or unique ID prefixes of containers
    #[arg(
        value_name = "CONTAINER",
        required_unless_present_any = ["selector", "project"],
        conflicts_with_all = ["selector", "project"],
        add = ArgValueCompleter::new(completion::containers)
    )]
    pub(super) containers: Vec<String>,
    /// Show the logs of the containers whose labels match, such as app=web,tier!=cache
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "project")]
    pub(super) selector: Option<String>,
    /// Show the logs of the containers of a Docker Compose project
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(completion::projects))]
    pub(super) project: Option<String>,
    /// Follow log output until the containers stop; with --follow=restart until they are removed
    #[arg(
        short,
        long,
        value_name = "MODE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value = "false",
        hide_default_value = true
    )]
    follow: FollowArg,
    /// Show logs since a timestamp (2026-01-31T12:00:00Z), Unix seconds, or a duration before now (10m)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Show logs since a timestamp, as in kubectl
    #[arg(long, value_name = "TIME", conflicts_with = "since")]
    since_time: Option<String>,
    /// Show logs before a timestamp, Unix seconds, or a duration before now; a negative duration is in the future
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Number of lines to show from the end of each log; all lines if negative
    #[arg(
        short = 'n',
        long,
        default_value = "all",
        value_name = "LINES",
        allow_hyphen_values = true
    )]
    tail: String,
    /// Show timestamps
    #[arg(short, long)]
    pub(super) timestamps: bool,
    /// Show only lines that match this regular expression; can be repeated for lines that match any
    #[arg(short, long, value_name = "REGEX", allow_hyphen_values = true, value_parser = line_output::parse_pattern)]
    include: Vec<String>,
    /// Hide lines that match this regular expression; can be repeated
    #[arg(short, long, value_name = "REGEX", allow_hyphen_values = true, value_parser = line_output::parse_pattern)]
    exclude: Vec<String>,
    /// Highlight what matches this regular expression; can be repeated
    #[arg(short = 'H', long, value_name = "REGEX", allow_hyphen_values = true, value_parser = line_output::parse_pattern)]
    highlight: Vec<String>,
    /// Output format
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "default",
        default_value_if("template", ArgPredicate::IsPresent, "template")
    )]
    output: LogOutput,
    /// Template (Jinja) of a line with container, id, labels, time, stream, and message: '{{ container }}: {{ message }}', or for logs in JSON '{{ (message|fromjson).msg }}'
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// Put the container's name in front of each line [default: if there are several]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) prefix: Option<bool>,
    /// When to use colors; NO_COLOR is respected
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    /// Maximum number of logs to read at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(super) max_log_requests: u16,
    /// Show extra details (not supported)
    #[arg(long, hide = true)]
    details: bool,
}

/// The values of `--follow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FollowArg {
    /// Show what is there
    False,
    /// Until the containers stop
    True,
    /// Until the containers are removed
    Restart,
}

/// The values of `--output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogOutput {
    /// Lines, with the container's name in front if there are several containers
    Default,
    /// Lines as they were written
    Raw,
    /// One JSON object per line
    Json,
    /// The template of --template
    Template,
}

impl LogsArgs {
    /// Fails for what is accepted only to explain that it is not supported.
    pub(super) fn check(&self) -> Result<()> {
        if self.details {
            bail!(
                "--details is not supported: engine backends do not report the log driver's attributes"
            );
        }
        Ok(())
    }

    pub(super) fn follow(&self) -> FollowMode {
        match self.follow {
            FollowArg::False => FollowMode::No,
            FollowArg::True => FollowMode::Yes,
            FollowArg::Restart => FollowMode::Restart,
        }
    }

    pub(super) fn range(&self) -> LogRange {
        // An empty value means none, as with docker: scripts pass empty variables.
        let time = |value: &Option<String>| {
            let value = value.as_deref().filter(|value| !value.is_empty());
            value.map(time_argument::normalize_time)
        };
        LogRange {
            tail: tail_parameter(&self.tail),
            since: time(&self.since).or_else(|| time(&self.since_time)),
            until: time(&self.until),
        }
    }

    pub(super) fn filter(&self) -> Result<LineFilter> {
        Ok(LineFilter::new(
            &self.include,
            &self.exclude,
            &self.highlight,
        )?)
    }

    pub(super) fn form(&self) -> Result<LineForm> {
        Ok(match (self.output, &self.template) {
            (LogOutput::Template, Some(text)) => {
                let template = LineTemplate::new(text);
                let template = template.map_err(|error| anyhow::anyhow!(describe_error(&error)))?;
                LineForm::Template(Box::new(template))
            }
            (LogOutput::Template, None) => bail!("-o template needs a template: --template TEXT"),
            (_, Some(_)) => bail!("--template is for -o template only"),
            (LogOutput::Default, None) => LineForm::Default,
            (LogOutput::Raw, None) => LineForm::Raw,
            (LogOutput::Json, None) => LineForm::Json,
        })
    }

    pub(super) fn color(&self) -> anstream::ColorChoice {
        match self.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
    }

    /// Returns whether each line has the container's name in front.
    pub(super) fn has_prefix(&self, is_single: bool) -> bool {
        self.prefix
            .unwrap_or(!is_single && self.output == LogOutput::Default)
    }
}

/// Returns the parameter `tail`, or none for all lines. A negative number means all
/// lines, as with docker. The daemon rejects what is not a number.
fn tail_parameter(tail: &str) -> Option<String> {
    match tail.parse::<i64>() {
        Ok(count) if count < 0 => None,
        Ok(count) => Some(count.to_string()),
        Err(_) if matches!(tail, "" | "all") => None,
        Err(_) => Some(tail.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: LogsArgs,
    }

    fn parse(args: &[&str]) -> Result<LogsArgs, clap::Error> {
        let args = std::iter::once(&"logs").chain(args);
        Command::try_parse_from(args).map(|command| command.args)
    }

    #[test]
    fn tail_is_parsed_like_docker_does() {
        for (given, sent) in [
            ("-1", None),
            ("-5", None),
            ("", None),
            ("all", None),
            ("0", Some("0")),
            ("+2", Some("2")),
            ("ten", Some("ten")),
        ] {
            assert_eq!(tail_parameter(given).as_deref(), sent, "{given:?}");
        }
    }

    #[test]
    fn follow_takes_a_value_only_after_an_equals_sign() {
        for (args, follow, timestamps) in [
            (vec!["web"], FollowMode::No, false),
            (vec!["-f", "web"], FollowMode::Yes, false),
            (vec!["-ft", "web"], FollowMode::Yes, true),
            (vec!["-tf", "web"], FollowMode::Yes, true),
            (vec!["--follow", "web"], FollowMode::Yes, false),
            (vec!["--follow=false", "web"], FollowMode::No, false),
            (vec!["--follow=restart", "web"], FollowMode::Restart, false),
            (vec!["-f=restart", "web"], FollowMode::Restart, false),
        ] {
            let parsed = parse(&args).unwrap_or_else(|error| panic!("{args:?}: {error}"));
            assert_eq!(parsed.follow(), follow, "{args:?}");
            assert_eq!(parsed.containers, ["web"], "{args:?}");
            assert_eq!(parsed.timestamps, timestamps, "{args:?}");
        }
    }

    #[test]
    fn containers_are_named_or_selected() {
        for args in [
            &[][..],
            &["web", "-l", "app=x"],
            &["web", "--project", "shop"],
            &["-l", "app=x", "--project", "shop"],
            &[
                "web",
                "--since",
                "1h",
                "--since-time",
                "2026-01-31T12:00:00Z",
            ],
            &["web", "-i", "("],
            &["web", "--max-log-requests", "0"],
            &["web", "--max-log-requests", "513"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
        assert_eq!(parse(&["web", "db"]).unwrap().containers, ["web", "db"]);
    }

    #[test]
    fn a_template_belongs_to_its_format() {
        let form = |args: &[&str]| parse(args).unwrap().form();
        assert!(matches!(
            form(&["web", "--template", "{{ message }}"]).unwrap(),
            LineForm::Template(_)
        ));
        for (args, error) in [
            (&["web", "-o", "template"][..], "--template TEXT"),
            (
                &["web", "-o", "json", "--template", "x"],
                "-o template only",
            ),
            (
                &["web", "--template", "{{ message"],
                "the template is not valid",
            ),
        ] {
            let printed = form(args).unwrap_err().to_string();
            assert!(printed.contains(error), "{printed}");
        }
    }

    #[test]
    fn several_containers_have_prefixes_unless_it_is_said_otherwise() {
        for (args, single, several) in [
            (&["web"][..], false, true),
            (&["web", "--prefix"], true, true),
            (&["web", "--prefix=false"], false, false),
            (&["web", "-o", "raw"], false, false),
        ] {
            let parsed = parse(args).unwrap();
            assert_eq!(parsed.has_prefix(true), single, "{args:?}");
            assert_eq!(parsed.has_prefix(false), several, "{args:?}");
        }
    }
}
