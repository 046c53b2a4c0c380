//! The cache of compiled components on disk.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rdd_core::{PrivateFileError, remove_old_temporary_files, write_private, write_private_parts};
use ring::hmac;
use ring::rand::SystemRandom;
use wasmtime::Engine;
use wasmtime::component::Component;

/// The first line of an entry. It changes with the entry's layout.
const FORMAT: &[u8] = b"rdd compiled component, 1\n";
/// The file of the key that seals the entries.
const KEY_FILE: &str = "key";
/// The size of the key and of a seal (HMAC-SHA-256) in bytes.
const SEAL_BYTES: usize = 32;
/// The number of entries that are kept. An update of one backend leaves one entry
/// behind; a developer's builds leave many.
const MAX_ENTRIES: usize = 16;
/// The maximum size of an entry in bytes, more than any component compiles to.
const MAX_ENTRY_BYTES: u64 = 512 * 1024 * 1024;
const EXTENSION: &str = "cwasm";
/// The age at which a draft counts as left behind by a killed process. Several
/// processes may write to the cache at once, each for a few seconds.
const DRAFT_AGE: Duration = Duration::from_secs(60 * 60);

/// A directory of components that this host compiled.
///
/// Loading machine code is as dangerous as running a program. So an entry is only
/// loaded if it has a seal made with the key in the same directory, which only
/// this user can read or write.
pub struct ComponentCache {
    dir: PathBuf,
    key: hmac::Key,
}

/// A cache that cannot be used. Without a cache, components are compiled at each
/// start.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory or the key cannot be created or read.
    #[error("cannot use {} for compiled components: {error}; give the daemon's user access to it", path.display())]
    Directory {
        /// The cache directory.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The directory is not private to this user.
    #[error("cannot use {} for compiled components: {problem}; remove it, and it will be created again", path.display())]
    NotPrivate {
        /// The cache directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The operating system returned no random numbers.
    #[error("cannot create a key for compiled components: no random numbers are available")]
    NoRandomness,
}

impl ComponentCache {
    /// Opens the cache in `dir` and creates the directory if it is missing.
    ///
    /// # Errors
    ///
    /// Fails if the directory cannot be used or is not private to this user.
    pub fn open(dir: &Path) -> Result<Self, CacheError> {
        let failed = |error| CacheError::Directory {
            path: dir.to_owned(),
            error,
        };
        fs::create_dir_all(dir).map_err(failed)?;
        make_private(dir)?;
        let key_path = dir.join(KEY_FILE);
        let seed = match read_regular_file(&key_path, SEAL_BYTES as u64) {
            Ok(Some(seed)) if seed.len() == SEAL_BYTES => seed,
            // Missing or damaged: the entries sealed with it are compiled again.
            Ok(_) => {
                let seed = ring::rand::generate::<[u8; SEAL_BYTES]>(&SystemRandom::new())
                    .map_err(|_| CacheError::NoRandomness)?
                    .expose()
                    .to_vec();
                write_private(&key_path, &seed)
                    .map_err(|PrivateFileError { source, .. }| failed(source))?;
                seed
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            dir: dir.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &seed),
        })
    }

    /// Loads the component with this digest, if this host compiled it for
    /// `engine`. Removes an entry that cannot be loaded.
    pub(crate) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let name = entry_name(engine, digest);
        let path = self.dir.join(&name);
        let error = match read_regular_file(&path, MAX_ENTRY_BYTES) {
            Ok(None) => return None,
            Ok(Some(entry)) => match self.unseal(&name, &entry) {
                Some(code) => match deserialize(engine, code) {
                    Ok(component) => return Some(component),
                    Err(error) => error.to_string(),
                },
                None => "the seal does not match".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        tracing::warn!(error, path = %path.display(), "discarding a compiled component");
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(%error, path = %path.display(), "cannot remove a compiled component");
        }
        None
    }

    /// Stores `component`. A failure is logged: it only slows down the next start.
    pub(crate) fn store(&self, engine: &Engine, digest: &str, component: &Component) {
        let name = entry_name(engine, digest);
        let path = self.dir.join(&name);
        let stored = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| {
                let seal = self.seal(&name, &code);
                write_private_parts(&path, &[FORMAT, seal.as_ref(), &code])
                    .map_err(|PrivateFileError { source, .. }| source)
            })
            .and_then(|()| self.prune());
        if let Err(error) = stored {
            tracing::warn!(
                %error,
                path = %path.display(),
                "cannot store a compiled component; the next start compiles it again"
            );
        }
    }

    fn seal(&self, name: &str, code: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(name.as_bytes());
        context.update(b"\0");
        context.update(code);
        context.sign()
    }

    /// Returns the machine code in `entry` if it has this host's seal.
    fn unseal<'a>(&self, name: &str, entry: &'a [u8]) -> Option<VerifiedCode<'a>> {
        let (seal, code) = entry.strip_prefix(FORMAT)?.split_at_checked(SEAL_BYTES)?;
        let expected = self.seal(name, code);
        // Not constant-time: whoever can write an entry can also read the key.
        (expected.as_ref() == seal).then_some(VerifiedCode(code))
    }

    /// Removes the oldest entries beyond [`MAX_ENTRIES`], and old drafts.
    fn prune(&self) -> io::Result<()> {
        remove_old_temporary_files(&self.dir, DRAFT_AGE)?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|it| it == EXTENSION) {
                entries.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        entries.sort();
        let surplus = entries.len().saturating_sub(MAX_ENTRIES);
        entries
            .into_iter()
            .take(surplus)
            .try_for_each(|(_, path)| fs::remove_file(path))
    }
}

/// Machine code whose seal was verified.
struct VerifiedCode<'a>(&'a [u8]);

#[allow(
    unsafe_code,
    reason = "there is no safe way to load compiled code, and compiling takes seconds at each start"
)]
fn deserialize(
    engine: &Engine,
    VerifiedCode(code): VerifiedCode<'_>,
) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime requires that the bytes were returned by `serialize`. They
    // were: `VerifiedCode` is only created by `ComponentCache::unseal`, which has
    // checked a keyed digest over these bytes (in memory, where nothing changes
    // them anymore) and over the digest of the component and the version and
    // settings of the engine. Only `ComponentCache::store` creates such seals,
    // and the key is in a directory that only this user can read.
    unsafe { Component::deserialize(engine, code) }
}

/// Returns the file name of an entry. It depends on everything that determines
/// the entry's content.
fn entry_name(engine: &Engine, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}.{EXTENSION}", hasher.finish())
}

/// Makes `dir` private to this user, or fails if that is not safe.
fn make_private(dir: &Path) -> Result<(), CacheError> {
    let failed = |error| CacheError::Directory {
        path: dir.to_owned(),
        error,
    };
    let not_private = |problem| {
        Err(CacheError::NotPrivate {
            path: dir.to_owned(),
            problem,
        })
    };
    let metadata = fs::symlink_metadata(dir).map_err(failed)?;
    if !metadata.is_dir() {
        return not_private("it is a symbolic link");
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return not_private("it belongs to another user");
    }
    if metadata.mode() & 0o777 == 0o700 {
        return Ok(());
    }
    if metadata.mode() & 0o022 != 0 {
        // Anyone may have written the files in it, including the key.
        for entry in fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if fs::symlink_metadata(&path).map_err(failed)?.is_dir() {
                return not_private("it is writable by others and contains a directory");
            }
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)
}

/// Reads a regular file of at most `max_bytes`. Returns `None` if it is missing.
fn read_regular_file(path: &Path, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if metadata.len() > max_bytes {
        return Err(io::Error::other(format!("larger than {max_bytes} bytes")));
    }
    fs::read(path).map(Some)
}
