//! What handlers say of the hits of a target that ends with a store of its own.

use std::path::Path;

use super::run::{Ended, Hwtrace};

/// A watched datum, the body of its handler, and the lines that this is to print.
pub(crate) type Seen<'a> = (&'a str, &'a str, &'a [&'a str]);

/// What `script` prints until the target stores to its variable `last`, and how all
/// ended. When that is seen everything before it was, and the target still waits.
#[track_caller]
pub(crate) fn until_last(
    script: &str,
    program: &Path,
    last: &str,
) -> (Vec<String>, Ended) {
    let said = "the last store";
    let script = format!(
        "{script}\nprobe process.data(\"{last}\").write {{ println(\"{said}\") }}"
    );
    super::despite_lost_traps(|| {
        let mut tracing = Hwtrace::script(&script, program).start();
        let lines = std::iter::from_fn(|| tracing.out().next());
        let lines: Vec<_> = lines.take_while(|line| line != said).collect();
        tracing.say("go");
        Some((lines, tracing.finish().done("bye")?))
    })
}

/// Compares what handlers say, of so many data at once as there are registers for.
#[track_caller]
pub(crate) fn assert_seen(program: &Path, last: &str, at_once: usize, all: &[Seen<'_>]) {
    for some in all.chunks(at_once) {
        let probe = |(number, (data, body, _)): (usize, &Seen<'_>)| {
            format!(
                "probe process.data(\"{data}\").write {{ print(\"{number} \") {body} }}\n"
            )
        };
        let script: String = some.iter().enumerate().map(probe).collect();
        let (lines, _) = until_last(&script, program, last);
        for (number, (data, _, expected)) in some.iter().enumerate() {
            let tag = format!("{number} ");
            let own: Vec<_> =
                lines.iter().filter_map(|line| line.strip_prefix(&tag)).collect();
            assert_eq!(own, *expected, "{data}: {lines:#?}");
        }
    }
}
