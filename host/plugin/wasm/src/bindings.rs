//! Bindings of version 0.1.0 of the contract, generated from its released files.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::let_underscore_must_use,
    reason = "generated code; the WIT files carry the documentation"
)]

wasmtime::component::bindgen!({
    path: "../../../wit/0.1.0",
    world: "backend",
    imports: {
        // Too many timers cause a trap, since `sleep` returns no error.
        "rancher-desktop:engine/host.sleep": async | store | trappable,
        "rancher-desktop:engine/host.random": trappable,
        "rancher-desktop:engine/transport.connect": async | store | trappable,
        "rancher-desktop:engine/registry.get-credentials": async | store | trappable,
    },
    exports: {
        // A backend that spins in `describe` must yield to the watchdog, too.
        "rancher-desktop:engine/engine.describe": async,
    },
});

pub use exports::rancher_desktop::engine::{engine, images, lifecycle, logs, processes};
pub use rancher_desktop::engine::{host, registry, transport, types};
