//! What is wrong with a configuration is told, all of it, where it stands.

use super::*;
use crate::config::journal::default_journal_bytes;

fn problems(text: &str) -> Vec<String> {
    let source = Source {
        name: "sqlward.toml".into(),
        text: text.into(),
    };
    match Config::parse(&source, Path::new("/nonexistent")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

const GOOD: &str = "data_dir = 'd'\npolicy = ['/']\n[[listener]]\nname = 'a'\naddress = '127.0.0.1:1'\nupstream = 'u'\n[[upstream]]\nname = 'u'\naddress = 'h:5432'\n";

#[test]
fn good() {
    assert_eq!(problems(GOOD), Vec::<String>::new());
}

#[test]
fn every_unknown_field_is_told_with_its_place_and_the_nearest_name() {
    let text = GOOD
        .replace("data_dir", "data_dri")
        .replace("[[upstream]]", "[limits]\nmax_conections = 1\n[[upstream]]");
    let found = problems(&text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().any(
            |line| line.starts_with("sqlward.toml:1:1: unknown field `data_dri`")
                && line.contains("`data_dir`")
        ),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|line| line.contains("`max_conections` in [limits]")
                && line.contains("`max_connections`")),
        "{found:?}"
    );
}

#[test]
fn every_value_that_makes_no_sense_is_told() {
    let text = "data_dir = 'd'\npolicy = ['missing.toml']\nworkers = 0\nworker_priority = -21\n[[listener]]\nname = 'a'\naddress = '127.0.0.1:1'\nupstream = 'v'\n[listener.tls]\nmode = 'requir'\n[[upstream]]\nname = 'u'\naddress = 'nowhere'\n";
    let found = problems(text);
    for wanted in [
        "missing.toml",
        "1 to 1024 workers",
        "-20 to 19",
        "`v` is no [[upstream]]",
        "`requir` is no TLS mode",
        "expected host:port",
    ] {
        assert!(
            found.iter().any(|line| line.contains(wanted)),
            "{wanted}: {found:?}"
        );
    }
}

#[test]
fn wrong_types_are_told_with_everything_else() {
    let text = "data_dir = 5\npolicy = ['missing.toml', 7]\nworkers = 'two'\nnodd = 1\n\
                [limits]\nmax_connections = '9'\nidle_timeout_secs = -1\n\
                [log]\nformat = 'xml'\n[admin]\nlisten = 'here'\n[end_user]\nsetting = 1\n\
                [[listener]]\nname = 'a'\naddress = 'nowhere'\nupstream = 'v'\n\
                [listener.tls]\nmode = 1\n[[listener]]\naddress = '127.0.0.1:1'\nupstream = 'u'\n\
                [[upstream]]\nname = 'u'\naddress = 'nowhere'\n[upstream.tls]\nmode = 'requir'\ndirect = 'yes'\n";
    let found = problems(text);
    let wanted = [
        (1, "invalid type: integer `5`"),
        (2, "missing.toml"),
        (2, "invalid type: integer `7`"),
        (3, "invalid type: string \"two\""),
        (4, "unknown field `nodd`"),
        (6, "invalid type: string \"9\""),
        (7, "invalid value: integer `-1`"),
        (9, "unknown variant `xml`"),
        (11, "invalid socket address"),
        (13, "invalid type: integer `1`, expected a boolean"),
        (16, "invalid socket address"),
        (17, "`v` is no [[upstream]]"),
        (19, "invalid type: integer `1`, expected a string"),
        (20, "missing field `name`"),
        (25, "expected host:port"),
        (27, "`requir` is no TLS mode"),
        (28, "expected a boolean"),
    ];
    for (line, message) in wanted {
        let place = format!("sqlward.toml:{line}:");
        assert!(
            found
                .iter()
                .any(|one| one.starts_with(&place) && one.contains(message)),
            "{line} {message}: {found:#?}"
        );
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
}

#[test]
fn tables_of_the_wrong_kind_are_told_too() {
    let text = GOOD
        .replace("[[upstream]]", "[upstream]")
        .replace("[[listener]]", "limits = 5\n[[listener]]")
        + "[audit]\nretention_days = 'many'\n";
    let found = problems(&text);
    let lines: Vec<bool> = ["sqlward.toml:3:", "sqlward.toml:8:", "sqlward.toml:12:"]
        .iter()
        .map(|place| found.iter().any(|one| one.starts_with(place)))
        .collect();
    assert_eq!(lines, [true, true, true], "{found:#?}");
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    let found = problems("data_dir = \npolicy = [\n");
    assert!(
        !found.is_empty() && found[0].starts_with("sqlward.toml:1:"),
        "{found:#?}"
    );
}

#[test]
fn a_journal_that_could_stay_full_is_refused() {
    let of = |audit: &str| problems(&format!("workers = 2\n{GOOD}[audit]\n{audit}"));
    assert_eq!(of("max_journal_bytes = 402653184\n"), Vec::<String>::new());
    let found = of("max_journal_bytes = 402653183\n");
    assert!(
        found.len() == 1 && found[0].contains("at least 402653184"),
        "{found:#?}"
    );
    assert_eq!(default_journal_bytes(2), 4 << 30);
    assert_eq!(default_journal_bytes(63), 64 * 2 * (64 << 20));
}

#[test]
fn retention_is_not_below_the_legal_minimum_unsaid() {
    let of = |audit: &str| problems(&format!("{GOOD}[audit]\n{audit}"));
    let why = "below_legal_minimum = 'order 7'\n";
    let least = |days: u32| format!("legal_minimum_days = {days}\n");
    assert_eq!(of(&least(190)), Vec::<String>::new());
    assert_eq!(of("retention_days = 1\n"), Vec::<String>::new());
    let short = format!("{}retention_days = 30\n", least(31));
    assert_eq!(of(&format!("{short}{why}")), Vec::<String>::new());
    let line = GOOD.lines().count();
    let refused = [
        (
            short.clone(),
            line + 3,
            18,
            "expected at least 31; to keep less all the same",
        ),
        (least(191), line + 2, 22, "expected at least 191"),
        (
            format!("{short}below_legal_minimum = ' '\n"),
            line + 4,
            23,
            "expected a reason",
        ),
        (why.to_owned(), line + 2, 23, "has no effect"),
    ];
    for (audit, line, column, message) in refused {
        let found = of(&audit);
        let place = format!("sqlward.toml:{line}:{column}:");
        assert!(
            found.len() == 1 && found[0].starts_with(&place) && found[0].contains(message),
            "{place} {message}: {found:#?}"
        );
    }
}

#[test]
fn a_protocol_is_one_of_two_and_one_per_upstream() {
    let mysql = GOOD.replace(
        "upstream = 'u'\n[[up",
        "upstream = 'u'\nprotocol = 'mysql'\n[[up",
    );
    assert_eq!(problems(&mysql), Vec::<String>::new());
    let found = problems(&mysql.replace("'mysql'", "'mysq'"));
    assert!(
        found.len() == 1
            && found[0].starts_with("sqlward.toml:7:12: `mysq` is no protocol")
            && found[0].contains("`mysql`"),
        "{found:?}"
    );
    let second = "[[listener]]\nname = 'b'\naddress = '127.0.0.1:2'\nupstream = 'u'\n[[upstream]]";
    let found = problems(&mysql.replace("[[upstream]]", second));
    assert!(
        found.len() == 1 && found[0].starts_with("sqlward.toml:11:12: listener `a` speaks mysql"),
        "{found:?}"
    );
}

#[test]
fn the_documented_example_is_good() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let loaded = Config::load(&base.join("sqlward.toml"));
    assert!(
        loaded.is_ok(),
        "{}",
        loaded.err().map(|e| e.to_string()).unwrap_or_default()
    );
}
