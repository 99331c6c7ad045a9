//! Texts for tests: the corpora, where they are, and generated ones.

use std::path::PathBuf;

/// The folder of the corpora: `$SQLWARD_CORPORA`, or `shared/corpora` beside the workspace.
fn folder() -> PathBuf {
    match std::env::var_os("SQLWARD_CORPORA") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
    }
}

/// Every PostgreSQL text of the corpora; a few of ours where they are not there.
pub(crate) fn postgres() -> Vec<String> {
    let mut texts: Vec<String> = SAMPLES.iter().map(|&text| text.to_owned()).collect();
    for file in ["pg-benign.jsonl", "pg-attack.jsonl"] {
        let Ok(lines) = std::fs::read_to_string(folder().join(file)) else {
            eprintln!("no corpus {file}: only samples are tested");
            continue;
        };
        for line in lines.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            texts.push(value["sql"].as_str().expect("a text").to_owned());
        }
    }
    texts
}

const SAMPLES: &[&str] = &[
    "SELECT a, b FROM t WHERE id = 1 AND name LIKE 'x%' ORDER BY b LIMIT 10",
    "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y') RETURNING id",
    "UPDATE t SET a = a + 1 WHERE id IN (1, 2, 3)",
    "DELETE FROM t USING u WHERE t.id = u.id AND u.x = E'a\\n'",
    "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
];

/// Deterministic texts made of pieces that scanners trip over.
pub(crate) struct Soup(u64);

impl Soup {
    pub(crate) fn new(seed: u64) -> Self {
        Soup(seed)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    pub(crate) fn text(&mut self, pieces: usize) -> String {
        (0..=self.below(pieces))
            .map(|_| PIECES[self.below(PIECES.len())])
            .collect()
    }
}

const PIECES: &[&str] = &[
    " ",
    " ",
    "\n",
    "\t",
    "--",
    "-- \n",
    "/*",
    "*/",
    "/**/",
    "'",
    "'",
    "''",
    "\"",
    "\"\"",
    "$$",
    "$a$",
    "$1",
    "$",
    "E'",
    "e'\\'",
    "U&'",
    "U&\"",
    "B'",
    "x'",
    "N'",
    "\\",
    "+",
    "-",
    "*",
    "/",
    "<",
    ">",
    "=",
    "~",
    "!",
    "@",
    "#",
    "%",
    "^",
    "&",
    "|",
    "`",
    "?",
    ".",
    "..",
    ",",
    ";",
    ":",
    "::",
    ":=",
    "(",
    ")",
    "[",
    "]",
    "{",
    "1",
    "0",
    "0x",
    "0b",
    "_",
    "e",
    "E",
    "1.5",
    "9999999999",
    "a",
    "select",
    "from",
    "in",
    "values",
    "null",
    "(1,2)",
    "in (1,2)",
    "values (1),(2)",
    "array[",
    "and",
    "or",
    "between",
    "case",
    "end",
    "union",
    "join",
    "float(",
    "\u{e9}",
    "\u{3000}",
];
