//! The listener's port: the one that was asked for, or that of the last run,
//! so that a kubeconfig in a GUI's hands stays good.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use rdd_front::{BindError, Front, Options};

use crate::state_dir::StateDir;

/// Binds, and remembers the port.
pub(crate) async fn bind(state_dir: &StateDir, options: Options) -> Result<Front> {
    let asked = options.listen;
    let front = match remembered(state_dir).filter(|_| asked.port() == 0) {
        None => Front::bind(options).await?,
        Some(port) => {
            let last = SocketAddr::new(asked.ip(), port);
            match Front::bind(Options {
                listen: last,
                ..options.clone()
            })
            .await
            {
                Err(BindError::InUse(address)) => {
                    tracing::warn!(%address, "the port of the last run is in use; taking another one");
                    Front::bind(options).await?
                }
                result => result?,
            }
        }
    };
    let port = front.address().port().to_string();
    rdd_front::write_private(&state_dir.port(), port.as_bytes())
        .context("cannot remember the port")?;
    Ok(front)
}

/// The port of the last run. A file that holds none is as good as none: it is written anew.
fn remembered(state_dir: &StateDir) -> Option<u16> {
    std::fs::read_to_string(state_dir.port())
        .ok()?
        .trim()
        .parse()
        .ok()
}
