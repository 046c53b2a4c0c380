//! Conversion of containers.

use std::net::IpAddr;

use rdd_sdk::types::{Container, ContainerState, Port, PortBinding};

use super::NAMESPACE;
use crate::removal_names::original_name;
use crate::{model, time};

/// The range of valid exit codes. Those of Windows containers are unsigned.
const EXIT_CODES: std::ops::RangeInclusive<i64> = i32::MIN as i64..=u32::MAX as i64;

/// Converts the response of an inspect request.
pub(crate) fn container_from_inspect(from: model::ContainerInspectResponse) -> Container {
    let model::ContainerInspectResponse {
        id,
        name,
        created,
        path,
        args,
        image,
        state,
        config,
        network_settings,
    } = from;
    let name = bare_name(original_name(&name, &id));
    Container {
        id,
        name,
        namespace: NAMESPACE.to_owned(),
        path,
        args,
        image_id: image,
        image_name: config.image,
        labels: config.labels.into_iter().collect(),
        state: container_state(&state.status, &state),
        pid: i32::try_from(state.pid).unwrap_or_default(),
        exit_code: exit_code(state.exit_code),
        error: state.error,
        created_at: time::parse(&created),
        started_at: time::parse(&state.started_at),
        finished_at: time::parse(&state.finished_at),
        ports: ports(network_settings, config.exposed_ports.into_keys()),
        running: state.running,
        paused: state.paused,
        restarting: state.restarting,
        oom_killed: state.oom_killed,
        dead: state.dead,
        tty: config.tty,
    }
}

/// Converts an element of a list response, for a container that the engine
/// lists but fails to inspect. The record then has only some of the fields.
pub(crate) fn container_from_summary(from: model::ContainerSummary) -> Container {
    let model::ContainerSummary {
        id,
        names,
        image,
        image_id,
        created,
        labels,
        state,
    } = from;
    // Links add names that contain a slash.
    let own_name = names
        .iter()
        .find(|name| !name.trim_start_matches('/').contains('/'))
        .or(names.first());
    let name = bare_name(original_name(own_name.map_or("", String::as_str), &id));
    let state = container_state(&state, &model::ContainerState::default());
    let paused = state == ContainerState::Paused;
    Container {
        id,
        name,
        namespace: NAMESPACE.to_owned(),
        path: String::new(),
        args: Vec::new(),
        image_id,
        image_name: image,
        labels: labels.into_iter().collect(),
        state,
        pid: 0,
        exit_code: 0,
        error: String::new(),
        created_at: time::parse_seconds(created),
        started_at: None,
        finished_at: None,
        ports: Vec::new(),
        running: paused || state == ContainerState::Running,
        paused,
        restarting: state == ContainerState::Restarting,
        oom_killed: false,
        dead: state == ContainerState::Dead,
        tty: false,
    }
}

/// Returns a name without the `/` that the engine puts before it.
fn bare_name(name: &str) -> String {
    name.strip_prefix('/').unwrap_or(name).to_owned()
}

fn container_state(status: &str, flags: &model::ContainerState) -> ContainerState {
    match status {
        "created" => ContainerState::Created,
        "running" => ContainerState::Running,
        "pausing" => ContainerState::Pausing,
        "paused" => ContainerState::Paused,
        "restarting" => ContainerState::Restarting,
        "removing" => ContainerState::Removing,
        "exited" => ContainerState::Exited,
        "dead" => ContainerState::Dead,
        // Some engines return only the flags.
        "" if flags.paused => ContainerState::Paused,
        "" if flags.restarting => ContainerState::Restarting,
        "" if flags.running => ContainerState::Running,
        "" if flags.dead => ContainerState::Dead,
        _ => ContainerState::Unknown,
    }
}

fn exit_code(code: i64) -> i32 {
    if EXIT_CODES.contains(&code) {
        // Codes above i32::MAX become negative, as Windows tools print them.
        code as i32
    } else {
        -1
    }
}

fn ports(settings: model::NetworkSettings, exposed: impl Iterator<Item = String>) -> Vec<Port> {
    let mut ports = settings.ports;
    for name in exposed {
        ports.entry(name).or_default();
    }
    // The map is sorted by name.
    ports
        .into_iter()
        .map(|(name, model::PortBindings(bindings))| {
            let mut bindings: Vec<PortBinding> = bindings.into_iter().map(binding).collect();
            bindings.sort_by(|a, b| (&a.host_ip, &a.host_port).cmp(&(&b.host_ip, &b.host_port)));
            bindings.dedup();
            Port { name, bindings }
        })
        .collect()
}

fn binding(from: model::PortBinding) -> PortBinding {
    let model::PortBinding { host_ip, host_port } = from;
    let is_address = host_ip.parse::<IpAddr>().is_ok();
    PortBinding {
        host_ip: if is_address { host_ip } else { String::new() },
        host_port,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(document: serde_json::Value) -> Container {
        container_from_inspect(serde_json::from_value(document).unwrap())
    }

    #[test]
    fn all_fields_of_a_container_are_converted() {
        let record = read(json!({
            "Id": "ab", "Name": "/web", "Created": "2026-11-23T09:11:16.5Z",
            "Path": "nginx", "Args": ["-g", "daemon off;"], "Image": "sha256:1",
            "State": {"Status": "running", "Running": true, "Pid": 77, "ExitCode": 0, "Error": "",
                "OOMKilled": true, "StartedAt": "2026-11-23T09:11:17Z", "FinishedAt": "0001-01-01T00:00:00Z"},
            "Config": {"Env": ["SECRET=hunter2"], "Image": "nginx:1", "Tty": true, "Labels": {"b": "2", "a": "1"}},
            "NetworkSettings": {"Ports": {
                "80/tcp": [{"HostIp": "::", "HostPort": "8080"}, {"HostIp": "0.0.0.0", "HostPort": "8080"}],
                "443/tcp": null, "53/udp": [{"HostIp": "nowhere", "HostPort": "53"}]}}
        }));
        assert_eq!(
            (record.namespace.as_str(), record.name.as_str()),
            ("moby", "web")
        );
        assert_eq!((record.path.as_str(), record.args.len()), ("nginx", 2));
        assert_eq!(
            (record.image_id.as_str(), record.image_name.as_str()),
            ("sha256:1", "nginx:1")
        );
        assert_eq!(record.state, ContainerState::Running);
        assert!(record.running && record.tty && record.oom_killed && !record.paused);
        assert_eq!(record.finished_at, None);
        assert_eq!(
            record.started_at,
            Some(time::from_unix_seconds(1_795_425_077))
        );
        assert_eq!(
            record.labels,
            [("a".into(), "1".into()), ("b".into(), "2".into())]
        );
        let names: Vec<&str> = record.ports.iter().map(|port| port.name.as_str()).collect();
        assert_eq!(names, ["443/tcp", "53/udp", "80/tcp"]);
        assert!(record.ports[0].bindings.is_empty());
        assert_eq!(record.ports[1].bindings[0].host_ip, "");
        assert_eq!(record.ports[1].bindings[0].host_port, "53");
        assert_eq!(record.ports[2].bindings[0].host_ip, "0.0.0.0");
        assert!(!format!("{record:?}").contains("hunter2"));
    }

    #[test]
    fn only_the_slash_of_the_engine_is_removed_from_a_name() {
        for (name, expected) in [("/web", "web"), ("web", "web"), ("/shop/web", "shop/web")] {
            let record = read(json!({"Id": "ab", "Name": name}));
            assert_eq!((&*record.namespace, &*record.name), ("moby", expected));
        }
    }

    #[test]
    fn a_container_that_does_not_run_has_its_exposed_ports() {
        let record = read(json!({
            "Id": "ab",
            "Config": {"ExposedPorts": {"80/tcp": {}, "53/udp": {}}},
            "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}}
        }));
        let ports: Vec<_> = record
            .ports
            .iter()
            .map(|port| (port.name.as_str(), port.bindings.len()))
            .collect();
        assert_eq!(ports, [("53/udp", 0), ("80/tcp", 1)]);
    }

    #[test]
    fn a_container_that_is_being_removed_keeps_its_original_name() {
        let record = read(json!({"Id": "ab", "Name": "/web.rdd-removing.ab"}));
        assert_eq!(record.name, "web");
    }

    #[test]
    fn an_invalid_value_affects_only_its_field() {
        let record = read(json!({
            "Id": "ab", "Name": 7, "Created": null, "Path": {}, "Args": ["a", null, 3, "b"],
            "State": {"Status": "levitating", "Running": "yes", "Pid": 1e30, "ExitCode": 3221225786_i64},
            "Config": {"Labels": {"good": "1", "bad": null, "worse": []}, "Tty": null},
            "NetworkSettings": {"Ports": {"80/tcp": 5}}
        }));
        assert_eq!(record.id, "ab");
        assert_eq!(record.args, ["a", "b"]);
        assert_eq!(record.state, ContainerState::Unknown);
        assert_eq!((record.pid, record.exit_code), (0, -1_073_741_510));
        assert_eq!(record.labels, [("good".into(), "1".into())]);
        assert!(record.ports[0].bindings.is_empty());

        let bare =
            read(json!({"Id": "ab", "State": null, "Config": null, "NetworkSettings": null}));
        assert_eq!(bare.state, ContainerState::Unknown);
        let flagged = read(json!({"Id": "ab", "State": {"Running": true, "Paused": true}}));
        assert_eq!(flagged.state, ContainerState::Paused);
    }

    #[test]
    fn a_container_is_converted_from_a_summary() {
        let summary: model::ContainerSummary = serde_json::from_value(json!({
            "Id": "ab", "Names": ["/other/alias", "/web"], "Image": "nginx", "ImageID": "sha256:1",
            "Created": 5, "State": "paused", "Labels": {"a": "1"}
        }))
        .unwrap();
        let record = container_from_summary(summary);
        assert_eq!(record.name, "web");
        assert_eq!(record.image_name, "nginx");
        assert!(record.running && record.paused);
        assert_eq!(record.created_at, Some(time::from_unix_seconds(5)));
    }
}
