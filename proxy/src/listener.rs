//! Accepting: one listening socket each, limits before anything is read, and a worker chosen for every connection.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::{
    config,
    config::TlsMode,
    shared::Shared,
    tls::{ServerMaterial, TlsError},
    upstream::Upstream,
};

/// How many connections beyond the limit are still told why; the rest is just closed.
const REFUSED_POLITELY: usize = 64;
/// Pause after a failed accept, so that a shortage of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Pending connections that the kernel keeps.
const BACKLOG: u32 = 1024;

/// A configured listener with its current TLS material.
#[derive(Debug)]
pub struct Listener {
    /// The configuration.
    pub config: config::Listener,
    /// The server it leads to.
    pub upstream: Arc<Upstream>,
    tls: ArcSwapOption<ServerMaterial>,
}

impl Listener {
    /// Load the TLS material of `config`.
    ///
    /// # Errors
    /// Files that can't be read or used.
    pub fn new(config: config::Listener, upstream: Arc<Upstream>) -> Result<Self, TlsError> {
        let listener = Self {
            config,
            upstream,
            tls: ArcSwapOption::empty(),
        };
        listener.use_tls(listener.load_tls()?);
        Ok(listener)
    }

    /// Read the TLS files.
    ///
    /// # Errors
    /// Files that can't be read or used.
    pub fn load_tls(&self) -> Result<Option<Arc<ServerMaterial>>, TlsError> {
        match (&self.config.tls.files, self.config.tls.mode) {
            (Some(files), TlsMode::Prefer | TlsMode::Require) => {
                files.load(self.config.protocol.alpn()).map(Some)
            }
            (None, _) | (_, TlsMode::Disable) => Ok(None),
        }
    }

    /// Connections to come use this.
    pub fn use_tls(&self, material: Option<Arc<ServerMaterial>>) {
        self.tls.store(material);
    }

    /// What TLS handshakes with clients use.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<ServerMaterial>> {
        self.tls.load_full()
    }
}

/// A client connection on its way to a worker.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, not yet part of any runtime.
    pub socket: std::net::TcpStream,
    /// Who connected.
    pub peer: SocketAddr,
    /// Where.
    pub listener: Arc<Listener>,
    /// Its place among the allowed connections; `None`: it is to be told that there is none.
    pub place: Option<Place>,
}

/// Counts connections, in all and by address.
#[derive(Debug, Default)]
pub struct Places {
    open: AtomicUsize,
    turned_away: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    fn take(self: &Arc<Self>, address: IpAddr, limits: &config::Limits) -> Option<Place> {
        if self.open.load(Ordering::Relaxed) >= limits.max_connections {
            return None;
        }
        let mut by_address = self.by_address.lock().ok()?;
        let count = by_address.entry(address).or_default();
        if *count >= limits.max_connections_per_client {
            return None;
        }
        *count += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Place {
            places: Arc::clone(self),
            address,
        })
    }

    /// Count a connection that is being turned away, unless there are too many of them.
    fn turn_away(&self) -> bool {
        self.turned_away.fetch_add(1, Ordering::Relaxed) < REFUSED_POLITELY || {
            self.turned_away.fetch_sub(1, Ordering::Relaxed);
            false
        }
    }

    /// A connection that was turned away has ended.
    pub fn turned_away(&self) {
        self.turned_away.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.open.fetch_sub(1, Ordering::Relaxed);
        if let Ok(mut by_address) = self.places.by_address.lock()
            && let Some(count) = by_address.get_mut(&self.address)
        {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// Open the listening socket of `listener`.
///
/// # Errors
/// The address can't be listened on.
pub fn bind(listener: &Listener) -> io::Result<TcpListener> {
    let address = listener.config.address;
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accept until the proxy drains, handing each connection to the worker with the fewest sessions.
pub async fn accept(socket: TcpListener, listener: Arc<Listener>, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = shared.drained() => return,
        };
        match accepted {
            Ok((tcp, peer)) => dispatch(tcp, peer, &listener, &shared),
            Err(error) => {
                tracing::warn!(%error, listener = &*listener.config.name, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn dispatch(tcp: TcpStream, peer: SocketAddr, listener: &Arc<Listener>, shared: &Shared) {
    shared.metrics.connections_total.inc();
    let place = shared.places.take(peer.ip(), &shared.config.limits);
    let placed = place.is_some();
    if !placed {
        shared.metrics.connections_refused_total.inc();
        if !shared.places.turn_away() {
            return;
        }
    }
    let handed = tcp
        .set_nodelay(true)
        .and_then(|()| tcp.into_std())
        .map(|socket| {
            let accepted = Accepted {
                socket,
                peer,
                listener: Arc::clone(listener),
                place,
            };
            shared.workers.give(accepted);
        });
    if let Err(error) = handed {
        if !placed {
            shared.places.turned_away();
        }
        tracing::warn!(%error, %peer, "connection lost before it began");
    }
}
