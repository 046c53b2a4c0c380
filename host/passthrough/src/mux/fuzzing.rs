//! The messages of a client of the multiplexer. [`crate::fuzzing`] has the other
//! properties.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken property is reported by panicking"
)]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use form_urlencoded::Serializer;
use rdd_core::{LabelPredicate, SelectorTextError, Timestamp};
use serde_json::{Value, json};

use super::client_message::{
    ClientMessage, FollowValue, RestartWord, SubscribeRequest, TailNumber,
};
use super::subscription::Subscription;
use crate::entries::cursor::{ParsedCursor, SourceSet};
use crate::fuzzing::SchemaValidator;
use crate::limits;
use crate::query::parse_log_request;

static SCHEMA: LazyLock<SchemaValidator> = LazyLock::new(|| {
    SchemaValidator::parse(include_str!(
        "../../../../docs/schemas/mux-client-message.json"
    ))
});

/// 2026-01-31T12:00:00Z.
const NOW: Timestamp = Timestamp::from_seconds(1_769_860_800);

/// The beginnings of the names of members that an error may be about.
const NAMES: [&str; 9] = [
    "container",
    "selector",
    "project",
    "tail",
    "since",
    "until",
    "stdout",
    "stderr",
    "cursor",
];

/// - What is accepted is in the published schema, and what is in the schema is
///   accepted.
/// - An accepted message is written as one with the same meaning.
/// - The error of a malformed subscription has its ID.
/// - A subscription means the same as the query of one log with its members.
pub fn mux_message(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if text.len() > limits::MAX_INBOUND_MESSAGE {
        return;
    }
    let value = serde_json::from_str::<Value>(text).ok();
    match ClientMessage::parse(text) {
        Ok(message) => {
            let value = value.unwrap();
            assert!(SCHEMA.has(&value), "{text} is not in the schema");
            let written = write(&message);
            assert!(SCHEMA.has(&written), "{written} is not in the schema");
            let again = ClientMessage::parse(&written.to_string()).unwrap();
            assert_eq!(format!("{again:?}"), format!("{message:?}"));
            if let ClientMessage::Subscribe(request) = again {
                check_subscription(*request);
            }
        }
        Err(error) => {
            let member = |name| value.as_ref()?.get(name);
            let is_subscription = member("op").is_some_and(|op| op == "subscribe");
            let id = member("id").filter(|_| is_subscription);
            let id = id
                .and_then(Value::as_u64)
                .and_then(|id| u32::try_from(id).ok());
            assert_eq!(error.id, id, "{}", error.reason);
            assert!(!error.reason.is_empty());
            // Without members that are there twice.
            let written = value.filter(|value| SCHEMA.has(value));
            if let Some(written) = written {
                assert!(
                    ClientMessage::parse(&written.to_string()).is_ok(),
                    "{written}"
                );
            }
        }
    }
}

/// Returns the object of a message, with all members. It is not derived, since the
/// schema would have other defaults then.
fn write(message: &ClientMessage) -> Value {
    let request = match message {
        ClientMessage::Subscribe(request) => request,
        ClientMessage::Credit { id, bytes } => {
            return json!({"op": "credit", "id": id, "bytes": bytes});
        }
        ClientMessage::Cursors { id, cursors } => {
            return json!({"op": "cursors", "id": id, "cursors": cursors});
        }
        ClientMessage::Unsubscribe { id } => return json!({"op": "unsubscribe", "id": id}),
    };
    let SubscribeRequest {
        id,
        container,
        selector,
        project,
        tail,
        since,
        until,
        follow,
        stdout,
        stderr,
        cursors,
        credit,
    } = &**request;
    let tail = tail.as_ref().map(|tail| match tail {
        TailNumber::Lines(lines) => json!(lines),
        TailNumber::Text(text) => json!(text),
    });
    let follow = match follow {
        FollowValue::Boolean(follow) => json!(follow),
        FollowValue::Text(RestartWord::Restart) => json!("restart"),
    };
    json!({
        "op": "subscribe", "id": id, "credit": credit, "cursors": cursors,
        "container": container, "selector": selector, "project": project,
        "tail": tail, "since": since, "until": until, "follow": follow,
        "stdout": stdout, "stderr": stderr,
    })
}

fn check_subscription(request: SubscribeRequest) {
    let names = [&request.container, &request.selector, &request.project];
    let has_one = names.into_iter().flatten().count() == 1;
    let has_selector = request
        .selector
        .as_deref()
        .is_none_or(|it| parse_selector(it).is_ok());
    let sources = SourceSet {
        stdout: request.stdout,
        stderr: request.stderr,
    };
    let mut cursors = request.cursors.values();
    let has_cursors = cursors.all(|text| ParsedCursor::parse(text, sources).is_ok());
    let query = parse_log_request(&query_of(&request), NOW);
    match Subscription::new(request, parse_selector, NOW) {
        Ok(subscription) => {
            assert!(has_one && has_selector && has_cursors);
            assert_eq!(query.unwrap().options, subscription.options());
        }
        Err(error) => {
            assert_eq!(error.code, 400, "{}", error.message);
            assert!(!has_one || !has_selector || !has_cursors || query.is_err());
            let mut names = NAMES.into_iter();
            assert!(
                names.any(|name| error.message.contains(name)),
                "{}",
                error.message
            );
        }
    }
}

/// Returns the query of one log with the same members, without cursors, which
/// exclude another beginning only there.
fn query_of(request: &SubscribeRequest) -> String {
    let tail = request.tail.as_ref().map(|tail| match tail {
        TailNumber::Lines(lines) => lines.to_string(),
        TailNumber::Text(text) => text.clone(),
    });
    let follow = match &request.follow {
        FollowValue::Boolean(follow) => follow.to_string(),
        FollowValue::Text(_) => "restart".to_owned(),
    };
    let pairs = [
        ("tail", tail),
        ("since", request.since.clone()),
        ("until", request.until.clone()),
        ("follow", Some(follow)),
        ("stdout", Some(request.stdout.to_string())),
        ("stderr", Some(request.stderr.to_string())),
    ];
    let given = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    Serializer::new(String::new()).extend_pairs(given).finish()
}

/// A selector of everything; the API server's parser has properties of its own.
struct AnyPredicate;

impl LabelPredicate for AnyPredicate {
    fn matches(&self, _: &BTreeMap<String, String>) -> bool {
        true
    }
}

fn parse_selector(text: &str) -> Result<Box<dyn LabelPredicate>, SelectorTextError> {
    match text.contains('(') {
        false => Ok(Box::new(AnyPredicate)),
        true => Err(SelectorTextError("no selector".to_owned())),
    }
}
