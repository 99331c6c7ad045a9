//! Refused commands: in order, in their place, and without a byte to the server.

use sqlward_wire::mysql::{Settings, errcode};
use sqlward_wire::{Event, Fatal, SqlState};

use crate::support::*;

#[test]
fn a_refusal_is_an_answer_and_the_session_goes_on() {
    let mut wire = Wire::ready(OLD);
    wire.through(
        &query("begin"),
        &p(1, &sqlward_wire::mysql::encode::ok(0, IN_TRANS, 0)),
    );
    wire.client(&query("deny"));
    assert_eq!(wire.got(), refused(1));
    assert!(wire.sent().is_empty());
    assert_eq!(wire.told(), ["query deny", "[deny] Refused 1227 (42000)"]);
    assert_eq!(
        wire.session.tx_status(),
        Some(sqlward_wire::TxStatus::Active)
    );
    wire.through(&query("commit"), &p(1, &ok()));
}

#[test]
fn a_command_of_several_packets_is_answered_behind_the_last_one() {
    let settings = || Settings {
        max_statement_bytes: 64 << 20,
        ..plain()
    };
    for length in [0xff_fffe, 0xff_ffff, 0x1ff_fffe, 40_000_000] {
        let mut text = vec![b' '; length - 1];
        text.extend_from_slice(b"x");
        text[0] = 3;
        text[1..5].copy_from_slice(b"deny");
        let packets = length / 0xff_ffff + 1;
        let mut wire = Wire::ready_with(OLD, settings());
        wire.client(&p(0, &text));
        assert_eq!(wire.got(), refused(packets as u8), "{length}");
        assert!(wire.sent().is_empty());
        wire.through(&query("next"), &p(1, &ok()));
        // and one that may pass does so as it came
        text[1..5].copy_from_slice(b"pass");
        let mut wire = Wire::ready_with(OLD, settings());
        let bytes = p(0, &text);
        wire.client(&bytes);
        assert!(wire.sent() == bytes, "{length}");
        wire.server(&p(packets as u8, &ok()));
        assert_eq!(wire.got(), p(packets as u8, &ok()));
        assert!(wire.session.is_idle());
    }
}

#[test]
fn a_command_that_is_too_long_is_thrown_away_as_it_comes() {
    for length in [5000, 0xff_ffff, 40_000_000] {
        let mut wire = Wire::ready_with(
            NEW,
            Settings {
                max_statement_bytes: 4999,
                ..plain()
            },
        );
        let payload = [&[3][..], &vec![b'x'; length - 1]].concat();
        wire.client(&p(0, &payload));
        assert!(wire.session.client.capacity() <= 2 * sqlward_wire::Pipe::LARGE);
        let packets = (length / 0xff_ffff + 1) as u8;
        let first = length.min(0xff_ffff);
        assert_eq!(
            wire.got(),
            ours(
                packets,
                errcode::TOO_LARGE,
                &format!("a command of {first} bytes or more exceeds max_statement_bytes (4999)")
            )
        );
        let said = format!("too large COM_QUERY {first} 4096");
        assert_eq!(
            wire.told(),
            [said.clone(), format!("[{said}] Refused 1153 (08S01)")]
        );
        assert!(wire.sent().is_empty());
        wire.through(&query("next"), &p(1, &ok()));
    }
}

#[test]
fn the_limit_is_found_in_a_later_packet_too() {
    let mut wire = Wire::ready_with(
        NEW,
        Settings {
            max_statement_bytes: 0xff_ffff + 5,
            ..plain()
        },
    );
    let payload = [&[3][..], &vec![b'x'; 0xff_ffff + 5]].concat();
    wire.client(&p(0, &payload));
    assert!(text(&wire.got()).contains("of 16777221 bytes or more"));
    wire.clear();
    wire.through(&query("next"), &p(1, &ok()));
}

#[test]
fn terminating_ends_the_session_behind_the_error() {
    let mut wire = Wire::ready(NEW);
    wire.client(&query("kill"));
    assert_eq!(
        wire.got(),
        ours(1, errcode::SHUTDOWN, "refused by policy (rule r; event e)")
    );
    assert_eq!(
        wire.told(),
        ["query kill", "[kill] Refused 1053 (08S01)", "close Refused"]
    );
    assert_eq!(wire.sent(), command(1, b""));
}

#[test]
fn the_operator_ends_a_session_between_commands_or_in_one() {
    let bye = || {
        Event::Abort(Fatal {
            code: SqlState::ADMIN_SHUTDOWN.into(),
            message: "bye".into(),
        })
    };
    let mut wire = Wire::ready(NEW);
    wire.through(&query("q"), &p(1, &ok()));
    wire.event(bye());
    assert_eq!(wire.got(), ours(0, errcode::SHUTDOWN, "bye"));
    assert_eq!(wire.sent(), command(1, b""));
    assert_eq!(wire.told(), ["close Aborted(57P01)"]);
    let mut wire = Wire::ready(NEW);
    wire.client(&query("q"));
    wire.server(&ps(1, &[&[1], COLUMN, b"\x011"]));
    wire.clear();
    wire.event(bye());
    assert_eq!(wire.got(), ours(4, errcode::SHUTDOWN, "bye"));
    assert!(wire.sent().is_empty());
    assert_eq!(wire.told(), ["[q] Lost rows=1", "close Aborted(57P01)"]);
    // in the middle of a row nothing can be said
    let mut wire = Wire::ready(NEW);
    wire.client(&query("q"));
    wire.server(&[ps(1, &[&[1], COLUMN]), vec![9, 0, 0, 3, 8, b'x']].concat());
    wire.clear();
    wire.event(bye());
    assert!(wire.got().is_empty());
}

#[test]
fn a_refusal_waits_for_the_end_of_the_answer_before_it() {
    let mut wire = Wire::ready(NEW);
    wire.client(&[query("a"), query("deny")].concat());
    let error = p(1, &[&err(1064, b"42000")[..], &[b'x'; 400]].concat());
    wire.server(&error[..100]);
    assert_eq!(wire.got(), error[..100]);
    wire.server(&error[100..]);
    assert_eq!(wire.got(), [&error[100..], &refused(1)].concat());
}
