//! Watching our own mirrors and the App.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, CustomResourceExt};
use rdd_api::{APP_NAME, App, Time};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

use crate::api::{Mirrored, Watched};
use crate::state::News;

/// News that may wait for the controller: enough for a burst, little against
/// the memory of the objects themselves. A full channel slows the watch down.
const BACKLOG: usize = 256;

/// What a watch says.
#[derive(Debug)]
pub(crate) enum Heard {
    Mirror(Box<News>),
    /// The App as it is, or that there is none.
    App(Option<Box<App>>),
    /// The App went with its definition: nobody deleted it.
    AppLost,
}

/// Starts all watches. They end when the set is dropped or the receiver is.
/// `relist` has every kind of mirror listed anew each time it changes.
pub(crate) fn start(
    client: &Client,
    relist: &watch::Receiver<u64>,
    tasks: &mut JoinSet<()>,
) -> mpsc::Receiver<Heard> {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let mut watch = Watch {
        client,
        relist,
        sender: &sender,
        tasks,
    };
    watch.start::<rdd_api::Container>();
    watch.start::<rdd_api::Image>();
    watch.start::<rdd_api::Volume>();
    watch.start::<rdd_api::ContainerNamespace>();
    tasks.spawn(app(client.clone(), sender));
    receiver
}

/// What each watch of mirrors needs.
struct Watch<'a> {
    client: &'a Client,
    relist: &'a watch::Receiver<u64>,
    sender: &'a mpsc::Sender<Heard>,
    tasks: &'a mut JoinSet<()>,
}

impl Watch<'_> {
    fn start<K: Mirrored>(&mut self) {
        let client = self.client.clone();
        let watch = mirrors::<K>(client, self.relist.clone(), self.sender.clone());
        self.tasks.spawn(watch);
    }
}

/// All namespaces: a mirror that was left behind in another one has to go, too.
async fn mirrors<K: Mirrored>(
    client: Client,
    mut relist: watch::Receiver<u64>,
    sender: mpsc::Sender<Heard>,
) {
    let api: Api<Watched<K>> = Api::all(client);
    let begin = || {
        watcher(api.clone(), watcher::Config::default())
            .default_backoff()
            .boxed()
    };
    let mut events = begin();
    loop {
        let event = tokio::select! {
            event = events.try_next() => event,
            Ok(()) = relist.changed() => {
                // Its definition is there again: a watch that has failed
                // meanwhile would wait for its back-off.
                events = begin();
                continue;
            }
        };
        let news = match event {
            Ok(Some(watcher::Event::Init)) => Some(News::Begin(K::KIND)),
            Ok(Some(watcher::Event::InitApply(object) | watcher::Event::Apply(object))) => {
                object.into_object().map(News::Object)
            }
            Ok(Some(watcher::Event::Delete(object))) => object.into_object().map(News::Deleted),
            Ok(Some(watcher::Event::InitDone)) => Some(News::Done(K::KIND)),
            Ok(None) => return,
            Err(error) => {
                warn!(
                    kind = K::KIND.as_str(),
                    "the watch of mirrors failed, trying again: {error}"
                );
                None
            }
        };
        if let Some(news) = news
            && sender.send(Heard::Mirror(Box::new(news))).await.is_err()
        {
            return;
        }
    }
}

async fn app(client: Client, sender: mpsc::Sender<Heard>) {
    let api: Api<App> = Api::all(client.clone());
    let config = watcher::Config::default().fields(&format!("metadata.name={APP_NAME}"));
    let mut events = watcher(api, config).default_backoff().boxed();
    let mut listed = None;
    let mut created: Option<Time> = None;
    loop {
        let heard = match events.try_next().await {
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
                warn!("the watch of the App failed, trying again: {error}");
                continue;
            }
        };
        let heard = match heard {
            Some(app) => {
                created = app.metadata.creation_timestamp.clone();
                Heard::App(Some(app))
            }
            None if went_with_its_definition(&client, created.as_ref()).await => Heard::AppLost,
            None => Heard::App(None),
        };
        if sender.send(heard).await.is_err() {
            return;
        }
    }
}

/// Whether an App that is no more, made at that time, went with its definition
/// and not by itself; see `deletion_check` for why this can be told.
async fn went_with_its_definition(client: &Client, created: Option<&Time>) -> bool {
    /// How soon a definition that could not be read is tried again.
    const RETRY: Duration = Duration::from_secs(1);
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
            Err(error) => warn!(%error, "cannot read the definition of the App, trying again"),
        }
        sleep(RETRY).await;
    }
}
