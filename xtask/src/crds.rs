//! `cargo xtask crds`: generates `crds/`, one file per CRD from the types, and one
//! per admission policy, with its binding.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};

/// The first line of each generated file.
const HEADER: &str =
    "# Generated from host/api by `cargo xtask crds`; edit the types, not this file.\n";

#[derive(clap::Args)]
pub(crate) struct CrdsArgs {
    /// Fail if a file is not up to date, and write nothing
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &CrdsArgs) -> anyhow::Result<()> {
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
            "crds/ is out of date with host/api: {}; run `cargo xtask crds` and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}

/// Runs the generator, which is a separate program so that the other tasks are
/// built without it.
fn generate() -> anyhow::Result<BTreeMap<String, Vec<serde_json::Value>>> {
    let output = crate::cargo()
        .args(["run", "--quiet", "--locked", "--package", "rdd-api"])
        .args(["--example", "generate_crds"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the generator of the CRDs failed: {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("cannot parse the output of the generator")
}

fn render() -> anyhow::Result<BTreeMap<String, String>> {
    generate()?
        .into_iter()
        .map(|(name, objects)| {
            // A JSON value has sorted keys, while the order of fields in
            // generated types may change.
            let documents = objects
                .iter()
                .map(serde_saphyr::to_string)
                .collect::<Result<Vec<_>, _>>()
                .with_context(|| format!("cannot render {name}"))?;
            let yaml = documents.join("---\n");
            Ok((format!("{name}.yaml"), format!("{HEADER}{yaml}")))
        })
        .collect()
}

/// Reads the generated files. Other files are ignored.
fn read(directory: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    if !directory.exists() {
        return Ok(files);
    }
    for entry in
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?
    {
        let path: PathBuf = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if !name.ends_with(".yaml") {
            continue;
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
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
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
        fs::remove_file(directory.join(name)).with_context(|| format!("cannot remove {name}"))?;
    }
    for (name, text) in wanted {
        fs::write(directory.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}
