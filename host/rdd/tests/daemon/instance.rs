//! A daemon of a test's own.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

/// How long a busy machine may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const POLL: Duration = Duration::from_millis(10);

/// A state directory, and the daemon that runs on it.
pub(crate) struct Instance {
    dir: tempfile::TempDir,
    child: Option<Child>,
    runs: u32,
    open_files: Option<u32>,
    /// The kubeconfig of the daemon before, which may still be ending.
    former: Option<(u64, SystemTime)>,
}

/// How a daemon ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
}

impl Instance {
    pub(crate) fn new() -> Self {
        // SQLite's companions and the lock live here, too.
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("plugins")).unwrap();
        Self {
            dir,
            child: None,
            runs: 0,
            open_files: None,
            former: None,
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Has daemons be started with this limit, which they cannot raise.
    pub(crate) fn limit_open_files(&mut self, limit: u32) {
        self.open_files = Some(limit);
    }

    /// `rdd` on this instance.
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

    /// Starts a daemon and does not wait for it.
    pub(crate) fn spawn(&mut self, variables: &[(&str, &str)]) {
        self.runs += 1;
        self.former = self.kubeconfig();
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
        if let Some(ended) = self.ready_or_ended().await {
            panic!("{}: {}", ended.status, ended.log);
        }
    }

    /// Tells a kubeconfig from the one of another run.
    fn kubeconfig(&self) -> Option<(u64, SystemTime)> {
        let metadata = self.state().join("kubeconfig").metadata().ok()?;
        Some((metadata.ino(), metadata.modified().unwrap()))
    }

    /// Waits until the daemon is ready, or how it ended before.
    pub(crate) async fn ready_or_ended(&mut self) -> Option<Ended> {
        let outcome = timeout(PATIENCE, async {
            loop {
                if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                    return Some(status);
                }
                let kubeconfig = self.kubeconfig();
                if kubeconfig.is_some() && kubeconfig != self.former {
                    return None;
                }
                sleep(POLL).await;
            }
        })
        .await;
        let Ok(outcome) = outcome else {
            panic!("neither ready nor at an end: {}", self.log())
        };
        outcome.map(|status| Ended {
            status,
            log: self.log(),
        })
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join(format!("log-{}", self.runs))
    }

    /// The log of the last daemon that was started.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    /// Waits until the log holds `text`.
    pub(crate) async fn logged(&self, text: &str) {
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

    /// Waits until the daemon has ended.
    pub(crate) async fn ended(&mut self) -> Ended {
        let mut child = self.child.take().unwrap();
        let Ok(status) = timeout(PATIENCE, child.wait()).await else {
            panic!("still running: {}", self.log())
        };
        Ended {
            status: status.unwrap(),
            log: self.log(),
        }
    }

    /// Takes the daemon out of the instance's hands.
    pub(crate) fn take(&mut self) -> Child {
        self.child.take().unwrap()
    }

    pub(crate) async fn client(&self) -> kube::Client {
        install_crypto();
        let kubeconfig = Kubeconfig::read_from(self.state().join("kubeconfig")).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        kube::Client::try_from(config.unwrap()).unwrap()
    }

    /// A connection to the listener.
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

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.state().join("token")).unwrap()
    }
}

fn install_crypto() {
    // Fails where another test was first, which does as well.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}

/// Copies files and directories.
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
