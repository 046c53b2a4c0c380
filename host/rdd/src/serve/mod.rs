//! `rdd serve`: wires the rooms together, says when they are ready, and ends
//! them in order.

mod admission;
pub(crate) mod announce;
mod banner;
mod cluster;
mod listen;
mod metrics;
pub(crate) mod plugin_reports;
mod review;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use rdd_apiserver::AdmissionPolicy;
use rdd_core::Backends;
use rdd_front::{Certificates, Guard, Kubeconfig, Token};
use rdd_passthrough::Passthrough;
use rdd_plugin::{EngineEndpoint, PluginHost, TlsFiles};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;

use crate::cli::ServeArgs;
use crate::endpoint::{Environment, Found};
use crate::state_dir::StateDir;
use crate::{plugins, telemetry};
use banner::Banner;
use cluster::Cluster;

/// How long requests under way may go on once the daemon was told to end.
const GRACE: Duration = Duration::from_secs(3);
/// A service manager kills after ten seconds by habit: what is not done by
/// then is told, and left.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(9);

/// Runs the daemon until it is told to end.
pub(crate) async fn run(state_dir: StateDir, args: ServeArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let start_time = Timestamp::now();
    let ServeArgs {
        listen,
        engine_endpoint,
        backend,
        plugin_dirs,
        kubeconfig,
        read_only,
        log_format,
        log,
        allowed_hosts,
        trusted_origins,
        resync,
    } = args;
    telemetry::start(&log, log_format)?;
    // Signals are caught from here on, so that none that comes early is lost.
    let stop = stop_signal()?;
    let _lock = state_dir.lock()?;
    remove_kubeconfig(&state_dir)?;

    let Found {
        url,
        tls_dir,
        source,
    } = Environment::read().find(engine_endpoint.as_deref())?;
    let unusable = || format!("cannot use the engine endpoint {url:?} (from {source})");
    let mut endpoint = EngineEndpoint::parse(&url).with_context(unusable)?;
    if let Some(dir) = tls_dir {
        endpoint = endpoint
            .with_tls(TlsFiles::in_dir(dir))
            .with_context(unusable)?;
    }
    let banner = Banner::new(log_format, &url, &source);

    let certificates = Certificates::load_or_create(&state_dir.tls(), &allowed_hosts, start_time)?;
    let token = Token::load_or_create(&state_dir.token())?;
    let mirrors_namespace: Arc<OnceLock<String>> = Arc::default();
    let cluster = match &kubeconfig {
        Some(path) => Cluster::external(path).await?,
        None => {
            let mut admission: Vec<Arc<dyn AdmissionPolicy>> =
                vec![Arc::new(admission::Ground::new(mirrors_namespace.clone()))];
            if read_only {
                admission.push(Arc::new(admission::ReadOnly));
            }
            Cluster::embedded(&state_dir, &token, admission).await?
        }
    };
    let client = cluster.client();

    // Loading begins before anything else that takes time, and goes on beside it.
    let plugin_host = PluginHost::start(rdd_plugin::Options::new(
        plugins::dirs(plugin_dirs),
        state_dir.plugin_cache(),
        endpoint,
    ))
    .await
    .context("cannot start the plugin host")?;
    let plugin_host = Arc::new(plugin_host);

    let (mut mirror, is_serving, mut progress) =
        rdd_mirror::Options::new(client.clone(), plugin_host.clone() as Arc<dyn Backends>);
    mirror.read_only = read_only;
    mirror.timing.resync_interval = resync;

    let (ready, is_ready) = watch::channel(false);
    let passthrough = Passthrough::new(rdd_passthrough::Options {
        serving: is_serving.clone(),
    });
    let metrics = metrics::Metrics::new(start_time, passthrough.clone(), is_serving.clone());
    let front = listen::bind(
        &state_dir,
        rdd_front::Options {
            listen,
            tls: certificates.server.clone(),
            authenticator: cluster.authenticator(token.clone()),
            guard: Guard::new(&allowed_hosts, &trusted_origins),
            passthrough: BoxCloneSyncService::new(passthrough.clone()),
            api: cluster.handler(),
            metrics: Arc::new(move || metrics.render()),
            ready: is_ready,
            grace: GRACE,
        },
    )
    .await?;
    let address = front.address();
    let front_stop = CancellationToken::new();
    let front_task = tokio::spawn(front.serve(front_stop.clone().cancelled_owned()));

    announce::withdraw(client.clone()).await?;
    rdd_mirror::apply_crds(&client)
        .await
        .context("cannot install the resource definitions")?;
    let app = rdd_mirror::ensure_app(
        &client,
        &rdd_mirror::AppOptions {
            backend,
            ..Default::default()
        },
    )
    .await
    .context("cannot set up the App")?;

    mirrors_namespace.get_or_init(|| app.spec.namespace.clone());

    let mirror_stop = CancellationToken::new();
    let mirror_task = tokio::spawn(rdd_mirror::run(mirror, mirror_stop.clone()));
    let reports_task = tokio::spawn(plugin_reports::publish(
        client.clone(),
        plugin_host.clone(),
        mirror_stop.clone(),
    ));

    let progress_shown = progress.clone();
    let become_ready = async {
        plugin_host.loaded().await;
        let first_list = progress.wait_for(|progress| progress.ready).await;
        first_list.context("the controllers ended before they were ready")?;
        announce::announce(
            client.clone(),
            &announce::Discovery::new(address, start_time),
        )
        .await?;
        match cluster.kubeconfig() {
            None => Kubeconfig {
                name: &state_dir.context_name(),
                namespace: &app.spec.namespace,
                address,
                bundle_pem: &certificates.bundle_pem,
                token: &token,
            }
            .write(&state_dir.kubeconfig())?,
            Some(external) => {
                rdd_front::write_private(
                    &state_dir.kubeconfig(),
                    serde_json::to_string_pretty(external)?.as_bytes(),
                )?;
            }
        }
        ready.send_replace(true);
        notify_service_manager();
        banner.ready(started.elapsed(), address, &state_dir);
        anyhow::Ok(())
    };

    let mut stop = std::pin::pin!(stop);
    let outcome = tokio::select! {
        result = become_ready => match result {
            Ok(()) => tokio::select! {
                () = &mut stop => Ok(()),
                () = banner.follow(is_serving, progress_shown) => Ok(()),
            },
            Err(error) => Err(error),
        },
        () = &mut stop => Ok(()),
    };

    // In this order: nobody new is told that we are here; viewers are told
    // that we go; then what they were reading from ends.
    let shutdown = async {
        ready.send_replace(false);
        remove_kubeconfig(&state_dir)?;
        passthrough.drain().await;
        mirror_stop.cancel();
        join("the mirror", mirror_task).await;
        join("the plugin reports", reports_task).await;
        if let Err(error) = announce::withdraw(client.clone()).await {
            tracing::warn!(error = format!("{error:#}"), "the next start will do it");
        }
        front_stop.cancel();
        join("the listener", front_task).await;
        plugin_host.shutdown().await;
        cluster.close().await;
        anyhow::Ok(())
    };
    match tokio::time::timeout(SHUTDOWN_LIMIT, shutdown).await {
        Ok(result) => outcome.and(result)?,
        Err(_) => anyhow::bail!(
            "the shutdown took over {} s and was cut short; nothing that was acknowledged is lost",
            SHUTDOWN_LIMIT.as_secs()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Resolves at the first SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The kubeconfig is there only while the daemon is ready.
fn remove_kubeconfig(state_dir: &StateDir) -> Result<()> {
    let path = state_dir.kubeconfig();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Tells systemd and its like; does nothing where there is none.
fn notify_service_manager() {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "the service manager could not be told that the daemon is ready");
    }
}

/// Waits for a task whose failure is worth a line but must not stop the shutdown.
async fn join<T>(what: &str, task: tokio::task::JoinHandle<T>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "{what} failed");
    }
}
