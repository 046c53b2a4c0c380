//! The daemon's log of the page, in a process of its own: what other tests log before
//! there is a subscriber is never seen by one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::TestPage;

#[tokio::test]
async fn neither_code_nor_token_is_logged() {
    let captured = rdd_testkit::CapturedLog::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let page = TestPage::start().await;
    let code = page.create_code();
    let body = format!(r#"{{"code":"{code}"}}"#);
    let response = page.post("/ui/session", "", &body).await;
    let token = response.json()["token"].as_str().unwrap().to_owned();
    page.get("/apis/x", &format!("authorization: Bearer {token}\r\n"))
        .await;
    page.post("/ui/session", "", &body).await;
    let log = captured.text();
    assert!(
        log.contains("signed in") && log.contains("a sign-in to the page failed"),
        "{log}"
    );
    assert!(!log.contains(&code) && !log.contains(&token), "{log}");
}
