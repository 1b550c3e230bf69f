//! The live tests on each engine: they run with the best that works, and once more,
//! as a whole, with each of the others.

use std::process::Command;

use hwtrace::engines::{Choice, ENGINES};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;

/// As hwtrace reads it.
const VARIABLE: &str = "HWTRACE_ENGINE";

/// The engine of this run, as hwtrace takes it for itself.
pub(crate) fn engine() -> Choice {
    let name = std::env::var(VARIABLE);
    let name = name.as_deref().unwrap_or("auto");
    Choice::named(name).unwrap_or_else(|| panic!("no engine `{name}`"))
}

/// The name of the engine of this run.
pub(crate) fn engine_name() -> &'static str {
    let kernel: std::rc::Rc<dyn Kernel> = std::rc::Rc::new(Linux);
    engine().take(&kernel).unwrap().name()
}

/// Runs all tests of this program once more with each engine but the best.
pub(crate) fn run_with_others(this: &str) {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    for engine in ENGINES.iter().filter(|engine| engine.name != engine_name()) {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--skip", this]).env(VARIABLE, engine.name);
        let ended = again.output().unwrap();
        let said = [ended.stdout, ended.stderr].map(|it| String::from_utf8(it).unwrap());
        assert!(ended.status.success(), "{}:\n{}\n{}", engine.name, said[0], said[1]);
    }
}

/// Makes a test that runs all others of its file with the engines that they would
/// not run with.
#[macro_export]
macro_rules! on_each_engine {
    () => {
        #[test]
        fn on_the_other_engines() {
            $crate::common::run_with_others("on_the_other_engines");
        }
    };
}
