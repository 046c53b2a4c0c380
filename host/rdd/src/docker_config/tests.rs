//! Tests of the user's credentials.

use std::path::Path;

use super::*;

fn password(username: &str, password: &str) -> RegistryCredentials {
    RegistryCredentials::Password {
        username: username.to_owned(),
        password: password.to_owned(),
    }
}

fn store(config: &str) -> (tempfile::TempDir, DockerCredentialStore) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(CONFIG_FILE), config).unwrap();
    let store = DockerCredentialStore::new(Some(dir.path().to_owned()));
    (dir, store)
}

async fn query(config: &str, registry: &str) -> Result<Option<RegistryCredentials>, String> {
    let (_dir, store) = store(config);
    let found = store.credentials(registry).await;
    found.map_err(|error| error.message)
}

#[tokio::test]
async fn credentials_are_found_by_registry_in_each_form() {
    // me:word
    let config = r#"{
        "auths": {
            "r.example": {"auth": "bWU6d29yZA=="},
            "https://index.docker.io/v1/": {"username": "hub", "password": "x"},
            "https://Old.example/v1/": {"auth": "bWU6d29yZA=="},
            "token.example": {"auth": "bWU6", "identitytoken": "identity"},
            "bearer.example": {"registrytoken": "bearer"},
            "empty.example": {}
        },
        "credHelpers": {},
        "HttpHeaders": {"X": "y"}
    }"#;
    for (registry, expected) in [
        ("r.example", Some(password("me", "word"))),
        ("docker.io", Some(password("hub", "x"))),
        ("old.example", Some(password("me", "word"))),
        (
            "token.example",
            Some(RegistryCredentials::IdentityToken("identity".to_owned())),
        ),
        (
            "bearer.example",
            Some(RegistryCredentials::RegistryToken("bearer".to_owned())),
        ),
        ("empty.example", None),
        ("r.example:5000", None),
        ("example", None),
    ] {
        assert_eq!(
            query(config, registry).await.unwrap(),
            expected,
            "{registry}"
        );
    }
}

#[tokio::test]
async fn without_a_file_there_are_no_credentials() {
    let dir = tempfile::tempdir().unwrap();
    for config_dir in [None, Some(dir.path().join("missing"))] {
        let store = DockerCredentialStore::new(config_dir);
        assert_eq!(store.credentials("r.example").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_damaged_file_is_an_error_without_its_content() {
    for config in [
        r#"{"auths": {"r.example": {"auth": "hunter2"}}}"#,
        r#"{"auths": {"r.example": {"auth": "aHVudGVyMg=="}}}"#,
        r#"{"auths": {"r.example": {"password": "hunter2""#,
        r#"{"auths": "hunter2"}"#,
    ] {
        let error = query(config, "r.example").await.unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(error.contains("config.json"), "{error}");
    }
}

/// Installs a helper on `PATH`. Its name is unique, since tests share `PATH`.
fn helper(dir: &Path, name: &str, script: &str) -> CredentialHelper {
    let path = dir.join(format!("docker-credential-{name}"));
    // By another process: a child of a test that runs at the same time would inherit
    // the file while it is written, and what is open for writing cannot be executed.
    let write = r##"printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod 755 "$1""##;
    let written = std::process::Command::new("sh")
        .args(["-c", write, "sh"])
        .args([path.as_os_str(), script.as_ref()])
        .status();
    assert!(written.unwrap().success());
    let mut helper = CredentialHelper::new(name, Duration::from_secs(30)).unwrap();
    helper.set_program(&path);
    helper
}

#[tokio::test]
async fn a_helper_gets_the_server_and_returns_a_password_or_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let echo = helper(
        dir.path(),
        "echo",
        r#"[ "$1" = get ] || exit 9; printf '{"ServerURL":"x","Username":"%s","Secret":"s"}' "$(cat)""#,
    );
    assert_eq!(
        echo.get("r.example").await.unwrap(),
        Some(password("r.example", "s"))
    );
    let token = helper(
        dir.path(),
        "token",
        r#"cat >&2; echo '{"Username":"<token>","Secret":"t"}'"#,
    );
    let expected = RegistryCredentials::IdentityToken("t".to_owned());
    assert_eq!(token.get("r.example").await.unwrap(), Some(expected));
    let none = helper(
        dir.path(),
        "none",
        &format!("echo '{NOT_FOUND_TEXT}'; exit 1"),
    );
    assert_eq!(none.get("r.example").await.unwrap(), None);
}

/// As helpers print it.
const NOT_FOUND_TEXT: &str = "credentials not found in native keychain";

#[tokio::test]
async fn a_helper_that_fails_is_named_without_its_output() {
    let dir = tempfile::tempdir().unwrap();
    for (name, script) in [
        ("fails", "echo hunter2; exit 2"),
        ("prints", "echo hunter2"),
        ("floods", "yes hunter2"),
    ] {
        let error = helper(dir.path(), name, script)
            .get("r.example")
            .await
            .unwrap_err();
        assert!(error.message.contains(name), "{error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_helper_that_hangs_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let mut hanging = helper(
        dir.path(),
        "hangs",
        &format!("echo $$ >{}; exec sleep 1000", pid_file.display()),
    );
    let mut timeout = Duration::from_millis(500);
    let pid = loop {
        hanging.set_timeout(timeout);
        let error = hanging.get("r.example").await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Timeout);
        match std::fs::read_to_string(&pid_file) {
            Ok(pid) if !pid.is_empty() => break pid,
            // Killed before it had begun
            _ => timeout *= 2,
        }
    };
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rdd_testkit::eventually("the helper is gone", || async {
        match rustix::process::test_kill_process(pid) {
            Ok(()) => Err("it still runs".to_owned()),
            Err(_) => Ok(()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_helper_is_selected_for_a_registry_or_for_all() {
    let registry_of = |config: &'static str, registry: &'static str| async move {
        // None of the helpers exists; the message names the selected one.
        query(config, registry).await
    };
    let config = r#"{"credsStore": "rdd-all", "credHelpers": {"r.example": "rdd-one"}}"#;
    let error = registry_of(config, "r.example").await.unwrap_err();
    assert!(error.contains("docker-credential-rdd-one"), "{error}");
    let error = registry_of(config, "other.example").await.unwrap_err();
    assert!(error.contains("docker-credential-rdd-all"), "{error}");
    let path = r#"{"credsStore": "../../bin/sh"}"#;
    let error = registry_of(path, "r.example").await.unwrap_err();
    assert!(
        error.contains("is not the name of a credential helper"),
        "{error}"
    );
}
