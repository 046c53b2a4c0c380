//! Installs what must exist in the API before anything can be mirrored:
//! definitions, namespaces, and the App.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::wait::{Condition as _, await_condition, conditions};
use kube::{Client, ResourceExt};
use rdd_api::{
    APP_NAME, App, AppSpec, ContainerEngineSpec, DEFAULT_BACKEND, DEFAULT_NAMESPACE, FIELD_MANAGER,
    SYSTEM_NAMESPACE,
};
use serde_json::json;
use tokio::time::{sleep, timeout};

/// How long a server may take from accepting a definition to serving it:
/// kube-apiserver needs seconds under load.
const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(60);

/// Interval between reads of discovery while waiting for it.
const DISCOVERY_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Why the API could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The server rejected a definition.
    #[error("cannot apply the definition {name}")]
    Apply {
        /// Name of the definition.
        name: String,
        /// The error of the request.
        #[source]
        source: kube::Error,
    },
    /// A definition was accepted, but is not served in time.
    #[error("the definition {name} was not established within {ESTABLISH_TIMEOUT:?}")]
    NotEstablished {
        /// Name of the definition.
        name: String,
    },
    /// Another definition of the group already uses a name of this one.
    #[error(
        "the cluster does not serve the definition {name}: {reason}; remove the other definition that uses the name"
    )]
    NamesTaken {
        /// Name of the definition.
        name: String,
        /// The message of the server.
        reason: String,
    },
    /// Waiting for a definition failed.
    #[error("cannot watch the definition {name}")]
    Watch {
        /// Name of the definition.
        name: String,
        /// The error of the watch.
        #[source]
        source: Box<kube::runtime::wait::Error>,
    },
    /// Discovery could not be read.
    #[error("cannot read discovery of {group}")]
    Discovery {
        /// Group and version.
        group: String,
        /// The error of the request.
        #[source]
        source: kube::Error,
    },
    /// A namespace could not be created.
    #[error("cannot create the namespace {name}")]
    Namespace {
        /// Name of the namespace.
        name: String,
        /// The error of the request.
        #[source]
        source: kube::Error,
    },
    /// The App could not be read or written.
    #[error("cannot read or write the App")]
    App(#[source] kube::Error),
}

/// What the user requests of the App.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppOptions {
    /// The backend to select. If `None`, an existing App keeps its backend, and
    /// a new one gets [`DEFAULT_BACKEND`].
    pub backend: Option<String>,
    /// Namespace of the mirrors of a new App; [`DEFAULT_NAMESPACE`] if `None`.
    pub namespace: Option<String>,
}

/// Applies every definition of `rdd-api` and waits until all of them are
/// established **and** listed in discovery.
///
/// # Errors
/// Fails if the server rejects a definition or does not serve it in time.
pub async fn apply_crds(client: &Client) -> Result<(), InstallError> {
    let crds = rdd_api::crds();
    try_join_all(crds.iter().map(|crd| apply_crd(client, crd))).await?;
    let mut groups: Vec<(String, BTreeSet<String>)> = Vec::new();
    for crd in crds {
        let group = format!("{}/{}", crd.spec.group, rdd_api::VERSION);
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, plurals)) => {
                plurals.insert(crd.spec.names.plural);
            }
            None => groups.push((group, BTreeSet::from([crd.spec.names.plural]))),
        }
    }
    try_join_all(
        groups
            .iter()
            .map(|(group, plurals)| wait_until_served(client, group, plurals)),
    )
    .await?;
    Ok(())
}

/// Applies a definition and waits until it is established.
pub(crate) async fn apply_crd(
    client: &Client,
    crd: &CustomResourceDefinition,
) -> Result<(), InstallError> {
    let name = crd.name_any();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let applied = api
        .patch(&name, &params, &Patch::Apply(crd))
        .await
        .map_err(|source| InstallError::Apply {
            name: name.clone(),
            source,
        })?;
    let established = conditions::is_crd_established();
    if established.matches_object(Some(&applied)) {
        return Ok(());
    }
    let is_decided = |crd: Option<&CustomResourceDefinition>| {
        established.matches_object(crd) || crd.and_then(names_rejected).is_some()
    };
    let wait = await_condition(api, &name, is_decided);
    match timeout(ESTABLISH_TIMEOUT, wait).await {
        Ok(Ok(crd)) => match crd.as_ref().and_then(names_rejected) {
            None => Ok(()),
            Some(reason) => Err(InstallError::NamesTaken { name, reason }),
        },
        Ok(Err(source)) => Err(InstallError::Watch {
            name,
            source: Box::new(source),
        }),
        Err(_) => Err(InstallError::NotEstablished { name }),
    }
}

/// Returns why the server does not accept the names of a definition, if it does
/// not.
fn names_rejected(crd: &CustomResourceDefinition) -> Option<String> {
    let conditions = crd.status.as_ref()?.conditions.as_ref()?;
    let rejected = conditions
        .iter()
        .find(|condition| condition.type_ == "NamesAccepted" && condition.status == "False")?;
    Some(rejected.message.clone().unwrap_or_default())
}

/// Waits until discovery lists the kinds: a definition that is established is
/// not yet served, because kube-apiserver refreshes discovery asynchronously.
async fn wait_until_served(
    client: &Client,
    group: &str,
    plurals: &BTreeSet<String>,
) -> Result<(), InstallError> {
    let mut missing = plurals.clone();
    let poll = async {
        loop {
            match client.list_api_group_resources(group).await {
                Ok(list) => {
                    for resource in list.resources {
                        missing.remove(&resource.name);
                    }
                }
                // The group itself may not be served yet.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(source) => {
                    return Err(InstallError::Discovery {
                        group: group.to_owned(),
                        source,
                    });
                }
            }
            if missing.is_empty() {
                return Ok(());
            }
            sleep(DISCOVERY_POLL_INTERVAL).await;
        }
    };
    match timeout(ESTABLISH_TIMEOUT, poll).await {
        Ok(result) => result,
        Err(_) => Err(InstallError::NotEstablished {
            name: plurals.iter().cloned().collect::<Vec<_>>().join(", "),
        }),
    }
}

/// Creates the App and the namespaces if they are missing, and switches an
/// existing App to the backend in `options`. Returns the App.
///
/// # Errors
/// Fails if a request to the server fails.
pub async fn ensure_app(client: &Client, options: &AppOptions) -> Result<App, InstallError> {
    let app = match update_existing_app(client, options).await? {
        Some(app) => app,
        None => create_app(client, options).await?,
    };
    for name in [SYSTEM_NAMESPACE, &app.spec.namespace] {
        ensure_namespace(client, name)
            .await
            .map_err(|source| InstallError::Namespace {
                name: name.to_owned(),
                source,
            })?;
    }
    Ok(app)
}

async fn update_existing_app(
    client: &Client,
    options: &AppOptions,
) -> Result<Option<App>, InstallError> {
    let api: Api<App> = Api::all(client.clone());
    let Some(app) = api.get_opt(APP_NAME).await.map_err(InstallError::App)? else {
        return Ok(None);
    };
    match &options.backend {
        Some(backend) if *backend != app.spec.container_engine.name => {
            let patch = json!({"spec": {"containerEngine": {"name": backend}}});
            api.patch(APP_NAME, &PatchParams::default(), &Patch::Merge(patch))
                .await
                .map(Some)
                .map_err(InstallError::App)
        }
        _ => Ok(Some(app)),
    }
}

async fn create_app(client: &Client, options: &AppOptions) -> Result<App, InstallError> {
    let api: Api<App> = Api::all(client.clone());
    let or_default =
        |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.to_owned());
    let spec = AppSpec {
        container_engine: ContainerEngineSpec {
            name: or_default(&options.backend, DEFAULT_BACKEND),
        },
        running: true,
        namespace: or_default(&options.namespace, DEFAULT_NAMESPACE),
    };
    match api
        .create(&PostParams::default(), &App::new(APP_NAME, spec))
        .await
    {
        // Created concurrently; any App will do.
        Err(kube::Error::Api(status)) if status.code == 409 => {
            api.get(APP_NAME).await.map_err(InstallError::App)
        }
        other => other.map_err(InstallError::App),
    }
}

/// Creates the namespace if it is missing.
pub(crate) async fn ensure_namespace(client: &Client, name: &str) -> Result<(), kube::Error> {
    let api: Api<Namespace> = Api::all(client.clone());
    if api.get_opt(name).await?.is_some() {
        return Ok(());
    }
    let namespace: Namespace = Namespace {
        metadata: kube::core::ObjectMeta {
            name: Some(name.to_owned()),
            ..kube::core::ObjectMeta::default()
        },
        ..Namespace::default()
    };
    match api.create(&PostParams::default(), &namespace).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}
