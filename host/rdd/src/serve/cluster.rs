//! The Kubernetes API that the daemon writes to: its own, or a cluster's.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::BoxFuture;
use http::Request;
use http_body_util::BodyExt as _;
use kube::config::Kubeconfig;
use rdd_apiserver::{
    AdmissionPolicy, ApiServer, OpenError, TokenAuthenticator, TokenReviewError, UserInfo,
};
use rdd_core::{Authenticator, Credentials, UserIdentity};
use rdd_gateway::{Handler, LocalAuthenticator, Token};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

use super::review::ClusterAuthenticator;
use crate::client::ClientConfig;
use crate::state_dir::StateDir;

/// Name of the daemon's own client.
pub(crate) const DAEMON_USER: &str = "system:rdd";
/// The group that may do everything.
const ADMIN_GROUP: &str = "system:masters";

/// How long the system may take to clear up behind a process.
const CLEARED_UP: Duration = Duration::from_secs(1);
/// Time between two looks at a database that somebody has.
const POLL: Duration = Duration::from_millis(10);

/// Where objects live.
pub(crate) enum Cluster {
    /// In this process.
    Embedded(ApiServer),
    /// Behind the kubeconfig of the user's choice.
    External {
        /// Its contents, with paths made absolute.
        kubeconfig: Box<Kubeconfig>,
        /// A client of it.
        client: kube::Client,
    },
}

impl Cluster {
    /// The embedded one, durable in the state directory.
    pub(crate) async fn embedded(
        state_dir: &StateDir,
        token: &Token,
        admission: Vec<Arc<dyn AdmissionPolicy>>,
    ) -> Result<Self> {
        let path = state_dir.database();
        let options = rdd_apiserver::ApiServerOptions {
            tokens: Some(Arc::new(Tokens(LocalAuthenticator::new(token.clone())))),
            admission,
            ..rdd_apiserver::ApiServerOptions::file(&path)
        };
        let server = match open(&options).await {
            Ok(server) => server,
            Err(error) if error.is_damaged() => {
                let aside = rdd_apiserver::set_aside(&path).with_context(|| {
                    format!("{} is damaged and cannot be set aside", path.display())
                })?;
                tracing::error!(
                    %error,
                    set_aside_as = %aside.display(),
                    "the database is damaged; it was set aside, and a new one is being filled from the engine: objects that were made by hand are in the old one only"
                );
                ApiServer::open(options)
                    .await
                    .context("cannot make a new database")?
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot open {}", path.display()));
            }
        };
        Ok(Self::Embedded(server))
    }

    /// A real cluster.
    pub(crate) async fn external(path: &Path) -> Result<Self> {
        let remedy = || format!("cannot use the cluster of --kubeconfig {}", path.display());
        let config = ClientConfig::load(path).await.with_context(remedy)?;
        let client = config.client().with_context(remedy)?;
        client.apiserver_version().await.with_context(remedy)?;
        Ok(Self::External {
            kubeconfig: Box::new(config.kubeconfig),
            client,
        })
    }

    /// The daemon's own client: in process where the API is.
    pub(crate) fn client(&self) -> kube::Client {
        match self {
            Self::External { client, .. } => client.clone(),
            Self::Embedded(server) => {
                let service =
                    server
                        .clone()
                        .map_request(|mut request: Request<kube::client::Body>| {
                            request.extensions_mut().insert(UserInfo {
                                name: DAEMON_USER.to_owned(),
                                groups: vec![ADMIN_GROUP.to_owned()],
                                ..UserInfo::default()
                            });
                            request
                        });
                kube::Client::new(service, "default")
            }
        }
    }

    /// Who checks the credentials of callers from outside.
    pub(crate) fn authenticator(&self, token: Token) -> Arc<dyn Authenticator> {
        let local = LocalAuthenticator::new(token);
        match self {
            Self::Embedded(_) => Arc::new(local),
            Self::External { client, .. } => {
                Arc::new(ClusterAuthenticator::new(local, client.clone()))
            }
        }
    }

    /// What answers requests outside `/passthrough`: nothing, where a cluster does.
    pub(crate) fn handler(&self) -> Option<Handler> {
        let Self::Embedded(server) = self else {
            return None;
        };
        let service = server
            .clone()
            .map_request(|mut request: Request<hyper::body::Incoming>| {
                if let Some(identity) = request.extensions_mut().remove::<UserIdentity>() {
                    request.extensions_mut().insert(user_info(identity));
                }
                request
            })
            .map_response(|response: http::Response<rdd_apiserver::ResponseBody>| {
                response.map(|body| body.map_err(Into::into).boxed_unsync())
            });
        Some(BoxCloneSyncService::new(service))
    }

    /// The kubeconfig that leads users to the API, where it is not our own.
    pub(crate) fn kubeconfig(&self) -> Option<&Kubeconfig> {
        match self {
            Self::Embedded(_) => None,
            Self::External { kubeconfig, .. } => Some(kubeconfig),
        }
    }

    /// The server, where it is ours.
    pub(crate) fn server(&self) -> Option<&ApiServer> {
        match self {
            Self::Embedded(server) => Some(server),
            Self::External { .. } => None,
        }
    }

    /// Finishes what is being written and checkpoints the database.
    pub(crate) async fn close(&self) {
        if let Self::Embedded(server) = self {
            server.close().await;
        }
    }
}

/// The front's own judgment of tokens, for `TokenReview`.
struct Tokens(LocalAuthenticator);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl TokenAuthenticator for Tokens {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<UserInfo, TokenReviewError>> {
        Box::pin(async move {
            let shown = Credentials::Bearer(token.to_owned());
            match self.0.authenticate(&shown).await {
                Ok(identity) => Ok(user_info(identity)),
                Err(error) => Err(TokenReviewError::new(error.to_string())),
            }
        })
    }
}

fn user_info(UserIdentity { user, groups }: UserIdentity) -> UserInfo {
    UserInfo {
        name: user,
        groups,
        ..UserInfo::default()
    }
}

/// Opens the database. The state directory is ours, so whoever still has the
/// database is a daemon whose process is being cleared up.
async fn open(options: &rdd_apiserver::ApiServerOptions) -> Result<ApiServer, OpenError> {
    let began = Instant::now();
    loop {
        match ApiServer::open(options.clone()).await {
            Err(error) if error.is_locked() && began.elapsed() < CLEARED_UP => {
                tokio::time::sleep(POLL).await;
            }
            result => return result,
        }
    }
}

/// The compiler's check that the API server cannot fail as a service.
#[allow(dead_code, reason = "never called: it only has to compile")]
fn never_fails(
    server: ApiServer,
) -> impl Service<Request<hyper::body::Incoming>, Error = Infallible> {
    server
}
