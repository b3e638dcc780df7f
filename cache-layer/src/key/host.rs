//! A host as a key part: lower case, no default port, no trailing dot (RFC 9110 section 4.2.3).

use super::Unkeyable;
use smallvec::SmallVec;

/// The longest host that DNS knows.
const MAX_HOST: usize = 255;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host(SmallVec<[u8; 64]>);

impl Host {
    /// Reads `host [":" port]`; what is not one is refused, not mended.
    pub(crate) fn parse(text: &[u8], default_port: u16) -> Result<Self, Unkeyable> {
        let (name, port) = split(text).ok_or(Unkeyable::Host)?;
        if name.is_empty() || name.len() > MAX_HOST || !is_host(name) {
            return Err(Unkeyable::Host);
        }
        let name = name
            .strip_suffix(b".")
            .filter(|name| !name.is_empty())
            .unwrap_or(name);
        let mut host = SmallVec::from_slice(name);
        host.make_ascii_lowercase();
        match port {
            b"" => {}
            port => {
                let port: u16 = std::str::from_utf8(port)
                    .ok()
                    // `parse` would take a sign.
                    .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|port| port.parse().ok())
                    .ok_or(Unkeyable::Host)?;
                if port != default_port {
                    host.push(b':');
                    host.extend_from_slice(&port.to_be_bytes());
                }
            }
        }
        Ok(Self(host))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Name and port digits; the colons of an IPv6 literal stay in its brackets.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let after_name = if text.first() == Some(&b'[') {
        text.iter().position(|byte| *byte == b']')? + 1
    } else {
        text.iter()
            .position(|byte| *byte == b':')
            .unwrap_or(text.len())
    };
    match text.split_at(after_name) {
        (name, []) => Some((name, &[])),
        (name, [b':', port @ ..]) => Some((name, port)),
        _ => None,
    }
}

fn is_host(name: &[u8]) -> bool {
    match name {
        [b'[', literal @ .., b']'] => {
            !literal.is_empty()
                && literal
                    .iter()
                    .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
        }
        name => name
            .iter()
            // reg-name of RFC 3986, less the comma, which is how two joined Host lines look.
            .all(|b| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(b)),
    }
}
