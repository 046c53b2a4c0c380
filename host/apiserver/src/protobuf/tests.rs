//! Bodies that are encoded field by field.

use serde_json::{Map, json};

use super::messages::{FieldDescriptor, ProtobufType};
use super::*;
use crate::limits;

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}

fn bytes(number: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, number << 3 | 2);
    varint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out
}

fn number(number: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, number << 3);
    varint(&mut out, value);
    out
}

/// Returns a body with its envelope.
fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let typed = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    let mut out = MAGIC.to_vec();
    out.extend(bytes(1, &typed));
    out.extend(bytes(2, raw));
    out.extend(bytes(3, b""));
    out.extend(bytes(4, b""));
    out
}

fn parse_config_map(raw: &[u8]) -> Result<Value, ProtobufError> {
    parse(&body("v1", "ConfigMap", raw)).map(|document| document.value)
}

fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    [bytes(1, key.as_bytes()), bytes(2, value)].concat()
}

#[test]
fn empty_fields_are_dropped_unless_they_are_pointers() {
    let time = [number(1, 1_700_000_000), number(2, 5)].concat();
    let meta = [
        bytes(1, b"a"),
        bytes(3, b""),
        number(7, 0),
        bytes(8, b""),
        bytes(9, &time),
        number(10, 0),
        bytes(11, &entry("k", b"")),
        bytes(14, b""),
        // A field of a later version.
        bytes(900, b"later"),
    ]
    .concat();
    let read = parse_config_map(
        &[
            bytes(1, &meta),
            number(4, 0),
            bytes(3, &entry("b", b"\x00\xff")),
        ]
        .concat(),
    );
    assert_eq!(
        read.unwrap(),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "immutable": false, "binaryData": {"b": "AP8="},
            "metadata": {"name": "a", "deletionTimestamp": "2023-11-14T22:13:20Z", "deletionGracePeriodSeconds": 0,
                "labels": {"k": ""}, "finalizers": [""]}})
    );
}

#[test]
fn the_parts_of_a_message_are_merged() {
    let parts = [
        bytes(1, &bytes(1, b"a")),
        bytes(1, &bytes(3, b"ns")),
        bytes(1, &bytes(1, b"b")),
    ];
    assert_eq!(
        parse_config_map(&parts.concat()).unwrap()["metadata"],
        json!({"name": "b", "namespace": "ns"})
    );
}

#[test]
fn errors_name_the_field() {
    for (raw, expected) in [
        (
            bytes(1, &number(1, 7)),
            "ConfigMap.metadata.name: expected bytes, found a number",
        ),
        (
            bytes(1, &bytes(1, b"\xff")),
            "ConfigMap.metadata.name: the text is not valid UTF-8",
        ),
        (
            bytes(1, &bytes(7, b"x")),
            "ConfigMap.metadata.generation: expected a number, found bytes",
        ),
        (
            bytes(2, &entry("key", b"\xff")),
            "ConfigMap.data.key: the text is not valid UTF-8",
        ),
        (
            bytes(1, &[0x0a, 9, b'x']),
            "ConfigMap.metadata: it ends before the end of a field",
        ),
        (
            bytes(1, &bytes(8, &number(1, u64::MAX >> 1))),
            "ConfigMap.metadata.creationTimestamp: the time is beyond",
        ),
        (
            bytes(1, &bytes(17, &bytes(7, &bytes(1, b"{")))),
            "ConfigMap.metadata.managedFields.fieldsV1: unexpected end of JSON input",
        ),
    ] {
        let error = parse_config_map(&raw).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let error = parse(&body(
        "coordination.k8s.io/v1",
        "Lease",
        &bytes(2, &number(2, 1 << 40)),
    ))
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Lease.spec.leaseDurationSeconds: the number has more than 32 bits"
    );
}

#[test]
fn unusable_envelopes_are_rejected() {
    for (sent, expected) in [
        (b"{}".to_vec(), "it does not begin with"),
        (Vec::new(), "it does not begin with"),
        (body("v1", "Pod", b""), "no kind \"Pod\" of version \"v1\""),
        (body("v2", "ConfigMap", b""), "no kind"),
        ([MAGIC.to_vec(), bytes(2, b"")].concat(), "no kind \"\""),
        (
            [body("v1", "ConfigMap", b""), bytes(3, b"gzip")].concat(),
            "contentEncoding \"gzip\"",
        ),
        (
            [MAGIC.to_vec(), vec![0x12, 200, 1]].concat(),
            "Unknown: it ends",
        ),
    ] {
        let error = parse(&sent).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    assert!(has_message("meta.k8s.io/v1", "DeleteOptions") && !has_message("v1", "Pod"));
}

#[test]
fn truncated_and_corrupted_bodies_do_not_panic() {
    let meta = [
        bytes(1, b"a"),
        bytes(11, &entry("k", b"v")),
        bytes(8, &number(1, 1_700_000_000)),
    ]
    .concat();
    let whole = body(
        "v1",
        "ConfigMap",
        &[bytes(1, &meta), bytes(2, &entry("k", b"v"))].concat(),
    );
    assert!(parse(&whole).is_ok());
    for end in 0..whole.len() {
        drop(parse(&whole[..end]));
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[end] ^= 1 << bit;
            drop(parse(&flipped));
        }
    }
}

#[test]
fn empty_messages_count_against_the_limit() {
    let entries = bytes(17, b"").repeat(limits::MAX_NODES + 1);
    let error = parse_config_map(&bytes(1, &entries)).unwrap_err();
    assert!(error.to_string().contains("more than"), "{error}");
}

/// Returns a value for a field of a type. Schemas contain schemas, up to `depth`.
fn sample(kind: &ProtobufType, depth: usize) -> Value {
    match kind {
        ProtobufType::Text => "text".into(),
        ProtobufType::Bytes => "AP8=".into(),
        ProtobufType::Bool => true.into(),
        ProtobufType::Int32 => (-7).into(),
        ProtobufType::Int64 => i64::MIN.into(),
        ProtobufType::Double => 2.5.into(),
        ProtobufType::Time => "1969-11-14T22:13:20Z".into(),
        ProtobufType::MicroTime => "2023-11-14T22:13:20.000005Z".into(),
        ProtobufType::Message(message) => sample_message(message, depth),
        ProtobufType::List(_) => json!(["text"]),
        ProtobufType::Choice(message) => {
            let has_schema = |field: &&FieldDescriptor| {
                matches!(field.field_type, ProtobufType::Message(_)) && !field.is_repeated
            };
            let field = message.fields.iter().find(has_schema).unwrap();
            sample(&field.field_type, depth)
        }
        ProtobufType::Map(values) => json!({"key": sample(values, depth)}),
        ProtobufType::Json => json!({"a": [1, null]}),
        ProtobufType::Skip => Value::Null,
    }
}

fn sample_message(message: &MessageDescriptor, depth: usize) -> Value {
    if depth == 0 {
        return json!({});
    }
    let mut out = Map::new();
    for field in message.fields {
        let mut value = sample(&field.field_type, depth - 1);
        if field.is_repeated {
            value = json!([value]);
        }
        out.insert(field.name.to_owned(), value);
    }
    Value::Object(out)
}

#[test]
fn every_message_is_decoded_as_it_was_encoded() {
    for (api_version, kind) in messages::top_level() {
        let mut document = sample_message(messages::find(api_version, kind).unwrap(), 7);
        document["apiVersion"] = api_version.into();
        document["kind"] = kind.into();
        let decoded = parse(&encode(&document).unwrap()).unwrap().value;
        assert_eq!(decoded, document, "{kind}");
    }
}

#[test]
fn a_choice_keeps_its_type() {
    let schema = json!({
        "additionalProperties": false,
        "additionalItems": true,
        "items": [{"type": "string"}],
        "dependencies": {"a": ["b"], "c": {"type": "object"}},
        "default": 0,
    });
    let definition = json!({"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1",
        "spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}});
    let decoded = parse(&encode(&definition).unwrap()).unwrap().value;
    assert_eq!(decoded, definition);
}

#[test]
fn no_two_fields_of_a_message_share_a_number() {
    fn check(message: &MessageDescriptor, depth: usize) {
        let mut numbers: Vec<u32> = message.fields.iter().map(|field| field.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), message.fields.len(), "{}", message.name);
        for field in message.fields {
            match field.field_type {
                ProtobufType::Message(inner)
                | ProtobufType::List(inner)
                | ProtobufType::Choice(inner)
                    if depth > 0 =>
                {
                    check(inner, depth - 1);
                }
                _ => {}
            }
        }
    }
    for (api_version, kind) in messages::top_level() {
        check(messages::find(api_version, kind).unwrap(), 7);
    }
}

#[test]
fn a_list_and_an_event_have_the_layout_of_go() {
    let list = json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"},
        "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]});
    let item = |name: &str| bytes(2, &bytes(1, &bytes(1, name.as_bytes())));
    let raw = [bytes(1, &bytes(2, b"7")), item("a"), item("b")].concat();
    assert_eq!(encode(&list).unwrap(), body("v1", "ConfigMapList", &raw));

    let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}});
    let raw = encode(&object).unwrap();
    let event = [bytes(1, b"ADDED"), bytes(2, &bytes(1, &raw))].concat();
    let length = u32::try_from(event.len()).unwrap().to_be_bytes();
    assert_eq!(
        encode_watch_event("ADDED", &object).unwrap(),
        [&length[..], &event].concat()
    );
    assert_eq!(
        encode(&json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1"})),
        None
    );
}

/// Bodies that Go has encoded.
#[test]
fn what_go_encoded_stays_the_same() {
    macro_rules! fixtures {
        ($($name:literal),*) => {
            [$(($name, include_bytes!(concat!("../../tests/api/protobuf/", $name, ".bin")).as_slice())),*]
        };
    }
    for (name, body) in fixtures![
        "namespace",
        "configmap",
        "secret",
        "serviceaccount",
        "event",
        "newevent",
        "lease",
        "selfsubjectaccessreview",
        "subjectaccessreview",
        "tokenreview"
    ] {
        let decoded = parse(body).unwrap().value;
        let again = parse(&encode(&decoded).unwrap()).unwrap().value;
        assert_eq!(again, decoded, "{name}");
    }
}

#[test]
fn each_builtin_kind_has_a_message_but_the_two_that_are_documented() {
    let without: Vec<_> = rdd_apiserver_kinds::builtin::kinds()
        .iter()
        .map(|builtin| &builtin.kind)
        .filter(|kind| !has_message(&kind.api_version(), &kind.kind))
        .map(|kind| kind.kind.as_str())
        .collect();
    let documented = [
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ];
    assert_eq!(without, documented);
}
