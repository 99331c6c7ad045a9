//! How long records are kept, and for how long they must be.

use super::{compile::Checker, file};

/// How long records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days kept.
    pub days: u32,
    /// The least that the law asks for, where the configuration says so.
    pub legal_minimum_days: Option<u32>,
    /// Why less is kept all the same.
    pub below: Option<String>,
}

impl Retention {
    /// What the record says of a retention below the legal minimum.
    pub(crate) fn told(&self) -> Option<String> {
        let (minimum, why) = (self.legal_minimum_days?, self.below.as_deref()?);
        let days = self.days;
        Some(format!(
            "records are kept {days} days, less than the legal minimum of {minimum}: {why}"
        ))
    }
}

impl Checker<'_> {
    pub(super) fn retention(&mut self, audit: &file::Audit) -> Retention {
        let days = *audit.retention_days.get_ref();
        let minimum = audit.legal_minimum_days.as_ref();
        let short = minimum.filter(|minimum| days < *minimum.get_ref());
        match (short, &audit.below_legal_minimum) {
            (Some(minimum), None) => {
                let (span, least) = (audit.retention_days.span(), minimum.get_ref());
                // The default has no place in the file.
                let span = if span.is_empty() { minimum.span() } else { span };
                self.problem(
                    span,
                    format!(
                        "retention_days = {days} is below legal_minimum_days = {least}: expected at least {least}; to keep \
                         less all the same, say why in below_legal_minimum, and it is recorded"
                    ),
                );
            }
            (Some(_), Some(why)) => {
                let one_line = !why.get_ref().trim().is_empty()
                    && !why.get_ref().contains(char::is_control);
                if !one_line {
                    self.problem(why.span(), "expected a reason, in one line");
                }
            }
            (None, Some(why)) => self.problem(
                why.span(),
                "below_legal_minimum has no effect: retention_days is not below legal_minimum_days; remove it",
            ),
            (None, None) => {}
        }
        Retention {
            days,
            legal_minimum_days: minimum.map(|minimum| *minimum.get_ref()),
            below: audit
                .below_legal_minimum
                .as_ref()
                .map(|why| why.get_ref().clone()),
        }
    }
}
