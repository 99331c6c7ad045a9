//! What the tokens alone can tell about a text that can't be read: commands, names, no more.

use super::functions;
use super::lex::Lexer;
use super::parse::spelling;
use super::state::MysqlLex;
use super::token::{Kind, Token};
use super::word::{Reserved, Word as W};
use crate::statement::ClientCharset;
use crate::statement::facts::{Name, ObjectAccess, StatementFacts, strength};
use crate::vocabulary::{Access, Class, Egress, ObjectKind, Verb, WhereShape};

/// Best-effort facts of each statement; there is at least one.
pub(super) fn facts(text: &[u8], lex: &MysqlLex) -> Vec<StatementFacts> {
    let mut statements = Vec::new();
    let mut draft = Draft::default();
    let charset = lex.charset.unwrap_or(ClientCharset::Utf8);
    if text.len() < u32::MAX as usize {
        let mut lexer = Lexer::new(text, lex);
        for _ in 0..MAX_TOKENS {
            let Ok(Some(token)) = lexer.next_token() else {
                break;
            };
            if token.kind == Kind::Semicolon {
                statements.extend(std::mem::take(&mut draft).finish());
                if statements.len() >= MAX_STATEMENTS {
                    return statements;
                }
            } else {
                draft.push(token, text, charset, lex.folds_names);
            }
        }
    }
    statements.extend(draft.finish());
    if statements.is_empty() {
        statements.push(StatementFacts::new(Verb::Unknown, Class::Utility));
    }
    statements
}

/// The facts of a statement as its tokens come in.
#[derive(Default)]
struct Draft {
    facts: Option<StatementFacts>,
    chain: Vec<Box<str>>,
    dotted: bool,
    where_seen: bool,
}

impl Draft {
    fn push(&mut self, token: Token, text: &[u8], charset: ClientCharset, folds: bool) {
        if token.kind == Kind::Dot {
            self.dotted = true;
            return;
        }
        if matches!(token.kind, Kind::Word | Kind::Name | Kind::Quoted) {
            if token.kind == Kind::Word {
                self.word(token.word);
                if token.word.reserved() == Reserved::Both {
                    self.dotted = false;
                    self.flush();
                    return;
                }
            }
            if !std::mem::take(&mut self.dotted) {
                self.flush();
            }
            let name = spelling(text, token, charset).map_or_else(
                || String::from_utf8_lossy(token.bytes(text)).into(),
                |name| name.into_owned(),
            );
            let name = if folds { name.to_lowercase() } else { name };
            self.chain.push(name.into());
            return;
        }
        if token.kind == Kind::Open {
            self.call();
        }
        self.dotted = false;
        self.flush();
    }

    /// An unquoted word may be a command.
    fn word(&mut self, word: W) {
        self.where_seen |= word == W::Where;
        let Some((verb, class)) = command(word) else {
            self.facts
                .get_or_insert_with(|| StatementFacts::new(Verb::Unknown, Class::Utility));
            self.mark(word);
            return;
        };
        match &mut self.facts {
            None => self.facts = Some(StatementFacts::new(verb, class)),
            Some(facts) => {
                if !facts.verbs.contains(&verb) && facts.verbs.len() < MAX_VERBS {
                    facts.verbs.push(verb);
                }
                if facts.verb == Verb::Unknown {
                    facts.verb = verb;
                }
                if strength(class) > strength(facts.class) {
                    facts.class = class;
                }
            }
        }
    }

    /// Words that speak of ways out.
    fn mark(&mut self, word: W) {
        let egress = match word {
            W::Outfile | W::Dumpfile => Egress::IntoOutfile,
            W::Infile => Egress::LoadInfile,
            W::Soname => Egress::Code,
            _ => return,
        };
        if let Some(facts) = &mut self.facts
            && !facts.egress.contains(&egress)
        {
            facts.egress.push(egress);
        }
    }

    /// A name before a bracket may be a function.
    fn call(&mut self) {
        let Some(name) = self.take_name() else {
            return;
        };
        let Some(facts) = &mut self.facts else {
            return;
        };
        let folded = Name {
            schema: name.schema.clone(),
            name: name.name.to_lowercase().into(),
        };
        if let Some(mark) = functions::mark(folded.schema.as_deref(), &folded.name) {
            facts.dynamic |= mark.dynamic;
            facts
                .egress
                .extend(mark.egress.filter(|egress| !facts.egress.contains(egress)));
            if let Some(class) = mark
                .class
                .filter(|&class| strength(class) > strength(facts.class))
            {
                facts.class = class;
            }
        }
        if facts.objects.len() < MAX_NAMES {
            // It may as well be a table with a list of columns.
            facts.objects.push(ObjectAccess {
                kind: ObjectKind::Relation,
                name,
                access: Access::Refer,
            });
            facts.functions.push(folded);
        }
    }

    fn take_name(&mut self) -> Option<Name> {
        let mut parts = std::mem::take(&mut self.chain).into_iter().rev();
        let name = parts.next()?;
        Some(Name {
            schema: parts.next(),
            name,
        })
    }

    /// Every name may be an object.
    fn flush(&mut self) {
        let Some(name) = self.take_name() else {
            return;
        };
        if let Some(facts) = &mut self.facts
            && facts.objects.len() < MAX_NAMES
        {
            facts.objects.push(ObjectAccess {
                kind: ObjectKind::Relation,
                name,
                access: Access::Refer,
            });
        }
    }

    fn finish(mut self) -> Option<StatementFacts> {
        self.flush();
        let mut facts = self.facts?;
        facts.objects.sort();
        facts.objects.dedup();
        facts.functions.sort();
        facts.functions.dedup();
        let changes = |verb: &Verb| matches!(verb, Verb::Update | Verb::Delete);
        if facts.verbs.iter().any(changes) {
            facts.where_shape = if self.where_seen {
                WhereShape::Restricting
            } else {
                WhereShape::Absent
            };
        }
        Some(facts)
    }
}

/// The command that a word stands for, and the class that it has at most in everyday use.
fn command(word: W) -> Option<(Verb, Class)> {
    Some(match word {
        W::Select | W::Table | W::Values | W::With => (Verb::Select, Class::Read),
        W::Insert | W::Replace => (Verb::Insert, Class::Write),
        W::Update => (Verb::Update, Class::Write),
        W::Delete => (Verb::Delete, Class::Write),
        W::Truncate => (Verb::Truncate, Class::Write),
        W::Load => (Verb::Load, Class::Admin),
        W::Create => (Verb::Create, Class::Ddl),
        W::Alter | W::Rename => (Verb::Alter, Class::Ddl),
        W::Drop => (Verb::Drop, Class::Ddl),
        W::Grant => (Verb::Grant, Class::Dcl),
        W::Revoke => (Verb::Revoke, Class::Dcl),
        W::Begin => (Verb::Begin, Class::Tcl),
        W::Commit => (Verb::Commit, Class::Tcl),
        W::Rollback => (Verb::Rollback, Class::Tcl),
        W::Savepoint => (Verb::Savepoint, Class::Tcl),
        W::Xa => (Verb::PrepareTransaction, Class::Tcl),
        W::Lock => (Verb::Lock, Class::Utility),
        W::Set => (Verb::Set, Class::Session),
        W::Show => (Verb::Show, Class::Session),
        W::Explain | W::Describe => (Verb::Explain, Class::Read),
        W::Prepare => (Verb::Prepare, Class::Session),
        W::Execute => (Verb::Execute, Class::Session),
        W::Do => (Verb::Do, Class::Write),
        W::Call => (Verb::Call, Class::Write),
        W::Handler => (Verb::Handler, Class::Read),
        W::Kill => (Verb::Kill, Class::Admin),
        W::Flush => (Verb::Flush, Class::Admin),
        W::Purge => (Verb::Purge, Class::Admin),
        W::Install | W::Uninstall => (Verb::Install, Class::Admin),
        W::Shutdown => (Verb::Shutdown, Class::Admin),
        W::Change => (Verb::ChangeReplication, Class::Admin),
        W::Binlog => (Verb::Binlog, Class::Admin),
        W::Clone => (Verb::Clone, Class::Admin),
        W::Analyze => (Verb::Analyze, Class::Utility),
        _ => return None,
    })
}

/// How much of a text that can't be read is looked at.
const MAX_TOKENS: usize = 100_000;
/// How many statements, verbs and names are told of a text that can't be read.
const MAX_STATEMENTS: usize = 256;
const MAX_VERBS: usize = 16;
const MAX_NAMES: usize = 1024;
