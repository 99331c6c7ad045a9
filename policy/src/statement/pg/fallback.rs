//! What the scanner alone can tell about a text that can't be read: commands, names, no more.

use crate::statement::Limits;
use crate::statement::facts::{Name, ObjectAccess, StatementFacts};
use crate::vocabulary::{Access, Class, ObjectKind, Verb, WhereShape};

use super::functions;
use super::lex::Lexer;
use super::token::{Kind, Token};
use super::walk::strength;

/// Best-effort facts of each statement; there is at least one.
pub(crate) fn facts(text: &[u8], conforming: bool, limits: &Limits) -> Vec<StatementFacts> {
    let mut statements = Vec::new();
    let mut draft = Draft::default();
    let mut lexer = Lexer::new(text, conforming, limits);
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
            draft.push(&token, text);
        }
    }
    statements.extend(draft.finish());
    if statements.is_empty() {
        statements.push(StatementFacts::new(Verb::Unknown, Class::Utility));
    }
    statements
}

/// The facts of a statement as its tokens come in.
#[derive(Debug, Default)]
struct Draft {
    facts: Option<StatementFacts>,
    first: String,
    chain: Vec<String>,
    dotted: bool,
    where_seen: bool,
}

impl Draft {
    fn push(&mut self, token: &Token, text: &[u8]) {
        match token.kind {
            Kind::Dot => {
                self.dotted = true;
                return;
            }
            kind if kind.is_name() => {
                let name = name_of(token, text);
                if token.kind == Kind::Word {
                    self.word(&name);
                }
                if !std::mem::take(&mut self.dotted) {
                    self.flush(Access::Refer);
                }
                self.chain.push(name);
                return;
            }
            Kind::OpenParen => self.call(),
            _ => {}
        }
        self.dotted = false;
        self.flush(Access::Refer);
    }

    /// An unquoted word may be a command.
    fn word(&mut self, word: &str) {
        self.where_seen |= word == "where";
        let Some((verb, class)) = command(word) else {
            if self.facts.is_none() {
                self.first = word.to_owned();
                self.facts = Some(StatementFacts::new(Verb::Unknown, Class::Utility));
            }
            return;
        };
        match &mut self.facts {
            None => {
                self.first = word.to_owned();
                self.facts = Some(StatementFacts::new(verb, class));
            }
            Some(facts) => {
                // Commands that also are words of other commands name no verb, but their class counts.
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

    /// A name before a bracket may be a function.
    fn call(&mut self) {
        let Some(name) = self.take_name() else {
            return;
        };
        let Some(facts) = &mut self.facts else {
            return;
        };
        if let Some(mark) = functions::mark(name.schema.as_deref(), &name.name) {
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
            let kind = ObjectKind::Relation;
            facts.objects.push(ObjectAccess {
                kind,
                name: name.clone(),
                access: Access::Refer,
            });
            facts.functions.push(name);
        }
    }

    fn take_name(&mut self) -> Option<Name> {
        let mut parts = std::mem::take(&mut self.chain).into_iter().rev();
        let name = parts.next()?.into();
        Some(Name {
            schema: parts.next().map(Into::into),
            name,
        })
    }

    /// Every name may be an object.
    fn flush(&mut self, access: Access) {
        let Some(name) = self.take_name() else {
            return;
        };
        if let Some(facts) = &mut self.facts
            && facts.objects.len() < MAX_NAMES
        {
            facts.objects.push(ObjectAccess {
                kind: ObjectKind::Relation,
                name,
                access,
            });
        }
    }

    fn finish(mut self) -> Option<StatementFacts> {
        self.flush(Access::Refer);
        let mut facts = self.facts?;
        facts.objects.sort();
        facts.objects.dedup();
        facts.functions.sort();
        facts.functions.dedup();
        if facts
            .verbs
            .iter()
            .any(|verb| matches!(verb, Verb::Update | Verb::Delete))
        {
            facts.where_shape = if self.where_seen {
                WhereShape::Restricting
            } else {
                WhereShape::Absent
            };
        }
        Some(facts)
    }
}

/// A name, folded and truncated as the server does, as far as that needs no grammar.
fn name_of(token: &Token, text: &[u8]) -> String {
    let bytes = token.bytes(text);
    let mut name = String::from_utf8_lossy(bytes).into_owned();
    match token.kind {
        Kind::Word => name.make_ascii_lowercase(),
        _ => {
            let open = name.find('"').map_or(0, |quote| quote + 1);
            let inner = name
                .get(open..name.len().saturating_sub(1))
                .unwrap_or_default();
            name = inner.replace("\"\"", "\"");
        }
    }
    let mut end = name.len().min(63);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

/// The command that a word stands for, and the class that it has at most in everyday use.
fn command(word: &str) -> Option<(Verb, Class)> {
    Some(match word {
        "select" | "table" | "values" | "with" => (Verb::Select, Class::Read),
        "insert" => (Verb::Insert, Class::Write),
        "update" => (Verb::Update, Class::Write),
        "delete" => (Verb::Delete, Class::Write),
        "merge" => (Verb::Merge, Class::Write),
        "truncate" => (Verb::Truncate, Class::Write),
        "copy" => (Verb::Copy, Class::Write),
        "load" => (Verb::Load, Class::Admin),
        "create" => (Verb::Create, Class::Ddl),
        "alter" => (Verb::Alter, Class::Ddl),
        "drop" => (Verb::Drop, Class::Ddl),
        "comment" => (Verb::Comment, Class::Ddl),
        "security" => (Verb::SecurityLabel, Class::Dcl),
        "grant" => (Verb::Grant, Class::Dcl),
        "revoke" => (Verb::Revoke, Class::Dcl),
        "reassign" => (Verb::Reassign, Class::Dcl),
        "begin" | "start" => (Verb::Begin, Class::Tcl),
        "commit" => (Verb::Commit, Class::Tcl),
        "rollback" | "abort" => (Verb::Rollback, Class::Tcl),
        "savepoint" | "release" => (Verb::Savepoint, Class::Tcl),
        "lock" => (Verb::Lock, Class::Utility),
        "set" => (Verb::Set, Class::Session),
        "reset" | "discard" => (Verb::Reset, Class::Session),
        "show" => (Verb::Show, Class::Session),
        "explain" => (Verb::Explain, Class::Read),
        "prepare" => (Verb::Prepare, Class::Session),
        "execute" => (Verb::Execute, Class::Session),
        "deallocate" => (Verb::Deallocate, Class::Session),
        "declare" => (Verb::Declare, Class::Session),
        "fetch" | "move" => (Verb::Fetch, Class::Session),
        "close" => (Verb::Close, Class::Session),
        "do" => (Verb::Do, Class::Write),
        "call" => (Verb::Call, Class::Write),
        "listen" | "unlisten" => (Verb::Listen, Class::Session),
        "notify" => (Verb::Notify, Class::Session),
        "vacuum" => (Verb::Vacuum, Class::Utility),
        "analyze" | "analyse" => (Verb::Analyze, Class::Utility),
        "cluster" => (Verb::Cluster, Class::Utility),
        "reindex" => (Verb::Reindex, Class::Utility),
        "refresh" => (Verb::Refresh, Class::Write),
        "checkpoint" => (Verb::Checkpoint, Class::Admin),
        "import" => (Verb::Import, Class::Ddl),
        _ => return None,
    })
}

/// How much of a text that can't be read is looked at.
const MAX_TOKENS: usize = 100_000;
/// How many statements, verbs and names are told of a text that can't be read.
const MAX_STATEMENTS: usize = 256;
const MAX_VERBS: usize = 16;
const MAX_NAMES: usize = 1024;
