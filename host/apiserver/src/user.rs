//! Who sent a request.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde_json::{Value, json};

/// The caller, as whoever authenticated the request found. The request carries
/// it as an extension; without one it is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// Name of the user.
    pub name: String,
    /// Groups of the user.
    pub groups: Vec<String>,
    /// Unique id of the user; may be empty.
    pub uid: String,
    /// More that the authenticator knows.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Finds who a bearer token belongs to, for `TokenReview`.
pub trait TokenAuthenticator: std::fmt::Debug + Send + Sync {
    /// The owner of the token.
    ///
    /// # Errors
    /// A sentence that says why it is nobody's.
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<UserInfo, String>>;
}

impl UserInfo {
    /// As reviews show it.
    pub(crate) fn to_value(&self) -> Value {
        let mut value = json!({"username": self.name});
        if let Some(map) = value.as_object_mut() {
            if !self.groups.is_empty() {
                map.insert("groups".to_owned(), json!(self.groups));
            }
            if !self.uid.is_empty() {
                map.insert("uid".to_owned(), self.uid.as_str().into());
            }
            if !self.extra.is_empty() {
                map.insert("extra".to_owned(), json!(self.extra));
            }
        }
        value
    }
}
