//! Runs of sqlmap, and what they got.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use sqlward_tests::process::Process;

use crate::shop::{CARDS, Shop, python};

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Short,
    Long,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    /// The page, with a harmless value.
    pub(crate) page: &'static str,
    /// The parameter that is attacked.
    parameter: &'static str,
    /// sqlmap's letters: B boolean, E error, U union, S stacked, T time, Q inline.
    techniques: &'static str,
    /// `--level` and `--risk`.
    effort: (&'static str, &'static str),
    /// `--tamper`.
    tamper: Option<&'static str>,
}

/// What a run got.
pub(crate) struct Loot {
    /// How many of the cards it read.
    pub(crate) cards: usize,
    /// Whether sqlmap says that it found a way in.
    pub(crate) injectable: bool,
    /// How many requests it sent.
    pub(crate) requests: usize,
    /// What it said.
    pub(crate) output: String,
}

const PAGES: [(&str, &str); 5] = [
    ("/item?id=1", "id"),
    ("/user?name=ann", "name"),
    ("/search?q=lamp", "q"),
    ("/list?sort=id", "sort"),
    ("/note?id=1&text=hello", "text"),
];

/// Scripts that disguise: letter case, comments for blanks, BETWEEN for comparisons, quotes and words in codes.
const TAMPERS: [&str; 6] = [
    "space2comment,randomcase",
    "between,randomcomments",
    "charunicodeescape",
    "equaltolike,space2plus",
    "greatest,space2randomblank",
    "symboliclogical,multiplespaces",
];

impl Plan {
    /// `SQLWARD_SQLMAP=long`, or short.
    pub(crate) fn of_environment() -> Self {
        match std::env::var("SQLWARD_SQLMAP").as_deref() {
            Ok("long") => Plan::Long,
            _ => Plan::Short,
        }
    }

    /// What is tried.
    pub(crate) fn attacks(self) -> Vec<Attack> {
        let attack = |(page, parameter), techniques, effort, tamper| Attack {
            page,
            parameter,
            techniques,
            effort,
            tamper,
        };
        let item = ("/item?id=1", "id");
        if self == Plan::Short {
            return vec![
                attack(item, "EU", ("1", "1"), None),
                attack(item, "EU", ("1", "1"), Some("space2comment,randomcase")),
            ];
        }
        let mut all = Vec::new();
        for page in PAGES {
            all.push(attack(page, "BEUSTQ", ("5", "3"), None));
        }
        for technique in ["B", "E", "U", "S", "T", "Q"] {
            all.push(attack(item, technique, ("5", "3"), None));
        }
        for tamper in TAMPERS {
            all.push(attack(item, "BEU", ("5", "3"), Some(tamper)));
        }
        all
    }

    /// How many of the attacks must succeed without sqlward for their failure with it to mean anything.
    pub(crate) fn least_dumps(self) -> usize {
        match self {
            Plan::Short => 2,
            Plan::Long => 10,
        }
    }
}

impl Attack {
    /// Attacks a shop before a server of this product, as sqlmap calls it: payloads for others can do nothing there.
    pub(crate) fn run(&self, shop: &Shop, (product, schema): (&str, &str)) -> Result<Loot> {
        let folder = tempfile::Builder::new()
            .prefix("sqlward-sqlmap-")
            .tempdir()?;
        let traffic = folder.path().join("traffic");
        let sqlmap = python()?.with_file_name("sqlmap");
        let mut command = Command::new(sqlmap);
        command
            .args([
                "--batch",
                "--disable-coloring",
                "--flush-session",
                "--threads",
                "4",
            ])
            .args(["--time-sec", "1", "--timeout", "20", "--retries", "0"])
            .args(["--url", &shop.address(self.page), "-p", self.parameter])
            .args(["--dbms", product, "--technique", self.techniques])
            .args(["--level", self.effort.0, "--risk", self.effort.1])
            .args(["-D", schema, "-T", "cards", "--dump"])
            .arg("--output-dir")
            .arg(folder.path())
            .arg("-t")
            .arg(&traffic)
            .env("HOME", folder.path());
        if let Some(tamper) = self.tamper {
            command.args(["--tamper", tamper]);
        }
        let mut process = Process::start("sqlmap", command)?;
        process.wait(LIMIT).with_context(|| self.to_string())?;
        let output = process.output();
        let mut read = output.clone();
        collect(folder.path(), &mut read)?;
        Ok(Loot {
            cards: CARDS.iter().filter(|card| read.contains(**card)).count(),
            injectable: output.contains("identified the following injection point"),
            requests: fs::read_to_string(&traffic)
                .unwrap_or_default()
                .matches("HTTP request [")
                .count(),
            output,
        })
    }
}

/// How long a run may take.
const LIMIT: Duration = Duration::from_secs(1_200);

/// Everything that sqlmap has written into tables.
fn collect(folder: &Path, into: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|ending| ending == "csv") {
            into.push_str(&String::from_utf8_lossy(&fs::read(&path)?));
        }
    }
    Ok(())
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (level, risk) = self.effort;
        write!(
            f,
            "{} {} level {level} risk {risk}",
            self.page, self.techniques
        )?;
        match self.tamper {
            Some(tamper) => write!(f, " {tamper}"),
            None => Ok(()),
        }
    }
}
