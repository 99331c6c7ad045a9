//! Witnesses against real listeners: a web server, sockets, and none.

use std::{
    io::Read,
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixDatagram,
    sync::Mutex,
};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use sqlward_audit_store::proof::read_witnessed;

use super::*;

const NOTE: &str = "example.org/a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} example.org/a AAAAAAAA\n";

fn errors(metrics: &ShipperMetrics) -> u64 {
    metrics.checkpoint_errors.load(Ordering::Relaxed)
}

fn hand_out(witnesses: &[Witness], notes: usize) -> Arc<ShipperMetrics> {
    let metrics = Arc::new(ShipperMetrics::default());
    let (sender, from) = channel(witnesses);
    let threads = start(from, witnesses, &metrics).unwrap();
    let sender = sender.unwrap();
    for _ in 0..notes {
        sender.send(NOTE.into()).unwrap();
    }
    drop(sender);
    stop(threads);
    metrics
}

/// What a server was sent, and how many it still refuses.
type Seen = Arc<Mutex<(Vec<String>, usize)>>;

async fn take(State(seen): State<Seen>, body: String) -> StatusCode {
    let mut seen = seen.lock().unwrap();
    seen.0.push(body);
    if seen.1 > 0 {
        seen.1 -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::NO_CONTENT
}

/// A server on a runtime of its own, for as long as the process lives.
fn server(refusals: usize) -> (Witness, Seen) {
    let seen: Seen = Arc::new(Mutex::new((Vec::new(), refusals)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/checkpoints", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/checkpoints", post(take))
        .with_state(Arc::clone(&seen));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    (Witness::Http(url.parse().unwrap()), seen)
}

#[test]
fn a_server_is_sent_each_checkpoint_and_again_what_it_refused() {
    let (witness, seen) = server(1);
    let metrics = Arc::new(ShipperMetrics::default());
    let (sender, from) = channel(std::slice::from_ref(&witness));
    let threads = start(from, &[witness], &metrics).unwrap();
    let sender = sender.unwrap();
    sender.send(NOTE.into()).unwrap();
    let begun = Instant::now();
    while seen.lock().unwrap().0.len() < 2 {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "never sent again"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    sender.send(NOTE.into()).unwrap();
    drop(sender);
    stop(threads);
    assert_eq!(seen.lock().unwrap().0, [NOTE; 3]);
    assert_eq!(errors(&metrics), 1);
}

#[test]
fn system_logs_get_lines_that_can_be_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let unix = UnixDatagram::bind(dir.path().join("log")).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = |at: std::io::Result<std::net::SocketAddr>| at.unwrap().to_string();
    let witnesses: Vec<Witness> = [
        format!("udp://{}", address(udp.local_addr())),
        format!("unix://{}", dir.path().join("log").display()),
        format!("tcp://{}", address(tcp.local_addr())),
    ]
    .iter()
    .map(|url| Witness::Syslog(url.parse().unwrap()))
    .collect();
    let metrics = hand_out(&witnesses, 1);
    assert_eq!(errors(&metrics), 0);
    let mut buffer = vec![0; 4096];
    let mut lines = Vec::new();
    for length in [udp.recv(&mut buffer), unix.recv(&mut buffer.clone())] {
        lines.push(length.unwrap());
    }
    assert_eq!(lines[0], lines[1]);
    let datagram = String::from_utf8(buffer[..lines[0]].to_vec()).unwrap();
    let mut counted = String::new();
    tcp.accept()
        .unwrap()
        .0
        .read_to_string(&mut counted)
        .unwrap();
    let (length, streamed) = counted.split_once(' ').unwrap();
    assert_eq!(length.parse(), Ok(streamed.len()));
    for line in [datagram.as_str(), streamed] {
        assert!(
            line.starts_with("<109>1 2") && !line.contains('\n'),
            "{line}"
        );
        assert_eq!(line.split(' ').nth(3), Some("sqlward"));
        let read = read_witnessed(&format!("something else\n{line}\n")).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].to_string(), NOTE);
    }
}

/// A witness that is gone costs an error for each try, and nobody else anything.
#[test]
fn a_witness_that_is_gone_delays_nobody() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kept");
    let witnesses = [
        Witness::Http(format!("http://{gone}/").parse().unwrap()),
        Witness::Syslog(format!("tcp://{gone}").parse().unwrap()),
        Witness::Syslog("unix:///nowhere/at/all".parse().unwrap()),
        Witness::File(file.clone()),
    ];
    let metrics = hand_out(&witnesses, 1);
    assert_eq!(std::fs::read_to_string(file).unwrap(), NOTE);
    assert!(errors(&metrics) >= 3, "{}", errors(&metrics));
}

/// A server that never answers: what waits is bounded, and the sender never waits.
#[test]
fn the_queue_is_bounded() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let witness = Witness::Http(format!("http://{address}/").parse().unwrap());
    let metrics = Arc::new(ShipperMetrics::default());
    let (sender, from) = channel(std::slice::from_ref(&witness));
    let threads = start(from, &[witness], &metrics).unwrap();
    let sender = sender.unwrap();
    let begun = Instant::now();
    for _ in 0..20 * WAITING {
        let _ = sender.try_send(NOTE.into());
        std::thread::sleep(Duration::from_micros(100));
    }
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert!(errors(&metrics) > 0);
    drop(sender);
    drop(silent);
    stop(threads);
}

#[test]
fn addresses_that_are_none_are_refused() {
    for bad in [
        "",
        "https://a/",
        "ftp://a/",
        "a",
        "http://",
        "http://u:p@a/",
    ] {
        assert!(bad.parse::<Http>().is_err(), "{bad}");
    }
    for bad in [
        "",
        "udp://",
        "udp://a",
        "udp://a:0",
        "unix://a",
        "http://a:1",
        "tcp://:1",
    ] {
        assert!(bad.parse::<Syslog>().is_err(), "{bad}");
    }
}
