//! Bad plugins: copies of the scripted fixture, each with a fault of its own, and a
//! library.

use std::fs;
use std::io;
use std::path::Path;

use crate::plugin_directory::{
    COMPONENT_FILE, component_manifest, renamed_component, replaced, sha256_hex, write_plugin,
};

/// A plugin with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPlugin {
    /// Its name, which selects the fault in the fixture.
    pub name: &'static str,
    /// When it shows its fault.
    pub trigger: FaultEvent,
}

/// What a plugin shows its fault at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultEvent {
    /// It cannot be loaded.
    Load,
    /// Somebody reads its watch.
    Watch,
    /// Somebody reads a listing and then closes the watch.
    CloseWatch,
}

use FaultEvent::{CloseWatch, Load, Watch};

/// All bad plugins.
pub const BAD_PLUGINS: [BadPlugin; 16] = [
    bad("bad-trap", Watch),
    bad("bad-spin", Watch),
    bad("bad-naps", Watch),
    bad("bad-eats", Watch),
    bad("bad-hold", Watch),
    bad("bad-leak", Watch),
    bad("bad-lies", Watch),
    bad("bad-init", Watch),
    bad("bad-stop", CloseWatch),
    bad("bad-vers", Load),
    bad("bad-half", Load),
    bad("bad-size", Load),
    bad("bad-late", Watch),
    bad("bad-rush", Watch),
    bad("bad-post", CloseWatch),
    bad("bad-clib", Load),
];

const fn bad(name: &'static str, trigger: FaultEvent) -> BadPlugin {
    BadPlugin { name, trigger }
}

impl BadPlugin {
    /// The flags for [`compile_fixture_library`](crate::compile_fixture_library), if
    /// it is a library: its table has a size that cannot be right.
    pub fn library_flags(&self) -> Option<&'static [&'static str]> {
        (self.name == "bad-clib").then_some(&["-DFAULT_SIZE=0xdeadbeef"])
    }

    /// Writes the plugin to a directory in `dir`, unless it is a library. `fixture`
    /// is the scripted one.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be written.
    pub fn write_component(&self, dir: &Path, fixture: &[u8]) -> io::Result<()> {
        let mut component = renamed_component(fixture, self.name);
        match self.name {
            "bad-vers" => component = replaced(&component, b"@0.1.0", b"@0.9.0"),
            "bad-half" => component.truncate(component.len() / 2),
            _ => {}
        }
        let manifest = component_manifest(self.name, &sha256_hex(&component));
        let path = write_plugin(dir, self.name, &manifest, &component)?;
        if self.name == "bad-size" {
            let file = fs::OpenOptions::new()
                .write(true)
                .open(path.join(COMPONENT_FILE))?;
            // A byte more than is allowed, of which the disk stores nothing.
            file.set_len((64 << 20) + 1)?;
        }
        Ok(())
    }
}
