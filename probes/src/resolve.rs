//! From an expression to the address and length that are watched.

use std::path::PathBuf;

use crate::address::{AbsAddr, USER_SPACE_END};
use crate::expr::Expression;
use crate::process::{Executable, Process, ProcessError};
use crate::symbols::{Candidate, LookupError};

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its address in the process.
    pub address: AbsAddr,
    /// The length of the watch: 1, 2, 4 or 8 bytes, of which the address is a multiple.
    pub length: u32,
    /// Its name as printed: `counter`, `limits+16`, `0x404028`.
    pub name: String,
    /// The length of the symbol, where there is one and the file tells.
    pub symbol_size: Option<u64>,
    /// Is there memory at the address now? A watch where there is none is armed
    /// all the same, as memory may come; but for an address it hints at a mistake.
    pub mapped: bool,
}

/// One of several variables with the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What to write to mean this one: its full name, that with its source file
    /// (`state@u1.c`), or else its address.
    pub expression: String,
    /// Its full name, demangled.
    pub name: String,
    /// Its address in the process, by which it can be watched.
    pub address: AbsAddr,
    /// Its length in bytes; 0 where the file does not say.
    pub size: u64,
    /// Its source file, where the symbol table tells: the last part of the path.
    pub file: Option<String>,
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
    /// Each thread has its own.
    #[error("`{name}` is thread-local, which cannot be watched yet")]
    ThreadLocal {
        /// The variable.
        name: String,
    },
    /// It is code.
    #[error("`{name}` is a function, not data")]
    Function {
        /// The function.
        name: String,
    },
    /// It is in a shared library.
    #[error("`{name}` is a variable of a shared library, which cannot be watched yet")]
    InSharedLibrary {
        /// The variable.
        name: String,
    },
    /// The address is no multiple of the length, as debug registers require.
    #[error("{address} ({name}) is not a multiple of {length}, the length of the watch")]
    Misaligned {
        /// The expression.
        name: String,
        /// The address.
        address: AbsAddr,
        /// The length asked for or taken from the symbol.
        length: u32,
        /// The greatest length that can be watched at this address.
        fitting_length: u32,
        /// The expression for the next aligned address below.
        below: String,
        /// The expression for the next aligned address above.
        above: String,
    },
    /// The symbol has a length that no debug register has.
    #[error("`{name}` is {size} bytes long, and a watch is 1, 2, 4 or 8 bytes long")]
    BadLength {
        /// The symbol.
        name: String,
        /// Its length in bytes.
        size: u64,
    },
    /// The length asked for is none that a debug register has.
    #[error("a watch is 1, 2, 4 or 8 bytes long, not {length}")]
    NotALength {
        /// The length asked for.
        length: u32,
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
    /// The process or its executable cannot be used.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Finds what an expression names in a process. `length` is the one asked for by
/// `.length(N)`; else it is the symbol's, or 8 for addresses, for symbols of
/// unknown size and for `symbol+offset`, there cut to the end of the symbol.
///
/// # Errors
///
/// [`ResolveError`].
pub fn resolve(
    process: &Process,
    expression: &Expression,
    length: Option<u32>,
) -> Result<Location, ResolveError> {
    if let Some(length) = length.filter(|&length| !is_length(length.into())) {
        return Err(ResolveError::NotALength { length });
    }
    match expression {
        Expression::Address(address) => {
            number(process, expression, AbsAddr(*address), None, length)
        }
        Expression::Decimal { address, as_hex } => {
            let as_hex = Some(AbsAddr(*as_hex));
            number(process, expression, AbsAddr(*address), as_hex, length)
        }
        Expression::Symbol { name, offset } => {
            symbol(process, expression, name, *offset, length)
        }
    }
}

fn number(
    process: &Process,
    expression: &Expression,
    address: AbsAddr,
    as_hex: Option<AbsAddr>,
    length: Option<u32>,
) -> Result<Location, ResolveError> {
    refuse_other_machines(process)?;
    let mapped = is_mapped(process, address);
    // Before all else: what is wrong with the number says nothing of what was meant.
    if let Some(as_hex) = as_hex.filter(|&as_hex| !mapped && is_mapped(process, as_hex)) {
        return Err(ResolveError::NotHex { address, as_hex });
    }
    let length = length.unwrap_or(8);
    check_address(expression, address, length)?;
    let name = expression.to_string();
    Ok(Location { address, length, name, symbol_size: None, mapped })
}

fn symbol(
    process: &Process,
    expression: &Expression,
    name: &str,
    offset: i64,
    length: Option<u32>,
) -> Result<Location, ResolveError> {
    let executable = process.executable()?;
    let symbol = executable
        .elf
        .find_data(name)
        .map_err(|error| from_lookup(error, name, executable))?;
    let start = executable.bias.to_abs(symbol.address);
    let address = start.0.checked_add_signed(offset).map(AbsAddr);
    let address = address.ok_or_else(|| not_user_space(expression))?;
    let length = match length {
        Some(length) => length,
        None if offset == 0 => whole_length(name, symbol.size)?,
        None => rest_length(symbol.size, offset),
    };
    check_address(expression, address, length)?;
    Ok(Location {
        address,
        length,
        name: expression.to_string(),
        symbol_size: Some(symbol.size).filter(|&size| size > 0),
        mapped: offset == 0 || is_mapped(process, address),
    })
}

/// The lengths that debug registers have (Intel SDM, volume 3, 19.2.4: LEN0…3).
fn is_length(length: u64) -> bool {
    matches!(length, 1 | 2 | 4 | 8)
}

/// The length of a watch on all of a symbol.
fn whole_length(name: &str, size: u64) -> Result<u32, ResolveError> {
    match size {
        0 => Ok(8),
        _ if is_length(size) => Ok(u32::try_from(size).unwrap_or(8)),
        _ => Err(ResolveError::BadLength { name: name.to_owned(), size }),
    }
}

/// The length of a watch inside of a symbol: 8, or what a register can cover of a
/// shorter rest.
fn rest_length(size: u64, offset: i64) -> u32 {
    let rest = u64::try_from(offset).ok().and_then(|offset| size.checked_sub(offset));
    match rest {
        Some(rest @ 1..8) => 1 << rest.ilog2(),
        _ => 8,
    }
}

fn not_user_space(expression: &Expression) -> ResolveError {
    ResolveError::NotUserSpace { name: expression.to_string() }
}

/// The address must be the user's and a multiple of the length (Intel SDM, volume
/// 3, 19.2.5: "must be aligned").
fn check_address(
    expression: &Expression,
    address: AbsAddr,
    length: u32,
) -> Result<(), ResolveError> {
    let bytes = u64::from(length);
    let end = address.checked_add(bytes);
    if end.is_none_or(|end| end > USER_SPACE_END) {
        return Err(not_user_space(expression));
    }
    let excess = address.0 % bytes;
    if excess == 0 {
        return Ok(());
    }
    let moved = |by: i64| match expression {
        Expression::Address(address) | Expression::Decimal { address, .. } => {
            Expression::Address(address.wrapping_add_signed(by))
        }
        Expression::Symbol { name, offset } => {
            Expression::Symbol { name: name.clone(), offset: offset.wrapping_add(by) }
        }
    };
    let (down, up) = (excess.cast_signed(), (bytes - excess).cast_signed());
    Err(ResolveError::Misaligned {
        name: expression.to_string(),
        address,
        length,
        fitting_length: 1 << address.0.trailing_zeros().min(3),
        below: moved(-down).to_string(),
        above: moved(up).to_string(),
    })
}

/// Debug registers are set the same way for all programs, but the decoder of
/// accesses knows 64-bit code only. A file that cannot be read refuses nothing.
fn refuse_other_machines(process: &Process) -> Result<(), ResolveError> {
    match process.executable() {
        Err(error @ ProcessError::Executable { .. }) => Err(error.into()),
        Err(error @ (ProcessError::Gone { .. } | ProcessError::Zombie { .. })) => {
            Err(error.into())
        }
        Err(error @ ProcessError::KernelThread { .. }) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Where the mappings cannot be read, the address is taken for good.
fn is_mapped(process: &Process, address: AbsAddr) -> bool {
    let contains = |mappings: Vec<crate::maps::Mapping>| {
        mappings.iter().any(|mapping| mapping.contains(address))
    };
    process.maps().map_or(true, contains)
}

fn from_lookup(error: LookupError, name: &str, executable: &Executable) -> ResolveError {
    let name = name.to_owned();
    let path = executable.path.to_path_buf();
    match error {
        LookupError::Missing { .. } if !executable.elf.has_symbols() => {
            ResolveError::Stripped { name, path }
        }
        LookupError::Missing { nearest } => {
            ResolveError::NoSuchSymbol { name, nearest, searched: path }
        }
        LookupError::Ambiguous { candidates } => {
            let choice = |candidate| choice(candidate, executable);
            let candidates = candidates.into_iter().map(choice).collect();
            ResolveError::Ambiguous { name, candidates }
        }
        LookupError::ThreadLocal => ResolveError::ThreadLocal { name },
        LookupError::Function => ResolveError::Function { name },
        LookupError::Imported => ResolveError::InSharedLibrary { name },
    }
}

fn choice(candidate: Candidate, executable: &Executable) -> Choice {
    let Candidate { name, address, size, file } = candidate;
    // Only what leads there is offered.
    let leads_there = |text: &String| match Expression::parse(text) {
        Ok(Expression::Symbol { name, offset: 0 }) => {
            let found = executable.elf.find_data(&name);
            found.is_ok_and(|found| found.address == address)
        }
        _ => false,
    };
    let with_file = file.as_ref().map(|file| format!("{name}@{file}"));
    let mut texts = [Some(name.clone()), with_file].into_iter().flatten();
    let address = executable.bias.to_abs(address);
    let expression = texts.find(leads_there).unwrap_or_else(|| address.to_string());
    Choice { expression, name, address, size, file }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_whole_symbols() {
        for size in [1, 2, 4, 8] {
            assert_eq!(whole_length("x", size).expect("a length"), size as u32);
        }
        assert_eq!(whole_length("x", 0).expect("unknown"), 8);
        for size in [3, 16, 4096, u64::MAX] {
            assert!(whole_length("x", size).is_err());
        }
    }

    #[test]
    fn lengths_inside_of_symbols() {
        for (size, offset, expected) in [
            (64, 8, 8),
            (12, 8, 4),
            (7, 4, 2),
            (5, 4, 1),
            (4, 4, 8),
            (4, -8, 8),
            (0, 8, 8),
        ] {
            assert_eq!(rest_length(size, offset), expected, "{size} {offset}");
        }
    }

    #[test]
    fn misaligned_addresses_get_alternatives() {
        let expression = Expression::parse("limits+6").expect("it is one");
        let error = check_address(&expression, AbsAddr(0x1006), 8);
        let Err(ResolveError::Misaligned { fitting_length, below, above, .. }) = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(fitting_length, 2);
        assert_eq!((below.as_str(), above.as_str()), ("limits", "limits+8"));
        assert!(check_address(&expression, AbsAddr(0x1006), 2).is_ok());
    }

    #[test]
    fn kernel_addresses_are_refused() {
        let expression = Expression::Address(u64::MAX - 7);
        let error = check_address(&expression, AbsAddr(u64::MAX - 7), 8);
        assert!(matches!(error, Err(ResolveError::NotUserSpace { .. })));
    }
}
