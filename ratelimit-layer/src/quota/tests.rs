//! What a quota is, and its text form.

use super::*;
use proptest::prelude::*;

#[test]
fn reads_its_forms() {
    let second = Duration::from_secs(1);
    for (text, quota) in [
        ("100/s", Quota::per_second(100)),
        ("10/m", Quota::per_minute(10)),
        ("1000/h", Quota::per_hour(1_000)),
        ("5/10s", Quota::per(5, 10 * second)),
        ("7/d", Quota::per(7, 86_400 * second)),
        ("3/250ms", Quota::per(3, second / 4)),
        ("100/s burst 200", Quota::per_second(100).burst(200)),
        (" 1/s  burst  1 ", Quota::per_second(1)),
    ] {
        assert_eq!(text.parse(), Ok(quota), "{text}");
    }
}

#[test]
fn refuses_other_forms_and_says_what_is_allowed() {
    for text in [
        "",
        "100",
        "/s",
        "100/",
        "100/x",
        "x/s",
        "0/s",
        "1/0s",
        "-1/s",
        "+1/s",
        "1/s burst",
        "1/s burst 0",
        "1/s burst x",
        "1/s burst 1 1",
        "1/s bursts 1",
        "1 /s",
        "1/s/s",
        "1.5/s",
        "5000000000/s",
        "2000000000/s",
        "1/99999999999999999999999999999999999999999d",
        "1/4000d",
        "1/365d burst 4000",
    ] {
        let error = text.parse::<Quota>().expect_err(text);
        assert!(error.to_string().contains("allowed"), "{text}: {error}");
    }
}

#[test]
#[should_panic(expected = "a quota of 0 per 1s cannot be used")]
fn a_quota_of_nothing_panics() {
    let _ = Quota::per_second(0);
}

#[test]
fn is_advertised_in_whole_seconds() {
    for (text, advertised) in [
        ("100/s", (100, 1)),
        ("3/s", (3, 1)),
        ("10/m", (10, 60)),
        ("1000/h", (1_000, 3_600)),
        ("100/s burst 200", (200, 2)),
        ("100/s burst 150", (200, 2)),
        ("100/s burst 10", (100, 1)),
        ("1/10s", (1, 10)),
        ("5/500ms", (10, 1)),
    ] {
        assert_eq!(
            text.parse::<Quota>().unwrap().advertised(),
            advertised,
            "{text}"
        );
    }
}

#[cfg(feature = "serde")]
#[test]
fn configuration_has_it_as_text() {
    let quota = Quota::per_second(100).burst(200);
    let json = serde_json::to_string(&quota).unwrap();
    assert_eq!(json, r#""100/s burst 200""#);
    assert_eq!(serde_json::from_str::<Quota>(&json).unwrap(), quota);
    for (text, says) in [
        (r#""100""#, "is not a quota"),
        ("100", "expected a quota, such as"),
    ] {
        let error = serde_json::from_str::<Quota>(text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(units in 1_u32.., nanos in 1_u64.., burst in 1_u32..) {
        let quota = Quota::try_per(units, Duration::from_nanos(nanos));
        if let Ok(quota) = quota.and_then(|quota| quota.try_burst(burst)) {
            prop_assert_eq!(quota.to_string().parse(), Ok(quota));
            let (q, w) = quota.advertised();
            prop_assert!(w >= 1 && q >= u64::from(burst));
        }
    }

    #[test]
    fn any_text_is_answered(text: String) {
        let _ = text.parse::<Quota>();
    }
}
