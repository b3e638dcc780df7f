//! A caching, limiting, guarding reverse proxy.
//!
//! [`Flags`] say what it does, [`Gateway::bind`] takes its addresses, [`Gateway::run`] serves
//! until told to stop.

mod admin;
mod answer;
mod body;
mod edge;
mod failure;
mod fields;
mod flags;
mod interim;
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
use tokio::net::TcpListener;
use tower::ServiceExt;

use failure::Explained;
use optional::OptionalFuture;
use server::Peer;

pub use flags::{CacheFlags, Flags, KeyFlags, Refusal};

/// How long requests in flight may take to end once the gateway was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A gateway that has its addresses and does not serve yet.
#[derive(Debug)]
pub struct Gateway {
    flags: Flags,
    public: TcpListener,
    admin: Option<TcpListener>,
}

impl Gateway {
    /// Listens on the addresses that `flags` name.
    ///
    /// # Errors
    ///
    /// When an address is taken or not of this machine; the message names it.
    pub async fn bind(flags: Flags) -> io::Result<Self> {
        let public = listen(flags.listen).await?;
        let admin = match flags.admin {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        Ok(Self {
            flags,
            public,
            admin,
        })
    }

    /// The address clients reach it on, with the real port where the flags have 0.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.public.local_addr()
    }

    /// The address of the admin listener, if there is one.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn admin_address(&self) -> io::Result<Option<SocketAddr>> {
        self.admin.as_ref().map(TcpListener::local_addr).transpose()
    }

    /// Serves until `stop` completes, then takes no new connection, lets requests in flight end
    /// within ten seconds, and returns.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stack, handles) = stack::stack(&self.flags);
        let trusted: Arc<[_]> = self.flags.trusted_proxy.into();
        let default_host = HeaderValue::from_str(self.flags.upstream.as_str())
            .expect("an authority is a valid field value");

        let limited = !self.flags.rate.is_empty() || self.flags.concurrency.is_some();

        let graceful = GracefulShutdown::new();
        let public = server::serve(self.public, &graceful, move |mut request, peer| {
            let ip = peer.address.ip();
            let trusted = trusted.iter().any(|network| network.contains(&ip));
            // No async block: it would hold the request and the stack's future side by side, and
            // hyper moves it about.
            match edge::admit(&mut request, trusted, &default_host) {
                Ok(()) => {
                    if limited {
                        // Where they look for the client.
                        request.extensions_mut().insert(peer.address);
                    }
                    request.extensions_mut().insert(Peer { trusted, ..peer });
                    OptionalFuture::On(Explained(stack.clone().oneshot(request)))
                }
                Err(refusal) => OptionalFuture::Off(ready(Ok(refusal.answer()))),
            }
        });
        let admin = async {
            match self.admin {
                Some(listener) => {
                    server::serve(listener, &graceful, move |request, _| {
                        ready(Ok(admin::answer(&handles, &request)))
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

async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}
