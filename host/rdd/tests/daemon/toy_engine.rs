//! `rdd plugin toy-engine`, and what `rdd plugin test` rejects before it runs a
//! case.

use std::process::Stdio;
use std::time::Duration;

use rdd_testkit::{PATIENCE, eventually};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::instance::TestInstance;

#[tokio::test]
async fn the_toy_engine_runs_demo_containers_until_it_is_terminated() {
    let instance = TestInstance::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("toy.sock");
    let url = format!("unix://{}", path.display());
    let mut child = instance
        .rdd(&["plugin", "toy-engine", "--listen", &url])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stream = eventually("a connection", || async {
        UnixStream::connect(&path)
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    stream.write_all(b"list\n\n").await.unwrap();
    let mut list = String::new();
    stream.read_to_string(&mut list).await.unwrap();
    assert!(list.starts_with("ok\n") && list.ends_with("\n\ndone\n"));
    // Both namespaces have a container with this ID.
    assert_eq!(list.matches("\nid\tweb\n").count(), 2, "{list}");
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert!(status.success() && !path.exists(), "{status}");
}

#[tokio::test]
async fn a_plugin_that_cannot_be_tested_is_an_error_that_names_it() {
    let instance = TestInstance::new();
    let dir = tempfile::tempdir().unwrap();
    let without_manifest = dir.path().join("toy");
    std::fs::create_dir(&without_manifest).unwrap();
    for (arguments, cause) in [
        (vec!["/nonexist/toy.wasm"], "/nonexist/toy.wasm"),
        (vec!["/nonexist/toy.wasm", "--engine", "ftp://x"], "ftp"),
        (vec![without_manifest.to_str().unwrap()], "plugin.toml"),
    ] {
        let mut arguments = arguments;
        arguments.splice(0..0, ["plugin", "test"]);
        let output = instance.rdd(&arguments).output();
        let output = timeout(Duration::from_secs(30), output).await;
        let output = output.unwrap().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.starts_with("error: ") && error.contains(cause),
            "{error}"
        );
    }
}
