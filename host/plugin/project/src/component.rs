//! Converts a core module to a component.

use wit_component::ComponentEncoder;

/// The target of the Rust compiler for components. It has no system interface, so a
/// component imports nothing but the contract.
pub const GUEST_TARGET: &str = "wasm32-unknown-unknown";

/// A module that is no component. The message is that of `wit-component`, with its
/// causes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ComponentError(String);

/// Encodes a module as a component. The module has the interface in a custom
/// section, where the bindings of each language put it.
///
/// # Errors
///
/// Fails if the module is not valid, or does not match that section. A module
/// without one becomes a component that exports nothing.
pub fn encode_component(module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| ComponentError(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_is_rejected() {
        let error = encode_component(b"not a module").unwrap_err().to_string();
        assert!(error.contains("magic"), "{error}");
    }
}
