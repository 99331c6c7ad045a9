//! Makes statements that servers accept, over a schema that both engines have: tables with the columns a, b (numbers) and c.

mod change;
mod expression;
mod query;
mod spelling;
mod wrapping;

use crate::random::Random;

/// Which grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    Mysql,
    Mariadb,
}

/// Tables, with the schema of those that do not lie in the session's own; the name as the server has it.
pub(crate) const TABLES: [(&str, &str); 7] = [
    ("", "alpha"),
    ("", "beta"),
    ("", "Gamma"),
    ("", "order"),
    ("", "kappa_1"),
    ("side", "alpha"),
    ("side", "omega"),
];

/// Views of the session's own schema and the tables behind them.
pub(crate) const VIEWS: [(&str, &[&str]); 2] =
    [("seen", &["alpha"]), ("joined", &["beta", "Gamma"])];

/// How a statement is sent, and what of it the server can tell about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A query or a change: preparing it takes every lock.
    Plain,
    /// It must run before its locks show.
    Run,
    /// It defines something; `probe` makes the server look at what it names.
    Define,
}

/// A statement and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    /// What is sent behind a definition.
    pub(crate) probe: Option<&'static str>,
    /// What it changes for sure, as `schema.name`.
    pub(crate) targets: Vec<String>,
    /// Whether the server's locks say which tables are changed.
    pub(crate) exact: bool,
}

/// Makes statements.
pub(crate) struct Grammar {
    engine: Engine,
    random: Random,
    tokens: Vec<String>,
    /// What can be said of columns: the names by which FROM items are called, innermost last.
    scope: Vec<String>,
    ctes: Vec<String>,
    targets: Vec<String>,
    aliases: usize,
    depth: usize,
    exact: bool,
}

impl Grammar {
    pub(crate) fn new(engine: Engine, seed: u64) -> Self {
        Self {
            engine,
            random: Random(seed),
            tokens: Vec::new(),
            scope: Vec::new(),
            ctes: Vec::new(),
            targets: Vec::new(),
            aliases: 0,
            depth: 0,
            exact: true,
        }
    }

    /// The next statement.
    pub(crate) fn statement(&mut self) -> Statement {
        self.tokens.clear();
        self.scope.clear();
        self.ctes.clear();
        self.targets.clear();
        self.aliases = 0;
        self.depth = 0;
        self.exact = true;
        let (kind, probe) = match self.random.below(40) {
            0..=19 => {
                self.query(2);
                (Kind::Plain, None)
            }
            20..=25 => {
                self.insert();
                (Kind::Plain, None)
            }
            26..=30 => {
                self.update();
                (Kind::Plain, None)
            }
            31..=34 => {
                self.delete();
                (Kind::Plain, None)
            }
            35 | 36 if self.postgres() => {
                self.merge();
                (Kind::Plain, None)
            }
            _ => self.wrapped(),
        };
        Statement {
            sql: self.spelt(),
            kind,
            probe,
            targets: std::mem::take(&mut self.targets),
            exact: self.exact,
        }
    }

    fn postgres(&self) -> bool {
        self.engine == Engine::Postgres
    }

    /// Adds words as they are.
    fn say(&mut self, words: &str) {
        let words = words.split(' ').filter(|word| !word.is_empty());
        self.tokens.extend(words.map(str::to_owned));
    }

    /// A call: with MySQL's functions, nothing may stand before the bracket.
    fn call(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.tokens.push(format!("{name}("));
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.say(")");
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("x{}", self.aliases)
    }

    /// Runs `inside` between brackets, one level deeper.
    fn bracketed(&mut self, inside: impl FnOnce(&mut Self)) {
        self.say("(");
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.say(")");
    }

    /// A name as this engine quotes it, or not where it need not.
    fn quoted(&mut self, name: &str) -> String {
        let must = name == "order" || (self.postgres() && name == "Gamma");
        if !must && !self.random.one_in(4) {
            return match self.random.one_in(4) && self.postgres() {
                true => name.to_uppercase(),
                false => name.to_owned(),
            };
        }
        if self.postgres() {
            match name {
                "alpha" if self.random.one_in(3) => r#"U&"\0061lph\0061""#.to_owned(),
                _ => format!("\"{name}\""),
            }
        } else {
            format!("`{name}`")
        }
    }

    /// Names a table; its full name.
    fn table(&mut self) -> String {
        let place = self.random.below(TABLES.len());
        let (schema, name) = TABLES.get(place).copied().unwrap_or_default();
        let home = if self.postgres() { "public" } else { "app" };
        let written = self.quoted(name);
        let full = if schema.is_empty() { home } else { schema };
        // A name that a CTE hides must say where the table lies.
        let qualified =
            !schema.is_empty() || self.random.one_in(4) || self.ctes.iter().any(|cte| cte == name);
        if qualified {
            let schema = self.quoted(full);
            self.tokens.push(format!("{schema}.{written}"));
        } else {
            self.tokens.push(written);
        }
        format!("{full}.{name}")
    }
}
