//! How the words of a statement are written: case, blanks, comments.

use super::{Engine, Grammar};

impl Grammar {
    pub(super) fn spelt(&mut self) -> String {
        let tokens = std::mem::take(&mut self.tokens);
        let plain = self.random.one_in(2);
        let mut text = String::new();
        for (place, token) in tokens.iter().enumerate() {
            if place > 0 {
                text.push_str(if plain { " " } else { self.blank() });
            }
            let is_word = token.bytes().all(|byte| byte.is_ascii_uppercase());
            match is_word && !plain && self.random.one_in(4) {
                true if self.random.one_in(6) && self.engine != Engine::Postgres => {
                    let version = self
                        .random
                        .pick(&["50000", "40101", "", "50000", "40101", "", "50703"]);
                    text.push_str(&format!("/*!{version} {token} */"));
                }
                true => text.push_str(&token.to_lowercase()),
                false => text.push_str(token),
            }
        }
        self.tokens = tokens;
        text
    }

    fn blank(&mut self) -> &'static str {
        if !self.random.one_in(8) {
            return " ";
        }
        match self.engine {
            Engine::Postgres => self.random.pick(&[
                "\n",
                "\t",
                "/**/",
                "/* FROM beta */",
                "-- beta\n",
                "/* /* */ beta */",
                "\x0c",
                "/*!50000 */",
            ]),
            Engine::Mysql => self.random.pick(&[
                "\n",
                "\t",
                "/**/",
                "/* FROM beta */",
                " -- beta\n",
                " # beta\n",
                "\x0b",
                "/*!99999 FROM beta */",
                "/*M!100000 , beta */",
                "/*!50000 */",
            ]),
            Engine::Mariadb => self.random.pick(&[
                "\n",
                "\t",
                "/**/",
                "/* FROM beta */",
                " -- beta\n",
                " # beta\n",
                "\x0b",
                "/*!99999 FROM beta */",
                "/*!50700 , beta */",
                "/*M!100000 */",
            ]),
        }
    }
}
