//! The validation of `describe`.

use rdd_core::{BackendInfo, IdFormat};
use semver::Version;

use super::{ContractError, check_name, check_namespace, contract_error, is_backend_name, quote};

/// The maximum number of namespaces that always exist.
const MAX_NAMESPACES: usize = 1_000;
/// The maximum length of a container ID in bytes, that of a Kubernetes name.
const MAX_ID_BYTES: u32 = 253;

/// Validates a backend's description of itself.
///
/// # Errors
///
/// Fails if the contract does not allow it.
pub fn backend_info(info: &BackendInfo) -> Result<(), ContractError> {
    let BackendInfo {
        name,
        version,
        engine,
        id_format,
        namespaces,
        capabilities: _,
    } = info;
    if !is_backend_name(name) {
        return Err(contract_error!(
            "describe returned the name {}, which is not a DNS label",
            quote(name)
        ));
    }
    if let Err(error) = Version::parse(version) {
        return Err(contract_error!(
            "describe returned the version {}, which is not a semantic version: {error}",
            quote(version)
        ));
    }
    check_name("name of the engine", engine)?;
    let (IdFormat::LowerHex(bytes) | IdFormat::Identifier(bytes)) = id_format;
    if !(1..=MAX_ID_BYTES).contains(bytes) {
        return Err(contract_error!(
            "describe returned container IDs of {bytes} bytes; 1 to {MAX_ID_BYTES} are allowed"
        ));
    }
    if namespaces.is_empty() {
        return Err(contract_error!(
            "describe returned no namespace; the first one is the default"
        ));
    }
    if namespaces.len() > MAX_NAMESPACES {
        return Err(contract_error!(
            "describe returned {} namespaces; {MAX_NAMESPACES} are allowed",
            namespaces.len()
        ));
    }
    namespaces.iter().try_for_each(|name| check_namespace(name))
}

#[cfg(test)]
mod tests {
    use rdd_core::Capabilities;

    use super::*;

    fn info() -> BackendInfo {
        BackendInfo {
            name: "test".to_owned(),
            version: "1.0.0".to_owned(),
            engine: "Test".to_owned(),
            id_format: IdFormat::LowerHex(4),
            namespaces: vec!["first".to_owned(), "second".to_owned()],
            capabilities: Capabilities::default(),
        }
    }

    #[test]
    fn a_valid_description_is_accepted() {
        backend_info(&info()).unwrap();
    }

    #[test]
    fn an_invalid_description_is_rejected_with_the_value() {
        type Edit = fn(&mut BackendInfo);
        let cases: [(Edit, &str); 7] = [
            (|info| info.name = "../x".to_owned(), "\"../x\""),
            (|info| info.version = "one".to_owned(), "\"one\""),
            (|info| info.engine = String::new(), "is empty"),
            (|info| info.id_format = IdFormat::LowerHex(0), "0 bytes"),
            (
                |info| info.id_format = IdFormat::Identifier(254),
                "254 bytes",
            ),
            (|info| info.namespaces.clear(), "no namespace"),
            (
                |info| info.namespaces = vec!["a".to_owned(); 1_001],
                "1001 namespaces",
            ),
        ];
        for (edit, expected) in cases {
            let mut info = info();
            edit(&mut info);
            let error = backend_info(&info).unwrap_err();
            assert!(error.0.contains(expected), "{error}");
        }
    }
}
