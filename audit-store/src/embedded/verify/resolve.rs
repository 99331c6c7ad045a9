//! Sessions and texts from before the oldest day that is kept: as they are stored, to be held against what was signed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use sqlward_policy::vocabulary::Dialect;

use super::{Packed, Verifier};
use crate::chain::Hash;
use crate::embedded::context::{Aside, AsideKind, AsideText, Context};
use crate::embedded::day::SpeakerIds;
use crate::embedded::error::StoreError;
use crate::embedded::flat;
use crate::event::{Seq, row_key};
use crate::record::{EndUserSource, Text, Trust};
use crate::ship::subject::{KnownEndUser, Speaker, Who};
use crate::time::Day;

/// Which unknown texts are taken as they are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Texts {
    /// All that are stored.
    Stored,
    /// None: they were forgotten already when the block was made.
    Forgotten,
}

impl Packed {
    /// Whether something of it must be taken as it is stored.
    pub(super) fn is_vague(&self) -> bool {
        let unknown = |speaker: &Arc<Speaker>| speaker.who.started_us.is_none();
        let vague = |aside: &Aside| {
            unknown(&aside.speaker) || matches!(aside.text, AsideText::Missing(Some(_)))
        };
        !self.missing.is_empty()
            || self.speakers.iter().any(unknown)
            || self.aside.iter().any(vague)
    }
}

impl Verifier<'_> {
    /// Whether the context of a block, completed by what is stored, is the one that was signed; what differs if not.
    pub(super) fn resolve(
        &self,
        packed: &Packed,
        day: Day,
        signed: &Hash,
    ) -> Result<Option<&'static str>, StoreError> {
        let Some((path, connection)) = self.days.get(&day) else {
            return Ok(None);
        };
        let compare = || {
            for texts in [Texts::Stored, Texts::Forgotten] {
                let (context, filter) = resolve(connection, packed, texts)?;
                if context == *signed {
                    let stored: Vec<u8> = connection
                        .prepare_cached("SELECT grams FROM block WHERE id = ?")?
                        .query_row([packed.id()], |row| row.get(0))?;
                    let same = filter.is_none_or(|filter| filter == stored);
                    return Ok((!same).then_some("the filter of its texts"));
                }
            }
            Ok(Some("who speaks in it, or an earlier text that it uses"))
        };
        compare().map_err(StoreError::sqlite(path))
    }
}

/// The context, and the filter where texts were missing from it.
fn resolve(
    connection: &Connection,
    packed: &Packed,
    texts: Texts,
) -> rusqlite::Result<(Hash, Option<Vec<u8>>)> {
    let stored: Vec<u8> = connection
        .prepare_cached("SELECT speakers FROM block WHERE id = ?")?
        .query_row([packed.id()], |row| row.get(0))?;
    let ids = SpeakerIds::read(&stored).unwrap_or_default();
    let mut speakers = packed.speakers.clone();
    for (speaker, ids) in speakers.iter_mut().zip(&ids) {
        fill(connection, speaker, ids)?;
    }
    let text = |seq: Seq| -> rusqlite::Result<Option<Arc<[u8]>>> {
        if texts == Texts::Forgotten {
            return Ok(None);
        }
        connection
            .prepare_cached("SELECT intent FROM prepared WHERE id = ?")?
            .query_row([row_key(packed.lane, seq)], |row| row.get(0))
            .optional()
    };
    let mut prepared = packed.prepared.clone();
    let mut grams = packed.known_grams.clone();
    let mut all = true;
    for seq in &packed.missing {
        let Some(payload) = text(*seq)?.filter(|_| *seq < packed.first) else {
            all = false;
            continue;
        };
        if let (Some(grams), Ok(intent)) = (&mut grams, flat::intent(&payload))
            && let Text::Sent { bytes, .. } = intent.text
        {
            grams.add(bytes);
        }
        prepared.insert(*seq, payload);
    }
    let filter = grams.map(|grams| if all { grams.folded() } else { Vec::new() });
    let mut aside = packed.aside.clone();
    for aside in &mut aside {
        if aside.speaker.who.started_us.is_none()
            && let Some(ids) = aside_ids(connection, aside)?
        {
            fill(connection, &mut aside.speaker, &ids)?;
        }
        if let AsideText::Missing(Some(seq)) = aside.text
            && let Some(payload) = text(seq)?
        {
            aside.text = AsideText::Of(seq, payload);
        }
    }
    let context = Context {
        first: packed.first,
        speakers: &speakers,
        prepared: &prepared,
        aside: &aside,
    };
    Ok((context.digest(), filter))
}

/// Takes a speaker whose session's beginning is not known as it is stored.
fn fill(
    connection: &Connection,
    speaker: &mut Arc<Speaker>,
    ids: &SpeakerIds,
) -> rusqlite::Result<()> {
    if speaker.who.started_us.is_none()
        && let Some(stored) = stored_speaker(connection, ids)?
    {
        *speaker = Arc::new(stored);
    }
    Ok(())
}

fn aside_ids(connection: &Connection, aside: &Aside) -> rusqlite::Result<Option<SpeakerIds>> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(SpeakerIds {
            who: row.get(0)?,
            role: row.get(1)?,
            end_user: row.get(2)?,
            source: row.get(3)?,
            trust: row.get(4)?,
        })
    };
    const IDS: &str = "SELECT who, role, end_user, end_user_source, end_user_trust FROM";
    match aside.kind {
        AsideKind::Statement => connection
            .prepare_cached(&format!("{IDS} carried WHERE id = ?"))?
            .query_row([aside.key], read),
        AsideKind::Event(step) => connection
            .prepare_cached(&format!("{IDS} session_event WHERE id = ? AND step = ?"))?
            .query_row(params![aside.key, step], read),
    }
    .optional()
}

fn stored_speaker(connection: &Connection, ids: &SpeakerIds) -> rusqlite::Result<Option<Speaker>> {
    let name = |id: Option<i64>| -> rusqlite::Result<Option<String>> {
        let Some(id) = id else { return Ok(None) };
        connection
            .prepare_cached("SELECT value FROM name WHERE id = ?")?
            .query_row([id], |row| row.get(0))
            .optional()
    };
    let who = connection
        .prepare_cached(
            "SELECT node, session, started_us, user, database, application, client, port, listener,
                upstream, dialect, tls_version, tls_identity, method, backend_pid, protocol
             FROM who WHERE id = ?",
        )?
        .query_row([ids.who], |row| {
            let client: Option<IpAddr> = row
                .get::<_, Option<String>>(6)?
                .and_then(|client| client.parse().ok());
            let port: Option<u16> = row.get(7)?;
            let dialect: Option<String> = row.get(10)?;
            Ok(Who {
                node: row.get(0)?,
                session: row.get::<_, i64>(1)? as u64,
                started_us: row.get::<_, Option<i64>>(2)?.map(|us| us as u64),
                user: name(row.get(3)?)?,
                database: name(row.get(4)?)?,
                application: name(row.get(5)?)?,
                client: client.zip(port).map(SocketAddr::from),
                listener: name(row.get(8)?)?,
                upstream: name(row.get(9)?)?,
                dialect: dialect.and_then(|word| {
                    Dialect::ALL
                        .iter()
                        .copied()
                        .find(|known| known.as_str() == word)
                }),
                tls_version: row.get(11)?,
                tls_identity: row.get(12)?,
                method: row.get(13)?,
                backend_pid: row.get(14)?,
                protocol: row.get(15)?,
            })
        })
        .optional()?;
    let Some(who) = who else { return Ok(None) };
    let end_user = name(ids.end_user)?;
    let source = ids.source.and_then(EndUserSource::from_code);
    let trust = ids.trust.and_then(Trust::from_code);
    Ok(Some(Speaker {
        who: Arc::new(who),
        role: name(ids.role)?.map(Arc::from),
        end_user: end_user
            .zip(source.zip(trust))
            .map(|(name, (source, trust))| KnownEndUser {
                name: name.into(),
                source,
                trust,
            }),
    }))
}
