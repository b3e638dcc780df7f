use std::time::Duration;

use super::{AdaptiveBy, read, refused};

#[test]
fn waiting_and_idling_are_off_unless_given() {
    let flags = read("--upstream http://h --concurrency 4").unwrap();
    assert!(flags.concurrency_wait.is_none() && flags.concurrency_idle.is_none());
    let flags =
        "--upstream http://h --concurrency 4 --concurrency-wait 1ms --concurrency-idle 1day";
    let flags = read(flags).unwrap();
    assert_eq!(flags.concurrency_wait, Some(Duration::from_millis(1)));
    assert_eq!(flags.concurrency_idle, Some(Duration::from_secs(86_400)));
}

#[test]
fn they_need_a_limit_and_a_time_within_a_day() {
    for flag in ["--concurrency-wait", "--concurrency-idle"] {
        let why = refused(&format!("--upstream http://h {flag} 2s"));
        assert!(
            why.contains(&format!("{flag} needs --concurrency or --adaptive")),
            "{why}"
        );
        for time in ["0s", "999us", "86401s", "long"] {
            let why = refused(&format!(
                "--upstream http://h --concurrency 1 {flag} {time}"
            ));
            assert!(why.contains("must be 1ms to 1day"), "{why}");
        }
    }
}

#[test]
fn an_adaptive_limit_may_stand_alone() {
    for (flag, by) in [
        ("--adaptive", AdaptiveBy::Gradient2),
        ("--adaptive gradient2", AdaptiveBy::Gradient2),
        ("--adaptive=vegas", AdaptiveBy::Vegas),
        ("--adaptive aimd", AdaptiveBy::Aimd),
    ] {
        let line = format!("--upstream http://h {flag} --concurrency-wait 2s");
        let flags = read(&line).unwrap();
        assert_eq!(flags.adaptive, by);
        assert!(flags.limits_concurrency() && flags.adaptive.limit().is_some());
    }
    let flags = read("--upstream http://h --adaptive off").unwrap();
    assert!(!flags.limits_concurrency());
    let why = refused("--upstream http://h --adaptive fast");
    assert!(why.contains("off, gradient2, vegas, aimd"), "{why}");
}
