//! Takes the SQL statements out of mysqltest scripts: delimiters, one-line commands behind `--`,
//! blocks of perl and files, `eval` and its kin (MySQL test framework manual, "mysqltest input
//! conventions" and "mysqltest commands").

/// The statements of a script that need no variable of it.
pub(super) fn statements(script: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader {
        rest: script,
        delimiter: b";".to_vec(),
        found: Vec::new(),
    };
    while reader.step() {}
    reader.found
}

struct Reader<'a> {
    rest: &'a [u8],
    delimiter: Vec<u8>,
    found: Vec<Vec<u8>>,
}

impl<'a> Reader<'a> {
    /// Reads a line or a statement; false at the end.
    fn step(&mut self) -> bool {
        self.rest = self.rest.trim_ascii_start();
        let Some(first) = self.rest.first() else {
            return false;
        };
        match first {
            b'#' => {
                self.line();
            }
            b'}' => self.rest = self.rest.get(1..).unwrap_or_default(),
            b'-' if self.rest.starts_with(b"--") => {
                let line = self.line();
                self.command(line.get(2..).unwrap_or_default().trim_ascii(), true);
            }
            _ => {
                let text = self.until_delimiter();
                self.command(text.trim_ascii(), false);
            }
        }
        true
    }

    fn line(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.get(1..).unwrap_or_default();
        line
    }

    /// Text up to the delimiter, outside of quotes and comments, or to the block of an `if` or `while`.
    fn until_delimiter(&mut self) -> &'a [u8] {
        let text = self.rest;
        let word = first_word(text);
        let opens_block = word == "if" || word == "while";
        let mut quote = None;
        let mut position = 0;
        while let Some(byte) = text.get(position) {
            let here = text.get(position..).unwrap_or_default();
            match (quote, byte) {
                (Some(b'\'' | b'"'), b'\\') => position += 1,
                (Some(open), byte) if open == *byte => quote = None,
                (Some(_), _) => {}
                (None, _) if here.starts_with(&self.delimiter) => {
                    self.rest = here.get(self.delimiter.len()..).unwrap_or_default();
                    return text.get(..position).unwrap_or_default();
                }
                (None, b'{') if opens_block => {
                    self.rest = here.get(1..).unwrap_or_default();
                    return text.get(..position).unwrap_or_default();
                }
                (None, b'\'' | b'"' | b'`') => quote = Some(*byte),
                (None, b'#') => position += line_length(here),
                (None, b'-') if here.starts_with(b"-- ") => position += line_length(here),
                (None, _) => {}
            }
            position += 1;
        }
        self.rest = &[];
        text
    }

    fn command(&mut self, text: &[u8], one_line: bool) {
        let word = first_word(text);
        let rest = text.get(word.len()..).unwrap_or_default().trim_ascii();
        let name = word.to_ascii_lowercase();
        match name.as_str() {
            "delimiter" => {
                let new = rest.strip_suffix(self.delimiter.as_slice()).unwrap_or(rest);
                if !new.trim_ascii().is_empty() {
                    self.delimiter = new.trim_ascii().to_vec();
                }
            }
            "perl" | "write_file" | "append_file" => self.skip_block(&name, rest),
            "eval" | "evalp" | "query" | "send" | "send_eval" | "query_vertical"
            | "query_horizontal" => self.keep(rest, true),
            "" if text.is_empty() => {}
            _ if one_line || COMMANDS.contains(&name.as_str()) || known_prefix(&name) => {}
            _ => self.keep(text, false),
        }
    }

    fn keep(&mut self, sql: &[u8], evaluated: bool) {
        let sql = sql.strip_suffix(self.delimiter.as_slice()).unwrap_or(sql);
        let variable = sql
            .windows(2)
            .any(|pair| matches!(pair, [b'$', b'a'..=b'z' | b'A'..=b'Z' | b'_']));
        if sql.is_empty() || (evaluated && variable) {
            return;
        }
        self.found.push(sql.to_vec());
    }

    /// The lines up to the one that is the block's last argument, or `EOF`.
    fn skip_block(&mut self, name: &str, arguments: &[u8]) {
        let words: Vec<&[u8]> = arguments
            .split(|byte| byte.is_ascii_whitespace() || *byte == b';')
            .filter(|word| !word.is_empty())
            .collect();
        let needed = if name == "perl" { 0 } else { 1 };
        let end = words.get(needed).copied().unwrap_or(b"EOF");
        self.line();
        while !self.rest.is_empty() {
            if self.line().trim_ascii() == end {
                break;
            }
        }
    }
}

fn line_length(text: &[u8]) -> usize {
    let end = text.iter().position(|byte| *byte == b'\n');
    end.unwrap_or(text.len()).saturating_sub(1)
}

fn first_word(text: &[u8]) -> String {
    let word = text
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    word.map(|byte| char::from(*byte)).collect()
}

fn known_prefix(name: &str) -> bool {
    [
        "enable_",
        "disable_",
        "replace_",
        "remove_file",
        "list_files",
        "copy_file",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// Commands of mysqltest that are no SQL.
const COMMANDS: [&str; 62] = [
    "append_file",
    "assert",
    "cat_file",
    "change_user",
    "character_set",
    "chmod",
    "connect",
    "connection",
    "dec",
    "die",
    "diff_files",
    "dirty_close",
    "disconnect",
    "echo",
    "end",
    "end_timer",
    "error",
    "eval_result",
    "exec",
    "exec_in_background",
    "execw",
    "exit",
    "expr",
    "file_exists",
    "force",
    "horizontal_results",
    "if",
    "inc",
    "let",
    "lowercase_result",
    "mkdir",
    "move_file",
    "optimizer_trace",
    "output",
    "partially_sorted_result",
    "ping",
    "query_attributes",
    "query_get_value",
    "query_sorted",
    "real_sleep",
    "reap",
    "require",
    "reset_connection",
    "result",
    "result_format",
    "rmdir",
    "save_master_pos",
    "send_quit",
    "send_shutdown",
    "shutdown_server",
    "skip",
    "sleep",
    "sorted_result",
    "source",
    "start_timer",
    "sync_slave_with_master",
    "sync_with_master",
    "system",
    "vertical_results",
    "wait_for_slave_to_stop",
    "while",
    "write_line",
];

#[cfg(test)]
mod tests {
    use super::statements;

    fn check(script: &str, expected: &[&str]) {
        let found = statements(script.as_bytes());
        let found: Vec<_> = found
            .iter()
            .map(|sql| String::from_utf8_lossy(sql))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn statements_end_at_the_delimiter() {
        check(
            "SELECT 'a;b', \"it's\";\n# it's a comment\nSELECT 2; SELECT 3;",
            &["SELECT 'a;b', \"it's\"", "SELECT 2", "SELECT 3"],
        );
        check(
            "delimiter |;\nCREATE PROCEDURE p() BEGIN SELECT 1; END|\ndelimiter ;|\nCALL p();",
            &["CREATE PROCEDURE p() BEGIN SELECT 1; END", "CALL p()"],
        );
    }

    #[test]
    fn commands_and_blocks_are_no_statements() {
        check(
            "--error 1064\nSELEC 1;\nlet $a= `SELECT 1`;\nif ($a) {\n SELECT 4;\n}\n--echo x; y\n",
            &["SELEC 1", "SELECT 4"],
        );
        check(
            "perl;\nprint 'SELECT 1;';\nEOF\n--write_file $x END\nDROP TABLE t;\nEND\nSELECT 5;",
            &["SELECT 5"],
        );
        check(
            "--eval SELECT 6;\neval SELECT $x;\nsend SELECT 7;",
            &["SELECT 6", "SELECT 7"],
        );
    }
}
