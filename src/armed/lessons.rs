//! What the engine is to be taught of the code that it met, once it is not at work.

use hwtrace_runtime::engine::Engine;
use hwtrace_runtime::plan::Lesson;

/// Gathered while hits are handed on.
pub(crate) struct Lessons {
    /// Whether the engine can be taught.
    wanted: bool,
    lessons: Vec<Lesson>,
    /// Processes whose code is another now.
    void: Vec<u32>,
}

/// So many are gathered at once; who comes later is taught the next time.
const AT_ONCE: usize = 64;

impl Lessons {
    /// None yet.
    pub(crate) fn of(engine: &dyn Engine) -> Self {
        Self { wanted: engine.learns(), lessons: Vec::new(), void: Vec::new() }
    }

    /// What was found out by a hit.
    pub(crate) fn note(&mut self, lesson: Lesson) {
        if self.wanted && self.lessons.len() < AT_ONCE && !self.lessons.contains(&lesson)
        {
            self.lessons.push(lesson);
        }
    }

    /// What was found out of a process is void: its code is another.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.lessons.retain(|lesson| lesson.pid != pid);
        if self.wanted && !self.void.contains(&pid) {
            self.void.push(pid);
        }
    }

    /// Whether what the engine was taught of a process is void, and it does not know yet.
    pub(crate) fn is_void(&self, pid: u32) -> bool {
        self.void.contains(&pid)
    }

    /// Gives it all to the engine.
    pub(crate) fn give(&mut self, engine: &mut dyn Engine) {
        for pid in self.void.drain(..) {
            engine.forget_code(pid);
        }
        for lesson in self.lessons.drain(..) {
            engine.teach(&lesson);
        }
    }
}
