//! What the policy's `[[redact]]` and the analysis take out of records, before anything is written.

use std::{borrow::Cow, rc::Rc};

use smallvec::SmallVec;
use sqlward_audit_store::{
    record::Parameter,
    redact::{self, RedactionKey},
};
use sqlward_policy::{
    Policy, Subject,
    redact::{Fate, Fates, Redactions, StandIn},
    statement::{Analysis, Known, LexState, Name},
};

/// A text as it may be recorded.
pub(crate) struct Clean<'t> {
    /// The text.
    pub(crate) text: Cow<'t, [u8]>,
    /// How much of it was replaced.
    pub(crate) redacted: u32,
    /// What happens to its parameters.
    pub(crate) fates: Option<Rc<ParameterFates>>,
}

/// What happens to the parameters of a prepared text, under the policy that it was prepared under.
#[derive(Debug)]
pub(crate) struct ParameterFates {
    generation: u64,
    fates: Fates,
}

/// Why a policy can't be used with this configuration: it hashes, and there is no key.
///
/// # Errors
/// The message for the operator.
pub fn check(policy: &Policy, key: Option<&RedactionKey>) -> Result<(), String> {
    match &policy.redactions {
        Some(rules) if rules.hashes() && key.is_none() => Err(
            "a `[[redact]]` of the policy has `how = \"hash\"`, for which [audit] redaction_key \
             must name the file of a key"
                .to_owned(),
        ),
        Some(_) | None => Ok(()),
    }
}

/// Take out of a text what must not be recorded.
pub(crate) fn text<'t>(
    text: &'t [u8],
    known: &Known,
    lex: &LexState,
    (policy, key): (&Policy, Option<&RedactionKey>),
) -> Clean<'t> {
    let secrets = &known.analysis.secrets;
    let Some(rules) = &policy.redactions else {
        return Clean {
            text: redact::redact(text, secrets),
            redacted: count(secrets.len()),
            fates: None,
        };
    };
    let hidden = rules.find(text, lex);
    let mut places = Vec::with_capacity(secrets.len() + hidden.places.len());
    for secret in secrets {
        places.push((secret.clone(), Cow::Borrowed(redact::MASK)));
    }
    for place in hidden.places {
        let stand_in = match place.stand_in {
            StandIn::Mask => Cow::Borrowed(redact::MASK),
            StandIn::Comment => Cow::Borrowed(redact::COMMENT),
            StandIn::Hash(value) => match key {
                Some(key) => Cow::Owned(format!("'{}'", key.stand_in(&value)).into_bytes()),
                None => Cow::Borrowed(redact::MASK),
            },
        };
        places.push((place.range, stand_in));
    }
    Clean {
        redacted: count(places.len()),
        text: redact::replace(text, places),
        fates: Some(Rc::new(ParameterFates {
            generation: policy.generation,
            fates: hidden.parameters,
        })),
    }
}

/// Decides about the parameters of one execution.
pub(crate) struct Screen<'a> {
    rules: Option<&'a Redactions>,
    key: Option<&'a RedactionKey>,
    fates: Option<&'a Fates>,
    /// What was prepared under another policy, and touches something that this one names.
    all: bool,
    /// How many values a row has, where several are told one after another.
    row: usize,
}

impl<'a> Screen<'a> {
    /// It lets everything pass.
    #[cfg(test)]
    pub(crate) const CLEAR: Screen<'static> = Screen {
        rules: None,
        key: None,
        fates: None,
        all: false,
        row: 0,
    };

    /// For the parameters of `known`, whose text had `prepared`.
    pub(crate) fn new(
        (policy, key): (&'a Policy, Option<&'a RedactionKey>),
        known: &Known,
        prepared: Option<&'a ParameterFates>,
        row: usize,
    ) -> Self {
        let rules = policy.redactions.as_ref();
        let current = prepared.filter(|prepared| prepared.generation == policy.generation);
        let facts = &known.analysis.facts;
        let all = current.is_none()
            && rules.is_some_and(|rules| {
                facts.unreadable.is_some() || facts.statements.iter().any(|one| rules.touches(one))
            });
        Self {
            rules,
            key,
            fates: current.map(|current| &current.fates),
            all,
            row,
        }
    }

    /// Whether there is nothing to look for.
    pub(crate) fn is_clear(&self) -> bool {
        self.rules.is_none()
    }

    /// What comes in place of parameter `number`, whose value is `value`; `None`: it stays.
    pub(crate) fn stand_in(&self, number: usize, value: &[u8]) -> Option<Vec<u8>> {
        let known = match self.fates {
            _ if self.all => Fate::Mask,
            Some(fates) => fates.of(number, self.row),
            None => Fate::Keep,
        };
        self.of(known, value)
    }

    /// What comes in place of something that was sent beside the parameters.
    pub(crate) fn beside(&self, value: &[u8]) -> Option<Vec<u8>> {
        let known = match self.fates {
            _ if self.all => Fate::Mask,
            Some(fates) => fates.rest(),
            None => Fate::Keep,
        };
        self.of(known, value)
    }

    fn of(&self, known: Fate, value: &[u8]) -> Option<Vec<u8>> {
        let rules = self.rules?;
        match (known.max(rules.value(value)), self.key) {
            (Fate::Keep, _) => None,
            (Fate::Hash, Some(key)) => Some(key.stand_in(value).into_bytes()),
            (Fate::Hash, None) | (Fate::Mask, _) => Some(redact::MASK.to_vec()),
        }
    }
}

/// Stand-ins of parameters, by number; empty where nothing is replaced.
pub(crate) type StandIns = SmallVec<[Option<Vec<u8>>; 0]>;

/// Something that a client calls itself or a thing of its own, as it may be recorded.
pub(crate) fn name<'n>(policy: &Policy, name: &'n str) -> Cow<'n, str> {
    match &policy.redactions {
        Some(rules) if rules.value(name.as_bytes()) > Fate::Keep => Cow::Borrowed("***"),
        Some(_) | None => Cow::Borrowed(name),
    }
}

/// As [`name`], for what need not be text.
pub(crate) fn bytes<'n>(policy: &Policy, name: &'n [u8]) -> &'n [u8] {
    match &policy.redactions {
        Some(rules) if rules.value(name) > Fate::Keep => b"***",
        Some(_) | None => name,
    }
}

/// A session's subject as it may be recorded.
pub(crate) fn subject<'s>(policy: &Policy, subject: &'s Subject) -> Cow<'s, Subject> {
    if policy.redactions.is_none() {
        return Cow::Borrowed(subject);
    }
    let named = |value: &str| name(policy, value).into_owned();
    Cow::Owned(Subject {
        user: named(&subject.user),
        database: named(&subject.database),
        application: named(&subject.application),
        role: subject.role.as_deref().map(named),
        ..subject.clone()
    })
}

/// An analysis as it may be recorded, where names in it look like what must not be; `None`: as it is.
pub(crate) fn analysis(policy: &Policy, analysis: &Analysis) -> Option<Analysis> {
    let rules = policy.redactions.as_ref()?;
    let hides = |value: &str| rules.value(value.as_bytes()) > Fate::Keep;
    let statements = || analysis.facts.statements.iter();
    let objects = statements().flat_map(|one| one.objects.iter().map(|object| &object.name));
    let tables = statements().flat_map(|one| one.columns.iter().filter_map(|c| c.table.as_ref()));
    let functions = statements().flat_map(|one| &one.functions);
    let names = objects.chain(tables).chain(functions);
    let columns = statements().flat_map(|one| one.columns.iter().map(|column| &*column.column));
    let found = hides(&analysis.normal)
        || names
            .into_iter()
            .any(|name| hides(&name.name) || name.schema.as_deref().is_some_and(hides))
        || columns.into_iter().any(hides);
    if !found {
        return None;
    }
    let scrub = |value: &mut Box<str>| {
        if hides(value) {
            *value = "***".into();
        }
    };
    let scrub_name = |name: &mut Name| {
        scrub(&mut name.name);
        if let Some(schema) = &mut name.schema {
            scrub(schema);
        }
    };
    let mut clean = analysis.clone();
    scrub(&mut clean.normal);
    for one in &mut clean.facts.statements {
        one.objects
            .iter_mut()
            .for_each(|object| scrub_name(&mut object.name));
        one.functions.iter_mut().for_each(scrub_name);
        for column in &mut one.columns {
            scrub(&mut column.column);
            column.table.iter_mut().for_each(scrub_name);
        }
    }
    Some(clean)
}

/// How many of some parameters were replaced.
pub(crate) fn replaced(parameters: &[Parameter<'_>]) -> u32 {
    count(
        parameters
            .iter()
            .filter(|parameter| parameter.redacted)
            .count(),
    )
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
