//! What can go wrong in a handler: one table.

/// Faults from this number on are not caught by `try`: they end the handler.
pub const UNCATCHABLE: u32 = 0x1_0000;

/// In [`super::HandlerContext::fault`]: the handler was ended, but nothing
/// went wrong (`next` in a function, `abort()`).
pub const ENDED: u32 = u32::MAX;

/// The table: number, what a script's `catch` gets (SystemTap's words), what
/// happened, what to do about it.
macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $number:literal,
       $caught:literal, $message:literal, $help:literal;)*) => {
        /// Why a handler was ended before its end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum FaultCode {
            $($(#[$doc])* $name = $number,)*
        }

        impl FaultCode {
            /// All codes, for tables and for [`FaultCode::from_number`].
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code with this number, none for 0 and for numbers not
            /// given out.
            pub fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// What a script that catches it is told: SystemTap's words where
            /// SystemTap has the fault. Empty where each fault has a text of
            /// its own ([`crate::world::World::fault_text`]).
            pub fn caught(self) -> &'static str {
                match self { $(Self::$name => $caught,)* }
            }

            /// What happened, as a sentence without a full stop.
            pub fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }

            /// What to do about it.
            pub fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }
        }
    };
}

faults! {
    /// The right side of `/` or `%` was 0.
    DivisionByZero = 1, "division by 0",
        "division by 0",
        "test the divisor first: `if (n != 0) …`";
    /// An array has no room for another element.
    ArrayFull = 3, "Array overflow, check MAXMAPENTRIES",
        "the array is full",
        "declare it larger (`global name[N]`), raise the default with \
         -D MAXMAPENTRIES=N, let it drop the oldest (`global name%[N]`), or \
         `delete` what is not needed";
    /// A handler made more temporary text than fits into the arena.
    ArenaFull = 4, "too much temporary text",
        "the handler made too much temporary text",
        "print in pieces instead of building one long string";
    /// More distinct strings were used as keys than may be kept.
    TooManyStrings = 5, "too many distinct strings",
        "too many distinct strings were used as keys",
        "use numbers as keys and turn them to text when printing";
    /// Functions called one another too deeply.
    NestedTooDeep = 6, "MAXNESTING exceeded",
        "functions called one another too deeply",
        "end the recursion earlier, or raise the limit with -D MAXNESTING=N";
    /// `@min`, `@max`, `@avg`, `@variance`, a percentile or a histogram of an
    /// aggregate without values.
    EmptyAggregate = 7, "empty aggregate",
        "the aggregate is empty",
        "test it first: `if (@count(s)) …`";
    /// An index that a histogram does not have.
    BadBucket = 8, "histogram index out of range",
        "the histogram has no bucket with this index",
        "walk the buckets there are: `foreach (b in @hist_log(s)) …`";
    /// The script called `error()`, or a function of the library did.
    UserError = 9, "",
        "the script raised an error",
        "`try { … } catch (message) { … }` goes on after it";
    /// Memory of the target that can not be read.
    BadAddress = 10, "",
        "memory can not be read at this address",
        "test the address first, or `try { … } catch { … }`";
    /// One run of a handler printed more than may wait to be put out.
    OutputFull = 11, "too much output",
        "the handler printed too much at once",
        "print less in one run of a handler";
    /// More distinct stacks were asked for than may be kept.
    TooManyStacks = 12, "too many distinct stacks",
        "too many distinct stacks were asked for",
        "ask for fewer levels (`ucallers(3)`), or at fewer hits";
    /// The handler took more steps than it has fuel for.
    OutOfFuel = 0x1_0001, "MAXACTION exceeded",
        "the handler took too many steps",
        "raise the limit with -D MAXACTION=N, or shorten the loop";
}

impl FaultCode {
    /// Whether `try` catches it.
    pub fn is_catchable(self) -> bool {
        (self as u32) < UNCATCHABLE
    }
}

/// A fault with the place that raised it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub code: FaultCode,
    /// Index into the module's sites.
    pub site: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_complete() {
        for (at, code) in FaultCode::ALL.iter().enumerate() {
            assert_eq!(FaultCode::from_number(*code as u32), Some(*code));
            assert!(!FaultCode::ALL[..at].contains(code));
            for text in [code.message(), code.help()] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{code:?}: {text}");
            }
        }
        assert_eq!(FaultCode::from_number(0), None);
        assert_eq!(FaultCode::from_number(ENDED), None);
        assert!(!FaultCode::OutOfFuel.is_catchable());
        assert!(FaultCode::UserError.is_catchable());
    }
}
