//! Unix sockets.

use std::path::Path;

use rdd_core::EngineError;
use rdd_plugin_wasm::Connection;

#[cfg(unix)]
pub(super) async fn connect(path: &Path) -> Result<Connection, EngineError> {
    let connected = tokio::net::UnixStream::connect(path).await;
    match connected.and_then(tokio::net::UnixStream::into_std) {
        Ok(socket) => {
            let (reader, writer) = super::paced::split(socket);
            Ok(Connection {
                reader: Box::new(reader),
                writer: Box::new(writer),
            })
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(EngineError::new(
                rdd_core::ErrorCode::PermissionDenied,
                format!(
                    "may not use the engine's socket {}: {}",
                    path.display(),
                    access::remedy(path)
                ),
            ))
        }
        Err(error) => Err(super::unavailable(
            &crate::EngineEndpoint::Unix(path.to_owned()),
            &error,
        )),
    }
}

#[cfg(not(unix))]
pub(super) async fn connect(path: &Path) -> Result<Connection, EngineError> {
    Err(super::unavailable(
        &crate::EngineEndpoint::Unix(path.to_owned()),
        &std::io::ErrorKind::Unsupported.into(),
    ))
}

/// What to do when a socket may not be used.
#[cfg(unix)]
mod access {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    const GROUPS: &str = "/etc/group";
    /// Write access of the group: what connecting takes.
    const GROUP_WRITE: u32 = 0o020;

    pub(super) fn remedy(socket: &Path) -> String {
        match std::fs::metadata(socket) {
            Ok(metadata) => {
                // Without the file the number stands for the name.
                let groups = std::fs::read_to_string(GROUPS).unwrap_or_default();
                sentence(metadata.mode(), metadata.gid(), &groups)
            }
            Err(_) => "a directory above it may not be entered; run the daemon as the user who owns the engine".to_owned(),
        }
    }

    fn sentence(mode: u32, gid: u32, groups: &str) -> String {
        if mode & GROUP_WRITE == 0 {
            return "only its owner may; run the daemon as that user, or let the engine give the socket to a group".to_owned();
        }
        match group_name(groups, gid) {
            Some("root") => "only the group root may; let the engine give the socket to another group, such as docker, and join that".to_owned(),
            Some(name) => format!(
                "it belongs to the group {name}; join it with 'sudo usermod -aG {name} \"$USER\"' and log in again"
            ),
            None => format!("it belongs to the group with the number {gid}; join that group and log in again"),
        }
    }

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

        const SOME: &str = "root:x:0:\ndaemon:x:1:\ndocker:x:998:me,you\nbroken\n";

        #[test]
        fn names_the_group_to_join() {
            let said = sentence(0o140_660, 998, SOME);
            assert!(said.contains("usermod -aG docker "), "{said}");
        }

        #[test]
        fn says_when_joining_no_group_helps() {
            assert!(sentence(0o140_600, 998, SOME).contains("only its owner"));
            assert!(sentence(0o140_660, 0, SOME).contains("another group"));
        }

        #[test]
        fn gives_the_number_of_a_group_without_a_name() {
            assert!(sentence(0o140_660, 12, SOME).contains("number 12"));
            assert!(sentence(0o140_660, 12, "").contains("number 12"));
        }

        #[test]
        fn tells_a_closed_directory_from_a_closed_socket() {
            assert!(remedy(Path::new("/nonexistent/socket")).contains("directory above"));
        }
    }
}
