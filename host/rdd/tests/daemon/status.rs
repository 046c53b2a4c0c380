//! `rdd status` tells a daemon that does not answer from one that is not there.

use rustix::process::Signal;

use crate::instance::Instance;

async fn status(instance: &Instance) -> (Option<i32>, String) {
    let output = instance.rdd(&["status"]).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text)
}

#[tokio::test]
async fn busy_stopped_and_killed_are_told_apart() {
    let mut instance = Instance::new();
    let (code, text) = status(&instance).await;
    assert_eq!(code, Some(3));
    assert!(text.starts_with("not running: "), "{text}");

    instance.start().await;
    let (code, text) = status(&instance).await;
    assert_eq!(code, Some(0), "{text}");

    // A daemon that is held up accepts no connection and answers nobody.
    instance.signal(Signal::STOP);
    let (code, text) = status(&instance).await;
    assert_eq!(code, Some(4));
    assert!(text.starts_with("busy: "), "{text}");

    instance.signal(Signal::KILL);
    instance.ended().await;
    let (code, text) = status(&instance).await;
    assert_eq!(code, Some(3));
    assert!(text.contains("may have been killed"), "{text}");
}
