//! PostgreSQL's messages: the texts that they bring or refer to, and what is judged and is no SQL.

use std::rc::Rc;

use sqlward_audit_store::record::{IntentKind, Text};
use sqlward_policy::{
    decide_function_call,
    rule::{
        moment::{Bound, Counting, Wording},
        subject::SessionPath,
    },
    statement::{Encoding, Known, LexState, Limits, analyse},
    vocabulary::Verb,
};
use sqlward_wire::{self as wire, pg};

use super::{
    Bench, Filing, Judged, fresh,
    given::{BoundPg, Given, Utf8},
    protocol::protocol_request,
    text_of,
};
use crate::{
    analysts::{Channel, INLINE_BYTES},
    audit::{self, Run, Secrecy},
    end_user::Claims,
    enforce::{self, Verdict},
    redaction::{self, Screen, StandIns},
    session::{FirstRole, Introduction, Tag},
};

impl Bench<'_> {
    /// Judge what a PostgreSQL session holds; `analysed` is what an analysis elsewhere has found, `channel` over what
    /// kind of connection it came.
    pub(crate) fn judge_pg(
        &mut self,
        held: pg::Held<'_, Tag>,
        channel: Channel,
        analysed: Option<Rc<Known>>,
    ) -> Judged {
        let reading = (channel, analysed);
        let verdict = match held {
            pg::Held::Startup {
                protocol,
                parameters,
                replication,
            } => self.startup(protocol, &parameters, replication),
            pg::Held::Query { text, unsettled } => {
                return self.text((IntentKind::Simple, b""), text, unsettled, reading);
            }
            pg::Held::Parse {
                name,
                text,
                parameter_types,
                unsettled,
            } => {
                if self.policy.asks().parameters {
                    self.types = parameter_types.collect();
                }
                return self.text((IntentKind::Prepare, name), text, unsettled, reading);
            }
            pg::Held::Bind {
                portal,
                name,
                prepared,
                parameters,
            } => match prepared {
                Some(prepare) => self.bind(portal, name, prepare, parameters),
                None => self.named(
                    &format!("EXECUTE {}", quoted(name)),
                    name,
                    portal,
                    Some(parameters),
                ),
            },
            pg::Held::Execute {
                portal,
                bound,
                first,
                ..
            } => match bound {
                Some(bound) => self.execute(portal, bound, first),
                None => self.named(&format!("FETCH FROM {}", quoted(portal)), b"", portal, None),
            },
            pg::Held::FunctionCall { oid, arguments } => self.function_call(oid, arguments),
            pg::Held::TooLarge {
                kind,
                length,
                prefix,
            } => self.too_large(kind, length, prefix),
        };
        Judged::Verdict(verdict)
    }

    /// A text to run (Query) or to prepare (Parse).
    fn text(
        &mut self,
        (kind, name): (IntentKind, &[u8]),
        text: &[u8],
        unsettled: bool,
        (channel, analysed): (Channel, Option<Rc<Known>>),
    ) -> Judged {
        let found = match channel {
            Channel::Replication => {
                // Nothing is kept: the same text is another statement elsewhere.
                let inline = text.len() <= INLINE_BYTES;
                let known =
                    analysed.or_else(|| inline.then(|| fresh(channel.analyse(text, &self.lex))));
                known.map(|known| (known, None))
            }
            Channel::Sql => self.read(text, analysed),
        };
        let Some(found) = found else {
            return Judged::Long;
        };
        let doubt = self.context.doubt(unsettled, text);
        Judged::Verdict(self.statement((kind, name), text, found, (doubt, Claims::default())))
    }

    /// The start of a session: who it is, and whether it may be.
    fn startup(
        &mut self,
        (major, minor): (u16, u16),
        parameters: &pg::StartupParameters<'_>,
        replication: Option<pg::Replication>,
    ) -> Verdict {
        self.record.protocol(format!("{major}.{minor}"));
        self.context.introduce(introduction(parameters));
        self.start(replication.is_some())
    }

    fn bind(
        &mut self,
        portal: &[u8],
        name: &[u8],
        prepare: &Tag,
        parameters: pg::Parameters<'_>,
    ) -> Verdict {
        if let Some(refusal) = &prepare.refusal {
            return self.behind(prepare, refusal);
        }
        let known = Rc::clone(&prepare.known);
        let limit = self
            .worker
            .shared
            .config
            .limits
            .max_recorded_parameter_bytes;
        let secrecy = Secrecy::of(&known);
        let rules = (self.policy, self.redaction_key());
        let screen = Screen::new(rules, &known, prepare.fates.as_deref(), 0);
        let stand_ins = audit::stand_ins(parameters.clone(), &screen);
        let given = Given {
            parameters: Bound::Given(&BoundPg {
                parameters: parameters.clone(),
                types: &prepare.types,
                encoding: self.utf8(),
            }),
            ..self.kept(prepare)
        };
        let decision = self.decide(&known, None, &given);
        let parameters = audit::parameters(parameters, limit, secrecy, &stand_ins);
        let continues = prepare.takeable();
        let filing = Filing {
            continues,
            parameters: &parameters,
            prepared_name: name,
            portal,
            ..Filing::new(IntentKind::Execute, text_of(prepare))
        };
        let verdict = self.conclude(known, decision, filing, Some(prepare));
        let run = enforce::tag(&verdict);
        if continues.is_some() && run.intent.is_some() {
            prepare.taken_over_by(run);
        }
        if run.refusal.is_none() {
            self.context.names.bound(portal, &run.known.analysis.facts);
        }
        verdict
    }

    fn execute(&mut self, portal: &[u8], bound: &Tag, first: bool) -> Verdict {
        if let Some(refusal) = &bound.refusal {
            return self.behind(bound, refusal);
        }
        // What was bound was judged with its values; they are not kept for another policy.
        let given = Given {
            parameters: if bound.generation == self.policy.generation {
                Bound::Later
            } else {
                Bound::Unknown
            },
            counting: if bound.generation == self.policy.generation {
                Counting::Already
            } else {
                Counting::Anew
            },
            ..self.kept(bound)
        };
        let considered = self.decide(&bound.known, None, &given);
        let kind = if first {
            IntentKind::Execute
        } else {
            IntentKind::Fetch
        };
        let text = text_of(bound.prepare.as_ref().unwrap_or(bound));
        let filing = Filing {
            portal,
            ..Filing::new(kind, text)
        };
        let passes = considered.decision.refusal().is_none() && self.kept_out(&filing).is_none();
        if first && passes {
            // The Bind's intent speaks for its first execution.
            return enforce::again(considered.decision, bound, self.dialect());
        }
        self.conclude(
            Rc::clone(&bound.known),
            considered,
            filing,
            bound.prepare.as_ref(),
        )
    }

    /// A prepared statement or a portal that no message of the protocol has made: SQL has, or nobody. It is judged as the
    /// SQL that names it.
    fn named(
        &mut self,
        text: &str,
        name: &[u8],
        portal: &[u8],
        parameters: Option<pg::Parameters<'_>>,
    ) -> Verdict {
        let known = fresh(analyse(
            text.as_bytes(),
            &LexState::default(),
            &Limits::default(),
        ));
        let limit = self
            .worker
            .shared
            .config
            .limits
            .max_recorded_parameter_bytes;
        // What runs under the name is in its own record; whether it takes secrets is not known here.
        let none = StandIns::new();
        let parameters = parameters
            .map(|parameters| audit::parameters(parameters, limit, Secrecy::Secret, &none));
        let filing = Filing {
            prepared_name: name,
            portal,
            parameters: parameters.as_deref().unwrap_or_default(),
            ..Filing::new(
                IntentKind::Execute,
                Text::whole(redaction::bytes(self.policy, text.as_bytes())),
            )
        };
        let given = Given {
            text: Wording::Text(text.as_bytes(), LexState::default()),
            ..Given::NOTHING
        };
        let decision = self.decide(&known, None, &given);
        self.conclude(known, decision, filing, None)
    }

    /// What is kept of a text that was prepared.
    pub(super) fn kept<'k>(&self, prepare: &'k Run) -> Given<'k> {
        let literals = prepare.literals.as_ref();
        Given {
            text: match literals.filter(|(generation, _)| *generation == self.policy.generation) {
                Some((_, literals)) => Wording::Kept(literals),
                None => Wording::Unknown,
            },
            ..Given::NOTHING
        }
    }

    fn utf8(&self) -> Utf8 {
        match self.lex {
            LexState::Postgres(lex) if lex.encoding != Encoding::Utf8 => Utf8::No,
            LexState::Postgres(_) | LexState::Mysql(_) => Utf8::Yes,
        }
    }

    /// Something behind a message that was refused in the same pipeline: the server will skip it.
    fn behind(&self, refused: &Tag, refusal: &Rc<wire::Refusal>) -> Verdict {
        let mut run = Run::new(
            refused.kind,
            Rc::clone(&refused.known),
            None,
            self.now.mono_ns,
        );
        run.refusal = Some(Rc::clone(refusal));
        Verdict::Refuse {
            refusal: wire::Refusal::clone(refusal),
            tag: Rc::new(run),
        }
    }

    fn function_call(&mut self, oid: u32, arguments: pg::Parameters<'_>) -> Verdict {
        let text = format!("function call {oid}");
        let known = protocol_request(Verb::FunctionCall, "function call");
        let limit = self
            .worker
            .shared
            .config
            .limits
            .max_recorded_parameter_bytes;
        // Which function it is only the server knows.
        let none = StandIns::new();
        let parameters = audit::parameters(arguments, limit, Secrecy::Secret, &none);
        let filing = Filing {
            parameters: &parameters,
            ..Filing::new(IntentKind::FunctionCall, Text::whole(text.as_bytes()))
        };
        let (standing, _) = self.context.standing(self.policy);
        let decision = decide_function_call(self.policy, standing, self.now.timestamp());
        self.conclude(known, decision, filing, None)
    }

    fn too_large(&mut self, kind: pg::HeldKind, length: u64, prefix: &[u8]) -> Verdict {
        // Only texts may be looked at: what is bound is not for the record of a statement.
        let (kind, glance) = match kind {
            pg::HeldKind::Query => (IntentKind::Simple, prefix),
            pg::HeldKind::Parse => (IntentKind::Prepare, prefix),
            pg::HeldKind::Startup => (IntentKind::Simple, &[][..]),
            pg::HeldKind::Bind | pg::HeldKind::Execute => (IntentKind::Execute, &[][..]),
            pg::HeldKind::FunctionCall => (IntentKind::FunctionCall, &[][..]),
        };
        self.refuse_too_large(kind, length, glance)
    }
}

/// Who the client says it is (PostgreSQL manual, StartupMessage): no database, or an empty name, is the user's.
fn introduction(parameters: &pg::StartupParameters<'_>) -> Introduction {
    let text = |name: &[u8]| {
        let value = parameters.value(name);
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let user = text(b"user").unwrap_or_default();
    // A role can be set from the start; which one is for the server to say.
    let options = text(b"options").unwrap_or_default().to_lowercase();
    let asked = parameters.clone().any(|(name, _)| {
        name.eq_ignore_ascii_case(b"role") || name.eq_ignore_ascii_case(b"session_authorization")
    });
    // The server undoes backslashes in options before it reads them.
    let named = ["role", "session_auth", "session-auth", "\\"];
    let role = if asked || named.iter().any(|word| options.contains(word)) {
        FirstRole::Unknown
    } else {
        FirstRole::User
    };
    let path = match text(b"search_path") {
        _ if options.contains("search") || options.contains('\\') => SessionPath::Unknown,
        Some(path) => SessionPath::parse(&path),
        None => SessionPath::Policy,
    };
    Introduction {
        database: text(b"database")
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| user.clone()),
        application: text(b"application_name").unwrap_or_default(),
        user,
        role,
        end_user: None,
        path,
    }
}

/// A name as SQL quotes it.
fn quoted(name: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(name).replace('"', "\"\""))
}
