//! Tests of estimates: each equals upstream's, so that both accept the same rules.

use serde_json::{Value, json};

use crate::cel::environment::VariableEnvironment;
use crate::cel::program::CelProgram;
use crate::parse::parse;
use crate::rules::declare_schema;

fn cost(schema: &Value, rule: &str) -> u64 {
    let root = parse("", &json!({"type": "object", "properties": {"x": schema}}))
        .map_err(|errors| errors[0].to_string());
    let value = declare_schema(&root.unwrap().root.properties["x"], false).unwrap();
    CelProgram::compile(rule, &VariableEnvironment::for_rule(&value, false))
        .unwrap()
        .max_cost
}

fn schema_of(name: &str) -> Value {
    match name {
        "int-or-string" => json!({"x-kubernetes-int-or-string": true}),
        "date" | "date-time" | "duration" | "byte" => json!({"type": "string", "format": name}),
        "list" => json!({"type": "array", "items": {"type": "number"}}),
        "map" => json!({"type": "object", "additionalProperties": {"type": "number"}}),
        "pair" => json!({"type": "object", "required": ["required"],
            "properties": {"required": {"type": "string"}, "optional": {"type": "string"}}}),
        name => json!({"type": name}),
    }
}

fn list(item: Value, max: Option<i64>) -> Value {
    json!({"type": "array", "items": item, "maxItems": max})
}

fn map(value: Value, max: Option<i64>) -> Value {
    json!({"type": "object", "additionalProperties": value, "maxProperties": max})
}

fn text(max: Option<i64>) -> Value {
    json!({"type": "string", "maxLength": max})
}

/// A function that returns a schema with or without a bound.
type BoundedSchema = fn(Option<i64>) -> Value;

#[track_caller]
fn check(
    schema: impl Fn(Option<i64>) -> Value,
    rule: &str,
    unbounded: u64,
    (bound, bounded): (i64, u64),
) {
    assert_eq!(cost(&schema(None), rule), unbounded, "{rule}, unbounded");
    assert_eq!(
        cost(&schema(Some(bound)), rule),
        bounded,
        "{rule}, at most {bound}"
    );
}

#[test]
fn unbounded_loops_cost_as_much_as_a_request_can_contain() {
    let lists = [
        ("number", 4_718_591),
        ("string", 3_145_727),
        ("boolean", 1_887_437),
        ("list", 3_145_727),
        ("pair", 555_128),
        ("int-or-string", 4_718_591),
        ("duration", 2_359_295),
        ("date", 725_936),
        ("date-time", 428_963),
    ];
    for (item, unbounded) in lists {
        check(
            |max| list(schema_of(item), max),
            "self.all(x, true)",
            unbounded,
            (10, 32),
        );
    }
    let maps = [
        ("number", 1_348_169),
        ("string", 1_179_647),
        ("boolean", 943_718),
        ("int-or-string", 1_348_169),
        ("map", 1_179_647),
        ("list", 1_179_647),
        ("duration", 1_048_577),
        ("date", 524_288),
        ("date-time", 349_526),
    ];
    for (value, unbounded) in maps {
        check(
            |max| map(schema_of(value), max),
            "self.all(x, true)",
            unbounded,
            (20, 62),
        );
    }
    let numbers = |max| list(schema_of("number"), max);
    assert_eq!(
        cost(&numbers(Some(10)), "self.all(x, self.all(y, true))"),
        352
    );
    assert_eq!(
        cost(
            &numbers(Some(10)),
            "self.all(x, self.all(y, self.all(z, true)))"
        ),
        3552
    );
    check(
        numbers,
        "self.all(x, x == 0.0)",
        6_291_454,
        (6_291_456, 25_165_826),
    );
}

#[test]
fn string_functions_cost_the_length_of_the_string() {
    let cases: [(&str, u64, (i64, u64)); 11] = [
        ("self.contains('test')", 314_574, (10, 5)),
        ("self.startsWith('test')", 2, (15, 2)),
        ("self.endsWith('test')", 2, (30, 2)),
        ("size(self + 'hello') > size('hello')", 314_578, (4, 7)),
        ("self.matches('x')", 314_574, (50, 22)),
        ("''.matches('(((((((((())))))))))[0-9]')", 7, (10, 7)),
        ("self.matches('')", 1, (100, 1)),
        ("self == 'x'", 2, (0, 1)),
        ("self.find('[0-9]+') == ''", 629_147, (10, 11)),
        ("self.lowerAscii() == 'lower!'", 314_575, (10, 6)),
        ("self.trim().size() > 1", 314_576, (10, 7)),
    ];
    for (rule, unbounded, bounded) in cases {
        check(text, rule, unbounded, bounded);
    }
    check(
        |max| json!({"type": "string", "format": "byte", "maxLength": max}),
        "self == b'x'",
        2,
        (0, 1),
    );
    check(
        |max| list(text(max), max),
        "self.join(' ') == 'aa bb'",
        329_853_068_905,
        (10, 43),
    );
    check(
        |max| list(text(max), max),
        "self.isSorted() == true",
        329_854_432_052,
        (10, 52),
    );
    let replace = |max| json!({"type": "object", "properties": {"t": text(max), "from": text(Some(2)), "to": text(Some(4))}});
    check(
        replace,
        "self.t.replace(self.from, self.to) == 'does not matter'",
        629_154,
        (4, 12),
    );
    let split = |max| json!({"type": "object", "properties": {"t": text(max), "by": text(max)}});
    check(split, "self.t.split(self.by) == []", 629_160, (10, 22));
    let allowed = |max: Option<i64>| json!({"type": "string", "enum": ["A", "B", "LongValue"], "maxLength": max});
    check(allowed, "self.contains('A')", 2, (1000, 401));
}

#[test]
fn each_selection_and_index_costs_one() {
    let cases: [(BoundedSchema, &str, u64, (i64, u64)); 11] = [
        (
            |max| list(schema_of("number"), max),
            "self[1] == 0.0",
            2,
            (5000, 2),
        ),
        (
            |max| list(schema_of("string"), max),
            "self[1] == self[1]",
            314_577,
            (8, 314_577),
        ),
        (
            |max| map(schema_of("number"), max),
            "self['x'] == 0.0",
            2,
            (0, 2),
        ),
        (
            |max| list(schema_of("int-or-string"), max),
            "self[0] == 5",
            3,
            (10, 3),
        ),
        (
            |max| list(schema_of("pair"), max),
            "self[0] == null",
            2,
            (422, 2),
        ),
        (
            |max| list(schema_of("list"), max),
            "self[0][0] == -1.0",
            3,
            (51, 3),
        ),
        (
            |max| list(schema_of("map"), max),
            "self.all(x, x.y == 25.2)",
            6_291_452,
            (12, 74),
        ),
        (
            |max| list(schema_of("map"), max),
            "self[0].x > 2.0",
            4,
            (3000, 4),
        ),
        (
            |max| list(schema_of("duration"), max),
            "self[0].getHours() == 2",
            4,
            (525, 4),
        ),
        (
            |max| map(schema_of("date-time"), max),
            "self['a'] == self['b']",
            8,
            (7, 8),
        ),
        (
            |max| map(schema_of("integer"), max),
            "oldSelf.size() == self.size()",
            5,
            (10, 5),
        ),
    ];
    for (schema, rule, unbounded, bounded) in cases {
        check(schema, rule, unbounded, bounded);
    }
    check(
        |max| map(text(max), max),
        "self.all(x, x.contains(self[x]))",
        2_752_507,
        (10, 72),
    );
    let deep = |max| list(map(schema_of("pair"), max), max);
    check(
        deep,
        "self.all(x, x['y'].required == 'z')",
        7_340_027,
        (10, 72),
    );
}
