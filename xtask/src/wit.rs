//! `cargo xtask wit`: checks that the contract in wit/ is valid, and that a
//! released version is not changed.
//!
//! The files in wit/ are the version to be released next, or the one that was
//! released last until something is to be added. A release copies them to a
//! directory named after it, which never changes afterward. The SDK has a copy of
//! its own, since its package must be complete.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args as ClapArgs;
use sha2::{Digest as _, Sha256};
use wit_component::{DecodedWasm, WitPrinter};

/// The file with one line per package version: its digest, its name, and
/// [`RELEASED`] if it is.
const LOCK: &str = "wit.lock";

/// The mark of a released version, so that its directory is missed when it is gone.
const RELEASED: &str = "released";

/// The separator in a line of the file.
const SEPARATOR: &str = "  ";

/// Options of the task.
#[derive(ClapArgs)]
pub(crate) struct WitArgs {
    /// Fail if a version differs from its recorded digest, and change nothing
    #[arg(long, conflicts_with = "freeze")]
    check: bool,
    /// Copy wit/ to the directory of its version, which must not change afterward
    #[arg(long)]
    freeze: bool,
}

/// Compares the versions of the contract with their digests and the copies, or
/// records and copies the working copy. Comments and layout do not affect a
/// digest.
pub(crate) fn run(args: &WitArgs) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let contract = Contract::open(&root.join("wit"))?;
    let copies = contract.copies(root.join("plugins/sdk/wit"));
    if args.freeze {
        contract.freeze()
    } else if args.check {
        contract.check()?;
        copies.iter().try_for_each(WitCopy::check)
    } else {
        contract.record()?;
        copies.iter().try_for_each(WitCopy::update)
    }
}

/// A copy of the files of a directory.
struct WitCopy {
    source: PathBuf,
    copy: PathBuf,
}

impl WitCopy {
    fn check(&self) -> Result<()> {
        ensure!(
            wit_files(&self.source)? == wit_files(&self.copy)?,
            "{} differs from {}; copy the files with 'cargo xtask wit'",
            self.copy.display(),
            self.source.display()
        );
        Ok(())
    }

    fn update(&self) -> Result<()> {
        let source = wit_files(&self.source)?;
        for name in wit_files(&self.copy)?.keys() {
            if !source.contains_key(name) {
                fs::remove_file(self.copy.join(name))
                    .with_context(|| format!("cannot remove {name}"))?;
            }
        }
        for (name, content) in source {
            let path = self.copy.join(name);
            fs::write(&path, content)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// Reads the WIT files of a directory, by name.
fn wit_files(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "wit") {
            let content = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            files.insert(name.into_owned(), content);
        }
    }
    Ok(files)
}

/// The versions of the contract.
struct Contract {
    dir: PathBuf,
    working: PackageVersion,
    /// The released versions, by the name of their directory.
    frozen: BTreeMap<String, PackageVersion>,
    /// The recorded versions, by the name of the package with its version.
    recorded: BTreeMap<String, LockEntry>,
}

/// What is recorded of a version.
#[derive(Clone)]
struct LockEntry {
    digest: String,
    is_released: bool,
}

/// One version of the contract.
struct PackageVersion {
    /// The name with the version, such as `rancher-desktop:engine@0.1.0`.
    name: String,
    version: String,
    digest: String,
}

impl Contract {
    fn open(dir: &Path) -> Result<Self> {
        let mut frozen = BTreeMap::new();
        for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                frozen.insert(name.into_owned(), PackageVersion::read(&path)?);
            }
        }
        Ok(Self {
            working: PackageVersion::read(dir)?,
            frozen,
            recorded: read_lock(&dir.join(LOCK))?,
            dir: dir.to_owned(),
        })
    }

    /// Returns the copies that have the files of wit/: that of the SDK, and the
    /// directory of the version if it is released, so that a comment is corrected
    /// in both.
    fn copies(&self, sdk: PathBuf) -> Vec<WitCopy> {
        let released = self.frozen.contains_key(&self.working.version);
        let released = released.then(|| self.dir.join(&self.working.version));
        [Some(sdk), released]
            .into_iter()
            .flatten()
            .map(|copy| WitCopy {
                source: self.dir.clone(),
                copy,
            })
            .collect()
    }

    fn check(&self) -> Result<()> {
        for (name, entry) in &self.recorded {
            let is_there = || self.frozen.values().any(|frozen| frozen.name == *name);
            ensure!(
                !entry.is_released || is_there(),
                "the directory of {name} in wit/ is missing, although {LOCK} says that it is released; restore it"
            );
        }
        for (dir, package) in &self.frozen {
            ensure!(
                *dir == package.version,
                "wit/{dir} has the version {}; the name of its directory must be the version",
                package.version
            );
            ensure!(
                self.is_recorded(package),
                "wit/{dir} differs from the digest of {} in {LOCK}; a released version must not change: restore the directory, and change wit/ under a new version instead",
                package.name
            );
            ensure!(
                self.is_released(package),
                "wit/{dir} is there, but {LOCK} does not say that {} is released; remove the directory, and release the version with 'cargo xtask wit --freeze'",
                package.name
            );
        }
        ensure!(
            self.is_recorded(&self.working),
            "wit/ differs from the digest of {} in {LOCK}; {}",
            self.working.name,
            match self.is_released(&self.working) {
                true => "this version is released, so give the package a new one",
                false => "record the change with 'cargo xtask wit'",
            }
        );
        Ok(())
    }

    /// Records the digest of the working copy.
    fn record(mut self) -> Result<()> {
        if self.is_recorded(&self.working) {
            return Ok(());
        }
        ensure!(
            !self.is_released(&self.working),
            "wit/ differs from wit/{0}, which is released; give the package in wit/ a version after {0}",
            self.working.version
        );
        let entry = LockEntry {
            digest: self.working.digest.clone(),
            is_released: false,
        };
        self.recorded.insert(self.working.name.clone(), entry);
        write_lock(&self.dir.join(LOCK), &self.recorded)
    }

    /// Copies the working copy to the directory of its version.
    fn freeze(mut self) -> Result<()> {
        self.check()?;
        let target = self.dir.join(&self.working.version);
        if self.frozen.contains_key(&self.working.version) {
            bail!("{} exists; a version is released once", target.display());
        }
        fs::create_dir(&target)?;
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if let Some(name) = path.file_name()
                && path.extension().is_some_and(|it| it == "wit")
            {
                fs::copy(&path, target.join(name))
                    .with_context(|| format!("cannot copy {}", path.display()))?;
            }
        }
        if let Some(entry) = self.recorded.get_mut(&self.working.name) {
            entry.is_released = true;
        }
        write_lock(&self.dir.join(LOCK), &self.recorded)
    }

    fn is_recorded(&self, package: &PackageVersion) -> bool {
        let entry = self.recorded.get(&package.name);
        entry.is_some_and(|entry| entry.digest == package.digest)
    }

    fn is_released(&self, package: &PackageVersion) -> bool {
        let entry = self.recorded.get(&package.name);
        entry.is_some_and(|entry| entry.is_released)
    }
}

impl PackageVersion {
    fn read(dir: &Path) -> Result<Self> {
        let mut resolve = wit_parser::Resolve::default();
        let (package, _) = resolve
            .push_dir(dir)
            .with_context(|| format!("{} is not valid WIT", dir.display()))?;
        let name = resolve.packages[package].name.clone();
        let Some(version) = name.version.as_ref() else {
            bail!("the package in {} has no version", dir.display());
        };
        // Documentation may change in a released version, so it is removed first.
        let encoded = wit_component::encode(&resolve, package)?;
        let DecodedWasm::WitPackage(plain, package) = wit_component::decode(&encoded)? else {
            bail!("{} does not decode to a package", dir.display());
        };
        let mut printer = WitPrinter::default();
        printer.emit_docs(false);
        printer.print(&plain, package, &[])?;
        let text = printer.output.to_string();
        Ok(Self {
            name: name.to_string(),
            version: version.to_string(),
            digest: format!("{:x}", Sha256::digest(text)),
        })
    }
}

fn read_lock(path: &Path) -> Result<BTreeMap<String, LockEntry>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut recorded = BTreeMap::new();
    for line in text.lines() {
        let (digest, rest) = line.split_once(SEPARATOR).with_context(|| {
            format!("{} has the line {line:?}; restore the file", path.display())
        })?;
        let (name, mark) = rest.split_once(SEPARATOR).unwrap_or((rest, ""));
        ensure!(
            ["", RELEASED].contains(&mark),
            "{} has the unknown mark {mark:?}; restore the file",
            path.display()
        );
        let entry = LockEntry {
            digest: digest.to_owned(),
            is_released: mark == RELEASED,
        };
        recorded.insert(name.to_owned(), entry);
    }
    Ok(recorded)
}

fn write_lock(path: &Path, recorded: &BTreeMap<String, LockEntry>) -> Result<()> {
    let mut lines = String::new();
    for (name, entry) in recorded {
        let mut words = vec![entry.digest.as_str(), name];
        if entry.is_released {
            words.push(RELEASED);
        }
        lines.push_str(&words.join(SEPARATOR));
        lines.push('\n');
    }
    fs::write(path, lines).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIT: &str = "package test:engine@0.1.0;\ninterface engine {\n  /// Pings.\n  ping: func();\n}\nworld backend {\n  export engine;\n}\n";

    fn contract(dir: &Path, wit: &str) -> Contract {
        fs::write(dir.join("engine.wit"), wit).unwrap();
        Contract::open(dir).unwrap()
    }

    #[test]
    fn only_the_shape_of_the_working_copy_is_recorded() {
        let dir = tempfile::tempdir().unwrap();
        contract(dir.path(), WIT).check().unwrap_err();
        contract(dir.path(), WIT).record().unwrap();
        contract(dir.path(), WIT).check().unwrap();
        let other_words = WIT.replace("Pings.", "Sends a ping.");
        contract(dir.path(), &other_words).check().unwrap();
        let other_shape = WIT.replace("ping: func()", "ping: func() -> u32");
        let error = contract(dir.path(), &other_shape).check().unwrap_err();
        assert!(error.to_string().contains("record the change"), "{error}");
    }

    #[test]
    fn a_copy_has_exactly_the_files_of_its_source() {
        let (source, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = WitCopy {
            source: source.path().to_owned(),
            copy: copy.path().to_owned(),
        };
        fs::write(source.path().join("engine.wit"), WIT).unwrap();
        fs::write(source.path().join("README.md"), "not copied").unwrap();
        fs::write(copy.path().join("old.wit"), WIT).unwrap();
        let error = files.check().unwrap_err();
        assert!(error.to_string().contains("cargo xtask wit"), "{error}");
        files.update().unwrap();
        files.check().unwrap();
        let names: Vec<_> = wit_files(copy.path()).unwrap().into_keys().collect();
        assert_eq!(names, ["engine.wit"]);
        // Comments count, since authors read the copy.
        fs::write(copy.path().join("engine.wit"), WIT.replace("Pings.", "?")).unwrap();
        files.check().unwrap_err();
    }

    #[test]
    fn a_released_version_does_not_change() {
        let dir = tempfile::tempdir().unwrap();
        contract(dir.path(), WIT).record().unwrap();
        contract(dir.path(), WIT).freeze().unwrap();
        contract(dir.path(), WIT).check().unwrap();
        contract(dir.path(), WIT).freeze().unwrap_err();
        // The working copy needs a new version.
        let shape = WIT.replace("ping: func()", "ping: func() -> u32");
        for error in [
            contract(dir.path(), &shape).check().unwrap_err(),
            contract(dir.path(), &shape).record().unwrap_err(),
        ] {
            assert!(error.to_string().contains("released"), "{error}");
        }
        let next = shape.replace("0.1.0", "0.2.0");
        contract(dir.path(), &next).record().unwrap();
        contract(dir.path(), &next).check().unwrap();
        // The released files must not change, either.
        fs::write(dir.path().join("0.1.0/engine.wit"), &shape).unwrap();
        let error = contract(dir.path(), &next).check().unwrap_err();
        assert!(error.to_string().contains("must not change"), "{error}");
        fs::write(dir.path().join("0.1.0/engine.wit"), WIT).unwrap();
        contract(dir.path(), &next).check().unwrap();
        fs::rename(dir.path().join("0.1.0"), dir.path().join("0.3.0")).unwrap();
        let error = contract(dir.path(), &next).check().unwrap_err();
        assert!(
            error.to_string().contains("name of its directory"),
            "{error}"
        );
    }

    #[test]
    fn a_released_version_that_is_gone_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        contract(dir.path(), WIT).record().unwrap();
        contract(dir.path(), WIT).freeze().unwrap();
        fs::remove_dir_all(dir.path().join("0.1.0")).unwrap();
        // Neither the version itself nor a later one hides it.
        for wit in [WIT.to_owned(), WIT.replace("0.1.0", "0.2.0")] {
            contract(dir.path(), &wit).record().unwrap();
            let error = contract(dir.path(), &wit).check().unwrap_err();
            assert!(error.to_string().contains("missing"), "{error}");
        }
        let shape = WIT.replace("ping: func()", "ping: func() -> u32");
        let error = contract(dir.path(), &shape).record().unwrap_err();
        assert!(error.to_string().contains("released"), "{error}");
    }

    #[test]
    fn a_directory_that_was_not_released_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        contract(dir.path(), WIT).record().unwrap();
        fs::create_dir(dir.path().join("0.1.0")).unwrap();
        fs::write(dir.path().join("0.1.0/engine.wit"), WIT).unwrap();
        let error = contract(dir.path(), WIT).check().unwrap_err();
        assert!(error.to_string().contains("--freeze"), "{error}");
    }

    #[test]
    fn a_comment_is_corrected_in_the_released_version_too() {
        let (dir, sdk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let copies = |wit: &str| contract(dir.path(), wit).copies(sdk.path().to_owned());
        contract(dir.path(), WIT).record().unwrap();
        contract(dir.path(), WIT).freeze().unwrap();
        let corrected = WIT.replace("Pings.", "Sends a ping.");
        assert_eq!(copies(&corrected).len(), 2);
        copies(&corrected)[1].check().unwrap_err();
        copies(&corrected)
            .iter()
            .for_each(|copy| copy.update().unwrap());
        copies(&corrected)
            .iter()
            .for_each(|copy| copy.check().unwrap());
        contract(dir.path(), &corrected).check().unwrap();
        // A version that is not released has no directory.
        assert_eq!(copies(&corrected.replace("0.1.0", "0.2.0")).len(), 1);
    }
}
