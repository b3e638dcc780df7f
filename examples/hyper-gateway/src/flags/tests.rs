mod client;
mod concurrency;

use cache_layer::{
    CacheStatus, Cookies, Credentials, Eviction, Overrides, SetCookie, Spelling, Unkeyable,
};

use super::{AdaptiveBy, Flags, Refusal};

fn read(line: &str) -> Result<Flags, Refusal> {
    Flags::read(["hyper-gateway"].into_iter().chain(line.split_whitespace()))
}

fn refused(line: &str) -> String {
    match read(line) {
        Err(Refusal::Unusable(why)) => why,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn defaults_are_those_of_the_help() {
    let flags = read("--upstream http://127.0.0.1:9000").unwrap();
    assert_eq!(flags.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(flags.upstream, "127.0.0.1:9000");
    assert_eq!(flags.upstream_timeout.as_secs(), 30);
    assert_eq!(flags.cache.bytes, 256 << 20);
    assert_eq!(flags.cache.max_entry_bytes, 1 << 20);
    assert!(flags.cache.heuristic && flags.cache.default_ttl.is_none());
    assert_eq!(flags.cache.targeted, ["cdn-cache-control"]);
    assert_eq!(flags.cache.max_header_bytes, 32 << 10);
    assert_eq!(flags.cache.max_vary_names, 8);
    assert!(flags.cache.vary_on.is_empty() && flags.cache.negative_ttl.is_empty());
    assert!(flags.cache.min_ttl.is_none() && flags.cache.max_ttl.is_none());
    assert_eq!(flags.cache.ttl_jitter, 0.1);
    assert_eq!(flags.cache.credentials, Credentials::Mind);
    assert!(flags.cache.credential_header.is_none());
    assert!(flags.cache.stale_if_error.is_none());
    assert!(flags.cache.stale_while_revalidate.is_none());
    assert_eq!(flags.cache.cookie, Cookies::Mind);
    assert_eq!(flags.cache.set_cookie, SetCookie::Refuse);
    assert_eq!(flags.cache.status, CacheStatus::On);
    assert_eq!(flags.keys.overrides, Overrides::Key);
    assert!(flags.keys.override_fields.is_empty() && flags.keys.key_headers.is_empty());
    assert!(flags.keys.ignore_params.is_empty() && flags.keys.keep_params.is_empty());
    assert!(!flags.keys.sort_query && flags.keys.spelling == Spelling::Host);
    assert_eq!(flags.keys.overlong, Unkeyable::Bypass);
    assert!(flags.rate.is_empty() && flags.burst.is_none() && !flags.dry_run);
    assert!(flags.concurrency.is_none() && flags.heap_budget.is_none());
    assert_eq!(flags.adaptive, AdaptiveBy::Off);
    assert!(flags.client.trusted_proxy.is_empty() && flags.admin.is_none());
}

#[test]
fn sizes_durations_and_networks_are_read() {
    let flags = read(
        "--upstream http://[::1] --cache-bytes 0 --max-entry-bytes 64KiB --default-ttl 2m \
         --upstream-timeout 500ms --heap-budget 1.5MiB --trusted-proxy 10.0.0.0/8 \
         --trusted-proxy ::1 --client-header CF-Connecting-IP --rate 100/s --burst 7",
    )
    .unwrap();
    assert_eq!(flags.upstream, "[::1]");
    assert_eq!(flags.cache.bytes, 0);
    assert_eq!(flags.cache.max_entry_bytes, 65536);
    assert_eq!(flags.cache.default_ttl.unwrap().as_secs(), 120);
    assert_eq!(flags.upstream_timeout.as_millis(), 500);
    assert_eq!(flags.heap_budget, Some(3 << 19));
    assert_eq!(flags.client.trusted_proxy.len(), 2);
    assert_eq!(flags.burst.unwrap().get(), 7);
}

#[test]
fn what_the_cache_may_do_is_read() {
    let flags = read(
        "--upstream http://h --heuristic off --targeted X-Cache-Control --targeted cdn-cache-control \
         --stale-if-error 1h --stale-while-revalidate 10s --cookie ignore --set-cookie store \
         --cache-status off",
    )
    .unwrap()
    .cache;
    assert!(!flags.heuristic);
    assert_eq!(flags.targeted, ["x-cache-control", "cdn-cache-control"]);
    assert_eq!(flags.stale_if_error.unwrap().as_secs(), 3600);
    assert_eq!(flags.stale_while_revalidate.unwrap().as_secs(), 10);
    assert_eq!(flags.cookie, Cookies::Ignore);
    assert_eq!(flags.set_cookie, SetCookie::Store);
    assert_eq!(flags.status, CacheStatus::Off);

    let flags = read(
        "--upstream http://h --heuristic on --targeted none --cookie bypass --set-cookie strip",
    )
    .unwrap()
    .cache;
    assert!(flags.heuristic && flags.targeted.is_empty());
    assert_eq!(flags.cookie, Cookies::Bypass);
    assert_eq!(flags.set_cookie, SetCookie::Strip);
}

#[test]
fn who_leaves_and_who_is_fetched_ahead_is_read() {
    let flags = read(
        "--upstream http://h --eviction soonest-to-expire --time-to-idle 10m --refresh-ahead 0.1",
    );
    let flags = flags.unwrap().cache;
    assert_eq!(flags.eviction, Eviction::SoonestToExpire);
    assert_eq!(flags.time_to_idle.unwrap().as_secs(), 600);
    assert_eq!((flags.refresh_ahead, flags.max_variants), (0.1, 32));
    let none = read("--upstream http://h --eviction lru").unwrap().cache;
    assert_eq!(none.eviction, Eviction::Lru);
    assert!(none.time_to_idle.is_none() && none.refresh_ahead == 0.0);
}

#[test]
fn lifetimes_limits_and_credentials_are_read() {
    let flags = read(
        "--upstream http://h --negative-ttl 404,410=10s --negative-ttl 500-503=500ms --min-ttl 5s \
         --max-ttl 1h --ttl-jitter 0.25 --max-header-bytes 8KiB --max-vary-names 0 \
         --vary-on User-Agent --vary-on cookie --credentials bypass --credential-header X-Key \
         --credential-header X-Forwarded-User",
    )
    .unwrap()
    .cache;
    let negative: Vec<_> = flags
        .negative_ttl
        .iter()
        .map(|(statuses, ttl)| (&statuses[..], ttl.as_millis()))
        .collect();
    assert_eq!(
        negative,
        [(&[404, 410][..], 10_000), (&[500, 501, 502, 503], 500)]
    );
    assert_eq!(flags.min_ttl.unwrap().as_secs(), 5);
    assert_eq!(flags.max_ttl.unwrap().as_secs(), 3600);
    assert_eq!(flags.ttl_jitter, 0.25);
    assert_eq!(flags.max_header_bytes, 8192);
    assert_eq!(flags.max_vary_names, 0);
    assert_eq!(flags.vary_on, ["user-agent", "cookie"]);
    assert_eq!(flags.credentials, Credentials::Bypass);
    assert_eq!(
        flags.credential_header.unwrap(),
        ["x-key", "x-forwarded-user"]
    );
    let none = read("--upstream http://h --credential-header none").unwrap();
    assert!(none.cache.credential_header.unwrap().is_empty());
}

#[test]
fn what_requests_share_is_read() {
    let flags = read(
        "--upstream http://h --overrides strip --override-field X-Base --ignore-param utm_source \
         --ignore-param gclid --sort-query on --spelling host-and-path --cache-key-header X-Market --cache-key-header dpr \
         --overlong refuse",
    )
    .unwrap()
    .keys;
    assert_eq!(flags.overrides, Overrides::Strip);
    assert_eq!(flags.override_fields, ["x-base"]);
    assert_eq!(flags.ignore_params, ["utm_source", "gclid"]);
    assert!(flags.sort_query);
    assert_eq!(flags.spelling, Spelling::HostAndPath);
    assert_eq!(flags.key_headers, ["x-market", "dpr"]);
    assert_eq!(flags.overlong, Unkeyable::Refuse);
    for (how, overrides) in [("refuse", Overrides::Refuse), ("ignore", Overrides::Ignore)] {
        let flags = read(&format!(
            "--upstream http://h --overrides {how} --keep-param id"
        ));
        let keys = flags.unwrap().keys;
        assert_eq!(
            (keys.overrides, &*keys.keep_params),
            (overrides, &["id".to_owned()][..])
        );
    }
}

#[test]
fn every_refusal_is_one_line_that_names_the_flag() {
    for (line, names) in [
        ("", "--upstream"),
        ("--upstream localhost:9000", "--upstream"),
        ("--upstream https://h", "https is not supported"),
        ("--upstream http://", "--upstream"),
        ("--upstream http://:80", "--upstream"),
        ("--upstream http://h:0", "--upstream"),
        ("--upstream http://h:99999", "--upstream"),
        ("--upstream http://u@h", "--upstream"),
        ("--upstream http://h/base", "without a path"),
        ("--upstream http://h?x", "--upstream"),
        ("--upstream ftp://h", "--upstream"),
        ("--upstream http://h --listen localhost", "--listen"),
        ("--upstream http://h --listen 127.0.0.1:70000", "--listen"),
        ("--upstream http://h --cache-bytes -1", "-1"),
        ("--upstream http://h --cache-bytes lots", "--cache-bytes"),
        ("--upstream http://h --cache-bytes 100", "--cache-bytes"),
        (
            "--upstream http://h --heap-budget 999999TiB",
            "--heap-budget",
        ),
        (
            "--upstream http://h --max-entry-bytes 0",
            "--max-entry-bytes",
        ),
        ("--upstream http://h --default-ttl 0s", "--default-ttl"),
        ("--upstream http://h --default-ttl 5", "--default-ttl"),
        ("--upstream http://h --heuristic", "--heuristic"),
        ("--upstream http://h --heuristic yes", "must be on or off"),
        ("--upstream http://h --targeted a=b", "--targeted"),
        (
            "--upstream http://h --targeted none --targeted a",
            "none stands alone",
        ),
        (
            "--upstream http://h --stale-if-error 0s",
            "--stale-if-error",
        ),
        (
            "--upstream http://h --stale-while-revalidate 7",
            "--stale-while-revalidate",
        ),
        (
            "--upstream http://h --cookie keep",
            "must be mind, ignore or bypass",
        ),
        (
            "--upstream http://h --set-cookie drop",
            "must be refuse, strip or store",
        ),
        (
            "--upstream http://h --max-header-bytes 0",
            "--max-header-bytes",
        ),
        ("--upstream http://h --max-vary-names -1", "-1"),
        ("--upstream http://h --max-variants 0", "--max-variants"),
        ("--upstream http://h --eviction fifo", "must be tiny-lfu"),
        ("--upstream http://h --time-to-idle 0s", "--time-to-idle"),
        ("--upstream http://h --refresh-ahead 0.6", "from 0 to 0.5"),
        ("--upstream http://h --vary-on a=b", "--vary-on"),
        ("--upstream http://h --negative-ttl 404", "--negative-ttl"),
        (
            "--upstream http://h --negative-ttl 404=0s",
            "--negative-ttl",
        ),
        (
            "--upstream http://h --negative-ttl 4xx=1s",
            "--negative-ttl",
        ),
        (
            "--upstream http://h --negative-ttl 404,=1s",
            "--negative-ttl",
        ),
        (
            "--upstream http://h --negative-ttl 404,429=1s",
            "--negative-ttl: negative_ttl is for status 429, but must be",
        ),
        (
            "--upstream http://h --negative-ttl 500-599=1s",
            "for status 505",
        ),
        (
            "--upstream http://h --min-ttl 61s --max-ttl 1m",
            "--min-ttl must be at most --max-ttl",
        ),
        ("--upstream http://h --max-ttl 0s", "--max-ttl"),
        (
            "--upstream http://h --ttl-jitter 1.1",
            "must be from 0 to 1",
        ),
        (
            "--upstream http://h --ttl-jitter nan",
            "must be from 0 to 1",
        ),
        (
            "--upstream http://h --credentials ignore",
            "must be mind or bypass",
        ),
        (
            "--upstream http://h --credential-header none --credential-header a",
            "--credential-header: none stands alone",
        ),
        (
            "--upstream http://h --cache-status loud",
            "must be on, off or debug",
        ),
        (
            "--upstream http://h --overrides trust",
            "must be key, strip, refuse or ignore",
        ),
        (
            "--upstream http://h --override-field X_Forwarded_For",
            "--override-field: x-forwarded-for differs for each client",
        ),
        (
            "--upstream http://h --override-field a=b",
            "--override-field",
        ),
        (
            "--upstream http://h --ignore-param a --keep-param b",
            "--keep-param",
        ),
        ("--upstream http://h --sort-query yes", "must be on or off"),
        (
            "--upstream http://h --spelling odd",
            "must be exact, host or host-and-path",
        ),
        (
            "--upstream http://h --cache-key-header a=b",
            "--cache-key-header",
        ),
        (
            "--upstream http://h --overlong cut",
            "must be bypass or refuse",
        ),
        (
            "--upstream http://h --upstream-timeout 99999999999y",
            "--upstream-timeout",
        ),
        ("--upstream http://h --rate fast", "--rate"),
        ("--upstream http://h --rate 0/s", "--rate"),
        ("--upstream http://h --rate 10/s,fast", "--rate"),
        (
            "--upstream http://h --rate 10/s,10/s",
            "--rate has 10/s twice",
        ),
        (
            "--upstream http://h --rate 1/s,2/s,3/s,4/s,5/s,6/s,7/s,8/s,9/s",
            "--rate takes up to 8 quotas",
        ),
        ("--upstream http://h --dry-run", "--rate"),
        ("--upstream http://h --burst 5", "--burst needs --rate"),
        (
            "--upstream http://h --rate 1/s --burst 0",
            "a whole number from 1",
        ),
        (
            "--upstream http://h --concurrency 0",
            "a whole number from 1",
        ),
        (
            "--upstream http://h --rate 1/h --burst 4000000000",
            "--burst",
        ),
        ("--upstream http://h --heap-budget 0", "--heap-budget"),
        ("--upstream http://h --heap-budget 101%", "--heap-budget"),
        (
            "--upstream http://h --profile-directory .",
            "--profile-directory needs --heap-budget",
        ),
        (
            "--upstream http://h --heap-budget 1MiB --profile-directory nowhere",
            "--profile-directory",
        ),
        (
            "--upstream http://h --trusted-proxy 10.0.0.0/33",
            "--trusted-proxy",
        ),
        (
            "--upstream http://h --client-header x-real-ip",
            "--trusted-proxy",
        ),
        (
            "--upstream http://h --trusted-proxy ::1 --client-header a=b",
            "--client-header",
        ),
        ("--upstream http://h --admin :80", "--admin"),
        ("--upstream http://h --unknown", "--unknown"),
    ] {
        let why = refused(line);
        assert!(why.contains(names), "{line}: {why}");
        assert!(!why.contains('\n'), "{line}: {why}");
    }
}

#[test]
fn help_is_no_error() {
    assert!(matches!(read("--help"), Err(Refusal::Help(text)) if text.contains("--upstream")));
    assert!(matches!(read("--version"), Err(Refusal::Help(_))));
}
