//! The Kubernetes API that the daemon writes to: the embedded API server or an
//! external cluster.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::future::BoxFuture;
use http::Request;
use http_body_util::BodyExt as _;
use kube::config::Kubeconfig;
use rdd_apiserver::{
    AdmissionPolicy, ApiServer, OpenError, ServerTask, TokenAuthenticator, TokenReviewError,
    UserInfo,
};
use rdd_core::{Authenticator, Credentials, UserIdentity};
use rdd_gateway::{AccessRecorder, BearerToken, LocalAuthenticator, RequestHandler};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

use super::access_audit::AccessAuditRecorder;
use super::args::AuditArgs;
use super::embedded_authenticator::EmbeddedAuthenticator;
use super::issued_tokens::{TokenController, TokenReader};
use super::supervisor::{TaskHandle, TaskSupervisor};
use super::token_review::ClusterAuthenticator;
use super::token_roles;
use crate::client::KubeClientConfig;

/// The user name of the daemon's own client.
pub(crate) const DAEMON_USER: &str = "system:rdd";
/// The Kubernetes group with full access.
const ADMIN_GROUP: &str = "system:masters";

/// How long the database may stay locked after the previous process exited.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a locked database is retried.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A connection to the Kubernetes API.
pub(crate) enum ClusterConnection {
    /// The embedded API server.
    Embedded {
        /// The server.
        server: ApiServer,
        /// The tokens of `rdd token create`.
        tokens: TokenReader,
        /// Their controller, until it runs.
        controller: Option<Box<TokenController>>,
    },
    /// The cluster of `--kubeconfig`.
    External {
        /// The kubeconfig, with absolute paths.
        kubeconfig: Box<Kubeconfig>,
        /// The client of the cluster.
        client: kube::Client,
    },
}

impl ClusterConnection {
    /// Opens the embedded API server. A damaged database is renamed and replaced by
    /// a new one.
    pub(crate) async fn embedded(
        path: &Path,
        token: &BearerToken,
        admission: Vec<Arc<dyn AdmissionPolicy>>,
        audit: AuditArgs,
    ) -> Result<Self> {
        let tokens = TokenReader::default();
        let options = rdd_apiserver::ApiServerOptions {
            tokens: Some(Arc::new(LocalTokenAuthenticator {
                local: LocalAuthenticator::new(token.clone()),
                issued: tokens.clone(),
            })),
            admission,
            audit: audit.into_options(),
            reserved_users: vec![DAEMON_USER.to_owned()],
            ..rdd_apiserver::ApiServerOptions::file(path)
        };
        let server = match open_database(&options).await {
            Ok(server) => server,
            Err(error) if error.is_damaged() => {
                let aside = rdd_apiserver::set_aside(path).with_context(|| {
                    format!("{} is damaged and cannot be set aside", path.display())
                })?;
                tracing::error!(
                    %error,
                    set_aside_as = %aside.display(),
                    "the database is damaged; it was set aside, and a new one is being filled from the engine: manually created objects are only in the old one"
                );
                ApiServer::open(options)
                    .await
                    .context("cannot create a new database")?
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot open {}", path.display()));
            }
        };
        let client = embedded_client(&server);
        token_roles::apply(&client)
            .await
            .context("cannot write the roles of tokens")?;
        let mut controller = TokenController::new(client, tokens.clone());
        controller.load().await.context("cannot read the tokens")?;
        Ok(Self::Embedded {
            server,
            tokens,
            controller: Some(Box::new(controller)),
        })
    }

    /// Connects to an external cluster.
    pub(crate) async fn external(path: &Path, audit: &AuditArgs) -> Result<Self> {
        if audit.is_wanted() {
            bail!(
                "--audit-log is for the embedded API server; with --kubeconfig, the cluster writes its own audit log"
            );
        }
        let context = || format!("cannot use the cluster of --kubeconfig {}", path.display());
        let config = KubeClientConfig::load(path).await.with_context(context)?;
        let client = config.client().with_context(context)?;
        client.apiserver_version().await.with_context(context)?;
        Ok(Self::External {
            kubeconfig: Box::new(config.kubeconfig),
            client,
        })
    }

    /// Returns the daemon's own client, in process for the embedded API server.
    pub(crate) fn client(&self) -> kube::Client {
        match self {
            Self::External { client, .. } => client.clone(),
            Self::Embedded { server, .. } => embedded_client(server),
        }
    }

    /// Returns the authenticator of external clients.
    pub(crate) fn authenticator(&self, token: BearerToken) -> Arc<dyn Authenticator> {
        let local = LocalAuthenticator::new(token);
        match self {
            Self::Embedded { server, tokens, .. } => Arc::new(EmbeddedAuthenticator::new(
                local,
                tokens.clone(),
                server.clone(),
            )),
            Self::External { client, .. } => {
                Arc::new(ClusterAuthenticator::new(local, client.clone()))
            }
        }
    }

    /// Returns the handler of API requests. `None` for an external cluster, which
    /// serves them itself.
    pub(crate) fn handler(&self) -> Option<RequestHandler> {
        let Self::Embedded { server, .. } = self else {
            return None;
        };
        let service = server
            .clone()
            .map_request(|mut request: Request<rdd_gateway::RequestBody>| {
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

    /// Returns the kubeconfig of an external cluster.
    pub(crate) fn kubeconfig(&self) -> Option<&Kubeconfig> {
        match self {
            Self::Embedded { .. } => None,
            Self::External { kubeconfig, .. } => Some(kubeconfig),
        }
    }

    /// Returns the embedded API server.
    pub(crate) fn api_server(&self) -> Option<&ApiServer> {
        match self {
            Self::Embedded { server, .. } => Some(server),
            Self::External { .. } => None,
        }
    }

    /// Returns the recorder of requests to the passthrough in the audit log. With an
    /// external cluster, there is none.
    pub(crate) fn access_recorder(
        &self,
        namespace: &Arc<OnceLock<String>>,
    ) -> Option<Arc<dyn AccessRecorder>> {
        let server = self.api_server()?.clone();
        Some(Arc::new(AccessAuditRecorder::new(
            server,
            namespace.clone(),
        )))
    }

    /// Observes the tasks of the embedded API server, so that their failures are
    /// handled like those of the daemon's own tasks, and runs the controller of
    /// tokens.
    pub(crate) fn observe(&mut self, supervisor: &TaskSupervisor) -> Vec<TaskHandle> {
        let Self::Embedded {
            server, controller, ..
        } = self
        else {
            return Vec::new();
        };
        let controller = controller.take();
        let controller = controller
            .map(|controller| supervisor.spawn("tokens", |shutdown| controller.run(shutdown)));
        let observe = |task: ServerTask| {
            let server = server.clone();
            supervisor.spawn(task.name(), move |shutdown| async move {
                tokio::select! {
                    cause = server.task_failed(task) => bail!(cause),
                    () = shutdown.cancelled() => Ok(()),
                }
            })
        };
        let observers = ServerTask::ALL.map(observe);
        controller.into_iter().chain(observers).collect()
    }

    /// Finishes pending writes and checkpoints the database.
    pub(crate) async fn close(&self) {
        if let Self::Embedded { server, .. } = self {
            server.close().await;
        }
    }
}

/// Returns a client of the server, in process, as the daemon's own user.
fn embedded_client(server: &ApiServer) -> kube::Client {
    let service = server
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

/// Authenticates the tokens of `TokenReview` like the gateway.
struct LocalTokenAuthenticator {
    local: LocalAuthenticator,
    issued: TokenReader,
}

impl std::fmt::Debug for LocalTokenAuthenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalTokenAuthenticator")
    }
}

impl TokenAuthenticator for LocalTokenAuthenticator {
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<UserInfo, TokenReviewError>> {
        Box::pin(async move {
            let credentials = Credentials::Bearer(token.to_owned());
            if let Some((identity, _)) = self.issued.find(&credentials) {
                return Ok(user_info(identity));
            }
            match self.local.check(&credentials) {
                Ok(identity) => Ok(user_info(identity)),
                Err(error) => Err(TokenReviewError::new(error.to_string())),
            }
        })
    }
}

pub(super) fn user_info(UserIdentity { user, groups }: UserIdentity) -> UserInfo {
    UserInfo {
        name: user,
        groups,
        ..UserInfo::default()
    }
}

/// Opens the database. This daemon holds the lock of the state directory, so the
/// database can only be locked by a process that is just exiting.
async fn open_database(options: &rdd_apiserver::ApiServerOptions) -> Result<ApiServer, OpenError> {
    let began = Instant::now();
    loop {
        match ApiServer::open(options.clone()).await {
            Err(error) if error.is_locked() && began.elapsed() < LOCK_TIMEOUT => {
                tokio::time::sleep(LOCK_POLL_INTERVAL).await;
            }
            result => return result,
        }
    }
}

/// Checks at compile time that the API server is an infallible service.
#[allow(dead_code, reason = "not called: it only has to compile")]
fn assert_infallible(
    server: ApiServer,
) -> impl Service<Request<rdd_gateway::RequestBody>, Error = Infallible> {
    server
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Namespace, Secret};
    use kube::Api;
    use kube::api::PostParams;

    use super::*;
    use crate::token_record::{TokenDigest, TokenRecord, TokenRole};

    #[tokio::test]
    async fn stored_tokens_are_valid_before_anything_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("database");
        let token = BearerToken::load_or_create(&dir.path().join("token")).unwrap();
        let open = || async {
            ClusterConnection::embedded(&database, &token, Vec::new(), AuditArgs::default()).await
        };
        let first = open().await.unwrap();
        let record = TokenRecord {
            name: "ci".to_owned(),
            role: TokenRole::Viewer,
            digest: TokenDigest::of("a token"),
            expires_at: None,
            created_at: None,
        };
        let namespace = serde_json::json!({"metadata": {"name": rdd_api::SYSTEM_NAMESPACE}});
        let namespace: Namespace = serde_json::from_value(namespace).unwrap();
        let namespaces = Api::all(first.client());
        let params = PostParams::default();
        namespaces.create(&params, &namespace).await.unwrap();
        let secrets: Api<Secret> = Api::namespaced(first.client(), rdd_api::SYSTEM_NAMESPACE);
        secrets.create(&params, &record.to_secret()).await.unwrap();
        first.close().await;
        drop((first, namespaces, secrets));

        // No task runs.
        let second = open().await.unwrap();
        let authenticator = second.authenticator(token.clone());
        let credentials = Credentials::Bearer("a token".to_owned());
        let user = authenticator.authenticate_locally(&credentials);
        assert_eq!(user.unwrap().unwrap().user, "rdd:token:ci");
        second.close().await;
    }
}
