//! The controller of tokens: it publishes the valid ones, ends what was opened with
//! one that was revoked or has expired, and removes its Secret.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, bail};
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use rdd_core::SessionEnd;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::snapshot::{TokenGrant, TokenReader};
use crate::token_record::{REVOKE_FINALIZER, TOKEN_SECRET_TYPE, TokenRecord};

/// The longest wait for the next expiry. The clock of the machine may be set, or may
/// have continued while the machine slept, so the time is looked at again.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// How often a write that failed is retried.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Watches the Secrets of tokens.
pub(crate) struct TokenController {
    api: Api<Secret>,
    reader: TokenReader,
    /// The valid tokens by the name of their Secret.
    tokens: BTreeMap<String, ActiveEntry>,
    /// The names that a new list has not confirmed yet.
    unconfirmed: BTreeSet<String>,
    /// The Secrets of revoked tokens whose finalizer must be removed, with their
    /// other finalizers.
    revoked: BTreeMap<String, Vec<String>>,
}

/// Returns the field selector of the Secrets of tokens.
fn selector() -> String {
    format!("type={TOKEN_SECRET_TYPE}")
}

struct ActiveEntry {
    record: TokenRecord,
    end: SessionEnd,
    /// Ends what was opened with the token, when it is dropped.
    _alive: watch::Sender<()>,
}

impl TokenController {
    /// Creates a controller that publishes for `reader`.
    pub(crate) fn new(client: Client, reader: TokenReader) -> Self {
        Self {
            api: Api::namespaced(client, rdd_api::SYSTEM_NAMESPACE),
            reader,
            tokens: BTreeMap::new(),
            unconfirmed: BTreeSet::new(),
            revoked: BTreeMap::new(),
        }
    }

    /// Publishes the tokens that are stored now, so that they are accepted from the
    /// first request on.
    ///
    /// # Errors
    ///
    /// Fails if they cannot be listed.
    pub(crate) async fn load(&mut self) -> kube::Result<()> {
        let selected = ListParams::default().fields(&selector());
        for secret in self.api.list(&selected).await? {
            self.apply(&secret);
        }
        self.publish();
        Ok(())
    }

    /// Runs until `shutdown` is cancelled.
    ///
    /// # Errors
    ///
    /// Fails if the watch ends.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<()> {
        let config = watcher::Config::default().fields(&selector());
        let mut events = watcher(self.api.clone(), config).default_backoff().boxed();
        loop {
            let wait = self.wait_until_work(Timestamp::now());
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                event = events.next() => match event {
                    Some(Ok(event)) => self.handle(event),
                    Some(Err(error)) => tracing::warn!(%error, "cannot watch the tokens"),
                    None => bail!("the watch of tokens ended"),
                },
                () = tokio::time::sleep(wait) => {}
            }
            self.end_expired(Timestamp::now()).await;
            self.publish();
            self.finish_revocations().await;
        }
    }

    fn handle(&mut self, event: watcher::Event<Secret>) {
        match event {
            watcher::Event::Init => self.unconfirmed = self.tokens.keys().cloned().collect(),
            watcher::Event::InitApply(secret) | watcher::Event::Apply(secret) => {
                self.apply(&secret);
            }
            watcher::Event::InitDone => {
                for name in std::mem::take(&mut self.unconfirmed) {
                    self.end(&name);
                }
            }
            watcher::Event::Delete(secret) => {
                let name = secret.name_any();
                self.end(&name);
                self.revoked.remove(&name);
            }
        }
    }

    fn apply(&mut self, secret: &Secret) {
        let name = secret.name_any();
        self.unconfirmed.remove(&name);
        if secret.metadata.deletion_timestamp.is_some() {
            self.end(&name);
            let mut others = secret.finalizers().to_vec();
            others.retain(|finalizer| finalizer != REVOKE_FINALIZER);
            if others.len() < secret.finalizers().len() {
                self.revoked.insert(name, others);
            }
            return;
        }
        let record = match TokenRecord::from_secret(secret) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(%error, secret = name, "a Secret is no valid token");
                self.end(&name);
                return;
            }
        };
        if self.tokens.get(&name).is_some_and(|e| e.record == record) {
            return;
        }
        self.end(&name);
        let (alive, end) = SessionEnd::channel();
        let entry = ActiveEntry {
            record,
            end,
            _alive: alive,
        };
        self.tokens.insert(name, entry);
    }

    /// Ends a token and what was opened with it.
    fn end(&mut self, name: &str) {
        if let Some(entry) = self.tokens.remove(name) {
            tracing::info!(token = entry.record.name, "a token has ended");
        }
    }

    /// Ends the tokens that have expired and deletes their Secrets.
    async fn end_expired(&mut self, now: Timestamp) {
        let expired: Vec<String> = self
            .tokens
            .iter()
            .filter(|(_, entry)| entry.record.has_expired(now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in expired {
            self.end(&name);
            match self.api.delete(&name, &DeleteParams::default()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                // It stays in the list of tokens, and is not valid.
                Err(error) => {
                    tracing::warn!(%error, secret = name, "cannot delete an expired token");
                }
            }
        }
    }

    fn publish(&self) {
        let grants = self.tokens.values().map(|entry| TokenGrant {
            record: entry.record.clone(),
            end: entry.end.clone(),
        });
        self.reader.publish(grants.collect());
    }

    /// Removes the finalizers of revoked tokens, which are not valid any longer.
    async fn finish_revocations(&mut self) {
        for (name, others) in std::mem::take(&mut self.revoked) {
            let patch = Patch::Merge(json!({"metadata": {"finalizers": others}}));
            match self.api.patch(&name, &PatchParams::default(), &patch).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => {
                    tracing::warn!(%error, secret = name, "cannot remove a revoked token");
                    self.revoked.insert(name, others);
                }
            }
        }
    }

    /// Returns how long nothing has to be done unless an event arrives.
    fn wait_until_work(&self, now: Timestamp) -> Duration {
        if !self.revoked.is_empty() {
            return RETRY_INTERVAL;
        }
        let ends = self.tokens.values().filter_map(|e| e.record.expires_at);
        let next = ends.min().map(|end| now.duration_until(end));
        let wait = next.map(|wait| Duration::try_from(wait).unwrap_or_default());
        wait.map_or(MAX_WAIT, |wait| wait.min(MAX_WAIT))
    }
}
