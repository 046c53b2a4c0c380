//! Whatever a crash leaves of the state directory, the next start is ready, or
//! ends with the name of what it cannot use.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::instance::{Instance, copy};

/// Every file below `dir`, relative to it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(next) = left.pop() {
        for entry in next.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path.strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn each_file_may_be_missing_empty_or_cut_off() {
    let mut instance = Instance::new();
    instance.start().await;
    // As in a crash: the database's log of recent writes is there.
    instance.signal(Signal::KILL);
    instance.ended().await;
    let state = instance.state();
    let whole = tempfile::tempdir().unwrap();
    copy(&state, whole.path());
    let names = files(whole.path());
    for wanted in [
        "token",
        "port",
        "kubeconfig",
        "lock",
        "apiserver.db",
        "tls/ca.key",
    ] {
        assert!(names.contains(&PathBuf::from(wanted)), "{names:?}");
    }

    for name in names {
        for damage in ["missing", "empty", "cut off"] {
            std::fs::remove_dir_all(&state).unwrap();
            copy(whole.path(), &state);
            let path = state.join(&name);
            let content = std::fs::read(&path).unwrap();
            match damage {
                "missing" => std::fs::remove_file(&path).unwrap(),
                "empty" => std::fs::write(&path, "").unwrap(),
                _ => std::fs::write(&path, &content[..content.len() / 2]).unwrap(),
            }
            // Of a daemon that was killed: it says nothing about the next one.
            std::fs::remove_file(state.join("kubeconfig")).ok();
            instance.spawn(&[]);
            let case = format!("{} {damage}", name.display());
            if let Some(ended) = instance.ready_or_ended().await {
                assert!(!ended.status.success(), "{case}: {}", ended.log);
                let named = state.join(&name).display().to_string();
                assert!(ended.log.contains(&named), "{case}: {}", ended.log);
                // Only what others go by is not replaced without being asked.
                let refused = ["token cut off", "instance-id empty"];
                assert!(refused.contains(&case.as_str()), "{case}: {}", ended.log);
                assert!(ended.log.contains("delete it"), "{case}: {}", ended.log);
                continue;
            }
            let version = instance.client().await.apiserver_version().await;
            assert!(version.is_ok(), "{case}: {version:?} {}", instance.log());
            instance.signal(Signal::TERM);
            let ended = instance.ended().await;
            assert_eq!(ended.status.code(), Some(0), "{case}: {}", ended.log);
        }
    }
}
