//! The web page of a daemon, and `rdd dashboard`.

use rdd_testkit::PATIENCE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::instance::TestInstance;

/// Runs a command and returns its exit code, its output, and its errors.
async fn run(instance: &TestInstance, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = instance.rdd(arguments).output().await.unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Sends a request to the page's listener, and returns the response.
async fn send(address: &str, method: &str, path: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn a_link_begins_a_session_that_a_revocation_ends() {
    let mut instance = TestInstance::new();
    instance.start().await;
    let (code, link, errors) = run(&instance, &["dashboard", "--print"]).await;
    assert_eq!(code, Some(0), "{errors}");
    let (address, code) = link.trim().split_once("/#code=").unwrap();
    let address = address.strip_prefix("http://").unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{link}");

    let body = format!(r#"{{"code":"{code}"}}"#);
    let response = send(address, "POST", "/ui/session", "", &body).await;
    assert!(response.starts_with("HTTP/1.1 201 "), "{response}");
    let (_, token) = response.split_once(r#""token":""#).unwrap();
    let (token, _) = token.split_once('"').unwrap();
    let bearer = format!("authorization: Bearer {token}\r\n");
    let path = "/apis/containers.rancherdesktop.io/v1alpha1/containers";
    let response = send(address, "GET", path, &bearer, "").await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");

    // A watch ends with its session, without waiting for the next event.
    let watch = format!("GET {path}?watch=true HTTP/1.1\r\nhost: {address}\r\n{bearer}\r\n");
    let mut watching = TcpStream::connect(address).await.unwrap();
    watching.write_all(watch.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    watching.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let (code, _, errors) = run(&instance, &["dashboard", "--revoke"]).await;
    assert_eq!(code, Some(0), "{errors}");
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, watching.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the watch goes on");
    let response = send(address, "GET", path, &bearer, "").await;
    assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
    let log = instance.log();
    assert!(!log.contains(token) && !log.contains(&body), "{log}");
}

#[tokio::test]
async fn a_daemon_without_a_page_says_so() {
    let mut instance = TestInstance::new();
    instance.spawn(&[("RDD_NO_WEB", "true")]);
    assert!(instance.wait_for_ready_or_exit().await.is_none());
    let (code, _, errors) = run(&instance, &["dashboard", "--print"]).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("--no-web"), "{errors}");
}

#[tokio::test]
async fn the_page_is_served_on_the_loopback_interface_alone() {
    let instance = TestInstance::new();
    let (code, _, errors) = run(&instance, &["serve", "--web", "0.0.0.0:0"]).await;
    assert_eq!(code, Some(2));
    assert!(
        errors.contains("loopback") && errors.contains("--web"),
        "{errors}"
    );
}
