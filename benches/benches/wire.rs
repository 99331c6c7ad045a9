//! What the protocol core alone costs per query, both directions, without sockets.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sqlward_tests::raw::{bind, describe, execute, message, parse, query, startup_packet, sync};
use sqlward_wire::pg::{ClientTls, ServerTls, Session, Settings};
use sqlward_wire::{Action, Event, Verdict};

/// A session with both peers played by this bench.
struct Bench {
    session: Session<(), u32>,
    now: u64,
}

impl Bench {
    /// A session that is logged in and idle.
    fn established() -> Self {
        let session = Session::new(Settings {
            client_tls: ClientTls::Disable,
            server_tls: ServerTls::Disable,
            ..Settings::default()
        });
        let mut bench = Self { session, now: 0 };
        bench.client(&startup_packet("bench"));
        let ready = [message(b'R', &[0; 4]), message(b'Z', b"I")].concat();
        bench.server(&ready);
        bench
    }

    fn client(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let space = self.session.client.space();
            let n = rest.len().min(space.len());
            let (head, tail) = rest.split_at(n);
            if let Some(room) = space.get_mut(..n) {
                room.copy_from_slice(head);
            }
            rest = tail;
            self.handle(Event::ClientBytes(n));
        }
    }

    fn server(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let space = self.session.server.space();
            let n = rest.len().min(space.len());
            let (head, tail) = rest.split_at(n);
            if let Some(room) = space.get_mut(..n) {
                room.copy_from_slice(head);
            }
            rest = tail;
            self.handle(Event::ServerBytes(n));
        }
    }

    fn handle(&mut self, event: Event<(), u32>) {
        self.now += 1000;
        self.session.handle(event, self.now);
        while let Some(action) = self.session.poll() {
            match action {
                Action::Inspect => {
                    black_box(self.session.held());
                    let verdict = Verdict::Forward { permit: (), tag: 7 };
                    self.session.handle(Event::Verdict(verdict), self.now);
                }
                Action::Connect => self.session.handle(Event::ServerConnected, self.now),
                other => drop(black_box(other)),
            }
        }
        let (client, server) = (&mut self.session.client, &mut self.session.server);
        client.sent(black_box(client.ready()).len());
        server.sent(black_box(server.ready()).len());
    }
}

fn row() -> Vec<u8> {
    message(b'D', &[&[0, 1, 0, 0, 0, 1][..], b"0"].concat())
}

fn description() -> Vec<u8> {
    let column = [&b"abalance\0"[..], &[0; 18]].concat();
    message(b'T', &[&[0, 1][..], &column].concat())
}

fn queries(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire");
    let sql = "SELECT abalance FROM pgbench_accounts WHERE aid = 77777;";
    let done = [message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat();

    let request = query(sql);
    let answer = [description(), row(), done.clone()].concat();
    let mut bench = Bench::established();
    group.bench_function("simple query", |b| {
        b.iter(|| {
            bench.client(&request);
            bench.server(&answer);
        });
    });

    let request = [
        parse("", sql),
        bind("", "", &[]),
        describe(b'P', ""),
        execute("", 0),
        sync(),
    ]
    .concat();
    let prepared = [message(b'1', b""), message(b'2', b"")].concat();
    let answer = [prepared, description(), row(), done.clone()].concat();
    let mut bench = Bench::established();
    group.bench_function("extended query", |b| {
        b.iter(|| {
            bench.client(&request);
            bench.server(&answer);
        });
    });

    let mut bench = Bench::established();
    bench.client(&[parse("p", sql), sync()].concat());
    bench.server(&[message(b'1', b""), message(b'Z', b"I")].concat());
    let request = [
        bind("", "p", &[Some("77777")]),
        describe(b'P', ""),
        execute("", 0),
        sync(),
    ]
    .concat();
    let answer = [message(b'2', b""), description(), row(), done.clone()].concat();
    group.bench_function("prepared query", |b| {
        b.iter(|| {
            bench.client(&request);
            bench.server(&answer);
        });
    });

    let rows = row().repeat(1000);
    let mut bench = Bench::established();
    let request = query("SELECT abalance FROM pgbench_accounts LIMIT 1000");
    let answer = [description(), rows, done].concat();
    group.throughput(Throughput::Elements(1000));
    group.bench_function("thousand rows", |b| {
        b.iter(|| {
            bench.client(&request);
            bench.server(&answer);
        });
    });
    group.finish();
}

criterion_group!(benches, queries);
criterion_main!(benches);
