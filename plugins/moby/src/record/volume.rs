//! Conversion of volumes.

use rdd_sdk::types::{Timestamp, Volume};

use super::NAMESPACE;
use crate::model;

/// Converts an element of a list response or the response of an inspect request.
/// `created_at` is the time from [`volume_times`](crate::volume_times).
pub(crate) fn volume_from_model(from: model::Volume, created_at: Option<Timestamp>) -> Volume {
    let model::Volume {
        name,
        driver,
        mountpoint,
        created_at: _,
        labels,
        scope,
        options,
    } = from;
    Volume {
        name,
        namespace: NAMESPACE.to_owned(),
        created_at,
        driver,
        mountpoint,
        labels: labels.into_iter().collect(),
        scope,
        options: options.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_maps_are_empty() {
        let record = volume_from_model(
            serde_json::from_value(json!({
                "Name": "v", "Driver": "local", "Mountpoint": "/m", "Labels": null,
                "Scope": "local", "Options": {"o": "1", "p": null}
            }))
            .unwrap(),
            Some(crate::time::from_unix_seconds(1)),
        );
        assert_eq!(
            (record.name.as_str(), record.scope.as_str()),
            ("v", "local")
        );
        assert!(record.labels.is_empty());
        assert_eq!(record.options, [("o".into(), "1".into())]);
    }
}
