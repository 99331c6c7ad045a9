//! Answers as tables, and the three ways to print them.

use std::io::{self, Write};

use serde::Serialize;

use crate::query::row::{Json, StoredText};

/// One value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// A number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// Yes or no.
    Bool(bool),
    /// A text.
    Text(String),
    /// JSON.
    Json(String),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Cell::Integer(value)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

impl From<Json> for Cell {
    fn from(json: Json) -> Self {
        Cell::Json(json.0)
    }
}

impl From<StoredText> for Cell {
    fn from(text: StoredText) -> Self {
        Cell::Text(text.0)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

impl Cell {
    /// The value as plain text; nothing for no value.
    fn plain(&self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Integer(value) => value.to_string(),
            Cell::Real(value) => value.to_string(),
            Cell::Bool(value) => value.to_string(),
            Cell::Text(text) | Cell::Json(text) => text.clone(),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Null => serializer.serialize_none(),
            Cell::Integer(value) => serializer.serialize_i64(*value),
            Cell::Real(value) => serializer.serialize_f64(*value),
            Cell::Bool(value) => serializer.serialize_bool(*value),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Json(text) => Json(text.clone()).serialize(serializer),
        }
    }
}

/// An answer: named columns and rows of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows; each has a value per column.
    pub rows: Vec<Vec<Cell>>,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// One JSON object per line.
    Json,
    /// RFC 4180, with a header line.
    Csv,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// The same rows with only the named columns, in the named order; unknown names are left out.
    #[must_use]
    pub fn select(self, columns: &[&str]) -> Self {
        let places: Vec<usize> = columns
            .iter()
            .filter_map(|wanted| self.columns.iter().position(|column| column == wanted))
            .collect();
        let pick = |row: &Vec<Cell>| -> Vec<Cell> {
            places
                .iter()
                .filter_map(|place| row.get(*place).cloned())
                .collect()
        };
        let names = places
            .iter()
            .filter_map(|place| self.columns.get(*place).cloned())
            .collect();
        Self {
            columns: names,
            rows: self.rows.iter().map(pick).collect(),
        }
    }

    /// Prints the table.
    ///
    /// # Errors
    /// Where `out` can't be written.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Table => self.write_aligned(out),
            Format::Json => self.write_json(out),
            Format::Csv => self.write_csv(out),
        }
    }

    fn write_aligned(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut lines = vec![
            self.columns
                .iter()
                .map(|name| escape(name))
                .collect::<Vec<_>>(),
        ];
        for row in &self.rows {
            lines.push(
                row.iter()
                    .map(|cell| shorten(&escape(&cell.plain())))
                    .collect(),
            );
        }
        let mut widths = vec![0; self.columns.len()];
        for line in &lines {
            for (width, text) in widths.iter_mut().zip(line) {
                *width = display_width(text).max(*width);
            }
        }
        let last = self.columns.len().saturating_sub(1);
        for (number, line) in lines.iter().enumerate() {
            let mut printed = String::new();
            for (place, (text, width)) in line.iter().zip(&widths).enumerate() {
                printed.push_str(text);
                if place < last {
                    let gap = width.saturating_sub(display_width(text)) + 2;
                    printed.extend(std::iter::repeat_n(' ', gap));
                }
            }
            writeln!(out, "{}", printed.trim_end())?;
            if number == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                writeln!(out, "{}", rules.join("  "))?;
            }
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        for row in &self.rows {
            let mut line = String::from("{");
            for (place, (name, cell)) in self.columns.iter().zip(row).enumerate() {
                if place > 0 {
                    line.push(',');
                }
                line.push_str(&serde_json::to_string(name)?);
                line.push(':');
                line.push_str(&serde_json::to_string(cell)?);
            }
            writeln!(out, "{line}}}")?;
        }
        Ok(())
    }

    fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let line = |fields: Vec<String>| fields.join(",") + "\r\n";
        let header = self.columns.iter().map(|name| quote(name)).collect();
        out.write_all(line(header).as_bytes())?;
        for row in &self.rows {
            let fields = row.iter().map(|cell| quote(&cell.plain())).collect();
            out.write_all(line(fields).as_bytes())?;
        }
        Ok(())
    }
}

/// Makes control characters visible, so that a text from a client can't steer the auditor's terminal.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            // Also what reorders text: it can make a statement read as another one.
            '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => safe.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
            letter if letter.is_control() => {
                safe.push_str(&format!("\\x{:02x}", u32::from(letter)));
            }
            letter => safe.push(letter),
        }
    }
    safe
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= WIDEST {
        return text.to_owned();
    }
    text.chars().take(WIDEST - 1).chain(['…']).collect()
}

/// How many characters of a value a table shows.
const WIDEST: usize = 120;

/// How many columns of a terminal a text takes, East Asian wide characters counted double.
fn display_width(text: &str) -> usize {
    text.chars()
        .map(|letter| if is_wide(letter) { 2 } else { 1 })
        .sum()
}

const fn is_wide(letter: char) -> bool {
    matches!(letter,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}')
}

/// A CSV field. A field that a spreadsheet would take for a formula gets an apostrophe in front.
fn quote(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '@', '\t', '\r'])
        || (text.starts_with('-') && text.parse::<f64>().is_err());
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) || formula {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(format: Format, expected: &Expect) {
        let mut table = Table::new(&["who", "text", "rows", "rules"]);
        table.rows.push(vec![
            Cell::Text("alice".into()),
            Cell::Text("SELECT 'a,\"b\"'\n\u{1b}[2J".into()),
            Cell::Integer(-3),
            Cell::Json("[\"r1\"]".into()),
        ]);
        table.rows.push(vec![
            Cell::Text("张三".into()),
            Cell::Text("=cmd()".into()),
            Cell::Null,
            Cell::Json("[]".into()),
        ]);
        let mut out = Vec::new();
        table.write(format, &mut out).unwrap();
        expected.assert_eq(&String::from_utf8(out).unwrap().replace('\r', "<CR>"));
    }

    #[test]
    fn prints_tables_without_control_characters() {
        check(
            Format::Table,
            &expect![[r#"
                who    text                     rows  rules
                -----  -----------------------  ----  ------
                alice  SELECT 'a,"b"'\n\x1b[2J  -3    ["r1"]
                张三   =cmd()                         []
            "#]],
        );
    }

    #[test]
    fn prints_json_lines() {
        check(
            Format::Json,
            &expect![[r#"
                {"who":"alice","text":"SELECT 'a,\"b\"'\n\u001b[2J","rows":-3,"rules":["r1"]}
                {"who":"张三","text":"=cmd()","rows":null,"rules":[]}
            "#]],
        );
    }

    #[test]
    fn prints_csv_that_no_spreadsheet_runs() {
        check(
            Format::Csv,
            &expect![[r#"
                who,text,rows,rules<CR>
                alice,"SELECT 'a,""b""'
                [2J",-3,"[""r1""]"<CR>
                张三,"'=cmd()",,[]<CR>
            "#]],
        );
    }

    #[test]
    fn selects_columns() {
        let mut table = Table::new(&["a", "b"]);
        table.rows.push(vec![Cell::Integer(1), Cell::Integer(2)]);
        let table = table.select(&["b", "c"]);
        assert_eq!(
            (table.columns, table.rows),
            (vec!["b".to_owned()], vec![vec![Cell::Integer(2)]])
        );
    }
}
