//! A part that ends without being told to ends the daemon.

use crate::instance::Instance;

#[tokio::test]
async fn whichever_task_ends_the_daemon_names_it_and_ends_non_zero() {
    for task in [
        "listener",
        "mirror",
        "plugin-reports",
        "discovery",
        "plugin-host",
        "crd-controller",
        "namespace-controller",
        "garbage-collector",
        "storage-writer",
    ] {
        for (fault, cause) in [
            ("panic", "it panicked: injected"),
            ("end", "it ended on its own"),
        ] {
            let mut instance = Instance::new();
            instance.spawn(&[("RDD_INJECT_FAULT", &format!("{task}={fault}"))]);
            let ended = instance.ended().await;
            let log = &ended.log;
            assert_eq!(ended.status.code(), Some(1), "{task} {fault}: {log}");
            // In the log as it happens, and as the last word.
            assert!(log.contains("a part of the daemon failed"), "{log}");
            assert!(log.contains(&format!("task=\"{task}\"")), "{log}");
            assert!(
                log.contains(&format!("error: {task} failed: {cause}")),
                "{log}"
            );
            // In order: nobody is told any more that the daemon is there.
            assert!(!instance.state().join("kubeconfig").exists());
            assert!(!log.contains("the shutdown took over"), "{log}");
        }
    }
}
