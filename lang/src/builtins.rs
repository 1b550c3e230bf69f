//! The builtin functions: one table, from which the type checker, the code
//! generator, the listing and the reference are made.

mod forms;
mod table;

use crate::types::Type;

pub(crate) use forms::operator_names;
pub use forms::{Form, OPERATORS, PRINT_FUNCTIONS, is_print};
pub use table::BUILTINS;

/// A builtin function.
#[derive(Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Name in scripts.
    pub name: &'static str,
    /// What it is about.
    pub topic: Topic,
    /// The parameters.
    pub params: &'static [Param],
    /// So many arguments must be given; those left out are 0 or "".
    pub required: usize,
    /// Type of the result; none for functions called for their effect.
    pub returns: Option<Type>,
    /// Where it may be called.
    pub available: Available,
    /// It depends on its arguments alone and changes nothing, so that the
    /// condition of a probe point may call it.
    pub pure: bool,
    /// It acts on the system and needs `--unsafe`.
    pub needs_unsafe: bool,
    /// What computes it.
    pub body: Body,
    /// What it gives or does, with unit: a part of a sentence.
    pub doc: &'static str,
    /// A line of hwt that uses it.
    pub example: &'static str,
}

/// A parameter of a builtin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Name, for people.
    pub name: &'static str,
    /// Type.
    pub ty: Type,
}

/// What builtins are about; those of one topic stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The hit, its thread and its process.
    Context,
    /// The access to watched data.
    Access,
    /// How much was seen of what happened.
    Counts,
    /// Clocks and times.
    Time,
    /// Names of addresses.
    Symbols,
    /// Who called whom.
    Stacks,
    /// Memory of the target and of the kernel.
    Memory,
    /// Text.
    Strings,
    /// Output and messages.
    Printing,
    /// The session and the target as a whole.
    Session,
}

impl Topic {
    /// All topics, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Context,
        Self::Access,
        Self::Counts,
        Self::Time,
        Self::Symbols,
        Self::Stacks,
        Self::Memory,
        Self::Strings,
        Self::Printing,
        Self::Session,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Context => "Context",
            Self::Access => "Access",
            Self::Counts => "Counts",
            Self::Time => "Time",
            Self::Symbols => "Symbols",
            Self::Stacks => "Stacks",
            Self::Memory => "Memory",
            Self::Strings => "Strings",
            Self::Printing => "Printing",
            Self::Session => "Session",
        }
    }
}

/// Where a builtin may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Available {
    /// In every handler.
    Everywhere,
    /// Only where data was accessed.
    DataProbes,
    /// It belongs to the language, but nothing computes it yet. With a help
    /// line: what works instead.
    NotYet(&'static str),
}

/// What computes a builtin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A field of the hit's record, by its name in the runtime's schema.
    Field(&'static str),
    /// A helper function, by its name in the runtime's helper table.
    Helper(&'static str),
}

impl Builtin {
    /// Whether something computes it.
    pub fn is_there(&self) -> bool {
        !matches!(self.available, Available::NotYet(_))
    }

    /// How it is called, for people:
    ///
    /// ```
    /// use hwtrace_lang::builtins::lookup;
    /// let signature = |name| lookup(name).unwrap().signature();
    /// assert_eq!(
    ///     signature("substr"),
    ///     "substr(text:string, start:long, length:long) : string"
    /// );
    /// assert_eq!(signature("assert"), "assert(holds:long [, message:string])");
    /// assert_eq!(signature("exit"), "exit()");
    /// ```
    pub fn signature(&self) -> String {
        let mut text = format!("{}(", self.name);
        for (at, Param { name, ty }) in self.params.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            if at < self.required {
                text += &format!("{separator}{name}:{ty}");
            } else {
                let blank = if at == 0 { "" } else { " " };
                text += &format!("{blank}[{separator}{name}:{ty}]");
            }
        }
        text.push(')');
        if let Some(ty) = self.returns {
            text += &format!(" : {ty}");
        }
        text
    }

    /// The same, with so many arguments that must be given.
    const fn required(self, required: usize) -> Self {
        Self { required, ..self }
    }

    /// The same, depending on its arguments alone.
    const fn pure(self) -> Self {
        Self { pure: true, ..self }
    }

    /// The same, only with `--unsafe`.
    const fn needs_unsafe(self) -> Self {
        Self { needs_unsafe: true, ..self }
    }
}

/// The builtin called `name`.
///
/// ```
/// use hwtrace_lang::builtins::lookup;
/// assert_eq!(lookup("strlen").unwrap().params.len(), 1);
/// assert!(lookup("strelen").is_none());
/// ```
pub fn lookup(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

/// Names of all functions that a script can call.
pub fn names() -> impl Iterator<Item = &'static str> {
    let rows = BUILTINS.iter().map(|builtin| builtin.name);
    rows.chain(PRINT_FUNCTIONS.iter().map(|form| form.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_complete_and_unique() {
        for (at, row) in BUILTINS.iter().enumerate() {
            let call = format!("{}(", row.name);
            assert!(row.example.contains(&call), "{} lacks in its example", row.name);
            assert!(!row.doc.is_empty() && !row.doc.ends_with('.'), "{}", row.name);
            assert!(BUILTINS[..at].iter().all(|other| other.name != row.name));
            assert!(row.required <= row.params.len());
            if let Available::NotYet(instead) = row.available {
                assert!(!instead.is_empty() && !instead.ends_with('.'), "{}", row.name);
            }
        }
    }

    #[test]
    fn rows_of_one_topic_stand_together_in_the_order_of_topics() {
        let mut topics: Vec<_> = BUILTINS.iter().map(|row| row.topic).collect();
        topics.dedup();
        assert_eq!(topics, Topic::ALL);
    }

    /// What the language's specification lists, as a check of the table.
    #[test]
    fn the_functions_of_the_specification_are_there() {
        let listed =
            "pid tid ppid uid euid gid execname cpu target pp pn ppfunc user_mode
            register u_register print_regs cmdline_str env_var gettimeofday_ns
            gettimeofday_us gettimeofday_ms gettimeofday_s ktime_get_ns ctime usymname
            usymdata usymptr usymfileline usymfile usymline umodname symname symdata symptr
            symfileline symfile symline modname probefunc
            print_ubacktrace sprint_ubacktrace ubacktrace print_backtrace
            sprint_backtrace backtrace callers ucallers caller print_usyms print_syms
            print_ubacktrace_brief print_ubacktrace_fileline print_backtrace_fileline
            print_ustack print_stack sprint_ustack sprint_stack sprint_usyms sprint_syms
            ustack stack caller_addr probemod
            user_char user_short user_int user_long user_int8 user_int16 user_int32
            user_int64 user_uint8 user_uint16 user_uint32 user_uint64 user_string
            user_string_n user_buffer_quoted kernel_char kernel_short kernel_int
            kernel_long kernel_int8 kernel_int16 kernel_int32 kernel_int64 kernel_uint8
            kernel_uint16 kernel_uint32 kernel_uint64 kernel_string kernel_string_n
            kernel_buffer_quoted strlen substr stringat strpos isinstr strtol tokenize
            str_replace text_str sprintf print println printd printdln printf sprint
            sprintln sprintd sprintdln log warn error exit abort assert thread_indent
            randint system stop signal watch unwatch rearm access data_addr data_len
            data_name exact addr uaddr syscall_name";
        let names: Vec<_> = names().collect();
        for name in listed.split_whitespace() {
            assert!(names.contains(&name), "{name}");
        }
    }
}
