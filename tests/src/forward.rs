//! A byte-blind TCP forwarder: what any proxy does at the least, for baselines.

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};

use crate::ports;

/// Forwards every connection to `listen` on 127.0.0.1 to `upstream`, for ever, on one thread,
/// without a look at a byte.
///
/// # Errors
/// When the port is taken.
pub fn run(listen: u16, upstream: u16) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", listen)))?;
    runtime.block_on(serve(listener, upstream))
}

/// Forwards for as long as this process lives; the port.
///
/// # Errors
/// When no port is free.
pub fn start(upstream: u16) -> Result<u16> {
    let port = ports::free()?;
    let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async { serve(TcpListener::from_std(listener)?, upstream).await })
    });
    Ok(port)
}

async fn serve(listener: TcpListener, upstream: u16) -> Result<()> {
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
