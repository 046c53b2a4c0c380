//! The tokens that are valid now.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rdd_core::{Credentials, SessionEnd, UserIdentity};

use crate::token_record::{TokenDigest, TokenRecord};

/// The valid tokens by digest. A lookup by the digest reveals nothing about a token
/// by its duration, as a comparison of texts might.
#[derive(Debug, Default)]
pub(super) struct TokenSnapshot(HashMap<TokenDigest, TokenGrant>);

/// What a valid token grants.
#[derive(Clone, Debug)]
pub(super) struct TokenGrant {
    pub(super) record: TokenRecord,
    pub(super) end: SessionEnd,
}

impl FromIterator<TokenGrant> for TokenSnapshot {
    fn from_iter<T: IntoIterator<Item = TokenGrant>>(grants: T) -> Self {
        let by_digest = grants.into_iter().map(|grant| (grant.record.digest, grant));
        Self(by_digest.collect())
    }
}

/// Reads the published tokens. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenReader(Arc<ArcSwap<TokenSnapshot>>);

impl TokenReader {
    /// Returns the user of a token, and the end of the token.
    pub(crate) fn find(&self, credentials: &Credentials) -> Option<(UserIdentity, SessionEnd)> {
        self.find_at(credentials, Timestamp::now())
    }

    fn find_at(
        &self,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Option<(UserIdentity, SessionEnd)> {
        let Credentials::Bearer(token) = credentials else {
            return None;
        };
        let snapshot = self.0.load();
        let TokenGrant { record, end } = snapshot.0.get(&TokenDigest::of(token))?;
        (!record.has_expired(now) && !end.has_ended()).then(|| (record.identity(), end.clone()))
    }

    /// Publishes the valid tokens.
    pub(super) fn publish(&self, snapshot: TokenSnapshot) {
        self.0.store(Arc::new(snapshot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_record::TokenRole;

    #[test]
    fn a_token_is_valid_until_it_expires_or_is_revoked() {
        let reader = TokenReader::default();
        let (alive, end) = SessionEnd::channel();
        let record = TokenRecord {
            name: "ci".to_owned(),
            role: TokenRole::Viewer,
            digest: TokenDigest::of("good"),
            expires_at: Some("2030-01-01T00:00:00Z".parse().unwrap()),
            created_at: None,
        };
        reader.publish([TokenGrant { record, end }].into_iter().collect());
        let user = |token: &str, now: &str| {
            let credentials = Credentials::Bearer(token.to_owned());
            let found = reader.find_at(&credentials, now.parse().unwrap());
            found.map(|(identity, _)| identity)
        };
        let (early, late) = ("2029-12-31T00:00:00Z", "2030-01-01T00:00:00Z");
        let found = user("good", early).unwrap();
        assert_eq!(found.user, "rdd:token:ci");
        assert_eq!(found.groups, ["rdd:viewer", "system:authenticated"]);
        assert_eq!(user("good", late), None);
        assert_eq!(user("bad", early), None);
        let digest = TokenDigest::of("good");
        assert_eq!(user(&format!("{digest:?}"), early), None);
        drop(alive);
        assert_eq!(user("good", early), None, "it was revoked");
    }
}
