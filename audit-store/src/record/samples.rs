//! Generated entries for tests.

use std::net::{IpAddr, SocketAddr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use sqlward_policy::vocabulary::{
    Access, Action, Class, ColumnUse, Dialect, Egress, LimitShape, Mode, ObjectKind, Severity,
    Unreadable, Verb, WhereShape,
};

use super::*;

fn word() -> impl Strategy<Value = &'static str> {
    // Tests are short-lived; entries borrow.
    ".{0,12}".prop_map(|text| &*Box::leak(text.into_boxed_str()))
}

fn bytes() -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..40).prop_map(|bytes| &*Box::leak(bytes.into_boxed_slice()))
}

fn tls() -> impl Strategy<Value = Option<Tls<'static>>> {
    option::of(
        (word(), option::of(word())).prop_map(|(version, identity)| Tls { version, identity }),
    )
}

fn subject() -> impl Strategy<Value = Subject<'static>> {
    (word(), word(), word()).prop_map(|(user, database, application)| Subject {
        user,
        database,
        application,
    })
}

fn end_user() -> impl Strategy<Value = Option<EndUser<'static>>> {
    let end_user = (word(), select(EndUserSource::ALL), select(Trust::ALL));
    option::of(end_user.prop_map(|(name, source, trust)| EndUser {
        name,
        source,
        trust,
    }))
}

fn start() -> impl Strategy<Value = Entry<'static>> {
    let place = (any::<u64>(), any::<u64>(), any::<IpAddr>(), any::<u16>());
    (place, word(), word(), select(Dialect::ALL), tls()).prop_map(
        |((session, at_us, ip, port), listener, upstream, dialect, tls)| {
            Entry::SessionStart(SessionStart {
                session: SessionId(session),
                at_us,
                client: SocketAddr::new(ip, port),
                listener,
                upstream,
                dialect,
                tls,
            })
        },
    )
}

fn authenticated() -> impl Strategy<Value = Entry<'static>> {
    let who = (any::<u64>(), any::<u64>(), subject(), option::of(word()));
    (who, word(), any::<Option<u32>>(), word(), tls()).prop_map(
        |((session, at_us, subject, role), method, backend_pid, protocol, tls)| {
            let session = SessionId(session);
            Entry::SessionAuthenticated(SessionAuthenticated {
                session,
                at_us,
                subject,
                role,
                method,
                backend_pid,
                protocol,
                tls,
            })
        },
    )
}

fn context() -> impl Strategy<Value = Entry<'static>> {
    (
        any::<u64>(),
        any::<u64>(),
        subject(),
        option::of(word()),
        end_user(),
    )
        .prop_map(|(session, at_us, subject, role, end_user)| {
            let session = SessionId(session);
            Entry::Context(Context {
                session,
                at_us,
                subject,
                role,
                end_user,
            })
        })
}

fn error() -> impl Strategy<Value = ErrorCode> {
    any::<([u8; 5], u16)>().prop_map(|(sqlstate, errno)| ErrorCode { sqlstate, errno })
}

fn end() -> impl Strategy<Value = Entry<'static>> {
    let why = (
        select(EndCause::ALL),
        option::of(error()),
        option::of(subject()),
    );
    (any::<u64>(), any::<u64>(), why, any::<u64>(), any::<u64>()).prop_map(
        |(session, at_us, (cause, sqlstate, claimed), client_bytes, server_bytes)| {
            let session = SessionId(session);
            Entry::SessionEnd(SessionEnd {
                session,
                at_us,
                cause,
                sqlstate,
                claimed,
                client_bytes,
                server_bytes,
            })
        },
    )
}

fn object() -> impl Strategy<Value = Object<'static>> {
    (
        select(ObjectKind::ALL),
        option::of(word()),
        word(),
        select(Access::ALL),
    )
        .prop_map(|(kind, schema, name, access)| Object {
            kind,
            schema,
            name,
            access,
        })
}

fn column() -> impl Strategy<Value = Column<'static>> {
    (
        option::of(word()),
        option::of(word()),
        word(),
        select(ColumnUse::ALL),
    )
        .prop_map(|(schema, table, column, usage)| Column {
            schema,
            table,
            column,
            usage,
        })
}

fn shape() -> impl Strategy<Value = Entry<'static>> {
    let head = (any::<[u8; 16]>(), any::<[u8; 16]>(), word(), any::<u32>());
    let verbs = (
        select(Verb::ALL),
        select(Class::ALL),
        vec(select(Verb::ALL), 0..4),
    );
    let names = (vec(object(), 0..4), vec(column(), 0..4), vec(word(), 0..4));
    let egress = vec(select(Egress::ALL), 0..3);
    let form = (
        egress,
        select(WhereShape::ALL),
        select(LimitShape::ALL),
        any::<bool>(),
    );
    (head, verbs, names, form).prop_map(|(head, verbs, names, form)| {
        let ((key, fingerprint, normal, statements), (verb, class, verbs)) = (head, verbs);
        let ((objects, columns, functions), (egress, where_shape, limit, dynamic)) = (names, form);
        Entry::Shape(Shape {
            key,
            fingerprint,
            normal,
            statements,
            verb,
            class,
            verbs: verbs.into(),
            objects: objects.into(),
            columns: columns.into(),
            functions: functions.into(),
            egress: egress.into(),
            where_shape,
            limit,
            dynamic,
        })
    })
}

fn text() -> impl Strategy<Value = Text<'static>> {
    prop_oneof![
        Just(Text::None),
        (bytes(), any::<u64>(), any::<Option<[u8; 32]>>()).prop_map(
            |(bytes, full_len, full_hash)| Text::Sent {
                bytes,
                full_len,
                full_hash
            }
        ),
        any::<u64>().prop_map(|seq| Text::Of(Seq(seq))),
    ]
}

fn parameter() -> impl Strategy<Value = Parameter<'static>> {
    let format = select(ParameterFormat::ALL);
    (
        format,
        any::<u32>(),
        option::of(bytes()),
        any::<u64>(),
        any::<bool>(),
    )
        .prop_map(|(format, type_oid, value, full_len, redacted)| Parameter {
            format,
            type_oid,
            value,
            full_len,
            redacted,
        })
}

fn judgement() -> impl Strategy<Value = Judgement<'static>> {
    let actions = (select(Action::ALL), select(Action::ALL), select(Mode::ALL));
    let severity = option::of(select(Severity::ALL));
    let unreadable = option::of(select(Unreadable::ALL));
    (
        actions,
        vec(word(), 0..4),
        severity,
        any::<u64>(),
        unreadable,
    )
        .prop_map(
            |((action, judged, mode), rules, severity, generation, unreadable)| Judgement {
                action,
                judged,
                mode,
                rules: rules.into(),
                severity,
                generation,
                unreadable,
            },
        )
}

fn intent() -> impl Strategy<Value = Entry<'static>> {
    let continues = option::of(any::<u64>().prop_map(Seq));
    let head = (
        any::<u64>(),
        any::<u32>(),
        select(IntentKind::ALL),
        continues,
    );
    let shape = any::<Option<[u8; 16]>>();
    let body = (text(), shape, vec(parameter(), 0..4), bytes(), bytes());
    let time = (
        any::<u64>(),
        any::<u64>(),
        any::<u32>(),
        select(TxStatus::ALL),
    );
    let reduction = (select(Detail::ALL), any::<u32>());
    let who = (
        end_user(),
        option::of(word()),
        option::of(word()),
        reduction,
    );
    (head, body, time, judgement(), who).prop_map(|(head, body, time, judgement, who)| {
        let (session, number, kind, continues) = head;
        let (text, shape, parameters, prepared_name, portal) = body;
        let (wall_us, mono_ns, transaction, status) = time;
        let (end_user, role, trace, (detail, redacted)) = who;
        Entry::Intent(Intent {
            session: SessionId(session),
            number,
            kind,
            continues,
            text,
            shape,
            parameters: parameters.into(),
            prepared_name,
            portal,
            wall_us,
            mono_ns,
            transaction,
            status,
            judgement,
            end_user,
            role,
            trace,
            reduction: Reduction { detail, redacted },
        })
    })
}

fn outcome() -> impl Strategy<Value = Entry<'static>> {
    let counts = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>());
    let times = (any::<Option<u64>>(), any::<u64>(), any::<u64>());
    let how = (select(Completion::ALL), option::of(error()));
    (any::<u64>(), how, counts, times).prop_map(
        |(intent, (completion, sqlstate), (rows, affected, bytes, statements), times)| {
            Entry::Outcome(Outcome {
                intent: Seq(intent),
                completion,
                rows,
                affected,
                bytes,
                sqlstate,
                first_byte_us: times.0,
                duration_us: times.1,
                statements,
                warnings: times.2,
            })
        },
    )
}

fn admin() -> impl Strategy<Value = Entry<'static>> {
    let counts = (any::<u64>(), any::<u64>(), any::<Option<[u8; 32]>>());
    (
        any::<u64>(),
        select(AdminAction::ALL),
        word(),
        word(),
        counts,
    )
        .prop_map(
            |(at_us, action, actor, detail, (generation, count, config_hash))| {
                Entry::Admin(Admin {
                    at_us,
                    action,
                    actor,
                    detail,
                    generation,
                    config_hash,
                    count,
                })
            },
        )
}

fn epoch() -> impl Strategy<Value = Entry<'static>> {
    (any::<u16>(), any::<u64>()).prop_map(|(node, at_us)| Entry::Epoch(Epoch { node, at_us }))
}

/// Any entry of any kind.
pub(crate) fn entry() -> impl Strategy<Value = Entry<'static>> {
    prop_oneof![
        epoch(),
        start(),
        authenticated(),
        context(),
        end(),
        shape(),
        intent(),
        outcome(),
        admin()
    ]
}

pub(crate) fn encoded(entry: &Entry<'_>) -> Vec<u8> {
    let mut room = vec![0; 64 * 1024];
    let mut writer = Writer::new(&mut room);
    entry.encode(&mut writer);
    let length = writer.finish().unwrap();
    room.truncate(length);
    room
}

fn decodes_to(bytes: &[u8], entry: &Entry<'_>) -> bool {
    match Entry::decode(entry.kind(), bytes) {
        Ok(decoded) => encoded(&decoded) == bytes && decoded == *entry,
        Err(_) => false,
    }
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(entry in entry()) {
        let bytes = encoded(&entry);
        prop_assert!(decodes_to(&bytes, &entry));
    }

    #[test]
    fn a_cut_entry_is_an_error(entry in entry(), cut: prop::sample::Index) {
        let bytes = encoded(&entry);
        let cut = cut.index(bytes.len());
        prop_assert!(Entry::decode(entry.kind(), &bytes[..cut]).is_err());
    }

    #[test]
    fn any_bytes_decode_or_fail(kind: u8, bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(entry) = Entry::decode(kind, &bytes) {
            prop_assert_eq!(encoded(&entry), bytes);
        }
    }

    #[test]
    fn a_bent_entry_decodes_or_fails(entry in entry(), at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = encoded(&entry);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(!decodes_to(&bytes, &entry));
    }
}
