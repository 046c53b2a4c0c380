//! The web page: containers and their logs in a browser. This crate has its
//! files, and lets browsers sign in; the page itself is a client of the Kubernetes
//! API and of the passthrough endpoints, as every other one. Its sources are in
//! `ui`, its built files in `dist`.
//!
//! Invariants:
//! - A browser signs in with a one-time code, in exchange for the token of a
//!   session. Neither is ever part of a URL that a server sees, of a cookie, or of
//!   a log line.
//! - Sessions live in memory: they end with the daemon, or are revoked.
//! - Every response forbids framing and scripts of others.
//!
//! ```
//! use rdd_core::UserIdentity;
//! use rdd_web::{SessionGrant, SessionStore};
//!
//! let identity = UserIdentity {
//!     user: "alice".to_owned(),
//!     groups: Vec::new(),
//! };
//! let sessions = SessionStore::default();
//! let code = sessions.create_code(SessionGrant { identity, end: None })?;
//! let token = sessions.begin_session(&code)?;
//! assert!(sessions.is_session(&token));
//! assert!(sessions.begin_session(&code).is_err(), "it was used");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// In layers: each module uses only those after it.

mod page_handler;
mod session_authenticator;
mod web_endpoint;

mod page_files;
mod session_store;

mod response_headers;
mod secret_token;

pub use page_handler::{CODES_PATH, CodeDescription, PageHandler, SESSIONS_PATH};
pub use response_headers::response_headers;
pub use secret_token::RandomError;
pub use session_authenticator::SessionAuthenticator;
pub use session_store::{CodeError, SessionGrant, SessionStore};
pub use web_endpoint::{WebEndpoint, WebEndpointError};
