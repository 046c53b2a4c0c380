//! `cargo xtask crds`: writes `crds/`, one file for each CRD, from the types.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// First line of each file.
const HEADER: &str =
    "# Generated from host/api by `cargo xtask crds`; edit the types, not this file.\n";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fails when a file differs from what would be written, and writes nothing.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    let wanted = render()?;
    let present = read(&directory)?;
    if !args.check {
        return write(&directory, &wanted, &present);
    }
    let stale: Vec<&str> = wanted
        .iter()
        .filter(|(name, text)| present.get(*name) != Some(text))
        .map(|(name, _)| name.as_str())
        .chain(
            present
                .keys()
                .filter(|name| !wanted.contains_key(*name))
                .map(String::as_str),
        )
        .collect();
    if !stale.is_empty() {
        bail!(
            "crds/ has drifted from host/api: {}; run `cargo xtask crds` and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}

fn render() -> anyhow::Result<BTreeMap<String, String>> {
    rdd_api::crds()
        .iter()
        .map(|crd| {
            let name = crd
                .metadata
                .name
                .as_deref()
                .context("a CRD without a name")?;
            // By way of a JSON value, whose keys are sorted: the order of a
            // generated type's fields is not ours to keep stable.
            let yaml = serde_saphyr::to_string(&serde_json::to_value(crd)?)
                .with_context(|| format!("render {name}"))?;
            Ok((format!("{name}.yaml"), format!("{HEADER}{yaml}")))
        })
        .collect()
}

/// The generated files that are there; files of another origin are left alone.
fn read(directory: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    if !directory.exists() {
        return Ok(files);
    }
    for entry in fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))? {
        let path: PathBuf = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if !name.ends_with(".yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        if text.starts_with(HEADER) {
            files.insert(name.to_owned(), text);
        }
    }
    Ok(files)
}

fn write(
    directory: &Path,
    wanted: &BTreeMap<String, String>,
    present: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
        fs::remove_file(directory.join(name)).with_context(|| format!("remove {name}"))?;
    }
    for (name, text) in wanted {
        fs::write(directory.join(name), text).with_context(|| format!("write {name}"))?;
    }
    Ok(())
}
