//! `/backup`: the database as a file.
//!
//! Not a part of Kubernetes, whose server leaves it to etcd. A role may grant `get`
//! of the path, but a backup has all Secrets: whoever may read it may do everything.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, stream};
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response};
use rdd_apiserver_storage::BackupError;
use tokio::sync::OwnedSemaphorePermit;

use crate::body::ResponseBody;
use crate::server_state::ServerState;
use crate::status::ApiError;

/// The size of the pieces in which a backup is sent, in bytes: large enough that
/// reading one costs more than handing it over.
const PIECE_BYTES: usize = 256 << 10;

/// Responds with a backup of the current state.
///
/// # Errors
/// 429 while another backup is sent, since each takes as much space on the disk as
/// the database; 500 if the disk is full; 501 if the server has no database.
pub(crate) async fn respond(server: &Arc<ServerState>) -> Result<Response<ResponseBody>, ApiError> {
    let Some(database) = server.database.clone() else {
        return Err(ApiError::internal(
            "the server keeps its objects in memory only; there is nothing to back up",
        )
        .with_reason(501, "NotImplemented"));
    };
    let permit = Arc::clone(&server.backup_permit)
        .try_acquire_owned()
        .map_err(|_| {
            ApiError::unavailable("another backup is being sent; try again when it is complete")
                .with_reason(429, "TooManyRequests")
        })?;
    let snapshot = server.store.snapshot();
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "cannot make a backup");
        ApiError::internal(format!("cannot make a backup: {error}"))
    };
    // The permit is there as well: the file is written to its end, even if the client
    // disconnects.
    let file = tokio::task::spawn_blocking(move || {
        let file = snapshot.back_up_unnamed(&database)?;
        let length = file.metadata().map(|metadata| metadata.len());
        Ok::<_, BackupError>((file, length, permit))
    });
    let (file, length, permit) = file
        .await
        .map_err(|error| failed(&error))?
        .map_err(|error| failed(&error_chain(&error)))?;
    let length = length.map_err(|error| failed(&error))?;
    let mut response = Response::new(ResponseBody::from_stream(pieces(file, permit)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/vnd.sqlite3"),
    );
    headers.insert(
        CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"rdd-backup.db\""),
    );
    Ok(response)
}

/// Returns the error with its causes.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Returns the content of a file. If it cannot be read, the stream ends early, and
/// the client sees that the length is not what was announced.
fn pieces(file: File, permit: OwnedSemaphorePermit) -> impl Stream<Item = Bytes> + Send {
    stream::unfold((file, permit), |(mut file, permit)| async move {
        let piece = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE_BYTES];
            let length = file.read(&mut piece)?;
            piece.truncate(length);
            Ok::<_, std::io::Error>((piece, file))
        });
        match piece.await.map_err(std::io::Error::other).flatten() {
            Ok((piece, _)) if piece.is_empty() => None,
            Ok((piece, file)) => Some((Bytes::from(piece), (file, permit))),
            Err(error) => {
                tracing::error!(%error, "cannot read a backup that is being sent");
                None
            }
        }
    })
}
