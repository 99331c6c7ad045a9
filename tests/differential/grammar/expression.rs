//! Expressions: numbers, conditions, texts, with queries inside.

use super::{Engine, Grammar};

/// How deep queries stand in queries.
const DEEP: usize = 4;

impl Grammar {
    /// Whether there is room for a query inside.
    pub(super) fn room(&mut self) -> bool {
        self.depth < DEEP && self.tokens.len() < 90
    }

    pub(super) fn number(&mut self) {
        if !self.room() {
            return self.leaf();
        }
        match self.random.below(22) {
            0..=8 | 18..=21 => self.leaf(),
            9 => {
                self.leaf();
                let operator = self.random.pick(&["+", "-", "*"]);
                self.say(operator);
                self.leaf();
            }
            10 => {
                self.say("CASE WHEN");
                self.condition();
                self.say("THEN");
                self.number();
                self.say("ELSE");
                self.number();
                self.say("END");
            }
            11 => {
                let name = self
                    .random
                    .pick(&["COALESCE", "NULLIF", "GREATEST", "LEAST"]);
                self.call(name, |own| {
                    own.number();
                    own.say(",");
                    own.number();
                });
            }
            12 => {
                self.say("CAST(");
                self.number();
                self.say(if self.postgres() {
                    "AS int )"
                } else {
                    "AS SIGNED )"
                });
            }
            13 if self.postgres() => {
                self.say("( ARRAY [");
                self.number();
                self.say(",");
                self.number();
                self.say("] ) [ 1 ]");
            }
            13 => {
                self.say("IF(");
                self.condition();
                self.say(",");
                self.number();
                self.say(", 0 )");
            }
            14 => {
                self.call("ABS", Self::number);
            }
            15 => {
                self.call("LENGTH", Self::text);
            }
            _ => self.scalar(),
        }
    }

    /// `(SELECT max(x.a) FROM …)`
    fn scalar(&mut self) {
        self.bracketed(|own| {
            let mark = own.scope.len();
            let ctes = own.ctes.len();
            if own.random.one_in(6) {
                own.with(false);
            }
            own.say("SELECT");
            let aggregate = own.random.pick(&["MAX", "MIN", "COUNT"]);
            let place = own.tokens.len();
            own.say("FROM");
            own.sources();
            own.maybe_where();
            let inner: Vec<String> = own.tokens.split_off(place);
            // Of an outer column, the aggregate would be the outer query's.
            let outer: Vec<String> = own.scope.drain(..mark).collect();
            own.call(aggregate, Self::leaf);
            own.scope.splice(0..0, outer);
            own.tokens.extend(inner);
            own.scope.truncate(mark);
            own.ctes.truncate(ctes);
        });
    }

    /// A constant or a column.
    pub(super) fn leaf(&mut self) {
        if self.scope.is_empty() || self.random.one_in(3) {
            let constant = match self.engine {
                Engine::Postgres => {
                    self.random
                        .pick(&["1", "0", "42", "1_000", "0x1F", "NULL::int"])
                }
                _ => self
                    .random
                    .pick(&["1", "0", "42", "0x1F", "b'1'", "-1", "NULL"]),
            };
            self.tokens.push(constant.to_owned());
            return;
        }
        let place = self.random.below(self.scope.len());
        let item = self.scope.get(place).cloned().unwrap_or_default();
        let column = self.random.pick(&["a", "b"]);
        self.tokens.push(format!("{item}.{column}"));
    }

    pub(super) fn text(&mut self) {
        let text = match self.engine {
            Engine::Postgres => self.random.pick(&[
                "'beta'",
                "E'\\' FROM beta'",
                "$$ FROM beta $$",
                "$q$'$q$",
                "U&'\\0061'",
                "'it''s'",
                "'\\'",
                "N'x'",
            ]),
            _ => self.random.pick(&[
                "'beta'",
                "'\\' FROM beta'",
                "\"it's\"",
                "'it''s'",
                "'\\\\'",
                "N'x'",
                "_utf8mb4'x'",
                "x'41'",
            ]),
        };
        self.tokens.push(text.to_owned());
    }

    pub(super) fn condition(&mut self) {
        if !self.room() {
            self.leaf();
            self.say("> 0");
            return;
        }
        match self.random.below(20) {
            0..=6 => {
                self.number();
                let operator = self.random.pick(&["=", "<", ">=", "<>", "!="]);
                self.say(operator);
                self.number();
            }
            7 => self.bracketed(|own| {
                own.condition();
                let operator = own.random.pick(&["AND", "OR"]);
                own.say(operator);
                own.condition();
            }),
            8 => {
                self.say("NOT");
                self.bracketed(Self::condition);
            }
            9 | 10 => {
                let word = self.random.pick(&["EXISTS", "NOT EXISTS"]);
                self.say(word);
                self.bracketed(|own| own.query(2));
            }
            11 | 12 => {
                self.number();
                let word = self.random.pick(&["IN", "NOT IN"]);
                self.say(word);
                self.bracketed(|own| own.query(1));
            }
            13 => {
                self.number();
                let operator = self.random.pick(&["=", ">", "<="]);
                self.say(operator);
                let quantor = self.random.pick(&["ANY", "ALL", "SOME"]);
                self.say(quantor);
                self.bracketed(|own| own.query(1));
            }
            14 => {
                self.number();
                self.say("BETWEEN");
                self.number();
                self.say("AND");
                self.number();
            }
            15 => {
                self.number();
                self.say("IS NOT NULL");
            }
            16 => {
                self.text();
                self.say("LIKE");
                self.text();
            }
            17 => {
                self.bracketed(|own| {
                    own.number();
                    own.say(",");
                    own.number();
                });
                self.say("IN");
                self.bracketed(|own| own.query(2));
            }
            18 => {
                self.number();
                self.say("IN (");
                self.number();
                self.say(",");
                self.number();
                self.say(")");
            }
            _ if self.postgres() => {
                self.number();
                self.say("IS DISTINCT FROM");
                self.number();
            }
            _ => {
                self.number();
                self.say("<=>");
                self.number();
            }
        }
    }
}
