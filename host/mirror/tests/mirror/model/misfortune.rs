//! What goes wrong in between.

use rdd_testkit::Operation;
use serde_json::json;

use super::Run;

/// What is broken until it is mended.
#[derive(Default)]
pub(super) struct Broken {
    offline: bool,
    crashed: bool,
    stopped: bool,
}

impl Run {
    /// One blow. Those that can lose events are left to the bursts for them.
    pub(super) async fn misfortune(&mut self) {
        let kinds = if self.may_lose_events { 13 } else { 6 };
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
                self.engine.panic_next(Operation::Act);
                self.engine.panic_next(Operation::Remove);
            }
            6 | 7 => {
                self.note("the event stream is cut");
                self.engine.cut_watches();
            }
            8 => {
                self.broken.offline = !self.broken.offline;
                self.note(format!("the engine is away: {}", self.broken.offline));
                if self.broken.offline {
                    self.engine.go_offline("connection refused");
                } else {
                    self.engine.go_online();
                }
            }
            9 => {
                self.broken.crashed = !self.broken.crashed;
                self.note(format!("the plugin is down: {}", self.broken.crashed));
                if self.broken.crashed {
                    self.world.backends.crash("moby", "it trapped");
                } else {
                    self.world.backends.load(self.engine.clone());
                }
            }
            10 => {
                self.note("the daemon starts again");
                self.world.tasks.shutdown().await;
                self.world.start();
            }
            11 if self.resyncs => {
                self.note("held events are lost");
                self.engine.drop_held_events();
            }
            12 => {
                self.broken.stopped = !self.broken.stopped;
                self.note(format!("the App is stopped: {}", self.broken.stopped));
                self.all_moved = true;
                let running = !self.broken.stopped;
                self.world.patch_app(json!({"running": running})).await;
            }
            _ => {}
        }
    }

    /// All is well again.
    pub(super) async fn mend(&mut self) {
        self.engine.release_events();
        self.engine.go_online();
        self.engine.mend(Operation::Act, None);
        self.engine.mend(Operation::Remove, None);
        self.world.faults.mend();
        let broken = std::mem::take(&mut self.broken);
        if broken.crashed {
            self.world.backends.load(self.engine.clone());
        }
        if broken.stopped {
            self.world.patch_app(json!({"running": true})).await;
        }
        self.note("all is mended");
    }
}
