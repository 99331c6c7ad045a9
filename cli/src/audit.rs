//! `sqlward audit`: who did what.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use sqlward_audit_store::{
    query::{
        Archive, AuditQuery, Cell, Dimension, Extent, Measure, Order, Row, SessionEntry,
        SessionRow, SqlRange, Table,
    },
    record::{IntentKind, SessionId},
};
use sqlward_policy::vocabulary::{Action, Class, Severity, Verb};

use crate::{
    output::{self, Format},
    source::{Place, Source},
    values::{
        action, class, dimension, duration, fingerprint, kind, measure, network, severity, time,
        verb,
    },
};

/// What people see of a statement unless they ask for more.
const BRIEF: [&str; 11] = [
    "at", "event_id", "user", "client", "database", "decision", "rules", "rows", "affected",
    "error", "text",
];

/// Ask who did what.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Find statements.
    #[command(after_help = "\
Examples:
  sqlward audit search --data ./data --decision deny --from 24h
  sqlward audit search --data ./data --user app --object finance.* --verb update,delete --format csv
  sqlward audit search --data ./data --text 'balance' --min-duration 1s --columns all --format json

Times are RFC 3339, a date (UTC), or a time span that reaches back from now (90m, 24h, 7d).
Names take * for any characters; a comma separates alternatives.")]
    Search(Box<Search>),
    /// Show a whole session in order: start, authentication, statements, end.
    #[command(after_help = "Example:\n  sqlward audit session 1763880000000001 --data ./data")]
    Session {
        /// The session's number, as `search` shows it.
        id: SessionId,
        #[command(flatten)]
        answer: Answer,
    },
    /// Rank by any dimension and measure.
    #[command(after_help = "\
Examples:
  sqlward audit top --data ./data --by user
  sqlward audit top --data ./data --by object --measure rows --from 7d --limit 20")]
    Top(Box<Top>),
    /// How many statements are recorded in full, and why others are not.
    #[command(after_help = "\
Example:
  sqlward audit coverage --data ./data --from 24h

A statement that is not recorded in full counts under the first reason that holds: lost-outcome (its end is not
known), digest or no-parameters (`record` of its rule), redaction (secrets and `[[redact]]`), truncation (longer than
what a record keeps), gap (it passed without a record, as audit_failure = \"allow\" lets it).")]
    Coverage {
        /// Begun at or after this time.
        #[arg(long, value_parser = time)]
        from: Option<u64>,
        /// Begun before this time.
        #[arg(long, value_parser = time)]
        to: Option<u64>,
        #[command(flatten)]
        answer: Answer,
    },
    /// Write a time range, or a session, into a file that anyone can verify with the public key alone.
    Export(crate::proof::Export),
    /// Verify a store or a bundle: the hash chain, every row against its journal entry, the tree, and signed checkpoints.
    Verify(crate::proof::Verify),
    /// Keep days past retention: legal holds.
    #[command(subcommand)]
    Hold(crate::hold::HoldCommand),
    /// Make the key that signs checkpoints.
    Keygen(crate::proof::Keygen),
    /// Ask in SQL (of SQLite, or of ClickHouse with --store), read-only, over `statements`, `sessions`, `administration`.
    #[command(after_help = "\
With --data, the tables show whole days (UTC): the last ten that are stored, or the last ten of the range that --from and
--to choose. If there are more, standard error says which were read.

Examples:
  sqlward audit sql \"SELECT user, count(*) FROM statements WHERE decision = 'deny' GROUP BY user\" --data ./data
  sqlward audit sql \"SELECT count(*) FROM sessions\" --data ./data --from 2026-11-01 --to 2026-11-11")]
    Sql {
        /// One query.
        query: String,
        /// From this time on (only with --data; days count whole).
        #[arg(long, value_parser = time)]
        from: Option<u64>,
        /// Before this time (only with --data; days count whole).
        #[arg(long, value_parser = time)]
        to: Option<u64>,
        #[command(flatten)]
        answer: Answer,
    },
}

/// Rank by any dimension and measure.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// What to rank.
    #[arg(long, value_parser = dimension, default_value = "user")]
    by: Dimension,
    /// By which measure.
    #[arg(long, value_parser = measure, default_value = "count")]
    measure: Measure,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    answer: Answer,
}

/// Find statements.
#[derive(Debug, Args)]
pub(crate) struct Search {
    #[command(flatten)]
    filter: Filter,
    /// Columns to show, or `all`.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    columns: Vec<String>,
    /// In which order.
    #[arg(long, value_enum, default_value = "newest")]
    order: Ordering,
    #[command(flatten)]
    answer: Answer,
}

/// Where the answer comes from, and how it is printed.
#[derive(Debug, Args)]
pub(crate) struct Answer {
    #[command(flatten)]
    place: Place,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Rows at most; 0 for all.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// Which statements are meant; all of it must hold.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Begun at or after this time.
    #[arg(long, value_parser = time)]
    from: Option<u64>,
    /// Begun before this time.
    #[arg(long, value_parser = time)]
    to: Option<u64>,
    /// Database user.
    #[arg(long, value_delimiter = ',')]
    user: Vec<String>,
    /// End user.
    #[arg(long, value_delimiter = ',')]
    end_user: Vec<String>,
    /// Client address or network (CIDR).
    #[arg(long, value_delimiter = ',', value_parser = network)]
    client: Vec<IpNet>,
    /// Application name.
    #[arg(long, value_delimiter = ',')]
    application: Vec<String>,
    /// Database.
    #[arg(long, value_delimiter = ',')]
    database: Vec<String>,
    /// Verb, nested ones included (select, update, …).
    #[arg(long, value_delimiter = ',', value_parser = verb)]
    verb: Vec<Verb>,
    /// Class (read, write, ddl, dcl, …).
    #[arg(long, value_delimiter = ',', value_parser = class)]
    class: Vec<Class>,
    /// Object: name, or schema.name.
    #[arg(long, value_delimiter = ',')]
    object: Vec<String>,
    /// Decision carried out (allow, alert, deny, terminate).
    #[arg(long, value_delimiter = ',', value_parser = action)]
    decision: Vec<Action>,
    /// Decision of the rules, carried out or only observed.
    #[arg(long, value_delimiter = ',', value_parser = action)]
    judged: Vec<Action>,
    /// Rule that matched.
    #[arg(long, value_delimiter = ',')]
    rule: Vec<String>,
    /// The least severity.
    #[arg(long, value_parser = severity)]
    severity: Option<Severity>,
    /// Session number.
    #[arg(long)]
    session: Option<SessionId>,
    /// Error code (SQLSTATE); * for any.
    #[arg(long, value_delimiter = ',')]
    error: Vec<String>,
    /// The least duration (500us, 20ms, 1.5s).
    #[arg(long, value_parser = duration)]
    min_duration: Option<u64>,
    /// The least number of rows returned or affected.
    #[arg(long)]
    min_rows: Option<u64>,
    /// Characters in the statement text.
    #[arg(long)]
    text: Option<String>,
    /// Fingerprint, 32 hexadecimal digits.
    #[arg(long, value_parser = fingerprint)]
    fingerprint: Option<[u8; 16]>,
    /// By which message (simple, prepare, execute, fetch, function-call).
    #[arg(long, value_delimiter = ',', value_parser = kind)]
    kind: Vec<IntentKind>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ordering {
    Newest,
    Oldest,
    Longest,
    MostRows,
}

impl Audit {
    /// Carry it out.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Search(search) => search.run()?,
            Self::Session { id, answer } => {
                let entries = answer.source()?.session(id)?;
                answer.place.note(entries.len())?;
                if entries.is_empty() {
                    bail!("no session {id} in `{}`", answer.place);
                }
                story(&entries, answer.format)?;
            }
            Self::Top(top) => top.run()?,
            Self::Coverage { from, to, answer } => {
                let coverage = answer.source()?.coverage(from, to)?;
                let mut table = Table::new(&["extent", "statements", "percent"]);
                for extent in Extent::ALL {
                    table.rows.push(vec![
                        extent.as_str().to_owned().into(),
                        i64::try_from(coverage.count(extent))?.into(),
                        Cell::Real((coverage.percent(extent) * 1000.0).round() / 1000.0),
                    ]);
                }
                answer.place.note(table.rows.len())?;
                output::table(&table, answer.format)?;
            }
            Self::Export(export) => return export.run(),
            Self::Verify(verify) => return verify.run(),
            Self::Hold(hold) => hold.run()?,
            Self::Keygen(keygen) => return keygen.run(),
            Self::Sql {
                query,
                from,
                to,
                answer,
            } => {
                let range = SqlRange {
                    from,
                    to,
                    limit: answer.limit(),
                };
                let found = answer.source()?.sql(&query, range)?;
                answer.place.note(found.table.rows.len())?;
                if let Some(partly) = found.partly {
                    eprintln!("note: {partly}; --from and --to choose others");
                }
                output::table(&found.table, answer.format)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Top {
    fn run(self) -> Result<()> {
        let most = if self.answer.limit == 0 {
            usize::MAX
        } else {
            self.answer.limit
        };
        let source = self.answer.source()?;
        let ranking = source.top(self.by, self.measure, &self.filter.query(), most)?;
        self.answer.place.note(ranking.len())?;
        let mut table = Table::new(&["value", "measure"]);
        table.rows = ranking
            .into_iter()
            .map(|entry| vec![entry.value.into(), entry.measure.into()])
            .collect();
        output::table(&table, self.answer.format)
    }
}

impl Search {
    fn run(self) -> Result<()> {
        let query = AuditQuery {
            limit: self.answer.limit(),
            order: match self.order {
                Ordering::Newest => Order::Newest,
                Ordering::Oldest => Order::Oldest,
                Ordering::Longest => Order::Longest,
                Ordering::MostRows => Order::MostRows,
            },
            ..self.filter.query()
        };
        let rows = self.answer.source()?.search(&query)?;
        self.answer.place.note(rows.len())?;
        let mut table = Table::new(Row::COLUMNS);
        table.rows = rows.iter().map(Row::cells).collect();
        let table = match self.columns.as_slice() {
            // Programs get everything; people get what fits.
            [] if !matches!(self.answer.format, Format::Table) => table,
            [] => table.select(&BRIEF),
            [all] if all == "all" => table,
            names => {
                let unknown: Vec<&str> = names
                    .iter()
                    .map(String::as_str)
                    .filter(|name| !Row::COLUMNS.contains(name))
                    .collect();
                if !unknown.is_empty() {
                    bail!(
                        "no such column: {}; there are: {}",
                        unknown.join(", "),
                        Row::COLUMNS.join(", ")
                    );
                }
                table.select(&names.iter().map(String::as_str).collect::<Vec<_>>())
            }
        };
        output::table(&table, self.answer.format)
    }
}

impl Answer {
    fn source(&self) -> Result<Source> {
        self.place.open()
    }

    fn limit(&self) -> Option<usize> {
        (self.limit > 0).then_some(self.limit)
    }
}

/// The store of a data folder.
pub(crate) fn archive(data: &Path) -> Result<Archive> {
    Archive::open(&data.join("store"))
        .with_context(|| format!("`{}` holds no audit store of sqlward", data.display()))
}

impl Filter {
    fn query(&self) -> AuditQuery {
        AuditQuery {
            from: self.from,
            to: self.to,
            user: self.user.clone(),
            end_user: self.end_user.clone(),
            client: self.client.clone(),
            application: self.application.clone(),
            database: self.database.clone(),
            verb: self.verb.clone(),
            class: self.class.clone(),
            object: self.object.clone(),
            decision: self.decision.clone(),
            judged: self.judged.clone(),
            rule: self.rule.clone(),
            severity: self.severity,
            session: self.session,
            error: self.error.clone(),
            min_duration: self.min_duration,
            min_rows: self.min_rows,
            text: self.text.clone(),
            fingerprint: self.fingerprint,
            kind: self.kind.clone(),
            completion: Vec::new(),
            limit: None,
            order: Order::Newest,
        }
    }
}

/// Print a session: steps and statements in one order, in JSON each with all it has.
fn story(entries: &[SessionEntry], format: Format) -> Result<()> {
    if let Format::Json = format {
        let lines: Result<Vec<String>, _> = entries.iter().map(serde_json::to_string).collect();
        let text = lines?.join("\n") + "\n";
        return output::quietly(std::io::Write::write_all(
            &mut std::io::stdout(),
            text.as_bytes(),
        ));
    }
    let mut statements = Table::new(Row::COLUMNS);
    let mut steps = Table::new(SessionRow::COLUMNS);
    for entry in entries {
        match entry {
            SessionEntry::Event(event) => steps.rows.push(event.cells()),
            SessionEntry::Statement(row) => statements.rows.push(row.cells()),
        }
    }
    output::table(&steps, format)?;
    println!();
    let statements = match format {
        Format::Table => statements.select(&BRIEF),
        Format::Json | Format::Csv => statements,
    };
    output::table(&statements, format)
}
