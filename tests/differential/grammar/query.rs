//! Queries: WITH, SELECT, FROM, set operations.

use super::{Engine, Grammar, VIEWS};

impl Grammar {
    /// A query of `width` columns, called a and b.
    pub(super) fn query(&mut self, width: usize) {
        let (scope, ctes) = (self.scope.len(), self.ctes.len());
        if self.room() && self.random.one_in(6) {
            self.with(self.postgres());
        }
        self.select(width);
        while self.room() && self.random.one_in(7) {
            let operator = self
                .random
                .pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
            self.say(operator);
            match self.random.below(4) {
                0 => self.bracketed(|own| own.query(width)),
                1 if self.engine != Engine::Mariadb && width == 2 => self.table_command(),
                _ => self.select(width),
            }
        }
        self.scope.truncate(scope);
        self.ctes.truncate(ctes);
    }

    /// `TABLE kappa_1`: two columns are asked for, so that it stands in brackets of its own.
    fn table_command(&mut self) {
        self.say("( SELECT a , b FROM");
        self.bracketed(|own| {
            own.say("TABLE");
            own.table();
        });
        let alias = self.alias();
        self.tokens.push(alias);
        self.say(")");
    }

    /// WITH, whose names may be those of tables.
    pub(super) fn with(&mut self, writes: bool) {
        self.say("WITH");
        let recursive = self.random.one_in(4);
        if recursive {
            self.say("RECURSIVE");
        }
        let before = self.scope.clone();
        let count = 1 + self.random.below(2);
        for number in 0..count {
            if number > 0 {
                self.say(",");
            }
            let name = self
                .random
                .pick(&["alpha", "beta", "w1", "omega", "w2", "kappa_1"]);
            let name = if self.tokens.iter().any(|word| word == name)
                || self.ctes.iter().any(|cte| cte == name)
            {
                self.alias()
            } else {
                name.to_owned()
            };
            self.tokens.push(name.clone());
            self.say("( a , b ) AS");
            self.scope.clear();
            let outermost = self.depth == 0;
            if writes && outermost && self.random.one_in(4) {
                self.bracketed(Self::returning_change);
            } else {
                // A name that recursion could mean is not used inside.
                let hidden = self.ctes.len();
                if recursive {
                    self.ctes.push(name.clone());
                }
                self.bracketed(|own| own.query(2));
                self.ctes.truncate(hidden);
            }
            self.ctes.push(name);
        }
        self.scope = before;
    }

    fn select(&mut self, width: usize) {
        if self.room() && self.random.one_in(14) {
            return self.values(width);
        }
        let mark = self.scope.len();
        self.say("SELECT");
        if self.random.one_in(8) {
            self.say("DISTINCT");
        }
        let place = self.tokens.len();
        let from = !self.random.one_in(12);
        if from {
            self.say("FROM");
            self.sources();
        }
        let grouped = from && self.random.one_in(8);
        if from {
            self.maybe_where();
        }
        let tail = self.tokens.split_off(place);
        let letters = ["a", "b"];
        for (number, letter) in letters.iter().take(width).enumerate() {
            if number > 0 {
                self.say(",");
            }
            if grouped {
                self.call("MAX", Self::number_of_own);
            } else if from && self.random.one_in(10) {
                self.window();
            } else {
                self.number();
            }
            self.say("AS");
            self.tokens.push((*letter).to_owned());
        }
        self.tokens.extend(tail);
        if grouped && self.random.one_in(2) {
            self.say("HAVING COUNT( * ) >");
            self.scope.truncate(mark);
            self.number();
        }
        self.scope.truncate(mark);
    }

    /// A number that aggregates of this level may hold.
    fn number_of_own(&mut self) {
        match self.scope.last().cloned() {
            Some(item) => self.tokens.push(format!("{item}.a")),
            None => self.say("1"),
        }
    }

    fn window(&mut self) {
        let function = self
            .random
            .pick(&["ROW_NUMBER( )", "RANK( )", "COUNT( * )"]);
        self.say(function);
        self.say("OVER ( PARTITION BY");
        self.leaf();
        self.say("+ 0 ORDER BY");
        self.leaf();
        self.say("+ 0 )");
    }

    fn values(&mut self, width: usize) {
        if self.engine == Engine::Mariadb || !self.postgres() && width == 1 {
            self.say("SELECT");
            self.leaf();
            if width == 2 {
                self.say(",");
                self.leaf();
            }
            return;
        }
        self.say(if self.postgres() {
            "VALUES"
        } else {
            "VALUES ROW"
        });
        self.bracketed(|own| {
            own.number();
            for _ in 1..width {
                own.say(",");
                own.number();
            }
        });
    }

    pub(super) fn maybe_where(&mut self) {
        if self.random.one_in(2) {
            self.say("WHERE");
            self.condition();
        }
    }

    /// FROM items; what they are called is in scope afterwards.
    pub(super) fn sources(&mut self) {
        self.source();
        while self.random.one_in(3) && self.tokens.len() < 70 {
            match self.random.below(4) {
                0 => {
                    self.say(",");
                    self.source();
                }
                1 => {
                    self.say("CROSS JOIN");
                    self.source();
                }
                kind => {
                    self.say(match kind {
                        2 => "JOIN",
                        _ => "LEFT JOIN",
                    });
                    // A comma before binds weaker than this: only the last item may be named.
                    let before = self.scope.len();
                    self.source();
                    self.say("ON");
                    let own = self.scope.split_off(before);
                    let outer = std::mem::replace(&mut self.scope, own);
                    self.condition();
                    let own = std::mem::replace(&mut self.scope, outer);
                    self.scope.extend(own);
                }
            }
        }
    }

    fn source(&mut self) {
        let alias = self.alias();
        let room = self.room();
        match self.random.below(14) {
            0 | 1 if room => {
                let outer = std::mem::take(&mut self.scope);
                self.bracketed(|own| own.query(2));
                self.scope = outer;
            }
            2 if room && self.engine != Engine::Mariadb => {
                self.say("LATERAL");
                let outer = std::mem::take(&mut self.scope);
                self.bracketed(|own| own.query(2));
                self.scope = outer;
            }
            3 | 4 if !self.ctes.is_empty() => {
                let place = self.random.below(self.ctes.len());
                let name = self.ctes.get(place).cloned().unwrap_or_default();
                self.tokens.push(name);
            }
            5 => {
                let (view, _) = VIEWS
                    .get(self.random.below(VIEWS.len()))
                    .copied()
                    .unwrap_or_default();
                let home = if self.postgres() { "public" } else { "app" };
                self.tokens.push(format!("{home}.{view}"));
            }
            6 if self.postgres() => {
                self.say("ONLY");
                self.table();
            }
            7 if self.postgres() => {
                self.table();
                self.say("*");
            }
            8 if room => {
                let inner = self.alias();
                self.bracketed(|own| {
                    own.say("SELECT");
                    own.tokens.push(format!("{inner}.a , {inner}.b"));
                    own.say("FROM (");
                    own.table();
                    own.say("AS");
                    own.tokens.push(inner.clone());
                    own.say("CROSS JOIN");
                    own.table();
                    let other = own.alias();
                    own.tokens.push(other);
                    own.say(")");
                });
            }
            _ => {
                self.table();
            }
        }
        if self.random.one_in(2) {
            self.say("AS");
        }
        self.tokens.push(alias.clone());
        self.scope.push(alias);
    }
}
