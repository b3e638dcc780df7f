//! Headers, closures, and keys made of keys: no two kinds meet.

use super::*;

const KEY: HeaderName = HeaderName::from_static("x-api-key");
const USER: HeaderName = HeaderName::from_static("x-user");

fn api_key() -> ClientHeader {
    ClientHeader::new(KEY)
}

fn user() -> ClientHeader {
    ClientHeader::new(USER)
}

#[test]
fn kinds_have_their_own_name_spaces() {
    // The same bits as IPv4 and, shifted into the prefix, as IPv6.
    let v4 = request(Some("0.0.0.1"), "x-api-key", &[b"1"]);
    let v6 = request(Some("0:0:0:1::"), "x-user", &[b"1"]);
    let mut path = Request::new(());
    *path.uri_mut() = "/1".parse().unwrap();
    let hashes = [
        hashed(&ClientIp::peer(), &v4),
        hashed(&ClientIp::peer(), &v6),
        hashed(&api_key(), &v4),
        hashed(&user(), &v6),
        hashed(&ClientPath::new(), &path),
        hashed(&KeyFn::new(|_| Some("1")), &v4),
        hashed(&KeyFn::new(|_| Some(1_u128)), &v4),
    ];
    for (index, hash) in hashes.iter().enumerate() {
        assert!(hash.is_some() && !hashes[..index].contains(hash), "{index}");
    }
}

#[test]
fn all_value_of_a_header_are_the_key() {
    let hash = |lines: &[&[u8]]| hashed(&api_key(), &request(None, "x-api-key", lines));
    assert_eq!(hash(&[b"a"]), hash(&[b"a"]));
    assert_ne!(hash(&[b"a"]), hash(&[b"A"]));
    assert_ne!(hash(&[b"ab"]), hash(&[b"a", b"b"]));
    assert_ne!(hash(&[b"a", b"b"]), hash(&[b"b", b"a"]));
    assert_ne!(hash(&[b"a"]), hash(&[b"a", b""]));
    assert_eq!(hash(&[b"a"]), hash(&[b" a\t"]));
    assert!(hash(&[b"\xff\x80"]).is_some());
    for nothing in [&[] as &[&[u8]], &[b""], &[b"", b""], &[b" \t "]] {
        assert_eq!(hash(nothing), None);
    }
}

#[test]
fn a_header_is_named_without_its_value() {
    let label = |value: &[u8]| label(&api_key(), &request(None, "x-api-key", &[value]));
    let (one, other) = (label(b"secret").unwrap(), label(b"public").unwrap());
    let digits = one.strip_prefix("x-api-key#").unwrap();
    assert!(
        digits.len() == 8 && u32::from_str_radix(digits, 16).is_ok(),
        "{one}"
    );
    assert_eq!(label(b"secret"), Some(one.clone()));
    assert_ne!(one, other);
    assert_eq!(label(b""), None);
    // The same value elsewhere is called something else.
    let elsewhere = super::label(&user(), &request(None, "x-user", &[b"secret"])).unwrap();
    assert_ne!(elsewhere.strip_prefix("x-user#").unwrap(), digits);
}

#[test]
fn both_or_one_or_none() {
    let all = request(Some("203.0.113.9"), "x-api-key", &[b"a"]);
    let keyless = request(Some("203.0.113.9"), "x-user", &[b"a"]);
    let peerless = request(None, "x-api-key", &[b"a"]);
    let nobody = request(None, "x-user", &[b""]);

    let both = ClientIp::peer().and(api_key());
    let name = label(&api_key(), &all).unwrap();
    assert_eq!(label(&both, &all), Some(format!("203.0.113.9 {name}")));
    assert!(hashed(&both, &all).is_some());
    for one in [&keyless, &peerless, &nobody] {
        assert_eq!(hashed(&both, one), None);
    }

    let either = api_key().or(ClientIp::peer());
    assert_eq!(label(&either, &all), Some(name.clone()));
    assert_eq!(label(&either, &keyless).unwrap(), "203.0.113.9");
    assert_eq!(label(&either, &nobody), None);
    assert_eq!(hashed(&either, &all), hashed(&either, &peerless));
    assert_ne!(hashed(&either, &all), hashed(&either, &keyless));
    assert_eq!(hashed(&either, &nobody), None);

    let unnamed = KeyFn::new(|_| Some(1));
    assert_eq!(
        label(&unnamed.clone().and(ClientIp::peer()), &all).unwrap(),
        "203.0.113.9"
    );
    // The one that has the key has no name, and the other's would be wrong.
    assert_eq!(label(&unnamed.or(ClientIp::peer()), &all), None);

    // Two closures may make the same of different requests: still two clients.
    let value_of = |name| KeyFn::new(move |head| head.headers.get(name).cloned());
    let (user, key) = (value_of("x-user"), value_of("x-api-key"));
    assert_eq!(hashed(&user, &keyless), hashed(&key, &all));
    let either_value = user.or(key);
    assert_ne!(hashed(&either_value, &keyless), hashed(&either_value, &all));

    let left_out: Option<ClientHeader> = None;
    assert_eq!(hashed(&left_out, &all), None);
    let rest = ClientKey::or(left_out, ClientIp::peer());
    assert_eq!(label(&rest, &all).unwrap(), "203.0.113.9");
    let given = ClientKey::or(Some(api_key()), ClientIp::peer());
    assert_eq!(hashed(&given, &all), hashed(&either, &all));
}

/// A client as a person would tell it: which kind it is, and what it is called there.
#[derive(Debug, Clone, PartialEq)]
enum Person {
    Key(Vec<String>),
    User(Vec<String>),
    At(IpAddr),
}

#[derive(Debug, Clone)]
struct Asked {
    keys: Vec<String>,
    users: Vec<String>,
    peer: IpAddr,
    path: &'static str,
}

impl Asked {
    fn request(&self) -> Request<()> {
        let mut request = request(Some(&self.peer.to_string()), "x", &[]);
        *request.uri_mut() = self.path.parse().unwrap();
        for (name, lines) in [(KEY, &self.keys), (USER, &self.users)] {
            for line in lines {
                let value = HeaderValue::from_str(line).unwrap();
                request.headers_mut().append(name.clone(), value);
            }
        }
        request
    }

    fn person(&self) -> Person {
        let says_something = |lines: &[String]| lines.iter().any(|line| !line.is_empty());
        if says_something(&self.keys) {
            Person::Key(self.keys.clone())
        } else if says_something(&self.users) {
            Person::User(self.users.clone())
        } else {
            Person::At(self.peer)
        }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let lines = || {
        let line = prop::sample::select(vec!["", "a", "b", "ab"]);
        prop::collection::vec(line.prop_map(str::to_owned), 0..3)
    };
    let peer = prop::sample::select(vec!["0.0.0.1", "0.0.0.2", "0:0:0:1::", "0:0:0:2::"]);
    let path = prop::sample::select(vec!["/", "/a", "/a/b", "/ab", "/%2F", "/a/b/c"]);
    (lines(), lines(), peer, path).prop_map(|(keys, users, peer, path)| Asked {
        keys,
        users,
        peer: peer.parse().unwrap(),
        path,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Composites hash alike for the same client only, and no key begins as another one goes on: so
    /// what follows in the hash, another key or nothing, cannot make two clients one.
    #[test]
    fn composites_tell_all_clients_apart(one in asked(), other in asked()) {
        let who = || api_key().or(user()).or(ClientIp::peer());
        let (a, b) = (one.request(), other.request());
        let both = hashed(&who(), &a).zip(hashed(&who(), &b)).unwrap();
        prop_assert_eq!(both.0 == both.1, one.person() == other.person());
        prop_assert!(both.0 == both.1 || !both.0.starts_with(&both.1));

        let where_and_who = || ClientPath::new().segments(2).and(who());
        let both = hashed(&where_and_who(), &a).zip(hashed(&where_and_who(), &b)).unwrap();
        let places = |path: &'static str| path.split('/').take(3).collect::<Vec<_>>();
        let same = one.person() == other.person() && places(one.path) == places(other.path);
        prop_assert_eq!(both.0 == both.1, same);
        prop_assert!(both.0 == both.1 || !both.0.starts_with(&both.1));
    }

    /// Whatever stands in a field there is an answer, and the value is in no name.
    #[test]
    fn any_bytes_are_a_key(lines in prop::collection::vec(line(), 0..4)) {
        let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
        let request = request(Some(PEER), "x-api-key", &lines);
        let says_something = lines.iter().any(|line| !line.trim_ascii().is_empty());
        prop_assert_eq!(hashed(&api_key(), &request).is_some(), says_something);
        let name = label(&api_key().and(ClientIp::peer()), &request);
        prop_assert_eq!(name.is_some_and(|name| name.len() == "x-api-key#01234567 10.0.0.1".len()), says_something);
    }
}
