//! From what a person types to a container's full ID.

use anyhow::{Context as _, Result, anyhow, bail};
use kube::api::{Api, ListParams};
use rdd_api::{APP_NAME, App, Container, condition};

/// How many candidates an ambiguous prefix is answered with.
const SHOWN: usize = 5;

/// The ID of the container of this name, of this ID, or whose ID alone begins so.
pub(crate) async fn container(client: kube::Client, text: &str) -> Result<String> {
    let containers: Api<Container> = Api::all(client.clone());
    let list = containers
        .list(&ListParams::default())
        .await
        .context("cannot list the containers")?;
    let known: Vec<(String, String)> = list
        .items
        .into_iter()
        .filter_map(|container| {
            let name = container
                .status
                .as_ref()
                .map(|status| status.name.clone())
                .unwrap_or_default();
            Some((container.metadata.name?, name))
        })
        .collect();
    match choose(&known, text)? {
        Some(id) => Ok(id.to_owned()),
        None => Err(absent(&app(client).await?, text)),
    }
}

/// The App, which says whether there can be containers at all.
async fn app(client: kube::Client) -> Result<App> {
    let apps: Api<App> = Api::all(client);
    apps.get(APP_NAME)
        .await
        .context("cannot read the App to say why there is no such container")
}

/// Why there is no such container.
fn absent(app: &App, text: &str) -> anyhow::Error {
    if !app.spec.running {
        return anyhow!(
            "the container engine is stopped, so no container is known; start it with: rdd ctl patch app {APP_NAME} --type=merge -p '{{\"spec\":{{\"running\":true}}}}'"
        );
    }
    let ready = app
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .find(|known| known.type_ == condition::CONTAINER_ENGINE_READY);
    match ready {
        Some(condition) if condition.status != "True" => anyhow!(
            "no container {text:?} is known, and the engine cannot be asked now: {} ({})",
            condition.message,
            condition.reason
        ),
        _ => anyhow!("no container {text:?}; 'rdd ctl get containers -A' lists them"),
    }
}

/// The full ID wins over a name, and a name over the beginning of an ID, as
/// with docker. `Ok(None)` where nothing fits.
fn choose<'a>(known: &'a [(String, String)], text: &str) -> Result<Option<&'a str>> {
    let name = text.strip_prefix('/').unwrap_or(text);
    let by_id = known.iter().find(|(id, _)| id == text);
    if let Some((id, _)) = by_id.or_else(|| known.iter().find(|(_, known)| known == name)) {
        return Ok(Some(id));
    }
    let matches: Vec<_> = known
        .iter()
        .filter(|(id, _)| !text.is_empty() && id.starts_with(text))
        .collect();
    match matches.as_slice() {
        [(id, _)] => Ok(Some(id)),
        [] => Ok(None),
        many => {
            let shown: Vec<_> = many
                .iter()
                .take(SHOWN)
                .map(|(id, name)| format!("{id} ({name})"))
                .collect();
            let more = if many.len() > SHOWN { ", …" } else { "" };
            bail!(
                "{text:?} begins the IDs of {} containers: {}{more}; give more of it, or a name",
                many.len(),
                shown.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_wins_then_an_id_then_a_prefix_that_fits_one() {
        // The first bears the ID of another as its name.
        let known = [
            ("ab44", "aa22"),
            ("aa11", "web"),
            ("aa22", "db"),
            ("bb33", "aa"),
        ]
        .map(|(id, name)| (id.to_owned(), name.to_owned()));
        for (text, id) in [
            ("web", "aa11"),
            ("/web", "aa11"),
            ("aa22", "aa22"),
            ("aa2", "aa22"),
            ("b", "bb33"),
            ("aa", "bb33"),
            ("ab", "ab44"),
        ] {
            assert_eq!(choose(&known, text).unwrap(), Some(id), "{text}");
        }
        let error = choose(&known, "a").unwrap_err().to_string();
        assert!(
            error.contains("aa11 (web)") && error.contains("aa22 (db)"),
            "{error}"
        );
        assert_eq!(choose(&known, "zz").unwrap(), None);
        assert_eq!(choose(&known, "").unwrap(), None);
        assert_eq!(choose(&known, "//web").unwrap(), None);
    }

    #[test]
    fn an_app_that_is_stopped_or_has_no_engine_says_so() {
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
        let stopped = absent(&app(false, not_ready.clone()), "web").to_string();
        assert!(
            stopped.contains("stopped") && stopped.contains("start it with"),
            "{stopped}"
        );
        let away = absent(&app(true, not_ready), "web").to_string();
        assert!(away.contains("no such file"), "{away}");
        let unknown = absent(&app(true, serde_json::json!([])), "web").to_string();
        assert!(unknown.starts_with("no container \"web\""), "{unknown}");
    }
}
