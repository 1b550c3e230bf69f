//! The print family.

use std::fmt::Write;

use super::{Double, Generator, Long, Stack, Text, Type};

const FLAGS: [&str; 11] = ["", "", "-", "+", " ", "0", "#", "-#", "+0", "#0", "-+ 0#"];
const CONVERSIONS: [(&str, Type); 18] = [
    ("d", Long),
    ("s", Text),
    ("g", Double),
    ("x", Long),
    ("i", Long),
    ("u", Long),
    ("X", Long),
    ("o", Long),
    ("p", Long),
    ("c", Long),
    ("f", Double),
    ("e", Double),
    ("s", Text),
    ("1b", Long),
    ("8b", Long),
    ("m", Long),
    ("M", Long),
    ("s", Stack),
];

impl Generator {
    /// `printf` or `sprintf` of some pieces.
    pub(super) fn format(&mut self, function: &str, depth: usize) -> String {
        let mut format = String::new();
        let mut values = Vec::new();
        for _ in 0..self.choices.below(4) {
            match self.choices.below(4) {
                0 => format.push_str(self.choices.pick(&["a", "é", "%%", ": ", "\\n"])),
                _ => self.directive(&mut format, &mut values, depth),
            }
        }
        let values: String = values.iter().map(|value| format!(", {value}")).collect();
        format!("{function}(\"{format}\"{values})")
    }

    fn directive(&mut self, format: &mut String, values: &mut Vec<String>, depth: usize) {
        let (conversion, ty) = self.choices.pick(&CONVERSIONS);
        if conversion.ends_with('b') {
            write!(format, "%{conversion}").unwrap();
            values.push(self.value(ty, depth));
            return;
        }
        let flags = self.choices.pick(&FLAGS);
        let width = self.count(values, depth);
        let precision = match self.choices.once_in(3) {
            true => format!(".{}", self.count(values, depth)),
            false => String::new(),
        };
        write!(format, "%{flags}{width}{precision}{conversion}").unwrap();
        values.push(self.value(ty, depth));
    }

    fn count(&mut self, values: &mut Vec<String>, depth: usize) -> String {
        match self.choices.below(6) {
            4 => (1 + self.choices.below(25)).to_string(),
            5 => {
                values.push(self.long(depth));
                "*".to_owned()
            }
            _ => String::new(),
        }
    }

    /// `print` and its like: one value, or several behind a delimiter.
    pub(super) fn joined(&mut self, prefix: &str, depth: usize) -> String {
        let name = self.choices.pick(&["println", "print", "printd", "printdln"]);
        let count = if name.contains("printd") { 1 + self.choices.below(3) } else { 1 };
        let types = [Long, Text, Double, Stack];
        let types: Vec<_> = (0..count).map(|_| self.choices.pick(&types)).collect();
        let values = self.arguments(types.into_iter(), depth);
        let delimiter = if name.contains("printd") { "\", \", " } else { "" };
        format!("{prefix}{name}({delimiter}{values})")
    }
}
