//! Time windows and the calendars that they go by.

use std::sync::Arc;

use hashbrown::HashMap;

use super::Compiler;
use crate::file::{At, File};
use crate::problem::Span;
use crate::rule::calendar::Calendar;
use crate::rule::window::Window;

impl Compiler {
    pub(super) fn windows(&mut self, files: &[File]) -> Vec<Window> {
        let calendars = self.calendars(files);
        let mut known: HashMap<Box<str>, Span> = HashMap::new();
        let mut used = vec![false; calendars.len()];
        let mut windows = Vec::new();
        for window in files.iter().flat_map(|file| &file.windows) {
            if let Some(first) = known.get(&window.value.window.name) {
                let message = format!(
                    "the window `{}` is defined twice, first at {}",
                    window.value.window.name,
                    self.place(first)
                );
                let problem = self.problem(&window.span, message);
                self.report(problem);
                continue;
            }
            known.insert(window.value.window.name.clone(), window.span.clone());
            let mut built = window.value.window.clone();
            if let Some(name) = &window.value.calendar {
                let found = calendars.iter().position(|c| *c.value.name == *name.value);
                match found.and_then(|at| calendars.get(at).zip(used.get_mut(at))) {
                    Some((calendar, used)) => {
                        *used = true;
                        let shared = || Some(Arc::clone(&calendar.value));
                        built.days.workdays = window.value.workday.then(shared).flatten();
                        built.days.holidays = window.value.holiday.then(shared).flatten();
                    }
                    None => {
                        let names = calendars.iter().map(|calendar| &*calendar.value.name);
                        let message = format!("there is no calendar `{}`", name.value);
                        let problem = self.problem(&name.span, message).one_of(&name.value, names);
                        self.report(problem);
                    }
                }
            }
            windows.push(built);
        }
        for (calendar, _) in calendars.iter().zip(&used).filter(|(_, used)| !**used) {
            let message = format!("no window uses the calendar `{}`", calendar.value.name);
            let problem = self.problem(&calendar.span, message).warning();
            self.report(problem);
        }
        windows
    }

    fn calendars(&mut self, files: &[File]) -> Vec<At<Arc<Calendar>>> {
        let mut all: Vec<At<Arc<Calendar>>> = Vec::new();
        for calendar in files.iter().flat_map(|file| &file.calendars) {
            let first = all
                .iter()
                .find(|known| known.value.name == calendar.value.name);
            if let Some(first) = first.map(|known| known.span.clone()) {
                let message = format!(
                    "the calendar `{}` is defined twice, first at {}",
                    calendar.value.name,
                    self.place(&first)
                );
                let problem = self.problem(&calendar.span, message);
                self.report(problem);
                continue;
            }
            all.push(At {
                value: Arc::new(calendar.value.clone()),
                span: calendar.span.clone(),
            });
        }
        all
    }
}
