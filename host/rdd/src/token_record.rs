//! What is stored of a token: its name, its role, its end, and its digest, as a
//! Secret.
//!
//! The digest is a plain SHA-256. Slow hashes and salts protect what people choose,
//! since that can be guessed; a token has 256 random bits, so its digest reveals
//! nothing, and each request can afford to compute it.

use std::collections::BTreeMap;

use clap::ValueEnum;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use rdd_core::UserIdentity;
use rdd_gateway::{ADMIN_GROUP, AUTHENTICATED_GROUP};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The type of the Secrets that are tokens.
pub(crate) const TOKEN_SECRET_TYPE: &str = "rdd.rancherdesktop.io/token";
/// The finalizer of such a Secret: it stays until the daemon has ended what was
/// opened with the token.
pub(crate) const REVOKE_FINALIZER: &str = "rdd.rancherdesktop.io/revoke";
/// The beginning of the names of such Secrets, before the name of the token.
const SECRET_PREFIX: &str = "rdd-token-";

const ROLE_KEY: &str = "role";
const DIGEST_KEY: &str = "sha256";
const EXPIRY_KEY: &str = "expires-at";

/// What the owner of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenRole {
    /// Read the objects of rdd, and metrics, but no logs
    Viewer,
    /// Read logs as well
    Logs,
    /// Everything
    Admin,
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TokenDigest([u8; 32]);

/// A stored token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenRecord {
    /// The name that people call it by.
    pub(crate) name: String,
    /// What its owner may do.
    pub(crate) role: TokenRole,
    /// Its digest.
    pub(crate) digest: TokenDigest,
    /// When it ends by itself.
    pub(crate) expires_at: Option<Timestamp>,
    /// When it was created, once it is stored.
    pub(crate) created_at: Option<Timestamp>,
}

/// A Secret that is no token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TokenRecordError {
    /// Its name does not begin as those of tokens do.
    #[error("its name does not begin with {SECRET_PREFIX}")]
    Name,
    /// A value is missing or malformed.
    #[error("its value {0:?} is missing or malformed")]
    Value(&'static str),
}

impl TokenRole {
    /// Returns the name that `--role` has for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Logs => "logs",
            Self::Admin => "admin",
        }
    }

    /// Returns the group that has the rights of the role.
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Viewer => "rdd:viewer",
            Self::Logs => "rdd:logs",
            Self::Admin => ADMIN_GROUP,
        }
    }
}

impl TokenDigest {
    /// Computes the digest of a token.
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() || !text.is_ascii() {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2)?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl TokenRecord {
    /// Returns the name of the Secret of a token.
    pub(crate) fn secret_name(token: &str) -> String {
        format!("{SECRET_PREFIX}{token}")
    }

    /// Returns the user that the token stands for.
    pub(crate) fn identity(&self) -> UserIdentity {
        UserIdentity {
            user: format!("rdd:token:{}", self.name),
            groups: vec![self.role.group().to_owned(), AUTHENTICATED_GROUP.to_owned()],
        }
    }

    /// Returns whether the token has ended by itself.
    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Returns the Secret of the token.
    pub(crate) fn to_secret(&self) -> Secret {
        let mut values = BTreeMap::from([
            (ROLE_KEY, self.role.name().to_owned()),
            (DIGEST_KEY, self.digest.to_hex()),
        ]);
        if let Some(end) = self.expires_at {
            values.insert(EXPIRY_KEY, end.to_string());
        }
        let values = values
            .into_iter()
            .map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes())));
        Secret {
            metadata: ObjectMeta {
                name: Some(Self::secret_name(&self.name)),
                finalizers: Some(vec![REVOKE_FINALIZER.to_owned()]),
                ..ObjectMeta::default()
            },
            type_: Some(TOKEN_SECRET_TYPE.to_owned()),
            immutable: Some(true),
            data: Some(values.collect()),
            ..Secret::default()
        }
    }

    /// Reads the Secret of a token.
    ///
    /// # Errors
    ///
    /// Fails if it is not one.
    pub(crate) fn from_secret(secret: &Secret) -> Result<Self, TokenRecordError> {
        let secret_name = secret.name_any();
        let name = secret_name
            .strip_prefix(SECRET_PREFIX)
            .filter(|name| !name.is_empty())
            .ok_or(TokenRecordError::Name)?;
        let text = |key: &str| {
            let value = secret.data.as_ref()?.get(key)?;
            std::str::from_utf8(&value.0).ok()
        };
        let role = text(ROLE_KEY)
            .and_then(|role| TokenRole::from_str(role, false).ok())
            .ok_or(TokenRecordError::Value(ROLE_KEY))?;
        let digest = text(DIGEST_KEY)
            .and_then(TokenDigest::parse)
            .ok_or(TokenRecordError::Value(DIGEST_KEY))?;
        // An end that cannot be read must not become none.
        let has_end = secret
            .data
            .as_ref()
            .is_some_and(|data| data.contains_key(EXPIRY_KEY));
        let expires_at = match (has_end, text(EXPIRY_KEY)) {
            (false, _) => None,
            (true, end) => Some(
                end.and_then(|end| end.parse().ok())
                    .ok_or(TokenRecordError::Value(EXPIRY_KEY))?,
            ),
        };
        Ok(Self {
            name: name.to_owned(),
            role,
            digest,
            expires_at,
            created_at: secret.creation_timestamp().map(|time| time.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(expires_at: Option<&str>) -> TokenRecord {
        TokenRecord {
            name: "ci".to_owned(),
            role: TokenRole::Logs,
            digest: TokenDigest::of("secret"),
            expires_at: expires_at.map(|end| end.parse().unwrap()),
            created_at: None,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_stored_and_has_no_token() {
        for record in [record(None), record(Some("2030-01-02T03:04:05Z"))] {
            let secret = record.to_secret();
            assert_eq!(TokenRecord::from_secret(&secret).as_ref(), Ok(&record));
            let text = serde_json::to_string(&secret).unwrap();
            assert!(!text.contains("secret\""), "{text}");
        }
    }

    #[test]
    fn a_damaged_record_is_no_token() {
        for (key, value) in [
            (ROLE_KEY, Some("owner")),
            (ROLE_KEY, None),
            (DIGEST_KEY, Some("00")),
            (DIGEST_KEY, None),
            (EXPIRY_KEY, Some("tomorrow")),
        ] {
            let mut secret = record(Some("2030-01-02T03:04:05Z")).to_secret();
            let data = secret.data.as_mut().unwrap();
            match value {
                Some(value) => data.insert(key.to_owned(), ByteString(value.into())),
                None => data.remove(key),
            };
            let error = TokenRecord::from_secret(&secret);
            assert_eq!(error, Err(TokenRecordError::Value(key)));
        }
        let mut secret = record(None).to_secret();
        secret.metadata.name = Some("other".to_owned());
        let error = TokenRecord::from_secret(&secret);
        assert_eq!(error, Err(TokenRecordError::Name));
    }

    #[test]
    fn a_token_ends_at_its_time() {
        let record = record(Some("2030-01-01T00:00:00Z"));
        let at = |text: &str| record.has_expired(text.parse().unwrap());
        assert!(!at("2029-12-31T23:59:59Z"));
        assert!(at("2030-01-01T00:00:00Z"));
    }
}
