//! What is wrong with requests, said once for all elements of a range.

use std::rc::Rc;

use hwtrace_lang::diagnostic::Diagnostic;

use super::Survey;
use crate::report::counted;
use crate::session::Request;

/// What is wrong with a request.
pub(super) struct Wrong {
    pub(super) number: usize,
    /// Whether a pointer on the way to its data is NULL.
    pub(super) nowhere: bool,
    pub(super) diagnostic: Diagnostic,
}

/// What is wrong, and what can be left out: elements behind pointers that are NULL, where
/// the range has others.
pub(super) fn judge(
    requests: &[Request],
    wrong: Vec<Wrong>,
    survey: &Survey,
) -> (Vec<Diagnostic>, Vec<String>) {
    let mut diagnostics = Vec::new();
    let mut ranges: Vec<Missing> = Vec::new();
    for Wrong { number, nowhere, mut diagnostic } in wrong {
        let Some(range) = &requests[number].range else {
            diagnostics.push(diagnostic);
            continue;
        };
        if nowhere {
            // Ranges are not followed.
            diagnostic.help = vec![LATER.to_owned()];
        }
        let left_out =
            nowhere && elements(requests, range).any(|it| survey.locations[it].is_some());
        let same =
            |it: &&mut Missing| Rc::ptr_eq(&it.range, range) && it.left_out == left_out;
        match ranges.iter_mut().find(same) {
            Some(known) => known.count += 1,
            None => ranges.push(Missing {
                range: Rc::clone(range),
                left_out,
                first: diagnostic,
                count: 1,
            }),
        }
    }
    let (left_out, missing): (Vec<_>, Vec<_>) =
        ranges.into_iter().partition(|it| it.left_out);
    diagnostics.extend(missing.into_iter().map(Missing::diagnostic));
    let text = |it: Missing| it.text(elements(requests, &it.range).count());
    (diagnostics, left_out.into_iter().map(text).collect())
}

const LATER: &str = "name the process with `-p` once it has set the pointers";

/// The requests of a range.
fn elements<'a>(
    requests: &'a [Request],
    range: &'a Rc<str>,
) -> impl Iterator<Item = usize> + use<'a> {
    let own = |request: &Request| {
        request.range.as_ref().is_some_and(|own| Rc::ptr_eq(own, range))
    };
    requests.iter().enumerate().filter(move |(_, it)| own(it)).map(|(number, _)| number)
}

/// Elements of a range that are not there.
struct Missing {
    range: Rc<str>,
    left_out: bool,
    /// What is wrong with the first of them.
    first: Diagnostic,
    count: usize,
}

impl Missing {
    fn diagnostic(self) -> Diagnostic {
        match self.count - 1 {
            0 => self.first,
            more => {
                let more = counted(more as u64, "more element");
                let range = self.range;
                self.first.note(format!("it is the same with {more} of `{range}`"))
            }
        }
    }

    /// Of so many elements.
    fn text(&self, all: usize) -> String {
        let Self { range, first, count, .. } = self;
        let why = &first.message;
        format!("{count} of {all} elements of `{range}` are left out, as {why}")
    }
}
