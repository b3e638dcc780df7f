//! A key as people read it.

use super::{Key, LENGTHS};
use std::fmt;

/// The target; what else is part of the key stays out of sight.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [namespace, scheme, host, path, query] = self.lengths();
        let mut rest = &self.parts()[LENGTHS + namespace..];
        let mut text = |length: usize| {
            let (part, after) = rest.split_at(length);
            rest = after;
            part
        };
        let (scheme, host, path) = (text(scheme), text(host), text(path));
        write!(f, "{}://", scheme.escape_ascii())?;
        match host {
            // A port, in two octets; there is no other colon but in brackets.
            [name @ .., b':', high, low] if !name.is_empty() && !host.ends_with(b"]") => {
                let port = u16::from_be_bytes([*high, *low]);
                write!(f, "{}:{port}", name.escape_ascii())?;
            }
            name => write!(f, "{}", name.escape_ascii())?,
        }
        write!(f, "{}", path.escape_ascii())?;
        if query > 0 {
            write!(f, "?{}", text(query - 1).escape_ascii())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Secret;
    use super::*;

    #[test]
    fn a_key_shows_its_target() {
        for (uri, shown) in [
            ("http://A.example:80", "http://a.example/"),
            ("https://a:8443/b?c=d", "https://a:8443/b?c=d"),
            ("http://[::1]:81/?", "http://[::1]:81/?"),
            ("http://[::1]/", "http://[::1]/"),
        ] {
            let key = Key::of_uri(Secret::draw(), b"space", &uri.parse().unwrap()).unwrap();
            assert_eq!(key.to_string(), shown);
        }
    }
}
