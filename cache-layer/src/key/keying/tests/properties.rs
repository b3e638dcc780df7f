use super::*;
use proptest::prelude::*;

fn keyings() -> impl Strategy<Value = Keying> {
    let query = prop_oneof![
        Just(QueryPolicy::exact()),
        Just(QueryPolicy::exact().sorted()),
        Just(QueryPolicy::ignoring(["a"])),
        Just(QueryPolicy::keeping(["a"]).sorted()),
    ];
    let spelling = prop_oneof![
        Just(Spelling::Exact),
        Just(Spelling::Host),
        Just(Spelling::HostAndPath)
    ];
    let overrides = prop_oneof![Just(Overrides::Key), Just(Overrides::Strip)];
    (query, spelling, overrides).prop_map(|(query, spelling, overrides)| Keying {
        query,
        spelling,
        overrides,
        fields: [HeaderName::from_static("x-market")].into(),
        owner: Some(Arc::new(|headers, _| {
            Some(headers.get("x-owner")?.as_bytes().to_vec())
        })),
        ..keying()
    })
}

fn requests() -> impl Strategy<Value = Request<()>> {
    let origin = prop_oneof![
        Just(""),
        Just("http://a"),
        Just("http://A:80"),
        Just("https://a"),
        Just("https://a:443")
    ];
    let host = prop_oneof![
        Just("a"),
        Just("A"),
        Just("a:80"),
        Just("a:443"),
        Just("a.")
    ];
    let path = prop_oneof![
        Just("/a"),
        Just("/%61"),
        Just("/%2f"),
        Just("/%2F"),
        Just("/")
    ];
    let query = proptest::option::of("[ab&;]{0,3}");
    let field = prop_oneof![
        Just("x-forwarded-host"),
        Just("x-host"),
        Just("x-market"),
        Just("x-owner"),
        Just("accept")
    ];
    let fields = proptest::collection::vec((field, "[ab]{0,1}"), 0..3);
    (origin, host, path, query, fields).prop_map(|(origin, host, path, query, fields)| {
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        let mut all = vec![("host", host), ("x-owner", "a")];
        all.extend(fields.iter().map(|(name, value)| (*name, value.as_str())));
        request(&format!("{origin}{path}{query}"), &all)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_service_sees_what_the_key_says(
        keying in keyings(), one in requests(), other in requests(),
    ) {
        let (one, other) = (prepared(&keying, one), prepared(&keying, other));
        let of_one = key(&keying, &one);
        prop_assert_ne!(of_one.as_ref(), Err(&NoKey::Spelled));
        if of_one.is_ok() && of_one == key(&keying, &other) {
            prop_assert_eq!(seen(&one), seen(&other));
        }
        // What is seen is seen as it is.
        let as_seen = seen(&one);
        let again = prepared(&keying, one);
        prop_assert_eq!(seen(&again), as_seen);
        prop_assert_eq!(key(&keying, &again), of_one);
    }
}
