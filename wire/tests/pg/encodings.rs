//! What is encoded is what is read.

use proptest::prelude::*;
use sqlward_wire::pg::{Format, Held, Session, SqlState, encode};
use sqlward_wire::{Event, Pipe, Verdict};

use crate::support::*;

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1_u8..=255, 0..20)
}

fn values() -> impl Strategy<Value = (Vec<u16>, Vec<Option<Vec<u8>>>)> {
    prop::collection::vec(
        prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
        0..6,
    )
    .prop_flat_map(|values| {
        let n = values.len();
        let formats = prop_oneof![
            Just(vec![]),
            prop::collection::vec(0_u16..3, 1),
            prop::collection::vec(0_u16..3, n),
        ];
        (formats, Just(values))
    })
}

/// A session that holds the message.
fn hold(message: &[u8]) -> Session<Permit, Tag> {
    let mut session = Wire::ready().session;
    read(&mut session.client, message);
    session.handle(Event::ClientBytes(message.len()), 0);
    session
}

fn read(pipe: &mut Pipe, bytes: &[u8]) {
    pipe.space()[..bytes.len()].copy_from_slice(bytes);
}

fn format_of(formats: &[u16], index: usize) -> Format {
    match formats {
        [] => Format::Text,
        [one] => Format::from(*one),
        many => Format::from(many[index]),
    }
}

proptest! {
    #[test]
    fn query(sent in name()) {
        let message = encode::query(&sent);
        let mut session = hold(&message);
        let Some(Held::Query { text, .. }) = session.held() else { panic!("not held") };
        prop_assert_eq!(text, &sent[..]);
        session.handle(Event::Verdict(Verdict::Forward { permit: Permit, tag: "t".into() }), 0);
        prop_assert_eq!(session.client.ready(), &message[..]);
    }

    #[test]
    fn parse(sent in name(), said in name(), types in prop::collection::vec(any::<u32>(), 0..5)) {
        let message = encode::parse(&sent, &said, &types);
        let session = hold(&message);
        let Some(Held::Parse { name, text, parameter_types, .. }) = session.held() else {
            panic!("not held")
        };
        prop_assert_eq!((name, text), (&sent[..], &said[..]));
        prop_assert_eq!(parameter_types.len(), types.len());
        prop_assert_eq!(parameter_types.collect::<Vec<_>>(), types);
    }

    #[test]
    fn bind(to in name(), of in name(), (formats, sent) in values()) {
        let borrowed: Vec<_> = sent.iter().map(|value| value.as_deref()).collect();
        let message = encode::bind(&to, &of, &formats, &borrowed);
        let session = hold(&message);
        let Some(Held::Bind { portal, name, prepared: None, parameters }) = session.held() else {
            panic!("not held")
        };
        prop_assert_eq!((portal, name), (&to[..], &of[..]));
        prop_assert_eq!(parameters.len(), sent.len());
        for (index, (format, value)) in parameters.enumerate() {
            prop_assert_eq!(value, borrowed[index]);
            prop_assert_eq!(format, format_of(&formats, index));
        }
    }

    #[test]
    fn execute(to in name(), rows in any::<u32>()) {
        let session = hold(&encode::execute(&to, rows));
        let Some(Held::Execute { portal, max_rows, bound: None, first: true }) = session.held()
        else { panic!("not held") };
        prop_assert_eq!(portal, &to[..]);
        prop_assert_eq!(max_rows, if rows > i32::MAX as u32 { 0 } else { rows });
    }

    #[test]
    fn function_call(function in any::<u32>(), (formats, sent) in values()) {
        let borrowed: Vec<_> = sent.iter().map(|value| value.as_deref()).collect();
        let session = hold(&encode::function_call(function, &formats, &borrowed));
        let Some(Held::FunctionCall { oid, arguments }) = session.held() else {
            panic!("not held")
        };
        prop_assert_eq!(oid, function);
        let read: Vec<_> = arguments.map(|(_, value)| value).collect();
        prop_assert_eq!(read, borrowed);
    }

    #[test]
    fn errors(code in "[0-9A-Z]{5}", message in "[a-z]{1,30}") {
        let code = SqlState::new(code.as_bytes()).unwrap();
        let mut wire = Wire::ready();
        wire.client(&encode::query(b"x"));
        let error = encode::error_response("ERROR", code, &[(b'M', &message)]);
        wire.servers(&[&error, &ready(b'I')]);
        prop_assert_eq!(wire.told()[1].clone(), format!("[x] Failed {code} Idle"));
    }
}
