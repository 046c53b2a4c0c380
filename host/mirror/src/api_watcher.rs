//! Watches the mirrors and the App in the API.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, CustomResourceExt};
use rdd_api::{APP_NAME, App, AppSpec, Time};
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

/// Delay before what could not be read is read again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

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
    let mut events = watcher(api.clone(), config).default_backoff().boxed();
    let mut listed = None;
    let mut origin: Option<AppOrigin> = None;
    let mut spec: Option<AppSpec> = None;
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
        let is_known = app
            .as_ref()
            .is_some_and(|app| spec.as_ref() == Some(&app.spec));
        // Most events are about the status.
        let app = match is_known {
            true => app,
            false => current_app(&api).await,
        };
        spec = app.as_ref().map(|app| app.spec.clone());
        let event = match app {
            Some(app) => {
                if origin
                    .as_ref()
                    .is_none_or(|known| known.app_uid != app.metadata.uid)
                {
                    origin = Some(AppOrigin::read(&client, &app).await);
                }
                ApiEvent::App(Some(app))
            }
            None if was_deleted_with_definition(&client, origin.as_ref()).await => {
                ApiEvent::AppLost
            }
            None => ApiEvent::App(None),
        };
        if sender.send(event).await.is_err() {
            return;
        }
    }
}

/// Returns the App as it is now. A watch that lags behind reports that mirroring was
/// switched off, or that the App was deleted, when both may have been undone long ago:
/// mirrors would be pruned for it, and deletions of clients be lost.
async fn current_app(api: &Api<App>) -> Option<Box<App>> {
    loop {
        match api.get_opt(APP_NAME).await {
            Ok(app) => return app.map(Box::new),
            Err(error) => warn!(%error, "cannot read the App, retrying"),
        }
        sleep(RETRY_DELAY).await;
    }
}

/// An App and the definition that it was created with.
struct AppOrigin {
    app_uid: Option<String>,
    created: Option<Time>,
    /// `None` if it could not be determined.
    definition_uid: Option<String>,
}

impl AppOrigin {
    async fn read(client: &Client, app: &App) -> Self {
        let definition_uid = definition_uid(client, app)
            .await
            // Without the UID, the creation times are compared.
            .inspect_err(|error| warn!(%error, "cannot read the definition of the App"))
            .ok()
            .flatten();
        Self {
            app_uid: app.metadata.uid.clone(),
            created: app.metadata.creation_timestamp.clone(),
            definition_uid,
        }
    }

    /// Returns whether `definition` is not the one that the App was created with.
    /// Times have a resolution of a second. If only they are known and equal, the
    /// answer is yes, which restores the App; the other one would delete mirrors.
    fn is_older_than(&self, definition: &ObjectMeta) -> bool {
        if let (Some(known), Some(current)) = (&self.definition_uid, &definition.uid) {
            return known != current;
        }
        match (&self.created, &definition.creation_timestamp) {
            (Some(app), Some(definition)) => app.0 <= definition.0,
            _ => false,
        }
    }
}

/// Returns the UID of the definition that `app` belongs to, or `None` if `app` is
/// gone by now. An API server deletes the App before its definition, so the
/// definition that was read belongs to an App that exists afterward.
async fn definition_uid(client: &Client, app: &App) -> Result<Option<String>, kube::Error> {
    let definition = definitions(client)
        .get_metadata_opt(App::crd_name())
        .await?;
    let apps: Api<App> = Api::all(client.clone());
    let current = apps.get_metadata_opt(APP_NAME).await?;
    let is_same = current.is_some_and(|current| current.metadata.uid == app.metadata.uid);
    Ok(definition
        .filter(|_| is_same)
        .and_then(|definition| definition.metadata.uid))
}

fn definitions(client: &Client) -> Api<CustomResourceDefinition> {
    Api::all(client.clone())
}

/// Returns whether a deleted App was deleted together with its definition, and
/// not by a client. For why this can be determined, see `deletion_check`.
async fn was_deleted_with_definition(client: &Client, origin: Option<&AppOrigin>) -> bool {
    let api = definitions(client);
    loop {
        match api.get_metadata_opt(App::crd_name()).await {
            Ok(None) => return true,
            Ok(Some(definition)) => {
                let metadata = definition.metadata;
                return metadata.deletion_timestamp.is_some()
                    || origin.is_some_and(|origin| origin.is_older_than(&metadata));
            }
            Err(error) => warn!(%error, "cannot read the definition of the App, retrying"),
        }
        sleep(RETRY_DELAY).await;
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn definition(uid: &str, second: i64) -> ObjectMeta {
        ObjectMeta {
            uid: Some(uid.to_owned()),
            creation_timestamp: Some(Time(Timestamp::from_second(second).unwrap())),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_definition_recreated_within_the_second_of_the_app_is_another_one() {
        let origin = |definition_uid: Option<&str>| AppOrigin {
            app_uid: Some("app".to_owned()),
            created: Some(Time(Timestamp::from_second(5).unwrap())),
            definition_uid: definition_uid.map(str::to_owned),
        };
        assert!(!origin(Some("a")).is_older_than(&definition("a", 5)));
        assert!(origin(Some("a")).is_older_than(&definition("b", 5)));
        assert!(origin(Some("a")).is_older_than(&definition("b", 6)));
        // If the UID is unknown, the times are compared.
        assert!(!origin(None).is_older_than(&definition("a", 4)));
        assert!(origin(None).is_older_than(&definition("b", 5)));
        assert!(origin(None).is_older_than(&definition("b", 6)));
    }
}
