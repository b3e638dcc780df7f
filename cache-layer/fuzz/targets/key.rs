//! Two requests share a key if, and only if, they name the same in all that a key is made of, and the
//! service sees what the key says.
#![no_main]

use cache_layer::fuzzing::{Key, Keying};
use cache_layer_fuzz::keys::{More, Settings, Target};
use cache_layer_fuzz::{fields, lines, sections};
use http::{Method, Request, Uri};
use libfuzzer_sys::fuzz_target;

const CONTENT: [&str; 4] = [
    "content-type",
    "content-encoding",
    "grpc-encoding",
    "grpc-accept-encoding",
];

/// A target on the first line of a section, fields on the others.
fn request(section: &[u8]) -> Option<Request<()>> {
    let mut lines = section.splitn(2, |byte| *byte == b'\n');
    let mut request = Request::new(());
    *request.uri_mut() = Uri::try_from(lines.next()?).ok()?;
    *request.headers_mut() = fields(lines.next().unwrap_or_default());
    Some(request)
}

/// The field that is for the target here, not for the crate, and the fields that say how it is to be
/// read.
fn content(request: &Request<()>) -> (Vec<(&str, &[u8])>, &[u8]) {
    let of = |name| lines(request.headers(), name).map(move |line| (name, line));
    let content = lines(request.headers(), "content")
        .next()
        .unwrap_or_default();
    (CONTENT.into_iter().flat_map(of).collect(), content)
}

fuzz_target!(|input: &[u8]| {
    let mut sections = sections(input);
    let settings = Settings::read(sections.next().unwrap_or_default());
    let keying = Keying::of(&settings.layer());

    let mut all = Vec::new();
    for original in sections.take(2).filter_map(request) {
        let mut prepared = original.clone();
        let is_let_in = keying.prepare(&mut prepared);
        let model = settings.prepared(&original);
        assert_eq!(is_let_in, model.is_some());
        let Some(model) = model else {
            continue;
        };
        assert_eq!(prepared.uri(), model.uri());
        assert_eq!(prepared.headers(), model.headers());
        let mut again = prepared.clone();
        assert!(keying.prepare(&mut again));
        assert_eq!(
            (again.uri(), again.headers()),
            (prepared.uri(), prepared.headers())
        );

        let (key, named) = (keying.key(&prepared), settings.named(&prepared));
        assert_eq!(key.is_some(), named.is_some(), "{named:?}");
        if let (Some(key), Some(named)) = (key, named) {
            assert!(keying.finds(&prepared, &key));
            the_target_reaches_it(&keying, &key, &named.target, &original);
            assert_eq!(key == key.alone(), named.more == More::default());
            all.push((prepared, key, named));
        }
    }

    if let [(one, key, named), (other, other_key, other_named)] = &all[..] {
        let same = named == other_named;
        assert_eq!(key == other_key, same, "{named:?} {other_named:?}");
        assert_eq!(key.parts() == other_key.parts(), same);
        assert_eq!(
            [keying.finds(one, other_key), keying.finds(other, key)],
            [same; 2]
        );

        let same_target = named.target == other_named.target;
        let without_query = |target: &Target| Target {
            query: None,
            ..target.clone()
        };
        let same_path = without_query(&named.target) == without_query(&other_named.target);
        let [digests, other_digests] = [key.digests(), other_key.digests()];
        let equal = std::array::from_fn(|at| digests[at] == other_digests[at]);
        assert_eq!(
            equal,
            [
                same,
                same_target,
                same_path && named.more == other_named.more
            ]
        );

        let with = |request: &Request<()>, key: &Key| {
            key.with_content(&Method::POST, request.headers(), content(request).1)
        };
        let [with, other_with] = [with(one, key), with(other, other_key)];
        assert_eq!(with == other_with, same && content(one) == content(other));
        assert_eq!(with.digests()[1], digests[1]);
        assert!(with.parts() != key.parts() && with.parts() != other_key.parts());
    }
});

/// A write to the same target, and a purge of any spelling of it, reach what is stored.
fn the_target_reaches_it(keying: &Keying, key: &Key, target: &Target, original: &Request<()>) {
    let uri_digest = key.digests()[1];
    let write = keying
        .key_of_write(original.clone())
        .expect("a write to a target that has a key");
    assert_eq!(write.digests()[1], uri_digest);

    let Target {
        scheme,
        host,
        path,
        query,
        ..
    } = target;
    // The asterisk has no absolute form.
    if !path.starts_with('/') {
        return;
    }
    let query = query
        .as_ref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let spelled = format!("{scheme}://{}{path}{query}", host.text());
    let mut spellings = vec![spelled.clone()];
    if scheme == "http" && spelled.len() < 200 {
        spellings.push(format!("HTTP://{}{path}{query}", host.respelled()));
    }
    for uri in spellings.iter().filter_map(|uri| uri.parse().ok()) {
        let purged = keying.key_of_uri(&uri).expect("a normal form has a key");
        assert_eq!(purged, key.alone());
        assert_eq!(purged.digests()[..2], [uri_digest; 2]);
        // Shown are all octets but those that would end a string.
        if !spelled.contains(['\'', '"', '\\']) && spelled.is_ascii() {
            assert_eq!(purged.to_string(), spelled);
        }
    }
}
