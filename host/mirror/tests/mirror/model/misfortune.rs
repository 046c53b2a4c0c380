//! What goes wrong in between.

use std::time::Duration;

use rdd_testkit::EngineOperation;

use super::Run;

/// What is broken until it is mended.
#[derive(Default)]
pub(super) struct Broken {
    offline: bool,
    crashed: bool,
    /// The daemon does not run.
    pub(super) down: bool,
}

impl Run {
    /// One blow. Those that can lose events are left to the bursts for them.
    pub(super) async fn misfortune(&mut self) {
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
                self.note("the backend lists everything anew");
                self.engine.reinit();
            }
            3 => {
                if self.rng.bool() {
                    self.note("the API fails");
                    self.world.faults.fail(30, self.rng.u64(..));
                } else {
                    self.note("the API is slow");
                    self.world.faults.slow_down(self.rng.u64(..));
                }
            }
            4 => {
                self.note("the API forgets its watches");
                self.world.faults.expire_watches(2);
            }
            5 => {
                self.note("the backend panics");
                self.engine.panic_next(EngineOperation::Act);
                self.engine.panic_next(EngineOperation::Remove);
            }
            6 => {
                self.note("actions take a while");
                let delay = Duration::from_millis(self.rng.u64(..30));
                self.engine.delay(EngineOperation::Act, None, delay);
            }
            7 | 8 => {
                self.note("the event stream is cut");
                self.engine.cut_watches();
            }
            9 => {
                self.broken.offline = !self.broken.offline;
                self.note(format!("the engine is away: {}", self.broken.offline));
                if self.broken.offline {
                    self.engine.go_offline("connection refused");
                } else {
                    self.engine.go_online();
                }
            }
            10 => {
                self.broken.crashed = !self.broken.crashed;
                self.note(format!("the plugin is down: {}", self.broken.crashed));
                if self.broken.crashed {
                    self.world.backends.crash("moby", "it trapped");
                } else {
                    self.world.backends.load(self.engine.clone());
                }
            }
            11 => {
                self.world.tasks.shutdown().await;
                self.start();
            }
            12 if self.resyncs => {
                self.note("held events are lost");
                self.engine.drop_held_events();
            }
            13 => {
                self.stopped = !self.stopped;
                self.note(format!("the App is stopped: {}", self.stopped));
                self.uproot_all();
                self.may_repeat_actions();
                self.run_app(!self.stopped).await;
            }
            _ => {}
        }
    }

    /// All is well again.
    pub(super) async fn mend(&mut self) {
        for _ in 0..2 {
            self.mend_one();
            self.switch();
        }
        if self.broken.down {
            self.switch();
        }
        if self.broken.down {
            self.start();
        }
        if self.is_uprooted {
            // A mirror that somebody labeled as another backend's is let go by
            // its own instance alone.
            self.switch();
            if self.broken.down {
                self.start();
            }
        }
        self.replant().await;
        if std::mem::take(&mut self.stopped) {
            self.run_app(true).await;
        }
        // From here on the one that acts is running. The other one may have
        // to see that it was too late, or not.
        self.switch();
        if self.broken.down {
            let asked = self.asked.clone();
            self.switch();
            let takes_over = self.rng.bool();
            if takes_over {
                self.takes_over().await;
            }
            self.switch();
            self.start();
            if takes_over {
                // What it had claimed is not its own any more.
                self.asked = asked;
            }
        }
        self.note("all is mended");
    }

    /// All is well again with this engine and this instance's way to the API.
    fn mend_one(&mut self) {
        self.engine.release_events();
        self.engine.go_online();
        self.engine.clear_failures(EngineOperation::Act, None);
        self.engine.clear_failures(EngineOperation::Remove, None);
        self.engine
            .delay(EngineOperation::Act, None, Duration::ZERO);
        self.world.faults.mend();
        if std::mem::take(&mut self.broken.crashed) {
            self.world.backends.load(self.engine.clone());
        }
        self.broken.offline = false;
    }
}
