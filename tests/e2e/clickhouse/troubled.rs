//! Servers that fail in every way while records are shipped to them: in the end each record is there once.
//!
//! In front of the real server stands a forwarder that answers errors in its place, cuts connections when the server
//! has answered already, and is slow. `SQLWARD_RECORDS` sets the number of records.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use sqlward_audit_store::clickhouse::Target;
use sqlward_audit_store::ship::ShipperMetrics;
use sqlward_audit_store::{Audit, AuditSettings};
use sqlward_tests::certificates::Certificates;
use sqlward_tests::clickhouse::Server;
use sqlward_tests::ports;
use sqlward_tests::traffic::Dice;
use tokio_rustls::TlsAcceptor;

use crate::shipping::{compare, shipping};
use crate::support::questions::{build, build_with};
use crate::support::stop;

const COUNT: u32 = 6_000;

/// Forwards to `upstream`, and fails 3 of `of` pieces of its answers; counts the failures.
fn troublesome(upstream: u16, seed: u64, of: u64) -> Result<(u16, Arc<AtomicU64>)> {
    let port = ports::free()?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let failed = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&failed);
    std::thread::spawn(move || {
        for (number, client) in (seed..).zip(listener.incoming()) {
            let count = Arc::clone(&count);
            std::thread::spawn(move || {
                // A connection that breaks is what this is for.
                let _ended =
                    client.and_then(|client| trouble(client, upstream, (number, of), &count));
            });
        }
    });
    Ok((port, failed))
}

fn trouble(
    mut client: TcpStream,
    upstream: u16,
    (seed, of): (u64, u64),
    failed: &AtomicU64,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", upstream))?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ended = std::io::copy(&mut from, &mut to);
        to.shutdown(Shutdown::Write)
    });
    let mut dice = Dice::new(seed);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = server.read(&mut buffer)?;
        if length == 0 {
            return client.shutdown(Shutdown::Both);
        }
        let roll = dice.below(of);
        if roll < 3 {
            failed.fetch_add(1, Ordering::Relaxed);
        }
        match roll {
            // The server has done it; nobody hears of it.
            0 | 1 => {
                client.shutdown(Shutdown::Both)?;
                return server.shutdown(Shutdown::Both);
            }
            2 => {
                client.write_all(
                    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\nConnection: close\r\n\r\nno.\n",
                )?;
                return client.shutdown(Shutdown::Both);
            }
            3 => std::thread::sleep(Duration::from_millis(150)),
            _ => {}
        }
        client.write_all(buffer.get(..length).unwrap_or_default())?;
    }
}

fn at(port: u16) -> Result<Target> {
    Ok(format!("clickhouse://127.0.0.1:{port}/audit").parse()?)
}

/// Small batches, so that many things can go wrong.
fn small(targets: &[&Target]) -> AuditSettings {
    let mut small = shipping(targets);
    small.shipper.batch_entries = 1_000;
    small
}

/// What an embedded store holds of the same records.
fn expected() -> Result<tempfile::TempDir> {
    let files = tempfile::tempdir()?;
    build(files.path(), COUNT);
    Ok(files)
}

/// Goes on, as after a restart, until everything is there.
fn ship_the_rest(data: &Path, targets: &[&Target]) -> Result<Arc<ShipperMetrics>> {
    let (audit, _) = Audit::open(data, small(targets))?;
    let metrics = audit.metrics();
    stop(audit);
    Ok(metrics)
}

#[test]
fn errors_cuts_and_delays_lose_and_double_nothing() -> Result<()> {
    let (files, data) = (expected()?, tempfile::tempdir()?);
    let (server, target) = crate::store()?;
    let (port, failed) = troublesome(server.port(), 7, 48)?;
    build_with(data.path(), COUNT, small(&[&at(port)?]));
    let failures = failed.load(Ordering::Relaxed);
    println!("{failures} failures on the way");
    ensure!(failures > 10, "{failures} failures only");
    ensure!(compare(files.path(), &target)? == COUNT as usize);
    Ok(())
}

#[test]
fn a_server_killed_under_load_misses_nothing() -> Result<()> {
    let (files, data) = (expected()?, tempfile::tempdir()?);
    let (mut server, target) = crate::store()?;
    std::thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(|| build_with(data.path(), COUNT, small(&[&target])));
        let mut kills = 0;
        while !writer.is_finished() && kills < 6 {
            std::thread::sleep(Duration::from_millis(150 + 90 * kills));
            server.crash_and_restart()?;
            kills += 1;
        }
        ensure!(kills > 1, "it was too quick to be disturbed");
        writer
            .join()
            .map_err(|_| anyhow::anyhow!("the writer panicked"))
    })?;
    ensure!(compare(files.path(), &target)? == COUNT as usize);
    Ok(())
}

#[test]
fn a_server_that_hangs_or_is_away_at_the_start_gets_everything_later() -> Result<()> {
    let (files, data) = (expected()?, tempfile::tempdir()?);
    let (mut server, target) = crate::store()?;
    server.kill()?;
    let mut settings = small(&[&target]);
    if let Some(delivery) = &mut settings.delivery {
        delivery.timeout = Duration::from_secs(2);
    }
    std::thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(|| build_with(data.path(), COUNT, settings));
        std::thread::sleep(Duration::from_secs(2));
        ensure!(!writer.is_finished(), "it stopped without a server");
        server.restart()?;
        std::thread::sleep(Duration::from_millis(400));
        server.signal(Signal::STOP)?;
        std::thread::sleep(HANG);
        server.signal(Signal::CONT)?;
        writer
            .join()
            .map_err(|_| anyhow::anyhow!("the writer panicked"))
    })?;
    ensure!(compare(files.path(), &target)? == COUNT as usize);
    Ok(())
}

#[test]
fn another_server_of_the_store_steps_in() -> Result<()> {
    let (files, data) = (expected()?, tempfile::tempdir()?);
    let (server, target) = crate::store()?;
    let nobody = at(ports::free()?)?;
    let (port, failed) = troublesome(server.port(), 99, 12)?;
    // One is never there, one fails every other time, one is good: all are the same store.
    build_with(data.path(), COUNT, small(&[&nobody, &at(port)?, &target]));
    ensure!(compare(files.path(), &target)? == COUNT as usize);
    let metrics = ship_the_rest(data.path(), &[&nobody, &target])?;
    ensure!(
        metrics.errors.load(Ordering::Relaxed) == 0,
        "the second was not tried at once"
    );
    println!("{} failures on the way", failed.load(Ordering::Relaxed));
    Ok(())
}

#[test]
fn a_store_behind_tls_is_reached_only_with_a_good_certificate() -> Result<()> {
    let files = expected()?;
    let (server, target) = crate::store()?;
    let folder = tempfile::tempdir()?;
    let made = Certificates::create(folder.path())?;
    let port = behind_tls(&made, &server)?;
    let secure: Target = format!("clickhouses://127.0.0.1:{port}/audit").parse()?;

    // An authority that issued nothing, and the web's.
    let other = tempfile::tempdir()?;
    let stranger = Certificates::create(other.path())?.authority;
    for authorities in [Some(stranger), None] {
        let doubted = secure.clone().with_authorities(authorities);
        let data = tempfile::tempdir()?;
        let (audit, _) = Audit::open(data.path(), small(&[&doubted]))?;
        drop(audit.lane(0)?);
        let metrics = audit.metrics();
        crate::support::until("it is refused", || {
            metrics.errors.load(Ordering::Relaxed) > 0
        });
        drop(audit);
        ensure!(metrics.batches.load(Ordering::Relaxed) == 0);
    }
    let trusted = secure.with_authorities(Some(made.authority));
    let data = tempfile::tempdir()?;
    build_with(data.path(), COUNT, small(&[&trusted]));
    ensure!(compare(files.path(), &target)? == COUNT as usize);
    ensure!(compare(files.path(), &trusted)? == COUNT as usize);
    Ok(())
}

/// Ends TLS in front of the server; the port.
fn behind_tls(made: &Certificates, server: &Server) -> Result<u16> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&made.certificate)?],
            PrivateKeyDer::from_pem_file(&made.key)?,
        )?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (port, upstream) = (ports::free()?, server.port());
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (client, _) = listener.accept().await?;
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut server =
                        tokio::net::TcpStream::connect(("127.0.0.1", upstream)).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        })
    });
    Ok(port)
}

#[test]
fn shipping_goes_where_it_is_told_only() -> Result<()> {
    // The files of a folder that ships elsewhere hold no day: records are in one place.
    let data = tempfile::tempdir()?;
    let (_server, target) = crate::store()?;
    build_with(data.path(), 100, small(&[&target]));
    let names = std::fs::read_dir(data.path().join("store"))?;
    let names: Vec<String> = names
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    ensure!(
        !names.iter().any(|name| name.starts_with("20")),
        "{names:?}"
    );
    Ok(())
}

/// How long a server hangs: longer than it may take to answer.
const HANG: Duration = Duration::from_secs(6);
