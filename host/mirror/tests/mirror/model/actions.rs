//! How often an action may be carried out.

use std::collections::BTreeMap;

use rdd_testkit::EngineCall;

use super::Run;

impl Run {
    /// An action that an instance has begun may be carried out by it again.
    pub(super) fn may_repeat_actions(&mut self) {
        for id in self.actions.keys() {
            *self.asked.entry(id.clone()).or_default() += 1;
        }
    }

    /// Each action is carried out once, or by one instance that began it again.
    pub(super) fn check_actions(&self) {
        let mut acted: BTreeMap<String, usize> = BTreeMap::new();
        for call in self.engine.calls() {
            if let EngineCall::Act { id, .. } = call {
                *acted.entry(id).or_default() += 1;
            }
        }
        for (id, times) in acted {
            let asked = self.asked.get(&id).copied().unwrap_or_default();
            assert!(
                times <= asked,
                "{times} actions on {id:.8} for {asked} after\n  {}",
                self.log.join("\n  ")
            );
        }
    }
}
