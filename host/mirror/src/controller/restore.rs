//! Handles the deletion and recreation of definitions, namespaces, and the App.

use kube::Client;
use kube::api::{Api, PostParams};
use rdd_api::App;
use tracing::{info, warn};

use super::tasks::{TaskError, TaskKind, TaskOutput};
use super::{ControllerTimer, MirrorController};

impl MirrorController {
    /// Handles the deletion or recreation of a definition or a namespace.
    pub(super) fn on_installation_changed(&mut self) {
        let installation = self.installation.state.borrow_and_update().clone();
        if installation.problem.is_none() {
            info!("all definitions and namespaces exist");
        }
        self.state.set_blocked(installation.blocked);
        self.installation.relist.send_modify(|count| *count += 1);
        if installation.has_app && self.installation.app_needs_restore {
            self.restore_app();
        }
    }

    /// Handles the deletion of the App together with its definition. No client
    /// deleted it, so its spec still applies.
    pub(super) fn on_app_lost(&mut self) {
        self.installation.app_needs_restore = true;
        if self.installation.state.borrow().has_app {
            self.restore_app();
        }
    }

    /// Recreates the App with its previous spec, labels, and annotations.
    pub(super) fn restore_app(&mut self) {
        let Some(app) = self
            .app
            .as_ref()
            .filter(|_| self.installation.app_needs_restore)
        else {
            return;
        };
        let mut restored = App::new(rdd_api::APP_NAME, app.spec.clone());
        restored.metadata.labels.clone_from(&app.metadata.labels);
        restored
            .metadata
            .annotations
            .clone_from(&app.metadata.annotations);
        let client = self.options.client.clone();
        self.spawn(TaskKind::RestoreApp, async move {
            let result = create_app(client, &restored).await;
            TaskOutput::AppRestore(result.map_err(TaskError::from))
        });
    }

    /// Handles the result of recreating the App. Its watch reports the new App.
    pub(super) fn on_app_restored(&mut self, result: Result<(), TaskError>) {
        match result {
            Ok(()) => info!("recreated the App with its previous spec"),
            Err(error) => {
                warn!(%error, "cannot recreate the App, retrying");
                let delay = self.options.timing.prune_check_interval;
                self.timers.insert(ControllerTimer::RestoreApp, delay);
            }
        }
    }
}

async fn create_app(client: Client, app: &App) -> Result<(), kube::Error> {
    let api: Api<App> = Api::all(client);
    match api.create(&PostParams::default(), app).await {
        Ok(_) => Ok(()),
        // Created concurrently; any App will do.
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(error),
    }
}
