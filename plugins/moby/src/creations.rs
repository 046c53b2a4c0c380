//! Creation of containers and volumes.

use std::collections::BTreeMap;

use rdd_sdk::http::{HttpRequest, Method};
use rdd_sdk::types::{
    ContainerSpec, Error, ErrorCode, Mount, MountKind, Port, RestartPolicy, VolumeSpec,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::backend::MobyBackend;
use crate::client::parse;
use crate::{objects, url};

#[derive(Deserialize)]
struct CreatedContainer {
    #[serde(rename = "Id")]
    id: String,
}

#[derive(Deserialize)]
struct CreatedVolume {
    #[serde(rename = "Name")]
    name: String,
}

/// Creates a container. Returns its ID.
pub(crate) async fn create_container(
    moby: &MobyBackend,
    spec: ContainerSpec,
) -> Result<String, Error> {
    let mut path = "/containers/create".to_owned();
    if let Some(name) = &spec.name {
        path = url::with_query(&path, [("name", name.clone())]);
    }
    let document = container_document(spec).to_string();
    let response = moby
        .client
        .send(&path, |path| {
            HttpRequest::new(Method::POST, path).json(document)
        })
        .await?;
    let CreatedContainer { id } = parse(&response.body)?;
    Ok(id)
}

fn container_document(spec: ContainerSpec) -> Value {
    let ContainerSpec {
        namespace: _,
        name: _,
        image,
        command,
        args,
        env,
        labels,
        ports,
        mounts,
        working_dir,
        user,
        tty,
        restart_policy,
    } = spec;
    let env: Vec<String> = env
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let (exposed, bindings) = port_maps(ports);
    let (policy, retries) = match restart_policy {
        RestartPolicy::No => ("no", 0),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::UnlessStopped => ("unless-stopped", 0),
        RestartPolicy::OnFailure(retries) => ("on-failure", retries),
    };
    let mut document = json!({
        "Image": image,
        "Env": env,
        "Labels": labels.into_iter().collect::<BTreeMap<_, _>>(),
        "ExposedPorts": exposed,
        "Tty": tty,
        "HostConfig": {
            "PortBindings": bindings,
            "Mounts": mounts.into_iter().map(mount).collect::<Vec<_>>(),
            "RestartPolicy": {"Name": policy, "MaximumRetryCount": retries},
        },
    });
    // The engine takes an empty list for a value.
    if let Value::Object(fields) = &mut document {
        if !command.is_empty() {
            fields.insert("Entrypoint".to_owned(), json!(command));
        }
        if !args.is_empty() {
            fields.insert("Cmd".to_owned(), json!(args));
        }
        if let Some(working_dir) = working_dir {
            fields.insert("WorkingDir".to_owned(), json!(working_dir));
        }
        if let Some(user) = user {
            fields.insert("User".to_owned(), json!(user));
        }
    }
    document
}

/// Returns the exposed ports and the published ones.
fn port_maps(ports: Vec<Port>) -> (Map<String, Value>, Map<String, Value>) {
    let mut exposed = Map::new();
    let mut published = Map::new();
    for Port { name, bindings } in ports {
        exposed.insert(name.clone(), json!({}));
        if !bindings.is_empty() {
            let bindings: Vec<Value> = bindings
                .into_iter()
                .map(|binding| json!({"HostIp": binding.host_ip, "HostPort": binding.host_port}))
                .collect();
            published.insert(name, json!(bindings));
        }
    }
    (exposed, published)
}

fn mount(mount: Mount) -> Value {
    let Mount {
        kind,
        source,
        target,
        read_only,
    } = mount;
    let kind = match kind {
        MountKind::Bind => "bind",
        MountKind::Volume => "volume",
        MountKind::Tmpfs => "tmpfs",
    };
    json!({"Type": kind, "Source": source, "Target": target, "ReadOnly": read_only})
}

/// Creates a volume. Returns its name.
///
/// The engine returns a volume that exists as if it had created it, so it is
/// looked for first. One that another client creates in the milliseconds between
/// is not detected.
pub(crate) async fn create_volume(moby: &MobyBackend, spec: VolumeSpec) -> Result<String, Error> {
    let VolumeSpec {
        namespace: _,
        name,
        driver,
        options,
        labels,
    } = spec;
    if let Some(name) = &name {
        match objects::inspect_volume(&moby.client, name).await {
            Ok(_) => {
                return Err(Error::conflict(format!(
                    "a volume named {name:?} exists; use another name, or remove it first"
                )));
            }
            Err(error) if error.code == ErrorCode::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let document = json!({
        "Name": name.unwrap_or_default(),
        "Driver": driver.unwrap_or_default(),
        "DriverOpts": options.into_iter().collect::<BTreeMap<_, _>>(),
        "Labels": labels.into_iter().collect::<BTreeMap<_, _>>(),
    });
    let body = document.to_string();
    let response = moby
        .client
        .send("/volumes/create", |path| {
            HttpRequest::new(Method::POST, path).json(body)
        })
        .await?;
    let CreatedVolume { name } = parse(&response.body)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use rdd_sdk::types::PortBinding;

    use super::*;

    fn spec() -> ContainerSpec {
        ContainerSpec {
            namespace: "moby".to_owned(),
            name: None,
            image: "busybox".to_owned(),
            command: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            labels: Vec::new(),
            ports: Vec::new(),
            mounts: Vec::new(),
            working_dir: None,
            user: None,
            tty: false,
            restart_policy: RestartPolicy::No,
        }
    }

    #[test]
    fn what_is_not_specified_is_left_to_the_image() {
        let document = container_document(spec());
        for field in ["Entrypoint", "Cmd", "WorkingDir", "User"] {
            assert_eq!(document.get(field), None, "{field}");
        }
    }

    #[test]
    fn a_specification_is_converted_to_the_engines_document() {
        let document = container_document(ContainerSpec {
            command: vec!["sh".to_owned()],
            args: vec!["-c".to_owned(), "true".to_owned()],
            env: vec![("A".to_owned(), "b=c".to_owned())],
            labels: vec![("k".to_owned(), "v".to_owned())],
            ports: vec![
                Port {
                    name: "80/tcp".to_owned(),
                    bindings: vec![PortBinding {
                        host_ip: "127.0.0.1".to_owned(),
                        host_port: "8080".to_owned(),
                    }],
                },
                Port {
                    name: "53/udp".to_owned(),
                    bindings: Vec::new(),
                },
            ],
            mounts: vec![Mount {
                kind: MountKind::Volume,
                source: "data".to_owned(),
                target: "/data".to_owned(),
                read_only: true,
            }],
            restart_policy: RestartPolicy::OnFailure(3),
            ..spec()
        });
        assert_eq!(document["Entrypoint"], json!(["sh"]));
        assert_eq!(document["Cmd"], json!(["-c", "true"]));
        assert_eq!(document["Env"], json!(["A=b=c"]));
        assert_eq!(document["Labels"], json!({"k": "v"}));
        assert_eq!(
            document["ExposedPorts"],
            json!({"80/tcp": {}, "53/udp": {}})
        );
        assert_eq!(
            document["HostConfig"],
            json!({
                "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
                "Mounts": [{"Type": "volume", "Source": "data", "Target": "/data", "ReadOnly": true}],
                "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
            })
        );
    }
}
