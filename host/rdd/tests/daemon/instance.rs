//! A daemon for one test.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use rdd_testkit::PATIENCE;
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

/// The interval between two checks of a condition.
const POLL: Duration = Duration::from_millis(10);

/// A state directory, and the daemon that runs on it.
pub(crate) struct TestInstance {
    dir: tempfile::TempDir,
    child: Option<Child>,
    runs: u32,
    open_files: Option<u32>,
    /// The kubeconfig of the previous daemon, which may still be shutting down.
    previous_kubeconfig: Option<(u64, SystemTime)>,
}

/// The result of a daemon that has exited.
pub(crate) struct ExitedDaemon {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
}

impl TestInstance {
    pub(crate) fn new() -> Self {
        // Also for the lock and the additional files of SQLite.
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("plugins")).unwrap();
        Self {
            dir,
            child: None,
            runs: 0,
            open_files: None,
            previous_kubeconfig: None,
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Starts daemons with this limit, which they cannot raise.
    pub(crate) fn limit_open_files(&mut self, limit: u32) {
        self.open_files = Some(limit);
    }

    /// Returns a command `rdd` for this instance.
    pub(crate) fn rdd(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_rdd");
        let mut command = match self.open_files {
            None => Command::new(program),
            Some(limit) => {
                let mut shell = Command::new("sh");
                let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
                shell.args(["-c", &script, program]);
                shell
            }
        };
        for (name, _) in std::env::vars_os() {
            let is_option = name.to_string_lossy().starts_with("RDD_");
            if is_option || name == "DOCKER_HOST" || name == "DOCKER_CONTEXT" {
                command.env_remove(name);
            }
        }
        command
            .arg("--state-dir")
            .arg(self.state())
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts a daemon without waiting for it.
    pub(crate) fn spawn(&mut self, variables: &[(&str, &str)]) {
        self.runs += 1;
        self.previous_kubeconfig = self.kubeconfig();
        let log = std::fs::File::create(self.log_path()).unwrap();
        let plugins = self.dir.path().join("plugins");
        let child = self
            .rdd(&["serve", "--engine-endpoint", "unix:///nosuch.sock"])
            .arg("--plugin-dir")
            .arg(plugins)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Starts a daemon and waits until it is ready.
    pub(crate) async fn start(&mut self) {
        self.spawn(&[]);
        if let Some(exited) = self.wait_for_ready_or_exit().await {
            panic!("{}: {}", exited.status, exited.log);
        }
    }

    /// Returns the identity of the kubeconfig, which differs with each run.
    fn kubeconfig(&self) -> Option<(u64, SystemTime)> {
        let metadata = self.state().join("kubeconfig").metadata().ok()?;
        Some((metadata.ino(), metadata.modified().unwrap()))
    }

    /// Waits until the daemon is ready, or returns the result if it exits before.
    pub(crate) async fn wait_for_ready_or_exit(&mut self) -> Option<ExitedDaemon> {
        let outcome = timeout(PATIENCE, async {
            loop {
                if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                    return Some(status);
                }
                let kubeconfig = self.kubeconfig();
                if kubeconfig.is_some() && kubeconfig != self.previous_kubeconfig {
                    return None;
                }
                sleep(POLL).await;
            }
        })
        .await;
        let Ok(outcome) = outcome else {
            panic!("neither ready nor exited: {}", self.log())
        };
        outcome.map(|status| ExitedDaemon {
            status,
            log: self.log(),
        })
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join(format!("log-{}", self.runs))
    }

    /// Returns the log of the last daemon.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    /// Waits until the log contains `text`.
    pub(crate) async fn wait_for_log(&self, text: &str) {
        let found = timeout(PATIENCE, async {
            while !self.log().contains(text) {
                sleep(POLL).await;
            }
        });
        assert!(found.await.is_ok(), "no {text:?} in {}", self.log());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().unwrap().id().unwrap();
        kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits until the daemon has exited.
    pub(crate) async fn wait_for_exit(&mut self) -> ExitedDaemon {
        let mut child = self.child.take().unwrap();
        let Ok(status) = timeout(PATIENCE, child.wait()).await else {
            panic!("still running: {}", self.log())
        };
        ExitedDaemon {
            status: status.unwrap(),
            log: self.log(),
        }
    }

    /// Removes the daemon from the instance and returns it.
    pub(crate) fn take_process(&mut self) -> Child {
        self.child.take().unwrap()
    }

    pub(crate) async fn client(&self) -> kube::Client {
        install_crypto();
        let kubeconfig = Kubeconfig::read_from(self.state().join("kubeconfig")).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        kube::Client::try_from(config.unwrap()).unwrap()
    }

    /// Connects to the listener.
    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        install_crypto();
        let mut roots = rustls::RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(self.state().join("tls/ca.crt")).unwrap();
        roots.add(authority).unwrap();
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let port = std::fs::read_to_string(self.state().join("port")).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port.parse().unwrap()));
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect("localhost".try_into().unwrap(), stream.await.unwrap())
            .await
            .unwrap()
    }

    /// Connects like [`Self::connect`], as soon as the daemon listens.
    pub(crate) async fn connect_early(&self) -> TlsStream<TcpStream> {
        let port = std::fs::read_to_string(self.state().join("port")).unwrap();
        let address = ("127.0.0.1", port.parse().unwrap());
        let listens = timeout(PATIENCE, async {
            while TcpStream::connect(address).await.is_err() {
                sleep(POLL).await;
            }
        });
        assert!(listens.await.is_ok(), "{}", self.log());
        self.connect().await
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.state().join("token")).unwrap()
    }
}

fn install_crypto() {
    // Fails if another test has installed the provider, which is as good.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}

/// Copies a directory recursively.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
