//! A task that ends before the shutdown ends the daemon.

use crate::instance::TestInstance;

#[tokio::test]
async fn the_daemon_names_a_task_that_ends_and_exits_non_zero() {
    for task in [
        "listener",
        "web-listener",
        "mirror",
        "plugin-reports",
        "discovery",
        "plugin-host",
        "crd-controller",
        "policy-controller",
        "role-controller",
        "tokens",
        "audit-log",
        "namespace-controller",
        "garbage-collector",
        "storage-writer",
    ] {
        for (fault, cause) in [
            ("panic", "it panicked: injected"),
            ("end", "it ended on its own"),
        ] {
            let mut instance = TestInstance::new();
            instance.spawn(&[("RDD_INJECT_FAULT", &format!("{task}={fault}"))]);
            let exited = instance.wait_for_exit().await;
            let log = &exited.log;
            assert_eq!(exited.status.code(), Some(1), "{task} {fault}: {log}");
            // Logged at the time of the failure, and printed as the last line.
            assert!(log.contains("a task of the daemon failed"), "{log}");
            assert!(log.contains(&format!("task=\"{task}\"")), "{log}");
            assert!(
                log.contains(&format!("error: {task} failed: {cause}")),
                "{log}"
            );
            // The shutdown is graceful: the kubeconfig is removed.
            assert!(!instance.state().join("kubeconfig").exists());
            assert!(!log.contains("the shutdown took over"), "{log}");
        }
    }
}
