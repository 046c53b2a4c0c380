//! The names of a container that is being removed: its own, and the temporary one
//! by which `removals` removes it and which no record shows.

/// The text between the name and the ID in the temporary name of a container
/// that is being removed.
const REMOVING_INFIX: &str = ".rdd-removing.";

/// The names of a container that is being removed.
pub(crate) struct RemovalNames {
    pub(crate) original: String,
    pub(crate) temporary: String,
    /// Whether an earlier attempt left the container with its temporary name.
    pub(crate) is_renamed: bool,
}

impl RemovalNames {
    pub(crate) fn new(name: &str, id: &str) -> Self {
        let name = name.trim_start_matches('/');
        let original = original_name(name, id);
        Self {
            original: original.to_owned(),
            temporary: format!("{original}{REMOVING_INFIX}{id}"),
            is_renamed: original != name,
        }
    }
}

/// Returns a container's original name, also while it is being removed.
pub(crate) fn original_name<'a>(name: &'a str, id: &str) -> &'a str {
    name.strip_suffix(id)
        .and_then(|name| name.strip_suffix(REMOVING_INFIX))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_attempt_keeps_the_original_name() {
        let first = RemovalNames::new("/web", "abc");
        assert_eq!(first.temporary, "web.rdd-removing.abc");
        assert!(!first.is_renamed);
        let again = RemovalNames::new(&format!("/{}", first.temporary), "abc");
        assert_eq!((again.original.as_str(), again.is_renamed), ("web", true));
        assert_eq!(again.temporary, first.temporary);
        // The temporary name of another container is an ordinary name.
        assert!(!RemovalNames::new(&first.temporary, "abd").is_renamed);
    }
}
