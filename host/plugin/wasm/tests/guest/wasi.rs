//! WASI: what a component gets, and what is denied.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rdd_core::{ContainerEngine as _, ObjectKind, ObjectRef};
use rdd_plugin_contract::{
    BackendInstance as _, BackendLimits, BackendServices, GrantedDirectory, PluginBackend as _,
};
use rdd_plugin_wasm::{BackendHandle, ComponentBackend, ComponentRuntime, LinkedComponent};
use rdd_testkit::{eventually, fixture_component};
use tempfile::TempDir;

use crate::support::{UnreachableTransport, in_time, launch, limits};

static COMPONENT: LazyLock<LinkedComponent> = LazyLock::new(|| {
    let runtime = ComponentRuntime::new(None).unwrap();
    let bytes = std::fs::read(fixture_component("wasi")).unwrap();
    runtime.load(&bytes, "wasi").unwrap()
});

fn backend(limits: BackendLimits, directories: &[(&str, &Path)]) -> ComponentBackend {
    let services = BackendServices {
        directories: directories
            .iter()
            .map(|(name, path)| GrantedDirectory {
                name: (*name).to_owned(),
                path: (*path).to_owned(),
            })
            .collect(),
        ..BackendServices::new(Arc::new(UnreachableTransport))
    };
    ComponentBackend::new("wasi", COMPONENT.clone(), limits, services)
}

/// Returns what WASI answered to a command of the fixture.
async fn run(handle: &BackendHandle, command: &str) -> String {
    let object = ObjectRef::new(ObjectKind::Volume, "default", command);
    in_time(handle.inspect(&object)).await.unwrap().raw
}

/// A directory with files, a link out of it, and a neighbor that was not granted.
struct Tree {
    root: TempDir,
}

impl Tree {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let granted = root.path().join("granted");
        std::fs::create_dir_all(granted.join("empty")).unwrap();
        std::fs::write(granted.join("file"), "content").unwrap();
        std::fs::write(root.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink("file", granted.join("inside")).unwrap();
        std::os::unix::fs::symlink("../secret", granted.join("outside")).unwrap();
        std::os::unix::fs::symlink(root.path().join("secret"), granted.join("absolute")).unwrap();
        std::os::unix::fs::symlink("..", granted.join("parent")).unwrap();
        Self { root }
    }

    fn granted(&self) -> std::path::PathBuf {
        self.root.path().join("granted")
    }

    /// Returns the names in the granted directory.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.granted()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn a_component_gets_clocks_and_random_numbers() {
    let backend = backend(limits(), &[]);
    let handle = launch(&backend).await;
    let seconds: u64 = run(&handle, "clock").await.parse().unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    assert!(seconds.abs_diff(now.as_secs()) < 60, "{seconds}");
    let random = run(&handle, "random").await;
    assert_ne!(random, run(&handle, "random").await);
}

#[tokio::test]
async fn arguments_environment_network_and_files_are_denied() {
    let backend = backend(limits(), &[]);
    let handle = launch(&backend).await;
    assert_eq!(run(&handle, "process").await, "[] []");
    assert_eq!(run(&handle, "directories").await, "");
    // A listener to connect to, so that the denial is not for want of one.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for command in [&format!("tcp {port}"), "udp", "lookup"] {
        let answer = run(&handle, command).await;
        assert!(
            answer.contains("access-denied") || answer.contains("resolver-failure"),
            "{command}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_granted_directory_can_be_read() {
    let tree = Tree::new();
    let backend = backend(limits(), &[("data", &tree.granted())]);
    let handle = launch(&backend).await;
    assert_eq!(run(&handle, "directories").await, "data");
    assert_eq!(run(&handle, "read data file").await, "content");
    assert_eq!(run(&handle, "read data inside").await, "content");
    assert_eq!(run(&handle, "read data ./empty/../file").await, "content");
}

#[tokio::test]
async fn nothing_leads_out_of_a_granted_directory() {
    let tree = Tree::new();
    let backend = backend(limits(), &[("data", &tree.granted())]);
    let handle = launch(&backend).await;
    let absolute = tree.root.path().join("secret");
    for path in [
        "outside",
        "absolute",
        "../secret",
        "parent/secret",
        "empty/../../secret",
        absolute.to_str().unwrap(),
    ] {
        let answer = run(&handle, &format!("read data {path}")).await;
        assert!(answer.contains("not-permitted"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_granted_directory_cannot_be_changed() {
    let tree = Tree::new();
    let backend = backend(limits(), &[("data", &tree.granted())]);
    let handle = launch(&backend).await;
    let before = tree.names();
    for command in [
        "write data file",
        "truncate data file",
        "create data file",
        "create data new",
        "overwrite data file",
        "resize data file",
        "mkdir data new",
        "rmdir data empty",
        "unlink data file",
        "rename data file",
        "link data file",
        "symlink data file",
    ] {
        let answer = run(&handle, command).await;
        assert!(answer.starts_with("error: "), "{command}: {answer}");
    }
    assert_eq!(tree.names(), before);
    let content = std::fs::read_to_string(tree.granted().join("file")).unwrap();
    assert_eq!(content, "content");
}

#[tokio::test]
async fn a_directory_that_is_missing_is_named() {
    let backend = backend(limits(), &[("data", Path::new("/nonexistent/logs"))]);
    let error = backend.launch().await.err().unwrap().to_string();
    assert!(
        error.starts_with(
            "the backend wasi cannot read the directory /nonexistent/logs that it was granted as \"data\": "
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_call_that_blocks_the_instance_ends_it() {
    let limits = BackendLimits {
        stall_timeout: Duration::from_secs(2),
        ..limits()
    };
    let backend = backend(limits, &[]);
    let handle = launch(&backend).await;
    assert_eq!(run(&handle, "block 0").await, "done");
    let object = ObjectRef::new(ObjectKind::Volume, "default", "block 3600");
    let error = in_time(handle.inspect(&object)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("blocked all its calls for 2s in a call of WASI"),
        "{error}"
    );
}

#[tokio::test]
async fn an_instance_that_blocks_can_be_shut_down() {
    let backend = backend(limits(), &[]);
    let handle = launch(&backend).await;
    let object = ObjectRef::new(ObjectKind::Volume, "default", "block 3600");
    let blocked = handle.inspect(&object);
    let shutdown = async {
        eventually("a call runs", async || match handle.usage().calls {
            1 => Ok(()),
            calls => Err(format!("{calls} calls")),
        })
        .await;
        backend.shutdown().await;
    };
    let (result, ()) = in_time(async { tokio::join!(blocked, shutdown) }).await;
    assert!(result.unwrap_err().to_string().contains("was shut down"));
}

#[tokio::test]
async fn an_exit_ends_the_instance_with_a_reason() {
    let backend = backend(limits(), &[]);
    let handle = launch(&backend).await;
    let object = ObjectRef::new(ObjectKind::Volume, "default", "exit");
    let error = in_time(handle.inspect(&object)).await.unwrap_err();
    assert!(
        error.to_string().contains("Exited with i32 exit status 1"),
        "{error}"
    );
}
