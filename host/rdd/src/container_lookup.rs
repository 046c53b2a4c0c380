//! Resolves a name or an ID prefix to the mirror of a container.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail};
use kube::api::{Api, ListParams};
use rdd_api::{APP_NAME, App, Container, ContainerState, condition};

/// The maximum number of candidates in the error for an ambiguous prefix.
const MAX_CANDIDATES: usize = 5;

/// Returns the name of the mirror of the container with this name, ID, or unique
/// ID prefix.
pub(crate) async fn resolve_container(client: kube::Client, text: &str) -> Result<String> {
    let found = resolve_containers(client, std::slice::from_ref(&text)).await?;
    found
        .into_iter()
        .next()
        .map(|container| container.mirror)
        .context("the lookup of one container returned none")
}

/// Returns the containers with these names, IDs, or unique ID prefixes, each one
/// once.
pub(crate) async fn resolve_containers(
    client: kube::Client,
    texts: &[impl AsRef<str>],
) -> Result<Vec<KnownContainer>> {
    let containers = list_containers(client.clone()).await?;
    let mut found: Vec<KnownContainer> = Vec::new();
    for text in texts {
        let text = text.as_ref();
        let Some(container) = find_match(&containers, text)? else {
            return Err(not_found_error(&app(client).await?, text));
        };
        if !found.iter().any(|known| known.mirror == container.mirror) {
            found.push(container.clone());
        }
    }
    Ok(found)
}

/// Lists the containers.
pub(crate) async fn list_containers(client: kube::Client) -> Result<Vec<KnownContainer>> {
    let containers: Api<Container> = Api::all(client);
    let list = containers
        .list(&ListParams::default())
        .await
        .context("cannot list the containers")?;
    let known = list.items.into_iter().filter_map(|container| {
        let status = container.status.unwrap_or_default();
        Some(KnownContainer {
            mirror: container.metadata.name?,
            name: status.name,
            namespace: status.namespace,
            image: status.image_name,
            is_running: status.status == ContainerState::Running,
            labels: status.labels,
        })
    });
    Ok(known.collect())
}

/// A container as its mirror describes it.
#[derive(Clone, Debug)]
pub(crate) struct KnownContainer {
    /// The name of the mirror: the full ID, or a hash of it.
    pub(crate) mirror: String,
    pub(crate) name: String,
    /// The engine's namespace.
    pub(crate) namespace: String,
    /// The image, as it was given when the container was created.
    pub(crate) image: String,
    pub(crate) is_running: bool,
    pub(crate) labels: BTreeMap<String, String>,
}

/// Reads the App, for the reason why there are no containers.
async fn app(client: kube::Client) -> Result<App> {
    let apps: Api<App> = Api::all(client);
    apps.get(APP_NAME)
        .await
        .context("no such container, and the App cannot be read for the reason")
}

/// Returns the error for an unknown container, with the reason.
fn not_found_error(app: &App, text: &str) -> anyhow::Error {
    if !app.spec.running {
        return anyhow!(
            "the container engine is stopped, so there are no containers; start it with: rdd ctl patch app {APP_NAME} --type=merge -p '{{\"spec\":{{\"running\":true}}}}'"
        );
    }
    let ready = app
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .find(|known| known.type_ == condition::CONTAINER_ENGINE_READY);
    match ready {
        Some(condition) if condition.status != "True" => anyhow!(
            "no container {text:?} is known, and the engine is not available: {} ({})",
            condition.message,
            condition.reason
        ),
        _ => anyhow!("no container {text:?}; 'rdd ctl get containers -A' lists them"),
    }
}

/// Finds a container. A full ID takes precedence over a name, and a name over an
/// ID prefix, as with docker. Returns `None` if nothing matches.
fn find_match<'a>(known: &'a [KnownContainer], text: &str) -> Result<Option<&'a KnownContainer>> {
    if let Some(container) = known.iter().find(|container| container.mirror == text) {
        return Ok(Some(container));
    }
    let name = text.strip_prefix('/').unwrap_or(text);
    let by_name: Vec<_> = known
        .iter()
        .filter(|container| !name.is_empty() && container.name == name)
        .collect();
    if let Some(mirror) = only_match(&by_name, "name", text, "use the name of a Container object")?
    {
        return Ok(Some(mirror));
    }
    let by_prefix: Vec<_> = known
        .iter()
        .filter(|container| !text.is_empty() && container.mirror.starts_with(text))
        .collect();
    only_match(&by_prefix, "prefix", text, "use a longer prefix or a name")
}

/// Returns the only container. For several, the error lists them.
fn only_match<'a>(
    found: &[&'a KnownContainer],
    relation: &str,
    text: &str,
    remedy: &str,
) -> Result<Option<&'a KnownContainer>> {
    let [first, others @ ..] = found else {
        return Ok(None);
    };
    if others.is_empty() {
        return Ok(Some(first));
    }
    let namespaces_differ = others
        .iter()
        .any(|other| other.namespace != first.namespace);
    let shown: Vec<_> = found
        .iter()
        .take(MAX_CANDIDATES)
        .map(|container| {
            let KnownContainer {
                mirror,
                name,
                namespace,
                ..
            } = container;
            if namespaces_differ {
                format!("{mirror} ({name} in {namespace})")
            } else {
                format!("{mirror} ({name})")
            }
        })
        .collect();
    let more = if found.len() > MAX_CANDIDATES {
        ", …"
    } else {
        ""
    };
    bail!(
        "{text:?} is the {relation} of {} containers: {}{more}; {remedy}",
        found.len(),
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(mirror: &str, name: &str, namespace: &str) -> KnownContainer {
        KnownContainer {
            mirror: mirror.to_owned(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            image: String::new(),
            is_running: false,
            labels: BTreeMap::new(),
        }
    }

    fn find<'a>(known: &'a [KnownContainer], text: &str) -> Option<&'a str> {
        find_match(known, text).unwrap().map(|it| &*it.mirror)
    }

    #[test]
    fn a_name_in_two_namespaces_is_ambiguous() {
        let known = [
            container("aa11", "web", "default"),
            container("ctr-22", "web", "shop"),
        ];
        let error = find_match(&known, "web").unwrap_err().to_string();
        assert!(
            error.contains(
                "2 containers: aa11 (web in default), ctr-22 (web in shop); use the name"
            ),
            "{error}"
        );
        assert_eq!(find(&known, "ctr-22"), Some("ctr-22"));
    }

    #[test]
    fn an_id_takes_precedence_over_a_name_and_a_name_over_a_prefix() {
        // The name of the first is the ID of another.
        let known = [
            ("ab44", "aa22"),
            ("aa11", "web"),
            ("aa22", "db"),
            ("bb33", "aa"),
        ]
        .map(|(mirror, name)| container(mirror, name, "default"));
        for (text, id) in [
            ("web", "aa11"),
            ("/web", "aa11"),
            ("aa22", "aa22"),
            ("aa2", "aa22"),
            ("b", "bb33"),
            ("aa", "bb33"),
            ("ab", "ab44"),
        ] {
            assert_eq!(find(&known, text), Some(id), "{text}");
        }
        let error = find_match(&known, "a").unwrap_err().to_string();
        assert!(
            error.contains("aa11 (web)") && error.contains("aa22 (db)"),
            "{error}"
        );
        assert_eq!(find(&known, "zz"), None);
        assert_eq!(find(&known, ""), None);
        assert_eq!(find(&known, "//web"), None);
    }

    #[test]
    fn the_error_names_a_stopped_app_or_an_unavailable_engine() {
        let app = |running: bool, conditions: serde_json::Value| -> App {
            serde_json::from_value(serde_json::json!({
                "apiVersion": "app.rancherdesktop.io/v1alpha1",
                "kind": "App",
                "metadata": {"name": APP_NAME},
                "spec": {"running": running},
                "status": {"conditions": conditions},
            }))
            .unwrap()
        };
        let not_ready = serde_json::json!([{
            "type": condition::CONTAINER_ENGINE_READY, "status": "False",
            "reason": "ConnectFailed", "message": "no such file",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]);
        let stopped = not_found_error(&app(false, not_ready.clone()), "web").to_string();
        assert!(
            stopped.contains("stopped") && stopped.contains("start it with"),
            "{stopped}"
        );
        let unavailable = not_found_error(&app(true, not_ready), "web").to_string();
        assert!(unavailable.contains("no such file"), "{unavailable}");
        let unknown = not_found_error(&app(true, serde_json::json!([])), "web").to_string();
        assert!(unknown.starts_with("no container \"web\""), "{unknown}");
    }
}
