//! The contract in wit/: it parses, and a released version stays as it is.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Args as ClapArgs;
use sha2::{Digest as _, Sha256};
use wit_component::{DecodedWasm, WitPrinter};

/// Holds one line for each package version: its digest and its name.
const LOCK: &str = "wit.lock";

/// Options of the task.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Fail when wit/ differs from its recorded digest, and change nothing
    #[arg(long)]
    check: bool,
}

/// Parses wit/, then compares or records the digest of what it means: comments
/// and layout do not count.
pub(crate) fn run(args: &Args) -> Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, digest) = digest(&dir)?;
    let path = dir.join(LOCK);
    let mut recorded = read(&path)?;
    match recorded.get(&package) {
        Some(known) if *known == digest => Ok(()),
        _ if args.check => bail!(
            "wit/ does not mean what {LOCK} records of {package}: a released version is never changed, so give the package a new version; \
             while it is not released, record the change with 'cargo xtask wit'"
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
    // Documentation may always be mended: it is taken out before the digest.
    let encoded = wit_component::encode(&resolve, package)?;
    let DecodedWasm::WitPackage(plain, package) = wit_component::decode(&encoded)? else {
        bail!("wit/ does not decode to a package");
    };
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    printer.print(&plain, package, &[])?;
    let text = printer.output.to_string();
    let digest = Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok((name, digest))
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
