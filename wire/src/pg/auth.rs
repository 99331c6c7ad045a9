//! Authentication as it passes by: what the server asks, whether the client may answer.

use crate::cursor::{Cursor, CursorError};
use crate::error::{Error, Misbehaviour, Unsupported};
use crate::pg::encode;
use crate::pg::settings::ChannelBinding;
use crate::session::{AuthMethod, Leg};

/// What becomes of a client's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It goes to the server as it is.
    Pass,
    /// The server would take it for the sign of a downgrade: the client could bind the channel, but
    /// was not offered to.
    ExpectsBinding,
}

/// The state of an authentication exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Auth {
    method: AuthMethod,
    reply: Reply,
    /// Whether the server offered SCRAM-SHA-256-PLUS and it was taken out.
    stripped: bool,
}

/// What the client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    NotAsked,
    Response,
    SaslInitialResponse,
}

/// What becomes of a server's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// It goes to the client as it is.
    Pass,
    /// The client gets this in its place.
    Replace(Vec<u8>),
    /// The client is in.
    Accepted(AuthMethod),
}

const PLUS: &[u8] = b"SCRAM-SHA-256-PLUS";

impl Auth {
    pub(crate) fn new() -> Self {
        Self {
            method: AuthMethod::Trust,
            reply: Reply::NotAsked,
            stripped: false,
        }
    }

    /// Takes in the body of an Authentication message.
    pub(crate) fn request(
        &mut self,
        body: &[u8],
        binding: ChannelBinding,
    ) -> Result<Request, Error> {
        let mut cursor = Cursor::new(body);
        let malformed = Error::PeerMisbehaved {
            peer: Leg::Server,
            what: Misbehaviour::Layout(b'R'),
        };
        let code = cursor.u32().map_err(|_| malformed)?;
        let data = cursor.rest();
        self.reply = Reply::Response;
        match (code, data.len()) {
            (0, 0) => {
                self.reply = Reply::NotAsked;
                return Ok(Request::Accepted(self.method.clone()));
            }
            (3, 0) => self.method = AuthMethod::Cleartext,
            (5, 4) => self.method = AuthMethod::Md5,
            (7, 0) => self.method = AuthMethod::Gss,
            (9, 0) => self.method = AuthMethod::Sspi,
            (8 | 11, _) => {}
            (12, _) => self.reply = Reply::NotAsked,
            (10, _) => {
                self.method = AuthMethod::Sasl;
                self.reply = Reply::SaslInitialResponse;
                return match binding {
                    ChannelBinding::Offer => Ok(Request::Pass),
                    ChannelBinding::Strip => self.strip(data).map_err(|_| malformed)?,
                };
            }
            _ => return Err(malformed),
        }
        Ok(Request::Pass)
    }

    /// Tells whether the server waits for the client.
    pub(crate) fn is_asked(&self) -> bool {
        self.reply != Reply::NotAsked
    }

    /// Takes in the body of a client's answer. Of secrets it reads two bytes: the channel binding flag.
    pub(crate) fn response(&mut self, body: &[u8]) -> Result<Answer, Error> {
        let reply = std::mem::replace(&mut self.reply, Reply::NotAsked);
        let wrong = |what| Error::PeerMisbehaved {
            peer: Leg::Client,
            what,
        };
        match reply {
            Reply::NotAsked => Err(wrong(Misbehaviour::OutOfPlace(b'p'))),
            Reply::Response => Ok(Answer::Pass),
            Reply::SaslInitialResponse => {
                let (mechanism, flag) =
                    initial(body).map_err(|_| wrong(Misbehaviour::Layout(b'p')))?;
                self.method = match mechanism {
                    b"SCRAM-SHA-256" => AuthMethod::ScramSha256,
                    PLUS => AuthMethod::ScramSha256Plus,
                    _ => AuthMethod::Sasl,
                };
                if self.stripped && flag == b"y," {
                    return Ok(Answer::ExpectsBinding);
                }
                Ok(Answer::Pass)
            }
        }
    }

    /// Takes note that another connection made the offer that the client has had, as its own.
    pub(crate) fn offered_again(&mut self) {
        self.reply = Reply::SaslInitialResponse;
        self.stripped = false;
    }

    fn strip(&mut self, data: &[u8]) -> Result<Result<Request, Error>, CursorError> {
        let mut cursor = Cursor::new(data);
        let mut body = 10_u32.to_be_bytes().to_vec();
        let mut left = false;
        loop {
            match cursor.cstr()? {
                [] => break,
                PLUS => self.stripped = true,
                mechanism => {
                    left = true;
                    body.extend_from_slice(mechanism);
                    body.push(0);
                }
            }
        }
        cursor.finish()?;
        body.push(0);
        Ok(match (self.stripped, left) {
            (false, _) => Ok(Request::Pass),
            (true, true) => Ok(Request::Replace(encode::message(b'R', &body))),
            (true, false) => Err(Error::Unsupported(Unsupported::OnlyChannelBinding)),
        })
    }
}

fn initial(body: &[u8]) -> Result<(&[u8], &[u8]), CursorError> {
    let mut cursor = Cursor::new(body);
    let mechanism = cursor.cstr()?;
    let data = cursor.value()?;
    cursor.finish()?;
    Ok((
        mechanism,
        data.and_then(|data| data.get(..2)).unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";

    fn answer(data: &[u8]) -> Vec<u8> {
        encode::sasl_initial_response(b"SCRAM-SHA-256", data)[5..].to_vec()
    }

    #[test]
    fn takes_channel_binding_out_of_the_offer() {
        let mut auth = Auth::new();
        let request = auth.request(BOTH, ChannelBinding::Strip).unwrap();
        assert_eq!(
            request,
            Request::Replace(encode::message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"))
        );
        auth.response(&answer(b"n,,n=,r=x")).unwrap();
        let accepted = auth.request(b"\0\0\0\0", ChannelBinding::Strip).unwrap();
        assert_eq!(accepted, Request::Accepted(AuthMethod::ScramSha256));
    }

    #[test]
    fn leaves_the_offer_alone_when_told_so_or_when_there_is_none() {
        let mut auth = Auth::new();
        assert_eq!(
            auth.request(BOTH, ChannelBinding::Offer).unwrap(),
            Request::Pass
        );
        auth.response(&answer(b"y,,n=,r=x")).unwrap();
        let mut auth = Auth::new();
        let body = b"\0\0\0\x0aSCRAM-SHA-256\0\0";
        assert_eq!(
            auth.request(body, ChannelBinding::Strip).unwrap(),
            Request::Pass
        );
        auth.response(&answer(b"y,,n=,r=x")).unwrap();
    }

    #[test]
    fn sees_the_downgrade_that_the_server_would_see() {
        let mut auth = Auth::new();
        auth.request(BOTH, ChannelBinding::Strip).unwrap();
        let flagged = answer(b"y,,n=,r=x");
        assert_eq!(auth.response(&flagged).unwrap(), Answer::ExpectsBinding);
        auth.offered_again();
        assert_eq!(auth.response(&flagged).unwrap(), Answer::Pass);
        let mut auth = Auth::new();
        let error = auth
            .request(b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0", ChannelBinding::Strip)
            .unwrap_err();
        assert_eq!(error, Error::Unsupported(Unsupported::OnlyChannelBinding));
    }

    #[test]
    fn one_answer_for_each_request() {
        let mut auth = Auth::new();
        assert!(auth.response(b"x\0").is_err());
        auth.request(b"\0\0\0\x03", ChannelBinding::Strip).unwrap();
        auth.response(b"x\0").unwrap();
        assert!(auth.response(b"x\0").is_err());
        auth.request(b"\0\0\0\x0cv=x", ChannelBinding::Strip)
            .unwrap();
        assert!(!auth.is_asked());
    }

    #[test]
    fn refuses_what_is_no_request() {
        for body in [
            &b"\0\0\0\x02"[..],
            b"\0\0\0\x05xyz",
            b"\0\0\0\x0aSCRAM",
            b"\0\0\0\x0ax\0\0y",
        ] {
            assert!(
                Auth::new().request(body, ChannelBinding::Strip).is_err(),
                "{body:?}"
            );
        }
    }
}
