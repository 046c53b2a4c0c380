//! `rdd token`: what tokens may do, and how they end.

use rdd_testkit::{PATIENCE, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::instance::TestInstance;

const CONTAINERS: &str = "/apis/containers.rancherdesktop.io/v1alpha1/containers";
const SECRETS: &str = "/api/v1/secrets";
const LOGS: &str = "/passthrough/engine/logs";
const EXEC: &str = "/passthrough/engine/exec/abc";

/// Runs a command and returns its exit code, its output, and its errors.
async fn run(instance: &TestInstance, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = instance.rdd(arguments).output().await.unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Creates a token and returns it.
async fn create(instance: &TestInstance, arguments: &[&str]) -> String {
    let arguments = [&["token", "create"], arguments].concat();
    let (code, token, errors) = run(instance, &arguments).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(!errors.contains(token.trim()), "{errors}");
    token.trim().to_owned()
}

/// Sends a request and returns the status code.
async fn status(instance: &TestInstance, token: &str, path: &str, headers: &str) -> u16 {
    let mut stream = instance.connect().await;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{headers}connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    let head = std::str::from_utf8(&head).unwrap();
    head.strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_token_may_do_what_its_role_says() {
    let mut instance = TestInstance::new();
    instance.start().await;
    let viewer = create(&instance, &["--role", "viewer", "--name", "viewer"]).await;
    let logs = create(&instance, &["--role", "logs"]).await;
    let admin = create(&instance, &["--role", "admin"]).await;
    let owner = instance.token();
    for (path, tokens) in [
        (CONTAINERS, [true, true, true, true]),
        ("/metrics", [true, true, true, true]),
        (SECRETS, [false, false, true, true]),
        (LOGS, [false, true, true, true]),
        (EXEC, [false, false, true, true]),
    ] {
        for (token, allowed) in [&viewer, &logs, &admin, &owner].into_iter().zip(tokens) {
            let status = status(&instance, token, path, "").await;
            assert_eq!(status != 403, allowed, "{path}: {status}");
            assert_ne!(status, 401, "{path}");
        }
    }
    // Beside the Kubernetes API, nobody acts as somebody else.
    let as_bob = "impersonate-user: bob\r\n";
    assert_eq!(status(&instance, &owner, LOGS, as_bob).await, 403);
    assert_eq!(status(&instance, &owner, CONTAINERS, as_bob).await, 403);

    let (code, list, errors) = run(&instance, &["token", "list"]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(list.contains("viewer") && list.contains("never"), "{list}");
    for token in [&viewer, &logs, &admin] {
        assert!(!list.contains(token), "{list}");
        assert!(!instance.log().contains(token));
    }
    let again = ["token", "create", "--role", "logs", "--name", "viewer"];
    let (code, _, errors) = run(&instance, &again).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("rdd token revoke viewer"), "{errors}");
}

#[tokio::test]
async fn a_revocation_ends_what_the_token_opened() {
    let mut instance = TestInstance::new();
    instance.start().await;
    let token = create(&instance, &["--role", "viewer", "--name", "ci"]).await;
    let mut watching = instance.connect().await;
    let watch = format!(
        "GET {CONTAINERS}?watch=true HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    watching.write_all(watch.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    watching.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let (code, _, errors) = run(&instance, &["token", "revoke", "ci"]).await;
    assert_eq!(code, Some(0), "{errors}");
    // At once: the command waits until the token has ended.
    assert_eq!(status(&instance, &token, CONTAINERS, "").await, 401);
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, watching.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the watch goes on");
    let (code, _, errors) = run(&instance, &["token", "revoke", "ci"]).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("no token named"), "{errors}");
}

#[tokio::test]
async fn a_token_outlives_the_daemon_and_expires() {
    let mut instance = TestInstance::new();
    instance.start().await;
    let lasting = create(&instance, &["--role", "viewer"]).await;
    let brief = create(
        &instance,
        &["--role", "viewer", "--name", "brief", "--ttl", "10s"],
    )
    .await;
    eventually("the token expires", || async {
        match status(&instance, &brief, CONTAINERS, "").await {
            401 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    eventually("its record is removed", || async {
        let (_, list, _) = run(&instance, &["token", "list"]).await;
        match list.contains("brief") {
            true => Err(list),
            false => Ok(()),
        }
    })
    .await;
    instance.signal(rustix::process::Signal::TERM);
    instance.wait_for_exit().await;
    instance.start().await;
    assert_eq!(status(&instance, &lasting, CONTAINERS, "").await, 200);
}

#[tokio::test]
async fn the_audit_log_is_written_and_has_no_token() {
    let mut instance = TestInstance::new();
    let file = instance.state().with_file_name("audit.log");
    instance.spawn(&[
        ("RDD_AUDIT_LOG", file.to_str().unwrap()),
        ("RDD_AUDIT_LEVEL", "request"),
    ]);
    assert!(instance.wait_for_ready_or_exit().await.is_none());
    let token = create(&instance, &["--role", "viewer", "--name", "ci"]).await;
    assert_eq!(status(&instance, &token, SECRETS, "").await, 403);
    instance.signal(rustix::process::Signal::TERM);
    instance.wait_for_exit().await;
    let text = std::fs::read_to_string(&file).unwrap();
    let mut lines = text.lines();
    assert!(
        lines.any(|line| line.contains("rdd:token:ci") && line.contains(r#""code":403"#)),
        "{text}"
    );
    assert!(!text.contains(&token));
}
