//! A daemon that is measured.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use http::Uri;
use http::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use procfs::process::Process;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::log_format::LogFormat;

/// The timeout for a daemon to become ready.
const START_LIMIT: Duration = Duration::from_secs(120);
/// The interval at which readiness is polled: far less than the duration of a
/// start.
const START_POLL: Duration = Duration::from_millis(1);

/// The connection of an open log.
pub(crate) type LogSocket = WebSocketStream<TlsStream<TcpStream>>;

/// A running `rdd serve`.
pub(crate) struct BenchmarkDaemon {
    child: Child,
    state: PathBuf,
    config: Config,
    tls: Arc<rustls::ClientConfig>,
    /// The time from the start of the process to its readiness.
    pub(crate) ready_after: Duration,
}

impl BenchmarkDaemon {
    /// Starts a daemon on a state directory and waits until it is ready.
    pub(crate) async fn start(rdd: &Path, state: &Path, engine: &str) -> Result<Self> {
        let begun = Instant::now();
        let mut child = Command::new(rdd)
            .arg("serve")
            .arg("--state-dir")
            .arg(state)
            .args(["--engine-endpoint", engine, "--log", "warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", rdd.display()))?;
        let kubeconfig = state.join("kubeconfig");
        while !kubeconfig.exists() {
            if let Some(status) = child.try_wait()? {
                bail!("the daemon exited with {status} before it was ready");
            }
            if begun.elapsed() > START_LIMIT {
                bail!("the daemon was not ready after {} s", START_LIMIT.as_secs());
            }
            tokio::time::sleep(START_POLL).await;
        }
        let ready_after = begun.elapsed();
        let config = Config::from_custom_kubeconfig(
            Kubeconfig::read_from(&kubeconfig)?,
            &KubeConfigOptions::default(),
        )
        .await?;
        Ok(Self {
            child,
            tls: tls(state)?,
            state: state.to_owned(),
            config,
            ready_after,
        })
    }

    /// Returns the path of the kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.state.join("kubeconfig")
    }

    /// Returns a client for the API.
    pub(crate) fn client(&self) -> Result<kube::Client> {
        Ok(kube::Client::try_from(self.config.clone())?)
    }

    /// Opens the log of a container as bytes.
    pub(crate) async fn open_log(&self, id: &str, query: &str) -> Result<LogSocket> {
        self.open_log_as(LogFormat::Bytes, id, query).await
    }

    /// Opens the log of a container in a format.
    pub(crate) async fn open_log_as(
        &self,
        format: LogFormat,
        id: &str,
        query: &str,
    ) -> Result<LogSocket> {
        let url: &Uri = &self.config.cluster_url;
        let authority = url.authority().context("the kubeconfig has no server")?;
        let stream = TcpStream::connect(authority.as_str()).await?;
        let stream = TlsConnector::from(self.tls.clone())
            .connect(ServerName::try_from(authority.host().to_owned())?, stream)
            .await?;
        let mut request = format!("wss://{authority}/passthrough/engine/logs/{id}?{query}")
            .into_client_request()?;
        let token = std::fs::read_to_string(self.state.join("token"))?;
        request.headers_mut().insert(
            AUTHORIZATION,
            HeaderValue::from_str(&format!("Bearer {}", token.trim()))?,
        );
        if let Some(subprotocol) = format.subprotocol() {
            request.headers_mut().insert(
                SEC_WEBSOCKET_PROTOCOL,
                HeaderValue::from_static(subprotocol),
            );
        }
        let (log, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(log)
    }

    /// Returns the sum of a gauge's series whose labels include this text.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = self.client()?.request_text(request).await?;
        let series = text
            .lines()
            .filter(|line| line.starts_with(name) && line.contains(labels));
        let values = series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        Ok(values.sum())
    }

    fn process(&self) -> Result<Process> {
        let id = self.child.id().context("the daemon has exited")?;
        Ok(Process::new(i32::try_from(id)?)?)
    }

    /// Returns the CPU seconds since the start.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.process()?.stat()?;
        #[expect(clippy::cast_precision_loss, reason = "clock ticks of minutes")]
        Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
    }

    /// Returns the resident memory.
    pub(crate) fn memory(&self) -> Result<MemoryUsage> {
        let rollup = self.process()?.smaps_rollup()?;
        let map = rollup
            .memory_map_rollup
            .0
            .first()
            .context("the kernel does not report the daemon's memory")?;
        let bytes = |name: &str| {
            let bytes = map.extension.map.get(name).copied();
            bytes.with_context(|| format!("the kernel does not report {name} of the daemon"))
        };
        Ok(MemoryUsage {
            resident: bytes("Rss")?,
            anonymous: bytes("Anonymous")?,
        })
    }

    /// Stops the daemon gracefully.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let id = self
            .child
            .id()
            .context("the daemon has exited on its own")?;
        let status = Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status()
            .await?;
        anyhow::ensure!(status.success(), "cannot signal the daemon");
        let status = self.child.wait().await?;
        anyhow::ensure!(status.success(), "the daemon exited with {status}");
        Ok(())
    }
}

/// Resident memory in bytes: the total, and the part that is not backed by the
/// program's file.
pub(crate) struct MemoryUsage {
    pub(crate) resident: u64,
    pub(crate) anonymous: u64,
}

fn tls(state: &Path) -> Result<Arc<rustls::ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(state.join("tls/ca.crt"))?)?;
    Ok(Arc::new(
        rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    ))
}
