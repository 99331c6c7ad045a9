//! Entry → bytes. No allocation; the buffer is the journal's own.

use std::net::{IpAddr, SocketAddr};

use super::codec::{Writer, action_code, mode_code, severity_code, unreadable_code};
use super::{
    Admin, Context, EndUser, Entry, Epoch, ErrorCode, Intent, Outcome, Reduction,
    SessionAuthenticated, SessionEnd, SessionStart, Shape, Subject, Text, Tls,
};

impl Entry<'_> {
    /// The code that tells the kinds of entries apart.
    pub(crate) const fn kind(&self) -> u8 {
        match self {
            Entry::Epoch(_) => 1,
            Entry::SessionStart(_) => 2,
            Entry::SessionAuthenticated(_) => 3,
            Entry::Context(_) => 4,
            Entry::SessionEnd(_) => 5,
            Entry::Shape(_) => 6,
            Entry::Intent(_) => 7,
            Entry::Outcome(_) => 8,
            Entry::Admin(_) => 9,
        }
    }

    /// Whether the entry completes something already recorded, so that it may use the reserve.
    pub(crate) const fn completes(&self) -> bool {
        match self {
            Entry::Epoch(_) | Entry::SessionEnd(_) | Entry::Outcome(_) | Entry::Admin(_) => true,
            Entry::SessionStart(_)
            | Entry::SessionAuthenticated(_)
            | Entry::Context(_)
            | Entry::Shape(_)
            | Entry::Intent(_) => false,
        }
    }

    /// Writes the payload.
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Entry::Epoch(epoch) => put_epoch(out, epoch),
            Entry::SessionStart(start) => put_start(out, start),
            Entry::SessionAuthenticated(done) => put_authenticated(out, done),
            Entry::Context(context) => put_context(out, context),
            Entry::SessionEnd(end) => put_end(out, end),
            Entry::Shape(shape) => put_shape(out, shape),
            Entry::Intent(intent) => put_intent(out, intent),
            Entry::Outcome(outcome) => put_outcome(out, outcome),
            Entry::Admin(admin) => put_admin(out, admin),
        }
    }
}

/// Set in the transaction status of an intent that something is left out of: what that is follows.
pub(super) const REDUCED: u8 = 0x80;

fn text(out: &mut Writer<'_>, text: &str) {
    out.bytes(text.as_bytes());
}

fn put_epoch(out: &mut Writer<'_>, epoch: &Epoch) {
    out.var(u64::from(epoch.node));
    out.u64(epoch.at_us);
}

fn put_address(out: &mut Writer<'_>, address: &SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.u8(4);
            out.put(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.u8(6);
            out.put(&ip.octets());
        }
    }
    out.put(&address.port().to_le_bytes());
}

fn put_tls(out: &mut Writer<'_>, tls: Tls<'_>) {
    text(out, tls.version);
    out.option(tls.identity, text);
}

fn put_subject(out: &mut Writer<'_>, subject: &Subject<'_>) {
    text(out, subject.user);
    text(out, subject.database);
    text(out, subject.application);
}

fn put_error(out: &mut Writer<'_>, error: ErrorCode) {
    out.put(&error.sqlstate);
    out.var(u64::from(error.errno));
}

fn put_end_user(out: &mut Writer<'_>, end_user: EndUser<'_>) {
    text(out, end_user.name);
    out.u8(end_user.source.code());
    out.u8(end_user.trust.code());
}

fn put_start(out: &mut Writer<'_>, start: &SessionStart<'_>) {
    out.u64(start.session.0);
    out.u64(start.at_us);
    put_address(out, &start.client);
    text(out, start.listener);
    text(out, start.upstream);
    text(out, start.dialect.as_str());
    out.option(start.tls, put_tls);
}

fn put_authenticated(out: &mut Writer<'_>, done: &SessionAuthenticated<'_>) {
    out.u64(done.session.0);
    out.u64(done.at_us);
    put_subject(out, &done.subject);
    out.option(done.role, text);
    text(out, done.method);
    out.option(done.backend_pid, |out, pid| out.var(u64::from(pid)));
    text(out, done.protocol);
    out.option(done.tls, put_tls);
}

fn put_context(out: &mut Writer<'_>, context: &Context<'_>) {
    out.u64(context.session.0);
    out.u64(context.at_us);
    put_subject(out, &context.subject);
    out.option(context.role, text);
    out.option(context.end_user, put_end_user);
}

fn put_end(out: &mut Writer<'_>, end: &SessionEnd<'_>) {
    out.u64(end.session.0);
    out.u64(end.at_us);
    out.u8(end.cause.code());
    out.option(end.sqlstate, put_error);
    out.option(end.claimed.as_ref(), put_subject);
    out.var(end.client_bytes);
    out.var(end.server_bytes);
}

fn put_shape(out: &mut Writer<'_>, shape: &Shape<'_>) {
    out.put(&shape.key);
    out.put(&shape.fingerprint);
    text(out, shape.normal);
    out.var(u64::from(shape.statements));
    text(out, shape.verb.as_str());
    text(out, shape.class.as_str());
    out.list(&shape.verbs, |out, verb| text(out, verb.as_str()));
    out.list(&shape.objects, |out, object| {
        text(out, object.kind.as_str());
        out.option(object.schema, text);
        text(out, object.name);
        text(out, object.access.as_str());
    });
    out.list(&shape.columns, |out, column| {
        out.option(column.schema, text);
        out.option(column.table, text);
        text(out, column.column);
        text(out, column.usage.as_str());
    });
    out.list(&shape.functions, |out, function| text(out, function));
    out.list(&shape.egress, |out, egress| text(out, egress.as_str()));
    text(out, shape.where_shape.as_str());
    text(out, shape.limit.as_str());
    out.u8(u8::from(shape.dynamic));
}

fn put_intent(out: &mut Writer<'_>, intent: &Intent<'_>) {
    out.u64(intent.session.0);
    out.var(u64::from(intent.number));
    out.u8(intent.kind.code());
    out.option(intent.continues, |out, seq| out.var(seq.0));
    match intent.text {
        Text::None => out.u8(0),
        Text::Sent {
            bytes,
            full_len,
            full_hash,
        } => {
            out.u8(1);
            out.bytes(bytes);
            out.var(full_len);
            out.option(full_hash, |out, hash| out.put(&hash));
        }
        Text::Of(seq) => {
            out.u8(2);
            out.var(seq.0);
        }
    }
    out.option(intent.shape, |out, key| out.put(&key));
    out.list(&intent.parameters, |out, parameter| {
        out.u8(parameter.format.code());
        out.var(u64::from(parameter.type_oid));
        out.option(parameter.value, Writer::bytes);
        out.var(parameter.full_len);
        out.u8(u8::from(parameter.redacted));
    });
    out.bytes(intent.prepared_name);
    out.bytes(intent.portal);
    out.u64(intent.wall_us);
    out.u64(intent.mono_ns);
    out.var(u64::from(intent.transaction));
    if intent.reduction == Reduction::NONE {
        out.u8(intent.status.code());
    } else {
        out.u8(intent.status.code() | REDUCED);
        out.u8(intent.reduction.detail.code());
        out.var(u64::from(intent.reduction.redacted));
    }
    let judgement = &intent.judgement;
    out.u8(action_code(judgement.action));
    out.u8(action_code(judgement.judged));
    out.u8(mode_code(judgement.mode));
    out.list(&judgement.rules, |out, rule| text(out, rule));
    out.option(judgement.severity, |out, severity| {
        out.u8(severity_code(severity))
    });
    out.var(judgement.generation);
    out.option(judgement.unreadable, |out, reason| {
        out.u8(unreadable_code(reason))
    });
    out.option(intent.end_user, put_end_user);
    out.option(intent.role, text);
    out.option(intent.trace, text);
}

fn put_outcome(out: &mut Writer<'_>, outcome: &Outcome) {
    out.var(outcome.intent.0);
    out.u8(outcome.completion.code());
    out.var(outcome.rows);
    out.var(outcome.affected);
    out.var(outcome.bytes);
    out.option(outcome.sqlstate, put_error);
    out.option(outcome.first_byte_us, Writer::var);
    out.var(outcome.duration_us);
    out.var(u64::from(outcome.statements));
    out.var(outcome.warnings);
}

fn put_admin(out: &mut Writer<'_>, admin: &Admin<'_>) {
    out.u64(admin.at_us);
    out.u8(admin.action.code());
    text(out, admin.actor);
    text(out, admin.detail);
    out.var(admin.generation);
    out.option(admin.config_hash, |out, hash| out.put(&hash));
    out.var(admin.count);
}
