//! Documents that Go rejects, and its words for them.

use serde_json::json;

use super::*;

#[test]
fn a_syntax_error_has_the_words_of_go() {
    for (document, expected) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        (r#"{"a":"#, "unexpected end of JSON input"),
        (
            "data",
            "invalid character 'd' looking for beginning of value",
        ),
        (
            "{not",
            "invalid character 'n' looking for beginning of object key string",
        ),
        (
            r#"{"a":1,}"#,
            "invalid character '}' looking for beginning of object key string",
        ),
        (r#"{"a" 1}"#, "invalid character '1' after object key"),
        (
            r#"{"a":1 "b"}"#,
            "invalid character '\"' after object key:value pair",
        ),
        ("[1 2]", "invalid character '2' after array element"),
        (
            "[1,]",
            "invalid character ']' looking for beginning of value",
        ),
        ("[1] x", "invalid character 'x' after top-level value"),
        (
            "nul!",
            "invalid character '!' in literal null (expecting 'l')",
        ),
        ("-a", "invalid character 'a' in numeric literal"),
        (
            "1.a",
            "invalid character 'a' after decimal point in numeric literal",
        ),
        (
            "1e+a",
            "invalid character 'a' in exponent of numeric literal",
        ),
        ("01", "invalid character '1' after top-level value"),
        (r#""\x""#, "invalid character 'x' in string escape code"),
        (
            r#""\u12g4""#,
            r"invalid character 'g' in \u hexadecimal character escape",
        ),
        ("\"\n\"", r"invalid character '\n' in string literal"),
        (
            "\x1f\x08",
            r"invalid character '\x1f' looking for beginning of value",
        ),
        (
            "'a'",
            r"invalid character '\'' looking for beginning of value",
        ),
        (
            "\u{e9}",
            "invalid character 'Ã' looking for beginning of value",
        ),
    ] {
        assert_eq!(
            syntax_error(document.as_bytes()).as_deref(),
            Some(expected),
            "{document}"
        );
    }
    for valid in [
        r#" {"a":[1,-0.5e-3,true,false,null,{"b":"\u00e9\n"}]} "#,
        "[]",
        "0",
    ] {
        assert_eq!(syntax_error(valid.as_bytes()), None, "{valid}");
    }
}

#[test]
fn a_document_may_be_nested_as_deeply_as_in_go_and_uses_no_stack_for_it() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":"#, "}]")] {
        let containers = open.matches(['[', '{']).count();
        let nested = |depth: usize| {
            let repeats = depth / containers;
            format!("{}0{}", open.repeat(repeats), close.repeat(repeats))
        };
        assert_eq!(syntax_error(nested(MAX_DEPTH).as_bytes()), None, "{open}");
        let too_deep = nested(MAX_DEPTH + containers);
        assert_eq!(
            syntax_error(too_deep.as_bytes()).as_deref(),
            Some("exceeded max depth"),
            "{open}"
        );
    }
}

#[test]
fn the_number_that_is_out_of_range_is_found() {
    let document = br#"{"1e999": "-1e999\" 1e888", "a": [1e3, -1e400]}"#;
    assert_eq!(number_out_of_range(document).as_deref(), Some("-1e400"));
    assert_eq!(number_out_of_range(b"[1, 2.5, 1e300]"), None);
}

#[test]
fn the_type_of_a_body_must_be_readable() {
    for (body, expected) in [
        (
            json!([]),
            "json: cannot unmarshal array into Go value of type struct { APIVersion",
        ),
        (
            json!({"kind": 1}),
            "json: cannot unmarshal number into Go struct field .kind of type string",
        ),
        (
            json!({"apiVersion": {}}),
            "json: cannot unmarshal object into Go struct field .apiVersion of type string",
        ),
    ] {
        let error = type_meta_error(&body).unwrap();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(type_meta_error(&json!({"kind": null})), None);
    assert_eq!(type_meta_error(&json!(null)), None);
}
