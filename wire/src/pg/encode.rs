//! Messages as bytes: the few that the core itself sends, and the others for those who test it.

use crate::sqlstate::SqlState;

/// The request for TLS.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// The request for GSSAPI encryption.
pub const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];
/// The client's goodbye.
pub const TERMINATE: [u8; 5] = *b"X\0\0\0\x04";
/// The end of a batch.
pub const SYNC: [u8; 5] = *b"S\0\0\0\x04";
/// The wish to have the answers so far.
pub const FLUSH: [u8; 5] = *b"H\0\0\0\x04";
/// The end of COPY data.
pub const COPY_DONE: [u8; 5] = *b"c\0\0\0\x04";

/// Puts a header before a body. Bodies longer than a message can be are cut off.
#[must_use]
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let body = body.get(..0x3fff_ffff).unwrap_or(body);
    let length = u32::try_from(body.len()).unwrap_or(0).saturating_add(4);
    let mut out = Vec::with_capacity(body.len().saturating_add(5));
    out.push(tag);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// A client's first message, of protocol version `major.minor`.
#[must_use]
pub fn startup(protocol: (u16, u16), parameters: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in parameters {
        cstr(&mut body, name);
        cstr(&mut body, value);
    }
    body.push(0);
    let length = u32::try_from(body.len()).unwrap_or(0).saturating_add(8);
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(&protocol.0.to_be_bytes());
    out.extend_from_slice(&protocol.1.to_be_bytes());
    out.extend_from_slice(&body);
    out
}

/// A request to cancel what the process `pid` runs.
#[must_use]
pub fn cancel_request(pid: u32, key: &[u8]) -> Vec<u8> {
    let length = u32::try_from(key.len()).unwrap_or(0).saturating_add(12);
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(&80_877_102_u32.to_be_bytes());
    out.extend_from_slice(&pid.to_be_bytes());
    out.extend_from_slice(key);
    out
}

/// A simple query.
#[must_use]
pub fn query(text: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(text.len().saturating_add(1));
    cstr(&mut body, text);
    message(b'Q', &body)
}

/// A statement to be prepared.
#[must_use]
pub fn parse(name: &[u8], text: &[u8], types: &[u32]) -> Vec<u8> {
    let mut body = Vec::new();
    cstr(&mut body, name);
    cstr(&mut body, text);
    count(&mut body, types.len());
    for oid in types {
        body.extend_from_slice(&oid.to_be_bytes());
    }
    message(b'P', &body)
}

/// A prepared statement to be bound to parameters; results are wanted as text.
#[must_use]
pub fn bind(portal: &[u8], name: &[u8], formats: &[u16], parameters: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = Vec::new();
    cstr(&mut body, portal);
    cstr(&mut body, name);
    values(&mut body, formats, parameters);
    count(&mut body, 0);
    message(b'B', &body)
}

/// A statement (`S`) or portal (`P`) to be described.
#[must_use]
pub fn describe(kind: u8, name: &[u8]) -> Vec<u8> {
    let mut body = vec![kind];
    cstr(&mut body, name);
    message(b'D', &body)
}

/// A statement (`S`) or portal (`P`) to be closed.
#[must_use]
pub fn close(kind: u8, name: &[u8]) -> Vec<u8> {
    let mut body = vec![kind];
    cstr(&mut body, name);
    message(b'C', &body)
}

/// A portal to be executed.
#[must_use]
pub fn execute(portal: &[u8], max_rows: u32) -> Vec<u8> {
    let mut body = Vec::new();
    cstr(&mut body, portal);
    body.extend_from_slice(&max_rows.to_be_bytes());
    message(b'E', &body)
}

/// A function to be called; the result is wanted as text.
#[must_use]
pub fn function_call(oid: u32, formats: &[u16], arguments: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = oid.to_be_bytes().to_vec();
    values(&mut body, formats, arguments);
    count(&mut body, 0);
    message(b'F', &body)
}

/// The end of COPY data by an error.
#[must_use]
pub fn copy_fail(reason: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    cstr(&mut body, reason);
    message(b'f', &body)
}

/// A client's choice of SASL mechanism, with its first data.
#[must_use]
pub fn sasl_initial_response(mechanism: &[u8], data: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    cstr(&mut body, mechanism);
    body.extend_from_slice(&u32::try_from(data.len()).unwrap_or(0).to_be_bytes());
    body.extend_from_slice(data);
    message(b'p', &body)
}

/// An ErrorResponse; `fields` are added behind severity and code, empty ones are left out.
#[must_use]
pub fn error_response(severity: &str, sqlstate: SqlState, fields: &[(u8, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    let fixed = [
        (b'S', severity),
        (b'V', severity),
        (b'C', sqlstate.as_str()),
    ];
    for (field, value) in fixed.iter().chain(fields) {
        if !value.is_empty() {
            body.push(*field);
            cstr(&mut body, value.as_bytes());
        }
    }
    body.push(0);
    message(b'E', &body)
}

fn cstr(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().filter(|&&byte| byte != 0));
    out.push(0);
}

fn count(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes());
}

fn values(out: &mut Vec<u8>, formats: &[u16], values: &[Option<&[u8]>]) {
    count(out, formats.len());
    for format in formats {
        out.extend_from_slice(&format.to_be_bytes());
    }
    count(out, values.len());
    for value in values {
        match value {
            None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
            Some(value) => {
                out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(0).to_be_bytes());
                out.extend_from_slice(value);
            }
        }
    }
}
