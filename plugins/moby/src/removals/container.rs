//! Removal of exactly the container that the caller specified.
//!
//! The engine resolves a text as a full ID, then as a name, then as a prefix of
//! an ID. So a request with an ID affects another container with this ID as its
//! name once the first container is gone. An inspection beforehand does not
//! prevent this, and the engine has no conditional requests. But only one
//! container at a time can have a name. Hence:
//!
//! 1. Check that the container exists and that no other has its ID as a name.
//!    Otherwise, fail.
//! 2. Rename it to `NAME.rdd-removing.ID`.
//! 3. Inspect the container with that name. If it has another ID, it took the
//!    first one's ID as its name after step 1: restore that name and fail.
//! 4. Remove the container with that name. If the engine refuses, restore the
//!    original name.
//!
//! Two cases remain. A container may be given the name of step 2 between steps 3
//! and 4, which does not happen by accident. And a container that the engine
//! cannot rename is removed by its ID, after step 1: a half-removed one, or one
//! whose network sandbox the engine has lost, which Docker 20.10 reports as if the
//! container did not exist.

use rdd_sdk::types::{Error, ErrorCode, LogLevel};

use super::delete;
use crate::backend::MobyBackend;
use crate::model::ContainerInspectResponse;
use crate::removal_names::RemovalNames;
use crate::{objects, url};

/// Removes a container by its full ID, running or not.
pub(super) async fn remove(moby: &MobyBackend, id: &str) -> Result<(), Error> {
    let (container, _) = objects::inspect_container(&moby.client, id).await?;
    objects::ensure_id_is_not_a_name(&moby.client, id).await?;
    let names = RemovalNames::new(&container.name, id);
    if !names.is_renamed
        && let Err(error) = rename(moby, id, &names.temporary).await
    {
        if cannot_be_renamed(moby, id, &container, &error).await {
            return delete(moby, &format!("/containers/{id}?force=1")).await;
        }
        return Err(error);
    }
    match objects::resolve_container(&moby.client, &names.temporary).await {
        Ok(found) if found.id == id => {}
        Ok(_) => {
            restore_name(moby, &names.temporary, id).await;
            return Err(Error::not_found(format!("no such container: {id}")));
        }
        Err(error) => {
            restore_name(moby, &names.temporary, &names.original).await;
            return Err(detect_rename(moby, id, error).await);
        }
    }
    match delete(moby, &format!("/containers/{}?force=1", names.temporary)).await {
        Ok(()) => Ok(()),
        Err(error) => {
            restore_name(moby, &names.temporary, &names.original).await;
            Err(detect_rename(moby, id, error).await)
        }
    }
}

/// Returns whether a container exists whose renaming failed with `error`, and the
/// engine can never rename it.
async fn cannot_be_renamed(
    moby: &MobyBackend,
    id: &str,
    container: &ContainerInspectResponse,
    error: &Error,
) -> bool {
    match error.code {
        ErrorCode::Internal => container.state.dead,
        ErrorCode::NotFound => {
            error.message.contains("sandbox")
                && objects::inspect_container(&moby.client, id).await.is_ok()
        }
        _ => false,
    }
}

async fn rename(moby: &MobyBackend, container: &str, name: &str) -> Result<(), Error> {
    let path = format!("/containers/{}/rename", url::path_segment(container));
    let path = url::with_query(&path, [("name", name)]);
    moby.client.post(&path).await
}

/// Restores a container's name, unless the container is gone.
async fn restore_name(moby: &MobyBackend, temporary: &str, original: &str) {
    match rename(moby, temporary, original).await {
        Err(error) if error.code != ErrorCode::NotFound => moby.host.log(
            LogLevel::Warn,
            &format!(
                "container {temporary} was not removed and cannot be renamed back to {original}: {}",
                error.message
            ),
        ),
        _ => {}
    }
}

/// Returns the error of a request by the temporary name. If the container still
/// exists, another client has renamed it.
async fn detect_rename(moby: &MobyBackend, id: &str, error: Error) -> Error {
    if error.code == ErrorCode::NotFound
        && objects::inspect_container(&moby.client, id).await.is_ok()
    {
        return Error::conflict(format!(
            "container {id} was renamed by another client during its removal"
        ));
    }
    error
}
