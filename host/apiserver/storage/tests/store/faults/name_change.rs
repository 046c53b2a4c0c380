//! The names of files, and their changes.

use std::collections::BTreeMap;

#[derive(Clone)]
pub(super) enum NameChange {
    Add {
        name: String,
        file: usize,
    },
    Remove {
        name: String,
        file: usize,
    },
    Rename {
        from: String,
        to: String,
        file: usize,
    },
}

pub(super) type Names = BTreeMap<String, usize>;

pub(super) fn apply_name(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Add { name, file } => {
            names.insert(name.clone(), *file);
        }
        NameChange::Remove { name, file } => {
            if names.get(name) == Some(file) {
                names.remove(name);
            }
        }
        NameChange::Rename { from, to, file } => {
            if names.get(from) == Some(file) {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
        }
    }
}
