//! The listener's port: the one that was asked for, or that of the last run,
//! so that a kubeconfig in a GUI's hands stays good.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use rdd_gateway::{BindError, Gateway, GatewayOptions};

use crate::state_dir::StateDir;

/// Binds, and remembers the port.
pub(crate) async fn bind(state_dir: &StateDir, options: GatewayOptions) -> Result<Gateway> {
    let asked = options.listen;
    let front = match remembered(state_dir).filter(|_| asked.port() == 0) {
        None => Gateway::bind(options).await?,
        Some(port) => {
            let last = SocketAddr::new(asked.ip(), port);
            match Gateway::bind(GatewayOptions {
                listen: last,
                ..options.clone()
            })
            .await
            {
                Err(BindError::InUse(address)) => {
                    tracing::warn!(%address, "the port of the last run is in use; taking another one");
                    Gateway::bind(options).await?
                }
                result => result?,
            }
        }
    };
    let port = front.address().port().to_string();
    rdd_core::write_private(&state_dir.port(), port.as_bytes())
        .context("cannot remember the port")?;
    Ok(front)
}

/// The port of the last run. A file that holds none costs the clients their
/// address, no more: it is written anew.
fn remembered(state_dir: &StateDir) -> Option<u16> {
    let path = state_dir.port();
    let problem = match std::fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(port) => return Some(port),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => error.to_string(),
    };
    tracing::warn!(path = %path.display(), problem, "the port of the last run is lost; taking another one");
    None
}
