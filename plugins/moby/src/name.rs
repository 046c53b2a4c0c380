//! Names on their way into a URL: what cannot be a name of its kind is
//! refused, so that no text of a caller's can reach another endpoint.

use rdd_sdk::types::Error;

/// Digits of a container's full ID.
pub(crate) const CONTAINER_ID_LEN: usize = 64;

/// A container's full ID.
pub(crate) fn container(id: &str) -> Result<&str, Error> {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if id.len() == CONTAINER_ID_LEN && id.bytes().all(hex) {
        return Ok(id);
    }
    Err(Error::invalid_argument(format!(
        "{id:?} is no container ID: it takes {CONTAINER_ID_LEN} lower-case hexadecimal digits"
    )))
}

/// An image's ID, such as `sha256:…`.
pub(crate) fn image_id(id: &str) -> Result<&str, Error> {
    let fits = id.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && !hex.is_empty()
            && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    });
    if fits {
        return Ok(id);
    }
    Err(Error::invalid_argument(format!(
        "{id:?} is no image ID, such as sha256:…"
    )))
}

/// A tag: a repository with an optional host and port, and a tag or digest.
pub(crate) fn image_tag(tag: &str) -> Result<&str, Error> {
    let fits =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'@' | b'/');
    // Such a segment would lead a URL elsewhere.
    let leads_away = |segment: &str| matches!(segment, "" | "." | "..");
    if tag.bytes().all(fits) && !tag.split('/').any(leads_away) {
        return Ok(tag);
    }
    Err(Error::invalid_argument(format!(
        "{tag:?} is no image tag, such as registry.example/name:tag"
    )))
}

/// A volume's name, encoded: drivers other than the engine's own take any text.
pub(crate) fn volume(name: &str) -> Result<String, Error> {
    // Such a segment would lead a URL elsewhere.
    if name
        .split('/')
        .any(|segment| matches!(segment, "" | "." | ".."))
    {
        return Err(Error::invalid_argument(format!(
            "{name:?} is no volume name: it is empty, or a path with empty or dotted parts"
        )));
    }
    Ok(encode(name))
}

/// Percent-encodes for a path or a query.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_are_64_lower_case_hex_digits() {
        assert!(container(&"0af9".repeat(16)).is_ok());
        for id in [
            "",
            "0af9",
            &"0AF9".repeat(16),
            &"0af9".repeat(17),
            &"xxxx".repeat(16),
        ] {
            assert!(container(id).is_err(), "{id}");
        }
    }

    #[test]
    fn nothing_leads_out_of_its_path() {
        for tag in ["a:b", "localhost:5000/a/b:c", "a@sha256:00", "a__b/c-d:E.f"] {
            assert!(image_tag(tag).is_ok(), "{tag}");
        }
        for tag in [
            "",
            "..",
            "a/../b",
            "a//b",
            "a?force=1",
            "a b",
            "a%2e",
            "/a",
            "a/",
            "ä",
            "a#",
        ] {
            assert!(image_tag(tag).is_err(), "{tag}");
        }
        for name in ["v", "a.b_c-d", "0"] {
            assert!(volume(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/../b", "a//b", "/a"] {
            assert!(volume(name).is_err(), "{name}");
        }
        assert_eq!(volume("a/b?c%ä").unwrap(), "a%2Fb%3Fc%25%C3%A4");
        assert!(image_id("sha256:00ff").is_ok());
        for id in ["", "sha256:", ":00", "sha256:zz", "name", "sha256:00/../x"] {
            assert!(image_id(id).is_err(), "{id}");
        }
    }
}
