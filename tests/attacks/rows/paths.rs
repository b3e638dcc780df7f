//! Path confusion: targets that some servers take for one, and cache deception, which lives by it.

use super::query::apart;
use super::{CACHED_AND_CONFUSED, DECEPTION, GOTTA_CACHE};
use crate::attack::{Answers, Attack, ECHOED, Sends, get};

/// Somebody is lured to a target whose answer is personal, though it looks like a file of everybody's,
/// and whose origin says nothing of caching.
macro_rules! lured {
    ($source:expr, $target:literal) => {
        lured!(
            $source,
            $target,
            "cookie: session=marked",
            "last-modified: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
        )
    };
    ($source:expr, $target:literal, $credentials:literal, $said:literal) => {
        Attack {
            name: concat!($target, " with ", $credentials, ", answered with ", $said),
            source: $source,
            origin: Answers::Echo($said),
            first: Sends::Each(&[get!($target, $credentials)]),
            then: Sends::Each(&[get!($target)]),
            ..ECHOED
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    lured!(DECEPTION, "/account/x.css"),
    lured!(DECEPTION, "/account/.js"),
    lured!(DECEPTION, "/account.php/x.css"),
    lured!(CACHED_AND_CONFUSED, "/account%0Ax.css"),
    lured!(CACHED_AND_CONFUSED, "/account%3Bx.css"),
    lured!(CACHED_AND_CONFUSED, "/account%23x.css"),
    lured!(CACHED_AND_CONFUSED, "/account%3Fx.css"),
    lured!(GOTTA_CACHE, "/account;x.css"),
    lured!(GOTTA_CACHE, "/account$x.css"),
    lured!(GOTTA_CACHE, "/account!x.css"),
    lured!(GOTTA_CACHE, "/account%00x.css"),
    lured!(GOTTA_CACHE, "/account%2Fx.css"),
    lured!(GOTTA_CACHE, "/static/..%2Faccount"),
    lured!(GOTTA_CACHE, "/account/..%2Fstatic/x"),
    lured!(GOTTA_CACHE, "/account%2F%2E%2E%2Frobots.txt"),
    lured!(GOTTA_CACHE, "/account;%2F%2E%2E%2Ffavicon.ico"),
    lured!(GOTTA_CACHE, "/x/..%2F..%2Findex.html"),
    lured!(
        DECEPTION,
        "/account/x.css",
        "authorization: Bearer marked",
        "last-modified: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
    ),
    lured!(
        DECEPTION,
        "/account/x.css",
        "authorization: Bearer marked",
        "cache-control: max-age=60\r\n"
    ),
    lured!(
        DECEPTION,
        "/account/x.css",
        "cookie: session=marked",
        "cache-control: max-age=60\r\n"
    ),
    lured!(
        DECEPTION,
        "/account/x.css",
        "cookie: session=marked",
        "expires: Fri, 01 Jan 2100 00:00:00 GMT\r\n"
    ),
    lured!(DECEPTION, "/account/x.css", "cookie: session=marked", ""),
    apart!(GOTTA_CACHE, "/a%2Fb", "/a/b", "%2F"),
    apart!(GOTTA_CACHE, "/a%5Cb", "/a/b", "%5C"),
    apart!(GOTTA_CACHE, "/a%252Fb", "/a/b", "%252F"),
    apart!(GOTTA_CACHE, "/x/../a", "/a", ".."),
    apart!(GOTTA_CACHE, "/x/..%2Fa", "/a", ".."),
    apart!(GOTTA_CACHE, "/x/%2E%2E/a", "/a", "%2E"),
    apart!(GOTTA_CACHE, "/x/%2e%2e%2fa", "/a", "%2e"),
    apart!(GOTTA_CACHE, "/./a", "/a", "/./"),
    apart!(GOTTA_CACHE, "//a", "/a", "//a"),
    apart!(GOTTA_CACHE, "/a/", "/a", "/a/"),
    apart!(GOTTA_CACHE, "/a;marked", "/a"),
    apart!(GOTTA_CACHE, "/a;v=marked/b", "/a"),
    apart!(GOTTA_CACHE, "/a%3Bmarked", "/a"),
    apart!(GOTTA_CACHE, "/a%3Fmarked", "/a"),
    apart!(GOTTA_CACHE, "/a%23marked", "/a"),
    apart!(GOTTA_CACHE, "/a%00marked", "/a"),
    apart!("CVE-2013-4547 (nginx)", "/a%20", "/a", "%20"),
    apart!(GOTTA_CACHE, "/a%09", "/a", "%09"),
    apart!(CACHED_AND_CONFUSED, "/a%0Amarked", "/a"),
    apart!(GOTTA_CACHE, "/a%0D%0Aset-cookie:%20marked", "/a"),
    apart!(GOTTA_CACHE, "/%61", "/a", "%61"),
    apart!(GOTTA_CACHE, "/%7Ea", "/~a", "%7E"),
    apart!(GOTTA_CACHE, "/A", "/a", "/A"),
    apart!("CVE-2021-27577 (Apache Traffic Server)", "/a#marked", "/a"),
    apart!(
        "CVE-2021-27577 (Apache Traffic Server)",
        "/a#/../marked",
        "/a"
    ),
];
