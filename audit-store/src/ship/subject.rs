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

/// A live session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) who: Arc<Who>,
    pub(crate) role: Option<Arc<str>>,
    pub(crate) end_user: Option<KnownEndUser>,
    /// The first entry that spoke of it.
    pub(crate) first: Seq,
    /// Entries that restore this after a restart.
    pub(crate) frames: Vec<Seq>,
    /// Those of `frames` that are changes of the subject, in order.
    pub(crate) contexts: Vec<Seq>,
    /// Its intents without an outcome.
    pub(crate) open: BTreeSet<Seq>,
    /// Its prepared texts with a name.
    pub(crate) texts: BTreeSet<Seq>,
    /// Its latest texts of the unnamed statement: a new one replaces the others, save for portals over them.
    pub(crate) unnamed: VecDeque<Seq>,
}

impl Session {
    pub(crate) fn new(who: Who, first: Seq) -> Self {
        Self {
            who: Arc::new(who),
            role: None,
            end_user: None,
            first,
            frames: Vec::new(),
            contexts: Vec::new(),
            open: BTreeSet::new(),
            texts: BTreeSet::new(),
            unnamed: VecDeque::new(),
        }
    }

    pub(crate) fn change(&mut self, context: &Context<'_>) {
        Arc::make_mut(&mut self.who).claim(&context.subject);
        self.role = context.role.map(Arc::from);
        self.end_user = context.end_user.map(KnownEndUser::from);
    }
}
