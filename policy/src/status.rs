//! What a policy is doing: modes, rules and what they matched, what would be refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::policy::Policy;
use crate::rule::statement::hex;
use crate::vocabulary::{Action, Mode};

/// What the record says of a span of time.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    /// Statements by rule that they matched.
    pub hits: BTreeMap<String, i64>,
    /// Statements by what was carried out.
    pub carried: BTreeMap<String, i64>,
    /// Statements that the rules would refuse and that passed all the same, by rule.
    pub would_be_refused: BTreeMap<String, i64>,
    /// The span, for people.
    pub within: String,
    /// Hash and generation of the policy in force, and when it came into force.
    pub in_force: Option<(String, i64, String)>,
}

/// Modes, rules and what they matched, as text.
#[must_use]
pub fn text(policy: &Policy, recent: Option<&Recent>) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = write(policy, recent, &mut out);
    out
}

fn write(policy: &Policy, recent: Option<&Recent>, out: &mut String) -> std::fmt::Result {
    let hash = hex(&policy.hash);
    writeln!(
        out,
        "policy {} {}: {} rules, hash {hash}",
        policy.name.as_deref().unwrap_or("without name"),
        policy.version.as_deref().unwrap_or(""),
        policy.rules.len()
    )?;
    match recent.and_then(|recent| recent.in_force.as_ref()) {
        Some((found, generation, at)) if *found == hash => {
            writeln!(out, "in force since {at}, generation {generation}")?;
        }
        Some((found, generation, at)) => {
            writeln!(
                out,
                "not in force: since {at} it is {found}, generation {generation}"
            )?;
        }
        None => {}
    }
    writeln!(
        out,
        "mode {}; default {}",
        policy.defaults.mode, policy.defaults.action
    )?;
    for (name, mode) in &policy.listener_modes {
        writeln!(out, "listener `{name}`: mode {mode}")?;
    }
    let width = policy
        .rules
        .iter()
        .map(|rule| rule.id.len())
        .max()
        .unwrap_or(0);
    for rule in &policy.rules {
        let mode = rule
            .mode
            .map_or(String::new(), |mode| format!(", mode {mode}"));
        let hits = recent.map_or(String::new(), |recent| {
            let hits = recent.hits.get(&*rule.id).copied().unwrap_or(0);
            format!("  {hits} hits")
        });
        writeln!(out, "  {:<width$}  {}{mode}{hits}", rule.id, rule.action)?;
    }
    if let Some(recent) = recent {
        let list = |counts: &BTreeMap<String, i64>| {
            let each: Vec<String> = counts
                .iter()
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            if each.is_empty() {
                "nothing".to_owned()
            } else {
                each.join(", ")
            }
        };
        writeln!(out, "within {}: {}", recent.within, list(&recent.carried))?;
        for (rule, count) in &recent.would_be_refused {
            writeln!(out, "would be refused if enforced: {count} by {rule}")?;
        }
    }
    Ok(())
}

/// The same as JSON.
#[must_use]
pub fn json(policy: &Policy, recent: Option<&Recent>) -> Value {
    let hash = hex(&policy.hash);
    let modes: BTreeMap<&str, Mode> = policy
        .listener_modes
        .iter()
        .map(|(name, mode)| (&**name, *mode))
        .collect();
    json!({
        "name": policy.name,
        "version": policy.version,
        "hash": hash,
        "in_force": recent.and_then(|recent| recent.in_force.as_ref()).map(|(found, generation, at)| json!({
            "hash": found, "generation": generation, "since": at, "this": *found == hash,
        })),
        "mode": policy.defaults.mode,
        "default": policy.defaults.action,
        "listeners": modes,
        "rules": policy.rules.iter().map(|rule| json!({
            "id": rule.id, "action": rule.action, "mode": rule.mode,
            "hits": recent.map(|recent| recent.hits.get(&*rule.id).copied().unwrap_or(0)),
        })).collect::<Vec<_>>(),
        "within": recent.map(|recent| &recent.within),
        "carried_out": recent.map(|recent| &recent.carried),
        "would_be_refused": recent.map(|recent| &recent.would_be_refused),
    })
}

/// The actions that refuse.
pub const REFUSING: [Action; 2] = [Action::Deny, Action::Terminate];
