//! Which response fields are kept (RFC 9111 section 3.1).

use super::directives::elements;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Fields of one connection, which no stored answer carries (RFC 9110 section 7.6.1), and the
/// proxy's own (RFC 9111 section 3.1). `Age` is ours to write.
const NEVER_STORED: [HeaderName; 11] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    header::PROXY_AUTHORIZATION,
    header::AGE,
];

/// A copy of what may be stored, with a place for `Age` and room for `extra` more fields; without the
/// ones that `left_out` says.
///
/// The values are copied into one buffer of their own: those of a real connection are slices of
/// its read buffer, and one kept slice would keep the whole buffer alive, uncounted.
pub(crate) fn stored_fields(
    headers: &HeaderMap,
    extra: usize,
    left_out: &[HeaderName],
) -> HeaderMap {
    let named: Vec<&[u8]> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|line| elements(line.as_bytes()))
        .collect();
    let kept = |name: &HeaderName| {
        !NEVER_STORED.contains(name)
            && !left_out.contains(name)
            && !named
                .iter()
                .any(|other| other.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    let kept = || headers.iter().filter(|(name, _)| kept(name));

    let mut values = BytesMut::with_capacity(kept().map(|(_, value)| value.len()).sum());
    kept().for_each(|(_, value)| values.extend_from_slice(value.as_bytes()));
    let mut values = values.freeze();

    let mut copy = HeaderMap::with_capacity(kept().count() + extra);
    // First, where each hit finds it at once to write it anew.
    copy.insert(header::AGE, HeaderValue::from_static("0"));
    for (name, value) in kept() {
        copy.append(
            own_name(name),
            own_value(values.split_to(value.len()), value),
        );
    }
    copy
}

fn own_name(name: &HeaderName) -> HeaderName {
    // Never refused: the bytes are those of a valid name. Standard names take no memory.
    HeaderName::from_bytes(name.as_str().as_bytes()).unwrap_or_else(|_| name.clone())
}

fn own_value(bytes: Bytes, original: &HeaderValue) -> HeaderValue {
    let mut value = HeaderValue::from_maybe_shared(bytes).unwrap_or_else(|_| original.clone());
    value.set_sensitive(original.is_sensitive());
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_and_what_it_names_stay_out_and_the_rest_stays_whole() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("connection", "\tx-also"),
            ("x-private", "1"),
            ("x-also", "1"),
            ("transfer-encoding", "chunked"),
            ("proxy-authenticate", "Basic"),
            ("age", "3"),
            ("x-unknown", "a"),
            ("x-unknown", "b"),
            ("etag", "\"e\""),
            ("x-empty", ""),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let kept = stored_fields(&headers, 2, &[header::ETAG]);
        let mut names: Vec<_> = kept
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_bytes()))
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                ("age", &b"0"[..]),
                ("x-empty", b""),
                ("x-unknown", b"a"),
                ("x-unknown", b"b")
            ]
        );
    }
}
