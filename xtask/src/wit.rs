//! `cargo xtask wit`: checks that the interface in wit/ is valid, and that a
//! released version is not changed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Args as ClapArgs;
use sha2::{Digest as _, Sha256};
use wit_component::{DecodedWasm, WitPrinter};

/// The file with one line per package version: its digest and its name.
const LOCK: &str = "wit.lock";

/// Options of the task.
#[derive(ClapArgs)]
pub(crate) struct WitArgs {
    /// Fail if wit/ differs from its recorded digest, and change nothing
    #[arg(long)]
    check: bool,
}

/// Parses wit/, then compares or records its digest. Comments and layout do not
/// affect the digest.
pub(crate) fn run(args: &WitArgs) -> Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, digest) = digest(&dir)?;
    let path = dir.join(LOCK);
    let mut recorded = read(&path)?;
    match recorded.get(&package) {
        Some(known) if *known == digest => Ok(()),
        _ if args.check => bail!(
            "wit/ differs from the digest of {package} in {LOCK}; a released version must not change, so give the package a new version; \
             if it is not released yet, record the change with 'cargo xtask wit'"
        ),
        _ => {
            recorded.insert(package, digest);
            let lines: String = recorded
                .iter()
                .map(|(package, digest)| format!("{digest}  {package}\n"))
                .collect();
            std::fs::write(&path, lines).with_context(|| format!("cannot write {}", path.display()))
        }
    }
}

fn digest(dir: &Path) -> Result<(String, String)> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve
        .push_dir(dir)
        .with_context(|| format!("{} is not valid WIT", dir.display()))?;
    let name = resolve.packages[package].name.to_string();
    // Documentation may change in a released version, so it is removed first.
    let encoded = wit_component::encode(&resolve, package)?;
    let DecodedWasm::WitPackage(plain, package) = wit_component::decode(&encoded)? else {
        bail!("wit/ does not decode to a package");
    };
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    printer.print(&plain, package, &[])?;
    let text = printer.output.to_string();
    Ok((name, format!("{:x}", Sha256::digest(text))))
}

fn read(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    Ok(text
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, package)| (package.to_owned(), digest.to_owned()))
        .collect())
}
