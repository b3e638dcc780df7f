//! What a row of the table is.

/// A published attack: what its first clients send, what another one sends after them, and what must
/// hold of that one's answer.
///
/// In all bytes `{host}` stands for a host of the row's own, of as many octets: rows share a gateway,
/// and never an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// The research, advisory or section that describes it.
    pub(crate) source: &'static str,
    /// Flags of the gateway, besides addresses.
    pub(crate) gateway: &'static [&'static str],
    pub(crate) origin: Answers,
    pub(crate) first: Sends,
    pub(crate) then: Sends,
    pub(crate) holds: Holds,
    /// What the first ones send and only they may get back.
    pub(crate) mark: &'static str,
    /// Why the naive cache withstands it, where it does.
    pub(crate) harmless: Option<&'static str>,
}

/// What a client sends, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sends {
    Nothing,
    /// One after the other, each on a connection of its own.
    Each(&'static [&'static [u8]]),
    /// As many, one after the other on one connection.
    Many(usize, fn(usize) -> String),
    /// As many, each on a connection of its own; the upstream's first answer comes last.
    AtOnce(usize, fn(usize) -> String),
    /// One HTTP/2 request of these fields, each as it stands, and this content.
    Http2(&'static [(&'static str, &'static str)], &'static str),
}

/// What the hostile upstream answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answers {
    /// A 200 with these lines, whose content is the whole request as it came.
    Echo(&'static str),
    /// These octets, in turn; the last ones again and again.
    Exact(&'static [&'static str]),
    /// What it makes of the request as it came, and of how many came before.
    By(fn(&str, usize) -> String),
}

/// What must hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holds {
    /// The second client has its answer, a success, and nothing marked is in it.
    Clean,
    /// Besides, nothing of the first ones' requests has reached the upstream.
    Refused,
    /// Besides, the upstream has seen the requests that were answered, in that order, each framed beyond
    /// doubt; a further request on the same connection has its own answer or none.
    InStep,
    /// The content of the second client's answer is this.
    Content(&'static str),
    /// Each of the second clients has an answer to its own request, and none of another's.
    Own,
    /// The second client's answer comes from the upstream.
    Asked,
    /// So many of the second client's answers come from the store, at least and at most.
    Hits(usize, usize),
    /// It is shared, marked as it is: by whose word.
    Shared(&'static str),
}

/// What each client of [`Sends::AtOnce`] and [`Sends::Many`] is known by, under [`Holds::Own`].
pub(crate) fn own_mark(number: usize) -> String {
    format!("marked-{number}.")
}

/// The forged field, or whatever else, is "marked"; the upstream echoes it in an answer that is fresh
/// for a minute.
pub(crate) const ECHOED: Attack = Attack {
    name: "",
    source: "",
    gateway: &[],
    origin: Answers::Echo("cache-control: max-age=60\r\n"),
    first: Sends::Nothing,
    then: Sends::Each(&[b"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"]),
    holds: Holds::Clean,
    mark: "marked",
    harmless: None,
};

/// The peers of the gateway are load balancers: what they say of target and client is passed on.
pub(crate) const TRUSTED: &[&str] = &["--trusted-proxy", "127.0.0.0/8"];

/// A GET of a target with more lines, on a connection of its own.
macro_rules! get {
    ($target:expr $(, $line:expr)*) => {
        concat!("GET ", $target, " HTTP/1.1\r\nhost: {host}\r\n", $($line, "\r\n",)* "connection: close\r\n\r\n").as_bytes()
    };
}
pub(crate) use get;

/// An answer of the upstream.
pub(crate) fn answer(status: &str, lines: &str, content: &str) -> String {
    let length = content.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{lines}\r\n{content}")
}
