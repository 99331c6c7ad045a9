//! INSERT, UPDATE, DELETE, MERGE in their forms.

use super::{Engine, Grammar};

impl Grammar {
    /// Names a table that is changed.
    fn target(&mut self) {
        let full = self.table();
        self.targets.push(full);
    }

    /// WITH before a change, where the engine has it there.
    fn leading_with(&mut self) {
        if self.random.one_in(5) && self.engine != Engine::Mariadb {
            self.with(self.postgres());
        }
    }

    pub(super) fn insert(&mut self) {
        if self.postgres() {
            self.leading_with();
        }
        let replaces = !self.postgres() && self.random.one_in(5);
        self.say(if replaces { "REPLACE" } else { "INSERT" });
        if !self.postgres() {
            let word = self.random.pick(&["", "", "IGNORE", "HIGH_PRIORITY"]);
            self.say(if replaces { "" } else { word });
        }
        if self.postgres() || !self.random.one_in(4) {
            self.say("INTO");
        }
        self.target();
        self.say("( a , b )");
        match self.random.below(3) {
            0 => self.query(2),
            _ => {
                self.say("VALUES");
                self.bracketed(|own| {
                    own.number();
                    own.say(",");
                    own.number();
                });
            }
        }
        self.ctes.clear();
        if replaces {
            return;
        }
        if self.random.one_in(3) {
            self.say(match self.postgres() {
                true => "ON CONFLICT ( id ) DO UPDATE SET b =",
                false => "ON DUPLICATE KEY UPDATE b =",
            });
            self.number();
        }
        self.returning(self.engine != Engine::Mysql);
    }

    fn returning(&mut self, known: bool) {
        if known && self.random.one_in(4) {
            self.say("RETURNING a ,");
            self.number();
        }
    }

    pub(super) fn update(&mut self) {
        self.leading_with();
        self.say("UPDATE");
        if !self.postgres() {
            let word =
                self.random
                    .pick(&["", "", "", "LOW_PRIORITY", "IGNORE", "LOW_PRIORITY IGNORE"]);
            self.say(word);
            if self.random.one_in(3) {
                return self.update_several();
            }
        } else if self.random.one_in(4) {
            self.say("ONLY");
        }
        self.target();
        let alias = self.alias();
        self.say("AS");
        self.tokens.push(alias.clone());
        self.scope.push(alias);
        self.say("SET b =");
        self.number();
        if self.postgres() {
            if self.random.one_in(3) {
                self.say(", ( a , c ) = ( SELECT 1 ,");
                self.number();
                self.say(":: text )");
            }
            if self.random.one_in(3) {
                self.say("FROM");
                self.sources();
            }
        }
        self.maybe_where();
        self.returning(self.postgres());
        self.scope.clear();
    }

    /// `UPDATE a, b SET …` and with joins.
    fn update_several(&mut self) {
        self.exact = false;
        let target = self.alias();
        self.target();
        self.tokens.push(target.clone());
        self.some_join();
        self.plain_source();
        self.scope.push(target.clone());
        self.say("SET");
        self.tokens.push(format!("{target}.b"));
        self.say("=");
        self.number();
        self.maybe_where();
        self.scope.clear();
    }

    fn some_join(&mut self) {
        let join = self.random.pick(&[",", "CROSS JOIN", "STRAIGHT_JOIN"]);
        self.say(join);
    }

    /// A FROM item without aliases in scope before it.
    fn plain_source(&mut self) {
        let alias = self.alias();
        if self.room() && self.random.one_in(3) {
            self.bracketed(|own| own.query(2));
        } else {
            self.table();
        }
        self.say("AS");
        self.tokens.push(alias.clone());
        self.scope.push(alias);
    }

    pub(super) fn delete(&mut self) {
        self.leading_with();
        self.say("DELETE");
        if self.postgres() {
            self.say("FROM");
            self.target();
            let alias = self.alias();
            self.say("AS");
            self.tokens.push(alias.clone());
            self.scope.push(alias);
            if self.random.one_in(3) {
                self.say("USING");
                self.sources();
            }
            self.maybe_where();
            self.returning(true);
            self.scope.clear();
            return;
        }
        let word = self
            .random
            .pick(&["", "", "QUICK", "LOW_PRIORITY", "IGNORE"]);
        self.say(word);
        match self.random.below(3) {
            0 => {
                self.say("FROM");
                self.target();
                self.maybe_where();
            }
            form => {
                self.exact = false;
                let alias = self.alias();
                self.say(if form == 1 { "" } else { "FROM" });
                self.tokens.push(alias.clone());
                if self.random.one_in(3) {
                    self.say(". *");
                }
                self.say(if form == 1 { "FROM" } else { "USING" });
                self.target();
                self.say("AS");
                self.tokens.push(alias.clone());
                self.some_join();
                self.plain_source();
                self.scope.push(alias);
                self.maybe_where();
            }
        }
        self.scope.clear();
    }

    pub(super) fn merge(&mut self) {
        self.leading_with();
        self.say("MERGE INTO");
        self.target();
        let (target, source) = (self.alias(), self.alias());
        self.say("AS");
        self.tokens.push(target.clone());
        self.say("USING");
        match self.random.one_in(2) {
            true => self.bracketed(|own| own.query(2)),
            false => {
                self.table();
            }
        }
        self.say("AS");
        self.tokens.push(source.clone());
        self.scope.extend([target, source]);
        self.say("ON");
        self.condition();
        self.say("WHEN MATCHED THEN");
        match self.random.below(3) {
            0 => self.say("DELETE"),
            1 => {
                self.say("UPDATE SET b =");
                self.number();
            }
            _ => {
                // It locks its target as if it changed it.
                self.exact = false;
                self.say("DO NOTHING");
            }
        }
        if self.random.one_in(2) {
            self.scope.remove(0);
            self.say("WHEN NOT MATCHED THEN INSERT ( a , b ) VALUES");
            self.bracketed(|own| {
                own.number();
                own.say(",");
                own.number();
            });
        }
        self.scope.clear();
        self.targets.clear();
    }

    /// A change that returns a and b, for WITH.
    pub(super) fn returning_change(&mut self) {
        match self.random.below(3) {
            0 => {
                self.say("INSERT INTO");
                self.target();
                self.say("( a , b )");
                self.query(2);
            }
            1 => {
                self.say("UPDATE");
                self.target();
                self.say("SET b =");
                self.number();
                self.maybe_where();
            }
            _ => {
                self.say("DELETE FROM");
                self.target();
                self.maybe_where();
            }
        }
        self.say("RETURNING a , b");
    }
}
