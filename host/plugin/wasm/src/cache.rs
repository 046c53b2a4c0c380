//! Compiled components, kept from one run to the next.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rdd_core::{PrivateFileError, remove_old_temporary_files, write_private, write_private_parts};
use ring::hmac;
use ring::rand::SystemRandom;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Changes with the layout of an entry.
const FORMAT: &[u8] = b"rdd compiled component, 1\n";
/// Bytes of the host's key and of an entry's seal.
const SEAL: usize = 32;
/// Entries kept. An update of one backend leaves one entry behind; a
/// developer builds many.
const MAX_ENTRIES: usize = 16;
/// No component compiles to more.
const MAX_ENTRY_BYTES: u64 = 512 * 1024 * 1024;
const EXTENSION: &str = "cwasm";
/// The age at which an entry that is not whole is one that a killed writer
/// left. Several processes may write here at once, each for seconds.
const DRAFT_AGE: Duration = Duration::from_secs(60 * 60);

/// A directory of compiled components that this host made.
///
/// Loading machine code is as dangerous as running a program, so an entry
/// counts only when it carries a seal made with a key that lies in the same
/// directory, which only this user can read or write.
pub struct ComponentCache {
    dir: PathBuf,
    key: hmac::Key,
}

/// Why there is no cache. Components are then compiled at each start.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory cannot be made or read.
    #[error("cannot use {} for compiled components: {source}; give the daemon's user access to it", path.display())]
    Directory {
        /// What could not be made or read.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not ours alone.
    #[error("{} is not used for compiled components: {problem}; remove it, and it is made anew", path.display())]
    NotOurs {
        /// The directory or the key in it.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The system has no randomness.
    #[error("cannot make a key for compiled components: the system gives no random numbers")]
    NoRandomness,
}

impl ComponentCache {
    /// Opens the cache in `dir`, which is made when it is missing.
    pub fn open(dir: &Path) -> Result<Self, CacheError> {
        let failed = |source| CacheError::Directory {
            path: dir.to_owned(),
            source,
        };
        fs::create_dir_all(dir).map_err(failed)?;
        private::directory(dir)?;
        let key_path = dir.join("key");
        let seed = match private::read(&key_path, SEAL as u64) {
            Ok(Some(seed)) if seed.len() == SEAL => seed,
            // A damaged key is no key: what was sealed with it is compiled again.
            Ok(_) => {
                let seed = ring::rand::generate::<[u8; SEAL]>(&SystemRandom::new())
                    .map_err(|_| CacheError::NoRandomness)?
                    .expose()
                    .to_vec();
                write_private(&key_path, &seed)
                    .map_err(|PrivateFileError { source, .. }| failed(source))?;
                seed
            }
            Err(source) => return Err(failed(source)),
        };
        Ok(Self {
            dir: dir.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &seed),
        })
    }

    /// The compiled form of the component with this digest, if this host has
    /// made it for this `engine`. Whatever else lies there is removed.
    pub(crate) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let name = entry_name(engine, digest);
        let path = self.dir.join(&name);
        let problem = match private::read(&path, MAX_ENTRY_BYTES) {
            Ok(None) => return None,
            Ok(Some(entry)) => match self.unseal(&name, &entry) {
                Some(code) => match deserialize(engine, code) {
                    Ok(component) => return Some(component),
                    Err(error) => error.to_string(),
                },
                None => "its seal is not this host's".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        tracing::warn!(path = %path.display(), problem, "discarding a compiled component");
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove a compiled component");
        }
        None
    }

    /// Keeps `component`. A failure costs the next start its speed, no more.
    pub(crate) fn store(&self, engine: &Engine, digest: &str, component: &Component) {
        let name = entry_name(engine, digest);
        let path = self.dir.join(&name);
        let kept = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| {
                let seal = self.seal(&name, &code);
                write_private_parts(&path, &[FORMAT, seal.as_ref(), &code])
                    .map_err(|PrivateFileError { source, .. }| source)
            })
            .and_then(|()| self.prune());
        if let Err(error) = kept {
            tracing::warn!(
                path = %path.display(), %error,
                "cannot keep a compiled component; the next start compiles it again"
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

    /// The machine code in `entry`, when it has this host's seal.
    fn unseal<'a>(&self, name: &str, entry: &'a [u8]) -> Option<Sealed<'a>> {
        let (seal, code) = entry.strip_prefix(FORMAT)?.split_at_checked(SEAL)?;
        let ours = self.seal(name, code);
        // Not a secret comparison: whoever can write here owns the key, too.
        (ours.as_ref() == seal).then_some(Sealed(code))
    }

    /// Removes the oldest entries above the number that is kept, and what
    /// killed writers left.
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

/// Machine code whose seal was found to be this host's.
struct Sealed<'a>(&'a [u8]);

#[allow(
    unsafe_code,
    reason = "there is no safe way to load compiled code, and without it each start takes seconds"
)]
fn deserialize(engine: &Engine, Sealed(code): Sealed<'_>) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime asks that the bytes are what `serialize` gave. They
    // are: `Sealed` is only made by `Cache::unseal`, which has checked a keyed
    // digest over these very bytes (they are in memory, nobody can change
    // them any more) and over the digest of the component and the version
    // and settings of the engine. Only `Cache::store` makes such seals, and
    // the key lies in a directory that nobody but this user can read.
    unsafe { Component::deserialize(engine, code) }
}

/// Names an entry after all that decides what is in it.
fn entry_name(engine: &Engine, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}.{EXTENSION}", hasher.finish())
}

/// What is there, and whether it is this user's alone.
mod private {
    use super::{CacheError, Path, fs, io};

    #[cfg(unix)]
    pub(super) fn directory(dir: &Path) -> Result<(), CacheError> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let failed = |source| CacheError::Directory {
            path: dir.to_owned(),
            source,
        };
        let not_ours = |problem| {
            Err(CacheError::NotOurs {
                path: dir.to_owned(),
                problem,
            })
        };
        let metadata = fs::symlink_metadata(dir).map_err(failed)?;
        if !metadata.is_dir() {
            return not_ours("it is a link");
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return not_ours("it belongs to another user");
        }
        if metadata.mode() & 0o777 == 0o700 {
            return Ok(());
        }
        if metadata.mode() & 0o022 != 0 {
            // What lies there may be anybody's, the key too.
            for entry in fs::read_dir(dir).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if fs::symlink_metadata(&path).map_err(failed)?.is_dir() {
                    return not_ours("others could write to it, and there is a directory in it");
                }
                fs::remove_file(&path).map_err(failed)?;
            }
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)
    }

    /// Elsewhere the user's own profile directory is private by itself.
    #[cfg(not(unix))]
    pub(super) fn directory(_: &Path) -> Result<(), CacheError> {
        Ok(())
    }

    /// A whole ordinary file of at most `max` bytes; `None` when there is none.
    pub(super) fn read(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !metadata.is_file() {
            return Err(io::Error::other("it is not an ordinary file"));
        }
        if metadata.len() > max {
            return Err(io::Error::other(format!("it is larger than {max} bytes")));
        }
        fs::read(path).map(Some)
    }
}
