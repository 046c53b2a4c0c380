//! Fault injection: failures of the engine, the backend, the API, and the
//! daemon.

use std::time::Duration;

use rdd_testkit::EngineOperation;

use super::ModelRun;

/// Faults that last until they are cleared.
#[derive(Default)]
pub(super) struct ActiveFaults {
    offline: bool,
    crashed: bool,
    /// Whether the daemon is stopped.
    pub(super) down: bool,
}

impl ModelRun {
    /// Injects one fault. Faults that can lose events are limited to bursts
    /// that allow it.
    pub(super) async fn inject_fault(&mut self) {
        let kinds = if self.may_lose_events { 14 } else { 7 };
        match self.rng.u8(..kinds) {
            0 => {
                self.note("events are held");
                self.engine.hold_events();
            }
            1 => {
                self.note("events are released");
                self.engine.release_events();
            }
            2 => {
                self.note("the backend lists again");
                self.engine.reinit();
            }
            3 => {
                if self.rng.bool() {
                    self.note("the API fails");
                    self.mirror.faults.fail(30, self.rng.u64(..));
                } else {
                    self.note("the API is slow");
                    self.mirror.faults.slow_down(self.rng.u64(..));
                }
            }
            4 => {
                self.note("the API expires its watches");
                self.mirror.faults.expire_watches(2);
            }
            5 => {
                self.note("the backend panics");
                self.engine.panic_next(EngineOperation::Act);
                self.engine.panic_next(EngineOperation::Remove);
            }
            6 => {
                self.note("actions are slow");
                let delay = Duration::from_millis(self.rng.u64(..30));
                self.engine.delay(EngineOperation::Act, None, delay);
            }
            7 | 8 => {
                self.note("the event stream is cut");
                self.engine.cut_watches();
            }
            9 => {
                self.active_faults.offline = !self.active_faults.offline;
                self.note(format!(
                    "the engine is offline: {}",
                    self.active_faults.offline
                ));
                if self.active_faults.offline {
                    self.engine.go_offline("connection refused");
                } else {
                    self.engine.go_online();
                }
            }
            10 => {
                self.active_faults.crashed = !self.active_faults.crashed;
                self.note(format!(
                    "the plugin is down: {}",
                    self.active_faults.crashed
                ));
                if self.active_faults.crashed {
                    self.mirror.backends.crash("moby", "it trapped");
                } else {
                    self.mirror.backends.load(self.engine.clone());
                }
            }
            11 => {
                self.mirror.tasks.shutdown().await;
                self.start();
            }
            12 if self.resyncs => {
                self.note("held events are lost");
                self.engine.drop_held_events();
            }
            13 => {
                self.app_is_stopped = !self.app_is_stopped;
                self.note(format!("the App is stopped: {}", self.app_is_stopped));
                self.all_may_be_recreated();
                self.may_repeat_actions();
                self.set_app_running(!self.app_is_stopped).await;
            }
            _ => {}
        }
    }

    /// Clears all faults of both instances.
    pub(super) async fn clear_faults(&mut self) {
        for _ in 0..2 {
            self.clear_instance_faults();
            self.swap_instances();
        }
        if self.active_faults.down {
            self.swap_instances();
        }
        if self.active_faults.down {
            self.start();
        }
        if self.prerequisite_is_deleted {
            // A mirror that was labeled as another backend's is released only
            // by its own instance.
            self.swap_instances();
            if self.active_faults.down {
                self.start();
            }
        }
        self.restore_prerequisites().await;
        if std::mem::take(&mut self.app_is_stopped) {
            self.set_app_running(true).await;
        }
        // The active instance is running now. The other one is restarted before
        // or after a takeover.
        self.swap_instances();
        if self.active_faults.down {
            let max_action_calls = self.max_action_calls.clone();
            self.swap_instances();
            let wait_for_takeover = self.rng.bool();
            if wait_for_takeover {
                self.wait_for_takeover().await;
            }
            self.swap_instances();
            self.start();
            if wait_for_takeover {
                // It no longer owns the actions that it had claimed.
                self.max_action_calls = max_action_calls;
            }
        }
        self.note("all faults are cleared");
    }

    /// Clears the faults of the active engine and of the active instance's API
    /// client.
    fn clear_instance_faults(&mut self) {
        self.engine.release_events();
        self.engine.go_online();
        self.engine.clear_failures(EngineOperation::Act, None);
        self.engine.clear_failures(EngineOperation::Remove, None);
        self.engine
            .delay(EngineOperation::Act, None, Duration::ZERO);
        self.mirror.faults.clear();
        if std::mem::take(&mut self.active_faults.crashed) {
            self.mirror.backends.load(self.engine.clone());
        }
        self.active_faults.offline = false;
    }
}
