//! The end user behind a statement, as far as somebody tells: statement comments, attributes of connections and queries,
//! `application_name`, a setting.
//!
//! All of these are claims of the application; the record says where each came from.

use std::borrow::Cow;

use sqlward_audit_store::record::{self, EndUserSource, Trust};

/// Longest name that is believed to be one.
const MAX_NAME: usize = 256;

/// What a statement's comment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims<'a> {
    /// The end user.
    pub(crate) end_user: Option<Cow<'a, str>>,
    /// Where it was said.
    pub(crate) source: EndUserSource,
    /// The W3C trace id (32 hexadecimal digits).
    pub(crate) trace: Option<&'a str>,
}

impl Default for Claims<'_> {
    fn default() -> Self {
        Self::of(EndUserSource::Comment)
    }
}

impl<'a> Claims<'a> {
    /// Nothing is said yet at this source.
    pub(crate) const fn of(source: EndUserSource) -> Self {
        Self {
            end_user: None,
            source,
            trace: None,
        }
    }

    /// Take in that `key` is `value`; `keys` are those that name the end user, the first one counts.
    pub(crate) fn take(&mut self, key: &[u8], value: &'a str, keys: &[String]) {
        if key == b"traceparent" {
            self.trace = trace_id(value);
        } else if self.end_user.is_none() && keys.iter().any(|wanted| wanted.as_bytes() == key) {
            self.end_user = name(Cow::Borrowed(value));
        }
    }

    /// What is said here, and where it is silent, in the statement's comment.
    pub(crate) fn or_comment(self, comment: &'a [u8], keys: &[String]) -> Self {
        if comment.is_empty() {
            return self;
        }
        let said = claims(comment, keys);
        Self {
            trace: self.trace.or(said.trace),
            ..if self.end_user.is_some() { self } else { said }
        }
    }
}

/// The end user in a connection attribute's value.
pub(crate) fn name_in(value: &[u8]) -> Option<String> {
    let value = std::str::from_utf8(value).ok()?;
    name(Cow::Borrowed(value)).map(Cow::into_owned)
}

/// Read a sqlcommenter (`/*key='value',…*/`) or marginalia (`/*key:value,…*/`) comment.
pub(crate) fn claims<'a>(comment: &'a [u8], keys: &[String]) -> Claims<'a> {
    let mut claims = Claims::default();
    let Ok(comment) = std::str::from_utf8(comment) else {
        return claims;
    };
    let inner = comment.trim_start_matches("/*").trim_end_matches("*/");
    for pair in inner.split(',') {
        let Some((key, value)) = pair.split_once(['=', ':']) else {
            continue;
        };
        let key = key.trim();
        let value = value.trim();
        let value = value.strip_prefix('\'').unwrap_or(value);
        let value = value.strip_suffix('\'').unwrap_or(value);
        if key == "traceparent" {
            claims.trace = trace_id(value);
        } else if claims.end_user.is_none() && keys.iter().any(|wanted| wanted == key) {
            claims.end_user = name(percent_decoded(value));
        }
    }
    claims
}

/// The end user in an `application_name` such as `billing;end_user=alice`.
pub(crate) fn in_application_name(application: &str) -> Option<&str> {
    let (_, rest) = application.split_once("end_user=")?;
    let end = rest.find([';', ',', ')', ' ']).unwrap_or(rest.len());
    rest.get(..end)
        .filter(|name| !name.is_empty() && name.len() <= MAX_NAME)
}

/// An end user as the record keeps it; nothing here is more than the application's claim.
pub(crate) fn claimed(name: &str, source: EndUserSource) -> record::EndUser<'_> {
    record::EndUser {
        name,
        source,
        trust: Trust::Claimed,
    }
}

/// The trace id of a `traceparent` (W3C Trace Context: version-trace-parent-flags).
fn trace_id(value: &str) -> Option<&str> {
    let id = value.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

fn name(value: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (!value.is_empty() && value.len() <= MAX_NAME).then_some(value)
}

fn percent_decoded(value: &str) -> Cow<'_, str> {
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        match (
            byte,
            ahead.next().and_then(digit),
            ahead.next().and_then(digit),
        ) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                bytes = ahead;
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).map_or(Cow::Borrowed(value), Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<String> {
        vec!["end_user".into(), "user".into()]
    }

    #[test]
    fn sqlcommenter() {
        let comment = b"/*action='%2Fpay',end_user='li%20lei',traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/";
        let claims = claims(comment, &keys());
        assert_eq!(claims.end_user.as_deref(), Some("li lei"));
        assert_eq!(claims.trace, Some("0af7651916cd43dd8448eb211c80319c"));
    }

    #[test]
    fn marginalia() {
        let claims = claims(b"/*application:Bank,user:alice,action:show*/", &keys());
        assert_eq!(claims.end_user.as_deref(), Some("alice"));
    }

    #[test]
    fn nonsense_claims_nothing() {
        for comment in [
            &b"/**/"[..],
            b"/* user */",
            b"/*user=''*/",
            b"/*\xff=1*/",
            b"/*%zz='%'*/",
            b"*/",
        ] {
            assert_eq!(claims(comment, &keys()), Claims::default(), "{comment:?}");
        }
    }

    #[test]
    fn application_names() {
        assert_eq!(in_application_name("billing;end_user=alice"), Some("alice"));
        assert_eq!(in_application_name("app (end_user=bob)"), Some("bob"));
        assert_eq!(in_application_name("pgAdmin 4 - DB:postgres"), None);
        assert_eq!(in_application_name("x end_user="), None);
    }
}
