//! Properties of every sequence of writes, and of every set.

use proptest::prelude::*;
use rdd_apiserver_fieldmanager::{FieldPath, FieldSet, PathElement};
use serde_json::{Map, Value, json};

use crate::tracked_object::TrackedObject;

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![Just("1"), Just("2"), Just("3")].prop_map(Value::from)
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("p"), Just("q"), Just("r"), Just("s")]
}

fn map_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(), value, 0..4).prop_map(|fields| {
        Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    })
}

fn items() -> impl Strategy<Value = Value> {
    (
        prop::collection::btree_map(name(), prop::option::of(text()), 1..4),
        any::<bool>(),
    )
        .prop_map(|(items, backwards)| {
            let mut items: Vec<Value> = items
                .into_iter()
                .map(|(name, value)| match value {
                    Some(value) => json!({"name": name, "value": value}),
                    None => json!({ "name": name }),
                })
                .collect();
            if backwards {
                items.reverse();
            }
            Value::from(items)
        })
}

/// Generates valid specs with fields of every type, but without empty `set` and `map` lists: those
/// are in no set and have no owner.
fn spec() -> impl Strategy<Value = Value> {
    let names =
        |min: usize| prop::collection::btree_set(name(), min..4).prop_map(|names| json!(names));
    let x_y = map_of(text()).prop_map(|map| {
        let fields = map.as_object().cloned().unwrap_or_default();
        Value::Object(
            fields
                .into_iter()
                .zip(["x", "y"])
                .map(|((_, v), k)| (k.to_owned(), v))
                .collect(),
        )
    });
    let open = map_of(prop_oneof![text(), map_of(text()), names(0)]);
    let of = |names: &'static [&'static str], value: BoxedStrategy<Value>| {
        (prop::sample::select(names), value)
    };
    let field = prop_oneof![
        of(&["a", "b", "deflt"], text().boxed()),
        of(&["obj"], x_y.boxed()),
        of(&["map", "atomicMap"], map_of(text()).boxed()),
        of(&["open"], open.boxed()),
        of(&["set"], names(1).boxed()),
        of(&["plain", "atomic"], names(0).boxed()),
        of(&["list", "two"], items().boxed()),
        of(
            &["nullable"],
            prop_oneof![text(), Just(Value::Null)].boxed()
        ),
    ];
    prop::collection::vec(field, 0..6).prop_map(|fields| {
        Value::Object(
            fields
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<Map<_, _>>(),
        )
    })
}

fn step() -> impl Strategy<Value = (&'static str, u8, Value)> {
    (
        prop_oneof![Just("one"), Just("two"), Just("three")],
        0_u8..3,
        spec(),
    )
}

fn write_all(object: &mut TrackedObject, steps: &[(&'static str, u8, Value)]) {
    for (manager, operation, spec) in steps {
        match operation {
            0 => {
                let _conflict = object.apply(manager, spec.clone());
            }
            1 => object.force_apply(manager, spec.clone()),
            _ => object.update(manager, |new| {
                new["spec"] = spec.clone();
            }),
        }
    }
}

/// Returns whether the path exists in the value. An absent list key has its default.
fn exists(value: &Value, path: &[PathElement]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    match first {
        PathElement::Field(name) => value.get(name).is_some_and(|inner| exists(inner, rest)),
        PathElement::Value(own) => value.as_array().is_some_and(|items| items.contains(own)),
        PathElement::Key(keys) => value.as_array().is_some_and(|items| {
            items
                .iter()
                .filter(|item| {
                    keys.iter()
                        .all(|(name, key)| item.get(name).unwrap_or(&json!("TCP")) == key)
                })
                .any(|item| exists(item, rest))
        }),
        PathElement::Index(_) => false,
    }
}

fn owned_fields(object: &TrackedObject) -> Vec<(String, FieldSet)> {
    let entries = object.live()["metadata"]
        .get("managedFields")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    entries
        .iter()
        .map(|entry| {
            let manager = format!("{} {}", entry["manager"], entry["operation"]);
            (
                manager,
                FieldSet::from_fields_v1(&entry["fieldsV1"]).unwrap(),
            )
        })
        .collect()
}

fn path() -> impl Strategy<Value = FieldPath> {
    let element = prop_oneof![
        name().prop_map(|name| PathElement::Field(name.to_owned())),
        (0_i64..3).prop_map(PathElement::Index),
        name().prop_map(|name| PathElement::Value(json!(name))),
        (0_i64..3).prop_map(|n| PathElement::Key(vec![("n".to_owned(), json!(n))])),
    ];
    prop::collection::vec(element, 1..4).prop_map(FieldPath)
}

fn set() -> impl Strategy<Value = FieldSet> {
    prop::collection::vec(path(), 0..12).prop_map(|paths| FieldSet::from_paths(&paths))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn applying_twice_changes_nothing(before in prop::collection::vec(step(), 0..5), spec in spec()) {
        let mut object = TrackedObject::new();
        write_all(&mut object, &before);
        object.force_apply("one", spec.clone());
        let once = object.live().clone();
        object.apply("one", spec).unwrap();
        prop_assert_eq!(object.live(), &once);
    }

    #[test]
    fn applied_fields_exist_and_are_owned(before in prop::collection::vec(step(), 0..5), spec in spec()) {
        let mut object = TrackedObject::new();
        write_all(&mut object, &before);
        object.force_apply("one", spec.clone());
        let fields = owned_fields(&object);
        for (name, value) in spec.as_object().unwrap() {
            let is_scalar = matches!(name.as_str(), "a" | "b" | "deflt" | "nullable" | "atomic" | "plain" | "atomicMap");
            if is_scalar {
                prop_assert_eq!(&object.spec()[name], value);
                let path = FieldPath::from_fields(&["spec", name]);
                prop_assert!(fields.iter().any(|(writer, set)| writer == "\"one\" \"Apply\"" && set.contains(&path)), "{}", path);
            }
        }
    }

    #[test]
    fn owned_fields_exist(steps in prop::collection::vec(step(), 1..7)) {
        let mut object = TrackedObject::new();
        write_all(&mut object, &steps);
        if object.live.is_none() {
            return Ok(());
        }
        for (writer, set) in owned_fields(&object) {
            prop_assert!(!set.is_empty());
            for path in set.paths() {
                prop_assert!(exists(object.live(), &path.0), "{} owns {} of {}", writer, path, object.spec());
            }
        }
    }

    #[test]
    fn managers_of_disjoint_fields_commute(l in spec(), r in spec()) {
        let one = json!({"obj": {"x": "1"}, "map": l["map"], "open": {"l": l["open"]}, "a": "1", "list": prefixed(&l["list"], "l")});
        let two = json!({"obj": {"y": "2"}, "open": {"r": r["open"]}, "b": "2", "atomicMap": {"k": "v"}, "list": prefixed(&r["list"], "r")});
        let one_spec = without_nulls(one);
        let two_spec = without_nulls(two);
        let (mut forth, mut back) = (TrackedObject::new(), TrackedObject::new());
        forth.apply("one", one_spec.clone()).unwrap();
        forth.apply("two", two_spec.clone()).unwrap();
        back.apply("two", two_spec).unwrap();
        back.apply("one", one_spec).unwrap();
        let sorted = |object: &TrackedObject| {
            let mut owners = object.owners();
            owners.sort();
            let mut spec = object.spec();
            if let Some(Value::Array(items)) = spec.get_mut("list") {
                items.sort_by_key(|item| item["name"].to_string());
            }
            (owners, spec)
        };
        prop_assert_eq!(sorted(&forth), sorted(&back));
    }

    #[test]
    fn an_apply_without_force_takes_no_fields(before in prop::collection::vec(step(), 1..5), spec in spec()) {
        let mut object = TrackedObject::new();
        write_all(&mut object, &before);
        if object.live.is_none() {
            return Ok(());
        }
        let (fields, old) = (owned_fields(&object), object.spec());
        if object.apply("new", spec).is_ok() {
            let others: Vec<_> = owned_fields(&object).into_iter().filter(|(writer, _)| !writer.starts_with("\"new\"")).collect();
            if !fields.is_empty() {
                prop_assert_eq!(others.len(), fields.len(), "{} -> {}", old, object.spec());
                for (writer, set) in fields {
                    prop_assert!(others.contains(&(writer.clone(), set)), "{}", writer);
                }
            }
        }
    }

    #[test]
    fn field_sets_obey_set_algebra(a in set(), b in set(), c in set()) {
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(a.union(&b).union(&c), a.union(&b.union(&c)));
        prop_assert_eq!(a.intersection(&b.union(&c)), a.intersection(&b).union(&a.intersection(&c)));
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
        prop_assert!(a.difference(&b).intersection(&b).is_empty());
        prop_assert!(a.recursive_difference(&b).is_subset(&a.difference(&b)));
        prop_assert_eq!(a.is_subset(&b), a.difference(&b).is_empty());
        prop_assert!(a.leaves().is_subset(&a));
        prop_assert_eq!(FieldSet::from_paths(&a.paths()), a.clone());
        prop_assert!(a.paths().iter().all(|path| a.contains(path)));
        prop_assert_eq!(a.union(&b).paths().iter().all(|path| a.contains(path) || b.contains(path)), true);
        prop_assert_eq!(FieldSet::from_fields_v1(&a.to_fields_v1()), Ok(a));
    }
}

fn prefixed(items: &Value, prefix: &str) -> Value {
    items
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| {
            let mut item = item.clone();
            item["name"] = json!(format!("{prefix}{}", item["name"].as_str().unwrap()));
            item
        })
        .collect()
}

fn without_nulls(mut spec: Value) -> Value {
    spec.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    spec
}
