//! The wire core alone between clients and a server: everything is permitted, nothing is recorded.
//! Tells a fault of the protocol core from one of the proxy around it.
//!
//! `wire-forwarder LISTEN-PORT UPSTREAM-PORT FILE`, both ports on 127.0.0.1, without TLS. What the
//! core says of every statement goes to FILE, a JSON object per line.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::rc::Rc;

use anyhow::{Context, Result};
use sqlward_tests::audit::Statement;
use sqlward_wire::pg::{ClientTls, Held, ServerTls, Session, Settings};
use sqlward_wire::{Action, CloseReason, Completion, Event, Outcome, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        arguments
            .next()
            .context("usage: wire-forwarder LISTEN UPSTREAM FILE")
    };
    let (listen, upstream) = (next()?.parse()?, next()?.parse()?);
    let file = Rc::new(RefCell::new(File::create(next()?)?));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, serve(listen, upstream, file))
}

async fn serve(listen: u16, upstream: u16, file: Rc<RefCell<File>>) -> Result<()> {
    let mut number = 0;
    let listener = TcpListener::bind(("127.0.0.1", listen)).await?;
    loop {
        let (client, peer) = listener.accept().await?;
        number += 1;
        let notes = Notes::new(number, Rc::clone(&file));
        tokio::task::spawn_local(async move {
            match session(client, upstream, notes).await {
                Ok(CloseReason::ClientTerminated | CloseReason::CancelRequest) => {}
                Ok(other) => eprintln!("{peer}: {other:?}"),
                Err(error) => eprintln!("{peer}: {error:#}"),
            }
        });
    }
}

type Tag = Rc<Statement>;
type Core = Session<(), Tag>;

/// What is known of one session, for the lines about its statements.
struct Notes {
    template: Statement,
    file: Rc<RefCell<File>>,
}

impl Notes {
    fn new(session: u64, file: Rc<RefCell<File>>) -> Self {
        let template = Statement {
            session: session.to_string(),
            ..Statement::default()
        };
        Self { template, file }
    }

    /// The token of the held message: what it is, before it ran.
    fn tag(&mut self, core: &Core) -> Result<Tag> {
        let held = core.held().context("nothing held")?;
        let text_of = |tag: Option<&Tag>| tag.map(|tag| tag.text.clone()).unwrap_or_default();
        let (kind, text) = match held {
            Held::Startup { parameters, .. } => {
                for (name, value) in parameters {
                    let value = String::from_utf8_lossy(value).into_owned();
                    match name {
                        b"user" => self.template.user = value,
                        b"database" => self.template.database = value,
                        b"application_name" => self.template.application = value,
                        _ => {}
                    }
                }
                ("startup", String::new())
            }
            Held::Query { text, .. } => ("simple", lossy(text)),
            Held::Parse { text, .. } => ("prepare", lossy(text)),
            Held::Bind { prepared, .. } => ("bind", text_of(prepared)),
            Held::Execute {
                bound, first: true, ..
            } => ("execute", text_of(bound)),
            Held::Execute {
                bound,
                first: false,
                ..
            } => ("fetch", text_of(bound)),
            Held::FunctionCall { .. } => ("function-call", String::new()),
            Held::TooLarge { .. } => ("too-large", String::new()),
        };
        if let Some(name) = core.parameter(b"application_name") {
            self.template.application = lossy(name);
        }
        self.template.number += 1;
        let verb = if is_blank(&text) { "empty" } else { "other" };
        let known = Statement {
            kind: kind.into(),
            verb: verb.into(),
            text,
            ..self.template.clone()
        };
        Ok(Rc::new(known))
    }

    fn note(&self, outcome: &Outcome<Tag>) -> Result<()> {
        let completion = match outcome.completion {
            Completion::Done => "done",
            Completion::Prepared => "prepared",
            Completion::Suspended => "suspended",
            Completion::Failed => "failed",
            Completion::Refused => "refused",
            Completion::Skipped => "skipped",
            Completion::Unexecuted => "unexecuted",
            Completion::Lost => "lost",
        };
        let line = Statement {
            completion: completion.into(),
            sqlstate: outcome.error.map(|code| code.to_string()),
            rows: outcome.rows,
            affected: outcome.affected,
            backend_pid: self.template.backend_pid,
            ..Statement::clone(&outcome.tag)
        };
        writeln!(self.file.borrow_mut(), "{}", serde_json::to_string(&line)?)?;
        Ok(())
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a text holds nothing but space, semicolons and line comments.
fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let code = line.split("--").next().unwrap_or_default();
        code.chars().all(|c| c.is_whitespace() || c == ';')
    })
}

async fn session(mut client: TcpStream, upstream: u16, mut notes: Notes) -> Result<CloseReason> {
    client.set_nodelay(true)?;
    let mut core = Core::new(Settings {
        client_tls: ClientTls::Disable,
        server_tls: ServerTls::Disable,
        ..Settings::default()
    });
    let mut server: Option<TcpStream> = None;
    let mut reason = None;
    let start = std::time::Instant::now();
    loop {
        let now = || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        while let Some(action) = core.poll() {
            match action {
                Action::Inspect => {
                    let tag = notes.tag(&core)?;
                    let verdict = Verdict::Forward { permit: (), tag };
                    core.handle(Event::Verdict(verdict), now());
                }
                Action::Connect | Action::ReconnectPlain => {
                    let stream = TcpStream::connect(("127.0.0.1", upstream)).await?;
                    stream.set_nodelay(true)?;
                    server = Some(stream);
                    core.handle(Event::ServerConnected, now());
                }
                Action::Cancel { pid, key } => cancel(upstream, pid, key.as_bytes()).await?,
                Action::Close(why) => reason = Some(why),
                Action::StartTls { .. } => anyhow::bail!("TLS without a certificate"),
                Action::Outcome(outcome) => notes.note(&outcome)?,
                Action::BackendKey { pid, .. } => notes.template.backend_pid = Some(pid),
                Action::Authenticated { .. }
                | Action::AuthFailed { .. }
                | Action::Established
                | Action::CommitFailed { .. }
                | Action::Undone { .. }
                | Action::ParameterChanged(_)
                | Action::Thread(_)
                | Action::SessionReset
                | Action::Tracked(_)
                | Action::Answered(_)
                | Action::FileRefused(_)
                | Action::Rejected(_) => {}
            }
        }
        flush(&mut client, &mut core.server).await?;
        if let Some(server) = &mut server {
            flush(server, &mut core.client).await?;
        }
        if let Some(reason) = reason {
            return Ok(reason);
        }
        let event = read(&mut core, &mut client, server.as_mut()).await;
        core.handle(event, now());
    }
}

async fn flush(stream: &mut TcpStream, pipe: &mut sqlward_wire::Pipe) -> Result<()> {
    while !pipe.ready().is_empty() {
        match stream.write(pipe.ready()).await {
            Ok(written) => pipe.sent(written),
            // The reading side will say so.
            Err(_) => {
                let left = pipe.ready().len();
                pipe.sent(left);
            }
        }
    }
    Ok(())
}

async fn read(
    core: &mut Core,
    client: &mut TcpStream,
    server: Option<&mut TcpStream>,
) -> Event<(), Tag> {
    let from_client = core.client.space();
    let open = !from_client.is_empty();
    let client = async { client.read(from_client).await };
    let Some(server) = server else {
        return match client.await {
            Ok(0) | Err(_) => Event::ClientClosed,
            Ok(n) => Event::ClientBytes(n),
        };
    };
    let from_server = core.server.space();
    let server_open = !from_server.is_empty();
    tokio::select! {
        read = client, if open => match read {
            Ok(0) | Err(_) => Event::ClientClosed,
            Ok(n) => Event::ClientBytes(n),
        },
        read = server.read(from_server), if server_open => match read {
            Ok(0) | Err(_) => Event::ServerClosed,
            Ok(n) => Event::ServerBytes(n),
        },
        else => Event::ClientClosed,
    }
}

async fn cancel(upstream: u16, pid: u32, key: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", upstream)).await?;
    stream
        .write_all(&sqlward_tests::raw::cancel_request(pid, key))
        .await?;
    let mut rest = [0; 1];
    // The server closes the connection once the signal is sent.
    let _closed = stream.read(&mut rest).await;
    Ok(())
}
