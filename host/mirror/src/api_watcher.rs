//! Watches the mirrors and the App in the API.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, CustomResourceExt};
use rdd_api::{APP_NAME, App, Time};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{Instrument as _, warn};

use crate::mirror_resource::{MirrorResource, WatchedMirror};
use crate::state::MirrorEvent;

/// Capacity of the channel to the controller, in events: enough for a burst,
/// and small compared with the memory of the objects themselves. A full channel
/// slows the watches down.
const CHANNEL_CAPACITY: usize = 256;

/// An event of a watch of the API.
#[derive(Debug)]
pub(crate) enum ApiEvent {
    Mirror(Box<MirrorEvent>),
    /// The current App; `None` if there is none.
    App(Option<Box<App>>),
    /// The App was deleted together with its definition, not by a client.
    AppLost,
}

/// Starts all watches. They end when the set or the receiver is dropped. Each
/// change of `relist` lists every mirrored kind again.
pub(crate) fn start(
    client: &Client,
    relist: &watch::Receiver<u64>,
    tasks: &mut JoinSet<()>,
) -> mpsc::Receiver<ApiEvent> {
    let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
    let mut watch = WatchSpawner {
        client,
        relist,
        sender: &sender,
        tasks,
    };
    watch.start::<rdd_api::Container>();
    watch.start::<rdd_api::Image>();
    watch.start::<rdd_api::Volume>();
    watch.start::<rdd_api::ContainerNamespace>();
    tasks.spawn(watch_app(client.clone(), sender).in_current_span());
    receiver
}

/// Starts the watches of the mirrored kinds.
struct WatchSpawner<'a> {
    client: &'a Client,
    relist: &'a watch::Receiver<u64>,
    sender: &'a mpsc::Sender<ApiEvent>,
    tasks: &'a mut JoinSet<()>,
}

impl WatchSpawner<'_> {
    fn start<K: MirrorResource>(&mut self) {
        let client = self.client.clone();
        let watch = watch_mirrors::<K>(client, self.relist.clone(), self.sender.clone());
        self.tasks.spawn(watch.in_current_span());
    }
}

/// Watches one kind in all namespaces, because orphans in other namespaces must
/// be pruned, too.
async fn watch_mirrors<K: MirrorResource>(
    client: Client,
    mut relist: watch::Receiver<u64>,
    sender: mpsc::Sender<ApiEvent>,
) {
    let api: Api<WatchedMirror<K>> = Api::all(client);
    let start = || {
        watcher(api.clone(), watcher::Config::default())
            .default_backoff()
            .boxed()
    };
    let mut events = start();
    loop {
        let event = tokio::select! {
            event = events.try_next() => event,
            Ok(()) = relist.changed() => {
                // The definition exists again, but a watch that failed in the
                // meantime would first wait for its back-off.
                events = start();
                continue;
            }
        };
        let event = match event {
            Ok(Some(watcher::Event::Init)) => Some(MirrorEvent::Init(K::KIND)),
            Ok(Some(watcher::Event::InitApply(object) | watcher::Event::Apply(object))) => {
                object.into_object().map(MirrorEvent::Apply)
            }
            Ok(Some(watcher::Event::Delete(object))) => {
                object.into_object().map(MirrorEvent::Delete)
            }
            Ok(Some(watcher::Event::InitDone)) => Some(MirrorEvent::InitDone(K::KIND)),
            Ok(None) => return,
            Err(error) => {
                warn!(kind = K::KIND.as_str(), %error, "watch of mirrors failed, retrying");
                None
            }
        };
        if let Some(event) = event
            && sender
                .send(ApiEvent::Mirror(Box::new(event)))
                .await
                .is_err()
        {
            return;
        }
    }
}

async fn watch_app(client: Client, sender: mpsc::Sender<ApiEvent>) {
    let api: Api<App> = Api::all(client.clone());
    let config = watcher::Config::default().fields(&format!("metadata.name={APP_NAME}"));
    let mut events = watcher(api, config).default_backoff().boxed();
    let mut listed = None;
    let mut created: Option<Time> = None;
    loop {
        let app = match events.try_next().await {
            Ok(Some(watcher::Event::Init)) => {
                listed = None;
                continue;
            }
            Ok(Some(watcher::Event::InitApply(app))) => {
                listed = Some(Box::new(app));
                continue;
            }
            Ok(Some(watcher::Event::InitDone)) => listed.take(),
            Ok(Some(watcher::Event::Apply(app))) => Some(Box::new(app)),
            Ok(Some(watcher::Event::Delete(_))) => None,
            Ok(None) => return,
            Err(error) => {
                warn!(%error, "watch of the App failed, retrying");
                continue;
            }
        };
        let event = match app {
            Some(app) => {
                created = app.metadata.creation_timestamp.clone();
                ApiEvent::App(Some(app))
            }
            None if was_deleted_with_definition(&client, created.as_ref()).await => {
                ApiEvent::AppLost
            }
            None => ApiEvent::App(None),
        };
        if sender.send(event).await.is_err() {
            return;
        }
    }
}

/// Returns whether a deleted App with this creation time was deleted together
/// with its definition, and not by a client. For why this can be determined,
/// see `deletion_check`.
async fn was_deleted_with_definition(client: &Client, created: Option<&Time>) -> bool {
    /// Delay before a definition that could not be read is read again.
    const RETRY_DELAY: Duration = Duration::from_secs(1);
    let name = <App as CustomResourceExt>::crd_name();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    loop {
        match api.get_metadata_opt(name).await {
            Ok(None) => return true,
            Ok(Some(definition)) => {
                let metadata = definition.metadata;
                let is_newer = match (created, &metadata.creation_timestamp) {
                    (Some(app), Some(definition)) => app.0 < definition.0,
                    _ => false,
                };
                return metadata.deletion_timestamp.is_some() || is_newer;
            }
            Err(error) => warn!(%error, "cannot read the definition of the App, retrying"),
        }
        sleep(RETRY_DELAY).await;
    }
}
