//! The strategy of Leases.

use rdd_apiserver_schema::FieldError;
use serde_json::Value;

use super::field_errors::invalid;

/// Fields of coordinated leader election, which needs a control plane controller
/// that this server does not have.
const UNSUPPORTED_FIELDS: [&str; 2] = ["strategy", "preferredHolder"];

pub(super) fn prepare_create(object: &mut Value) {
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        spec.retain(|field, _| !UNSUPPORTED_FIELDS.contains(&field.as_str()));
    }
}

pub(super) fn prepare_update(object: &mut Value, _old: &Value) {
    prepare_create(object);
}

pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, min, detail) in [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ] {
        if let Some(value) = object["spec"][field].as_i64()
            && value < min
        {
            errors.push(invalid(format!("spec.{field}"), value, detail));
        }
    }
    errors
}

pub(super) fn validate_update(object: &Value, _old: &Value) -> Vec<FieldError> {
    validate(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_are_positive_and_transitions_are_not_negative() {
        let texts = |spec: Value| -> Vec<String> {
            validate(&json!({"spec": spec}))
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(
            texts(json!({"leaseDurationSeconds": 1, "leaseTransitions": 0})),
            Vec::<String>::new()
        );
        assert_eq!(
            texts(json!({"leaseDurationSeconds": 0, "leaseTransitions": -1})),
            [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"
            ]
        );
    }

    #[test]
    fn fields_of_coordinated_election_are_removed() {
        let mut object =
            json!({"spec": {"holderIdentity": "a", "strategy": "OldestEmulationVersion"}});
        prepare_create(&mut object);
        assert_eq!(object, json!({"spec": {"holderIdentity": "a"}}));
    }
}
