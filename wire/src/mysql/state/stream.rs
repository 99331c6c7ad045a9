//! Bytes of a message whose front has been dealt with: they pass, or are thrown away, as they come.

use crate::error::{Error, Misbehaviour};
use crate::mysql::packet::{self, HEADER, Packet};
use crate::mysql::response::Way;
use crate::mysql::state::Step;
use crate::pipe::Pipe;
use crate::session::Leg;

/// What is to come of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mysql) struct Rest {
    pub(in crate::mysql) way: Way,
    /// So many bytes of the packet.
    pub(in crate::mysql) left: usize,
    /// Whether another packet goes on with it.
    pub(in crate::mysql) goes_on: bool,
}

impl Rest {
    /// What is to come of a packet, of which `dealt` bytes are dealt with; none if that is nothing.
    pub(in crate::mysql) fn of(packet: Packet, dealt: usize, way: Way) -> Option<Self> {
        let rest = Self {
            way,
            left: packet.total().saturating_sub(dealt),
            goes_on: packet.goes_on(),
        };
        (rest.left > 0 || rest.goes_on).then_some(rest)
    }
}

/// Moves what is there of `rest`; `numbers` are the next ones of the leg that is read and of the other. Tells
/// how many bytes of payload a further packet has announced.
pub(super) fn stream(
    pipe: &mut Pipe,
    rest: &mut Option<Rest>,
    (from, to): (&mut u8, &mut u8),
    peer: Leg,
) -> Result<(Step, usize), Error> {
    let Some(now) = *rest else {
        return Ok((Step::Continue, 0));
    };
    let there = pipe.unjudged().len();
    if now.left > 0 {
        if there == 0 {
            return Ok((Step::Stop, 0));
        }
        let n = there.min(now.left);
        match now.way {
            Way::Pass => pipe.pass(n),
            Way::Discard => pipe.swallow(n),
        }
        let left = now.left.saturating_sub(n);
        *rest = (left > 0 || now.goes_on).then_some(Rest { left, ..now });
        return Ok((Step::Continue, 0));
    }
    let Some(packet) = packet::peek(pipe.unjudged()) else {
        return Ok((Step::Stop, 0));
    };
    if packet.seq != *from {
        return Err(Error::PeerMisbehaved {
            peer,
            what: Misbehaviour::Sequence,
        });
    }
    *from = from.wrapping_add(1);
    match now.way {
        Way::Pass => {
            pipe.overwrite(3, &[*to]);
            *to = to.wrapping_add(1);
            pipe.pass(HEADER);
        }
        Way::Discard => pipe.swallow(HEADER),
    }
    *rest = Rest::of(packet, HEADER, now.way);
    Ok((Step::Continue, packet.length))
}
