//! The listener on a Unix socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection;
use crate::state::SharedEngine;

/// The maximum number of connections.
const MAX_CONNECTIONS: usize = 4_096;

/// The socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another program listens on it.
    #[error("another program listens on {}; choose another path", .0.display())]
    InUse(PathBuf),
    /// The path is taken by something else.
    #[error("{} exists and is not a socket; choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The socket cannot be created.
    #[error("cannot listen on {}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// A listener with its connections. Dropping it ends both.
#[derive(Debug)]
pub struct ToyServer {
    path: PathBuf,
    /// The device and inode of the socket, by which it is known to be ours.
    identity: Option<(u64, u64)>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl ToyServer {
    /// Returns the path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends all connections, and removes the socket.
    pub async fn shutdown(self) {
        self.shutdown.cancel();
        self.tasks.wait().await;
    }

    pub(crate) fn listen(shared: &Arc<SharedEngine>, path: &Path) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Io {
            path: path.to_owned(),
            source,
        };
        remove_stale_socket(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let server = Self {
            path: path.to_owned(),
            identity: identity(path),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        server.tasks.spawn(accept(
            Arc::clone(shared),
            listener,
            server.shutdown.clone(),
            server.tasks.clone(),
        ));
        server.tasks.close();
        Ok(server)
    }
}

impl Drop for ToyServer {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // A socket that stays is replaced at the next start.
            fs::remove_file(&self.path).ok();
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Removes a socket on which nobody listens.
fn remove_stale_socket(path: &Path) -> Result<(), ListenError> {
    use std::os::unix::fs::FileTypeExt;
    let failed = |source| ListenError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
        Ok(_) => Err(ListenError::InUse(path.to_owned())),
    }
}

async fn accept(
    shared: Arc<SharedEngine>,
    listener: UnixListener,
    shutdown: CancellationToken,
    tasks: TaskTracker,
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Usually too many open files: wait until some are closed.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let permit = permits.clone().try_acquire_owned();
        let (shared, shutdown) = (Arc::clone(&shared), shutdown.clone());
        tasks.spawn(async move {
            let serve = async {
                match permit {
                    Ok(_permit) => connection::serve(shared, stream).await,
                    Err(_) => connection::reject(stream, MAX_CONNECTIONS).await,
                }
            };
            tokio::select! {
                () = serve => {}
                () = shutdown.cancelled() => {}
            }
        });
    }
}
