//! Every command, its answer, and what the caller is told.

use sqlward_wire::mysql::{Command, Fate, errcode};

use crate::support::*;

#[test]
fn commands_that_are_answered_by_ok_or_eof() {
    let cases: [(&[u8], &str, Vec<u8>); 10] = [
        (b"\x02db2", "init db db2", ok()),
        (b"\x05new", "create db new", encode_affected(1)),
        (b"\x06old", "drop db old", ok()),
        (b"\x07\x04", "admin COM_REFRESH [4]", ok()),
        (b"\x08", "admin COM_SHUTDOWN []", eof()),
        (b"\x0d", "admin COM_DEBUG []", eof()),
        (b"\x0c\x07\0\0\0", "end thread 7", ok()),
        (
            b"\x15\x01\0\0\0\x01h\x01u\x06secret\xea\x0c\0\0\0\0\0\0\0\0",
            "replication COM_REGISTER_SLAVE 8",
            ok(),
        ),
        (b"\x1b\0\0", "set option 0", eof()),
        (b"\x1b\x01\0", "set option 1", ok_eof(AUTOCOMMIT)),
    ];
    for (payload, held, answer) in cases {
        let mut wire = Wire::ready(OLD);
        let log = wire.through(&p(0, payload), &p(1, &answer));
        assert_eq!(log[0], held);
        assert!(log[1].starts_with(&format!("[{held}] Done")), "{log:?}");
        let log = wire.through(&p(0, payload), &p(1, &err(1064, b"42000")));
        assert_eq!(log[1], format!("[{held}] Failed 1064 (42000)"));
        assert!(wire.session.is_idle());
    }
}

fn encode_affected(n: u64) -> Vec<u8> {
    sqlward_wire::mysql::encode::ok(n, AUTOCOMMIT, 0)
}

#[test]
fn set_option_switches_multi_statements() {
    let mut wire = Wire::ready(NEW);
    assert!(wire.session.has_multi_statements());
    wire.through(&command(0x1b, &[1, 0]), &p(1, &ok_eof(2)));
    assert!(!wire.session.has_multi_statements());
    wire.through(&command(0x1b, &[0, 0]), &p(1, &err(1, b"HY000")));
    assert!(!wire.session.has_multi_statements());
    wire.through(&command(0x1b, &[0, 0]), &p(1, &ok_eof(2)));
    assert!(wire.session.has_multi_statements());
}

#[test]
fn commands_that_pass_without_a_verdict() {
    let mut wire = Wire::ready(NEW);
    assert_eq!(wire.through(&command(0x0e, b""), &p(1, &ok())), [""; 0]);
    assert_eq!(
        wire.through(&command(0x1f, b""), &p(1, &ok())),
        ["SessionReset"]
    );
    wire.client(&command(0x01, b""));
    assert_eq!(wire.sent(), command(0x01, b""));
    assert_eq!(wire.told(), ["close ClientTerminated"]);
}

#[test]
fn statistics_and_the_list_of_processes() {
    let mut wire = Wire::ready(NEW);
    let log = wire.through(&command(9, b""), &p(1, b"Uptime: 1  Threads: 2"));
    assert_eq!(
        log,
        [
            "admin COM_STATISTICS []",
            "[admin COM_STATISTICS []] Done Idle"
        ]
    );
    let answer = ps(1, &[&[1], COLUMN, b"\x011", &ok_eof(2)]);
    let log = wire.through(&command(10, b""), &answer);
    assert_eq!(
        log[1],
        "[admin COM_PROCESS_INFO []] Done rows=1 results=1 Idle"
    );
}

#[test]
fn field_lists() {
    for (ends, end) in [(OLD, eof()), (NEW, ok_eof(2))] {
        let mut wire = Wire::ready(ends);
        let log = wire.through(&command(4, b"t\0a%"), &ps(1, &[COLUMN, COLUMN, &end]));
        assert_eq!(
            log,
            [
                "field list t a%",
                "[field list t a%] Done rows=2 results=1 Idle"
            ]
        );
        let log = wire.through(&command(4, b"t\0"), &p(1, &err(1146, b"42S02")));
        assert_eq!(log[1], "[field list t ] Failed 1146 (42S02)");
    }
}

#[test]
fn the_binary_log_streams() {
    let mut wire = Wire::ready(OLD);
    let event = [&[0][..], &[9; 40]].concat();
    let answer = ps(1, &[&event, &event, &eof()]);
    let log = wire.through(&command(0x12, &[0; 10]), &answer);
    assert_eq!(
        log[1],
        "[replication COM_BINLOG_DUMP 10] Done rows=2 results=1 Idle"
    );
    let answer = ps(1, &[&event, &err(1236, b"HY000")]);
    let log = wire.through(&command(0x1e, &[0; 10]), &answer);
    assert_eq!(
        log[1],
        "[replication COM_BINLOG_DUMP_GTID 10] Failed rows=1 1236 (HY000)"
    );
}

#[test]
fn unknown_commands_are_always_refused() {
    let mut wire = Wire::ready(NEW);
    let mut rejected = Vec::new();
    for number in 0..=u8::MAX {
        if Command::from_number(number).is_some() {
            continue;
        }
        wire.client(&command(number, b"whatever"));
        let text = "unknown or unsupported command";
        assert_eq!(wire.got(), ours(1, errcode::UNKNOWN_COMMAND, text));
        rejected.push(format!("rejected {number:#x} of 13: 1047 (08S01)"));
    }
    wire.client(&p(0, b""));
    assert!(text(&wire.got()).contains("unknown"));
    rejected.push("rejected 0x0 of 4: 1047 (08S01)".to_owned());
    assert!(wire.sent().is_empty());
    assert_eq!(wire.told(), rejected);
    assert!(wire.session.is_idle());
}

#[test]
fn every_held_command_can_be_refused() {
    for &command in Command::ALL {
        if command.fate() == Fate::Passed {
            continue;
        }
        let body: &[u8] = match command {
            Command::FieldList => b"t\0",
            Command::ProcessKill => b"\0\0\0\0",
            Command::SetOption => b"\0\0",
            Command::RegisterSlave => &[0; 17],
            Command::ChangeUser => b"u\0\0d\0",
            // these need a statement
            Command::Execute | Command::BulkExecute | Command::Fetch => continue,
            _ => b"",
        };
        let mut wire = Wire::ready(NEW);
        wire.judging = false;
        wire.client(&super::support::command(command.number(), body));
        wire.clear();
        wire.judge("deny");
        assert_eq!(wire.got(), refused(1), "{}", command.name());
        assert!(wire.sent().is_empty());
        assert_eq!(wire.told(), ["[deny] Refused 1227 (42000)"]);
        wire.judging = true;
        wire.through(&super::support::command(0x0e, b""), &p(1, &ok()));
    }
}

#[test]
fn changing_the_user_is_a_login_again() {
    let body = b"bob\0\x03abcdb2\0\x2d\0mysql_native_password\0\0";
    let mut wire = Wire::ready(NEW);
    wire.client(&command(0x11, body));
    assert_eq!(wire.sent(), command(0x11, body));
    let switch = b"\xfecaching_sha2_password\0salt\0";
    wire.server(&p(1, switch));
    wire.client(&p(2, b"scramble"));
    wire.server(&ps(3, &[&[1, 3], &ok()]));
    assert_eq!(wire.sent(), p(2, b"scramble"));
    assert_eq!(
        wire.got(),
        [p(1, switch), ps(3, &[&[1, 3], &ok()])].concat()
    );
    let held = "change user bob@db2 mysql_native_password 45";
    assert_eq!(
        wire.told(),
        [
            held.to_owned(),
            "Authenticated { method: CachingSha2 }".into(),
            format!("[{held}] Done Idle"),
            "SessionReset".into()
        ]
    );
    let log = wire.through(&command(0x11, body), &p(1, &err(1045, b"28000")));
    assert_eq!(log[1], format!("[{held}] Failed 1045 (28000)"));
    // the short form of old clients
    let log = wire.through(&command(0x11, b"bob\0\0\0"), &p(1, &ok()));
    assert_eq!(log[0], "change user bob@  0");
}
