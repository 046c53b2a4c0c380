//! Volumes.

use rdd_sdk::types::{Timestamp, Volume};

use super::NAMESPACE;
use crate::model;

/// From a listing or an inspection; `created_at` is what
/// [`volume_times`](crate::volume_times) made of the engine's.
pub(crate) fn volume(from: model::Volume, created_at: Option<Timestamp>) -> Volume {
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
        let record = volume(
            serde_json::from_value(json!({
                "Name": "v", "Driver": "local", "Mountpoint": "/m", "Labels": null,
                "Scope": "local", "Options": {"o": "1", "p": null}
            }))
            .unwrap(),
            Some(crate::time::at(1)),
        );
        assert_eq!(
            (record.name.as_str(), record.scope.as_str()),
            ("v", "local")
        );
        assert!(record.labels.is_empty());
        assert_eq!(record.options, [("o".into(), "1".into())]);
    }
}
