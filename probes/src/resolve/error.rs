//! Why an expression names nothing that can be watched.

use std::path::PathBuf;

use crate::address::{AbsAddr, USER_SPACE_END};
use crate::expr::MAX_ELEMENTS;
use crate::image::debug_package;
use crate::types::Line;

/// One of several variables with the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What to write to mean this one: its full name, that with its source file
    /// (`state@u1.c`), or else its address.
    pub expression: String,
    /// Its full name, demangled.
    pub name: String,
    /// Its address in the process, by which it can be watched; in the file, where it
    /// is not loaded.
    pub address: AbsAddr,
    /// Its length in bytes; 0 where the file does not say.
    pub size: u64,
    /// Its source file, where the symbol table tells: the last part of the path.
    pub file: Option<String>,
    /// Where it is declared, where debug information tells.
    pub declared: Option<Line>,
}

/// Why an expression names nothing that can be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// No variable has the name.
    #[error("there is no variable `{name}` in {}", searched.display())]
    NoSuchSymbol {
        /// The name looked for.
        name: String,
        /// Names of variables that are spelt like it, nearest first.
        nearest: Vec<String>,
        /// The file searched.
        searched: PathBuf,
    },
    /// The file has no symbol table, so that the name cannot be found in it.
    #[error("{} has no symbol table: it is stripped", path.display())]
    Stripped {
        /// The name looked for.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// Several variables have the name.
    #[error("{} variables are called `{name}`: {}", candidates.len(), listed(candidates))]
    Ambiguous {
        /// The name looked for.
        name: String,
        /// All of them.
        candidates: Vec<Choice>,
    },
    /// It is code.
    #[error("`{name}` is a function, not data")]
    Function {
        /// The function.
        name: String,
    },
    /// It is in a shared library that is not there, or not yet.
    #[error("`{name}` is a variable of a shared library, and none that is loaded has it")]
    InSharedLibrary {
        /// The variable.
        name: String,
    },
    /// No file of the process is called so.
    #[error("no file called `{module}` is loaded")]
    NoSuchModule {
        /// The name looked for.
        module: String,
        /// The names of those that are.
        loaded: Vec<String>,
    },
    /// The file is not in the memory of a process, and its addresses are not fixed.
    #[error("{} is not loaded, so that `{name}` has no address", path.display())]
    NotLoaded {
        /// The variable.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The compiler left no room for it.
    #[error("`{name}` was optimised out: it is in no memory")]
    OptimizedOut {
        /// The variable.
        name: String,
        /// Where it is declared.
        declared: Option<Line>,
    },
    /// It is on the stack, or in registers.
    #[error("`{name}` is a local variable, which has no fixed address")]
    Local {
        /// The variable.
        name: String,
        /// Where it is declared.
        declared: Option<Line>,
    },
    /// What is asked for needs a type, and there is none.
    #[error("the type of `{name}` is not known: {why}")]
    Untyped {
        /// Of what.
        name: String,
        /// Why not, as a clause.
        why: String,
        /// The file without debug information.
        path: Option<PathBuf>,
    },
    /// The type is declared, and defined nowhere that is known.
    #[error("what is in `{ty}` is not known: it is only declared")]
    Incomplete {
        /// The type.
        ty: String,
    },
    /// The record has no such member.
    #[error("`{ty}` has no member `{member}`")]
    NoSuchMember {
        /// The member looked for.
        member: String,
        /// The record's type.
        ty: String,
        /// Members that are spelt like it, with their types.
        nearest: Vec<(String, String)>,
    },
    /// `.` or `->` behind what has no members.
    #[error("`{name}` has no members: it is of type `{ty}`")]
    NoMembers {
        /// What has none.
        name: String,
        /// Its type.
        ty: String,
    },
    /// `.` behind a pointer, or `->` behind a record.
    #[error("`{name}` is {}", if *.pointer { "a pointer" } else { "no pointer" })]
    WrongArrow {
        /// What stands before it.
        name: String,
        /// Whether it is a pointer.
        pointer: bool,
        /// The right form.
        instead: String,
    },
    /// What is to be followed is no pointer.
    #[error("`{name}` is no pointer: it is of type `{ty}`")]
    NotAPointer {
        /// What is not.
        name: String,
        /// Its type.
        ty: String,
    },
    /// `[…]` behind what has no elements.
    #[error("`{name}` has no elements: it is of type `{ty}`")]
    NoElements {
        /// What has none.
        name: String,
        /// Its type.
        ty: String,
    },
    /// The array has fewer elements.
    #[error("`{name}` has no element {index}: it has {length}")]
    OutOfBounds {
        /// The array.
        name: String,
        /// The index.
        index: i64,
        /// How many elements it has.
        length: u64,
    },
    /// A range with no element in it.
    #[error("there is no element in `{range}`: the one behind `..` is not in it")]
    EmptyRange {
        /// The expression up to the range's end.
        range: String,
        /// What it is of.
        of: String,
        /// The first element.
        from: i64,
    },
    /// A range goes further than the array.
    #[error("`{range}` goes beyond `{of}`, which has {}", elements_of(*.length))]
    RangeBeyond {
        /// The expression up to the range's end.
        range: String,
        /// The array.
        of: String,
        /// How many elements it has.
        length: u64,
    },
    /// A range without an end, of what does not tell how many elements it has.
    #[error("nothing tells how many elements `{of}` has")]
    OpenRange {
        /// Of what.
        of: String,
        /// The first element.
        from: i64,
    },
    /// A range has too many elements.
    #[error("`{name}` is {count} elements, and {} are watched at most", MAX_ELEMENTS)]
    TooManyElements {
        /// The expression.
        name: String,
        /// How many.
        count: u64,
    },
    /// A range, where which elements it has is not known yet.
    #[error(
        "`{name}` is several elements, and which is not known before `{of}` is there"
    )]
    Several {
        /// The expression up to the range's end.
        name: String,
        /// What it is of.
        of: String,
    },
    /// No enumeration has the constant.
    #[error("there is no constant `{name}`")]
    NoSuchConstant {
        /// The name looked for.
        name: String,
    },
    /// No type has the name.
    #[error("there is no type `{name}`")]
    NoSuchType {
        /// The name looked for.
        name: String,
    },
    /// `&` of a bit-field.
    #[error("`{name}` is a bit-field, which has no address")]
    BitField {
        /// The bit-field.
        name: String,
    },
    /// A pointer on the path is NULL.
    #[error("`{pointer}` is NULL")]
    Null {
        /// The pointer.
        pointer: String,
    },
    /// A pointer on the path leads nowhere.
    #[error("`{pointer}` is {value}, where nothing is mapped")]
    Dangling {
        /// The pointer.
        pointer: String,
        /// Its value.
        value: AbsAddr,
    },
    /// A pointer on the path cannot be read.
    #[error("`{pointer}` at {address} cannot be read")]
    Unreadable {
        /// The pointer.
        pointer: String,
        /// Where it should be.
        address: AbsAddr,
    },
    /// Each thread has its own, and the path leads through it.
    #[error("each thread has its own `{name}`, and none was named")]
    EachThread {
        /// The thread-local variable.
        name: String,
    },
    /// The thread has not used the variable yet, so that it has no room for it.
    #[error("thread {tid} has no `{name}` yet")]
    NotAllocated {
        /// The variable.
        name: String,
        /// The thread.
        tid: u32,
    },
    /// Where the thread keeps its variables cannot be found.
    #[error("where thread {tid} keeps its `{name}` cannot be found")]
    NoThreadPointer {
        /// The variable.
        name: String,
        /// The thread.
        tid: u32,
    },
    /// The address is not in the variable.
    #[error("`{expression}` is outside of `{name}`, which has {size} bytes{}", what_is_there(there.as_deref()))]
    Outside {
        /// The expression.
        expression: String,
        /// The variable.
        name: String,
        /// Its bytes.
        size: u64,
        /// What lies there.
        there: Option<String>,
        /// The address; none where it is not known yet.
        address: Option<AbsAddr>,
    },
    /// The length asked for is none.
    #[error("a watch is at least 1 byte long, not {length}")]
    NotALength {
        /// The length asked for.
        length: u64,
    },
    /// It takes more registers than any processor has.
    #[error("`{name}` is {size} bytes long, which takes {registers} registers")]
    TooWide {
        /// The expression.
        name: String,
        /// Its bytes.
        size: u64,
        /// How many registers it would take.
        registers: u64,
    },
    /// The address is not one that user memory can have.
    #[error("{name} is not an address of a process: those are below {USER_SPACE_END}")]
    NotUserSpace {
        /// The expression.
        name: String,
    },
    /// Nothing is mapped at an address that was written as a decimal number, but
    /// there is at what its digits mean in hexadecimal.
    #[error(
        "nothing is mapped at {address}, which the decimal number stands for: \
             did you mean {as_hex}?"
    )]
    NotHex {
        /// The address that the number means.
        address: AbsAddr,
        /// The one that may have been meant.
        as_hex: AbsAddr,
    },
}

impl ResolveError {
    /// May the same expression name something later, as the program goes on: once
    /// it has set its pointers, or loaded its libraries?
    pub fn may_come_later(&self) -> bool {
        matches!(
            self,
            ResolveError::Null { .. }
                | ResolveError::Dangling { .. }
                | ResolveError::Unreadable { .. }
                | ResolveError::NotLoaded { .. }
                | ResolveError::NoSuchModule { .. }
                | ResolveError::InSharedLibrary { .. }
                | ResolveError::NotAllocated { .. }
        )
    }

    /// Names that may be meant: spelt like one that there is not, the nearest first, or
    /// those of several that are called so.
    pub fn nearest(&self) -> Vec<String> {
        match self {
            ResolveError::NoSuchSymbol { nearest, .. } => nearest.clone(),
            ResolveError::Ambiguous { candidates, .. } => {
                candidates.iter().map(|choice| choice.expression.clone()).collect()
            }
            ResolveError::NoSuchMember { nearest, .. } => {
                nearest.iter().map(|(name, _)| name.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What to write or do instead, where that can be said here.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            ResolveError::NoSuchMember { nearest, .. } => did_you_mean(nearest)?,
            ResolveError::WrongArrow { instead, .. } => format!("write `{instead}`"),
            ResolveError::Untyped { path: Some(path), .. } => match debug_package(path) {
                Some(install) => format!("install its debug information: {install}"),
                None => "build it with `-g`".to_owned(),
            },
            ResolveError::Untyped { .. } => {
                "cast it: `(struct node*)0x55…` is a pointer with a type".to_owned()
            }
            ResolveError::NoSuchModule { loaded, .. } if !loaded.is_empty() => {
                format!("loaded are {}", loaded.join(", "))
            }
            ResolveError::NotAPointer { name, .. } => {
                format!("a number that holds an address is cast: `(char*){name}`")
            }
            ResolveError::EmptyRange { of, from, .. } => match from.checked_add(1) {
                Some(end) => format!("element {from} alone is `{of}[{from}..{end}]`"),
                None => return None,
            },
            ResolveError::RangeBeyond { of, .. } => {
                format!("all of them are `{of}[..]`")
            }
            ResolveError::OpenRange { of, from, .. } => {
                format!(
                    "write where they end: `{of}[{from}..{}]`",
                    from.saturating_add(8)
                )
            }
            ResolveError::TooManyElements { .. } => {
                "watch some of them, as in `table[0..64]`".to_owned()
            }
            ResolveError::Several { of, .. } => {
                format!("write which, as numbers: `{of}[0..8]`")
            }
            ResolveError::BitField { name } => format!("watch it by name: `{name}`"),
            ResolveError::Outside { there: Some(there), .. } => {
                format!("watch it by its own name: `{there}`")
            }
            ResolveError::Outside { address: Some(address), .. } => {
                format!("watch the address, if that is what is meant: `{address}`")
            }
            ResolveError::TooWide { .. } => {
                "watch a part of it, a member or an element: four registers watch \
                 32 bytes"
                    .to_owned()
            }
            ResolveError::OptimizedOut { .. } => {
                "build it with less optimisation, or declare it `volatile`".to_owned()
            }
            _ => return None,
        })
    }
}

/// "1 element", "64 elements"
fn elements_of(length: u64) -> String {
    match length {
        1 => "1 element".to_owned(),
        _ => format!("{length} elements"),
    }
}

fn what_is_there(there: Option<&str>) -> String {
    there.map_or_else(String::new, |there| format!("; `{there}` lies there"))
}

/// "did you mean `limits` (struct limit [4]) or `limit_max` (int)?"
fn did_you_mean(nearest: &[(String, String)]) -> Option<String> {
    let all: Vec<_> =
        nearest.iter().map(|(name, ty)| format!("`{name}` ({ty})")).collect();
    let (last, front) = all.split_last()?;
    Some(match front {
        [] => format!("did you mean {last}?"),
        _ => format!("did you mean {} or {last}?", front.join(", ")),
    })
}

/// `state@u1.c` and `state@u2.c`, as a message has them.
fn listed(candidates: &[Choice]) -> String {
    const MAX_LISTED: usize = 6;
    let shown = candidates.iter().take(MAX_LISTED);
    let mut parts: Vec<String> =
        shown.map(|choice| format!("`{}`", choice.expression)).collect();
    match candidates.len().saturating_sub(MAX_LISTED) {
        0 => {}
        more => parts.push(format!("{more} more")),
    }
    match parts.split_last() {
        Some((last, front)) if !front.is_empty() => {
            format!("{} and {last}", front.join(", "))
        }
        _ => parts.join(""),
    }
}
