//! The parts of a running daemon, in the order in which they start and end.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use rdd_apiserver::{AdmissionPolicy, ServerTask};
use rdd_core::{BackendRegistry, ServingSnapshot};
use rdd_gateway::{Certificates, DaemonPhase, Guard, Kubeconfig, Token};
use rdd_mirror::MirrorProgress;
use rdd_passthrough::Passthrough;
use rdd_plugin::{EngineEndpoint, PluginHost, TlsFiles, redact_password};
use tokio::sync::watch;
use tower::util::BoxCloneSyncService;

use super::announce::{self, Discovery};
use super::banner::Banner;
use super::cluster::Cluster;
use super::config_map::{ConfigMapContent, OwnConfigMap};
use super::descriptors::DescriptorBudget;
use super::supervisor::{Supervisor, TaskHandle};
use super::{
    GRACE, admission, listen, metrics, notify_service_manager, plugin_reports, remove_kubeconfig,
};
use crate::cli::ServeArgs;
use crate::endpoint::{Environment, Found};
use crate::progress_line::ProgressLine;
use crate::state_dir::StateDir;
use crate::{compiler, output, plugins};

/// A daemon whose parts all run, but which is not ready yet.
pub(super) struct Daemon {
    pub(super) supervisor: Arc<Supervisor>,
    state_dir: StateDir,
    banner: Banner,
    kubeconfig: KubeconfigSource,
    cluster: Cluster,
    plugin_host: Arc<PluginHost>,
    passthrough: Passthrough,
    serving: watch::Receiver<ServingSnapshot>,
    progress: watch::Receiver<MirrorProgress>,
    discovery: Discovery,
    discovery_map: OwnConfigMap,
    /// What the task `discovery` keeps written, once the daemon is ready.
    announced: watch::Sender<Option<ConfigMapContent>>,
    listener: TaskHandle,
    /// Those that write to the API, in the order in which they end.
    writers: Vec<TaskHandle>,
    /// Those that look at the tasks of the API server and of the plugin host.
    observers: Vec<TaskHandle>,
}

/// What the kubeconfig of the embedded API server is made from.
struct KubeconfigSource {
    address: std::net::SocketAddr,
    namespace: String,
    bundle_pem: String,
    token: Token,
}

impl Daemon {
    /// Starts every part. The listener answers health checks from here on, and
    /// everything else with 503.
    pub(super) async fn start(
        state_dir: StateDir,
        args: ServeArgs,
        progress_line: ProgressLine,
        start_time: Timestamp,
    ) -> Result<Self> {
        let ServeArgs {
            listen,
            engine_endpoint,
            backend,
            plugin_dirs,
            kubeconfig,
            read_only,
            log_format,
            log: _,
            allowed_hosts,
            trusted_origins,
            resync,
        } = args;
        let descriptors = DescriptorBudget::raise()?;
        let Found {
            url,
            tls_dir,
            source,
        } = Environment::read().find(engine_endpoint.as_deref())?;
        let shown = redact_password(&url);
        let unusable = || format!("cannot use the engine endpoint {shown:?} (from {source})");
        let mut endpoint = EngineEndpoint::parse(&url).with_context(unusable)?;
        if let Some(dir) = tls_dir {
            endpoint = endpoint
                .with_tls(TlsFiles::in_dir(dir))
                .with_context(unusable)?;
        }
        let banner = Banner::new(log_format, progress_line, &shown, &source);

        let names: Vec<String> = allowed_hosts.iter().map(ToString::to_string).collect();
        let certificates = Certificates::load_or_create(&state_dir.tls(), &names, start_time)?;
        let instance = state_dir.instance_id()?;
        let token = Token::load_or_create(&state_dir.token())?;
        let supervisor = Arc::new(Supervisor::new());
        let mirrors_namespace: Arc<OnceLock<String>> = Arc::default();
        let cluster = match &kubeconfig {
            Some(path) => Cluster::external(path).await?,
            None => {
                let mut policies: Vec<Arc<dyn AdmissionPolicy>> = vec![Arc::new(
                    admission::ProtectedObjects::new(mirrors_namespace.clone()),
                )];
                if read_only {
                    policies.push(Arc::new(admission::ReadOnly));
                }
                Cluster::embedded(&state_dir, &token, policies).await?
            }
        };
        let client = cluster.client();
        let mut observers = observe(&supervisor, &cluster);

        // Loading begins before anything else that takes time, and goes on beside it.
        let plugin_dirs = plugin_dirs.or_default();
        let mut plugin_options = rdd_plugin::PluginHostOptions::new(
            plugin_dirs.clone(),
            state_dir.plugin_cache(),
            endpoint,
        );
        plugin_options.compiler = compiler::compiler(state_dir.plugin_cache());
        let plugin_host = PluginHost::start(plugin_options)
            .await
            .context("cannot start the plugin host")?;
        if let Some(name) = &backend {
            plugins::check_backend(&plugin_host, &plugin_dirs, name)?;
        }
        let plugin_host = Arc::new(plugin_host);
        let observed = plugin_host.clone();
        observers.push(supervisor.spawn("plugin-host", |stop| async move {
            tokio::select! {
                cause = observed.wait_for_panic() => bail!(cause),
                () = stop.cancelled() => Ok(()),
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
            max_streams: descriptors.streams,
        });
        let metrics = metrics::Metrics::new(start_time, passthrough.clone(), serving.clone());
        let front = listen::bind(
            &state_dir,
            rdd_gateway::GatewayOptions {
                listen,
                tls: certificates.server.clone(),
                authenticator: cluster.authenticator(token.clone()),
                guard: Guard::new(&allowed_hosts, &trusted_origins),
                passthrough: BoxCloneSyncService::new(passthrough.clone()),
                api: cluster.handler(),
                metrics: Arc::new(move || metrics.render()),
                health: supervisor.health(),
                limits: descriptors.connections,
                grace: GRACE,
            },
        )
        .await?;
        let address = front.address();
        let listener = supervisor.spawn("listener", |stop| async move {
            front.serve(stop.cancelled_owned()).await;
            Ok(())
        });

        let discovery = Discovery::new(address, start_time);
        let discovery_map = announce::own(client.clone(), &discovery, &instance);
        announce::withdraw_earlier(&discovery_map).await?;
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

        let (announced, to_keep) = watch::channel(None);
        let writers = vec![
            supervisor.spawn("mirror", |stop| async move {
                rdd_mirror::run(mirror, stop).await;
                Ok(())
            }),
            supervisor.spawn("plugin-reports", |stop| {
                let own = plugin_reports::own(client, &discovery.boot_id, &instance);
                let file = state_dir.plugin_reports();
                plugin_reports::publish(own, file, plugin_host.clone(), progress.clone(), stop)
            }),
            supervisor.spawn("discovery", |stop| {
                discovery_map.clone().keep(to_keep, progress.clone(), stop)
            }),
        ];
        Ok(Self {
            supervisor,
            state_dir,
            banner,
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
            discovery,
            discovery_map,
            announced,
            listener,
            writers,
            observers,
        })
    }

    /// Becomes ready, and tells of the engine from then on.
    pub(super) async fn run(&mut self, started: Instant) -> Result<()> {
        self.become_ready().await?;
        let Self {
            state_dir,
            banner,
            kubeconfig: KubeconfigSource { address, .. },
            serving,
            progress,
            ..
        } = self;
        banner.ready(started.elapsed(), *address, state_dir);
        banner.follow(serving.clone(), progress.clone()).await;
        bail!("nobody tells any more what becomes of the engine")
    }

    async fn become_ready(&mut self) -> Result<()> {
        self.plugin_host.wait_until_loaded().await;
        let mirrors = self
            .progress
            .wait_for(|progress| progress.ready)
            .await
            .context("the controllers ended before they were ready")?
            .standby
            .is_none();
        let content = announce::content(&self.discovery)?;
        // Else it is another instance's to be found, until this one mirrors.
        if mirrors {
            announce::announce(&self.discovery_map, &content).await?;
        }
        rdd_core::write_private(&self.state_dir.discovery(), content.value.as_bytes())?;
        self.announced.send_replace(Some(content));
        let path = self.state_dir.kubeconfig();
        match self.cluster.kubeconfig() {
            None => Kubeconfig {
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
        self.supervisor.enter(DaemonPhase::Ready);
        notify_service_manager(sd_notify::NotifyState::Ready);
        Ok(())
    }

    /// Ends in this order: nobody new is told that we are here; viewers are
    /// told that we go; then what they were reading from ends.
    pub(super) async fn shutdown(self) -> Result<()> {
        let Self {
            supervisor: _,
            state_dir,
            banner: _,
            kubeconfig: _,
            cluster,
            plugin_host,
            passthrough,
            serving: _,
            progress: _,
            discovery: _,
            discovery_map,
            announced: _announced,
            listener,
            writers,
            observers,
        } = self;
        remove_kubeconfig(&state_dir)?;
        passthrough.drain().await;
        for task in writers {
            task.stop().await;
        }
        if let Err(error) = announce::withdraw_own(&discovery_map).await {
            tracing::warn!(
                error = output::describe(&error),
                "the next start will do it"
            );
        }
        // The listener waits for requests under way: a watch would be one for ever.
        if let Some(server) = cluster.server() {
            server.end_watches();
        }
        listener.stop().await;
        plugin_host.shutdown().await;
        for task in observers {
            task.stop().await;
        }
        cluster.close().await;
        Ok(())
    }
}

/// The tasks of the embedded API server fail like our own.
fn observe(supervisor: &Supervisor, cluster: &Cluster) -> Vec<TaskHandle> {
    let Some(server) = cluster.server() else {
        return Vec::new();
    };
    let observe = |task: ServerTask| {
        let server = server.clone();
        supervisor.spawn(task.name(), move |stop| async move {
            tokio::select! {
                cause = server.task_failed(task) => bail!(cause),
                () = stop.cancelled() => Ok(()),
            }
        })
    };
    ServerTask::ALL.map(observe).into()
}
