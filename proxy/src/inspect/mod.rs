//! Wire's held message → a judged one: read it, ask the policy, write the intent, give the verdict.

mod protocol;

use std::{ops::Range, rc::Rc, sync::Arc};

use smallvec::SmallVec;
use sqlward_audit_store::{
    journal::JournalError,
    record::{
        EndUserSource, Entry, EventId, Intent, IntentKind, Judgement, List, Parameter, Seq,
        SessionId, Text, TxStatus,
    },
    redact,
};
use sqlward_policy::{
    Cause, Decision, Policy, Request,
    statement::{Analysis, Facts, Known, LexState, Limits, Slot, analyse},
    vocabulary::Unreadable,
};
use sqlward_wire::{self as wire, pg};

use crate::{
    analysts::{Channel, INLINE_BYTES},
    audit::{self, Run, Secrecy},
    end_user,
    enforce::{self, Verdict},
    record::SessionRecord,
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
}

/// Everything that judging a message of one session needs.
pub(crate) struct Bench<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) policy: &'a Policy,
    pub(crate) session: SessionId,
    pub(crate) context: &'a mut Context,
    pub(crate) record: &'a mut SessionRecord,
    pub(crate) lex: LexState,
    pub(crate) channel: Channel,
    pub(crate) status: Option<wire::TxStatus>,
    pub(crate) now: Moment,
}

/// A statement on its way to the journal.
struct Filing<'a> {
    kind: IntentKind,
    text: Text<'a>,
    comment: Option<&'a [u8]>,
    continues: Option<Seq>,
    parameters: &'a [Parameter<'a>],
    prepared_name: &'a [u8],
    portal: &'a [u8],
}

impl<'a> Filing<'a> {
    fn new(kind: IntentKind, text: Text<'a>) -> Self {
        Self {
            kind,
            text,
            comment: None,
            continues: None,
            parameters: &[],
            prepared_name: b"",
            portal: b"",
        }
    }
}

impl Bench<'_> {
    /// Judge `held`; `analysed` is what an analysis elsewhere has found.
    pub(crate) fn judge(&mut self, held: pg::Held<'_, Tag>, analysed: Option<Rc<Known>>) -> Judged {
        let verdict = match held {
            pg::Held::Startup {
                protocol,
                parameters,
                replication,
            } => self.startup(protocol, &parameters, replication),
            pg::Held::Query { text, unsettled } => {
                return self.statement(IntentKind::Simple, b"", text, unsettled, analysed);
            }
            pg::Held::Parse {
                name,
                text,
                unsettled,
                ..
            } => {
                return self.statement(IntentKind::Prepare, name, text, unsettled, analysed);
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
    fn statement(
        &mut self,
        kind: IntentKind,
        name: &[u8],
        text: &[u8],
        unsettled: bool,
        analysed: Option<Rc<Known>>,
    ) -> Judged {
        let (known, comment) = match self.read(text, analysed) {
            Some(found) => found,
            None => return Judged::Long,
        };
        let doubt = self.context.doubt(unsettled, text);
        let comment = comment.and_then(|range| text.get(range));
        let text = redact::redact(text, &known.analysis.secrets);
        let limit = self.worker.shared.config.max_text_bytes;
        let filing = Filing {
            comment,
            prepared_name: name,
            ..Filing::new(kind, Text::cut(&text, limit))
        };
        let decision = self.decide(&known, doubt);
        Judged::Verdict(self.conclude(known, decision, filing, None))
    }

    /// What `text` says: known already, short enough to be analysed here, or given. `None`: it is long.
    fn read(
        &mut self,
        text: &[u8],
        analysed: Option<Rc<Known>>,
    ) -> Option<(Rc<Known>, Option<Range<usize>>)> {
        if self.channel == Channel::Replication {
            // Nothing is kept: the same text is another statement elsewhere.
            let inline = text.len() <= INLINE_BYTES;
            let known =
                analysed.or_else(|| inline.then(|| fresh(self.channel.analyse(text, &self.lex))));
            return known.map(|known| (known, None));
        }
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
        let parameters = audit::parameters(parameters, limit, secrecy);
        let continues = prepare.takeable();
        let filing = Filing {
            continues,
            parameters: &parameters,
            prepared_name: name,
            portal,
            ..Filing::new(IntentKind::Execute, text_of(prepare))
        };
        let decision = self.decide(&known, None);
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
        let decision = self.decide(&bound.known, None);
        if first && decision.refusal().is_none() {
            // The Bind's intent speaks for its first execution.
            return enforce::again(decision, bound);
        }
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
        self.conclude(
            Rc::clone(&bound.known),
            decision,
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
        let parameters =
            parameters.map(|parameters| audit::parameters(parameters, limit, Secrecy::Secret));
        let filing = Filing {
            prepared_name: name,
            portal,
            parameters: parameters.as_deref().unwrap_or_default(),
            ..Filing::new(IntentKind::Execute, Text::whole(text.as_bytes()))
        };
        let decision = self.decide(&known, None);
        self.conclude(known, decision, filing, None)
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

    fn decide(&mut self, known: &Rc<Known>, doubt: Option<Unreadable>) -> Decision {
        let referred = self.context.names.referred(effects(known));
        let before = self.context.doubt_role(known, &referred);
        let bodies: Vec<&Facts> = referred.bodies.iter().map(|body| &**body).collect();
        let unknown = referred.unknown.then_some(Unreadable::UnknownPrepared);
        let request = Request {
            statement: known,
            standing: self.context.standing(self.policy),
            now: self.now.timestamp(),
            also: &bodies,
            unreadable_override: doubt.or(unknown),
        };
        let decision = sqlward_policy::decide(self.policy, &request);
        if decision.refusal().is_some() && before.is_some() {
            self.context.role(before);
        }
        decision
    }

    /// Write the intent, and turn the decision into a verdict.
    fn conclude(
        &mut self,
        known: Rc<Known>,
        decision: Decision,
        filing: Filing<'_>,
        prepare: Option<&Tag>,
    ) -> Verdict {
        let policy = self.policy;
        let metrics = &self.worker.shared.metrics;
        let rules: SmallVec<[&str; 4]> = decision
            .rules
            .iter()
            .filter_map(|index| policy.rule(*index))
            .map(|rule| &*rule.id)
            .collect();
        let judgement = Judgement {
            action: decision.action,
            judged: decision.judged,
            mode: decision.mode,
            rules: List::Lent(&rules),
            severity: decision.severity(policy),
            generation: policy.generation,
            unreadable: match decision.cause {
                Cause::Unreadable(reason) => Some(reason),
                Cause::Rule(_) | Cause::Default | Cause::NotNamed(_) | Cause::Stale => {
                    known.analysis.facts.unreadable
                }
            },
        };
        let unknown = decision.cause == Cause::Unreadable(Unreadable::UnknownPrepared);
        metrics.decided(decision.action);
        if judgement.unreadable.is_some() {
            metrics.unreadable_total.inc();
        }
        let (intent, event) = match self.file(&known, judgement, &filing) {
            Ok((seq, event)) => (Some(seq), Some(event)),
            Err(error) if enforce::may_go_unrecorded(policy, self.worker, &error) => (None, None),
            Err(_) => return enforce::unrecordable(filing.kind, known, self.now.mono_ns),
        };
        if decision.refusal().is_none() && filing.kind != IntentKind::Startup {
            let referred = self.context.names.referred(effects(&known));
            self.context.announce(&known, &referred);
        }
        let mut run = Run::new(filing.kind, known, intent, self.now.mono_ns);
        run.name = filing.prepared_name.into();
        run.event = event;
        run.prepare = prepare.cloned();
        if unknown {
            return enforce::unknown_prepared(decision, event, run);
        }
        enforce::verdict(decision, event, run)
    }

    fn file(
        &mut self,
        known: &Known,
        judgement: Judgement<'_>,
        filing: &Filing<'_>,
    ) -> Result<(Seq, EventId), JournalError> {
        let worker = self.worker;
        let mut lane = worker.lane.borrow_mut();
        audit::tell_gap(&mut lane, worker, self.policy)?;
        let shape = worker.shapes.borrow_mut().write(&mut lane, known)?;
        let wall_us = self.now.wall_us;
        let event = lane.next_event_id(wall_us / 1_000);
        self.record.statements = self.record.statements.saturating_add(1);
        let status = status(self.status);
        if status == TxStatus::Idle {
            // Outside a block, each statement begins a transaction of its own; BEGIN begins the block's.
            self.record.transactions = self.record.transactions.saturating_add(1);
        }
        let sources = &worker.shared.config.end_user;
        let claims = end_user::claims(filing.comment.unwrap_or_default(), &sources.comment_keys);
        let intent = Intent {
            session: self.session,
            number: self.record.statements,
            kind: filing.kind,
            continues: filing.continues,
            text: filing.text,
            shape: Some(shape),
            parameters: List::Lent(filing.parameters),
            prepared_name: filing.prepared_name,
            portal: filing.portal,
            wall_us,
            mono_ns: self.now.mono_ns,
            transaction: self.record.transactions,
            status,
            judgement,
            end_user: claims
                .end_user
                .as_deref()
                .map(|name| end_user::claimed(name, EndUserSource::Comment)),
            role: None,
            trace: claims.trace,
        };
        Ok((lane.append(&Entry::Intent(intent))?, event))
    }
}

/// A name as SQL quotes it.
fn quoted(name: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(name).replace('"', "\"\""))
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

fn status(status: Option<wire::TxStatus>) -> TxStatus {
    match status {
        None | Some(wire::TxStatus::Idle) => TxStatus::Idle,
        Some(wire::TxStatus::Active) => TxStatus::Block,
        Some(wire::TxStatus::Failed) => TxStatus::Failed,
    }
}
