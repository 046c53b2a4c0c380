//! The contract in `wit/`, as Rust: generated, and generated nowhere else.
#![allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    unsafe_code,
    reason = "generated code: its shape and its unsafe lowering are wit-bindgen's"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "backend",
    pub_export_macro: true,
    default_bindings_module: "rdd_sdk::bindings",
    runtime_path: "::rdd_sdk::wit_bindgen::rt",
    additional_derives: [PartialEq, Eq],
});
