//! An HTTP/2 request of fields that no well-behaved client would send (RFC 9113, RFC 7541).

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// All that a client sends: preface, settings, and one request on stream 1.
pub(crate) fn request(fields: &[(&str, &str)], content: &str, host: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // RFC 7541 section 6.2.2: a literal without indexing, with a new name.
        block.push(0);
        for text in [name, value] {
            let text = text.replace("{host}", host);
            block.extend(length(text.len()));
            block.extend(text.as_bytes());
        }
    }
    let mut octets = PREFACE.to_vec();
    octets.extend(frame(SETTINGS, 0, 0, &[]));
    let ends = if content.is_empty() { END_STREAM } else { 0 };
    octets.extend(frame(HEADERS, END_HEADERS | ends, 1, &block));
    if !content.is_empty() {
        let content = content.replace("{host}", host);
        octets.extend(frame(DATA, END_STREAM, 1, content.as_bytes()));
    }
    octets
}

/// RFC 7541 section 5.1, with a prefix of 7 bits.
fn length(length: usize) -> Vec<u8> {
    let Some(mut rest) = length.checked_sub(127) else {
        return vec![length as u8];
    };
    let mut octets = vec![127];
    while rest >= 128 {
        octets.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    octets.push(rest as u8);
    octets
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a small frame")
        .to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What a gateway makes of it that writes everything down as it stands.
pub(crate) fn downgraded(fields: &[(&str, &str)], content: &str, host: &str) -> String {
    let pseudo = |wanted: &str| {
        fields
            .iter()
            .find(|(name, _)| *name == wanted)
            .map_or("", |field| field.1)
    };
    let mut request = format!(
        "{} {} HTTP/1.1\r\nhost: {}\r\n",
        pseudo(":method"),
        pseudo(":path"),
        pseudo(":authority"),
    );
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(':')) {
        request += &format!("{name}: {value}\r\n");
    }
    format!("{request}\r\n{content}").replace("{host}", host)
}

/// Whether the server has ended stream 1, or the connection.
pub(crate) fn is_over(mut octets: &[u8]) -> bool {
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;
    while let Some((&[high, middle, low, kind, flags, stream @ ..], rest)) =
        octets.split_first_chunk::<9>()
    {
        let ends = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        if kind == GOAWAY || (u32::from_be_bytes(stream) == 1 && (ends || kind == RST_STREAM)) {
            return true;
        }
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        match rest.get(length..) {
            Some(rest) => octets = rest,
            None => return false,
        }
    }
    false
}
