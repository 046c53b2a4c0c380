//! Converts a core module to a component.

use std::path::Path;

use anyhow::{Context, Result};
use wit_component::ComponentEncoder;

/// Encodes a module as a component. Its bindings contain the interface.
pub(super) fn encode(module: &Path) -> Result<Vec<u8>> {
    let bytes =
        std::fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.encode())
        .with_context(|| format!("cannot encode {} as a component", module.display()))
}
