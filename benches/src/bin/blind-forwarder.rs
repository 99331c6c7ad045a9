//! A byte-blind TCP forwarder: the least that any proxy of this kind can cost.
//!
//! `blind-forwarder LISTEN-PORT UPSTREAM-PORT`, both on 127.0.0.1; one thread, no look at a byte.

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};

fn main() -> Result<()> {
    let mut ports = std::env::args().skip(1).map(|text| text.parse::<u16>());
    let usage = "usage: blind-forwarder LISTEN-PORT UPSTREAM-PORT";
    let (listen, upstream) = (ports.next().context(usage)??, ports.next().context(usage)??);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(listen, upstream))
}

async fn serve(listen: u16, upstream: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", listen)).await?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A connection that breaks ends; there is nobody to tell.
            let _ended = forward(client, upstream).await;
        });
    }
}

async fn forward(mut client: TcpStream, upstream: u16) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await?;
    Ok(())
}

const BUFFER: usize = 16 << 10;
