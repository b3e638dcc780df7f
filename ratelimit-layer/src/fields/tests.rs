use super::*;
use crate::quota::Quota;
use proptest::prelude::*;

fn name(name: &str) -> PolicyName {
    PolicyName::try_new(name).unwrap()
}

fn standing(remaining: u64, window: Duration) -> Standing {
    Standing {
        remaining,
        window,
        partition: None,
    }
}

fn quota(text: &str) -> Fields {
    Fields::of_quota(&name(text), text.parse().unwrap(), Unit::Requests)
}

fn appended(style: FieldStyle, items: &[(&Fields, Standing)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    append(&mut headers, style, None, items);
    headers
}

#[test]
fn items_are_structured_fields() {
    let name = name(r#"a "b" \c"#);
    let fields = Fields::of_quota(&name, Quota::per_minute(10), Unit::Requests);
    let left = standing(7, Duration::from_millis(41_001));
    let headers = appended(FieldStyle::Draft, &[(&fields, left)]);
    assert_eq!(headers.len(), 2);
    assert_eq!(headers["ratelimit-policy"], r#""a \"b\" \\c";q=10;w=60"#);
    assert_eq!(headers["ratelimit"], r#""a \"b\" \\c";r=7;t=42"#);
}

#[test]
fn units_are_named_unless_they_are_requests() {
    let bytes = Fields::of_quota(
        &name("bytes"),
        "1000000/10s".parse().unwrap(),
        Unit::ContentBytes,
    );
    assert_eq!(bytes.policy, r#""bytes";q=1000000;w=10;qu="content-bytes""#);
    let concurrent = Fields::of_concurrency(&name("conc"), 10);
    assert_eq!(concurrent.policy, r#""conc";q=10;qu="concurrent-requests""#);
}

#[test]
fn several_policies_share_a_line() {
    let (burst, daily) = (quota("10/s"), quota("1000/d"));
    let items = [
        (&burst, standing(9, Duration::from_millis(1))),
        (&daily, standing(42, Duration::from_secs(3_600))),
    ];
    let policies = r#""10/s";q=10;w=1,"1000/d";q=1000;w=86400"#;
    let left = r#""10/s";r=9;t=1,"1000/d";r=42;t=3600"#;
    let prepared = joined(&[&burst, &daily]);
    for prepared in [Some(&prepared), None] {
        let mut headers = HeaderMap::new();
        headers.append("ratelimit", HeaderValue::from_static("\"inner\";r=1"));
        append(&mut headers, FieldStyle::Draft, prepared, &items);
        assert_eq!(headers["ratelimit-policy"], policies);
        let lines: Vec<_> = headers.get_all("ratelimit").iter().collect();
        assert_eq!(lines, ["\"inner\";r=1", left]);
    }
}

#[test]
fn without_a_policy_nothing_is_said() {
    assert!(appended(FieldStyle::Both, &[]).is_empty());
}

#[test]
fn older_fields_tell_of_the_policy_with_the_least_left() {
    let (burst, daily) = (quota("10/s"), quota("1000/d"));
    let second = Duration::from_secs(1);
    for (left, says) in [
        ([(9, second), (42, 60 * second)], ["10", "9", "1"]),
        ([(9, second), (8, 60 * second)], ["1000", "8", "60"]),
        // Both are used up: the longer wait counts.
        ([(0, second), (0, 60 * second)], ["1000", "0", "60"]),
    ] {
        let [one, two] = left.map(|(remaining, window)| standing(remaining, window));
        let items = [(&burst, one), (&daily, two)];
        let headers = appended(FieldStyle::Legacy, &items);
        assert_eq!(headers.len(), 3);
        for (name, value) in ["limit", "remaining", "reset"].iter().zip(says) {
            assert_eq!(headers[format!("x-ratelimit-{name}")], value);
        }
        assert_eq!(appended(FieldStyle::Both, &items).len(), 5);
    }
}

#[test]
fn older_fields_of_the_service_stay_alone() {
    let fields = quota("10/s");
    let mut headers = HeaderMap::new();
    headers.insert(X_LIMIT, HeaderValue::from_static("5"));
    let items = [(&fields, standing(9, Duration::ZERO))];
    append(&mut headers, FieldStyle::Legacy, None, &items);
    assert_eq!(headers.len(), 1);
    assert_eq!(headers[X_LIMIT], "5");
}

#[test]
fn a_style_may_be_a_yes_or_a_no() {
    assert_eq!(FieldStyle::from(true), FieldStyle::Draft);
    assert_eq!(FieldStyle::from(false), FieldStyle::None);
    let fields = quota("10/s");
    let items = [(&fields, standing(9, Duration::ZERO))];
    assert!(appended(FieldStyle::None, &items).is_empty());
}

#[test]
fn integers_have_fifteen_digits_and_windows_a_day() {
    let fields = Fields::of_concurrency(&name("x"), usize::MAX);
    let headers = appended(
        FieldStyle::Both,
        &[(&fields, standing(u64::MAX, Duration::MAX))],
    );
    assert_eq!(
        headers["ratelimit-policy"],
        r#""x";q=999999999999999;qu="concurrent-requests""#
    );
    assert_eq!(headers["ratelimit"], r#""x";r=999999999999999;t=86400"#);
    assert_eq!(headers["x-ratelimit-limit"], "999999999999999");
    assert_eq!(headers["x-ratelimit-reset"], "86400");
}

#[test]
fn a_window_ends_no_later_than_retry_after() {
    let (short, long) = (Duration::from_secs(2), Duration::from_secs(5));
    assert_eq!(standing(1, long).no_later_than(short), standing(1, short));
    assert_eq!(standing(1, short).no_later_than(long), standing(1, short));
}

#[test]
fn partition_keys_are_byte_sequences_that_tell_clients_apart() {
    let (fields, partitions) = (quota("10/s"), Partitions::default());
    let key = |client| {
        let partition = Some(partitions.of(client));
        let left = standing(9, Duration::ZERO);
        let left = Standing { partition, ..left };
        let headers = appended(FieldStyle::Draft, &[(&fields, left)]);
        let value = headers["ratelimit"].to_str().unwrap().to_owned();
        let key = value
            .strip_prefix("\"10/s\";r=9;t=0;pk=:")
            .and_then(|rest| rest.strip_suffix("=:"))
            .unwrap_or_else(|| panic!("{value}"));
        assert_eq!(key.len(), 11);
        key.to_owned()
    };
    assert_eq!(key(1), key(1));
    assert_ne!(key(1), key(2));
    // Another layer's secret makes other keys.
    assert_ne!(partitions.of(1), Partitions::default().of(1));
}

#[test]
fn names_are_printable_ascii() {
    for name in ["", "a\n", "é", "\u{7f}", &"x".repeat(65)] {
        let error = PolicyName::try_new(name).unwrap_err().to_string();
        assert!(
            error.contains("allowed are 1 to 64 printable ASCII characters"),
            "{error}"
        );
    }
}

#[test]
fn seconds_are_rounded_up() {
    for (nanos, seconds) in [
        (0, 0),
        (1, 1),
        (999_999_999, 1),
        (1_000_000_000, 1),
        (1_000_000_001, 2),
    ] {
        assert_eq!(whole_seconds(Duration::from_nanos(nanos)), seconds);
    }
    // The longest wait there is does not overflow.
    assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
}

proptest! {
    #[test]
    fn digits_are_counted(any: u64, power in 0_u32..20) {
        for number in [any, 10_u64.pow(power), 10_u64.pow(power) - 1] {
            prop_assert_eq!(digits(number), super::number(number).len());
        }
    }
}

#[test]
fn numbers_are_written_as_they_are_and_never_longer_than_the_draft_allows() {
    for number in (0..20_000).chain([MAX_INTEGER - 1, MAX_INTEGER]) {
        assert_eq!(super::number(number), number.to_string());
    }
    assert_eq!(super::number(u64::MAX), MAX_INTEGER.to_string());
}
