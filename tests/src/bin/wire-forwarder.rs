//! The wire core alone between clients and a server: everything is permitted, nothing is recorded.
//! Tells a fault of the protocol core from one of the proxy around it.
//!
//! `wire-forwarder LISTEN-PORT UPSTREAM-PORT`, both on 127.0.0.1, without TLS.

use anyhow::{Context, Result};
use sqlward_wire::pg::{ClientTls, ServerTls, Session, Settings};
use sqlward_wire::{Action, CloseReason, Event, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn main() -> Result<()> {
    let mut ports = std::env::args().skip(1).map(|text| text.parse::<u16>());
    let usage = "usage: wire-forwarder LISTEN-PORT UPSTREAM-PORT";
    let (listen, upstream) = (ports.next().context(usage)??, ports.next().context(usage)??);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, serve(listen, upstream))
}

async fn serve(listen: u16, upstream: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", listen)).await?;
    loop {
        let (client, peer) = listener.accept().await?;
        tokio::task::spawn_local(async move {
            match session(client, upstream).await {
                Ok(CloseReason::ClientTerminated | CloseReason::CancelRequest) => {}
                Ok(other) => eprintln!("{peer}: {other:?}"),
                Err(error) => eprintln!("{peer}: {error:#}"),
            }
        });
    }
}

type Core = Session<(), ()>;

async fn session(mut client: TcpStream, upstream: u16) -> Result<CloseReason> {
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
                    let verdict = Verdict::Forward {
                        permit: (),
                        tag: (),
                    };
                    core.handle(Event::Verdict(verdict), now());
                }
                Action::Connect => {
                    let stream = TcpStream::connect(("127.0.0.1", upstream)).await?;
                    stream.set_nodelay(true)?;
                    server = Some(stream);
                    core.handle(Event::ServerConnected, now());
                }
                Action::Cancel { pid, key } => cancel(upstream, pid, key.as_bytes()).await?,
                Action::Close(why) => reason = Some(why),
                Action::StartTls { .. } => anyhow::bail!("TLS without a certificate"),
                Action::Outcome(_)
                | Action::Authenticated { .. }
                | Action::AuthFailed { .. }
                | Action::BackendKey { .. }
                | Action::Established
                | Action::ParameterChanged(_) => {}
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
) -> Event<(), ()> {
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
