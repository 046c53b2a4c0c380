//! The imports and exports of a component, read without compiling it.

use rdd_plugin_contract::{INTERFACE, PACKAGE};
use wasmparser::{Encoding, Parser, Payload};

/// What a component imports and exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentInterface {
    /// The names of its imports.
    pub imports: Vec<String>,
    /// The names of its exports.
    pub exports: Vec<String>,
}

/// A file that is not a component. The message is one sentence with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComponentFileError {
    /// Not WebAssembly, or damaged.
    #[error("it is not a WebAssembly component: {0}; build it with the SDK of {INTERFACE}")]
    Invalid(String),
    /// WebAssembly, but without the component model.
    #[error(
        "it is a core module, not a component; convert it with 'wasm-tools component new', or build it with the SDK of {INTERFACE}"
    )]
    CoreModule,
}

impl ComponentInterface {
    /// Reads the imports and exports of the component in `bytes`.
    ///
    /// # Errors
    ///
    /// Fails if `bytes` is not a component. A component that passes may still be
    /// rejected when it is compiled.
    pub fn read(bytes: &[u8]) -> Result<Self, ComponentFileError> {
        let invalid = |error: wasmparser::BinaryReaderError| {
            ComponentFileError::Invalid(error.message().replace('\n', ", "))
        };
        let mut interface = Self::default();
        // A component contains modules and components, whose imports and exports
        // are its own matter.
        let mut depth = 0_u32;
        let mut is_empty = true;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(invalid)? {
                Payload::Version { encoding, .. } => {
                    if is_empty && encoding != Encoding::Component {
                        return Err(ComponentFileError::CoreModule);
                    }
                    is_empty = false;
                    depth += 1;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        let name = import.map_err(invalid)?.name;
                        interface.imports.push(name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        let name = export.map_err(invalid)?.name;
                        interface.exports.push(name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
    }

    /// Returns the version of the contract that the component was built for:
    /// that of its exports. `None` if it exports no interface of a backend, or
    /// several versions.
    pub fn contract(&self) -> Option<String> {
        let mut versions = self.exports.iter().filter_map(|name| {
            // PACKAGE/INTERFACE@VERSION
            let (own, rest) = name.split_once('/')?;
            let (_, version) = rest.split_once('@')?;
            (own == PACKAGE).then_some(version)
        });
        let first = versions.next()?;
        versions
            .all(|version| version == first)
            .then(|| format!("{PACKAGE}@{first}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_module_and_other_files_are_no_components() {
        let module = b"\0asm\x01\0\0\0";
        assert_eq!(
            ComponentInterface::read(module),
            Err(ComponentFileError::CoreModule)
        );
        for bytes in [&b""[..], b"#!/bin/sh", b"\0asm", b"\x7fELF\x02\x01\x01\0"] {
            let error = ComponentInterface::read(bytes).unwrap_err().to_string();
            assert!(error.contains("not a WebAssembly component"), "{error}");
        }
    }

    #[test]
    fn the_contract_is_the_version_of_the_exports() {
        let with = |exports: &[&str]| ComponentInterface {
            imports: Vec::new(),
            exports: exports.iter().map(|name| (*name).to_owned()).collect(),
        };
        let engine = "rancher-desktop:engine/engine@0.1.0";
        let logs = "rancher-desktop:engine/logs@0.2.0";
        let contract = with(&["other:x/y@1.0.0", engine]).contract();
        assert_eq!(contract.as_deref(), Some("rancher-desktop:engine@0.1.0"));
        assert_eq!(with(&[engine, logs]).contract(), None);
        assert_eq!(with(&["run"]).contract(), None);
    }
}
