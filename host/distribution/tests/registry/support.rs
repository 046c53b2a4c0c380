//! A private registry, credentials, and plugins to publish.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use rdd_core::{EngineError, NoCredentialStore, RegistryCredentialStore, RegistryCredentials};
use rdd_distribution::{
    ArtifactReference, PackageLabels, PackageUpload, RegistryClient, RegistryOptions, UploadedFile,
};
use rdd_testkit::PATIENCE;
use tokio::process::{Child, Command};

/// The user of a registry with credentials.
pub(crate) const USER: (&str, &str) = ("me", "word");
/// An htpasswd file with this user.
const HTPASSWD: &str = "me:$2b$05$0N0JIob6Y56QTcjW8NQy5.3xky.dFbR007e5zbQ9fApzRc/Uk55fm\n";

/// A registry on a free loopback port. It ends when it is dropped.
pub(crate) struct PrivateRegistry {
    pub(crate) address: String,
    _process: Child,
    _dir: tempfile::TempDir,
}

impl PrivateRegistry {
    /// Starts a registry. `None`, with a printed line, if the program is not
    /// installed and need not be.
    pub(crate) async fn start(with_credentials: bool) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let auth = match with_credentials {
            false => String::new(),
            true => {
                std::fs::write(path("htpasswd"), HTPASSWD).unwrap();
                let htpasswd = path("htpasswd");
                format!(
                    "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                    htpasswd.display()
                )
            }
        };
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n{auth}",
            path("data").display()
        );
        std::fs::write(path("config.yml"), config).unwrap();
        let log = std::fs::File::create(path("log")).unwrap();
        let program =
            std::env::var_os("RDD_TEST_REGISTRY").unwrap_or_else(|| "docker-registry".into());
        let process = Command::new(program)
            .arg("serve")
            .arg(path("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        let process = match process {
            Ok(process) => process,
            Err(error) => {
                let is_required = std::env::var("RDD_TEST_REQUIRE_ALL").as_deref() == Ok("1");
                assert!(
                    !is_required,
                    "cannot run docker-registry (Debian: apt-get install docker-registry): {error}"
                );
                #[expect(
                    clippy::explicit_write,
                    reason = "the test harness hides the output of eprintln! in passing tests"
                )]
                writeln!(
                    std::io::stderr(),
                    "skipped: docker-registry is not installed (Debian: apt-get install docker-registry)"
                )
                .unwrap();
                return None;
            }
        };
        let address = rdd_testkit::eventually("the registry listens", || async {
            listening_address(&path("log"))
        })
        .await;
        Some(Self {
            address,
            _process: process,
            _dir: dir,
        })
    }

    pub(crate) fn reference(&self, name: &str) -> ArtifactReference {
        ArtifactReference::parse(&format!("{}/{name}", self.address)).unwrap()
    }
}

fn listening_address(log: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(log).unwrap();
    let (_, rest) = text
        .split_once("listening on ")
        .ok_or_else(|| text.clone())?;
    let end = rest.find(['"', '\n', ',']).ok_or_else(|| text.clone())?;
    Ok(rest[..end].to_owned())
}

/// A store with the same credentials for every registry.
pub(crate) struct FixedStore(pub(crate) RegistryCredentials);

#[async_trait]
impl RegistryCredentialStore for FixedStore {
    async fn credentials(&self, _: &str) -> Result<Option<RegistryCredentials>, EngineError> {
        Ok(Some(self.0.clone()))
    }
}

pub(crate) fn password(username: &str, password: &str) -> RegistryCredentials {
    RegistryCredentials::Password {
        username: username.to_owned(),
        password: password.to_owned(),
    }
}

/// Returns options with which only a server that never responds is given up.
pub(crate) fn options(credentials: Option<RegistryCredentials>) -> RegistryOptions {
    let store: Arc<dyn RegistryCredentialStore> = match credentials {
        Some(credentials) => Arc::new(FixedStore(credentials)),
        None => Arc::new(NoCredentialStore),
    };
    RegistryOptions {
        idle_timeout: PATIENCE,
        ..RegistryOptions::new(store)
    }
}

pub(crate) fn client(
    reference: &ArtifactReference,
    credentials: Option<RegistryCredentials>,
) -> RegistryClient {
    RegistryClient::new(reference.clone(), options(credentials)).unwrap()
}

pub(crate) fn file(content: &[u8]) -> UploadedFile {
    UploadedFile {
        name: "it".to_owned(),
        content: content.to_vec().into(),
    }
}

pub(crate) fn labels() -> PackageLabels {
    PackageLabels {
        name: "toy".to_owned(),
        version: "1.0.0".to_owned(),
        publisher: None,
        description: Some("a toy".to_owned()),
    }
}

pub(crate) fn component(content: &[u8]) -> PackageUpload {
    PackageUpload::component("name = \"toy\"\n", &labels(), file(content), &[], &[]).unwrap()
}
