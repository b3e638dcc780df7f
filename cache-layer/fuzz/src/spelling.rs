//! Normal forms of hosts and paths, by a model.

/// A host in lower case, without the dot of the root, and its port where it is not the usual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    /// As it is written.
    #[must_use]
    pub fn text(&self) -> String {
        let port = self.port.map(|port| format!(":{port}"));
        format!("{}{}", self.name, port.unwrap_or_default())
    }

    /// Written otherwise, with every port there is.
    #[must_use]
    pub fn respelled(&self) -> String {
        let dot = if self.name.starts_with('[') { "" } else { "." };
        format!(
            "{}{dot}:000{}",
            self.name.to_uppercase(),
            self.port.unwrap_or(80)
        )
    }

    /// None for what is no host.
    #[must_use]
    pub fn of(text: &[u8], scheme: &str) -> Option<Self> {
        let text = str::from_utf8(text).ok()?.to_ascii_lowercase();
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (&*text, ""),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+;=".contains(c);
        let name = match name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
        {
            Some(address) => {
                let is_address = address
                    .chars()
                    .all(|c| c.is_ascii_hexdigit() || ".:".contains(c));
                Some(name).filter(|_| is_address && !address.is_empty())?
            }
            None => {
                let name = name.strip_suffix('.').unwrap_or(name);
                Some(name).filter(|name| name.chars().all(is_name) && !name.ends_with('.'))?
            }
        };
        let usual = if scheme == "https" { 443 } else { 80 };
        let port = match port.trim_start_matches('0') {
            "" if port.is_empty() => usual,
            "" => 0,
            digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok()?,
            _ => return None,
        };
        (1..=255).contains(&name.len()).then(|| Self {
            name: name.to_owned(),
            port: Some(port).filter(|port| *port != usual),
        })
    }
}

/// A path in its normal form; as it is, where a `%` begins no escape.
#[must_use]
pub fn normal_path(path: &str) -> String {
    let mut normal = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        normal.push_str(before);
        let digits = after
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(octet) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            return path.to_owned();
        };
        let plain = char::from(octet);
        if plain.is_ascii_alphanumeric() || "-_~".contains(plain) {
            normal.push(plain);
        } else {
            normal.push_str(&format!("%{octet:02X}"));
        }
        rest = &after[2..];
    }
    normal + rest
}
