//! Connections over a Unix socket.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rdd_core::{EngineError, ErrorCode};
use rdd_plugin_contract::EngineConnection;

use super::{coalescing, unavailable};
use crate::EngineEndpoint;

const GROUP_FILE: &str = "/etc/group";
/// The permission bit for write access by the group, which connecting needs.
const GROUP_WRITE: u32 = 0o020;

pub(super) async fn connect(path: &Path) -> Result<EngineConnection, EngineError> {
    let connected = tokio::net::UnixStream::connect(path).await;
    match connected.and_then(tokio::net::UnixStream::into_std) {
        Ok(socket) => {
            let (reader, writer) = coalescing::split(socket);
            Ok(EngineConnection {
                reader: Box::new(reader),
                writer: Box::new(writer),
            })
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(EngineError::new(
                ErrorCode::PermissionDenied,
                format!(
                    "permission denied for the engine's socket {}: {}",
                    path.display(),
                    permission_remedy(path)
                ),
            ))
        }
        Err(error) => Err(unavailable(&EngineEndpoint::Unix(path.to_owned()), &error)),
    }
}

/// Returns how the user can get access to `socket`.
fn permission_remedy(socket: &Path) -> String {
    match std::fs::metadata(socket) {
        Ok(metadata) => {
            // Read by hand: `getgrgid_r` needs unsafe code, and local groups such
            // as docker are always in this file. Without it, the message shows
            // the number instead of the name.
            let groups = std::fs::read_to_string(GROUP_FILE).unwrap_or_default();
            group_remedy(metadata.mode(), metadata.gid(), &groups)
        }
        Err(_) => {
            "a parent directory is not accessible; run the daemon as the user who owns the engine"
                .to_owned()
        }
    }
}

fn group_remedy(mode: u32, gid: u32, groups: &str) -> String {
    if mode & GROUP_WRITE == 0 {
        return "only its owner has access; run the daemon as that user, or configure a group for the socket in the engine".to_owned();
    }
    match group_name(groups, gid) {
        Some("root") => "only the group root has access; configure another group for the socket in the engine, such as docker, and join that group".to_owned(),
        Some(name) => format!(
            "it belongs to the group {name}; join it with 'sudo usermod -aG {name} \"$USER\"' and log in again"
        ),
        None => format!("it belongs to the group with the ID {gid}; join that group and log in again"),
    }
}

/// Finds the name of the group `gid` in the content of `/etc/group`.
fn group_name(groups: &str, gid: u32) -> Option<&str> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: &str = "root:x:0:\ndaemon:x:1:\ndocker:x:998:me,you\nbroken\n";

    #[test]
    fn the_remedy_names_the_group_to_join() {
        let remedy = group_remedy(0o140_660, 998, GROUPS);
        assert!(remedy.contains("usermod -aG docker "), "{remedy}");
    }

    #[test]
    fn no_group_is_suggested_when_joining_it_does_not_help() {
        assert!(group_remedy(0o140_600, 998, GROUPS).contains("only its owner"));
        assert!(group_remedy(0o140_660, 0, GROUPS).contains("another group"));
    }

    #[test]
    fn a_group_without_a_name_is_shown_by_its_id() {
        assert!(group_remedy(0o140_660, 12, GROUPS).contains("the ID 12"));
        assert!(group_remedy(0o140_660, 12, "").contains("the ID 12"));
    }

    #[test]
    fn an_inaccessible_directory_is_distinguished_from_an_inaccessible_socket() {
        let remedy = permission_remedy(Path::new("/nonexistent/socket"));
        assert!(remedy.contains("parent directory"), "{remedy}");
    }
}
