//! Objects as blocks of lines.

use bytes::{BufMut, BytesMut};
use rdd_core::{Container, EngineObject, Image, Timestamp, Volume};
use serde_json::json;

use crate::clock::nanoseconds;
use crate::protocol::{put_line, state_word};

/// Appends an object as a block.
pub(crate) fn put_object(buffer: &mut BytesMut, object: &EngineObject) {
    put_properties(buffer, object);
    buffer.put_u8(b'\n');
}

/// Appends an object as a block with a JSON document about it.
pub(crate) fn put_inspection(buffer: &mut BytesMut, object: &EngineObject) {
    put_properties(buffer, object);
    put_line(buffer, &[&"raw", &raw(object)]);
    buffer.put_u8(b'\n');
}

fn put_properties(buffer: &mut BytesMut, object: &EngineObject) {
    match object {
        EngineObject::Container(container) => put_container(buffer, container),
        EngineObject::Image(image) => put_image(buffer, image),
        EngineObject::Volume(volume) => put_volume(buffer, volume),
        EngineObject::Namespace(name) => {
            put_line(buffer, &[&"namespace"]);
            put_line(buffer, &[&"name", name]);
        }
    }
}

fn put_container(buffer: &mut BytesMut, container: &Container) {
    put_line(buffer, &[&"container"]);
    put_line(buffer, &[&"id", &container.id]);
    put_line(buffer, &[&"namespace", &container.namespace]);
    put_line(buffer, &[&"name", &container.name]);
    put_line(buffer, &[&"path", &container.path]);
    for arg in &container.args {
        put_line(buffer, &[&"arg", arg]);
    }
    put_line(buffer, &[&"image-id", &container.image_id]);
    put_line(buffer, &[&"image", &container.image_name]);
    for (key, value) in &container.labels {
        put_line(buffer, &[&"label", key, value]);
    }
    put_line(buffer, &[&"state", &state_word(container.state)]);
    put_line(buffer, &[&"pid", &container.pid]);
    put_line(buffer, &[&"exit-code", &container.exit_code]);
    if !container.error.is_empty() {
        put_line(buffer, &[&"error", &container.error]);
    }
    put_time(buffer, "created", container.created_at);
    put_time(buffer, "started", container.started_at);
    put_time(buffer, "finished", container.finished_at);
    for port in &container.ports {
        put_line(buffer, &[&"port", &port.name]);
        for binding in &port.bindings {
            put_line(
                buffer,
                &[&"binding", &port.name, &binding.host_ip, &binding.host_port],
            );
        }
    }
    for (word, is_set) in [
        ("running", container.running),
        ("paused", container.paused),
        ("restarting", container.restarting),
        ("oom-killed", container.oom_killed),
        ("dead", container.dead),
        ("tty", container.tty),
    ] {
        if is_set {
            put_line(buffer, &[&word]);
        }
    }
}

fn put_image(buffer: &mut BytesMut, image: &Image) {
    put_line(buffer, &[&"image"]);
    put_line(buffer, &[&"id", &image.id]);
    put_line(buffer, &[&"namespace", &image.namespace]);
    for tag in &image.repo_tags {
        put_line(buffer, &[&"tag", tag]);
    }
    for digest in &image.repo_digests {
        put_line(buffer, &[&"digest", digest]);
    }
    put_time(buffer, "created", image.created_at);
    put_line(buffer, &[&"architecture", &image.architecture]);
    put_line(buffer, &[&"os", &image.os]);
    put_line(buffer, &[&"size", &image.size]);
    for (key, value) in &image.labels {
        put_line(buffer, &[&"label", key, value]);
    }
}

fn put_volume(buffer: &mut BytesMut, volume: &Volume) {
    put_line(buffer, &[&"volume"]);
    put_line(buffer, &[&"name", &volume.name]);
    put_line(buffer, &[&"namespace", &volume.namespace]);
    put_time(buffer, "created", volume.created_at);
    put_line(buffer, &[&"driver", &volume.driver]);
    put_line(buffer, &[&"mountpoint", &volume.mountpoint]);
    put_line(buffer, &[&"scope", &volume.scope]);
    for (key, value) in &volume.labels {
        put_line(buffer, &[&"label", key, value]);
    }
    for (key, value) in &volume.options {
        put_line(buffer, &[&"option", key, value]);
    }
}

fn put_time(buffer: &mut BytesMut, word: &str, time: Option<Timestamp>) {
    if let Some(time) = time {
        put_line(buffer, &[&word, &nanoseconds(time)]);
    }
}

fn raw(object: &EngineObject) -> serde_json::Value {
    match object {
        EngineObject::Container(container) => json!({
            "kind": "container",
            "id": container.id,
            "name": container.name,
            "namespace": container.namespace,
            "image": container.image_name,
            "labels": container.labels,
            "state": container.state,
            "path": container.path,
            "args": container.args,
        }),
        EngineObject::Image(image) => json!({
            "kind": "image",
            "id": image.id,
            "namespace": image.namespace,
            "tags": image.repo_tags,
            "size": image.size,
        }),
        EngineObject::Volume(volume) => json!({
            "kind": "volume",
            "name": volume.name,
            "namespace": volume.namespace,
            "driver": volume.driver,
            "mountpoint": volume.mountpoint,
        }),
        EngineObject::Namespace(name) => json!({ "kind": "namespace", "name": name }),
    }
}
