//! The command line: what can be set, what is allowed, and what it is when left out.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use cache_layer::CacheLayer;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use http::Uri;
use http::uri::{Authority, Scheme};
use ipnet::IpNet;
use memguard_layer::MemGuardLayer;
use ratelimit_layer::{ProxyHeader, Quota};

/// A caching, limiting, guarding reverse proxy.
#[derive(Clone, Debug, Parser)]
#[command(name = "hyper-gateway", version)]
pub struct Flags {
    /// Address to serve on; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,

    /// Server to pass requests to, such as `http://127.0.0.1:9000`.
    #[arg(long, value_name = "URL", value_parser = upstream)]
    pub upstream: Authority,

    /// How long the upstream may take to the response head, and between two pieces of a body.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub upstream_timeout: Duration,

    /// Bytes the cache may hold; 0 turns it off.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    pub cache_bytes: u64,

    /// Largest response the cache stores.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = some_size)]
    pub max_entry_bytes: u64,

    /// Lifetime of responses that name none; without it they are not stored.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub default_ttl: Option<Duration>,

    /// Requests each client may make, such as 100/s or 5000/h; off unless given.
    #[arg(long, value_name = "QUOTA")]
    pub rate: Option<Quota>,

    /// Requests a client may make at once after a pause; needs --rate.
    #[arg(long, value_name = "N", value_parser = count::<NonZeroU32>)]
    pub burst: Option<NonZeroU32>,

    /// Requests each client may have in flight; off unless given.
    #[arg(long, value_name = "N", value_parser = count::<NonZeroUsize>)]
    pub concurrency: Option<NonZeroUsize>,

    /// Heap bytes at which the cache gives back and requests are refused; off unless given.
    #[arg(long, value_name = "SIZE", value_parser = some_size)]
    pub heap_budget: Option<u64>,

    /// Network whose --client-header is believed, such as 10.0.0.0/8; repeatable.
    #[arg(long, value_name = "CIDR", value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,

    /// Header in which trusted proxies name the client: x-forwarded-for (unless given), forwarded
    /// or any other; needs --trusted-proxy.
    #[arg(long, value_name = "NAME", value_parser = client_header)]
    pub client_header: Option<ProxyHeader>,

    /// Address of a second listener with /healthz and /stats; off unless given.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub admin: Option<SocketAddr>,
}

impl Flags {
    /// Reads the command line, the program's name first; the burst becomes part of the rate.
    ///
    /// # Errors
    ///
    /// [`Refusal::Help`] where help or the version was asked for, and
    /// [`Refusal::Unusable`] with one line that names the flag, its value and what is allowed.
    pub fn read<I, T>(args: I) -> Result<Self, Refusal>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let checked = Self::try_parse_from(args).and_then(|mut flags| {
            let unusable = |why| Self::command().error(ErrorKind::ValueValidation, why);
            flags.apply_and_check().map(|()| flags).map_err(unusable)
        });
        checked.map_err(|error| {
            let text = error.render().to_string();
            if error.use_stderr() {
                // clap's first paragraph says what is wrong; usage and hints follow it.
                let paragraph = text.split("\n\n").next().unwrap_or_default();
                Refusal::Unusable(paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
            } else {
                Refusal::Help(text)
            }
        })
    }
}

impl Flags {
    /// What one value alone cannot tell: the burst belongs to the rate, and the layers have bounds.
    fn apply_and_check(&mut self) -> Result<(), String> {
        if let Some(burst) = self.burst {
            let rate = self.rate.as_mut().ok_or("--burst needs --rate")?;
            *rate = rate
                .try_burst(burst.get())
                .map_err(|why| format!("--burst: {why}"))?;
        }
        if self.client_header.is_some() && self.trusted_proxy.is_empty() {
            return Err("--client-header needs --trusted-proxy".to_owned());
        }
        if self.cache_bytes > 0 {
            let _ = CacheLayer::try_new(self.cache_bytes)
                .map_err(|why| format!("--cache-bytes: {why}"))?;
        }
        if let Some(budget) = self.heap_budget {
            let _ =
                MemGuardLayer::try_new(budget).map_err(|why| format!("--heap-budget: {why}"))?;
        }
        Ok(())
    }
}

/// Why the command line leads to no running gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Help or the version was asked for; the text to print.
    Help(String),
    /// A flag cannot be used; one line to print.
    Unusable(String),
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "must be IP:PORT, such as 127.0.0.1:8080 or [::1]:8080".to_owned())
}

fn upstream(text: &str) -> Result<Authority, String> {
    const ALLOWED: &str = "must be http://HOST or http://HOST:PORT";
    let parts = text
        .parse::<Uri>()
        .map_err(|_| ALLOWED.to_owned())?
        .into_parts();
    let authority = parts.authority.ok_or(ALLOWED)?;
    match parts.scheme {
        Some(scheme) if scheme == Scheme::HTTP => {}
        Some(scheme) if scheme == Scheme::HTTPS => {
            return Err("https is not supported towards the upstream; use http".to_owned());
        }
        _ => return Err(ALLOWED.to_owned()),
    }
    if parts.path_and_query.is_some_and(|path| path != "/") {
        return Err(format!(
            "{ALLOWED}, without a path: paths are passed on as they come"
        ));
    }
    // What is left of the authority besides the host must be nothing or a port.
    let port = authority.as_str().strip_prefix(authority.host());
    let port_fits = match port {
        Some("") => true,
        Some(port) => port[1..].parse::<u16>().is_ok_and(|port| port > 0),
        None => false,
    };
    if authority.host().is_empty() || !port_fits {
        return Err(ALLOWED.to_owned());
    }
    Ok(authority)
}

fn duration(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() && duration <= LONGEST => Ok(duration),
        _ => Err("must be above zero and at most 10 years, such as 500ms, 30s or 2m".to_owned()),
    }
}

fn size(text: &str) -> Result<u64, String> {
    match text.parse::<ByteSize>() {
        Ok(size) => Ok(size.as_u64()),
        Err(_) => Err("must be a number of bytes, such as 1048576, 64KiB or 256MiB".to_owned()),
    }
}

fn some_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("must be above 0 bytes".to_owned()),
        size => Ok(size),
    }
}

fn count<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| "must be a whole number from 1".to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "must be a network or an address, such as 10.0.0.0/8 or ::1".to_owned())
}

fn client_header(text: &str) -> Result<ProxyHeader, String> {
    match text.to_ascii_lowercase().as_str() {
        "x-forwarded-for" => Ok(ProxyHeader::XForwardedFor),
        "forwarded" => Ok(ProxyHeader::Forwarded),
        other => other
            .parse()
            .map(ProxyHeader::Other)
            .map_err(|_| "must be the name of a header field".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, Refusal};

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
        assert_eq!(flags.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(flags.upstream, "127.0.0.1:9000");
        assert_eq!(flags.upstream_timeout.as_secs(), 30);
        assert_eq!(flags.cache_bytes, 256 << 20);
        assert_eq!(flags.max_entry_bytes, 1 << 20);
        assert!(flags.default_ttl.is_none() && flags.rate.is_none() && flags.burst.is_none());
        assert!(flags.concurrency.is_none() && flags.heap_budget.is_none());
        assert!(flags.trusted_proxy.is_empty() && flags.admin.is_none());
    }

    #[test]
    fn sizes_durations_and_networks_are_read() {
        let flags = read(
            "--upstream http://[::1] --cache-bytes 0 --max-entry-bytes 64KiB --default-ttl 2m \
             --upstream-timeout 500ms --heap-budget 1048576 --trusted-proxy 10.0.0.0/8 \
             --trusted-proxy ::1 --client-header CF-Connecting-IP --rate 100/s --burst 7",
        )
        .unwrap();
        assert_eq!(flags.upstream, "[::1]");
        assert_eq!(flags.cache_bytes, 0);
        assert_eq!(flags.max_entry_bytes, 65536);
        assert_eq!(flags.default_ttl.unwrap().as_secs(), 120);
        assert_eq!(flags.upstream_timeout.as_millis(), 500);
        assert_eq!(flags.heap_budget, Some(1 << 20));
        assert_eq!(flags.trusted_proxy.len(), 2);
        assert_eq!(flags.burst.unwrap().get(), 7);
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
            (
                "--upstream http://h --upstream-timeout 99999999999y",
                "--upstream-timeout",
            ),
            ("--upstream http://h --rate fast", "--rate"),
            ("--upstream http://h --rate 0/s", "--rate"),
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
}
