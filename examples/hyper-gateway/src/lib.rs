//! A caching, limiting, guarding reverse proxy.
//!
//! [`Flags`] say what it does, [`Gateway::bind`] takes its addresses, [`Gateway::run`] serves
//! until told to stop.

mod admin;
mod answer;
mod body;
mod called;
mod edge;
mod failure;
mod fields;
mod flags;
mod head_timer;
mod interim;
mod listen;
mod optional;
mod rate;
mod server;
mod stack;
mod upstream;

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use hyper_util::server::graceful::GracefulShutdown;

use called::called;
use failure::Explained;
use listen::Listeners;
use optional::OptionalFuture;
use server::Peer;

pub use flags::{AdaptiveBy, CacheFlags, ClientFlags, Flags, KeyFlags, Refusal};

/// How long requests in flight may take to end once the gateway was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A gateway that has its addresses and does not serve yet.
#[derive(Debug)]
pub struct Gateway {
    flags: Flags,
    public: Listeners,
    admin: Option<Listeners>,
}

impl Gateway {
    /// Listens on the addresses that `flags` name.
    ///
    /// # Errors
    ///
    /// When an address is taken or not of this machine; the message names it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn bind(flags: Flags) -> io::Result<Self> {
        let public = Listeners::bind(&flags.listen)?;
        let admin = flags.admin.map(|address| Listeners::bind(&[address]));
        Ok(Self {
            public,
            admin: admin.transpose()?,
            flags,
        })
    }

    /// The addresses clients reach it on, with the real port where the flags have 0.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.public.addresses()
    }

    /// The address of the admin listener, if there is one.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn admin_address(&self) -> io::Result<Option<SocketAddr>> {
        let addresses = self.admin.as_ref().map(Listeners::addresses).transpose()?;
        Ok(addresses.and_then(|all| all.first().copied()))
    }

    /// Serves until `stop` completes, then takes no new connection, lets requests in flight end
    /// within ten seconds, and returns.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stack, handles) = stack::stack(&self.flags);
        let client = self.flags.client.address();
        let default_host = HeaderValue::from_str(self.flags.upstream.as_str())
            .expect("an authority is a valid field value");

        let limited = !self.flags.rate.is_empty() || self.flags.limits_concurrency();

        let graceful = GracefulShutdown::new();
        let public = server::serve(self.public, &graceful, move |mut request, peer| {
            let trusted = client.trusts_peer(peer.address.ip());
            // No async block: it would hold the request and the stack's future side by side, and
            // hyper moves it about.
            match edge::admit(&mut request, trusted, &default_host) {
                Ok(()) => {
                    if limited {
                        // Where they look for the client.
                        request.extensions_mut().insert(peer.address);
                    }
                    request.extensions_mut().insert(Peer { trusted, ..peer });
                    OptionalFuture::On(Explained(called(stack.clone(), request)))
                }
                Err(refusal) => OptionalFuture::Off(ready(Ok(refusal.answer()))),
            }
        });
        let admin = async {
            match self.admin {
                Some(listeners) => {
                    let handles = Arc::new(handles);
                    server::serve(listeners, &graceful, move |request, _| {
                        let handles = Arc::clone(&handles);
                        async move { Ok(admin::answer(&handles, &request).await) }
                    })
                    .await
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            never = public => match never {},
            never = admin => match never {},
            () = stop => {}
        }
        // Whoever is not done by then is cut off: an orchestrator would do worse.
        let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    }
}
