//! The MySQL wire core alone between clients and a server: everything is permitted, nothing is recorded.
//! Tells a fault of the protocol core from one of the proxy around it.
//!
//! `mysql-forwarder LISTEN-PORT UPSTREAM-PORT FILE`, both ports on 127.0.0.1, without TLS. What the
//! core says of every command goes to FILE, a line each. A text with `sqlward_deny` in it is refused, one with
//! `sqlward_kill` ends its session; a file may be read if it is what follows `LOCAL INFILE`.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::rc::Rc;

use anyhow::{Context, Result};
use sqlward_wire::mysql::{ClientTls, Held, ServerTls, Session, Settings, errcode};
use sqlward_wire::{Action, AfterRefusal, CloseReason, Event, Refusal, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        arguments
            .next()
            .context("usage: mysql-forwarder LISTEN UPSTREAM FILE")
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
    let listener = TcpListener::bind(("127.0.0.1", listen)).await?;
    loop {
        let (client, peer) = listener.accept().await?;
        let file = Rc::clone(&file);
        tokio::task::spawn_local(async move {
            match session(client, upstream, file).await {
                Ok(CloseReason::ClientTerminated) => {}
                Ok(other) => eprintln!("{peer}: {other:?}"),
                Err(error) => eprintln!("{peer}: {error:#}"),
            }
        });
    }
}

type Tag = Rc<str>;
type Core = Session<(), Tag>;

/// What is asked when a session begins, and begins anew.
const QUESTION: &[u8] = b"SELECT @@sql_mode, @@character_set_client, @@version";

/// What the held message is, and the file that it names.
fn describe(held: &Held<'_, Tag>) -> (String, Option<Vec<u8>>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match held {
        Held::Startup(login) | Held::ChangeUser(login) => (
            format!("login {login:?} {}", login.attributes.clone().count()),
            None,
        ),
        Held::Query {
            text: sql,
            attributes,
        } => {
            let attributes: Vec<_> = attributes.clone().collect();
            (format!("query {} {attributes:?}", text(sql)), file(sql))
        }
        Held::Prepare { text: sql } => (format!("prepare {}", text(sql)), None),
        Held::Execute {
            prepared,
            parameters,
            ..
        } => {
            let values: Vec<_> = parameters.clone().map(|one| one.value).collect();
            (format!("execute [{prepared}] {values:?}"), None)
        }
        Held::BulkExecute { prepared, rows, .. } => {
            (format!("bulk [{prepared}] {}", rows.clone().count()), None)
        }
        other => (format!("{other:?}"), None),
    }
}

fn file(sql: &[u8]) -> Option<Vec<u8>> {
    let upper = sql.to_ascii_uppercase();
    let words = b"LOCAL INFILE ";
    let at = upper.windows(words.len()).position(|part| part == words)? + words.len();
    let (&quote, rest) = sql.get(at..)?.split_first()?;
    let name = rest.split(|&byte| byte == quote).next()?;
    Some(name.to_vec())
}

fn judge(core: &mut Core) -> Result<Verdict<(), Tag>> {
    let (said, file) = describe(&core.held().context("nothing held")?);
    if let Some(file) = file {
        core.expect_file(&file);
    }
    let tag: Tag = said.into();
    let refused = |then| Refusal {
        code: errcode::REFUSED,
        message: "refused by the forwarder".into(),
        detail: "rule forwarder".into(),
        hint: String::new(),
        then,
    };
    let then = match &*tag {
        said if said.contains("sqlward_kill") => AfterRefusal::Terminate,
        said if said.contains("sqlward_deny") => AfterRefusal::Continue,
        _ => return Ok(Verdict::Forward { permit: (), tag }),
    };
    Ok(Verdict::Refuse {
        refusal: refused(then),
        tag,
    })
}

async fn session(
    mut client: TcpStream,
    upstream: u16,
    file: Rc<RefCell<File>>,
) -> Result<CloseReason> {
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
                    let verdict = judge(&mut core)?;
                    core.handle(Event::Verdict(verdict), now());
                }
                Action::Connect => {
                    let stream = TcpStream::connect(("127.0.0.1", upstream)).await?;
                    stream.set_nodelay(true)?;
                    server = Some(stream);
                    core.handle(Event::ServerConnected, now());
                }
                Action::Established | Action::SessionReset => core.ask(QUESTION)?,
                Action::Close(why) => reason = Some(why),
                Action::StartTls { .. } => anyhow::bail!("TLS without a certificate"),
                said => writeln!(file.borrow_mut(), "{said:?}")?,
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
