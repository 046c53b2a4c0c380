//! Whatever part of the state directory remains after a crash, the next start
//! succeeds, or fails with the name of the unusable file.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::instance::{TestInstance, copy};

/// Returns the paths of all files below `dir`, relative to it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in next.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push(path.strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn each_file_may_be_missing_empty_or_truncated() {
    let mut instance = TestInstance::new();
    instance.start().await;
    // As in a crash, the write-ahead log of the database remains.
    instance.signal(Signal::KILL);
    instance.wait_for_exit().await;
    let state = instance.state();
    let original = tempfile::tempdir().unwrap();
    copy(&state, original.path());
    let names = files(original.path());
    for expected in [
        "token",
        "port",
        "kubeconfig",
        "lock",
        "apiserver.db",
        "tls/ca.key",
    ] {
        assert!(names.contains(&PathBuf::from(expected)), "{names:?}");
    }

    for name in names {
        for damage in ["missing", "empty", "truncated"] {
            std::fs::remove_dir_all(&state).unwrap();
            copy(original.path(), &state);
            let path = state.join(&name);
            let content = std::fs::read(&path).unwrap();
            match damage {
                "missing" => std::fs::remove_file(&path).unwrap(),
                "empty" => std::fs::write(&path, "").unwrap(),
                _ => std::fs::write(&path, &content[..content.len() / 2]).unwrap(),
            }
            // A leftover of the killed daemon.
            std::fs::remove_file(state.join("kubeconfig")).ok();
            instance.spawn(&[]);
            let case = format!("{} {damage}", name.display());
            if let Some(exited) = instance.wait_for_ready_or_exit().await {
                assert!(!exited.status.success(), "{case}: {}", exited.log);
                let path = state.join(&name).display().to_string();
                assert!(exited.log.contains(&path), "{case}: {}", exited.log);
                // Only files that clients depend on are not replaced automatically.
                let rejected = ["token truncated", "instance-id empty"];
                assert!(rejected.contains(&case.as_str()), "{case}: {}", exited.log);
                assert!(exited.log.contains("delete it"), "{case}: {}", exited.log);
                continue;
            }
            let version = instance.client().await.apiserver_version().await;
            assert!(version.is_ok(), "{case}: {version:?} {}", instance.log());
            instance.signal(Signal::TERM);
            let exited = instance.wait_for_exit().await;
            assert_eq!(exited.status.code(), Some(0), "{case}: {}", exited.log);
        }
    }
}
