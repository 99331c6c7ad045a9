//! A client that speaks protocol 4.1 byte by byte: it counts sequence numbers, sees every result,
//! and sends what no driver would.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

pub use super::capability;
use super::packet::{self, Fields, put_string};
use crate::socket::Socket;

/// Status flag: a transaction is open.
pub const IN_TRANSACTION: u16 = 1;
/// Status flag: another result follows.
pub const MORE_RESULTS: u16 = 8;
/// Status flag: a cursor is open, and its rows must be fetched.
pub const CURSOR_EXISTS: u16 = 0x40;

/// An ERR packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error number.
    pub errno: u16,
    /// The SQLSTATE; empty in an error before the login.
    pub sqlstate: String,
    /// The message.
    pub message: String,
}

/// One result of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Columns; 0 of a statement without rows.
    pub columns: u64,
    /// Rows.
    pub rows: u64,
    /// Rows affected.
    pub affected: u64,
    /// The first column of the first row, as the text protocol shows it.
    pub first: Option<String>,
    /// The error that it ended with.
    pub failure: Option<Failure>,
    /// The status flags of its end.
    pub status: u16,
    /// The number of warnings.
    pub warnings: u16,
}

/// A prepared statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The server's number.
    pub id: u32,
    /// Parameters.
    pub parameters: u16,
    /// Columns.
    pub columns: u16,
}

/// How a client logs in.
#[derive(Clone, Debug)]
pub struct Login<'a> {
    /// A user without a password.
    pub user: &'a str,
    /// The database, if any.
    pub database: Option<&'a str>,
    /// Capability flags beyond [`capability::BASE`].
    pub capabilities: u32,
    /// The authority to trust; `None` connects without TLS.
    pub authority: Option<&'a Path>,
}

/// A connection.
pub struct Raw {
    socket: Socket,
    sequence: u8,
    capabilities: u32,
    /// Every payload since it was asked for, for tests that look for something in all of them.
    pub heard: Option<Vec<u8>>,
    /// The server's version, as it greets.
    pub version: String,
    /// The connection id, as the server greets.
    pub id: u32,
}

impl Raw {
    /// Logs in to the fixture's database, without TLS, with several statements and local files.
    ///
    /// # Errors
    /// When the login fails; the error holds the server's message.
    pub fn login(port: u16, user: &str) -> Result<Self> {
        let login = Login {
            user,
            database: Some(crate::server::DATABASE),
            capabilities: capability::MULTI_STATEMENTS
                | capability::LOCAL_FILES
                | capability::DEPRECATE_EOF,
            authority: None,
        };
        Self::start(port, &login)
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// When the login fails; the error holds the server's message.
    pub fn start(port: u16, login: &Login) -> Result<Self> {
        Self::start_extended(port, login, 0)
    }

    /// Connects and logs in with MariaDB's own capability flags as well.
    ///
    /// # Errors
    /// See [`Raw::start`].
    pub fn start_extended(port: u16, login: &Login, extended: u32) -> Result<Self> {
        let mut socket = Socket::open(port)?;
        let mut sequence = 0;
        let greeting = packet::receive(&mut socket, &mut sequence)?.context("no greeting")?;
        let mut fields = Fields(&greeting);
        let protocol = fields.number(1)?;
        ensure!(
            protocol == 10,
            "greeting: {}",
            String::from_utf8_lossy(&greeting)
        );
        let version = text(fields.until_nul()?);
        let id = u32::try_from(fields.number(4)?)?;
        let mut capabilities = capability::BASE | login.capabilities;
        if login.database.is_some() {
            capabilities |= capability::CONNECT_WITH_DB;
        }
        if extended != 0 {
            // Long passwords stand for a client of MySQL's, which has no flags beyond 32 bits.
            capabilities &= !1;
        }
        if let Some(authority) = login.authority {
            capabilities |= capability::SSL;
            sequence = packet::send(&mut socket, sequence, &head(capabilities))?;
            socket = socket.secure(authority)?;
        }
        let mut raw = Self {
            socket,
            sequence,
            capabilities,
            heard: None,
            version,
            id,
        };
        let mut response = head(capabilities);
        response.truncate(response.len() - 4);
        response.extend(extended.to_le_bytes());
        response.extend_from_slice(login.user.as_bytes());
        response.extend([0, 0]); // no password
        if let Some(database) = login.database {
            response.extend_from_slice(database.as_bytes());
            response.push(0);
        }
        response.extend_from_slice(b"mysql_native_password\0");
        raw.answer_with(&response)?;
        raw.authenticated()?;
        Ok(raw)
    }

    /// Reads to the end of an authentication, answering every question with no password.
    fn authenticated(&mut self) -> Result<()> {
        loop {
            let payload = self.receive()?.context("closed at login")?;
            match payload.first() {
                Some(0) => return Ok(()),
                Some(0xfe) => self.answer_with(&[])?,
                Some(1) => {}
                Some(0xff) => bail!("login: {:?}", failure(&payload)?),
                _ => bail!("login: {payload:?}"),
            }
        }
    }

    /// The local address of the socket.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn local_address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_address()?)
    }

    /// The socket, for bytes that are no packets.
    pub fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// Sends a command: a new sequence begins.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn command(&mut self, command: u8, body: &[u8]) -> Result<()> {
        self.sequence = 0;
        self.answer_with(&[&[command], body].concat())
    }

    /// Turns to the answer of the next command of those that were sent ahead.
    pub fn next_answer(&mut self) {
        self.sequence = 1;
    }

    /// Sends a payload within the sequence.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn answer_with(&mut self, payload: &[u8]) -> Result<()> {
        self.sequence = packet::send(&mut self.socket, self.sequence, payload)?;
        Ok(())
    }

    /// The next payload; `None` when the server has closed the connection.
    ///
    /// # Errors
    /// When none comes in time, or out of sequence.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        let payload = packet::receive(&mut self.socket, &mut self.sequence)?;
        if let (Some(heard), Some(payload)) = (&mut self.heard, &payload) {
            heard.extend_from_slice(payload);
        }
        Ok(payload)
    }

    /// COM_QUERY with all its results; a file that the server asks for gets `local`.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn query_with(&mut self, sql: &str, local: &[u8]) -> Result<Vec<Answer>> {
        self.command(3, sql.as_bytes())?;
        self.answers(false, local)
    }

    /// COM_QUERY with all its results.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Answer>> {
        self.query_with(sql, &[])
    }

    /// The first column of the first row of a query.
    ///
    /// # Errors
    /// When there is none.
    pub fn value(&mut self, sql: &str) -> Result<String> {
        let answers = self.query(sql)?;
        let first = answers.first().and_then(|one| one.first.clone());
        first.with_context(|| format!("{sql}: {answers:?}"))
    }

    /// A command that one OK or ERR packet answers.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn simple(&mut self, command: u8, body: &[u8]) -> Result<Answer> {
        self.command(command, body)?;
        self.answers(false, &[])?.pop().context("no answer")
    }

    /// COM_CHANGE_USER to a user without a password.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn change_user(&mut self, user: &str, database: &str) -> Result<()> {
        let mut body = [user.as_bytes(), &[0, 0], database.as_bytes(), &[0]].concat();
        body.extend(CHARSET.to_le_bytes());
        body.extend_from_slice(b"mysql_native_password\0");
        self.command(17, &body)?;
        self.authenticated()
    }

    /// COM_STMT_PREPARE.
    ///
    /// # Errors
    /// When the connection fails; a refusal of the server is the inner error.
    pub fn prepare(&mut self, sql: &str) -> Result<Result<Prepared, Failure>> {
        self.command(22, sql.as_bytes())?;
        let payload = self.receive()?.context("closed")?;
        if payload.first() == Some(&0xff) {
            return Ok(Err(failure(&payload)?));
        }
        let mut fields = Fields(payload.get(1..).unwrap_or_default());
        let id = u32::try_from(fields.number(4)?)?;
        let columns = u16::try_from(fields.number(2)?)?;
        let parameters = u16::try_from(fields.number(2)?)?;
        for count in [parameters, columns] {
            let end = u16::from(count > 0 && !self.deprecates_eof());
            for _ in 0..count + end {
                self.receive()?.context("closed among definitions")?;
            }
        }
        Ok(Ok(Prepared {
            id,
            parameters,
            columns,
        }))
    }

    /// COM_STMT_EXECUTE with text parameters; `cursor` leaves the rows for [`Raw::fetch`].
    ///
    /// # Errors
    /// When the connection fails.
    pub fn execute(
        &mut self,
        statement: Prepared,
        parameters: &[Option<&str>],
        cursor: bool,
    ) -> Result<Vec<Answer>> {
        let mut body = statement.id.to_le_bytes().to_vec();
        body.push(u8::from(cursor));
        body.extend(1_u32.to_le_bytes());
        if !parameters.is_empty() {
            let mut nulls = vec![0_u8; parameters.len().div_ceil(8)];
            let (mut types, mut values) = (Vec::new(), Vec::new());
            for (number, parameter) in parameters.iter().enumerate() {
                types.extend([0xfd, 0]);
                match parameter {
                    Some(value) => put_string(&mut values, value.as_bytes()),
                    None => {
                        if let Some(byte) = nulls.get_mut(number / 8) {
                            *byte |= 1 << (number % 8);
                        }
                    }
                }
            }
            body.extend([&nulls[..], &[1], &types, &values].concat());
        }
        self.command(23, &body)?;
        self.answers(true, &[])
    }

    /// COM_STMT_FETCH of at most `count` rows.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn fetch(&mut self, statement: Prepared, count: u32) -> Result<Answer> {
        let body = [statement.id.to_le_bytes(), count.to_le_bytes()].concat();
        self.command(28, &body)?;
        let mut answer = Answer::default();
        self.rows(&mut answer, true)?;
        Ok(answer)
    }

    /// COM_STMT_CLOSE, which nothing answers.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn close(&mut self, statement: Prepared) -> Result<()> {
        self.command(25, &statement.id.to_le_bytes())
    }

    /// COM_QUIT.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn quit(&mut self) -> Result<()> {
        self.command(1, &[])
    }

    fn deprecates_eof(&self) -> bool {
        self.capabilities & capability::DEPRECATE_EOF != 0
    }

    /// All results of a command; a file that the server asks for gets `local`.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn answers(&mut self, binary: bool, local: &[u8]) -> Result<Vec<Answer>> {
        let mut all = Vec::new();
        loop {
            let answer = self.answer(binary, local)?;
            let more = answer.failure.is_none() && answer.status & MORE_RESULTS != 0;
            all.push(answer);
            if !more {
                return Ok(all);
            }
        }
    }

    fn answer(&mut self, binary: bool, local: &[u8]) -> Result<Answer> {
        let mut answer = Answer::default();
        let mut payload = self.receive()?.context("closed before the answer")?;
        if payload.first() == Some(&0xfb) {
            if !local.is_empty() {
                self.answer_with(local)?;
            }
            self.answer_with(&[])?;
            payload = self.receive()?.context("closed after the file")?;
        }
        match payload.first() {
            Some(0xff) => answer.failure = Some(failure(&payload)?),
            Some(0) => end(&payload, &mut answer)?,
            _ => {
                answer.columns = Fields(&payload).length()?.context("NULL columns")?;
                for _ in 0..answer.columns {
                    self.receive()?.context("closed among definitions")?;
                }
                if !self.deprecates_eof() {
                    let eof = self.receive()?.context("closed before rows")?;
                    eof_status(&eof, &mut answer)?;
                    if answer.status & CURSOR_EXISTS != 0 {
                        return Ok(answer);
                    }
                }
                self.rows(&mut answer, binary)?;
            }
        }
        Ok(answer)
    }

    fn rows(&mut self, answer: &mut Answer, binary: bool) -> Result<()> {
        loop {
            let payload = self.receive()?.context("closed among rows")?;
            match payload.first() {
                Some(0xff) => {
                    answer.failure = Some(failure(&payload)?);
                    return Ok(());
                }
                Some(0xfe) if !self.deprecates_eof() && payload.len() < 9 => {
                    return eof_status(&payload, answer);
                }
                Some(0xfe) if self.deprecates_eof() && payload.len() < packet::LONGEST => {
                    return end(&payload, answer);
                }
                _ => {
                    if answer.rows == 0 && !binary {
                        answer.first = Fields(&payload).string()?.map(text);
                    }
                    answer.rows += 1;
                }
            }
        }
    }
}

/// The fields that an SSLRequest and a HandshakeResponse41 begin with.
fn head(capabilities: u32) -> Vec<u8> {
    let mut head = capabilities.to_le_bytes().to_vec();
    head.extend((1_u32 << 30).to_le_bytes());
    head.extend(CHARSET.to_le_bytes().iter().take(1));
    head.extend([0; 23]);
    head
}

/// An OK packet, also the one that ends rows.
fn end(payload: &[u8], answer: &mut Answer) -> Result<()> {
    let mut fields = Fields(payload.get(1..).unwrap_or_default());
    answer.affected = fields.length()?.unwrap_or_default();
    fields.length()?;
    answer.status = u16::try_from(fields.number(2)?)?;
    answer.warnings = u16::try_from(fields.number(2)?)?;
    Ok(())
}

fn eof_status(payload: &[u8], answer: &mut Answer) -> Result<()> {
    ensure!(payload.first() == Some(&0xfe), "no EOF: {payload:?}");
    let mut fields = Fields(payload.get(1..).unwrap_or_default());
    answer.warnings = u16::try_from(fields.number(2)?)?;
    answer.status = u16::try_from(fields.number(2)?)?;
    Ok(())
}

/// Reads an ERR packet.
///
/// # Errors
/// When it is none.
pub fn failure(payload: &[u8]) -> Result<Failure> {
    let mut fields = Fields(payload);
    ensure!(fields.number(1)? == 0xff, "no error: {payload:?}");
    let errno = u16::try_from(fields.number(2)?)?;
    let sqlstate = if fields.0.first() == Some(&b'#') {
        text(fields.bytes(6)?.get(1..).unwrap_or_default())
    } else {
        String::new()
    };
    Ok(Failure {
        errno,
        sqlstate,
        message: text(fields.0),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// utf8mb4_general_ci, which both products know.
const CHARSET: u16 = 45;
