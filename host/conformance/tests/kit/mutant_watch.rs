//! How an engine is watched, and its objects are shown, with one fault each.

use futures::{StreamExt, stream};
use rdd_core::*;

use crate::mutant_engine::{MutantEngine, error};
use crate::mutation::Mutation;
use crate::mutation::Mutation::*;

pub(crate) fn edit_container(object: &mut EngineObject, mutation: Mutation, is_inspected: bool) {
    let EngineObject::Container(container) = object else {
        return;
    };
    match mutation {
        KnowsNoCreationTimes => container.created_at = None,
        InspectsAnotherProcess if is_inspected && container.labels.is_empty() => container.pid += 1,
        TrimsNames => container.name = container.name.trim_matches('/').to_owned(),
        _ => {}
    }
}

impl MutantEngine {
    /// Decides which events of a watch are sent.
    pub(crate) fn watch_events(&self, stream: WatchStream) -> WatchStream {
        let mutation = self.mutation;
        let (mut is_listing, mut containers, mut held) = (true, 0, None::<WatchEvent>);
        stream
            .flat_map(move |event| {
                let mut events = Vec::new();
                match event {
                    Err(_) if mutation == EndsACutWatchWithInternal => {
                        events.push(Err(error(ErrorCode::Internal)));
                    }
                    Err(_) if mutation == EndsACutWatchWithoutAnError => {}
                    Err(error) => events.push(Err(error)),
                    Ok(mut event) => {
                        if let WatchEvent::Applied(object) = &mut event {
                            edit_container(object, mutation, false);
                        }
                        match &event {
                            WatchEvent::InitBegin => (is_listing, containers) = (true, 0),
                            WatchEvent::InitDone => is_listing = false,
                            _ => {}
                        }
                        let container = match &event {
                            WatchEvent::Applied(object) => match &**object {
                                EngineObject::Container(container) => Some(container.clone()),
                                _ => None,
                            },
                            _ => None,
                        };
                        if container.is_some() && is_listing {
                            containers += 1;
                        }
                        let kind = match &event {
                            WatchEvent::Applied(object) => Some(object.reference().kind),
                            WatchEvent::Removed(reference) => Some(reference.kind),
                            _ => None,
                        };
                        let in_other = matches!(&event, WatchEvent::Applied(object)
                            if object.namespace() == "other");
                        let is_removal = matches!(event, WatchEvent::Removed(_));
                        let label = container.as_ref().and_then(|c| c.labels.get("burst"));
                        let is_dropped = match mutation {
                            OmitsTheThirdContainer => {
                                is_listing && container.is_some() && containers == 3
                            }
                            OmitsTheOtherNamespace => is_listing && in_other,
                            DropsRemovals => is_removal && kind == Some(ObjectKind::Container),
                            DropsNamespaces => kind == Some(ObjectKind::Namespace),
                            LosesTheEndOfABurst => label.is_some_and(|label| label == "9999"),
                            _ => false,
                        };
                        let runs = container.is_some_and(|c| {
                            c.state == ContainerState::Running && c.labels.is_empty()
                        });
                        let is_twice =
                            mutation == ListsAnObjectTwice && is_listing && kind.is_some();
                        if mutation == HoldsBackThatAContainerRuns && runs && !is_listing {
                            held = Some(event);
                        } else if !is_dropped {
                            events.push(Ok(event.clone()));
                            events.extend(held.take().map(Ok));
                            events.extend(is_twice.then_some(Ok(event)));
                        }
                    }
                }
                stream::iter(events)
            })
            .boxed()
    }
}
