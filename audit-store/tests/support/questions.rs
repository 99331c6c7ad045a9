//! Thousands of mixed records, and questions to them, for tests of every store.
#![allow(dead_code, reason = "each test file uses a part")]

use proptest::prelude::*;
use sqlward_audit_store::query::{AuditQuery, Order, Row};
use sqlward_audit_store::record::{
    Completion, Detail, EndUser, EndUserSource, Entry, Intent, IntentKind, Judgement, Outcome,
    Reduction, SessionId, SessionStart, Trust,
};
use sqlward_audit_store::{Audit, AuditSettings};
use sqlward_policy::vocabulary::{Action, Class, Dialect, Mode, Severity, Verb};

use super::{NOW, begin, done, finish, intent, settings, shape, start, stop};

const USERS: [&str; 4] = ["app_read", "app_write", "admin", "李雷"];
const END_USERS: [&str; 3] = ["anna", "bert", "张三"];
const TABLES: [(&str, Verb); 3] = [
    ("ledger", Verb::Select),
    ("salary", Verb::Update),
    ("audit_log", Verb::Delete),
];
const WORDS: [&str; 8] = [
    "工资", "100%", "O'Hara", "a\"b", "Größe", "[x]?*", "DROP", "\\path\\",
];
const RULES: [&str; 3] = ["no-unbounded-write", "ledger-hours", "watch"];
/// From the first statement to the last, µs.
const SPAN_US: u64 = 300_000_000_000;

/// A small generator, so that the records are many, mixed and always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }
}

/// Writes `count` statements of two lanes over four days; the days overlap midnight.
pub fn build(data: &std::path::Path, count: u32) {
    build_with(data, count, settings());
}

/// The same, kept as `settings` say.
pub fn build_with(data: &std::path::Path, count: u32, mut settings: AuditSettings) {
    settings.journal.max_journal_bytes = (64 << 20) + u64::from(count) * 2048;
    let (audit, _) = Audit::open(data, settings).unwrap();
    let mut lanes = [audit.lane(0).unwrap(), audit.lane(1).unwrap()];
    let mut dice = Dice(42);
    for (number, lane) in lanes.iter_mut().enumerate() {
        for (key, (table, verb)) in TABLES.iter().enumerate() {
            lane.append(&shape(key as u8 + 1, *verb, table)).unwrap();
        }
        for (user, name) in USERS.iter().enumerate() {
            let session = (number * 100 + user + 1) as u64;
            start(lane, session, NOW, name);
            // Half of them come from another network.
            if user % 2 == 1 {
                lane.append(&Entry::SessionStart(SessionStart {
                    session: SessionId(session),
                    at_us: NOW,
                    client: "[2001:db8::7]:99".parse().unwrap(),
                    listener: "127.0.0.1:6432",
                    upstream: "main",
                    dialect: Dialect::Postgres,
                    tls: None,
                }))
                .unwrap();
            }
        }
    }
    let spread_us = SPAN_US / u64::from(count);
    for number in 0..count {
        let side = dice.roll(2) as usize;
        let lane = &mut lanes[side];
        let user = dice.roll(4);
        let session = side as u64 * 100 + user + 1;
        let shape = dice.roll(4);
        let text = format!(
            "SELECT '{}' FROM t{} WHERE x = {}",
            dice.pick(&WORDS),
            dice.roll(30),
            dice.roll(9)
        );
        let action = dice.pick(&[Action::Allow, Action::Allow, Action::Alert, Action::Deny]);
        let rules: Vec<&str> = if action == Action::Allow {
            vec![]
        } else {
            vec![dice.pick(&RULES), RULES[2]]
        };
        let end_user = (dice.roll(2) == 0).then(|| EndUser {
            name: dice.pick(&END_USERS),
            source: EndUserSource::Comment,
            trust: Trust::Claimed,
        });
        let seq = begin(
            lane,
            Intent {
                shape: (shape > 0).then_some([shape as u8; 16]),
                kind: dice.pick(&[IntentKind::Simple, IntentKind::Execute]),
                judgement: Judgement {
                    action,
                    judged: action,
                    mode: Mode::Enforce,
                    rules: rules.into(),
                    severity: (action != Action::Allow)
                        .then(|| dice.pick(&[Severity::Low, Severity::High])),
                    generation: 1 + dice.roll(2),
                    unreadable: None,
                },
                end_user,
                reduction: match number % 11 {
                    3 => reduced(Detail::NoParameters, 0),
                    5 => reduced(Detail::Digest, 1),
                    7 => reduced(Detail::Full, number % 5),
                    _ => Reduction::NONE,
                },
                ..intent(
                    session,
                    number,
                    NOW + u64::from(number) * spread_us,
                    text.as_bytes(),
                )
            },
        );
        let failed = dice.roll(10) == 0;
        finish(
            lane,
            Outcome {
                completion: if failed {
                    Completion::Failed
                } else {
                    Completion::Done
                },
                sqlstate: failed.then(|| dice.pick(&[*b"42601", *b"42P01", *b"23505"]).into()),
                rows: dice.roll(1000),
                affected: dice.roll(50),
                duration_us: dice.roll(100_000),
                ..done(seq)
            },
        );
    }
    drop(lanes);
    stop(audit);
}

fn reduced(detail: Detail, redacted: u32) -> Reduction {
    Reduction { detail, redacted }
}

fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, behind)) => {
            name.len() >= before.len() + behind.len()
                && name.starts_with(before)
                && name.ends_with(behind)
        }
    }
}

fn any(patterns: &[String], name: Option<&str>) -> bool {
    patterns.is_empty() || name.is_some_and(|name| patterns.iter().any(|p| glob(p, name)))
}

/// What the filters mean, without SQL.
pub fn matches(query: &AuditQuery, row: &Row) -> bool {
    let micros = |at: &str| -> u64 {
        let at: jiff::Timestamp = at.parse().unwrap();
        u64::try_from(at.as_microsecond()).unwrap()
    };
    let at = micros(&row.at);
    let texts = |json: &str| serde_json::from_str::<Vec<String>>(json).unwrap();
    let word = |list: Vec<&str>, value: Option<&str>| {
        list.is_empty() || value.is_some_and(|value| list.contains(&value))
    };
    let rank = |name: &str| {
        Severity::ALL
            .iter()
            .position(|known| known.as_str() == name)
    };
    query.from.is_none_or(|from| at >= from)
        && query.to.is_none_or(|to| at < to)
        && any(&query.user, row.user.as_deref())
        && any(&query.end_user, row.end_user.as_deref())
        && any(&query.application, row.application.as_deref())
        && any(&query.database, row.database.as_deref())
        && any(&query.error, row.error.as_deref())
        && (query.client.is_empty()
            || query.client.iter().any(|net| {
                row.client
                    .as_ref()
                    .is_some_and(|ip| net.contains(&ip.parse::<std::net::IpAddr>().unwrap()))
            }))
        && (query.verb.is_empty()
            || row.verbs.as_ref().is_some_and(|verbs| {
                texts(&verbs.0)
                    .iter()
                    .any(|v| query.verb.iter().any(|q| q.as_str() == v))
            }))
        && word(
            query.class.iter().map(|c| c.as_str()).collect(),
            row.class.as_deref(),
        )
        && word(
            query.decision.iter().map(|d| d.as_str()).collect(),
            Some(&row.decision),
        )
        && word(
            query.kind.iter().map(|k| k.as_str()).collect(),
            Some(&row.kind),
        )
        && word(
            query.completion.iter().map(|c| c.as_str()).collect(),
            Some(&row.completion),
        )
        && (query.rule.is_empty()
            || texts(&row.rules.0)
                .iter()
                .any(|rule| query.rule.iter().any(|q| glob(q, rule))))
        && query
            .severity
            .is_none_or(|least| row.severity.as_deref().and_then(rank) >= rank(least.as_str()))
        && query
            .session
            .is_none_or(|session| row.session == session.to_string())
        && query
            .min_duration
            .is_none_or(|least| row.duration_us >= least as i64)
        && query
            .min_rows
            .is_none_or(|least| row.rows.max(row.affected) >= least as i64)
        && query.fingerprint.is_none_or(|wanted| {
            let hex: String = wanted.iter().map(|byte| format!("{byte:02x}")).collect();
            row.fingerprint.as_deref() == Some(&hex)
        })
        && (query.object.is_empty()
            || row.objects.as_ref().is_some_and(|objects| {
                let objects: Vec<serde_json::Value> = serde_json::from_str(&objects.0).unwrap();
                objects.iter().any(|object| {
                    let (schema, name) = (
                        object["schema"].as_str().unwrap(),
                        object["name"].as_str().unwrap(),
                    );
                    query.object.iter().any(|wanted| {
                        if wanted.contains('.') {
                            glob(wanted, &format!("{schema}.{name}"))
                        } else {
                            glob(wanted, name)
                        }
                    })
                })
            }))
        && query.text.as_ref().is_none_or(|wanted| {
            let text = row.text.as_ref().map_or("", |text| &text.0);
            text.to_ascii_lowercase()
                .contains(&wanted.to_ascii_lowercase())
        })
}

fn some<T: Clone + std::fmt::Debug + 'static>(
    from: &[T],
) -> impl Strategy<Value = Vec<T>> + use<T> {
    let from = from.to_vec();
    prop_oneof![
        4 => Just(Vec::new()),
        1 => proptest::collection::vec(proptest::sample::select(from), 1..3),
    ]
}

fn names(from: &[&str]) -> impl Strategy<Value = Vec<String>> + use<> {
    some(
        &from
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    )
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(
    from: &[T],
) -> impl Strategy<Value = Option<T>> + use<T> {
    let from = from.to_vec();
    prop_oneof![4 => Just(None), 1 => proptest::sample::select(from).prop_map(Some)]
}

/// Questions of every kind, most filters empty.
pub fn queries() -> impl Strategy<Value = AuditQuery> {
    let time = proptest::option::of((0..SPAN_US).prop_map(|after| NOW + after));
    let who = (
        names(&["app_*", "admin", "李*", "*_write"]),
        names(&["张三", "a*"]),
        some(&[
            "10.1.0.0/16".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
            "10.9.0.0/16".parse().unwrap(),
        ]),
        names(&["till", "x"]),
        maybe(&[SessionId(1), SessionId(102), SessionId(9)]),
    );
    let what = (
        some(&[Verb::Select, Verb::Delete]),
        some(&[Class::Read, Class::Ddl]),
        names(&["finance.*", "ledger", "*.salary", "nothing"]),
        maybe(
            &[
                "工资",
                "资",
                "100%",
                "o'hara",
                "A\"B",
                "GRößE",
                "größe",
                "[x]?*",
                "t1",
                "\\path",
                "ect '",
                "' from t2",
                "zzz",
            ]
            .map(str::to_owned),
        ),
        maybe(&[[1 ^ 0xFF; 16], [0; 16]]),
    );
    let judged = (
        some(&[Action::Allow, Action::Alert, Action::Deny]),
        names(&["no-*", "watch", "ledger-hours"]),
        maybe(&[Severity::Low, Severity::Medium, Severity::High]),
        names(&["42*", "23505", "*"]),
    );
    let result = (
        maybe(&[1000, 90_000]),
        maybe(&[10, 990]),
        some(&[IntentKind::Simple, IntentKind::Fetch]),
        some(&[Completion::Done, Completion::Failed]),
        proptest::sample::select(vec![
            Order::Newest,
            Order::Oldest,
            Order::Longest,
            Order::MostRows,
        ]),
        maybe(&[1usize, 10, 500]),
    );
    (time.clone(), time, who, what, judged, result).prop_map(
        |(from, to, who, what, judged, result)| AuditQuery {
            from,
            to,
            user: who.0,
            end_user: who.1,
            client: who.2,
            application: who.3,
            session: who.4,
            verb: what.0,
            class: what.1,
            object: what.2,
            text: what.3,
            fingerprint: what.4,
            decision: judged.0,
            rule: judged.1,
            severity: judged.2,
            error: judged.3,
            min_duration: result.0,
            min_rows: result.1,
            kind: result.2,
            completion: result.3,
            order: result.4,
            limit: result.5,
            ..AuditQuery::default()
        },
    )
}
