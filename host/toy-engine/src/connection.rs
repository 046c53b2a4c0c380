//! One connection: its request and its response.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use rdd_core::EngineError;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::connection_input::{ConnectionError, hang_up, read_line};
use crate::exec_process::ExecProcess;
use crate::log_response::LogResponse;
use crate::object_lines::put_inspection;
use crate::program;
use crate::protocol::{MAX_REQUEST_BYTES, code_word, put_line};
use crate::request::{self, ToyRequest};
use crate::state::SharedEngine;
use crate::transfer::TransferPlan;
use crate::watch_response;

/// The time in which a client has to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Counts a connection under its verb.
struct ConnectionPermit {
    shared: Arc<SharedEngine>,
    verb: String,
}

impl ConnectionPermit {
    fn new(shared: &Arc<SharedEngine>) -> Self {
        let permit = Self {
            shared: Arc::clone(shared),
            verb: String::new(),
        };
        *permit.counts().entry(String::new()).or_default() += 1;
        permit
    }

    fn set_verb(&mut self, verb: &str) {
        self.release();
        *self.counts().entry(verb.to_owned()).or_default() += 1;
        verb.clone_into(&mut self.verb);
    }

    fn release(&self) {
        let mut counts = self.counts();
        if let Some(count) = counts.get_mut(&self.verb) {
            *count -= 1;
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        let connections = self.shared.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.release();
    }
}

/// Serves a connection until its response is complete, its client is gone, or
/// the connections are cut.
pub(crate) async fn serve(shared: Arc<SharedEngine>, stream: UnixStream) {
    let mut permit = ConnectionPermit::new(&shared);
    let mut cuts = shared.cuts.subscribe();
    let shutdown = shared.shutdown.clone();
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read);
    let result = tokio::select! {
        result = respond(&shared, &mut permit, &mut reader, &mut write) => result,
        // Fails only when the engine is gone.
        _ = cuts.changed() => Ok(()),
        () = shutdown.cancelled() => Ok(()),
    };
    if let Err(error) = result {
        tracing::debug!(%error, verb = permit.verb, "a connection ended early");
    }
}

async fn respond(
    shared: &Arc<SharedEngine>,
    permit: &mut ConnectionPermit,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> Result<(), ConnectionError> {
    let Ok(block) = timeout(REQUEST_TIMEOUT, read_block(reader)).await else {
        return Err(ConnectionError::Input(
            "the request is incomplete".to_owned(),
        ));
    };
    let Some(block) = block? else { return Ok(()) };
    let verb = block.split(|byte| matches!(byte, b'\t' | b'\n')).next();
    let verb = String::from_utf8_lossy(verb.unwrap_or_default()).into_owned();
    let request = request::parse(&block);
    if request.is_ok() {
        permit.set_verb(&verb);
    }
    let failure = shared
        .lock()
        .failures
        .get_mut(&verb)
        .and_then(std::collections::VecDeque::pop_front);
    let request = match failure {
        Some(error) => Err(error),
        None => request,
    };
    let mut answering = shared.answering.subscribe();
    let response = async {
        match request {
            Err(error) => send_error(writer, &error).await,
            Ok(ToyRequest::Exec(container, options)) => {
                match ExecProcess::new(shared, &container, options) {
                    Err(error) => send_error(writer, &error).await,
                    Ok(process) => {
                        writer.write_all(b"ok\n").await?;
                        process.run(reader, writer).await
                    }
                }
            }
            Ok(request) => {
                let hung_up = hang_up(reader);
                tokio::select! {
                    result = send_response(shared, request, writer) => result,
                    error = hung_up => Err(error),
                }
            }
        }
    };
    let mut response = std::pin::pin!(response);
    // The sender cannot be gone: `shared` owns it.
    loop {
        answering.wait_for(|answering| *answering).await.ok();
        tokio::select! {
            biased;
            _ = answering.wait_for(|answering| !answering) => {}
            result = &mut response => return result,
        }
    }
}

/// Sends the response to any request but `exec`.
async fn send_response(
    shared: &Arc<SharedEngine>,
    request: ToyRequest,
    writer: &mut OwnedWriteHalf,
) -> Result<(), ConnectionError> {
    let sent = match request {
        ToyRequest::List => {
            writer.write_all(b"ok\n").await?;
            watch_response::list(shared, writer).await?;
            Ok(Some("done"))
        }
        ToyRequest::Watch => {
            writer.write_all(b"ok\n").await?;
            watch_response::watch(shared, writer).await?;
            Ok(None)
        }
        ToyRequest::Logs(container, selection) => {
            match LogResponse::open(shared, &container, selection) {
                Ok(log) => {
                    writer.write_all(b"ok\n").await?;
                    log.run(writer).await?;
                    Ok(Some("done"))
                }
                Err(error) => Err(error),
            }
        }
        ToyRequest::Pull(spec, credentials) => {
            match TransferPlan::pull(shared, spec, credentials.as_ref()) {
                Ok(plan) => {
                    writer.write_all(b"ok\n").await?;
                    plan.run(shared, writer).await?;
                    Ok(Some("done"))
                }
                Err(error) => Err(error),
            }
        }
        ToyRequest::Push(spec, credentials) => {
            match TransferPlan::push(shared, spec, credentials.as_ref()) {
                Ok(plan) => {
                    writer.write_all(b"ok\n").await?;
                    plan.run(shared, writer).await?;
                    Ok(Some("done"))
                }
                Err(error) => Err(error),
            }
        }
        request => {
            return match short_response(shared, request) {
                Ok(response) => Ok(writer.write_all(&response).await?),
                Err(error) => send_error(writer, &error).await,
            };
        }
    };
    match sent {
        Ok(Some(end)) => {
            let mut line = BytesMut::new();
            put_line(&mut line, &[&end]);
            Ok(writer.write_all(&line).await?)
        }
        Ok(None) => Ok(()),
        Err(error) => send_error(writer, &error).await,
    }
}

/// Carries out a request whose response is complete at once.
fn short_response(
    shared: &Arc<SharedEngine>,
    request: ToyRequest,
) -> Result<BytesMut, EngineError> {
    let mut response = BytesMut::new();
    match request {
        ToyRequest::Inspect(reference) => {
            let state = shared.lock();
            let object = state.find(&reference)?;
            put_line(&mut response, &[&"ok"]);
            put_inspection(&mut response, object);
        }
        ToyRequest::Act(container, action) => {
            if shared.change(|state| state.act(&container, action))? {
                program::start(shared, &container)?;
            }
            put_line(&mut response, &[&"ok"]);
        }
        ToyRequest::Remove(request) => {
            shared.change(|state| state.remove(&request))?;
            put_line(&mut response, &[&"ok"]);
        }
        ToyRequest::CreateContainer(spec) => {
            let id = shared.change(|state| state.create_container(&spec, None))?;
            put_line(&mut response, &[&"ok", &id]);
        }
        ToyRequest::CreateVolume(spec) => {
            let name = shared.change(|state| state.create_volume(&spec))?;
            put_line(&mut response, &[&"ok", &name]);
        }
        ToyRequest::Ping
        | ToyRequest::List
        | ToyRequest::Watch
        | ToyRequest::Logs(..)
        | ToyRequest::Exec(..)
        | ToyRequest::Pull(..)
        | ToyRequest::Push(..) => put_line(&mut response, &[&"ok"]),
    }
    Ok(response)
}

/// Sends an error as the whole response.
pub(crate) async fn send_error(
    writer: &mut OwnedWriteHalf,
    error: &EngineError,
) -> Result<(), ConnectionError> {
    let mut line = BytesMut::new();
    put_line(
        &mut line,
        &[&"error", &code_word(&error.code), &error.message],
    );
    Ok(writer.write_all(&line).await?)
}

/// Reads a block, without the empty line. Returns `None` if the client closed the
/// connection instead of sending one.
async fn read_block(
    reader: &mut BufReader<OwnedReadHalf>,
) -> Result<Option<Vec<u8>>, ConnectionError> {
    let mut block = Vec::new();
    loop {
        match read_line(reader).await? {
            None if block.is_empty() => return Ok(None),
            None => {
                return Err(ConnectionError::Input(
                    "the request is incomplete".to_owned(),
                ));
            }
            Some(line) if line.is_empty() && !block.is_empty() => {
                block.pop();
                return Ok(Some(block));
            }
            Some(line) => {
                if block.len() + line.len() > MAX_REQUEST_BYTES {
                    return Err(ConnectionError::Input("the request is too long".to_owned()));
                }
                block.extend_from_slice(&line);
                block.push(b'\n');
            }
        }
    }
}

/// Tells a client that there are too many connections.
pub(crate) async fn reject(stream: UnixStream, max: usize) {
    let (_read, mut writer) = stream.into_split();
    let error = EngineError::new(
        rdd_core::ErrorCode::Unavailable,
        format!("{max} connections are open, the maximum"),
    );
    // The client may be gone.
    send_error(&mut writer, &error).await.ok();
}
