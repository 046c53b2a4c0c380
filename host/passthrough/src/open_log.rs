//! `GET /passthrough/engine/logs/{container}`: validates the request, in the
//! documented order, and opens the engine's stream.

use jiff::Timestamp;
use rdd_core::{
    ContainerIndex, ContainerLookup, ContainerRef, IdFormat, LogOptions, LogStream,
    ServingSnapshot, ServingState, text,
};

use crate::limits;
use crate::query::{self, LogRequest};
use crate::request_error::StreamRequestError;

/// The container whose log a request asks for.
pub(crate) struct LogTarget<'a> {
    pub(crate) snapshot: &'a ServingSnapshot,
    pub(crate) containers: ContainerIndex,
    /// The container as in the path: the name of its mirror, or its ID.
    pub(crate) container: &'a str,
}

impl LogTarget<'_> {
    /// Validates the request and opens the log. A probe runs the same checks
    /// without reading any content.
    pub(crate) async fn open(
        &self,
        query: &str,
        now: Timestamp,
        is_probe: bool,
    ) -> Result<LogStream, StreamRequestError> {
        let Self {
            snapshot,
            container,
            ..
        } = self;
        let format = self.check_form()?;
        let LogRequest {
            namespace,
            mut options,
        } = query::parse_log_request(query, now.into())?;
        if is_probe {
            options = LogOptions {
                follow: false,
                tail: Some(0),
                ..options
            };
        }
        // 501 takes precedence over 503: waiting does not install a backend.
        if let Some(info) = &snapshot.info
            && !info.capabilities.has_any_log()
        {
            return Err(StreamRequestError::LogsUnsupported {
                backend: info.name.clone(),
            });
        }
        let engine = match &snapshot.serving {
            ServingState::Ready(engine) => engine,
            ServingState::Unavailable(reason) => {
                return Err(StreamRequestError::from_unavailable(
                    &snapshot.backend,
                    reason,
                ));
            }
        };
        let reference = self.reference(format, namespace, engine.info().default_namespace())?;
        let log = engine.get_logs(&reference, &options);
        match tokio::time::timeout(limits::ENGINE_TIMEOUT, log).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(StreamRequestError::from_engine_error(
                &snapshot.backend,
                container,
                error,
            )),
            Err(_) => Err(StreamRequestError::EngineUnreachable {
                backend: snapshot.backend.clone(),
                reason: format!("no answer within {} s", limits::ENGINE_TIMEOUT.as_secs()),
            }),
        }
    }

    /// Checks that the text may be the name of a mirror or an ID, and returns the
    /// format of IDs.
    pub(crate) fn check_form(&self) -> Result<IdFormat, StreamRequestError> {
        let format = self
            .snapshot
            .info
            .as_ref()
            .map_or(IdFormat::Identifier(limits::MAX_ID_LENGTH), |info| {
                info.id_format
            });
        if format.matches(self.container) || self.containers.get(self.container).is_some() {
            return Ok(format);
        }
        Err(StreamRequestError::InvalidId {
            id: text::quote(self.container, limits::MAX_QUOTED_ID),
            format,
        })
    }

    /// Returns the reference to the container. One that is not in the index is
    /// looked for in the default namespace, since the engine may have it.
    pub(crate) fn reference(
        &self,
        format: IdFormat,
        namespace: Option<String>,
        default_namespace: &str,
    ) -> Result<ContainerRef, StreamRequestError> {
        match self.containers.find(self.container, namespace.as_deref()) {
            ContainerLookup::Found(reference) => Ok(reference),
            ContainerLookup::Ambiguous { namespaces } => Err(StreamRequestError::AmbiguousId {
                id: self.container.to_owned(),
                namespaces,
            }),
            // The name of a mirror, whose container is in another namespace.
            ContainerLookup::NotFound if !format.matches(self.container) => {
                Err(StreamRequestError::ContainerNotFound {
                    backend: self.snapshot.backend.clone(),
                    id: self.container.to_owned(),
                })
            }
            ContainerLookup::NotFound => {
                let namespace = namespace.unwrap_or_else(|| default_namespace.to_owned());
                Ok(ContainerRef::new(namespace, self.container))
            }
        }
    }
}
