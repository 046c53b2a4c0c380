//! The cache of compiled components, and components that cannot be loaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rdd_plugin_wasm::{
    CacheError, CompilerError, ComponentCache, ComponentCompiler, ComponentRuntime, LoadError,
};

use crate::support::*;

const DIGEST: &str = "0123456789abcdef";

/// Loads the fixture and returns whether it was compiled.
fn compiles(dir: &Path) -> bool {
    let runtime = ComponentRuntime::new(Some(ComponentCache::open(dir).unwrap())).unwrap();
    let before: Vec<_> = files(dir, "cwasm")
        .iter()
        .map(|path| fs::metadata(path).unwrap().modified().unwrap())
        .collect();
    runtime.load(&fixture_bytes(), DIGEST).unwrap();
    let after = files(dir, "cwasm");
    assert_eq!(after.len(), 1);
    before != [fs::metadata(&after[0]).unwrap().modified().unwrap()]
}

#[test]
fn a_component_is_compiled_once() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    assert!(compiles(&cache));
    assert!(!compiles(&cache));
}

/// A compiler that fills the cache of a runtime, or fails.
#[derive(Debug)]
struct FakeCompiler {
    cache: PathBuf,
    is_working: bool,
    calls: AtomicUsize,
}

impl ComponentCompiler for FakeCompiler {
    fn compile(&self, bytes: &[u8], digest: &str) -> Result<(), CompilerError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if !self.is_working {
            return Err("injected".to_owned().into());
        }
        let cache = ComponentCache::open(&self.cache).unwrap();
        rdd_plugin_wasm::compile(&cache, bytes, digest).map_err(|error| error.to_string().into())
    }
}

#[test]
fn the_runtime_compiles_a_component_itself_if_the_external_compiler_fails() {
    for is_working in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let compiler = Arc::new(FakeCompiler {
            cache: dir.path().to_owned(),
            is_working,
            calls: AtomicUsize::new(0),
        });
        let load = || {
            let cache = ComponentCache::open(dir.path()).unwrap();
            let runtime =
                ComponentRuntime::with_compiler(Some(cache), Some(compiler.clone())).unwrap();
            runtime.load(&fixture_bytes(), DIGEST).unwrap();
        };
        load();
        assert_eq!(compiler.calls.load(Ordering::SeqCst), 1);
        assert_eq!(files(dir.path(), "cwasm").len(), 1);
        // From the cache, whichever compiler filled it.
        load();
        assert_eq!(
            compiler.calls.load(Ordering::SeqCst),
            1,
            "is_working: {is_working}"
        );
    }
}

#[test]
fn only_the_owner_can_read_the_cache() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    compiles(&cache);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    assert_eq!(mode(&cache.join("key")), 0o600);
    assert_eq!(mode(&files(&cache, "cwasm")[0]), 0o600);
}

#[test]
fn a_damaged_or_foreign_entry_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path();
    compiles(cache);
    let entry = files(cache, "cwasm").remove(0);
    let good = fs::read(&entry).unwrap();

    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let half = good[..good.len() / 2].to_vec();
    for (what, damage) in [("flipped", flipped), ("half", half), ("empty", Vec::new())] {
        fs::write(&entry, damage).unwrap();
        assert!(compiles(cache), "{what}");
        assert!(!compiles(cache), "{what}");
    }

    // An entry that another host sealed.
    let other = tempfile::tempdir().unwrap();
    compiles(other.path());
    fs::copy(&files(other.path(), "cwasm")[0], &entry).unwrap();
    assert!(compiles(cache), "foreign");

    // A valid entry under the name of another component.
    let renamed = entry.with_file_name(
        entry
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .replace(DIGEST, "fedcba9876543210"),
    );
    fs::rename(&entry, &renamed).unwrap();
    let runtime = ComponentRuntime::new(Some(ComponentCache::open(cache).unwrap())).unwrap();
    let before = fs::metadata(&renamed).unwrap().modified().unwrap();
    runtime.load(&fixture_bytes(), "fedcba9876543210").unwrap();
    assert_ne!(
        fs::metadata(&renamed).unwrap().modified().unwrap(),
        before,
        "renamed"
    );
}

#[test]
fn a_damaged_key_costs_one_compilation() {
    let dir = tempfile::tempdir().unwrap();
    compiles(dir.path());
    fs::write(dir.path().join("key"), "short").unwrap();
    assert!(compiles(dir.path()));
    assert!(!compiles(dir.path()));
}

#[test]
fn a_directory_that_is_writable_by_others_is_emptied_and_made_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    compiles(&cache);
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let opened = ComponentCache::open(&cache);
    assert!(opened.is_ok());
    assert!(files(&cache, "cwasm").is_empty());
    assert_eq!(
        fs::metadata(&cache).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn a_symbolic_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    let Err(refused) = ComponentCache::open(&link) else {
        panic!("a symbolic link was opened");
    };
    assert!(
        matches!(refused, CacheError::NotPrivate { .. }),
        "{refused}"
    );
}

#[test]
fn a_file_that_is_not_a_component_is_refused() {
    let runtime = ComponentRuntime::new(None).unwrap();
    for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"not wasm at all"] {
        let Err(refused) = runtime.load(bytes, DIGEST) else {
            panic!("{bytes:?} was loaded");
        };
        assert!(matches!(refused, LoadError::Compile(_)), "{refused}");
    }
}

/// Returns a component that only imports the instance `name`.
fn importing(name: &str) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    let section = |id: u8, content: &[u8]| {
        let mut section = vec![id, u8::try_from(content.len()).unwrap()];
        section.extend_from_slice(content);
        section
    };
    // One type: an instance type without declarations.
    bytes.extend(section(7, &[1, 0x42, 0]));
    // One import of that type.
    let mut import = vec![1, 0, u8::try_from(name.len()).unwrap()];
    import.extend_from_slice(name.as_bytes());
    import.extend_from_slice(&[5, 0]);
    bytes.extend(section(10, &import));
    bytes
}

#[test]
fn a_forbidden_import_is_refused_by_name() {
    let runtime = ComponentRuntime::new(None).unwrap();
    let Err(refused) = runtime.load(&importing("wasi:http/types@0.2.0"), DIGEST) else {
        panic!("the component was loaded");
    };
    assert_eq!(
        refused,
        LoadError::Import("wasi:http/types@0.2.0".to_owned())
    );
    let message = refused.to_string();
    assert!(message.contains("of WASI 0.2 cli, clocks"), "{message}");
}

#[test]
fn a_component_without_the_exports_is_refused() {
    let runtime = ComponentRuntime::new(None).unwrap();
    // The smallest valid component.
    let Err(refused) = runtime.load(b"\0asm\x0d\0\x01\0", DIGEST) else {
        panic!("the component was loaded");
    };
    assert_eq!(refused, LoadError::NoBackend);
    assert!(
        refused.to_string().contains("rancher-desktop:engine@0.1.0"),
        "{refused}"
    );
}

/// Returns the fixture with every name of the contract changed to this version.
fn fixture_of_version(version: &[u8; 5]) -> Vec<u8> {
    let mut bytes = fixture_bytes();
    let offsets: Vec<_> = bytes
        .windows(6)
        .enumerate()
        .filter(|(_, window)| window == b"@0.1.0")
        .map(|(offset, _)| offset + 1)
        .collect();
    assert!(!offsets.is_empty());
    for offset in offsets {
        bytes[offset..offset + version.len()].copy_from_slice(version);
    }
    bytes
}

#[test]
fn a_component_of_another_version_is_refused_with_both_versions() {
    let runtime = ComponentRuntime::new(None).unwrap();
    for (version, remedy) in [
        (b"0.4.0", "upgrade rdd"),
        (b"0.0.9", "install a version of the plugin"),
        // Wasmtime by itself would link it.
        (b"0.1.7", "upgrade rdd"),
    ] {
        let Err(refused) = runtime.load(&fixture_of_version(version), DIGEST) else {
            panic!("the component was loaded");
        };
        assert!(matches!(refused, LoadError::Version(_)), "{refused:?}");
        let message = refused.to_string();
        let version = String::from_utf8_lossy(version);
        for part in [&version, "supports 0.1.0", remedy] {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    }
}
