//! The web page of the daemon: on a listener of its own for browsers of this
//! machine, and beside the API on the main one.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use rdd_core::Authenticator;
use rdd_gateway::{
    BindError, ConnectionLimits, Gateway, GatewayOptions, HostOriginPolicy, PageRoutes,
};
use rdd_web::{PageHandler, SessionAuthenticator, SessionStore, WebEndpoint};

use super::listener;
use crate::state_dir::StateDir;

/// The page and its sessions. Without an endpoint, there is none.
pub(crate) struct WebPage {
    endpoint: Option<WebEndpoint>,
    sessions: Arc<SessionStore>,
    handler: PageHandler,
}

impl WebPage {
    /// Creates the page for a listener on `endpoint`.
    pub(crate) fn new(endpoint: Option<WebEndpoint>) -> Self {
        let sessions = Arc::<SessionStore>::default();
        Self {
            endpoint,
            handler: PageHandler::new(sessions.clone()),
            sessions,
        }
    }

    /// Returns an authenticator that also accepts the sessions of the page.
    pub(crate) fn authenticator(&self, others: Arc<dyn Authenticator>) -> Arc<dyn Authenticator> {
        Arc::new(SessionAuthenticator::new(self.sessions.clone(), others))
    }

    /// Returns the routes of the page on the main listener.
    pub(crate) fn routes(&self) -> Option<PageRoutes> {
        self.endpoint.map(|_| self.handler.routes())
    }

    /// Binds the listener for browsers, which serves what the main one serves, as
    /// `main` describes it.
    pub(crate) async fn bind(
        &self,
        state_dir: &StateDir,
        limits: ConnectionLimits,
        main: GatewayOptions,
    ) -> Result<Option<Gateway>> {
        let Some(endpoint) = self.endpoint else {
            return Ok(None);
        };
        let options = GatewayOptions {
            listen: endpoint.address(),
            tls: None,
            host_origin_policy: HostOriginPolicy::own_address(),
            page: Some(self.handler.routes_with_root()),
            response_headers: rdd_web::response_headers(),
            limits,
            ..main
        };
        match listener::bind(&state_dir.web_port(), options).await {
            Err(error) if matches!(error.downcast_ref(), Some(BindError::InUse(_))) => bail!(
                "{} is in use; choose another address for the web page with --web, or pass --no-web",
                endpoint.address()
            ),
            result => result
                .map(Some)
                .context("cannot serve the web page; pass --no-web to do without it"),
        }
    }
}
