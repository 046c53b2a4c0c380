//! Validates a request for a process, in the documented order, and starts it.

use rdd_core::{
    ContainerEngine, ContainerRef, ContainerState, EngineError, EngineObject, ErrorCode,
    ExecOptions, ExecSession, ObjectRef,
};

use crate::container_target::{ContainerTarget, ready_engine};
use crate::entries::engine_call::with_timeout;
use crate::exec_query::{ExecParams, parse_exec_params};
use crate::request_error::StreamRequestError;
use crate::upgrade_request::UpgradeRequest;

/// A process that was started, and the streams that the client requested.
pub(crate) struct OpenProcess {
    pub(super) session: ExecSession,
    pub(super) options: ExecOptions,
}

/// Validates the request and starts the process. Without a valid handshake, the
/// same checks are made and nothing is started.
pub(crate) async fn open_process(
    target: &ContainerTarget<'_>,
    query: &str,
    handshake: Result<UpgradeRequest, StreamRequestError>,
) -> Result<(OpenProcess, UpgradeRequest), StreamRequestError> {
    let ContainerTarget {
        snapshot,
        container,
        ..
    } = target;
    let format = target.check_form()?;
    let ExecParams { namespace, options } = parse_exec_params(query)?;
    // 501 takes precedence over 503: waiting does not install a backend.
    if let Some(info) = &snapshot.info
        && !info.capabilities.exec
    {
        return Err(StreamRequestError::ExecUnsupported {
            backend: info.name.clone(),
        });
    }
    let engine = ready_engine(snapshot)?;
    let reference = target.reference(format, namespace, engine.info().default_namespace())?;
    let call = async {
        Ok(match handshake {
            Ok(upgrade_request) => {
                let session = engine.exec(&reference, &options).await?;
                Ok((OpenProcess { session, options }, upgrade_request))
            }
            Err(error) => {
                check_running(&**engine, reference).await?;
                Err(error.for_exec())
            }
        })
    };
    match with_timeout(call).await {
        Ok(outcome) => outcome,
        Err(error) => Err(StreamRequestError::from_exec_error(
            &snapshot.backend,
            container,
            error,
        )),
    }
}

/// Fails as the start of a process would if the container does not run.
async fn check_running(
    engine: &dyn ContainerEngine,
    container: ContainerRef,
) -> Result<(), EngineError> {
    let conflict = |state: &str| {
        let message = format!("container {} is {state}", container.id);
        Err(EngineError::new(ErrorCode::Conflict, message))
    };
    let object = ObjectRef::from(container.clone());
    match engine.inspect(&object).await?.object {
        EngineObject::Container(found) => match found.state {
            ContainerState::Running => Ok(()),
            ContainerState::Pausing | ContainerState::Paused => conflict("paused"),
            ContainerState::Restarting => conflict("restarting"),
            _ => conflict("not running"),
        },
        _ => Err(EngineError::new(
            ErrorCode::Internal,
            "the backend returned another kind of object",
        )),
    }
}
