//! Bytes → entry. Total: any bytes give an entry or an error, within the bytes' own size.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sqlward_policy::vocabulary::{
    Access, Class, ColumnUse, Dialect, Egress, LimitShape, ObjectKind, Verb, WhereShape,
};

use super::codec::{CodecError, Reader, action_of, mode_of, severity_of, unreadable_of};
use super::encode::REDUCED;
use super::{
    Admin, AdminAction, Column, Completion, Context, Detail, EndCause, EndUser, EndUserSource,
    Entry, Epoch, ErrorCode, Intent, IntentKind, Judgement, Object, Outcome, Parameter,
    ParameterFormat, Reduction, Seq, SessionAuthenticated, SessionEnd, SessionId, SessionStart,
    Shape, Subject, Text, Tls, Trust, TxStatus,
};

impl<'a> Entry<'a> {
    /// Reads an entry of `kind` from its payload.
    ///
    /// # Errors
    /// Where the payload is not exactly one entry of that kind.
    pub(crate) fn decode(kind: u8, payload: &'a [u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(payload);
        let from = &mut reader;
        let entry = match kind {
            1 => Entry::Epoch(epoch(from)?),
            2 => Entry::SessionStart(start(from)?),
            3 => Entry::SessionAuthenticated(authenticated(from)?),
            4 => Entry::Context(context(from)?),
            5 => Entry::SessionEnd(end(from)?),
            6 => Entry::Shape(shape(from)?),
            7 => Entry::Intent(intent(from)?),
            8 => Entry::Outcome(outcome(from)?),
            9 => Entry::Admin(admin(from)?),
            _ => return Err(CodecError::Invalid("kind")),
        };
        reader.finish()?;
        Ok(entry)
    }
}

type Decoded<T> = Result<T, CodecError>;

fn session(from: &mut Reader<'_>) -> Decoded<SessionId> {
    from.u64("session").map(SessionId)
}

fn epoch(from: &mut Reader<'_>) -> Decoded<Epoch> {
    let node = u16::try_from(from.var("node")?).map_err(|_| CodecError::Invalid("node"))?;
    Ok(Epoch {
        node,
        at_us: from.u64("at")?,
    })
}

fn address(from: &mut Reader<'_>) -> Decoded<SocketAddr> {
    let ip = match from.u8("address")? {
        4 => IpAddr::V4(Ipv4Addr::from(from.array::<4>("address")?)),
        6 => IpAddr::V6(Ipv6Addr::from(from.array::<16>("address")?)),
        _ => return Err(CodecError::Invalid("address")),
    };
    Ok(SocketAddr::new(ip, u16::from_le_bytes(from.array("port")?)))
}

fn tls<'a>(from: &mut Reader<'a>) -> Decoded<Tls<'a>> {
    Ok(Tls {
        version: from.text("tls version")?,
        identity: from.option("tls identity", |from| from.text("tls identity"))?,
    })
}

fn subject<'a>(from: &mut Reader<'a>) -> Decoded<Subject<'a>> {
    Ok(Subject {
        user: from.text("user")?,
        database: from.text("database")?,
        application: from.text("application")?,
    })
}

fn end_user<'a>(from: &mut Reader<'a>) -> Decoded<EndUser<'a>> {
    Ok(EndUser {
        name: from.text("end user")?,
        source: from.coded("end user source", EndUserSource::from_code)?,
        trust: from.coded("end user trust", Trust::from_code)?,
    })
}

fn role<'a>(from: &mut Reader<'a>) -> Decoded<Option<&'a str>> {
    from.option("role", |from| from.text("role"))
}

fn error(from: &mut Reader<'_>) -> Decoded<Option<ErrorCode>> {
    from.option("error", |from| {
        Ok(ErrorCode {
            sqlstate: from.array("sqlstate")?,
            errno: u16::try_from(from.var("errno")?).map_err(|_| CodecError::Invalid("errno"))?,
        })
    })
}

fn start<'a>(from: &mut Reader<'a>) -> Decoded<SessionStart<'a>> {
    Ok(SessionStart {
        session: session(from)?,
        at_us: from.u64("at")?,
        client: address(from)?,
        listener: from.text("listener")?,
        upstream: from.text("upstream")?,
        dialect: from.word("dialect", Dialect::from_word)?,
        tls: from.option("tls", tls)?,
    })
}

fn authenticated<'a>(from: &mut Reader<'a>) -> Decoded<SessionAuthenticated<'a>> {
    Ok(SessionAuthenticated {
        session: session(from)?,
        at_us: from.u64("at")?,
        subject: subject(from)?,
        role: role(from)?,
        method: from.text("method")?,
        backend_pid: from.option("backend pid", |from| from.var32("backend pid"))?,
        protocol: from.text("protocol")?,
        tls: from.option("tls", tls)?,
    })
}

fn context<'a>(from: &mut Reader<'a>) -> Decoded<Context<'a>> {
    Ok(Context {
        session: session(from)?,
        at_us: from.u64("at")?,
        subject: subject(from)?,
        role: role(from)?,
        end_user: from.option("end user", end_user)?,
    })
}

fn end<'a>(from: &mut Reader<'a>) -> Decoded<SessionEnd<'a>> {
    Ok(SessionEnd {
        session: session(from)?,
        at_us: from.u64("at")?,
        cause: from.coded("cause", EndCause::from_code)?,
        sqlstate: error(from)?,
        claimed: from.option("claimed", subject)?,
        client_bytes: from.var("client bytes")?,
        server_bytes: from.var("server bytes")?,
    })
}

fn shape<'a>(from: &mut Reader<'a>) -> Decoded<Shape<'a>> {
    Ok(Shape {
        key: from.array("shape")?,
        fingerprint: from.array("fingerprint")?,
        normal: from.text("normal")?,
        statements: from.var32("statements")?,
        verb: from.word("verb", Verb::from_word)?,
        class: from.word("class", Class::from_word)?,
        verbs: from
            .list("verbs", |from| from.word("verb", Verb::from_word))?
            .into(),
        objects: from.list("objects", object)?.into(),
        columns: from.list("columns", column)?.into(),
        functions: from.list("functions", |from| from.text("function"))?.into(),
        egress: from
            .list("egress", |from| from.word("egress", Egress::from_word))?
            .into(),
        where_shape: from.word("where", WhereShape::from_word)?,
        limit: from.word("limit", LimitShape::from_word)?,
        dynamic: from.flag("dynamic")?,
    })
}

fn object<'a>(from: &mut Reader<'a>) -> Decoded<Object<'a>> {
    Ok(Object {
        kind: from.word("object kind", ObjectKind::from_word)?,
        schema: from.option("schema", |from| from.text("schema"))?,
        name: from.text("object")?,
        access: from.word("access", Access::from_word)?,
    })
}

fn column<'a>(from: &mut Reader<'a>) -> Decoded<Column<'a>> {
    Ok(Column {
        schema: from.option("schema", |from| from.text("schema"))?,
        table: from.option("table", |from| from.text("table"))?,
        column: from.text("column")?,
        usage: from.word("column use", ColumnUse::from_word)?,
    })
}

fn text<'a>(from: &mut Reader<'a>) -> Decoded<Text<'a>> {
    match from.u8("text")? {
        0 => Ok(Text::None),
        1 => Ok(Text::Sent {
            bytes: from.bytes("text")?,
            full_len: from.var("text length")?,
            full_hash: from.option("text hash", |from| from.array("text hash"))?,
        }),
        2 => from.var("text").map(|seq| Text::Of(Seq(seq))),
        _ => Err(CodecError::Invalid("text")),
    }
}

fn parameter<'a>(from: &mut Reader<'a>) -> Decoded<Parameter<'a>> {
    Ok(Parameter {
        format: from.coded("parameter format", ParameterFormat::from_code)?,
        type_oid: from.var32("parameter type")?,
        value: from.option("parameter", |from| from.bytes("parameter"))?,
        full_len: from.var("parameter length")?,
        redacted: from.flag("parameter redacted")?,
    })
}

fn judgement<'a>(from: &mut Reader<'a>) -> Decoded<Judgement<'a>> {
    Ok(Judgement {
        action: from.coded("action", action_of)?,
        judged: from.coded("judged", action_of)?,
        mode: from.coded("mode", mode_of)?,
        rules: from.list("rules", |from| from.text("rule"))?.into(),
        severity: from.option("severity", |from| from.coded("severity", severity_of))?,
        generation: from.var("generation")?,
        unreadable: from.option("unreadable", |from| from.coded("unreadable", unreadable_of))?,
    })
}

/// The transaction status of an intent, and what is left out of it.
fn status(from: &mut Reader<'_>) -> Decoded<(TxStatus, Reduction)> {
    let code = from.u8("status")?;
    let status = TxStatus::from_code(code & !REDUCED).ok_or(CodecError::Invalid("status"))?;
    if code & REDUCED == 0 {
        return Ok((status, Reduction::NONE));
    }
    let reduction = Reduction {
        detail: from.coded("detail", Detail::from_code)?,
        redacted: from.var32("redacted")?,
    };
    if reduction == Reduction::NONE {
        return Err(CodecError::Invalid("reduction"));
    }
    Ok((status, reduction))
}

fn intent<'a>(from: &mut Reader<'a>) -> Decoded<Intent<'a>> {
    let reduction;
    Ok(Intent {
        session: session(from)?,
        number: from.var32("number")?,
        kind: from.coded("intent kind", IntentKind::from_code)?,
        continues: from.option("continues", |from| from.var("continues").map(Seq))?,
        text: text(from)?,
        shape: from.option("shape", |from| from.array("shape"))?,
        parameters: from.list("parameters", parameter)?.into(),
        prepared_name: from.bytes("prepared name")?,
        portal: from.bytes("portal")?,
        wall_us: from.u64("wall")?,
        mono_ns: from.u64("mono")?,
        transaction: from.var32("transaction")?,
        status: {
            let (status, reduced) = status(from)?;
            reduction = reduced;
            status
        },
        judgement: judgement(from)?,
        end_user: from.option("end user", end_user)?,
        role: role(from)?,
        trace: from.option("trace", |from| from.text("trace"))?,
        reduction,
    })
}

fn outcome(from: &mut Reader<'_>) -> Decoded<Outcome> {
    Ok(Outcome {
        intent: Seq(from.var("intent")?),
        completion: from.coded("completion", Completion::from_code)?,
        rows: from.var("rows")?,
        affected: from.var("affected")?,
        bytes: from.var("bytes")?,
        sqlstate: error(from)?,
        first_byte_us: from.option("first byte", |from| from.var("first byte"))?,
        duration_us: from.var("duration")?,
        statements: from.var32("statements")?,
        warnings: from.var("warnings")?,
    })
}

fn admin<'a>(from: &mut Reader<'a>) -> Decoded<Admin<'a>> {
    Ok(Admin {
        at_us: from.u64("at")?,
        action: from.coded("admin action", AdminAction::from_code)?,
        actor: from.text("actor")?,
        detail: from.text("detail")?,
        generation: from.var("generation")?,
        config_hash: from.option("config hash", |from| from.array("config hash"))?,
        count: from.var("count")?,
    })
}
