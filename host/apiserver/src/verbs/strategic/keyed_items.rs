//! The items of a list by their merge keys, so that a patch of many items takes a time
//! that grows with their number and not with its square.

use std::collections::HashMap;

use serde_json::Value;

use super::merge_key_value;

/// Returns the first position of each merge key, by its JSON text.
pub(super) fn positions(keys: &[Value]) -> HashMap<String, usize> {
    let mut positions = HashMap::with_capacity(keys.len());
    for (position, key) in keys.iter().enumerate() {
        positions.entry(key.to_string()).or_insert(position);
    }
    positions
}

/// The items of a list in their order. Several may have one merge key.
pub(super) struct KeyedItems {
    /// `None` in place of an item that was removed.
    items: Vec<Option<Value>>,
    /// The positions of the items with a merge key, by its JSON text.
    positions: HashMap<String, Vec<usize>>,
}

impl KeyedItems {
    pub(super) fn new(items: Vec<Value>, key: Option<&str>) -> Self {
        let mut positions: HashMap<String, Vec<usize>> = HashMap::with_capacity(items.len());
        for (position, item) in items.iter().enumerate() {
            let id = merge_key_value(item, key).to_string();
            positions.entry(id).or_default().push(position);
        }
        Self {
            items: items.into_iter().map(Some).collect(),
            positions,
        }
    }

    /// Returns the first item with a merge key.
    pub(super) fn get_mut(&mut self, id: &Value) -> Option<&mut Value> {
        let position = *self.positions.get(&id.to_string())?.first()?;
        self.items.get_mut(position)?.as_mut()
    }

    /// Adds an item at the end.
    pub(super) fn push(&mut self, id: &Value, item: Value) {
        let positions = self.positions.entry(id.to_string()).or_default();
        positions.push(self.items.len());
        self.items.push(Some(item));
    }

    /// Removes all items with a merge key.
    pub(super) fn remove(&mut self, id: &Value) {
        for position in self.positions.remove(&id.to_string()).unwrap_or_default() {
            if let Some(item) = self.items.get_mut(position) {
                *item = None;
            }
        }
    }

    pub(super) fn into_items(self) -> Vec<Value> {
        self.items.into_iter().flatten().collect()
    }
}
