//! Watching our own mirrors and the App.

use futures::{StreamExt, TryStreamExt};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use rdd_api::{APP_NAME, App};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
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
}

/// Starts all watches. They end when the set is dropped or the receiver is.
pub(crate) fn start(client: &Client, tasks: &mut JoinSet<()>) -> mpsc::Receiver<Heard> {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    tasks.spawn(mirrors::<rdd_api::Container>(
        client.clone(),
        sender.clone(),
    ));
    tasks.spawn(mirrors::<rdd_api::Image>(client.clone(), sender.clone()));
    tasks.spawn(mirrors::<rdd_api::Volume>(client.clone(), sender.clone()));
    tasks.spawn(mirrors::<rdd_api::ContainerNamespace>(
        client.clone(),
        sender.clone(),
    ));
    tasks.spawn(app(client.clone(), sender));
    receiver
}

/// All namespaces: a mirror that was left behind in another one has to go, too.
async fn mirrors<K: Mirrored>(client: Client, sender: mpsc::Sender<Heard>) {
    let api: Api<Watched<K>> = Api::all(client);
    let mut events = watcher(api, watcher::Config::default())
        .default_backoff()
        .boxed();
    loop {
        let news = match events.try_next().await {
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
    let api: Api<App> = Api::all(client);
    let config = watcher::Config::default().fields(&format!("metadata.name={APP_NAME}"));
    let mut events = watcher(api, config).default_backoff().boxed();
    let mut listed = None;
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
        if sender.send(Heard::App(heard)).await.is_err() {
            return;
        }
    }
}
