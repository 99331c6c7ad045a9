//! What is known of a session, owned: it outlives the segments it was read from.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use sqlward_policy::vocabulary::Dialect;

use crate::chain::short_digest;
use crate::event::{Seq, SessionId};
use crate::record::{
    Context, EndUser, EndUserSource, SessionAuthenticated, SessionStart, Subject, Tls, Trust,
};

/// Who speaks in a session, and from where: one row of a day file's `who` table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) node: u16,
    pub(crate) session: u64,
    pub(crate) started_us: Option<u64>,
    pub(crate) user: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) application: Option<String>,
    pub(crate) client: Option<SocketAddr>,
    pub(crate) listener: Option<String>,
    pub(crate) upstream: Option<String>,
    pub(crate) dialect: Option<Dialect>,
    pub(crate) tls_version: Option<String>,
    pub(crate) tls_identity: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) backend_pid: Option<u32>,
    pub(crate) protocol: Option<String>,
}

impl Who {
    /// Nobody known.
    pub(crate) fn unknown(node: u16, session: SessionId) -> Self {
        Self {
            node,
            session: session.0,
            ..Self::default()
        }
    }

    /// Tells equal subjects from others.
    pub(crate) fn digest(&self) -> [u8; 16] {
        // Debug output quotes every string, so that no two different subjects print alike.
        short_digest(format!("{self:?}").as_bytes())
    }

    pub(crate) fn start(&mut self, start: &SessionStart<'_>) {
        self.started_us = Some(start.at_us);
        self.client = Some(start.client);
        self.listener = Some(start.listener.to_owned());
        self.upstream = Some(start.upstream.to_owned());
        self.dialect = Some(start.dialect);
        self.secure(start.tls);
    }

    pub(crate) fn authenticate(&mut self, done: &SessionAuthenticated<'_>) {
        self.claim(&done.subject);
        self.method = Some(done.method.to_owned());
        self.backend_pid = done.backend_pid;
        self.protocol = Some(done.protocol.to_owned());
        self.secure(done.tls);
    }

    pub(crate) fn claim(&mut self, subject: &Subject<'_>) {
        self.user = Some(subject.user.to_owned());
        self.database = Some(subject.database.to_owned());
        self.application = Some(subject.application.to_owned());
    }

    fn secure(&mut self, tls: Option<Tls<'_>>) {
        if let Some(tls) = tls {
            self.tls_version = Some(tls.version.to_owned());
            self.tls_identity = tls.identity.map(str::to_owned);
        }
    }
}

/// An end user, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownEndUser {
    pub(crate) name: Arc<str>,
    pub(crate) source: EndUserSource,
    pub(crate) trust: Trust,
}

impl From<EndUser<'_>> for KnownEndUser {
    fn from(end_user: EndUser<'_>) -> Self {
        let EndUser {
            name,
            source,
            trust,
        } = end_user;
        Self {
            name: name.into(),
            source,
            trust,
        }
    }
}

impl KnownEndUser {
    fn is(&self, other: &EndUser<'_>) -> bool {
        *self.name == *other.name && self.source == other.source && self.trust == other.trust
    }
}

/// Who speaks, as which role, for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Speaker {
    pub(crate) who: Arc<Who>,
    pub(crate) role: Option<Arc<str>>,
    pub(crate) end_user: Option<KnownEndUser>,
}

impl Speaker {
    /// All that is known, in one string of bytes: no two different speakers have the same.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let who = &*self.who;
        let mut out = Vec::new();
        let mut put = |field: Option<&[u8]>| {
            let length = field.map_or(0, |field| field.len() as u64 + 1);
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(field.unwrap_or_default());
        };
        put(Some(&who.node.to_le_bytes()));
        put(Some(&who.session.to_le_bytes()));
        put(who
            .started_us
            .map(u64::to_le_bytes)
            .as_ref()
            .map(|us| &us[..]));
        let client = who
            .client
            .map(|client| format!("{} {}", client.ip(), client.port()));
        let pid = who.backend_pid.map(u32::to_le_bytes);
        let words = [&who.user, &who.database, &who.application];
        for word in words {
            put(word.as_deref().map(str::as_bytes));
        }
        put(client.as_deref().map(str::as_bytes));
        let words = [&who.listener, &who.upstream];
        for word in words {
            put(word.as_deref().map(str::as_bytes));
        }
        put(who.dialect.map(|dialect| dialect.as_str().as_bytes()));
        let words = [&who.tls_version, &who.tls_identity, &who.method];
        for word in words {
            put(word.as_deref().map(str::as_bytes));
        }
        put(pid.as_ref().map(|pid| &pid[..]));
        put(who.protocol.as_deref().map(str::as_bytes));
        put(self.role.as_deref().map(str::as_bytes));
        let end_user = self.end_user.as_ref();
        put(end_user.map(|end_user| end_user.name.as_bytes()));
        let codes = end_user.map(|end_user| [end_user.source.code(), end_user.trust.code()]);
        put(codes.as_ref().map(|codes| &codes[..]));
        out
    }
}

/// A live session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Replaced, never changed: whoever holds the same `Arc` speaks alike.
    pub(crate) speaker: Arc<Speaker>,
    /// What the latest statement with a role or end user of its own said of these, and who that made speak.
    own: Option<Own>,
    /// The entry that began it.
    pub(crate) started: Option<Seq>,
    /// Entries that restore this after a restart.
    pub(crate) frames: Vec<Seq>,
    /// Those of `frames` that are changes of the subject, in order.
    pub(crate) contexts: Vec<Seq>,
    /// Its intents without an outcome.
    pub(crate) open: BTreeSet<Seq>,
    /// Its prepared texts with a name.
    pub(crate) texts: BTreeSet<Seq>,
    /// How many bytes these take.
    pub(crate) text_bytes: usize,
    /// Its latest texts of the unnamed statement: a new one replaces the others, save for portals over them.
    pub(crate) unnamed: VecDeque<Seq>,
}

#[derive(Clone, Debug)]
struct Own {
    role: Option<Arc<str>>,
    end_user: Option<KnownEndUser>,
    speaker: Arc<Speaker>,
}

impl Session {
    pub(crate) fn new(who: Who) -> Self {
        let speaker = Speaker {
            who: Arc::new(who),
            role: None,
            end_user: None,
        };
        Self {
            speaker: Arc::new(speaker),
            own: None,
            started: None,
            frames: Vec::new(),
            contexts: Vec::new(),
            open: BTreeSet::new(),
            texts: BTreeSet::new(),
            text_bytes: 0,
            unnamed: VecDeque::new(),
        }
    }

    /// Something about the session itself has become known.
    pub(crate) fn learn(&mut self, change: impl FnOnce(&mut Who)) {
        let mut who = Who::clone(&self.speaker.who);
        change(&mut who);
        self.become_speaker(Speaker {
            who: Arc::new(who),
            ..Speaker::clone(&self.speaker)
        });
    }

    pub(crate) fn act_as(&mut self, role: Option<&str>) {
        self.become_speaker(Speaker {
            role: role.map(Arc::from),
            ..Speaker::clone(&self.speaker)
        });
    }

    pub(crate) fn change(&mut self, context: &Context<'_>) {
        let mut who = Who::clone(&self.speaker.who);
        who.claim(&context.subject);
        self.become_speaker(Speaker {
            who: Arc::new(who),
            role: context.role.map(Arc::from),
            end_user: context.end_user.map(KnownEndUser::from),
        });
    }

    fn become_speaker(&mut self, speaker: Speaker) {
        self.speaker = Arc::new(speaker);
        self.own = None;
    }

    /// Who speaks in a statement, which may name a role or an end user of its own.
    pub(crate) fn speaks(
        &mut self,
        role: Option<&str>,
        end_user: Option<EndUser<'_>>,
    ) -> Arc<Speaker> {
        if role.is_none() && end_user.is_none() {
            return Arc::clone(&self.speaker);
        }
        let alike = |own: &&Own| {
            own.role.as_deref() == role
                && match (&own.end_user, &end_user) {
                    (None, None) => true,
                    (Some(own), Some(other)) => own.is(other),
                    (None, Some(_)) | (Some(_), None) => false,
                }
        };
        if let Some(own) = self.own.as_ref().filter(alike) {
            return Arc::clone(&own.speaker);
        }
        let (role, end_user) = (role.map(Arc::from), end_user.map(KnownEndUser::from));
        let speaker = Arc::new(Speaker {
            who: Arc::clone(&self.speaker.who),
            role: role.clone().or_else(|| self.speaker.role.clone()),
            end_user: end_user.clone().or_else(|| self.speaker.end_user.clone()),
        });
        self.own = Some(Own {
            role,
            end_user,
            speaker: Arc::clone(&speaker),
        });
        speaker
    }
}
