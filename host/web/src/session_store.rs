//! The codes and the sessions of one daemon, in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdd_core::{SessionEnd, UserIdentity};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::secret_token::{RandomError, SecretToken};

/// How long a code may be used. It takes a browser a second or two to start; this
/// allows for a person who copies the link.
pub(crate) const CODE_LIFETIME: Duration = Duration::from_secs(60);
/// The maximum number of codes that were not used yet. One more ends the oldest.
/// People open one page at a time.
const MAX_CODES: usize = 16;
/// The maximum number of sessions. One more ends the one that was used least
/// recently. A page that was closed is never reported, so its session stays until
/// then.
const MAX_SESSIONS: usize = 64;
/// The number of random bytes of a code: it is guessed within its lifetime, if at
/// all.
const CODE_BYTES: usize = 16;
/// The number of random bytes of a session's token: as many as the token of the
/// instance has.
const TOKEN_BYTES: usize = 32;

/// The code is unknown, was used before, or has expired. Which one is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// No such code.
    #[error(
        "the link was used before or is older than a minute; run 'rdd dashboard' for a new one"
    )]
    Invalid,
    /// The operating system returned no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The codes and the sessions. The lock is held for a lookup, never across an
/// await.
#[derive(Debug, Default)]
pub struct SessionStore {
    state: Mutex<StoreState>,
}

#[derive(Debug, Default)]
struct StoreState {
    codes: VecDeque<CodeEntry>,
    /// The one that was used least recently comes first.
    sessions: Vec<SessionEntry>,
}

/// What a session is granted: the rights of the user who requested its code, for as
/// long as the credentials of that request are valid.
#[derive(Clone, Debug)]
pub struct SessionGrant {
    /// The user.
    pub identity: UserIdentity,
    /// The end of the credentials, if they have one.
    pub end: Option<SessionEnd>,
}

#[derive(Debug)]
struct CodeEntry {
    secret: SecretToken<CODE_BYTES>,
    expires_at: Instant,
    grant: SessionGrant,
}

#[derive(Debug)]
struct SessionEntry {
    secret: SecretToken<TOKEN_BYTES>,
    identity: UserIdentity,
    end: SessionEnd,
    /// Ends what the session has opened, when it is dropped.
    _alive: watch::Sender<()>,
}

impl SessionStore {
    fn state(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a new code, which begins one session with this grant within a minute.
    ///
    /// # Errors
    ///
    /// Fails if the operating system returns no random bytes.
    pub fn create_code(&self, grant: SessionGrant) -> Result<String, RandomError> {
        let secret = SecretToken::random()?;
        let code = secret.reveal();
        let mut state = self.state();
        state.remove_expired_codes();
        if state.codes.len() >= MAX_CODES {
            state.codes.pop_front();
        }
        state.codes.push_back(CodeEntry {
            secret,
            expires_at: Instant::now() + CODE_LIFETIME,
            grant,
        });
        Ok(code)
    }

    /// Begins a session with a code, which cannot be used again, and returns its
    /// token.
    ///
    /// # Errors
    ///
    /// Fails if there is no such code, or if the operating system returns no random
    /// bytes.
    pub fn begin_session(&self, code: &str) -> Result<String, CodeError> {
        let secret = SecretToken::random()?;
        let token = secret.reveal();
        let mut state = self.state();
        state.remove_expired_codes();
        // Every code is compared, so that the time does not tell which one it was.
        let mut found = None;
        for (index, entry) in state.codes.iter().enumerate() {
            if entry.secret.matches(code) {
                found = Some(index);
            }
        }
        let used = found.and_then(|index| state.codes.remove(index));
        let Some(CodeEntry { grant, .. }) = used else {
            return Err(CodeError::Invalid);
        };
        let (alive, end) = SessionEnd::channel();
        let end = match grant.end {
            Some(earlier) if earlier.has_ended() => return Err(CodeError::Invalid),
            Some(earlier) => end.or(earlier),
            None => end,
        };
        state.sessions.retain(|entry| !entry.end.has_ended());
        if state.sessions.len() >= MAX_SESSIONS {
            state.sessions.remove(0);
        }
        state.sessions.push(SessionEntry {
            secret,
            identity: grant.identity,
            end,
            _alive: alive,
        });
        Ok(token)
    }

    /// Returns whether a session has this token.
    pub fn is_session(&self, token: &str) -> bool {
        self.session(token).is_some()
    }

    /// Returns the end of the session that has this token.
    pub fn session_end(&self, token: &str) -> Option<SessionEnd> {
        self.session(token)?.end
    }

    /// Returns the user and the end of the session that has this token.
    pub fn session(&self, token: &str) -> Option<SessionGrant> {
        let mut state = self.state();
        let mut found = None;
        for (index, entry) in state.sessions.iter().enumerate() {
            if entry.secret.matches(token) {
                found = Some(index);
            }
        }
        let used = state.sessions.remove(found?);
        if used.end.has_ended() {
            return None;
        }
        let grant = SessionGrant {
            identity: used.identity.clone(),
            end: Some(used.end.clone()),
        };
        state.sessions.push(used);
        Some(grant)
    }

    /// Ends all sessions, and makes all codes invalid.
    pub fn revoke_all(&self) {
        *self.state() = StoreState::default();
    }
}

impl StoreState {
    fn remove_expired_codes(&mut self) {
        let now = Instant::now();
        self.codes.retain(|entry| entry.expires_at > now);
    }
}

#[cfg(test)]
mod tests {
    use rdd_gateway::LocalAuthenticator;

    use super::*;

    fn administrator() -> SessionGrant {
        SessionGrant {
            identity: LocalAuthenticator::administrator(),
            end: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_begins_one_session_within_a_minute() {
        let store = SessionStore::default();
        let code = store.create_code(administrator()).unwrap();
        let token = store.begin_session(&code).unwrap();
        assert!(store.is_session(&token) && !store.is_session(&code));
        assert_eq!(store.begin_session(&code), Err(CodeError::Invalid));

        let code = store.create_code(administrator()).unwrap();
        tokio::time::advance(CODE_LIFETIME).await;
        assert_eq!(store.begin_session(&code), Err(CodeError::Invalid));
        assert!(store.is_session(&token), "sessions do not expire");
    }

    #[tokio::test(start_paused = true)]
    async fn codes_and_tokens_have_128_and_256_bits_and_are_never_printed() {
        let store = SessionStore::default();
        let code = store.create_code(administrator()).unwrap();
        // Base64 has six bits in a character.
        assert_eq!(code.len(), 22);
        assert!(!format!("{store:?}").contains(&code));
        let token = store.begin_session(&code).unwrap();
        assert_eq!(token.len(), 43);
        assert!(!format!("{store:?}").contains(&token));
    }

    #[tokio::test(start_paused = true)]
    async fn one_code_too_many_ends_the_oldest() {
        let store = SessionStore::default();
        let codes: Vec<_> = (0..=MAX_CODES)
            .map(|_| store.create_code(administrator()).unwrap())
            .collect();
        assert_eq!(store.begin_session(&codes[0]), Err(CodeError::Invalid));
        assert!(
            codes[1..]
                .iter()
                .all(|code| store.begin_session(code).is_ok())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_session_too_many_ends_the_one_that_was_used_least_recently() {
        let store = SessionStore::default();
        let begin = || {
            let code = store.create_code(administrator()).unwrap();
            store.begin_session(&code).unwrap()
        };
        let tokens: Vec<_> = (0..MAX_SESSIONS).map(|_| begin()).collect();
        assert!(store.is_session(&tokens[0]));
        let last = begin();
        assert!(!store.is_session(&tokens[1]));
        assert!(store.is_session(&tokens[0]) && store.is_session(&last));
    }

    #[tokio::test(start_paused = true)]
    async fn a_revocation_ends_sessions_and_codes() {
        let store = SessionStore::default();
        let first = store.create_code(administrator()).unwrap();
        let token = store.begin_session(&first).unwrap();
        let end = store.session_end(&token).unwrap();
        assert!(!end.has_ended());
        let code = store.create_code(administrator()).unwrap();
        store.revoke_all();
        assert!(!store.is_session(&token) && end.has_ended());
        assert_eq!(store.begin_session(&code), Err(CodeError::Invalid));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_has_the_rights_of_its_grant_and_ends_with_it() {
        let store = SessionStore::default();
        let (alive, end) = SessionEnd::channel();
        let identity = UserIdentity {
            user: "viewer".to_owned(),
            groups: Vec::new(),
        };
        let grant = SessionGrant {
            identity: identity.clone(),
            end: Some(end),
        };
        let code = store.create_code(grant.clone()).unwrap();
        let token = store.begin_session(&code).unwrap();
        assert_eq!(store.session(&token).unwrap().identity, identity);
        let end = store.session_end(&token).unwrap();
        let unused = store.create_code(grant).unwrap();
        drop(alive);
        assert!(end.has_ended() && !store.is_session(&token));
        assert_eq!(store.begin_session(&unused), Err(CodeError::Invalid));
    }
}
