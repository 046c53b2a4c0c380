//! The one door of the daemon: it listens, speaks TLS, checks who calls and
//! from where, and hands each request to the room that answers it.
//!
//! Invariants: no request reaches a room before its credentials, its `Host`
//! and its `Origin` were found good (health paths need no credentials, and
//! tell nothing); before the daemon is ready every path answers 503 with
//! `Retry-After`; no secret is ever logged.

mod activity;
mod allow_list;
mod auth;
mod certificates;
mod connection;
mod gate;
mod guard;
mod health;
mod http_connection;
mod kubeconfig;
mod limits;
mod registry;
mod reply;
mod server;
mod token;

pub use allow_list::{AllowListError, AllowedHost, TrustedOrigin};
pub use auth::LocalAuthenticator;
pub use certificates::{CertificateError, Certificates};
pub use connection::{Connection, into_connection};
pub use gate::Handler;
pub use guard::Guard;
pub use health::{DaemonPhase, HealthCheck, HealthReport};
pub use kubeconfig::Kubeconfig;
pub use limits::ConnectionLimits;
pub use reply::{Body, refuse, text};
pub use server::{BindError, Gateway, GatewayOptions};
pub use token::{Token, TokenError};
