//! Formats of network names and addresses.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

static HOSTNAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let letter = r"[a-zA-Z0-9\p{S}\p{L}]";
    let inner = r"[a-zA-Z0-9\-\p{S}\p{L}]";
    Regex::new(&format!(
        r"^({letter}((-?{letter}{{0,62}})?)|({letter}(({inner}{{0,61}}{letter})?)(\.)){{1,}}({letter})(-?{letter}){{1,62}})$"
    ))
    .ok()
});
static MAC: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let groups = |digits: usize, separator: &str, counts: [usize; 3]| {
        let group = format!("[0-9a-fA-F]{{{digits}}}");
        counts
            .map(|count| format!("{group}({separator}{group}){{{}}}", count - 1))
            .join("|")
    };
    let forms = [
        groups(2, ":", [6, 8, 20]),
        groups(2, "-", [6, 8, 20]),
        groups(4, r"\.", [3, 4, 10]),
    ];
    Regex::new(&format!("^({})$", forms.join("|"))).ok()
});

/// The maximum length of a host name, in bytes (RFC 1034).
const MAX_HOSTNAME_LENGTH: usize = 255;
/// The maximum length of one label, in bytes (RFC 1034).
const MAX_HOSTNAME_LABEL_LENGTH: usize = 63;

pub(super) fn is_hostname(text: &str) -> bool {
    HOSTNAME
        .as_ref()
        .is_some_and(|hostname| hostname.is_match(text))
        && text.len() <= MAX_HOSTNAME_LENGTH
        && text
            .split('.')
            .all(|label| label.len() <= MAX_HOSTNAME_LABEL_LENGTH)
}

pub(super) fn is_ipv4(text: &str) -> bool {
    // An IPv6 address with an embedded IPv4 address contains a dot, too, and is accepted.
    text.contains('.') && text.parse::<IpAddr>().is_ok()
}

pub(super) fn is_ipv6(text: &str) -> bool {
    text.contains(':') && text.parse::<Ipv6Addr>().is_ok()
}

pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let limit = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    let is_number = !bits.is_empty() && bits.chars().all(|c| c.is_ascii_digit());
    is_number && bits.parse::<u32>().is_ok_and(|bits| bits <= limit)
}

pub(super) fn is_mac(text: &str) -> bool {
    MAC.as_ref().is_some_and(|mac| mac.is_match(text))
}

/// Whether a text is an RFC 5322 address, with or without a display name.
pub(super) fn is_email(text: &str) -> bool {
    let text = text.trim();
    let address = match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
        Some((name, address)) if is_display_name(name.trim()) => address,
        Some(_) => return false,
        None => text,
    };
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    let is_quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let is_literal = domain.starts_with('[') && domain.ends_with(']');
    (is_quoted || is_dot_atom(local)) && (is_literal || is_dot_atom(domain))
}

fn is_atom_char(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn is_dot_atom(text: &str) -> bool {
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atom_char))
}

fn is_display_name(name: &str) -> bool {
    let is_quoted = name.len() >= 2 && name.starts_with('"') && name.ends_with('"');
    name.is_empty()
        || is_quoted
        || name
            .split_whitespace()
            .all(|word| word.chars().all(|c| is_atom_char(c) || c == '.'))
}

/// Whether a text is valid as the target of an HTTP request: an absolute URI or an absolute path.
pub(super) fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.chars().any(|c| c.is_ascii_control()) {
        return false;
    }
    if text == "*" {
        return true;
    }
    let Some((scheme, rest)) = split_scheme(text) else {
        return false;
    };
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    match rest.strip_prefix("//") {
        Some(authority) if !scheme.is_empty() || !rest.starts_with("///") => {
            let (host, path) = authority.split_at(authority.find('/').unwrap_or(authority.len()));
            is_authority(host) && is_escaped(path)
        }
        _ if rest.starts_with('/') => is_escaped(rest),
        _ => !scheme.is_empty(),
    }
}

/// Splits a URI into its scheme, which may be empty, and the rest; returns `None` if it begins with a colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    for (index, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if index > 0 => {}
            ':' if index > 0 => return Some((text.get(..index)?, text.get(index + 1..)?)),
            ':' => return None,
            _ => break,
        }
    }
    Some(("", text))
}

fn is_authority(text: &str) -> bool {
    let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let (host, port) = match host.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((_, port)) => ("", port),
            None => return false,
        },
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port_valid = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.chars().all(|c| c.is_ascii_digit()));
    is_port_valid
        && is_escaped(host)
        && !host.contains([' ', '<', '>', '"', '\\', '^', '`', '{', '|', '}'])
}

/// Whether every `%` begins a percent-encoded byte.
fn is_escaped(text: &str) -> bool {
    text.split('%').skip(1).all(|escape| {
        let mut digits = escape.chars();
        [digits.next(), digits.next()]
            .iter()
            .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()))
    })
}
