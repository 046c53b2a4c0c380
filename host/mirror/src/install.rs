//! What has to be in the API before anything can be mirrored: definitions,
//! namespaces, the App.

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

/// How long a server may take from accepting a definition to serving it: real
/// ones need seconds under load.
const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(60);

/// How often discovery is asked meanwhile.
const DISCOVERY_EVERY: Duration = Duration::from_millis(20);

/// Why the API could not be made ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// A definition was refused.
    #[error("cannot apply the definition {name}")]
    Apply {
        /// The definition.
        name: String,
        /// The server's words.
        #[source]
        source: kube::Error,
    },
    /// A definition was accepted and is not served.
    #[error("the definition {name} is not established within {ESTABLISH_TIMEOUT:?}")]
    NotEstablished {
        /// The definition.
        name: String,
    },
    /// Another definition of the group has a name that this one needs.
    #[error(
        "the cluster does not serve the definition {name}: {reason}; remove the other definition that has the name"
    )]
    NamesTaken {
        /// The definition.
        name: String,
        /// The server's words.
        reason: String,
    },
    /// Waiting for a definition failed.
    #[error("cannot watch the definition {name}")]
    Watch {
        /// The definition.
        name: String,
        /// What failed.
        #[source]
        source: Box<kube::runtime::wait::Error>,
    },
    /// Discovery could not be read.
    #[error("cannot read discovery of {group}")]
    Discovery {
        /// The group and version.
        group: String,
        /// The server's words.
        #[source]
        source: kube::Error,
    },
    /// A namespace could not be made.
    #[error("cannot make the namespace {name}")]
    Namespace {
        /// The namespace.
        name: String,
        /// The server's words.
        #[source]
        source: kube::Error,
    },
    /// The App could not be read or written.
    #[error("cannot read or write the App")]
    App(#[source] kube::Error),
}

/// What a first App looks like, and what the user asked of an old one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppOptions {
    /// The backend that the user named, if any. An App that exists is switched
    /// to it; without one it is left as it is, and a new one gets
    /// [`DEFAULT_BACKEND`].
    pub backend: Option<String>,
    /// Namespace of a new App's mirrors; [`DEFAULT_NAMESPACE`] when `None`.
    pub namespace: Option<String>,
}

/// Applies every definition of `rdd-api`, and returns once each is established
/// **and** named by discovery.
///
/// # Errors
/// When the server refuses one or does not come to serve it in time.
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
            .map(|(group, plurals)| served(client, group, plurals)),
    )
    .await?;
    Ok(())
}

/// Applies a definition, and returns once it is established.
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
    let decided = |crd: Option<&CustomResourceDefinition>| {
        established.matches_object(crd) || crd.and_then(names_refused).is_some()
    };
    let wait = await_condition(api, &name, decided);
    match timeout(ESTABLISH_TIMEOUT, wait).await {
        Ok(Ok(crd)) => match crd.as_ref().and_then(names_refused) {
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

/// Why the server does not give a definition its names, if it does not.
fn names_refused(crd: &CustomResourceDefinition) -> Option<String> {
    let conditions = crd.status.as_ref()?.conditions.as_ref()?;
    let refused = conditions
        .iter()
        .find(|condition| condition.type_ == "NamesAccepted" && condition.status == "False")?;
    Some(refused.message.clone().unwrap_or_default())
}

/// Established is not yet served: real servers refresh discovery on their own
/// time.
async fn served(
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
                // The group itself may still be unknown.
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
            sleep(DISCOVERY_EVERY).await;
        }
    };
    match timeout(ESTABLISH_TIMEOUT, poll).await {
        Ok(result) => result,
        Err(_) => Err(InstallError::NotEstablished {
            name: plurals.iter().cloned().collect::<Vec<_>>().join(", "),
        }),
    }
}

/// Sees to the namespaces and the App: makes what is missing, and switches an
/// old App to the backend that the user named. Returns the App.
///
/// # Errors
/// When the server refuses.
pub async fn ensure_app(client: &Client, options: &AppOptions) -> Result<App, InstallError> {
    let app = match existing(client, options).await? {
        Some(app) => app,
        None => create(client, options).await?,
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

async fn existing(client: &Client, options: &AppOptions) -> Result<Option<App>, InstallError> {
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

async fn create(client: &Client, options: &AppOptions) -> Result<App, InstallError> {
    let api: Api<App> = Api::all(client.clone());
    let text =
        |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.to_owned());
    let spec = AppSpec {
        container_engine: ContainerEngineSpec {
            name: text(&options.backend, DEFAULT_BACKEND),
        },
        running: true,
        namespace: text(&options.namespace, DEFAULT_NAMESPACE),
    };
    match api
        .create(&PostParams::default(), &App::new(APP_NAME, spec))
        .await
    {
        // Somebody was faster; theirs is as good.
        Err(kube::Error::Api(status)) if status.code == 409 => {
            api.get(APP_NAME).await.map_err(InstallError::App)
        }
        other => other.map_err(InstallError::App),
    }
}

/// Makes the namespace if it is missing.
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
