//! The bindings of the contract in C, so that an author needs no tool for them.

use std::path::Path;

use anyhow::{Context as _, Result};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use super::archive::ArchiveBuilder;

/// The interfaces of the contract, whose names are those of the generated
/// functions.
const INTERFACES: [&str; 9] = [
    "types",
    "transport",
    "host",
    "registry",
    "engine",
    "logs",
    "lifecycle",
    "processes",
    "images",
];

/// Generates the bindings of the complete world: functions that a backend does not
/// define are those of `plugins/sdk/c`.
pub(crate) fn add(archive: &mut ArchiveBuilder, wit: &Path) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        .with_context(|| format!("cannot parse {}", wit.display()))?;
    let world = resolve.select_world(&[package], Some("backend"))?;
    let name = &resolve.packages[package].name;
    let version = name.version.as_ref().context("wit/ has no version")?;
    let options = wit_bindgen_c::Opts {
        rename: INTERFACES
            .iter()
            .map(|interface| {
                let full = format!("{}:{}/{interface}@{version}", name.namespace, name.name);
                (full, (*interface).to_owned())
            })
            .collect(),
        ..wit_bindgen_c::Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    for (name, content) in files.iter() {
        archive.add(&format!("sdk/bindings/{name}"), content.to_vec());
    }
    Ok(())
}
