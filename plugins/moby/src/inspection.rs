//! Inspection of objects (`inspect`).

use rdd_sdk::types::{Error, Inspection, Object, ObjectKind, ObjectRef};

use crate::backend::MobyBackend;
use crate::{objects, record, time};

/// Inspects an object.
pub(crate) async fn run(moby: &MobyBackend, object: &ObjectRef) -> Result<Inspection, Error> {
    let ObjectRef {
        kind,
        namespace,
        id,
    } = object;
    if namespace != record::NAMESPACE {
        return Err(objects::unknown_namespace(namespace));
    }
    let (mut object, raw) = match kind {
        ObjectKind::Container => {
            let (container, response) = objects::inspect_container(&moby.client, id).await?;
            let raw = record::redacted_json(&response.body)?;
            (
                Object::Container(record::container_from_inspect(container)),
                raw,
            )
        }
        ObjectKind::Image => {
            let (image, response) = objects::inspect_image(&moby.client, id).await?;
            let raw = record::redacted_json(&response.body)?;
            (Object::Image(record::image_from_inspect(image)), raw)
        }
        ObjectKind::Volume => {
            let (volume, response) = objects::inspect_volume(&moby.client, id).await?;
            let raw = record::redacted_json(&response.body)?;
            let times = moby.volume_times.borrow();
            let created = times.reported(&volume.name, time::parse(&volume.created_at));
            (
                Object::Volume(record::volume_from_model(volume, created)),
                raw,
            )
        }
        ObjectKind::Namespace if id == record::NAMESPACE => {
            (Object::Namespace(id.clone()), String::new())
        }
        ObjectKind::Namespace => {
            return Err(objects::unknown_namespace(id));
        }
    };
    record::fit_to_limits(&mut object);
    Ok(Inspection { object, raw })
}
