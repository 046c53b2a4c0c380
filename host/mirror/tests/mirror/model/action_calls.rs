//! Checks how often actions are carried out.

use std::collections::BTreeMap;

use rdd_testkit::EngineCall;

use super::ModelRun;

impl ModelRun {
    /// Allows every requested action to be carried out once more, by a
    /// restarted instance that claimed it.
    pub(super) fn may_repeat_actions(&mut self) {
        for id in self.actions.keys() {
            *self.max_action_calls.entry(id.clone()).or_default() += 1;
        }
    }

    /// Checks that each action is carried out once, or repeated only by the
    /// instance that claimed it.
    pub(super) fn check_actions(&self) {
        let mut acted: BTreeMap<String, usize> = BTreeMap::new();
        for call in self.engine.calls() {
            if let EngineCall::Act { container, .. } = call {
                *acted.entry(container.id).or_default() += 1;
            }
        }
        for (id, calls) in acted {
            let max_calls = self.max_action_calls.get(&id).copied().unwrap_or_default();
            assert!(
                calls <= max_calls,
                "{calls} calls of actions on {id:.8}, expected at most {max_calls}, after\n  {}",
                self.log.join("\n  ")
            );
        }
    }
}
