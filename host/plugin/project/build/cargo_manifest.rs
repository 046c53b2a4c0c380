//! Manifests of packages, without the workspace from which they inherit.
//!
//! `cargo package` does the same, but only for packages whose dependencies are all
//! in a registry.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use toml::{Table, Value};

/// The directory of the SDK in the repository, and in a project.
const SDK: (&str, &str) = ("plugins/sdk", "sdk/crates/rdd-sdk");

/// The tables with dependencies.
const DEPENDENCIES: [&str; 2] = ["dependencies", "build-dependencies"];

/// Returns where a package of the SDK is in a project.
pub(crate) fn location(path: &Path) -> Result<String> {
    let rest = path
        .strip_prefix(SDK.0)
        .with_context(|| format!("{} is not a part of the SDK", path.display()))?;
    let rest = rest.to_str().context("a path is not UTF-8")?;
    Ok(match rest {
        "" => SDK.1.to_owned(),
        rest => format!("{}/{rest}", SDK.1),
    })
}

/// The manifest of the workspace.
pub(crate) struct WorkspaceManifest {
    root: std::path::PathBuf,
    workspace: Table,
}

impl WorkspaceManifest {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let manifest: Table = fs::read_to_string(path)?.parse()?;
        let workspace = table(&manifest, "workspace")?.clone();
        let root = path.parent().context("a manifest is in a directory")?;
        Ok(Self {
            root: root.to_owned(),
            workspace,
        })
    }

    /// Returns the manifest of a package of the SDK as it is in a project.
    /// Collects the names of its dependencies.
    pub(crate) fn standalone(&self, package: &Path, names: &mut Vec<String>) -> Result<String> {
        let directory = location(package)?;
        let keys = ["name", "version", "edition", "rust-version", "license"];
        let manifest = self.resolve(package, &keys, &directory, names)?;
        render(&manifest)
    }

    /// Returns the manifest of the example as the one of a new project.
    pub(crate) fn project(&self, package: &Path, names: &mut Vec<String>) -> Result<String> {
        let keys = ["name", "edition", "publish"];
        let mut manifest = self.resolve(package, &keys, "", names)?;
        let profile: Table = "[release]\nlto = true".parse()?;
        manifest.insert("profile".to_owned(), Value::Table(profile));
        // The project is not a part of a workspace in a directory above, and the SDK
        // in it is not a part of the project.
        let workspace: Table = "exclude = [\"sdk\"]".parse()?;
        manifest.insert("workspace".to_owned(), Value::Table(workspace));
        let package = manifest.get_mut("package").and_then(Value::as_table_mut);
        let package = package.context("a manifest has no package")?;
        package.insert("version".to_owned(), "0.1.0".into());
        render(&manifest)
    }

    /// Resolves what a package inherits, with paths relative to `directory` of a
    /// project. Dependencies of tests are left out, as the tests are.
    fn resolve(
        &self,
        package: &Path,
        keys: &[&str],
        directory: &str,
        names: &mut Vec<String>,
    ) -> Result<Table> {
        let path = self.root.join(package).join("Cargo.toml");
        let manifest: Table = fs::read_to_string(&path)?
            .parse()
            .with_context(|| format!("cannot parse {}", path.display()))?;
        let mut resolved = Table::new();
        let inherited = table(&self.workspace, "package")?;
        let mut description = Table::new();
        for (key, value) in table(&manifest, "package")? {
            let value = match value.get("workspace") {
                Some(_) => inherited.get(key).context("a key is not inherited")?,
                None => value,
            };
            if keys.contains(&key.as_str()) {
                description.insert(key.clone(), value.clone());
            }
        }
        resolved.insert("package".to_owned(), Value::Table(description));
        for key in ["lib", "features"] {
            if let Some(value) = manifest.get(key) {
                resolved.insert(key.to_owned(), value.clone());
            }
        }
        self.resolve_tables(&manifest, &mut resolved, directory, names)?;
        if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
            let mut resolved_targets = Table::new();
            for (target, tables) in targets {
                let tables = tables.as_table().context("a target has no tables")?;
                let mut resolved_tables = Table::new();
                self.resolve_tables(tables, &mut resolved_tables, directory, names)?;
                if !resolved_tables.is_empty() {
                    resolved_targets.insert(target.clone(), Value::Table(resolved_tables));
                }
            }
            resolved.insert("target".to_owned(), Value::Table(resolved_targets));
        }
        Ok(resolved)
    }

    fn resolve_tables(
        &self,
        from: &Table,
        to: &mut Table,
        directory: &str,
        names: &mut Vec<String>,
    ) -> Result<()> {
        for key in DEPENDENCIES {
            let Some(dependencies) = from.get(key).and_then(Value::as_table) else {
                continue;
            };
            let mut resolved = Table::new();
            for (name, value) in dependencies {
                let value = self
                    .dependency(name, value, directory)
                    .with_context(|| format!("cannot resolve the dependency {name}"))?;
                resolved.insert(name.clone(), value);
                names.push(name.clone());
            }
            to.insert(key.to_owned(), Value::Table(resolved));
        }
        Ok(())
    }

    /// Merges a dependency of a package with the one of the workspace, as cargo does.
    fn dependency(&self, name: &str, value: &Value, directory: &str) -> Result<Value> {
        if value.get("workspace").is_none() {
            bail!("it is not one of the workspace");
        }
        let own = value.as_table().context("it is no table")?;
        let inherited = table(&self.workspace, "dependencies")?.get(name);
        let mut merged = match inherited.context("the workspace does not have it")? {
            Value::String(version) => {
                Table::from_iter([("version".to_owned(), Value::String(version.clone()))])
            }
            inherited => inherited.as_table().context("it is no table")?.clone(),
        };
        for (key, value) in own {
            match (key.as_str(), value) {
                ("workspace", _) => {}
                ("features", Value::Array(features)) => {
                    let all = merged
                        .entry("features")
                        .or_insert_with(|| Value::Array(Vec::new()));
                    let all = all.as_array_mut().context("features are no list")?;
                    all.extend(features.iter().cloned());
                }
                _ => drop(merged.insert(key.clone(), value.clone())),
            }
        }
        if let Some(path) = merged.get("path").and_then(Value::as_str) {
            let target = location(Path::new(path))?;
            let path = match directory {
                "" => &target,
                directory => target
                    .strip_prefix(&format!("{directory}/"))
                    .context("it is not below the package that depends on it")?,
            };
            merged.insert("path".to_owned(), path.into());
        }
        Ok(match merged.iter().next() {
            Some((key, version)) if merged.len() == 1 && key == "version" => version.clone(),
            _ => Value::Table(merged),
        })
    }
}

fn table<'a>(from: &'a Table, key: &str) -> Result<&'a Table> {
    from.get(key)
        .and_then(Value::as_table)
        .with_context(|| format!("there is no table {key}"))
}

/// Prints a manifest in the usual order.
fn render(manifest: &Table) -> Result<String> {
    let order = [
        "package",
        "lib",
        "features",
        "dependencies",
        "build-dependencies",
        "target",
        "profile",
        "workspace",
    ];
    let mut text = String::new();
    for key in order {
        let Some(Value::Table(values)) = manifest.get(key) else {
            continue;
        };
        if !text.is_empty() {
            text.push('\n');
        }
        // The values of these tables fit on a line each.
        if key.ends_with("dependencies") {
            text.push_str(&format!("[{key}]\n"));
            for (name, value) in values {
                text.push_str(&format!("{name} = {value}\n"));
            }
        } else {
            let only = Table::from_iter([(key.to_owned(), Value::Table(values.clone()))]);
            text.push_str(&toml::to_string(&only)?);
        }
    }
    Ok(text)
}
