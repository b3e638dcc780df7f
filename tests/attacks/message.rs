//! HTTP/1.1 messages, read twice: as a lenient server would, and by the letter.

use std::ops::Range;

/// An answer as its client reads it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) content: Vec<u8>,
    /// All of it, with interim answers before it and trailers behind.
    pub(crate) text: String,
}

impl Answer {
    /// The first answer of these octets that is not interim, and where it ends; `ended` if no more come.
    pub(crate) fn read(octets: &[u8], to_head: bool, ended: bool) -> Option<(Self, usize)> {
        let start = find(octets, b"\r\n\r\n")? + 4;
        let head = text(&octets[..start]);
        let status = head.split(' ').nth(1)?.parse().ok()?;
        if (100..200).contains(&status) {
            let (mut answer, end) = Self::read(&octets[start..], to_head, ended)?;
            answer.text = head + &answer.text;
            return Some((answer, start + end));
        }
        let rest = &octets[start..];
        let (content, length) = if to_head || status == 204 || status == 304 {
            (Vec::new(), 0)
        } else if field(&head, "transfer-encoding").is_some() {
            let (parts, end) = chunks(rest)?;
            (
                parts
                    .into_iter()
                    .flat_map(|part| rest[part].to_vec())
                    .collect(),
                end,
            )
        } else if let Some(length) = field(&head, "content-length") {
            let length = length.parse().ok()?;
            (rest.get(..length)?.to_vec(), length)
        } else if ended {
            (rest.to_vec(), rest.len())
        } else {
            return None;
        };
        let answer = Self {
            status,
            head,
            content,
            text: text(&octets[..start + length]),
        };
        Some((answer, start + length))
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    pub(crate) fn is_from_store(&self) -> bool {
        self.field("age").is_some()
    }
}

/// All answers of a connection that has ended.
pub(crate) fn answers(mut octets: &[u8], to_head: bool) -> Vec<Answer> {
    let mut all = Vec::new();
    while let Some((answer, end)) = Answer::read(octets, to_head, true) {
        all.push(answer);
        octets = &octets[end..];
    }
    all
}

/// Where the first request of these octets ends, for a server that makes sense of whatever it can.
pub(crate) fn request_end(octets: &[u8], length_first: bool) -> Option<usize> {
    let end = |mark: &[u8]| find(octets, mark).map(|at| at + mark.len());
    let start = [end(b"\r\n\r\n"), end(b"\n\n")]
        .into_iter()
        .flatten()
        .min()?;
    let head = text(&octets[..start])
        .to_ascii_lowercase()
        .replace('_', "-");
    let chunked = head
        .lines()
        .any(|line| line.contains("transfer-encoding") && line.contains("chunked"));
    let length = head.lines().find_map(|line| {
        let digits = line.strip_prefix("content-length")?;
        let digits = digits.trim_start_matches(|digit: char| !digit.is_ascii_digit());
        let end = digits.find(|digit: char| !digit.is_ascii_digit());
        digits[..end.unwrap_or(digits.len())].parse::<usize>().ok()
    });
    match length {
        Some(length) if length_first || !chunked => {
            let end = start.checked_add(length)?;
            (end <= octets.len()).then_some(end)
        }
        _ if chunked => chunks(&octets[start..]).map(|(_, end)| start + end),
        _ => Some(start),
    }
}

/// Where the parts of chunked content lie, and where it ends.
fn chunks(octets: &[u8]) -> Option<(Vec<Range<usize>>, usize)> {
    let (mut parts, mut at) = (Vec::new(), 0);
    loop {
        let line = find(&octets[at..], b"\n")?;
        let size = text(&octets[at..at + line]);
        let size = size.trim_start().trim_start_matches("0x");
        let end = size.find(|digit: char| !digit.is_ascii_hexdigit());
        let size = usize::from_str_radix(&size[..end.unwrap_or(size.len())], 16).unwrap_or(0);
        at += line + 1;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size)?;
        octets.get(at..end)?;
        parts.push(at..end);
        at = end + 1 + find(octets.get(end..)?, b"\n")?;
    }
    // Trailers, up to an empty line.
    loop {
        let line = find(octets.get(at..)?, b"\n")?;
        at += line + 1;
        if line <= 1 {
            return Some((parts, at));
        }
    }
}

/// The target of a request about which no two recipients can differ, or what they could differ in.
pub(crate) fn plain(octets: &[u8]) -> Result<String, String> {
    let start = find(octets, b"\r\n\r\n").ok_or("its head has no end")? + 4;
    let head = str::from_utf8(&octets[..start - 4]).map_err(|_| "its head is not all ASCII")?;
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let words: Vec<_> = line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = *words else {
        return Err(format!("its request line is {line:?}"));
    };
    let is_target = target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token(method)
        || matches!(method, "CONNECT" | "TRACE")
        || !is_target
        || target.contains('#')
    {
        return Err(format!("its request line is {line:?}"));
    }
    let (mut lengths, mut codings, mut hosts) = (Vec::new(), Vec::new(), 0);
    for line in lines {
        let (name, value) = plain_field(line).ok_or_else(|| format!("a line is {line:?}"))?;
        match &*name {
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value),
            "host" => hosts += 1,
            "connection" if value.contains("length") || value.contains("encoding") => {
                return Err(format!("a line is {line:?}"));
            }
            // Whoever knows them reads on in another way.
            "expect" | "upgrade" | "http2-settings" | "content_length" | "transfer_encoding" => {
                return Err(format!("a line is {line:?}"));
            }
            _ => {}
        }
    }
    let content = &octets[start..];
    let framed = match (&*lengths, &*codings) {
        ([], []) => content.is_empty(),
        ([length], []) => *length == content.len().to_string(),
        ([], ["chunked"]) => is_plainly_chunked(content),
        _ => false,
    };
    if hosts != 1 || !framed {
        let content = text(content);
        return Err(format!(
            "{hosts} hosts, lengths {lengths:?}, codings {codings:?} for {content:?}"
        ));
    }
    Ok(target.to_owned())
}

/// Its name, in lower case, and its value.
fn plain_field(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.split_once(':')?;
    let value = value.trim_matches([' ', '\t']);
    let is_value = value
        .bytes()
        .all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte));
    (is_token(name) && is_value).then(|| (name.to_ascii_lowercase(), value))
}

fn is_plainly_chunked(mut content: &[u8]) -> bool {
    while let Some(end) = find(content, b"\r\n") {
        let digits = text(&content[..end]);
        let size = usize::from_str_radix(&digits, 16).unwrap_or_default();
        if !format!("{size:x}").eq_ignore_ascii_case(&digits) {
            return false;
        }
        content = &content[end + 2..];
        if size == 0 {
            return has_plain_trailers(content);
        }
        match content
            .get(size..)
            .and_then(|rest| rest.strip_prefix(b"\r\n"))
        {
            Some(rest) => content = rest,
            None => return false,
        }
    }
    false
}

fn has_plain_trailers(section: &[u8]) -> bool {
    let section = text(section);
    section == "\r\n"
        || section.strip_suffix("\r\n\r\n").is_some_and(|lines| {
            // RFC 9110 section 6.5.1: nothing there may bear on framing or routing.
            let bears =
                |name: &str| matches!(name, "content-length" | "transfer-encoding" | "host");
            let is_plain = |line| plain_field(line).is_some_and(|(name, _)| !bears(&name));
            lines.split("\r\n").all(is_plain)
        })
}

fn is_token(text: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_char)
}

/// A field's first value.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

pub(crate) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

pub(crate) fn find(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    octets
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::{Answer, plain, request_end};

    #[test]
    fn only_what_nobody_can_read_in_two_ways_is_plain() {
        for (request, is_plain) in [
            ("GET /x HTTP/1.1\r\nhost: a\r\n\r\n", true),
            (
                "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi",
                true,
            ),
            (
                "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n",
                true,
            ),
            ("GET /x HTTP/1.1\r\n\r\n", false),
            ("GET /x HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", false),
            ("GET /x y HTTP/1.1\r\nhost: a\r\n\r\n", false),
            ("GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n", false),
            ("GET /x HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n", false),
            ("GET /x HTTP/1.1\r\nhost: a\r\nx: y\n z\r\n\r\n", false),
            (
                "GET /x HTTP/1.1\r\nhost: a\r\ncontent-length: +0\r\n\r\n",
                false,
            ),
            (
                "GET /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                false,
            ),
            (
                "GET /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0;a=b\r\n\r\n",
                false,
            ),
        ] {
            assert_eq!(plain(request.as_bytes()).is_ok(), is_plain, "{request}");
        }
    }

    #[test]
    fn of_two_framings_a_lenient_reader_takes_the_one_it_is_told() {
        let both =
            b"POST / HTTP/1.1\r\ncontent-length: 7\r\nTransfer-Encoding : xchunked\r\n\r\n0\n\nGET";
        assert_eq!(request_end(both, true), None);
        assert_eq!(request_end(both, false), Some(both.len() - 3));
    }

    #[test]
    fn answers_are_read_one_by_one() {
        let two = b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 204 No\r\n\r\n";
        let (first, end) = Answer::read(two, false, false).unwrap();
        assert_eq!((first.status, &*first.content), (200, &b"hi"[..]));
        let (second, end) = Answer::read(&two[end..], false, false)
            .map(|(a, e)| (a, end + e))
            .unwrap();
        assert_eq!((second.status, end), (204, two.len()));
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        assert_eq!(
            Answer::read(chunked, false, false).unwrap().0.content,
            b"hi"
        );
    }
}
