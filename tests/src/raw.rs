//! A client that speaks protocol 3.0 byte by byte, for what no driver would send.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::socket::{Socket, closed};

/// One message of the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its type byte.
    pub tag: u8,
    /// What follows the length.
    pub body: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}({})",
            char::from(self.tag),
            String::from_utf8_lossy(&self.body).escape_debug()
        )
    }
}

impl Message {
    /// A field of an ErrorResponse or NoticeResponse.
    #[must_use]
    pub fn field(&self, code: u8) -> Option<String> {
        let mut parts = self.body.split(|byte| *byte == 0);
        parts.find_map(|part| match part.split_first() {
            Some((first, rest)) if *first == code => {
                Some(String::from_utf8_lossy(rest).into_owned())
            }
            Some(_) | None => None,
        })
    }

    /// The SQLSTATE of an ErrorResponse.
    #[must_use]
    pub fn sqlstate(&self) -> String {
        self.field(b'C').unwrap_or_default()
    }

    /// The columns of a DataRow as text.
    #[must_use]
    pub fn row(&self) -> Vec<Option<String>> {
        let mut rest = self.body.get(2..).unwrap_or_default();
        let mut values = Vec::new();
        while let Some((head, tail)) = rest.split_first_chunk::<4>() {
            let length = i32::from_be_bytes(*head);
            let Ok(length) = usize::try_from(length) else {
                values.push(None);
                rest = tail;
                continue;
            };
            let value = tail.get(..length).unwrap_or_default();
            values.push(Some(String::from_utf8_lossy(value).into_owned()));
            rest = tail.get(length..).unwrap_or_default();
        }
        values
    }
}

/// The tags of messages as one string, e.g. `12CZ`, without notices and parameter reports.
#[must_use]
pub fn tags(messages: &[Message]) -> String {
    messages
        .iter()
        .filter(|message| !matches!(message.tag, b'N' | b'S' | b'A'))
        .map(|message| char::from(message.tag))
        .collect()
}

/// A connection.
pub struct Raw {
    stream: Socket,
    /// Process id and key of the server's BackendKeyData.
    pub key: Option<(u32, Vec<u8>)>,
    /// The protocol version to ask for, as the StartupMessage writes it.
    pub protocol: u32,
}

impl Raw {
    /// Opens a socket and sends nothing.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(port: u16) -> Result<Self> {
        Ok(Self {
            stream: Socket::open(port)?,
            key: None,
            protocol: PROTOCOL_3_0,
        })
    }

    /// Opens a socket and asks for TLS.
    ///
    /// # Errors
    /// When TLS is refused or the certificate is not the authority's.
    pub fn open_tls(port: u16, authority: &Path) -> Result<Self> {
        let mut socket = Socket::open(port)?;
        socket.write_all(&SSL_REQUEST)?;
        let mut answer = [0];
        socket.read_exact(&mut answer)?;
        ensure!(answer == [b'S'], "TLS refused: {answer:?}");
        Ok(Self {
            stream: socket.secure(authority)?,
            key: None,
            protocol: PROTOCOL_3_0,
        })
    }

    /// The certificate that the peer has shown; none before the first byte went over TLS.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        let Socket::Tls(stream) = &self.stream else {
            return None;
        };
        let shown = stream.conn.peer_certificates()?;
        shown.first().map(|certificate| certificate.to_vec())
    }

    /// Logs a user without a password in.
    ///
    /// # Errors
    /// When the login fails; the error holds the server's message.
    pub fn login(port: u16, user: &str, parameters: &[(&str, &str)]) -> Result<Self> {
        let mut raw = Self::open(port)?;
        raw.start(user, parameters)?;
        Ok(raw)
    }

    /// Sends the StartupMessage and reads up to the first ReadyForQuery.
    ///
    /// # Errors
    /// When the login fails; the error holds the server's message.
    pub fn start(&mut self, user: &str, parameters: &[(&str, &str)]) -> Result<()> {
        self.send(&startup_packet_with(self.protocol, user, parameters))?;
        for message in self.until_ready()? {
            match message.tag {
                b'E' => bail!("login: {message:?}"),
                b'K' => {
                    let (pid, key) = message.body.split_first_chunk::<4>().context("short key")?;
                    self.key = Some((u32::from_be_bytes(*pid), key.to_vec()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The local address of the socket.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn local_address(&self) -> Result<SocketAddr> {
        Ok(self.stream.local_address()?)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Ends the sending direction.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.finish()
    }

    /// The next message; `None` when the server has closed the connection.
    ///
    /// # Errors
    /// When none comes in time or what comes is no message.
    pub fn receive(&mut self) -> Result<Option<Message>> {
        let mut head = [0; 5];
        match self.stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if closed(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let [tag, rest @ ..] = head;
        let size = u32::from_be_bytes(rest)
            .checked_sub(4)
            .context("a length below 4")?;
        ensure!(size < 1 << 28, "a message of {size} bytes");
        let mut body = vec![0; usize::try_from(size)?];
        match self.stream.read_exact(&mut body) {
            Ok(()) => Ok(Some(Message { tag, body })),
            Err(error) if closed(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything up to ReadyForQuery, or to the end of the connection.
    ///
    /// # Errors
    /// When neither comes in time.
    pub fn until_ready(&mut self) -> Result<Vec<Message>> {
        self.until(b'Z')
    }

    /// Everything up to the first message with `tag`, or to the end of the connection.
    ///
    /// # Errors
    /// When neither comes in time.
    pub fn until(&mut self, tag: u8) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        while let Some(message) = self.receive()? {
            let last = message.tag == tag;
            messages.push(message);
            if last {
                break;
            }
        }
        Ok(messages)
    }

    /// Everything up to the end of the connection.
    ///
    /// # Errors
    /// When the server does not close it in time.
    pub fn until_closed(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        while let Some(message) = self.receive()? {
            messages.push(message);
        }
        Ok(messages)
    }

    /// A simple query, up to ReadyForQuery.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Message>> {
        self.send(&query(sql))?;
        self.until_ready()
    }

    /// The first column of the first row of a simple query.
    ///
    /// # Errors
    /// When there is none.
    pub fn value(&mut self, sql: &str) -> Result<String> {
        let answer = self.query(sql)?;
        let row = answer.iter().find(|message| message.tag == b'D');
        let row = row.with_context(|| format!("{sql}: {answer:?}"))?.row();
        row.into_iter().next().flatten().context("NULL")
    }

    /// Sends Terminate.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn terminate(&mut self) -> io::Result<()> {
        self.send(&message(b'X', b""))
    }
}

fn length(body: &[u8]) -> u32 {
    u32::try_from(body.len()).unwrap_or(u32::MAX - 4) + 4
}

/// The StartupMessage of a user, to the database of the fixture.
#[must_use]
pub fn startup_packet(user: &str) -> Vec<u8> {
    startup_packet_with(PROTOCOL_3_0, user, &[])
}

fn startup_packet_with(protocol: u32, user: &str, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = protocol.to_be_bytes().to_vec();
    let defaults = [("user", user), ("database", crate::server::DATABASE)];
    let given = |name: &str| parameters.iter().any(|(key, _)| *key == name);
    for (name, value) in defaults
        .iter()
        .filter(|(name, _)| !given(name))
        .chain(parameters)
    {
        for part in [name, value] {
            body.extend_from_slice(part.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    [&length(&body).to_be_bytes()[..], &body].concat()
}

/// A message with any type byte and body.
#[must_use]
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(length(body).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Query.
#[must_use]
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

/// Parse, without parameter types.
#[must_use]
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(
        b'P',
        &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat(),
    )
}

/// Bind, with text parameters and text results.
#[must_use]
pub fn bind(portal: &str, name: &str, values: &[Option<&str>]) -> Vec<u8> {
    let mut body = [portal.as_bytes(), b"\0", name.as_bytes(), b"\0\0\0"].concat();
    body.extend(
        u16::try_from(values.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    for value in values {
        match value {
            Some(text) => {
                body.extend((length(text.as_bytes()) - 4).to_be_bytes());
                body.extend_from_slice(text.as_bytes());
            }
            None => body.extend((-1_i32).to_be_bytes()),
        }
    }
    body.extend([0, 0]);
    message(b'B', &body)
}

/// Describe of a statement (`b'S'`) or portal (`b'P'`).
#[must_use]
pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[kind], name.as_bytes(), b"\0"].concat())
}

/// Execute, up to `rows` rows (0: all).
#[must_use]
pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
    message(
        b'E',
        &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat(),
    )
}

/// Close of a statement (`b'S'`) or portal (`b'P'`).
#[must_use]
pub fn close(kind: u8, name: &str) -> Vec<u8> {
    message(b'C', &[&[kind], name.as_bytes(), b"\0"].concat())
}

/// Sync.
#[must_use]
pub fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// Flush.
#[must_use]
pub fn flush() -> Vec<u8> {
    message(b'H', b"")
}

/// FunctionCall with text arguments.
#[must_use]
pub fn function_call(oid: u32, arguments: &[&str]) -> Vec<u8> {
    let mut body = oid.to_be_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(
        u16::try_from(arguments.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    for argument in arguments {
        body.extend((length(argument.as_bytes()) - 4).to_be_bytes());
        body.extend_from_slice(argument.as_bytes());
    }
    body.extend([0, 0]);
    message(b'F', &body)
}

/// CancelRequest, as the first packet of its own connection.
#[must_use]
pub fn cancel_request(pid: u32, key: &[u8]) -> Vec<u8> {
    let body = [&80_877_102_u32.to_be_bytes()[..], &pid.to_be_bytes(), key].concat();
    [&length(&body).to_be_bytes()[..], &body].concat()
}

/// A prepared and executed statement with its Sync: Parse, Bind, Describe, Execute, Sync.
#[must_use]
pub fn extended(sql: &str) -> Vec<u8> {
    [
        parse("", sql),
        bind("", "", &[]),
        describe(b'P', ""),
        execute("", 0),
        sync(),
    ]
    .concat()
}

/// Protocol 3.0.
pub const PROTOCOL_3_0: u32 = 3 << 16;
/// Protocol 3.2: cancel keys of up to 256 bytes (PostgreSQL 18).
pub const PROTOCOL_3_2: u32 = (3 << 16) | 2;
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
