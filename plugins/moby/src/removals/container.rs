//! Removal of a container, of the one that was meant.
//!
//! The engine takes a text for a full ID, then for a name, then for the
//! beginning of an ID. So a request that names a container by its ID reaches
//! another one that bears this ID as its name, once the first is gone; a look
//! beforehand does not exclude that, and no request of the engine's has a
//! condition. But a name belongs to one container at a time. So:
//!
//! 1. The container is there, and no other bears its ID as a name. Else
//!    nothing is done.
//! 2. It is renamed to `NAME.rdd-removing.ID`.
//! 3. The container of that name is looked up. Where it has another ID, one
//!    took the ID for its name since step 1: it gets that name back, and
//!    nothing is removed.
//! 4. The container of that name is removed. When the engine refuses, it gets
//!    its own name back.
//!
//! What remains is a container that is given the name of step 2 between steps
//! 3 and 4, which happens to nobody by accident. And a half removed container
//! that the engine cannot rename: that one is removed by its ID, after step 1.

use rdd_sdk::types::{Error, ErrorCode, LogLevel};

use super::delete;
use crate::backend::Moby;
use crate::{name, objects};

/// Between the name and the ID in the name of a container that is being
/// removed.
const MARK: &str = ".rdd-removing.";

/// Removes a container by its full ID, running or not.
pub(super) async fn remove(moby: &Moby, id: &str) -> Result<(), Error> {
    let (container, _) = objects::container(&moby.api, id).await?;
    objects::unambiguous(&moby.api, id).await?;
    let names = Names::new(&container.name, id);
    if !names.is_marked
        && let Err(error) = rename(moby, id, &names.mark).await
    {
        if error.code == ErrorCode::Internal && container.state.dead {
            return delete(moby, &format!("/containers/{id}?force=1")).await;
        }
        return Err(error);
    }
    match objects::container_named(&moby.api, &names.mark).await {
        Ok(found) if found.id == id => {}
        Ok(_) => {
            restore(moby, &names.mark, id).await;
            return Err(Error::not_found(format!("no such container: {id}")));
        }
        Err(error) => {
            restore(moby, &names.mark, &names.own).await;
            return Err(changed(moby, id, error).await);
        }
    }
    match delete(moby, &format!("/containers/{}?force=1", names.mark)).await {
        Ok(()) => Ok(()),
        Err(error) => {
            restore(moby, &names.mark, &names.own).await;
            Err(changed(moby, id, error).await)
        }
    }
}

/// What a container is called, and will be.
struct Names {
    own: String,
    mark: String,
    /// An earlier attempt, or an earlier daemon, left it so.
    is_marked: bool,
}

impl Names {
    fn new(name: &str, id: &str) -> Self {
        let name = name.trim_start_matches('/');
        let own = own_name(name, id);
        Self {
            own: own.to_owned(),
            mark: format!("{own}{MARK}{id}"),
            is_marked: own != name,
        }
    }
}

/// A container's name as its owner gave it, also while it is being removed.
pub(crate) fn own_name<'a>(name: &'a str, id: &str) -> &'a str {
    let marked = name.strip_suffix(id);
    marked
        .and_then(|name| name.strip_suffix(MARK))
        .unwrap_or(name)
}

async fn rename(moby: &Moby, container: &str, to: &str) -> Result<(), Error> {
    let path = format!(
        "/containers/{}/rename?name={}",
        name::encode(container),
        name::encode(to)
    );
    moby.api.post(&path).await
}

/// Gives a container its name back, unless it is gone.
async fn restore(moby: &Moby, mark: &str, own: &str) {
    match rename(moby, mark, own).await {
        Err(error) if error.code != ErrorCode::NotFound => moby.host.log(
            LogLevel::Warn,
            &format!(
                "container {mark} was to be removed and is still there, and cannot be named {own} again: {}",
                error.message
            ),
        ),
        _ => {}
    }
}

/// The error of a request by the new name. Somebody may have renamed the
/// container once more: then it is not gone.
async fn changed(moby: &Moby, id: &str, error: Error) -> Error {
    if error.code == ErrorCode::NotFound && objects::container(&moby.api, id).await.is_ok() {
        return Error::conflict(format!(
            "container {id} was renamed by somebody else while it was to be removed"
        ));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_any_number_of_attempts() {
        let first = Names::new("/web", "abc");
        assert_eq!(first.mark, "web.rdd-removing.abc");
        assert!(!first.is_marked);
        let again = Names::new(&format!("/{}", first.mark), "abc");
        assert_eq!((again.own.as_str(), again.is_marked), ("web", true));
        assert_eq!(again.mark, first.mark);
        // Another's mark is a name like any other.
        assert!(!Names::new(&first.mark, "abd").is_marked);
    }
}
