//! Every function that rules may call returns what Kubernetes documents.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rdd_apiserver_schema::StructuralSchema;
use serde_json::{Value, json};

/// Parses a schema with one rule on an object that has a field of every type.
fn parse_rule(rule: &str) -> Result<StructuralSchema, String> {
    let text = |format: &str| json!({"type": "string", "format": format, "maxLength": 100});
    let schema = json!({"type": "object", "properties": {"spec": {
        "type": "object",
        "properties": {
            "text": {"type": "string", "maxLength": 40}, "int": {"type": "integer"}, "double": {"type": "number"},
            "flag": {"type": "boolean"}, "bytes": text("byte"), "time": text("date-time"), "day": text("date"),
            "span": text("duration"), "port": {"x-kubernetes-int-or-string": true, "maxLength": 5},
            "list": {"type": "array", "maxItems": 9, "items": {"type": "integer"}},
            "words": {"type": "array", "maxItems": 9, "items": {"type": "string", "maxLength": 9}},
            "map": {"type": "object", "maxProperties": 9, "additionalProperties": {"type": "string", "maxLength": 9}},
            "gone": {"type": "object", "maxProperties": 9, "additionalProperties": {"type": "string", "maxLength": 9}},
            "absent": {"type": "string", "maxLength": 9}, "null": {"type": "string", "nullable": true, "format": "date"},
        },
        "x-kubernetes-validations": [{"rule": rule}],
    }}});
    StructuralSchema::parse(&schema).map_err(|errors| {
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    })
}

fn object() -> Value {
    json!({"spec": {
        "text": "häuser", "int": 7, "double": 2.5, "flag": true, "bytes": "AAEC", "time": "2024-02-29T10:20:30.5Z",
        "day": "2024-02-29", "span": "1h3m", "port": 80, "list": [3, 1, 2], "words": ["b", "a"], "map": {"k": "v", "z": ""},
        "null": null,
    }})
}

/// Evaluates a rule; fails if it is rejected or violated.
fn evaluate(rule: &str) -> Result<(), String> {
    let errors = parse_rule(rule)?.validate(&object(), None);
    errors
        .first()
        .map_or(Ok(()), |error| Err(error.to_string()))
}

#[track_caller]
fn assert_all_true(rules: &[&str]) {
    let failures: Vec<String> = rules
        .iter()
        .filter_map(|rule| {
            evaluate(rule)
                .err()
                .map(|error| format!("{rule}\n    {error}"))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn operators_are_evaluated() {
    assert_all_true(&[
        "1 + 2 * 3 - 4 / 2 == 5",
        "7 % 4 == 3 && -7 / 2 == -3",
        "1.5 + 2.5 == 4.0 && 5.0 / 2.0 == 2.5",
        "2u * 3u == 6u && 7u - 2u == 5u",
        "'a' + 'b' == 'ab' && b'a' + b'b' == b'ab'",
        "[1] + [2, 3] == [1, 2, 3]",
        "!false && -self.int == -7 && -self.double == -2.5",
        "1 < 2 && 2 <= 2 && 'b' > 'a' && 2.0 >= 2.0 && false < true",
        "1 < 1.5 && 2.5 > 2",
        "self.int == 7 ? self.flag : false",
        "2 in self.list && !(5 in self.list) && 'k' in self.map && !('q' in self.map)",
        "self.list[0] == 3 && self.map['k'] == 'v' && self.map.k == 'v'",
        "{'a': 1}['a'] == 1 && {'a': 1} == {'a': 1}",
        "duration('1h') + duration('3m') == self.span",
        "self.time - timestamp('2024-02-29T10:20:30Z') == duration('500ms')",
        "self.time + duration('1s') > self.time && self.time > self.day",
        "self.__null__ == null",
    ]);
}

#[test]
fn logical_operators_ignore_errors_that_cannot_change_the_result() {
    assert_all_true(&[
        "true || self.absent == 'x'",
        "self.absent == 'x' || true",
        "!(false && self.absent == 'x')",
        "!(self.absent == 'x' && false)",
        "[0, 1].exists(x, 1 / x == 1)",
        "![0, 1].all(x, 1 / x == 2)",
    ]);
    for rule in [
        "self.absent == 'x'",
        "[0, 1].all(x, 1 / x == 1)",
        "self.absent == 'x' || false",
        "1 / 0 == 1",
    ] {
        let error = evaluate(rule).unwrap_err();
        assert!(error.contains("evaluating rule"), "{rule}: {error}");
    }
}

#[test]
fn macros_are_evaluated() {
    assert_all_true(&[
        "has(self.text) && !has(self.absent) && has(self.map.k) && !has(self.map.q)",
        "self.list.all(x, x > 0) && self.list.exists(x, x == 2) && self.list.exists_one(x, x == 2)",
        "self.list.map(x, x * 2) == [6, 2, 4] && self.list.map(x, x > 1, x * 2) == [6, 4]",
        "self.list.filter(x, x > 1) == [3, 2] && self.map.all(k, k != 'q') && self.map.filter(k, k == 'k') == ['k']",
        "self.list.all(x, self.words.exists(w, w == 'a' && x > 0))",
        "[].all(x, false) && ![].exists(x, true)",
    ]);
}

#[test]
fn conversions_and_type_comparisons_work() {
    assert_all_true(&[
        "size('häuser') == 6 && self.text.size() == 6 && size(self.list) == 3 && size(self.map) == 2",
        "size(b'abc') == 3 && size(self.bytes) == 3",
        "int('42') == 42 && int(2.9) == 2 && int(3u) == 3 && int(timestamp('1970-01-01T00:01:00Z')) == 60",
        "uint(3) == 3u && uint('4') == 4u && double('1.5') == 1.5 && double(2) == 2.0",
        "string(42) == '42' && string(1.5) == '1.5' && string(true) == 'true' && string(b'abc') == 'abc'",
        "string(duration('90s')) == '90s' && string(duration('-1500ms')) == '-1.5s'",
        "string(timestamp('2024-01-02T03:04:05Z')) == '2024-01-02T03:04:05Z' && string(self.time) == '2024-02-29T10:20:30.5Z'",
        "bytes('abc') == b'abc' && bool('true') && !bool('false')",
        "type(self.int) == int && type('a') == string && type(self.port) != string && type(1.0) == double",
        "type([1]) == list && type({'a': 1}) == map && type(null) == null_type && type(true) == bool",
        "self.port == 80 && dyn(self.int) == 7",
        "type(self.port) == int ? self.port < 100 : self.port.endsWith('%')",
    ]);
}

#[test]
fn functions_of_timestamps_and_durations_work() {
    assert_all_true(&[
        "self.time.getFullYear() == 2024 && self.time.getMonth() == 1 && self.time.getDate() == 29",
        "self.time.getDayOfMonth() == 28 && self.time.getDayOfWeek() == 4 && self.time.getDayOfYear() == 59",
        "self.time.getHours() == 10 && self.time.getMinutes() == 20 && self.time.getSeconds() == 30",
        "self.time.getMilliseconds() == 500 && self.span.getHours() == 1 && self.span.getMinutes() == 63",
        "self.span.getSeconds() == 3780",
        "self.day == timestamp('2024-02-29T00:00:00Z')",
    ]);
}

#[test]
fn functions_of_strings_work() {
    assert_all_true(&[
        "self.text.contains('use') && self.text.startsWith('hä') && self.text.endsWith('er')",
        "'foobar'.matches('o+b') && matches('foobar', '^foo') && !'foobar'.matches('^bar')",
        "'tacocat'.charAt(3) == 'o' && 'hello mellow'.indexOf('ello') == 1 && 'hello mellow'.indexOf('ello', 2) == 7",
        "'hello mellow'.lastIndexOf('ello') == 7 && 'hello mellow'.lastIndexOf('ello', 6) == 1",
        "'hello'.indexOf('jello') == -1 && 'TacoCat'.lowerAscii() == 'tacocat' && 'TacoCat'.upperAscii() == 'TACOCAT'",
        "'hello hello'.replace('he', 'we') == 'wello wello' && 'hello hello'.replace('he', 'we', 1) == 'wello hello'",
        "'hello hello hello'.split(' ') == ['hello', 'hello', 'hello']",
        "'hello hello hello'.split(' ', 2) == ['hello', 'hello hello']",
        "'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco' && '  trim\\n'.trim() == 'trim'",
        "['hello', 'mellow'].join() == 'hellomellow' && ['hello', 'mellow'].join(' ') == 'hello mellow'",
        "'abc 123'.find('[0-9]+') == '123' && 'abc'.find('[0-9]+') == ''",
        "'123 abc 456'.findAll('[0-9]+') == ['123', '456'] && '123 abc 456'.findAll('[0-9]+', 1) == ['123']",
    ]);
}

#[test]
fn functions_of_lists_and_sets_work() {
    assert_all_true(&[
        "[1, 2, 3].isSorted() && !self.list.isSorted() && ['a', 'b'].isSorted() && [1.0, 2.0].isSorted()",
        "self.list.sum() == 6 && [1.5, 2.5].sum() == 4.0",
        "self.list.min() == 1 && self.list.max() == 3 && self.words.min() == 'a' && [2.5, 1.5].max() == 2.5",
        "self.list.indexOf(2) == 2 && self.list.indexOf(9) == -1 && [1, 2, 2].lastIndexOf(2) == 2",
        "sets.contains([1, 2, 3], [2]) && !sets.contains([1], [2]) && sets.intersects([1, 2], [2, 3])",
        "sets.equivalent([1, 2, 2], [2, 1]) && !sets.equivalent([1], [1, 2])",
    ]);
}

#[test]
fn functions_of_urls_work() {
    assert_all_true(&[
        "isURL('https://example.com:80/path?query=val') && !isURL('../relative')",
        "url('https://user:pass@example.com:80/path?query=val').getScheme() == 'https'",
        "url('https://example.com:8080/').getHost() == 'example.com:8080'",
        "url('https://example.com:8080/').getHostname() == 'example.com' && url('https://[::1]:80/').getHostname() == '::1'",
        "url('https://example.com:8080/').getPort() == '8080' && url('https://example.com/').getPort() == ''",
        "url('https://example.com/with space/').getEscapedPath() == '/with%20space/'",
        "url('https://example.com/?k=a&k=b&l=c').getQuery() == {'k': ['a', 'b'], 'l': ['c']}",
        "url('/absolute').getScheme() == ''",
    ]);
}

#[test]
fn functions_of_ip_addresses_work() {
    assert_all_true(&[
        "isIP('127.0.0.1') && isIP('::1') && !isIP('127.0.0.256') && !isIP('x')",
        "ip('127.0.0.1').family() == 4 && ip('::1').family() == 6 && ip('127.0.0.1').isLoopback()",
        "ip('0.0.0.0').isUnspecified() && ip('224.0.0.1').isLinkLocalMulticast() && ip('169.254.1.1').isLinkLocalUnicast()",
        "ip('8.8.8.8').isGlobalUnicast() && ip.isCanonical('::1') && !ip.isCanonical('0:0::1')",
        "ip('127.0.0.1') == ip('127.0.0.1') && ip('127.0.0.1') != ip('127.0.0.2')",
        "isCIDR('192.168.0.0/24') && !isCIDR('192.168.0.0') && cidr('192.168.0.0/24').prefixLength() == 24",
        "cidr('192.168.0.0/24').containsIP('192.168.0.1') && cidr('192.168.0.0/24').containsIP(ip('192.168.0.1'))",
        "cidr('192.168.0.0/24').containsCIDR('192.168.0.0/25') && !cidr('192.168.0.0/24').containsCIDR(cidr('192.168.0.0/23'))",
        "cidr('192.168.0.1/24').ip() == ip('192.168.0.1') && cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24')",
    ]);
}

#[test]
fn functions_of_quantities_and_versions_work() {
    assert_all_true(&[
        "isQuantity('1.3Gi') && !isQuantity('1,3G') && quantity('1Ki').isGreaterThan(quantity('1k'))",
        "quantity('50k').isLessThan(quantity('1M')) && quantity('200M').compareTo(quantity('0.2G')) == 0",
        "quantity('50k').add(quantity('20k')) == quantity('70k') && quantity('50k').add(20000) == quantity('70k')",
        "quantity('50k').sub(quantity('20k')) == quantity('30k') && quantity('50k').sub(20000) == quantity('30k')",
        "quantity('50k').isInteger() && quantity('50k').asInteger() == 50000 && quantity('50.5k').asApproximateFloat() == 50500.0",
        "quantity('50k').sign() == 1 && quantity('0').sign() == 0 && quantity('-1').sign() == -1",
        "isSemver('1.0.0') && !isSemver('1.0') && semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2",
        "semver('1.2.3').patch() == 3 && semver('1.2.3').isLessThan(semver('1.2.4'))",
        "semver('1.10.0').isGreaterThan(semver('1.9.0')) && semver('1.2.3').compareTo(semver('1.2.3')) == 0",
    ]);
}

#[test]
fn named_formats_and_optionals_work() {
    assert_all_true(&[
        "!format.dns1123Label().validate('my-name').hasValue() && format.dns1123Label().validate('My').hasValue()",
        "!format.dns1123Subdomain().validate('a.b').hasValue() && !format.dns1035Label().validate('a1').hasValue()",
        "!format.qualifiedName().validate('example.com/a').hasValue() && !format.labelValue().validate('').hasValue()",
        "!format.uri().validate('https://example.com').hasValue() && format.uri().validate('not a uri').hasValue()",
        "!format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue()",
        "!format.byte().validate('aGVsbG8=').hasValue() && !format.date().validate('2021-01-01').hasValue()",
        "!format.datetime().validate('2021-01-01T00:00:00Z').hasValue()",
        "optional.of(1).hasValue() && optional.of(1).value() == 1 && optional.none().orValue(2) == 2",
        "optional.none().or(optional.of(3)).value() == 3 && !optional.none().hasValue()",
    ]);
}

#[test]
fn optional_fields_and_entries_can_be_selected() {
    assert_all_true(&[
        "self.?text.hasValue() && !self.?absent.hasValue() && self.?absent.orValue('x') == 'x'",
        "self.?int.value() == 7 && self.?text.value() == 'häuser'",
        "self.map[?'k'].orValue('') == 'v' && !self.map[?'q'].hasValue() && self.map.?k.value() == 'v'",
        "self.list[?0].value() == 3 && !self.list[?9].hasValue() && !self.list[?-1].hasValue()",
        "self.?map[?'k'].value() == 'v' && self.?map.?k.value() == 'v' && !self.?absent.or(self.?absent).hasValue()",
        "self.?list[?1].orValue(0) == 1",
        "!self.?gone.?k.hasValue() && !self.?gone[?'k'].hasValue() && self.?gone.?k.orValue('x') == 'x'",
    ]);
    assert!(
        evaluate("self.?absent.value() == 'x'")
            .unwrap_err()
            .contains("optional.none() dereference")
    );
}

#[test]
fn unsupported_rules_are_rejected() {
    let rejected = [
        ("self.list.sort() == [1]", "undeclared reference to 'sort'"),
        ("math.abs(self.int) > 1", "undeclared reference to"),
        ("self.text.matches('(')", "missing closing )"),
        (
            "self.text.find('(?=x)') == ''",
            "invalid or unsupported Perl syntax",
        ),
        ("self.?nothing.hasValue()", "undefined field 'nothing'"),
        ("self.?text == 'x'", "found no matching overload"),
        (
            "self.?map.k == 'v'",
            "found no matching overload for '_==_' applied to '(optional_type(string), string)'",
        ),
        ("[?self.?text].size() == 1", "unsupported syntax"),
        (
            "self.?text.optMap(t, t == 'x').orValue(true)",
            "undeclared reference to",
        ),
        ("cel.bind(x, self.int, x > 1)", "undeclared reference to"),
        ("self.list.all(i, v, v > 1)", "undeclared reference to"),
        ("Foo{a: 1} == 1", "undeclared reference to"),
        ("authorizer.allowed()", "undeclared reference to"),
        ("request.name == 'x'", "undeclared reference to 'request'"),
        ("[1, 'a'] == []", "expected type 'int' but found 'string'"),
        (
            "self.int.text",
            "type 'int' does not support field selection",
        ),
        (
            "self.int.all(x, true)",
            "cannot be range of a comprehension",
        ),
        (
            "self.text > 1",
            "found no matching overload for '_>_' applied to '(string, int)'",
        ),
        (
            "self.text.contains(1)",
            "found no matching overload for 'contains' applied to 'string.(int)'",
        ),
        (
            "1 == 1.0",
            "found no matching overload for '_==_' applied to '(int, double)'",
        ),
        (
            "self.int == null",
            "found no matching overload for '_==_' applied to '(int, null)'",
        ),
        ("", "rule is not specified"),
        ("self.map.all(k, self.map[k])", "found no matching overload"),
    ];
    for (rule, expected) in rejected {
        let error = parse_rule(rule).map(|_| "accepted").unwrap_err();
        assert!(error.contains(expected), "{rule}: {error}");
    }
}
