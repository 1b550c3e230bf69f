//! The forms of a report.

use std::fmt::Write;

use super::{Finding, Group, Report, State};

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Part => "part",
            Self::No => "no",
        }
    }
}

impl Group {
    fn title(self) -> &'static str {
        match self {
            Self::Machine => "Machine",
            Self::Engines => "Engines, each tried on a program of hwtrace's own",
            Self::Reach => "What can be watched and read besides one's own data",
            Self::Rights => "Rights",
            Self::Limits => "Limits",
        }
    }
}

impl Report {
    /// A line for each finding, and what to do below those that do not work.
    pub fn text(&self) -> String {
        let width = self.findings.iter().map(|finding| finding.name.len()).max();
        let mut text = String::new();
        let mut group = None;
        for finding in &self.findings {
            if group.replace(finding.group) != Some(finding.group) {
                let gap = if text.is_empty() { "" } else { "\n" };
                // Writing to a string can not fail.
                let _ = writeln!(text, "{gap}{}", finding.group.title());
            }
            line(&mut text, finding, width.unwrap_or(0));
        }
        text + self.verdict()
    }

    fn verdict(&self) -> &'static str {
        match self.usable {
            true => "\nhwtrace works here.\n",
            false => "\nhwtrace does not work here: no engine does.\n",
        }
    }

    /// One object, see [`Report`].
    pub fn json(&self) -> String {
        // Strings always have a form in JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn line(text: &mut String, finding: &Finding, width: usize) {
    let Finding { name, state, why, what_for, help, .. } = finding;
    let _ = writeln!(text, "  {:4}  {name:width$}  {why}; for {what_for}", state.name());
    if let Some(help) = help {
        let _ = writeln!(text, "        {:width$}  -> {help}", "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_lines_in_columns_with_what_to_do_below() {
        let finding = |name| Finding::new(Group::Machine, name, "a test").because("seen");
        let findings = vec![
            finding("short"),
            finding("a longer one").but(State::No, "`do this`"),
            Finding { group: Group::Limits, ..finding("last") },
        ];
        let report = Report { usable: true, findings };
        let expected = "\
Machine
  ok    short         seen; for a test
  no    a longer one  seen; for a test
                      -> `do this`

Limits
  ok    last          seen; for a test

hwtrace works here.
";
        assert_eq!(report.text(), expected);
    }
}
