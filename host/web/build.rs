//! Compresses the built files of the page once, and writes the table of them that
//! the crate includes. The files are built from `ui` and are checked in, so that
//! this build needs no Node.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a build script fails by panicking, and speaks to cargo on its output"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// The built files, in the order of the table.
const DIST: &str = "dist";

fn main() {
    println!("cargo::rerun-if-changed={DIST}");
    let out = std::env::var_os("OUT_DIR").unwrap();
    let out = Path::new(&out);
    let mut names: Vec<String> = Path::new(DIST)
        .read_dir()
        .unwrap_or_else(|error| panic!("{DIST}: {error}; run 'scripts/page build'"))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut table = String::from("[\n");
    for name in names {
        println!("cargo::rerun-if-changed={DIST}/{name}");
        let content = std::fs::read(Path::new(DIST).join(&name)).unwrap();
        let compressed = out.join(format!("{name}.gz"));
        std::fs::write(&compressed, gzip(&content)).unwrap();
        let digest = Sha256::digest(&content);
        let tag = digest[..12].iter().fold(String::new(), |mut tag, byte| {
            write!(tag, "{byte:02x}").unwrap();
            tag
        });
        writeln!(
            table,
            "PageFile {{ name: {name:?}, entity_tag: \"\\\"{tag}\\\"\", size: {}, gzip: include_bytes!({compressed:?}) }},",
            content.len(),
        )
        .unwrap();
    }
    table.push(']');
    std::fs::write(out.join("files.rs"), table).unwrap();
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
