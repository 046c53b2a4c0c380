//! The Rust bindings of the contract in `wit/`, generated only here. The files
//! are this package's copy of the contract; `cargo xtask wit` makes it.
#![allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    unsafe_code,
    reason = "generated code: wit-bindgen determines its shape and its unsafe lowering"
)]

wit_bindgen::generate!({
    path: "wit",
    world: "backend",
    pub_export_macro: true,
    default_bindings_module: "rdd_sdk::bindings",
    runtime_path: "::rdd_sdk::wit_bindgen::rt",
    additional_derives: [PartialEq, Eq],
});
