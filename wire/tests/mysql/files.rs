//! LOAD DATA LOCAL INFILE: the server gets the file that the statement names, and no other.

use sqlward_wire::mysql::errcode;

use crate::support::*;

const REFUSED: &str = "the server asked for a file that this statement may not read";

#[test]
fn the_named_file_streams() {
    let mut wire = Wire::ready(NEW);
    wire.files = vec![b"/tmp/a"];
    wire.client(&query("load"));
    wire.clear();
    wire.server(&p(1, b"\xfb/tmp/a"));
    assert_eq!(wire.got(), p(1, b"\xfb/tmp/a"));
    let big = vec![b'x'; 0xff_ffff];
    let data = [p(2, b"1\n2\n"), p(3, &big), p(5, b"3\n"), p(6, b"")].concat();
    wire.client(&data);
    assert!(wire.sent() == data);
    assert!(wire.session.client.capacity() <= 4 * sqlward_wire::Pipe::LARGE);
    wire.server(&p(7, &sqlward_wire::mysql::encode::ok(3, 2, 0)));
    assert_eq!(wire.told(), ["[load] Done affected=3 results=1 Idle"]);
    wire.clear();
    wire.through(&query("next"), &p(1, &ok()));
}

#[test]
fn several_statements_have_their_files_in_order() {
    let mut wire = Wire::ready(NEW);
    wire.files = vec![b"a", b"b"];
    wire.client(&query("load a; load b"));
    let more = sqlward_wire::mysql::encode::ok(1, AUTOCOMMIT | MORE, 0);
    wire.server(&p(1, b"\xfba"));
    wire.client(&[p(2, b"1"), p(3, b"")].concat());
    wire.server(&ps(4, &[&more, b"\xfbb"]));
    wire.client(&[p(6, b"2"), p(7, b"")].concat());
    wire.clear();
    wire.server(&p(8, &ok()));
    assert_eq!(
        wire.told(),
        ["[load a; load b] Done affected=1 results=2 Idle"]
    );
}

#[test]
fn another_file_is_not_given_away() {
    let wrong: [(Vec<&'static [u8]>, &[u8]); 4] = [
        (vec![b"/tmp/a"], b"/etc/passwd"),
        (vec![], b"/etc/passwd"),
        (vec![b"/tmp/a"], b"/tmp/a "),
        (vec![b"/tmp/a"], b""),
    ];
    for (files, asked) in wrong {
        let mut wire = Wire::ready(NEW);
        wire.files = files;
        wire.client(&query("load"));
        wire.clear();
        wire.server(&p(1, &[b"\xfb", asked].concat()));
        assert_eq!(wire.sent(), p(2, b""));
        assert!(wire.got().is_empty());
        wire.server(&p(3, &ok()));
        assert_eq!(wire.got(), ours(1, errcode::NOT_ALLOWED, REFUSED));
        assert_eq!(
            wire.told(),
            [
                format!("file refused {}", text(asked)),
                "[load] Failed results=1 1148 (42000)".into()
            ]
        );
        wire.through(&query("next"), &p(1, &ok()));
    }
}

#[test]
fn what_follows_a_refused_file_is_not_for_the_client() {
    let mut wire = Wire::ready(OLD);
    wire.client(&query("load; select"));
    wire.clear();
    wire.server(&p(1, b"\xfb/etc/passwd"));
    let more = sqlward_wire::mysql::encode::ok(0, AUTOCOMMIT | MORE, 0);
    wire.server(&ps(3, &[&more, &[1], COLUMN, &eof(), b"\x011", &eof()]));
    assert_eq!(wire.got(), ours(1, errcode::NOT_ALLOWED, REFUSED));
    wire.clear();
    wire.through(&query("next"), &p(1, &ok()));
    // nor is the server's error about the empty file
    wire.client(&query("load"));
    wire.clear();
    wire.server(&p(1, b"\xfb/etc/passwd"));
    wire.server(&p(3, &err(1085, b"HY000")));
    assert_eq!(wire.got(), ours(1, errcode::NOT_ALLOWED, REFUSED));
}

#[test]
fn a_request_without_a_statement_ends_the_session() {
    let mut wire = Wire::ready(NEW);
    wire.server(&p(0, b"\xfb/etc/passwd"));
    assert!(wire.told()[0].contains("FileRequest"));
    assert!(!text(&wire.got()).contains("passwd"));
    // nor may other commands be answered by it
    for bytes in [command(2, b"db"), command(14, b""), command(0x16, b"p")] {
        let mut wire = Wire::ready(NEW);
        wire.client(&bytes);
        wire.clear();
        wire.server(&p(1, b"\xfb/etc/passwd"));
        assert!(wire.told().last().unwrap().contains("OutOfPlace(251)"));
        assert!(!text(&wire.got()).contains("passwd"));
    }
}

#[test]
fn files_of_one_query_are_not_for_the_next() {
    let mut wire = Wire::ready(NEW);
    wire.files = vec![b"a"];
    wire.through(&query("load"), &p(1, &err(1146, b"42S02")));
    wire.files = vec![];
    wire.client(&query("other"));
    wire.clear();
    wire.server(&p(1, b"\xfba"));
    assert_eq!(wire.told(), ["file refused a"]);
    // a refused query's neither
    let mut wire = Wire::ready(NEW);
    wire.files = vec![b"a"];
    wire.client(&query("deny"));
    wire.files = vec![];
    wire.client(&query("other"));
    wire.clear();
    wire.server(&p(1, b"\xfba"));
    assert_eq!(wire.told(), ["file refused a"]);
}

#[test]
fn an_error_while_the_client_sends_ends_the_session() {
    let mut wire = Wire::ready(NEW);
    wire.files = vec![b"a"];
    wire.client(&query("load"));
    wire.server(&p(1, b"\xfba"));
    wire.client(&p(2, b"data"));
    wire.clear();
    wire.server(&p(3, &err(1153, b"08S01")));
    assert_eq!(
        wire.told(),
        [
            "[load] Failed 1153 (08S01)",
            "close ServerFatal(1153 (08S01))"
        ]
    );
}
