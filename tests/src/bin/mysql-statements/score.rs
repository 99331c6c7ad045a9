//! Compares what sqlward reads with what the server has said.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Deserialize;
use sqlward_tests::mysql::Product;
use sqlward_tests::paths::{repository, sqlward};

use super::Statement;

/// A line of `sqlward policy judge`.
#[derive(Deserialize)]
struct Judgement {
    id: usize,
    #[serde(default)]
    readable: bool,
    #[serde(default)]
    objects: Vec<String>,
    error: Option<String>,
}

#[derive(Default)]
struct Count {
    good: usize,
    all: usize,
}

impl Count {
    fn add(&mut self, good: bool) {
        self.good += usize::from(good);
        self.all += 1;
    }

    fn shown(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a percentage")]
        let share = 100.0 * self.good as f64 / self.all.max(1) as f64;
        format!("{share:.3} % ({} of {})", self.good, self.all)
    }
}

/// Statements of one kind.
#[derive(Default)]
struct Kind {
    read: Count,
    net: Count,
    examples: Vec<String>,
}

/// Writes the scores beside `file`.
pub(super) fn score(product: Product, file: &Path, judged: Option<&String>) -> Result<()> {
    let statements: Vec<Statement> = lines(file)?;
    let judgements: Vec<Judgement> = match judged {
        Some(path) => lines(Path::new(path))?,
        None => judge(product, file)?,
    };
    let judgements: HashMap<usize, Judgement> =
        judgements.into_iter().map(|one| (one.id, one)).collect();
    let text = report(product, &statements, &judgements);
    let target = file.with_extension("score.txt");
    std::fs::write(&target, &text)?;
    for line in text.lines().take(SUMMARY) {
        println!("{line}");
    }
    println!("{}", target.display());
    Ok(())
}

fn report(
    product: Product,
    statements: &[Statement],
    judgements: &HashMap<usize, Judgement>,
) -> String {
    let (mut all, mut everyday, mut net) = (Count::default(), Count::default(), Count::default());
    let mut over = Count::default();
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    let mut lost = Vec::new();
    for one in statements {
        let judgement = judgements.get(&one.id);
        let readable = judgement.is_some_and(|found| found.readable && found.error.is_none());
        if SYNTAX.contains(&one.prepared) {
            over.add(readable);
            continue;
        }
        let name = kind(&one.sql);
        all.add(readable);
        if EVERYDAY.contains(&name.as_str()) {
            everyday.add(readable);
        }
        let kind = kinds.entry(name).or_default();
        kind.read.add(readable);
        if !readable && kind.examples.len() < EXAMPLES {
            kind.examples.push(short(&one.sql));
        }
        if let Some(table) = &one.missing_table {
            let found = judgement.is_some_and(|found| names(&found.objects, table));
            net.add(found);
            kind.net.add(found);
            if !found {
                lost.push(format!("{table}: {}", short(&one.sql)));
            }
        }
    }
    let mut text = format!("{}: {} statements\n", product.name(), statements.len());
    for (name, count) in [
        ("readable, everyday", &everyday),
        ("readable, everything", &all),
        ("names the table that error 1146 names", &net),
        ("readable though a syntax error for the server", &over),
    ] {
        let _infallible = writeln!(text, "{name}: {}", count.shown());
    }
    let mut worst: Vec<_> = kinds.iter().collect();
    worst.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.read.all - kind.read.good));
    text.push_str("\nKinds by the number of statements that can't be read:\n");
    for (name, kind) in worst {
        if kind.read.good == kind.read.all {
            continue;
        }
        let _infallible = writeln!(text, "\n{name}: {}", kind.read.shown());
        for example in &kind.examples {
            let _infallible = writeln!(text, "    {example}");
        }
    }
    let _infallible = writeln!(text, "\nTables that are missed ({}):", lost.len());
    for line in lost {
        let _infallible = writeln!(text, "    {line}");
    }
    text
}

/// Runs `sqlward policy judge` over the file.
fn judge(product: Product, file: &Path) -> Result<Vec<Judgement>> {
    let mut child = Command::new(sqlward()?)
        .args(["policy", "judge", "--dialect"])
        .arg(if product.is_mariadb() {
            "mariadb"
        } else {
            "mysql"
        })
        .arg("--policy")
        .arg(repository().join("rules/baseline"))
        .args(["--in", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("no stdin")?;
    let statements: Vec<Statement> = lines(file)?;
    let writer = std::thread::spawn(move || -> Result<()> {
        for one in statements {
            let line = serde_json::json!({"id": one.id, "sql": one.sql, "database": "facts"});
            writeln!(input, "{line}")?;
        }
        Ok(())
    });
    let output = BufReader::new(child.stdout.take().context("no stdout")?);
    let judgements = output
        .lines()
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect::<Result<_>>()?;
    writer
        .join()
        .map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    child.wait()?;
    Ok(judgements)
}

fn lines<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<Vec<T>> {
    let input = File::open(file).with_context(|| format!("{}: run `ask` first", file.display()))?;
    BufReader::new(input)
        .lines()
        .map(|line| {
            let line = line?;
            serde_json::from_str(&line).with_context(|| line.chars().take(200).collect::<String>())
        })
        .collect()
}

/// Whether one of the objects is the table `database.name`, with or without its database.
fn names(objects: &[String], table: &str) -> bool {
    // Either side may quote a name, or not.
    let plain = |name: &str| name.replace(['`', '"'], "");
    let (database, name) = table.split_once('.').unwrap_or(("", table));
    let (name, full) = (plain(name), plain(&format!("{database}.{name}")));
    objects.iter().any(|object| {
        let object = plain(object);
        object.eq_ignore_ascii_case(&name) || object.eq_ignore_ascii_case(&full)
    })
}

/// The leading keywords that tell the kind of a statement.
fn kind(sql: &str) -> String {
    let mut rest = sql.trim_start();
    loop {
        let skipped = if rest.starts_with("/*") && !rest.starts_with("/*!") {
            rest.split_once("*/").map(|(_, after)| after)
        } else if rest.starts_with('#') || rest.starts_with("-- ") {
            rest.split_once('\n').map(|(_, after)| after)
        } else {
            rest.strip_prefix('(')
        };
        match skipped {
            Some(after) => rest = after.trim_start(),
            None => break,
        }
    }
    let words: Vec<String> = rest
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .take(8)
        .map(str::to_ascii_uppercase)
        .collect();
    let Some(first) = words.first() else {
        return "?".to_owned();
    };
    if !TWO_WORDS.contains(&first.as_str()) {
        return first.clone();
    }
    let second = words
        .iter()
        .skip(1)
        .find(|word| OBJECT_KINDS.contains(&word.as_str()));
    second.map_or_else(
        || format!("{first} ?"),
        |second| format!("{first} {second}"),
    )
}

fn short(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(240).collect()
}

/// 1064 a syntax error, 1149 another one, 1065 an empty statement.
const SYNTAX: [u16; 3] = [1064, 1149, 1065];
const EXAMPLES: usize = 12;
const SUMMARY: usize = 5;
const TWO_WORDS: [&str; 11] = [
    "ALTER", "ANALYZE", "CHANGE", "CREATE", "DROP", "LOAD", "LOCK", "RENAME", "SET", "SHOW",
    "START",
];
const OBJECT_KINDS: [&str; 31] = [
    "DATABASE",
    "SCHEMA",
    "TABLE",
    "TABLES",
    "VIEW",
    "INDEX",
    "PROCEDURE",
    "FUNCTION",
    "TRIGGER",
    "EVENT",
    "USER",
    "ROLE",
    "SERVER",
    "TABLESPACE",
    "SEQUENCE",
    "PACKAGE",
    "LOGFILE",
    "RESOURCE",
    "SPATIAL",
    "LIBRARY",
    "MASTER",
    "REPLICATION",
    "DATA",
    "XML",
    "PASSWORD",
    "TRANSACTION",
    "SLAVE",
    "REPLICA",
    "GROUP_REPLICATION",
    "STATEMENT",
    "INSTANCE",
];
/// The kinds that applications send day by day (the set of the facts that sqlward is held to).
const EVERYDAY: [&str; 48] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "REPLACE",
    "WITH",
    "VALUES",
    "TABLE",
    "SET ?",
    "SET TRANSACTION",
    "SHOW ?",
    "SHOW TABLE",
    "SHOW TABLES",
    "SHOW INDEX",
    "SHOW DATABASE",
    "SHOW PROCEDURE",
    "SHOW FUNCTION",
    "SHOW TRIGGER",
    "SHOW EVENT",
    "USE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "START TRANSACTION",
    "EXPLAIN",
    "DESC",
    "DESCRIBE",
    "CALL",
    "CREATE TABLE",
    "CREATE VIEW",
    "CREATE INDEX",
    "CREATE DATABASE",
    "CREATE SCHEMA",
    "ALTER TABLE",
    "ALTER DATABASE",
    "DROP TABLE",
    "DROP VIEW",
    "DROP INDEX",
    "DROP DATABASE",
    "DROP SCHEMA",
    "DROP PROCEDURE",
    "DROP FUNCTION",
    "TRUNCATE",
    "RENAME TABLE",
    "EXECUTE",
    "DEALLOCATE",
];
