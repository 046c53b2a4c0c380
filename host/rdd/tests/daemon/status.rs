//! `rdd status` distinguishes a daemon that does not respond from one that is not
//! running.

use rustix::process::Signal;

use crate::instance::TestInstance;

async fn status(instance: &TestInstance) -> (Option<i32>, String) {
    let output = instance.rdd(&["status"]).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text)
}

#[tokio::test]
async fn busy_stopped_and_killed_daemons_are_distinguished() {
    let mut instance = TestInstance::new();
    let (code, text) = status(&instance).await;
    assert_eq!(code, Some(3));
    assert!(text.starts_with("not running: "), "{text}");

    instance.start().await;
    let (code, text) = status(&instance).await;
    assert_eq!(code, Some(0), "{text}");

    // A suspended daemon accepts no connection and sends no response.
    instance.signal(Signal::STOP);
    let (code, text) = status(&instance).await;
    assert_eq!(code, Some(4));
    assert!(text.starts_with("busy: "), "{text}");

    instance.signal(Signal::KILL);
    instance.wait_for_exit().await;
    let (code, text) = status(&instance).await;
    assert_eq!(code, Some(3));
    assert!(text.contains("may have been killed"), "{text}");
}
