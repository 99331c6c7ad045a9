//! Reads MySQL or MariaDB statements, one JSON string a line, and says of each whether it is readable and what is in it.
//!
//! `cargo run --release -p sqlward-policy --example mysql_read -- mysql 9.7.4 < statements.jsonl`
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::io::{BufRead, Write};

use sqlward_policy::statement::{ANALYSIS_STACK_BYTES, Limits, ReadingOptions, analyse};
use sqlward_policy::vocabulary::Dialect;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let dialect = arguments.next().and_then(|word| Dialect::from_word(&word));
    let options = ReadingOptions {
        server_version: arguments.next(),
        sql_mode: arguments.next(),
        charset: arguments.next(),
    };
    let lex = options.lex_state(dialect.unwrap_or(Dialect::Mysql))?;
    let work = move || -> std::io::Result<()> {
        let mut out = std::io::BufWriter::new(std::io::stdout());
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let sql: String = serde_json::from_str(&line).unwrap_or_default();
            let analysis = analyse(sql.as_bytes(), &lex, &Limits::default());
            let facts = &analysis.facts;
            let verbs: Vec<&str> = facts
                .statements
                .iter()
                .map(|one| one.verb.as_str())
                .collect();
            let objects: Vec<String> = facts
                .statements
                .iter()
                .flat_map(|one| &one.objects)
                .map(|object| {
                    let schema = object
                        .name
                        .schema
                        .as_deref()
                        .map_or(String::new(), |schema| format!("{schema}."));
                    format!(
                        "{}:{}:{schema}{}",
                        object.kind, object.access, object.name.name
                    )
                })
                .collect();
            let answer = serde_json::json!({
                "unreadable": facts.unreadable.map(|reason| reason.as_str()),
                "verbs": verbs, "objects": objects,
            });
            writeln!(out, "{answer}")?;
        }
        out.flush()
    };
    let thread = std::thread::Builder::new()
        .stack_size(ANALYSIS_STACK_BYTES)
        .spawn(work)?;
    match thread.join() {
        Ok(result) => Ok(result?),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
