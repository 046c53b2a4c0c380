//! `cargo xtask wit`: checks that the contract in wit/ is valid, and that a
//! released version is not changed.
//!
//! The files in wit/ are the version to be released next. A release copies them
//! to a directory named after it, which never changes afterward. The SDK has a
//! copy of its own, since its package must be complete.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args as ClapArgs;
use sha2::{Digest as _, Sha256};
use wit_component::{DecodedWasm, WitPrinter};

/// The file with one line per package version: its digest and its name.
const LOCK: &str = "wit.lock";

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
    let copy = WitCopy {
        source: root.join("wit"),
        copy: root.join("plugins/sdk/wit"),
    };
    if args.freeze {
        contract.freeze()
    } else if args.check {
        contract.check()?;
        copy.check()
    } else {
        contract.record()?;
        copy.update()
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
    /// The recorded digests, by the name of the package with its version.
    recorded: BTreeMap<String, String>,
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

    fn check(&self) -> Result<()> {
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
        }
        ensure!(
            self.is_recorded(&self.working),
            "wit/ differs from the digest of {} in {LOCK}; {}",
            self.working.name,
            match self.frozen.contains_key(&self.working.version) {
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
            !self.frozen.contains_key(&self.working.version),
            "wit/ differs from wit/{0}, which is released; give the package in wit/ a version after {0}",
            self.working.version
        );
        self.recorded
            .insert(self.working.name.clone(), self.working.digest.clone());
        let lines: String = self
            .recorded
            .iter()
            .map(|(package, digest)| format!("{digest}  {package}\n"))
            .collect();
        let path = self.dir.join(LOCK);
        fs::write(&path, lines).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Copies the working copy to the directory of its version.
    fn freeze(&self) -> Result<()> {
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
        Ok(())
    }

    fn is_recorded(&self, package: &PackageVersion) -> bool {
        self.recorded.get(&package.name) == Some(&package.digest)
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

fn read_lock(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = match fs::read_to_string(path) {
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
        fs::rename(dir.path().join("0.1.0"), dir.path().join("0.3.0")).unwrap();
        let error = contract(dir.path(), &next).check().unwrap_err();
        assert!(
            error.to_string().contains("name of its directory"),
            "{error}"
        );
    }
}
