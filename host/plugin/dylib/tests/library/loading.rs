//! Which libraries are refused, and with which message.

use std::path::Path;
use std::time::Duration;

use rdd_core::{Capabilities, ContainerEngine as _, IdFormat};
use rdd_plugin_contract::PluginBackend as _;
use rdd_plugin_dylib::{BackendLibrary, LibraryBackend};

use crate::support::{NoEngine, backend_with, finish, fixture, impatient, launched, limits};

#[tokio::test]
async fn a_library_describes_itself() {
    let (backend, handle) = launched(limits()).await;
    let info = handle.info();
    assert_eq!(info.name, "c-library");
    assert_eq!(info.id_format, IdFormat::Identifier(64));
    assert_eq!(info.capabilities, Capabilities::ALL);
    finish(backend, handle).await;
}

#[test]
fn a_library_that_does_not_fit_is_refused_with_the_reason() {
    for (flags, expected) in [
        (
            &["-DFAULT_SYMBOL"][..],
            "does not export rdd_backend_library, so it is not a backend",
        ),
        (
            &["-DFAULT_NULL"],
            "rdd_backend_library returned no rdd_library",
        ),
        (
            &["-DVERSION_MAJOR=0", "-DVERSION_MINOR=2"],
            "uses version 0.2 of the C ABI, and this daemon supports 0.1; upgrade the daemon",
        ),
        (
            &["-DVERSION_MAJOR=1", "-DVERSION_MINOR=0"],
            "uses version 1.0 of the C ABI, and this daemon supports 0.1; upgrade the daemon",
        ),
        (
            &["-DVERSION_MAJOR=0", "-DVERSION_MINOR=0"],
            "uses version 0.0 of the C ABI, and this daemon supports 0.1; install a newer version of the plugin",
        ),
        (
            &["-DFAULT_SIZE=64"],
            "an rdd_library of 64 bytes; this version of the ABI has 136",
        ),
        (&["-DFAULT_SIZE=8"], "an rdd_library of 8 bytes"),
        (
            &["-DFAULT_SIZE=0xdeadbeef"],
            "an rdd_library whose size is 3735928559, which cannot be right",
        ),
        (&["-DFAULT_NO_INSPECT"], "an rdd_library without inspect"),
    ] {
        let error = BackendLibrary::load(&fixture(flags))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{flags:?}: {error}");
    }
}

#[test]
fn a_file_that_is_no_library_is_refused() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-library.so");
    std::fs::write(&file, "no library").unwrap();
    let error = BackendLibrary::load(&file).unwrap_err();
    assert!(error.to_string().contains("no-library.so"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_library_that_fails_to_start_is_refused_with_the_reason() {
    for (flags, expected) in [
        ("-DFAULT_DESCRIBE_JSON", "not a valid backend-info: EOF"),
        (
            "-DFAULT_DESCRIBE_NULL",
            "describe returned a NULL pointer with the length 10 for its backend-info",
        ),
        ("-DFAULT_DESCRIBE_UTF8", "not UTF-8 at its byte 9"),
        (
            "-DFAULT_DESCRIBE_ERROR",
            "cannot describe itself: there is no description",
        ),
        (
            "-DFAULT_NO_EXEC",
            "describe returned the capability exec, but the function exec is NULL",
        ),
        ("-DFAULT_CREATE_PANIC", "panicked: index out of bounds"),
    ] {
        let backend = backend_with(&[flags], limits(), NoEngine);
        let error = backend.launch().await.err().unwrap().to_string();
        assert!(error.contains(expected), "{flags}: {error}");
        backend.shutdown().await;
    }
}

#[tokio::test]
async fn a_name_that_is_not_the_manifest_s_is_refused() {
    let library = BackendLibrary::load(&fixture(&[])).unwrap();
    let services = rdd_plugin_contract::BackendServices::new(std::sync::Arc::new(NoEngine));
    let backend = LibraryBackend::new("other", library, limits(), services);
    let error = backend.launch().await.err().unwrap().to_string();
    assert!(error.contains("reports the name \"c-library\""), "{error}");
}

#[tokio::test]
async fn a_description_that_takes_forever_is_given_up() {
    let backend = backend_with(&["-DFAULT_DESCRIBE_BLOCKS"], impatient(), NoEngine);
    let launched = tokio::time::timeout(Duration::from_secs(20), backend.launch());
    let error = launched.await.unwrap().err().unwrap().to_string();
    assert!(
        error.contains("did not finish describe within 3s"),
        "{error}"
    );
    assert_eq!(backend.abandoned_threads(), 1);
}
