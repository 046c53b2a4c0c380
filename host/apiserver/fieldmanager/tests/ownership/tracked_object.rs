//! One object that is written repeatedly, with a clock that advances by one second per write.

use rdd_apiserver_fieldmanager::{
    ApplyError, FieldPath, ObjectType, TrackingRequest, apply, apply_if_changed,
    keep_timestamps_if_unchanged, update,
};
use serde_json::{Value, json};

pub(crate) const V1: &str = "example.com/v1";

/// Returns a schema with one field for each type that ownership distinguishes.
pub(crate) fn schema() -> Value {
    let string = json!({"type": "string"});
    let string_map = json!({"type": "object", "additionalProperties": string});
    let item = json!({"type": "object", "required": ["name"], "properties": {
        "name": string, "proto": {"type": "string", "default": "TCP"}, "value": string, "extra": string_map}});
    let x_y = json!({"x": string, "y": string});
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "a": string, "b": string, "n": {"type": "integer"}, "flag": {"type": "boolean"},
            "deflt": {"type": "string", "default": "given"},
            "obj": {"type": "object", "properties": {"x": string, "y": string, "d": string}},
            "atomicObj": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": x_y},
            "map": string_map,
            "atomicMap": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": string},
            "plain": {"type": "array", "items": string},
            "atomic": {"type": "array", "x-kubernetes-list-type": "atomic", "items": string},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": string},
            "numset": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}},
            "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item},
            "two": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "proto"], "items": item},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "nullable": {"type": "string", "nullable": true},
            "ios": {"x-kubernetes-int-or-string": true}}},
        "status": {"type": "object", "properties": {"phase": string, "conditions": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
            "items": {"type": "object", "required": ["type"], "properties": {"type": string, "status": string}}}}}}})
}

pub(crate) fn config_map_schema() -> Value {
    json!({"type": "object", "properties": {
        "data": {"type": "object", "additionalProperties": {"type": "string"}},
        "immutable": {"type": "boolean"}}})
}

/// An object and the parameters of its next write.
pub(crate) struct TrackedObject {
    pub(crate) live: Option<Value>,
    pub(crate) object_type: ObjectType,
    pub(crate) api_version: String,
    pub(crate) subresource: Option<&'static str>,
    pub(crate) reset_fields: Vec<FieldPath>,
    clock: u32,
}

impl TrackedObject {
    pub(crate) fn with_schema(schema: &Value) -> Self {
        Self {
            live: None,
            object_type: ObjectType::from_openapi(schema),
            api_version: V1.to_owned(),
            subresource: None,
            reset_fields: Vec::new(),
            clock: 0,
        }
    }

    /// Creates an object that has [`schema`].
    pub(crate) fn new() -> Self {
        Self::with_schema(&schema())
    }

    pub(crate) fn config_map() -> Self {
        let mut object = Self::with_schema(&config_map_schema());
        object.api_version = "v1".to_owned();
        object
    }

    fn advance_clock(&mut self) -> String {
        self.clock += 1;
        self.time()
    }

    /// Returns the time of the last write.
    pub(crate) fn time(&self) -> String {
        format!(
            "2026-01-01T00:{:02}:{:02}Z",
            self.clock / 60,
            self.clock % 60
        )
    }

    fn with_request<T>(
        &mut self,
        manager: &str,
        run: impl FnOnce(Option<&Value>, &TrackingRequest<'_>) -> T,
    ) -> T {
        let now = self.advance_clock();
        let request = TrackingRequest {
            manager,
            api_version: &self.api_version,
            subresource: self.subresource,
            now: &now,
            object_type: &self.object_type,
            versions: &[],
            zero: None,
            reset_fields: &self.reset_fields,
        };
        run(self.live.as_ref(), &request)
    }

    /// Applies a complete object and stores the result.
    pub(crate) fn apply_object(
        &mut self,
        manager: &str,
        applied: &Value,
        force: bool,
    ) -> Result<(), ApplyError> {
        let new = self.with_request(manager, |live, request| {
            let new = apply(live, applied, force, request);
            // The fast path returns the same result.
            let changed = apply_if_changed(live, applied, force, request);
            assert_eq!(
                new.as_ref().ok(),
                changed.as_ref().ok().map(|c| c.as_ref().or(live).unwrap())
            );
            new
        })?;
        self.store(new);
        Ok(())
    }

    /// Applies an object to which `apiVersion`, `kind`, and `metadata.name` are added.
    pub(crate) fn apply_with(
        &mut self,
        manager: &str,
        mut fields: Value,
        force: bool,
    ) -> Result<(), ApplyError> {
        let map = fields.as_object_mut().unwrap();
        map.insert("apiVersion".to_owned(), json!(self.api_version));
        map.insert("kind".to_owned(), json!("Widget"));
        let metadata = map.entry("metadata").or_insert_with(|| json!({}));
        metadata["name"] = json!("a");
        self.apply_object(manager, &fields, force)
    }

    /// Applies a spec without force.
    pub(crate) fn apply(&mut self, manager: &str, spec: Value) -> Result<(), ApplyError> {
        self.apply_with(manager, json!({ "spec": spec }), false)
    }

    /// Applies a spec with force.
    pub(crate) fn force_apply(&mut self, manager: &str, spec: Value) {
        self.apply_with(manager, json!({ "spec": spec }), true)
            .unwrap();
    }

    /// Applies a spec that must conflict. Returns `manager: field` for each cause, and the message.
    pub(crate) fn expect_conflict(&mut self, manager: &str, spec: Value) -> (Vec<String>, String) {
        expect_conflicts(self.apply(manager, spec))
    }

    /// Changes the live object and stores the result as an update.
    pub(crate) fn update(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
        let api_version = self.api_version.clone();
        let new = self.with_request(manager, |live, request| {
            let mut new = live.cloned().unwrap_or_else(|| {
                json!({
                "apiVersion": api_version, "kind": "Widget", "metadata": {"name": "a"}})
            });
            change(&mut new);
            update(live, new, request).unwrap()
        });
        self.store(new);
    }

    fn store(&mut self, mut new: Value) {
        new["metadata"]["uid"] = json!("11111111-1111-1111-1111-111111111111");
        if let Some(live) = &self.live {
            keep_timestamps_if_unchanged(live, &mut new);
        }
        self.live = Some(new);
    }

    pub(crate) fn live(&self) -> &Value {
        self.live.as_ref().unwrap()
    }

    pub(crate) fn spec(&self) -> Value {
        self.live().get("spec").cloned().unwrap_or(Value::Null)
    }

    /// Returns the entries of managedFields, each as `name Operation fields` or
    /// `name Operation/subresource fields`.
    pub(crate) fn owners(&self) -> Vec<String> {
        let entries = self.live()["metadata"]
            .get("managedFields")
            .cloned()
            .unwrap_or(json!([]));
        entries
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                assert_eq!(entry["fieldsType"], "FieldsV1");
                let subresource = entry
                    .get("subresource")
                    .map_or(String::new(), |s| format!("/{}", s.as_str().unwrap()));
                format!(
                    "{} {}{subresource} {}",
                    entry["manager"].as_str().unwrap(),
                    entry["operation"].as_str().unwrap(),
                    entry["fieldsV1"]
                )
            })
            .collect()
    }

    /// Returns the time of a manager's entry.
    pub(crate) fn time_of(&self, manager: &str) -> Option<String> {
        let entries = self.live()["metadata"]["managedFields"].as_array().unwrap();
        let entry = entries
            .iter()
            .find(|entry| entry["manager"] == manager)
            .unwrap();
        entry
            .get("time")
            .map(|time| time.as_str().unwrap().to_owned())
    }
}

/// Returns the causes and the message of a conflict. See [`TrackedObject::expect_conflict`].
pub(crate) fn expect_conflicts(result: Result<(), ApplyError>) -> (Vec<String>, String) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), 409, "{error}");
    let message = error.to_string();
    let ApplyError::Conflicts(conflicts) = error else {
        panic!("not a conflict: {message}");
    };
    let causes = conflicts
        .iter()
        .map(|conflict| {
            assert!(conflict.cause_message().starts_with("conflict with "));
            format!("{}: {}", conflict.manager.name, conflict.field)
        })
        .collect();
    (causes, message)
}
