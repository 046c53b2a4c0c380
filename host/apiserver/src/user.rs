//! Users and the authentication of tokens.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde_json::{Value, json};

/// The authenticated user of a request.
///
/// The embedder inserts it into the request's extensions. A request without it
/// gets 401.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// The name of the user.
    pub name: String,
    /// The groups of the user.
    pub groups: Vec<String>,
    /// The unique ID of the user; may be empty.
    pub uid: String,
    /// Additional attributes from the authenticator.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The beginning of the user names of ServiceAccounts.
const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// Returns the user name of a ServiceAccount.
pub(crate) fn service_account_name(namespace: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}")
}

/// Returns the namespace and the name of the ServiceAccount that a user name
/// stands for.
pub(crate) fn parse_service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?;
    let is_account = !namespace.is_empty() && !name.is_empty() && !name.contains(':');
    is_account.then_some((namespace, name))
}

/// The reason why a token is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenReviewError(String);

impl TokenReviewError {
    /// Creates the error with a message for the status of the review.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// An authenticator of bearer tokens, for `TokenReview`.
pub trait TokenAuthenticator: std::fmt::Debug + Send + Sync {
    /// Returns the user of the token.
    ///
    /// # Errors
    /// Fails if the token is not valid, or if it cannot be checked.
    fn authenticate<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<UserInfo, TokenReviewError>>;
}

impl UserInfo {
    /// Returns a ServiceAccount as a user, with the groups of all ServiceAccounts
    /// and of those in its namespace.
    pub(crate) fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            name: service_account_name(namespace, name),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
            ],
            ..Self::default()
        }
    }

    /// Returns the `userInfo` of a review.
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
