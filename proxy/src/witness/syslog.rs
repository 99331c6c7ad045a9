//! Witnesses behind a system log (RFC 5424): over UDP (RFC 5426), TCP with counted octets (RFC 6587), or a local socket.

use std::{
    fmt,
    io::{self, Write},
    net::{TcpStream, ToSocketAddrs, UdpSocket},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    str::FromStr,
};

use jiff::Timestamp;
use sqlward_audit_store::proof::in_one_line;

use super::PATIENCE;

/// A system log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syslog {
    /// `host:port`, one message a datagram.
    Udp(String),
    /// `host:port`, one connection a message.
    Tcp(String),
    /// A socket of datagrams, like /dev/log.
    Unix(PathBuf),
}

impl FromStr for Syslog {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = |address: &str| {
            let (host, port) = address.rsplit_once(':').ok_or(EXPECTED)?;
            let whole = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
            whole.then(|| address.to_owned()).ok_or(EXPECTED)
        };
        match text.split_once("://") {
            Some(("udp", at)) => address(at).map(Self::Udp),
            Some(("tcp", at)) => address(at).map(Self::Tcp),
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) | None => Err(EXPECTED),
        }
    }
}

impl fmt::Display for Syslog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Syslog {
    pub(super) fn hand(&self, note: &str) -> io::Result<()> {
        let message = message(note);
        match self {
            Self::Udp(address) => {
                let to = resolve(address)?;
                let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(from)?;
                socket.connect(to)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                socket.send(message.as_bytes()).map(drop)
            }
            Self::Tcp(address) => {
                let mut stream = TcpStream::connect_timeout(&resolve(address)?, PATIENCE)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                write!(stream, "{} {message}", message.len())?;
                stream.flush()
            }
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                socket.send(message.as_bytes()).map(drop)
            }
        }
    }
}

fn resolve(address: &str) -> io::Result<std::net::SocketAddr> {
    let mut found = address.to_socket_addrs()?;
    found.next().ok_or(io::ErrorKind::NotFound.into())
}

/// `<PRI>1 TIME HOST APP PROCID MSGID - MSG`; facility 13 (log audit), severity 5 (notice).
fn message(note: &str) -> String {
    let node = rustix::system::uname();
    let printable = |c: &char| c.is_ascii_graphic();
    let host: String = node
        .nodename()
        .to_string_lossy()
        .chars()
        .filter(printable)
        .take(255)
        .collect();
    let host = if host.is_empty() { "-" } else { &host };
    let (now, process) = (Timestamp::now(), std::process::id());
    let line = in_one_line(note);
    format!("<109>1 {now:.6} {host} sqlward {process} checkpoint - {line}")
}

const EXPECTED: &str = "expected udp://HOST:PORT, tcp://HOST:PORT or unix:///PATH";
