//! The handle of an engine in the same process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use rdd_core::{
    ContainerAction, ContainerRef, ContainerSpec, EngineError, EngineObject, ObjectKind, ObjectRef,
    OutputSource, RemoveRequest, VolumeSpec,
};
use tokio_util::sync::DropGuard;

use crate::server::{ListenError, ToyServer};
use crate::state::{SharedEngine, not_found};
use crate::{DEFAULT_NAMESPACE, OTHER_NAMESPACE, TOY_IMAGE, clock, program};

/// A toy engine. Clones share one engine; when the last one is dropped, its
/// programs and connections end.
///
/// The methods that change the engine do what its own user would do, with the
/// errors of the corresponding requests.
#[derive(Clone)]
pub struct ToyEngine {
    shared: Arc<SharedEngine>,
    _shutdown: Arc<DropGuard>,
}

impl std::fmt::Debug for ToyEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToyEngine").finish_non_exhaustive()
    }
}

impl Default for ToyEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl ToyEngine {
    /// Returns an engine that has only the image [`TOY_IMAGE`], in both
    /// namespaces and with the same ID.
    pub fn new() -> Self {
        let shared = SharedEngine::new();
        let engine = Self {
            _shutdown: Arc::new(shared.shutdown.clone().drop_guard()),
            shared,
        };
        for namespace in [DEFAULT_NAMESPACE, OTHER_NAMESPACE] {
            engine.add_image(
                namespace,
                &format!("sha256:{}", "70".repeat(32)),
                &[TOY_IMAGE],
            );
        }
        engine
    }

    /// Listens on a Unix socket that only this user may open. Call it within a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails if another program listens there, or if the path is taken by
    /// something other than a socket.
    pub fn listen(&self, path: &Path) -> Result<ToyServer, ListenError> {
        ToyServer::listen(&self.shared, path)
    }

    /// Returns every object of all namespaces.
    pub fn objects(&self) -> Vec<EngineObject> {
        let state = self.shared.lock();
        state
            .objects
            .values()
            .map(|object| (**object).clone())
            .collect()
    }

    /// Creates a container with a generated ID.
    ///
    /// # Errors
    ///
    /// Those of `create`.
    pub fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerRef, EngineError> {
        let id = self
            .shared
            .change(|state| state.create_container(spec, None))?;
        Ok(ContainerRef::new(&spec.namespace, id))
    }

    /// Creates a container with this ID, so that several namespaces may have it.
    ///
    /// # Errors
    ///
    /// Those of `create`; `invalid-argument` too if the ID has another format.
    pub fn create_container_with_id(
        &self,
        spec: &ContainerSpec,
        id: &str,
    ) -> Result<ContainerRef, EngineError> {
        let id = self
            .shared
            .change(|state| state.create_container(spec, Some(id)))?;
        Ok(ContainerRef::new(&spec.namespace, id))
    }

    /// Performs an action. Call it within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Those of `act`.
    pub fn act(
        &self,
        container: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        if self.shared.change(|state| state.act(container, action))? {
            program::start(&self.shared, container)?;
        }
        Ok(())
    }

    /// Ends the run of a container with this exit code, as if its program had
    /// exited. Its restart policy is not applied.
    ///
    /// # Errors
    ///
    /// Fails with `not-found`.
    pub fn exit(&self, container: &ContainerRef, exit_code: i32) -> Result<(), EngineError> {
        self.shared.change(|state| state.end(container, exit_code))
    }

    /// Removes an object.
    ///
    /// # Errors
    ///
    /// Those of `remove`.
    pub fn remove(&self, request: &RemoveRequest) -> Result<(), EngineError> {
        self.shared.change(|state| state.remove(request))
    }

    /// Creates a volume and returns its name.
    ///
    /// # Errors
    ///
    /// Those of `create`.
    pub fn create_volume(&self, spec: &VolumeSpec) -> Result<String, EngineError> {
        self.shared.change(|state| state.create_volume(spec))
    }

    /// Creates an image with this ID and these tags, which other images lose.
    pub fn add_image(&self, namespace: &str, id: &str, tags: &[&str]) {
        let tags: Vec<_> = tags.iter().map(|&tag| tag.to_owned()).collect();
        self.shared.change(|state| {
            state.add_image(namespace, id.to_owned(), &tags, &[], ("linux", "amd64"));
        });
    }

    /// Creates a namespace.
    pub fn create_namespace(&self, name: &str) {
        self.shared
            .change(|state| state.apply(EngineObject::Namespace(name.to_owned())));
    }

    /// Removes a namespace, without what is in it.
    ///
    /// # Errors
    ///
    /// Fails with `not-found`.
    pub fn remove_namespace(&self, name: &str) -> Result<(), EngineError> {
        let reference = ObjectRef::new(ObjectKind::Namespace, name, name);
        self.shared.change(|state| {
            state.find(&reference).map(drop)?;
            state.forget(reference);
            Ok(())
        })
    }

    /// Writes output: each line by itself, and what follows the last newline as
    /// a part of a line.
    ///
    /// # Errors
    ///
    /// Fails with `not-found`.
    pub fn write(
        &self,
        container: &ContainerRef,
        source: OutputSource,
        bytes: impl Into<Bytes>,
    ) -> Result<(), EngineError> {
        self.write_at(container, clock::now(), source, bytes)
    }

    /// Writes output with this time in nanoseconds since the Unix epoch, so that
    /// times may be equal or run backward.
    ///
    /// # Errors
    ///
    /// Fails with `not-found`.
    pub fn write_at(
        &self,
        container: &ContainerRef,
        time: i64,
        source: OutputSource,
        bytes: impl Into<Bytes>,
    ) -> Result<(), EngineError> {
        let log = Arc::clone(&self.shared.lock().record(container)?.log);
        log.write(time, source, &bytes.into());
        Ok(())
    }

    /// Discards all but the last `kept` entries of a log.
    ///
    /// # Errors
    ///
    /// Fails with `not-found`.
    pub fn rotate(&self, container: &ContainerRef, kept: usize) -> Result<(), EngineError> {
        let log = Arc::clone(&self.shared.lock().record(container)?.log);
        log.rotate(kept);
        Ok(())
    }

    /// Changes the label `burst` of a container this many times, as fast as it
    /// can. Its last value is `changes - 1`.
    ///
    /// # Errors
    ///
    /// Fails with `not-found`.
    pub fn burst(&self, container: &ContainerRef, changes: usize) -> Result<(), EngineError> {
        for number in 0..changes {
            self.shared.change(|state| {
                state.edit(container, |container| {
                    container
                        .labels
                        .insert("burst".to_owned(), number.to_string());
                })
            })?;
        }
        Ok(())
    }

    /// Renames a container. A name may be any text, also one that is in use.
    ///
    /// # Errors
    ///
    /// Fails with `not-found`.
    pub fn rename(&self, container: &ContainerRef, name: &str) -> Result<(), EngineError> {
        self.shared
            .change(|state| state.edit(container, |container| name.clone_into(&mut container.name)))
    }

    /// Closes every connection in the middle of its response.
    pub fn cut_connections(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Sets whether connections get responses. While they do not, connections
    /// are accepted, and nothing is sent on any of them.
    pub fn set_answering(&self, answering: bool) {
        self.shared.answering.send_replace(answering);
    }

    /// Lets the next request with this verb fail. Called twice, it lets the next
    /// two fail.
    pub fn fail_next(&self, verb: &str, error: EngineError) {
        let mut state = self.shared.lock();
        let errors = state.failures.entry(verb.to_owned()).or_default();
        errors.push_back(error);
    }

    /// Returns the number of open connections for each verb that was used, under
    /// the empty text for those without a request.
    pub fn connections(&self) -> BTreeMap<String, usize> {
        let connections = self.shared.connections.lock();
        let connections = connections.unwrap_or_else(PoisonError::into_inner);
        connections
            .iter()
            .map(|(verb, count)| (verb.clone(), *count))
            .collect()
    }

    /// Returns an error if this container does not exist.
    ///
    /// # Errors
    ///
    /// Fails with `not-found`.
    pub fn check(&self, container: &ContainerRef) -> Result<(), EngineError> {
        if self.shared.lock().containers.contains_key(container) {
            Ok(())
        } else {
            Err(not_found("container", &container.id))
        }
    }
}
