//! The ports of the listeners: the requested ones, or those of the last run, so
//! that a kubeconfig that a GUI has loaded, and a page that is open, stay valid.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use rdd_gateway::{BindError, Gateway, GatewayOptions};

/// Binds a gateway and stores its port in a file.
pub(crate) async fn bind(port_file: &Path, options: GatewayOptions) -> Result<Gateway> {
    let requested = options.listen;
    let gateway = match read_last_port(port_file).filter(|_| requested.port() == 0) {
        None => Gateway::bind(options).await?,
        Some(port) => {
            let last = SocketAddr::new(requested.ip(), port);
            match Gateway::bind(GatewayOptions {
                listen: last,
                ..options.clone()
            })
            .await
            {
                Err(BindError::InUse(address)) => {
                    tracing::warn!(%address, "the port of the last run is in use; selecting another one");
                    Gateway::bind(options).await?
                }
                result => result?,
            }
        }
    };
    let port = gateway.address().port().to_string();
    rdd_core::write_private(port_file, port.as_bytes()).context("cannot store the port")?;
    Ok(gateway)
}

/// Returns the port of the last run. A damaged file is not fatal: it is
/// rewritten, and clients only have to use the new address.
fn read_last_port(path: &Path) -> Option<u16> {
    let error = match std::fs::read_to_string(path) {
        Ok(text) => match text.trim().parse() {
            Ok(port) => return Some(port),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => error.to_string(),
    };
    tracing::warn!(error, path = %path.display(), "cannot read the port of the last run; selecting another one");
    None
}
