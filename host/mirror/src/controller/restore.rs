//! What is done when definitions, namespaces or the App go and come again.

use kube::Client;
use kube::api::{Api, PostParams};
use rdd_api::App;
use tracing::{info, warn};

use super::work::{Done, Task};
use super::{Controller, Due};

impl Controller {
    /// A definition or the namespace of the mirrors has gone or come.
    pub(super) fn on_installation(&mut self) {
        let installation = self.surroundings.installation.borrow_and_update().clone();
        if installation.problem.is_none() {
            info!("all definitions and namespaces are there");
        }
        self.state.set_blocked(installation.blocked);
        self.surroundings.relist.send_modify(|count| *count += 1);
        if installation.has_app && self.surroundings.app_lost {
            self.restore_app();
        }
    }

    /// The App is gone, and nobody has deleted it. What it asked for still
    /// holds.
    pub(super) fn on_app_lost(&mut self) {
        self.surroundings.app_lost = true;
        if self.surroundings.installation.borrow().has_app {
            self.restore_app();
        }
    }

    /// Makes the App again as it was.
    pub(super) fn restore_app(&mut self) {
        let Some(app) = self.app.as_ref().filter(|_| self.surroundings.app_lost) else {
            return;
        };
        let mut again = App::new(rdd_api::APP_NAME, app.spec.clone());
        again.metadata.labels.clone_from(&app.metadata.labels);
        again
            .metadata
            .annotations
            .clone_from(&app.metadata.annotations);
        let client = self.options.client.clone();
        self.spawn(Task::RestoreApp, async move {
            let restored = create(client, &again).await;
            Done::AppRestored(restored.map_err(|error| error.to_string()))
        });
    }

    /// Takes in whether the App was made again; the watch tells more.
    pub(super) fn on_app_restored(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => info!("the App was made again as it was"),
            Err(error) => {
                warn!(%error, "cannot make the App again");
                let delay = self.options.timing.sweep_check;
                self.timers.insert(Due::RestoreApp, delay);
            }
        }
    }
}

async fn create(client: Client, app: &App) -> Result<(), kube::Error> {
    let api: Api<App> = Api::all(client);
    match api.create(&PostParams::default(), app).await {
        Ok(_) => Ok(()),
        // Somebody was faster; theirs is as good.
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(error),
    }
}
