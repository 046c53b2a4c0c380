//! The parts of a running daemon, and the order in which they start and shut
//! down.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::future::join_all;
use http::HeaderMap;
use jiff::Timestamp;
use rdd_apiserver::AdmissionPolicy;
use rdd_core::{BackendRegistry, ServingSnapshot};
use rdd_gateway::{
    BearerToken, CertificateSet, DaemonPhase, Gateway, HostOriginPolicy, InstanceKubeconfig,
};
use rdd_mirror::MirrorProgress;
use rdd_passthrough::Passthrough;
use rdd_plugin::{EngineEndpoint, PluginHost, TlsFiles, redact_password};
use tokio::sync::watch;
use tower::util::BoxCloneSyncService;

use super::args::ServeArgs;
use super::cluster::ClusterConnection;
use super::config_map::{ConfigMapSpec, ConfigMapWriter};
use super::console::ConsoleWriter;
use super::descriptors::DescriptorBudget;
use super::supervisor::{TaskHandle, TaskSupervisor};
use super::web::WebPage;
use super::{
    SHUTDOWN_GRACE, admission, discovery, label_selector, listener, metrics,
    notify_service_manager, plugin_reports, remove_kubeconfig,
};
use crate::discovery_entry::DiscoveryEntry;
use crate::docker_config::DockerCredentialStore;
use crate::docker_context::{DockerEnvironment, ResolvedEndpoint};
use crate::progress_line::ProgressLine;
use crate::state_dir::StateDir;
use crate::{compiler, output, plugins};

/// How long readiness waits for the selected backend, which is usually loaded
/// sooner than the rest of the daemon. Compiling a large one for the first time
/// takes minutes.
const BACKEND_LOAD_LIMIT: Duration = Duration::from_secs(10);

/// The running parts of the daemon.
pub(super) struct DaemonHandle {
    pub(super) supervisor: Arc<TaskSupervisor>,
    state_dir: StateDir,
    console: ConsoleWriter,
    kubeconfig: KubeconfigSource,
    cluster: ClusterConnection,
    plugin_host: Arc<PluginHost>,
    passthrough: Passthrough,
    serving: watch::Receiver<ServingSnapshot>,
    progress: watch::Receiver<MirrorProgress>,
    /// The backend that the App selected at the start.
    backend: String,
    discovery: DiscoveryEntry,
    discovery_config_map: ConfigMapWriter,
    /// The content that the task `discovery` publishes once the daemon is ready.
    published: watch::Sender<Option<ConfigMapSpec>>,
    listeners: Vec<TaskHandle>,
    /// The tasks that write to the API, in the order of their shutdown.
    writers: Vec<TaskHandle>,
    /// The tasks that observe the API server and the plugin host.
    observers: Vec<TaskHandle>,
}

/// The content of the kubeconfig for the embedded API server.
struct KubeconfigSource {
    address: std::net::SocketAddr,
    namespace: String,
    bundle_pem: String,
    token: BearerToken,
}

impl DaemonHandle {
    /// Starts every part. From here on, the listener serves health checks, and
    /// returns 503 for everything else.
    pub(super) async fn start(
        state_dir: StateDir,
        args: ServeArgs,
        progress_line: ProgressLine,
        start_time: Timestamp,
    ) -> Result<Self> {
        let ServeArgs {
            listen,
            web,
            no_web,
            engine_endpoint,
            backend,
            plugin_dirs,
            kubeconfig,
            read_only,
            log_format,
            log: _,
            allowed_hosts,
            trusted_origins,
            audit,
            resync,
        } = args;
        let descriptors = DescriptorBudget::raise()?;
        let docker_environment = DockerEnvironment::read();
        let ResolvedEndpoint {
            url,
            tls_dir,
            source,
        } = docker_environment.resolve(engine_endpoint.as_deref())?;
        let display_url = redact_password(&url);
        let unusable = || format!("cannot use the engine endpoint {display_url:?} (from {source})");
        let mut endpoint = EngineEndpoint::parse(&url).with_context(unusable)?;
        if let Some(dir) = tls_dir {
            endpoint = endpoint
                .with_tls(TlsFiles::in_dir(dir))
                .with_context(unusable)?;
        }
        let console = ConsoleWriter::new(log_format, progress_line, &display_url, &source);

        let names: Vec<String> = allowed_hosts.iter().map(ToString::to_string).collect();
        let certificates = CertificateSet::load_or_create(&state_dir.tls(), &names, start_time)?;
        let instance = state_dir.instance_id()?;
        let token = BearerToken::load_or_create(&state_dir.token())?;
        let supervisor = Arc::new(TaskSupervisor::new());
        let mirrors_namespace: Arc<OnceLock<String>> = Arc::default();
        let mut cluster = match &kubeconfig {
            Some(path) => ClusterConnection::external(path, &audit).await?,
            None => {
                let mut policies: Vec<Arc<dyn AdmissionPolicy>> = vec![Arc::new(
                    admission::ProtectedObjectsPolicy::new(mirrors_namespace.clone()),
                )];
                if read_only {
                    policies.push(Arc::new(admission::ReadOnlyPolicy));
                }
                ClusterConnection::embedded(&state_dir.database(), &token, policies, audit).await?
            }
        };
        let client = cluster.client();
        let mut observers = cluster.observe(&supervisor);

        // Backends load in the background, so this starts before other slow parts.
        let plugin_dirs = plugin_dirs.into_dirs();
        let mut plugin_options = rdd_plugin::PluginHostOptions::new(
            plugin_dirs.clone(),
            state_dir.plugin_cache(),
            endpoint,
        );
        plugin_options.credentials =
            Arc::new(DockerCredentialStore::new(docker_environment.config_dir()));
        plugin_options.compiler = compiler::compiler(state_dir.plugin_cache());
        let plugin_host = PluginHost::start(plugin_options)
            .await
            .context("cannot start the plugin host")?;
        if let Some(name) = &backend {
            plugins::check_backend(&plugin_host, &plugin_dirs, name)?;
        }
        let plugin_host = Arc::new(plugin_host);
        let observed_host = plugin_host.clone();
        observers.push(supervisor.spawn("plugin-host", |shutdown| async move {
            tokio::select! {
                cause = observed_host.wait_for_panic() => bail!(cause),
                () = shutdown.cancelled() => Ok(()),
            }
        }));

        let (mut mirror, serving, progress) = rdd_mirror::MirrorOptions::new(
            client.clone(),
            plugin_host.clone() as Arc<dyn BackendRegistry>,
            instance.clone(),
        );
        mirror.read_only = read_only;
        mirror.timing.resync_interval = resync;

        let passthrough = Passthrough::new(rdd_passthrough::PassthroughOptions {
            serving: serving.clone(),
            containers: mirror.containers.subscribe(),
            max_streams: descriptors.streams,
            read_only,
            parse_selector: label_selector::parse,
        });
        let daemon_metrics = metrics::DaemonCollector {
            start_time,
            passthrough: passthrough.clone(),
            serving: serving.clone(),
            progress: progress.clone(),
            mirror: mirror.metrics.clone(),
            api_server: cluster.api_server().cloned(),
        };
        let measured_host = plugin_host.clone();
        let metrics =
            metrics::MetricsRegistry::new(daemon_metrics, move || measured_host.samples());
        let page = WebPage::new((!no_web).then_some(web));
        let options = rdd_gateway::GatewayOptions {
            listen,
            tls: Some(certificates.server.clone()),
            authenticator: page.authenticator(cluster.authenticator(token.clone())),
            access_scope: rdd_passthrough::access_scope,
            host_origin_policy: HostOriginPolicy::new(&allowed_hosts, &trusted_origins),
            page: page.routes(),
            response_headers: HeaderMap::new(),
            passthrough: BoxCloneSyncService::new(passthrough.clone()),
            recorder: cluster.access_recorder(&mirrors_namespace),
            api: cluster.handler(),
            metrics: metrics.into_handler(),
            health: supervisor.health(),
            limits: descriptors.connections,
            shutdown_grace: SHUTDOWN_GRACE,
        };
        let gateway = listener::bind(&state_dir.port(), options.clone()).await?;
        let address = gateway.address();
        let web_gateway = page.bind(&state_dir, descriptors.page, options).await?;
        let web_address = web_gateway.as_ref().map(Gateway::address);
        let serve = |name, gateway: Gateway| {
            supervisor.spawn(name, |shutdown| async move {
                gateway.serve(shutdown.cancelled_owned()).await;
                Ok(())
            })
        };
        let mut listeners = vec![serve("listener", gateway)];
        listeners.extend(web_gateway.map(|gateway| serve("web-listener", gateway)));

        let discovery = DiscoveryEntry::new(address, web_address, start_time);
        let discovery_config_map =
            discovery::config_map_writer(client.clone(), &discovery, &instance);
        discovery::withdraw_earlier_runs(&discovery_config_map).await?;
        rdd_mirror::apply_crds(&client)
            .await
            .context("cannot install the resource definitions")?;
        rdd_mirror::apply_policies(&client).await?;
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

        let (published, content) = watch::channel(None);
        let writers = vec![
            supervisor.spawn("mirror", |shutdown| async move {
                rdd_mirror::run(mirror, shutdown).await;
                Ok(())
            }),
            supervisor.spawn("plugin-reports", |shutdown| {
                let writer =
                    plugin_reports::config_map_writer(client, &discovery.boot_id, &instance);
                let file = state_dir.plugin_reports();
                plugin_reports::publish(
                    writer,
                    file,
                    plugin_host.clone(),
                    progress.clone(),
                    shutdown,
                )
            }),
            supervisor.spawn("discovery", |shutdown| {
                discovery_config_map
                    .clone()
                    .keep_written(content, progress.clone(), shutdown)
            }),
        ];
        Ok(Self {
            supervisor,
            state_dir,
            console,
            kubeconfig: KubeconfigSource {
                address,
                namespace: app.spec.namespace,
                bundle_pem: certificates.bundle_pem,
                token,
            },
            cluster,
            plugin_host,
            passthrough,
            serving,
            progress,
            backend: app.spec.container_engine.name,
            discovery,
            discovery_config_map,
            published,
            listeners,
            writers,
            observers,
        })
    }

    /// Waits until the daemon is ready, announces it, and then prints the state of
    /// the engine.
    pub(super) async fn run(&mut self, started: Instant) -> Result<()> {
        self.become_ready().await?;
        let Self {
            state_dir,
            console,
            kubeconfig: KubeconfigSource { address, .. },
            serving,
            progress,
            discovery,
            ..
        } = self;
        let web_endpoint = discovery.web_endpoint.as_deref();
        console.print_ready(started.elapsed(), *address, web_endpoint, state_dir);
        console
            .print_changes(serving.clone(), progress.clone())
            .await;
        bail!("the state of the engine is no longer updated")
    }

    async fn become_ready(&mut self) -> Result<()> {
        let loading = self.plugin_host.wait_until_backend_loaded(&self.backend);
        if tokio::time::timeout(BACKEND_LOAD_LIMIT, loading)
            .await
            .is_err()
        {
            tracing::warn!(
                backend = self.backend,
                "the backend is still being loaded; requests for its engine fail until it is"
            );
        }
        let mirrors = self
            .progress
            .wait_for(|progress| progress.ready)
            .await
            .context("the controllers ended before they were ready")?
            .standby
            .is_none();
        // Before it is announced: a client that finds the daemon is served.
        self.supervisor.set_phase(DaemonPhase::Ready);
        let content = discovery::content(&self.discovery)?;
        // Otherwise, clients have to find the instance that mirrors.
        if mirrors {
            discovery::announce(&self.discovery_config_map, &content).await?;
        }
        rdd_core::write_private(&self.state_dir.discovery(), content.value.as_bytes())?;
        self.published.send_replace(Some(content));
        let path = self.state_dir.kubeconfig();
        match self.cluster.kubeconfig() {
            None => InstanceKubeconfig {
                name: &self.state_dir.context_name(),
                namespace: &self.kubeconfig.namespace,
                address: self.kubeconfig.address,
                bundle_pem: &self.kubeconfig.bundle_pem,
                token: &self.kubeconfig.token,
            }
            .write(&path)?,
            Some(external) => {
                rdd_core::write_private(&path, serde_json::to_string_pretty(external)?.as_bytes())?;
            }
        }
        notify_service_manager(sd_notify::NotifyState::Ready);
        Ok(())
    }

    /// Shuts down in order: discovery is withdrawn, log sessions are closed, and
    /// then the parts that they depend on stop.
    pub(super) async fn shutdown(self) -> Result<()> {
        let Self {
            supervisor: _,
            state_dir,
            console: _,
            kubeconfig: _,
            cluster,
            plugin_host,
            passthrough,
            serving: _,
            progress: _,
            backend: _,
            discovery: _,
            discovery_config_map,
            published: _published,
            listeners,
            writers,
            observers,
        } = self;
        remove_kubeconfig(&state_dir)?;
        passthrough.shutdown().await;
        for task in writers {
            task.shutdown().await;
        }
        if let Err(error) = discovery::withdraw_this_run(&discovery_config_map).await {
            tracing::warn!(
                error = output::format_error_chain(&error),
                "cannot withdraw the readiness; the next start does it"
            );
        }
        // The listener waits for requests in flight, and watches never end.
        if let Some(server) = cluster.api_server() {
            server.end_watches();
        }
        // Both at once: each has the whole grace period.
        join_all(listeners.into_iter().map(TaskHandle::shutdown)).await;
        plugin_host.shutdown().await;
        for task in observers {
            task.shutdown().await;
        }
        cluster.close().await;
        Ok(())
    }
}
