//! Wire's held message → a judged one: read it, ask the policy, write the intent, give the verdict.
//!
//! Which text or request a message stands for is the protocol's business ([`pg`], [`mysql`]); the way from there is one.

mod blocks;
mod file;
mod given;
mod mysql;
mod pg;
mod protocol;

pub(crate) use mysql::Doubt;

use std::{ops::Range, rc::Rc, sync::Arc};

use smallvec::SmallVec;
use sqlward_audit_store::{
    record::{IntentKind, Judgement, List, Parameter, Seq, SessionId, Text},
    redact::RedactionKey,
};
use sqlward_policy::{
    Cause, Decision, Policy, Request,
    rule::{
        history::Across,
        moment::{Bound, Circumstances, Counting, Transaction, Wording},
        subject::EndUser,
    },
    statement::{Analysis, Facts, Known, LexState, Limits, MysqlLex, Slot, analyse},
    vocabulary::{Dialect, Unreadable},
};
use sqlward_wire as wire;

use self::given::Given;
use crate::{
    analysts::INLINE_BYTES,
    audit::Run,
    end_user::Claims,
    enforce::{self, Verdict},
    rates::Sight,
    record::SessionRecord,
    redaction::{self, ParameterFates, Screen, StandIns},
    session::{Context, Tag, effects},
    shared::Moment,
    worker::Worker,
};

/// What came of looking at a held message.
pub(crate) enum Judged {
    /// It has its verdict.
    Verdict(Verdict),
    /// It is long: it must be analysed elsewhere first.
    Long,
    /// How it reads depends on what is not known: the server must be asked first.
    Ask,
}

/// Everything that judging a message of one session needs.
pub(crate) struct Bench<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) policy: &'a Policy,
    pub(crate) session: SessionId,
    pub(crate) context: &'a mut Context,
    pub(crate) record: &'a mut SessionRecord,
    pub(crate) lex: LexState,
    pub(crate) status: Option<wire::TxStatus>,
    pub(crate) transaction: Transaction,
    /// The types that the Parse at hand fixes for its parameters, if a rule asks for parameters.
    pub(crate) types: Box<[u32]>,
    pub(crate) now: Moment,
}

/// A statement on its way to the journal.
struct Filing<'a> {
    kind: IntentKind,
    text: Text<'a>,
    comment: Option<&'a [u8]>,
    claims: Claims<'a>,
    continues: Option<Seq>,
    parameters: &'a [Parameter<'a>],
    prepared_name: &'a [u8],
    portal: &'a [u8],
    reading: Option<MysqlLex>,
    /// How much of its text was replaced.
    redacted: u32,
    /// What happens to the parameters of what it prepares.
    fates: Option<Rc<ParameterFates>>,
}

/// A decision, and what was not known when it was made.
struct Considered<'a> {
    decision: Decision,
    /// What is counted across sessions, if the policy asks: nobody else counts until this is done.
    sight: Option<Sight<'a>>,
    /// Why the text can't be read exactly, where only the session knows.
    doubt: Option<Unreadable>,
    role: Role,
}

/// Whether the effective role was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Known,
    Unknown,
}

impl From<Decision> for Considered<'_> {
    fn from(decision: Decision) -> Self {
        Self {
            decision,
            sight: None,
            doubt: None,
            role: Role::Known,
        }
    }
}

impl<'a> Filing<'a> {
    fn new(kind: IntentKind, text: Text<'a>) -> Self {
        Self {
            kind,
            text,
            comment: None,
            claims: Claims::default(),
            continues: None,
            parameters: &[],
            prepared_name: b"",
            portal: b"",
            reading: None,
            redacted: 0,
            fates: None,
        }
    }
}

impl<'b> Bench<'b> {
    /// Judge a text to run or to prepare, having read it: `known` is what it says, `comment` where its context may be.
    fn statement(
        &mut self,
        (kind, name): (IntentKind, &[u8]),
        text: &[u8],
        (known, comment): (Rc<Known>, Option<Range<usize>>),
        given: (Option<Unreadable>, Claims<'_>),
    ) -> Verdict {
        self.statement_with((kind, name), text, (known, comment), given, &[])
    }

    /// As [`Self::statement`], with what the client has sent beside the text.
    fn statement_with(
        &mut self,
        (kind, name): (IntentKind, &[u8]),
        text: &[u8],
        (known, comment): (Rc<Known>, Option<Range<usize>>),
        (doubt, claims): (Option<Unreadable>, Claims<'_>),
        parameters: &[Parameter<'_>],
    ) -> Verdict {
        let comment = comment.and_then(|range| text.get(range));
        let reading = match self.lex {
            LexState::Mysql(lex) if kind == IntentKind::Prepare => Some(lex.relevant_to(text)),
            LexState::Mysql(_) | LexState::Postgres(_) => None,
        };
        let sent = text;
        let rules = (self.policy, self.redaction_key());
        let clean = redaction::text(text, &known, &self.lex, rules);
        let screen = Screen::new(rules, &known, clean.fates.as_deref(), 0);
        let hidden: StandIns = match screen.is_clear() {
            true => StandIns::new(),
            false => parameters
                .iter()
                .map(|one| screen.beside(one.value?))
                .collect(),
        };
        let screened = screened(parameters, &hidden);
        let limit = self.worker.shared.config.max_text_bytes;
        let given = Given {
            parameters: match kind {
                IntentKind::Prepare => Bound::Later,
                _ => Bound::Given(given::NONE),
            },
            text: Wording::Text(sent, self.lex),
            end_user: self.claimed(&claims, comment),
            counting: Counting::Anew,
        };
        let filing = Filing {
            comment,
            claims,
            parameters: screened.as_deref().unwrap_or(parameters),
            prepared_name: name,
            reading,
            redacted: clean.redacted,
            fates: clean.fates.clone(),
            ..Filing::new(kind, Text::cut(&clean.text, limit))
        };
        let decision = self.decide(&known, doubt, &given);
        self.conclude(known, decision, filing, None)
    }

    /// What `text` says: known already, short enough to be analysed here, or given. `None`: it is long.
    fn read(
        &mut self,
        text: &[u8],
        analysed: Option<Rc<Known>>,
    ) -> Option<(Rc<Known>, Option<Range<usize>>)> {
        let mut reader = self.worker.reader.borrow_mut();
        let recall = reader.recall(text, &self.lex);
        if let Some(known) = recall.known.or(analysed) {
            return Some((known, recall.comment));
        }
        if text.len() > INLINE_BYTES {
            return None;
        }
        self.worker.shared.metrics.analyses_total.inc();
        let analysis = analyse(text, &self.lex, &Limits::default());
        Some((reader.remember(text, &self.lex, analysis), recall.comment))
    }

    /// The end user that a statement claims, if a rule asks for end users.
    fn claimed(&self, claims: &Claims<'_>, comment: Option<&[u8]>) -> Option<EndUser> {
        if !self.policy.asks().end_users {
            return None;
        }
        let keys = &self.worker.shared.config.end_user.comment_keys;
        let claims = claims.clone().or_comment(comment.unwrap_or_default(), keys);
        let source = claims.source;
        claims.end_user.map(|name| EndUser {
            name: name.into_owned(),
            trust: source.as_str().to_owned(),
        })
    }

    /// What is counted across sessions, if the policy asks for it.
    fn sight(&self, given: &Given<'_>) -> Option<Sight<'b>> {
        if given.counting == Counting::Already {
            return None;
        }
        let (worker, policy) = (self.worker, self.policy);
        let claimed = given.end_user.as_ref().map(|one| one.name.as_str());
        let end_user = claimed.or_else(|| self.context.acts_for().map(|(name, _)| name));
        let who = (&self.context.subject, end_user);
        worker.shared.rates.sight(policy, who, self.now.timestamp())
    }

    fn decide(
        &mut self,
        known: &Rc<Known>,
        doubt: Option<Unreadable>,
        given: &Given<'_>,
    ) -> Considered<'b> {
        let referred = self.context.names.referred(effects(known));
        let before = self.context.doubt_role(known, &referred);
        let path = self.context.doubt_path(known, &referred);
        let bodies: Vec<&Facts> = referred.bodies.iter().map(|body| &**body).collect();
        let unknown = referred.unknown.then_some(Unreadable::UnknownPrepared);
        let doubt = doubt.or(unknown);
        let role = match self.context.subject.role {
            Some(_) => Role::Known,
            None => Role::Unknown,
        };
        let sight = self.sight(given);
        let (standing, history) = self.context.standing(self.policy);
        let request = Request {
            statement: known,
            standing,
            now: self.now.timestamp(),
            circumstances: Circumstances {
                transaction: self.transaction,
                end_user: given.end_user.as_ref(),
                parameters: given.parameters,
                text: given.text,
                history: Some(history),
                across: sight.as_ref().map(|sight| sight as &dyn Across),
                counting: given.counting,
            },
            also: &bodies,
            unreadable_override: doubt,
        };
        let decision = sqlward_policy::decide(self.policy, &request);
        if decision.refusal().is_some() && before.is_some() {
            self.context.role(before);
        }
        if let (Some(_), Some(path)) = (decision.refusal(), path) {
            self.context.path(path);
        }
        Considered {
            decision,
            sight,
            doubt,
            role,
        }
    }

    /// Write the intent, and turn the decision into a verdict.
    fn conclude(
        &mut self,
        known: Rc<Known>,
        considered: impl Into<Considered<'b>>,
        filing: Filing<'_>,
        prepare: Option<&Tag>,
    ) -> Verdict {
        let Considered {
            mut decision,
            sight,
            doubt,
            mut role,
        } = considered.into();
        let runs = match filing.kind {
            IntentKind::Simple | IntentKind::Execute | IntentKind::Command => true,
            IntentKind::Prepare
            | IntentKind::Fetch
            | IntentKind::FunctionCall
            | IntentKind::Startup => false,
        };
        if let Some(sight) = sight.filter(|_| runs) {
            sight.note(&decision.counted);
        }
        if let Some(refusal) = self.kept_out(&filing) {
            decision = Decision::blocked(refusal);
        }
        if self.context.subject.role.is_none() {
            role = Role::Unknown;
        }
        let policy = self.policy;
        let metrics = &self.worker.shared.metrics;
        let rules: SmallVec<[&str; 4]> = decision
            .rules
            .iter()
            .filter_map(|index| policy.rule(*index))
            .map(|rule| &*rule.id)
            .collect();
        let reached = self.escalate(&decision, &rules, &filing);
        if reached.ends_session() {
            decision = decision.ending_session();
        }
        let judgement = Judgement {
            action: decision.action,
            judged: decision.judged,
            mode: decision.mode,
            rules: List::Lent(&rules),
            severity: decision.severity(policy),
            generation: policy.generation,
            unreadable: match decision.cause {
                Cause::Unreadable(reason) => Some(reason),
                Cause::Rule(_)
                | Cause::Default
                | Cause::NotNamed(_)
                | Cause::Blocked
                | Cause::Stale => known.analysis.facts.unreadable.or(doubt),
            },
        };
        let unknown = decision.cause == Cause::Unreadable(Unreadable::UnknownPrepared);
        metrics.decided(decision.action);
        reached.follow(self.worker, policy, self.now);
        if judgement.unreadable.is_some() {
            metrics.unreadable_total.inc();
        }
        let detail = self.detail(&known, &decision);
        let (intent, event, kept) = match self.file(&known, judgement, &filing, (role, detail)) {
            Ok(filed) => (Some(filed.seq), Some(filed.event), filed.kept),
            Err(error) if enforce::may_go_unrecorded(policy, self.worker, &error) => {
                (None, None, None)
            }
            Err(_) => {
                let run = Run::new(filing.kind, known, None, self.now.mono_ns);
                return enforce::unrecordable(run, self.dialect());
            }
        };
        if decision.refusal().is_none() && filing.kind != IntentKind::Startup {
            let referred = self.context.names.referred(effects(&known));
            self.context.announce(&known, &referred);
        }
        if runs {
            let now = self.now.timestamp();
            self.context.history.note(policy, &decision.counted, now);
        }
        let mut run = Run::new(filing.kind, known, intent, self.now.mono_ns);
        run.generation = policy.generation;
        run.types = std::mem::take(&mut self.types);
        run.literals = decision
            .literals
            .clone()
            .map(|kept| (policy.generation, kept));
        if filing.kind == IntentKind::Prepare && self.dialect() != Dialect::Postgres {
            run.database = self.context.subject.database.as_str().into();
        }
        run.name = filing.prepared_name.into();
        run.reading = filing.reading;
        run.event = event;
        run.prepare = prepare.cloned();
        run.fates = filing.fates;
        run.kept = kept;
        if unknown {
            return enforce::unknown_prepared(decision, event, run, self.dialect());
        }
        enforce::verdict(decision, event, run, self.dialect())
    }

    fn redaction_key(&self) -> Option<&'_ RedactionKey> {
        self.worker.shared.config.redaction_key.as_ref()
    }

    fn dialect(&self) -> Dialect {
        self.context.subject.dialect
    }
}

/// Parameters with what stands in for some of them; `None` if there is nothing to replace.
fn screened<'p>(
    parameters: &'p [Parameter<'_>],
    hidden: &'p StandIns,
) -> Option<SmallVec<[Parameter<'p>; 8]>> {
    if hidden.is_empty() {
        return None;
    }
    let replaced = |(one, stand_in): (&Parameter<'p>, &'p Option<Vec<u8>>)| match stand_in {
        Some(stand_in) => Parameter {
            value: Some(stand_in),
            redacted: true,
            ..*one
        },
        None => *one,
    };
    Some(parameters.iter().zip(hidden).map(replaced).collect())
}

/// An analysis that no cache holds.
pub(crate) fn fresh(analysis: Analysis) -> Rc<Known> {
    Rc::new(Known {
        analysis: Arc::new(analysis),
        slot: Slot::default(),
    })
}

fn text_of(prepare: &Tag) -> Text<'_> {
    match prepare.intent {
        Some(seq) => Text::Of(seq),
        None => Text::whole(prepare.known.analysis.normal.as_bytes()),
    }
}
