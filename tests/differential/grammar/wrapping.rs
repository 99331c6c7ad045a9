//! Statements that hold others: definitions, EXPLAIN, PREPARE, cursors.

use super::{Engine, Grammar, Kind};

impl Grammar {
    pub(super) fn wrapped(&mut self) -> (Kind, Option<&'static str>) {
        match self.engine {
            Engine::Postgres => {
                self.wrapped_postgres();
                (Kind::Run, None)
            }
            Engine::Mysql | Engine::Mariadb => self.wrapped_mysql(),
        }
    }

    fn wrapped_postgres(&mut self) {
        match self.random.below(14) {
            0 => self.around("CREATE VIEW zv AS", ""),
            1 => self.around("CREATE MATERIALIZED VIEW zm AS", "WITH NO DATA"),
            2 => self.around("CREATE TABLE zt AS", "WITH NO DATA"),
            3 => {
                // What is only explained changes nothing, but is locked as if it did.
                self.around("EXPLAIN", "");
                self.targets.clear();
                self.exact = false;
            }
            4 => self.around("PREPARE zp AS", ""),
            5 => self.around("DECLARE zc CURSOR FOR", ""),
            6 => self.around(
                "CREATE FUNCTION zf ( ) RETURNS SETOF record LANGUAGE sql BEGIN ATOMIC",
                "; END",
            ),
            7 => self.around("COPY (", ") TO STDOUT"),
            8 => {
                self.say("CREATE RULE zr AS ON INSERT TO");
                self.table();
                self.say("DO ALSO");
                // Rows of outer queries and WITH of their own have no place in rules.
                self.say("DELETE FROM");
                self.table();
                self.say("WHERE a IN");
                self.bracketed(|own| own.query(1));
            }
            9 => {
                self.say("TRUNCATE");
                self.table();
                self.say(",");
                self.table();
            }
            10 => {
                self.say("LOCK TABLE ONLY");
                self.table();
                self.say("IN ROW SHARE MODE");
            }
            11 => {
                self.say("CREATE INDEX zi ON");
                self.table();
                self.say("( ( a + b ) ) WHERE b > 0");
            }
            12 => {
                self.say("ALTER TABLE");
                self.table();
                self.say("RENAME TO znew");
            }
            _ => {
                self.say("CREATE TABLE zt ( a int , b int REFERENCES");
                self.table();
                self.say(")");
            }
        }
    }

    fn around(&mut self, before: &str, behind: &str) {
        self.say(before);
        self.query(2);
        self.say(behind);
    }

    fn wrapped_mysql(&mut self) -> (Kind, Option<&'static str>) {
        let kinds = if self.random.one_in(10) { 9 } else { 5 };
        match self.random.below(kinds) {
            0 => {
                self.around("EXPLAIN", "");
                (Kind::Run, None)
            }
            1 => {
                self.around("CREATE TEMPORARY TABLE IF NOT EXISTS zt AS", "");
                (Kind::Run, None)
            }
            2 => {
                self.say("DO");
                self.number();
                (Kind::Run, None)
            }
            3 => {
                self.say("SET @z =");
                self.number();
                (Kind::Run, None)
            }
            4 => {
                self.query(2);
                let inner = self.spelt().replace('\\', "\\\\").replace('\'', "\\'");
                self.tokens = vec!["PREPARE zp FROM".to_owned(), format!("'{inner}'")];
                (Kind::Define, Some("EXECUTE zp"))
            }
            5 | 6 => {
                self.around("CREATE OR REPLACE VIEW zv AS", "");
                (Kind::Define, Some("SELECT 1 FROM zv"))
            }
            7 => {
                self.say("CREATE PROCEDURE zf ( ) BEGIN DECLARE n INT DEFAULT");
                self.number();
                self.say("; IF");
                self.condition();
                self.say("THEN");
                self.delete();
                self.say("; ELSE");
                self.query(2);
                self.say("; END IF ; END");
                (Kind::Define, Some("CALL zf()"))
            }
            _ => {
                self.say("CREATE FUNCTION zf ( ) RETURNS INT READS SQL DATA RETURN");
                self.number();
                (Kind::Define, Some("SELECT zf()"))
            }
        }
    }
}
