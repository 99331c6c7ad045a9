//! Whether a client's bytes are messages, for those who test what is forwarded.

use crate::pg::frame;
use crate::pg::frontend::{self, Frontend};
use crate::pg::startup;

/// Tells whether the bytes are a startup and whole, well-formed messages behind it. COPY data and
/// the answers of an authentication may be cut off at the end.
#[must_use]
pub fn is_well_formed(bytes: &[u8]) -> bool {
    if bytes.is_empty() {
        return true;
    }
    let Ok(Some(length)) = startup::length(bytes) else {
        return false;
    };
    let Some((packet, mut rest)) = bytes.split_at_checked(length) else {
        return false;
    };
    if startup::packet(packet).is_err() {
        return false;
    }
    while !rest.is_empty() {
        match message(rest) {
            Some(tail) => rest = tail,
            None => return false,
        }
    }
    true
}

fn message(bytes: &[u8]) -> Option<&[u8]> {
    let frame = frame::peek(bytes)?;
    let message = Frontend::from_tag(frame.tag)?;
    let length = message.check_length(frame.body).ok()?;
    let total = frame::total(length);
    if message == Frontend::CopyData {
        return Some(bytes.get(total..).unwrap_or_default());
    }
    let (whole, tail) = bytes.split_at_checked(total)?;
    let body = frame::body(whole, total);
    let good = match message {
        Frontend::Query | Frontend::CopyFail => frontend::text(body).is_ok(),
        Frontend::Parse => frontend::parse(body).is_ok(),
        Frontend::Bind => frontend::bind(body).is_ok(),
        Frontend::Execute => frontend::execute(body).is_ok(),
        Frontend::FunctionCall => frontend::function_call(body).is_ok(),
        Frontend::Describe | Frontend::Close => frontend::target(body).is_ok(),
        Frontend::CopyDone
        | Frontend::Flush
        | Frontend::Sync
        | Frontend::Terminate
        | Frontend::Password => true,
        Frontend::CopyData => false,
    };
    good.then_some(tail)
}
