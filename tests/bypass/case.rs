//! The tables of cases: what is sent, what the server is known to do, what sqlward must say.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// What a server did with the protected table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Did {
    /// Its row came back, or stands elsewhere now.
    Reads,
    /// Its row, name, owner or rights are not what they were.
    Changes,
    Nothing,
}

/// What sqlward says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Judged {
    /// It refuses a statement.
    Denied,
    /// It lets them all pass, and nothing happens to the table.
    Passes,
    /// It lets them all pass although the server does it: what ARCHITECTURE.md names as a limit.
    Limit,
}

/// What a case says of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) did: Did,
    pub(crate) judged: Judged,
}

/// One attack.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: &'static str,
    /// How its lines are sent.
    pub(crate) way: &'static str,
    /// One for all servers, or one for each.
    pub(crate) expected: Vec<Expected>,
    pub(crate) lines: Vec<Vec<u8>>,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) did: Did,
    pub(crate) refused: bool,
}

impl Case {
    /// What it says of the server with this number.
    pub(crate) fn of(&self, server: usize) -> Result<Expected> {
        let one = self.expected.get(server).or_else(|| self.expected.first());
        one.copied().context("no expectation")
    }

    /// Its text, for people.
    pub(crate) fn text(&self) -> String {
        let lines = self
            .lines
            .iter()
            .map(|line| line.escape_ascii().to_string());
        lines.collect::<Vec<_>>().join("\n      ")
    }
}

/// Reads a table: `= id | way | did judged [| did judged]`, then the lines to send, one each.
///
/// `//` starts a comment, `\xNN` in a line is a byte.
pub(crate) fn table(text: &'static str) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let Some(head) = line.strip_prefix("= ") else {
            let case = cases
                .last_mut()
                .with_context(|| format!("no case: {line}"))?;
            case.lines.push(unescape(line)?);
            continue;
        };
        let mut fields = head.split(" | ");
        let id = fields.next().unwrap_or_default();
        ensure!(cases.iter().all(|known| known.id != id), "{id}: twice");
        cases.push(Case {
            id,
            way: fields.next().with_context(|| format!("{id}: no way"))?,
            expected: fields
                .map(expected)
                .collect::<Result<_>>()
                .with_context(|| id.to_owned())?,
            lines: Vec::new(),
        });
    }
    if let Some(case) = cases.iter().find(|case| case.lines.is_empty()) {
        bail!("{}: nothing to send", case.id);
    }
    Ok(cases)
}

fn expected(field: &str) -> Result<Expected> {
    let (did, judged) = field.split_once(' ').context("two words")?;
    let did = match did {
        "reads" => Did::Reads,
        "changes" => Did::Changes,
        "nothing" => Did::Nothing,
        other => bail!("`{other}` is nothing that a server does"),
    };
    let judged = match judged {
        "denied" => Judged::Denied,
        "passes" => Judged::Passes,
        "limit" => Judged::Limit,
        other => bail!("`{other}` is nothing that sqlward says"),
    };
    ensure!(
        match judged {
            Judged::Denied => true,
            Judged::Passes => did == Did::Nothing,
            Judged::Limit => did != Did::Nothing,
        },
        "{did:?} and {judged:?} don't go together"
    );
    Ok(Expected { did, judged })
}

fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut parts = text.split(r"\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).context("two digits")?;
        bytes.push(u8::from_str_radix(digits, 16)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(bytes)
}

/// A server with the protected table, and a proxy before it whose policy protects the table.
pub(crate) trait Range {
    /// Makes everything as it was, sends the case past the proxy or through it, and looks.
    fn run(&mut self, case: &Case, guarded: bool) -> Result<Seen>;
}

/// Runs every case both ways.
pub(crate) fn check(range: &mut impl Range, server: usize, cases: &[Case]) -> Result<()> {
    let only = std::env::var("SQLWARD_BYPASS").unwrap_or_default();
    let (mut wrong, mut tally) = (Vec::new(), Tally::default());
    for case in cases.iter().filter(|case| case.id.contains(&only)) {
        let expected = case.of(server)?;
        let start = Instant::now();
        let bare = range
            .run(case, false)
            .with_context(|| format!("{}, bare", case.id))?;
        let guarded = range.run(case, true).with_context(|| case.id.to_owned())?;
        if start.elapsed() > SLOW {
            println!("{}: {:?}", case.id, start.elapsed());
        }
        if let Some(verdict) = verdict(expected, bare, guarded) {
            wrong.push(format!(
                "{}: {verdict}; bare {bare:?}, guarded {guarded:?}\n      {}",
                case.id,
                case.text()
            ));
        }
        tally.count(expected);
    }
    println!("{tally}");
    ensure!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    Ok(())
}

fn verdict(expected: Expected, bare: Seen, guarded: Seen) -> Option<&'static str> {
    let let_through = guarded.did != Did::Nothing && expected.judged != Judged::Limit;
    if let_through && !guarded.refused {
        return Some("BYPASSED");
    }
    if let_through {
        return Some("refused, and done all the same");
    }
    if bare.did != expected.did {
        return Some("the server does something else");
    }
    let refused = expected.judged == Judged::Denied;
    if guarded.refused != refused {
        return Some(if refused { "not refused" } else { "refused" });
    }
    (expected.judged == Judged::Limit && guarded.did != bare.did).then_some("no limit any more")
}

/// What takes longer is named.
const SLOW: Duration = Duration::from_secs(3);

#[derive(Default)]
struct Tally {
    stopped: usize,
    harmless: usize,
    cautious: usize,
    limits: usize,
}

impl Tally {
    fn count(&mut self, expected: Expected) {
        *match (expected.did, expected.judged) {
            (_, Judged::Limit) => &mut self.limits,
            (Did::Nothing, Judged::Denied) => &mut self.cautious,
            (Did::Nothing, _) => &mut self.harmless,
            (Did::Reads | Did::Changes, _) => &mut self.stopped,
        } += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} attacks stopped, {} that do nothing let pass, {} refused, {} known limits",
            self.stopped, self.harmless, self.cautious, self.limits
        )
    }
}
