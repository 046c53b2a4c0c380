//! The engine's objects as those of the contract.

use std::str::FromStr;

use rdd_sdk::types::{
    Container, ContainerState, Error, Image, Object, ObjectKind, Port, PortBinding, Timestamp,
    Volume,
};

use crate::request::ResponseLine;

const NANOSECONDS: i64 = 1_000_000_000;

/// An object of the engine: a line with its kind, and a line for each property.
pub(crate) struct ObjectBlock(pub(crate) Vec<ResponseLine>);

impl ObjectBlock {
    /// Returns the values of each property with this name.
    fn all(&self, word: &str) -> impl Iterator<Item = Vec<&str>> {
        self.0.iter().skip(1).filter_map(move |line| {
            let mut words = line.words();
            (words.remove(0) == word).then_some(words)
        })
    }

    fn list(&self, word: &str) -> Vec<String> {
        let values = self
            .all(word)
            .filter_map(|values| Some((*values.first()?).to_owned()));
        values.collect()
    }

    /// Returns a text; a missing one is empty.
    pub(crate) fn text(&self, word: &str) -> String {
        self.list(word).into_iter().next().unwrap_or_default()
    }

    /// Returns a number; a missing one is 0.
    fn number<T: FromStr + Default>(&self, word: &str) -> Result<T, Error> {
        let text = self.list(word).into_iter().next();
        text.map_or_else(|| Ok(T::default()), |text| parse_number(&text))
    }

    fn time(&self, word: &str) -> Result<Option<Timestamp>, Error> {
        let text = self.list(word).into_iter().next();
        text.map(|text| Ok(timestamp(parse_number(&text)?)))
            .transpose()
    }

    fn pairs(&self, word: &str) -> Vec<(String, String)> {
        self.all(word)
            .filter_map(|values| match values[..] {
                [key, value] => Some((key.to_owned(), value.to_owned())),
                _ => None,
            })
            .collect()
    }

    fn is_set(&self, word: &str) -> bool {
        self.all(word).any(|values| values.is_empty())
    }

    /// Returns the ports with their bindings.
    fn ports(&self) -> Vec<Port> {
        let binding = |values: Vec<&str>, port: &str| match values[..] {
            [name, ip, number] if name == port => Some(PortBinding {
                host_ip: ip.to_owned(),
                host_port: number.to_owned(),
            }),
            _ => None,
        };
        self.list("port")
            .into_iter()
            .map(|name| Port {
                bindings: self
                    .all("binding")
                    .filter_map(|values| binding(values, &name))
                    .collect(),
                name,
            })
            .collect()
    }
}

/// Converts an object.
pub(crate) fn parse(block: &ObjectBlock) -> Result<Object, Error> {
    let kind = block.0.first().map(ResponseLine::words).unwrap_or_default();
    match parse_kind(kind.first().copied().unwrap_or_default())? {
        ObjectKind::Container => container(block).map(Object::Container),
        ObjectKind::Image => image(block).map(Object::Image),
        ObjectKind::Volume => volume(block).map(Object::Volume),
        ObjectKind::Namespace => Ok(Object::Namespace(block.text("name"))),
    }
}

fn container(block: &ObjectBlock) -> Result<Container, Error> {
    Ok(Container {
        id: block.text("id"),
        name: block.text("name"),
        namespace: block.text("namespace"),
        path: block.text("path"),
        args: block.list("arg"),
        image_id: block.text("image-id"),
        image_name: block.text("image"),
        labels: block.pairs("label"),
        state: parse_state(&block.text("state")),
        pid: block.number("pid")?,
        exit_code: block.number("exit-code")?,
        error: block.text("error"),
        created_at: block.time("created")?,
        started_at: block.time("started")?,
        finished_at: block.time("finished")?,
        ports: block.ports(),
        running: block.is_set("running"),
        paused: block.is_set("paused"),
        restarting: block.is_set("restarting"),
        oom_killed: block.is_set("oom-killed"),
        dead: block.is_set("dead"),
        tty: block.is_set("tty"),
    })
}

fn image(block: &ObjectBlock) -> Result<Image, Error> {
    Ok(Image {
        id: block.text("id"),
        namespace: block.text("namespace"),
        repo_tags: block.list("tag"),
        repo_digests: block.list("digest"),
        created_at: block.time("created")?,
        architecture: block.text("architecture"),
        os: block.text("os"),
        size: block.number("size")?,
        labels: block.pairs("label"),
    })
}

fn volume(block: &ObjectBlock) -> Result<Volume, Error> {
    Ok(Volume {
        name: block.text("name"),
        namespace: block.text("namespace"),
        created_at: block.time("created")?,
        driver: block.text("driver"),
        mountpoint: block.text("mountpoint"),
        labels: block.pairs("label"),
        scope: block.text("scope"),
        options: block.pairs("option"),
    })
}

pub(crate) fn kind_word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Container => "container",
        ObjectKind::Image => "image",
        ObjectKind::Volume => "volume",
        ObjectKind::Namespace => "namespace",
    }
}

pub(crate) fn parse_kind(word: &str) -> Result<ObjectKind, Error> {
    match word {
        "container" => Ok(ObjectKind::Container),
        "image" => Ok(ObjectKind::Image),
        "volume" => Ok(ObjectKind::Volume),
        "namespace" => Ok(ObjectKind::Namespace),
        _ => Err(Error::internal(format!(
            "the engine sent an object of the kind {word:?}"
        ))),
    }
}

fn parse_state(word: &str) -> ContainerState {
    match word {
        "created" => ContainerState::Created,
        "running" => ContainerState::Running,
        "pausing" => ContainerState::Pausing,
        "paused" => ContainerState::Paused,
        "restarting" => ContainerState::Restarting,
        "removing" => ContainerState::Removing,
        "exited" => ContainerState::Exited,
        "dead" => ContainerState::Dead,
        _ => ContainerState::Unknown,
    }
}

pub(crate) fn parse_number<T: FromStr>(text: &str) -> Result<T, Error> {
    text.parse()
        .map_err(|_| Error::internal(format!("the engine sent {text:?} instead of a number")))
}

fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp {
        seconds: nanoseconds.div_euclid(NANOSECONDS),
        // Between 0 and a billion.
        nanoseconds: nanoseconds.rem_euclid(NANOSECONDS) as u32,
    }
}

/// Returns the nanoseconds since the Unix epoch. Times that the engine cannot
/// have are replaced by the first or the last one.
pub(crate) fn nanoseconds(time: &Timestamp) -> i64 {
    time.seconds
        .saturating_mul(NANOSECONDS)
        .saturating_add(i64::from(time.nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(lines: &[&str]) -> ObjectBlock {
        let lines = lines
            .iter()
            .map(|line| ResponseLine::parse(line.as_bytes()).unwrap());
        ObjectBlock(lines.collect())
    }

    #[test]
    fn a_container_has_its_properties() {
        let lines = [
            "container",
            "id\tweb",
            "created\t-1",
            "port\t80/tcp",
            "binding\t80/tcp\t::1\t8080",
            "dead",
            "label\tstate\tdead",
        ];
        let Object::Container(container) = parse(&block(&lines)).unwrap() else {
            panic!("not a container");
        };
        assert_eq!(container.id, "web");
        let created = container.created_at.unwrap();
        assert_eq!((created.seconds, created.nanoseconds), (-1, 999_999_999));
        assert_eq!(nanoseconds(&created), -1);
        assert_eq!(container.ports[0].bindings[0].host_port, "8080");
        assert!(container.dead && !container.running);
        assert_eq!(container.state, ContainerState::Unknown);
        assert_eq!(container.labels, [("state".to_owned(), "dead".to_owned())]);
    }

    #[test]
    fn what_is_not_an_object_is_an_error() {
        parse(&block(&["pod", "id\tweb"])).unwrap_err();
        parse(&block(&["container", "pid\tone"])).unwrap_err();
    }
}
