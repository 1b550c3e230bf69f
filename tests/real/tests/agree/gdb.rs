//! What gdb says of expressions, asked once for all of a process.

use std::process::Command;

/// What gdb says of one expression; none of it where gdb refuses.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// `&expression`; a bit-field has none.
    pub(crate) address: Option<u64>,
    /// `sizeof(expression)`, in bytes.
    pub(crate) size: Option<u64>,
    /// `whatis expression`.
    pub(crate) ty: Option<String>,
    /// The value as a number, of what is one.
    pub(crate) value: Option<i128>,
}

/// Whether there is a gdb.
pub(crate) fn present() -> bool {
    Command::new("gdb").arg("--version").output().is_ok_and(|gdb| gdb.status.success())
}

/// Attaches to the process, asks, and leaves it as it was. Everything is asked in
/// the words of C++, which has paths, and in which gdb knows C's and Rust's data
/// too.
pub(crate) fn ask(pid: u32, expressions: &[&str]) -> Vec<Answer> {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-p", &pid.to_string()]);
    for setting in
        ["width 0", "language c++", "print symbol off", "debuginfod enabled off"]
    {
        gdb.args(["-ex", &format!("set {setting}")]);
    }
    for (number, expression) in expressions.iter().enumerate() {
        let questions = [
            ("address", format!("output/x (unsigned long)&({expression})")),
            ("size", format!("output sizeof({expression})")),
            ("type", format!("whatis {expression}")),
            ("value", format!("output/d {expression}")),
        ];
        for (what, question) in questions {
            gdb.args(["-ex", &format!("echo \\n@{number} {what}:")]);
            gdb.args(["-ex", &question]);
        }
    }
    let output = gdb.args(["-ex", "echo \\n"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut answers: Vec<_> = expressions.iter().map(|_| Answer::default()).collect();
    for line in text.lines().filter_map(|line| line.strip_prefix('@')) {
        let (question, answer) = line.split_once(':').expect("an answer");
        let (number, what) = question.split_once(' ').expect("two words");
        answers[number.parse::<usize>().unwrap()].take(what, answer);
    }
    assert!(
        answers.iter().any(|answer| answer.ty.is_some()),
        "gdb tells nothing: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    answers
}

impl Answer {
    fn take(&mut self, what: &str, answer: &str) {
        match what {
            "address" => {
                let digits = answer.trim_start_matches("0x");
                self.address = u64::from_str_radix(digits, 16).ok();
            }
            "size" => self.size = answer.parse().ok(),
            "type" => self.ty = answer.strip_prefix("type = ").map(str::to_owned),
            "value" => self.value = answer.parse().ok(),
            other => panic!("gdb answers about {other}"),
        }
    }
}
