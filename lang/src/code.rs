//! The codes of diagnostics, one table.
//!
//! A code never changes its meaning and is never given out again. The first
//! two digits are its group: `E00` the text, `E01` names and types, `E02`
//! script arguments and overrides, `E03` probe points, `E04` arming, `E05`
//! faults of handlers at run time. Warnings begin with `W`.

mod explain;

use std::fmt;

pub use explain::Explanation;

/// How grave a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The script runs, but perhaps not as meant.
    Warning,
    /// The script does not run.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Makes [`Code`] from the table, so that a row has all that is known of it.
macro_rules! codes {
    ($($name:ident $text:literal $severity:ident $title:literal;)*) => {
        /// Stable code of a diagnostic.
        ///
        /// ```
        /// use hwtrace_lang::code::Code;
        /// assert_eq!(Code::Syntax.as_str(), "E0001");
        /// assert_eq!(Code::Syntax.title(), "the text is no hwt script");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = concat!($text, ": ", $title)] $name,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as users see it: `E0001`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What the code means, one line.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// How grave it is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    // The text.
    Syntax "E0001" Error "the text is no hwt script";
    UnterminatedString "E0002" Error "a string is not closed on its line";
    UnterminatedComment "E0003" Error "a comment is not closed";
    UnbalancedBracket "E0004" Error "an opening and a closing bracket do not match";
    BadInteger "E0005" Error "a number has no valid form or more than 64 bits";
    BadEscape "E0006" Error "an escape in a string is not known";
    TooDeep "E0007" Error "the script is nested too deeply";
    ScriptTooLong "E0008" Error "the script is too long";
    Unsupported "E0009" Error "a part of the language that is not available yet";
    ForeignSyntax "E0010" Error "the spelling of another language";
    OutsideLoop "E0011" Error "break or continue outside a loop";
    NotAssignable "E0012" Error "only variables and array elements can be assigned to";
    NoProbes "E0013" Error "the script has no probe";
    BadPreprocessor "E0014" Error "a condition between `%(` and `%)` is malformed";
    BadMacro "E0015" Error "a macro is malformed, or called with other arguments than it has";

    // Names and types.
    UnknownVariable "E0101" Error "a variable is read that nothing assigns";
    UnknownFunction "E0102" Error "there is no such function";
    UnknownTargetVariable "E0103" Error "there is no such $ variable at this probe point";
    UnknownArray "E0104" Error "an array is not declared as a global";
    Redeclared "E0105" Error "a name is declared twice";
    TypeMismatch "E0106" Error "a value has another type than its place needs";
    ArrayAndScalar "E0107" Error "a name is used both as an array and as one value";
    KeyCount "E0108" Error "an array is used with different numbers of keys";
    ArgumentCount "E0109" Error "a function is called with too many or too few arguments";
    NotAvailableHere "E0110" Error "this probe point does not know what is asked";
    BadFormat "E0111" Error "a printf directive is malformed or unknown";
    FormatArguments "E0112" Error "directives and arguments of a printf do not match";
    FormatNotLiteral "E0113" Error "a format or delimiter is not a string literal";
    NoValue "E0114" Error "a function without a result is used as a value";
    BadArraySize "E0115" Error "the size of an array is out of range";
    ReadOnly "E0116" Error "$ variables cannot be assigned to";
    BadOrder "E0117" Error "a foreach is not sorted by exactly one thing";
    NotStatistics "E0118" Error "statistics are asked of what holds none";
    StatisticsAsValue "E0119" Error "statistics are used as a value";
    BadExtractor "E0120" Error "an extractor of statistics is unknown or has wrong arguments";
    HistogramAsValue "E0121" Error "a histogram is used as a value";
    BadRegex "E0122" Error "a regular expression is malformed or no literal";
    BadKeyType "E0123" Error "a value of this type cannot be a key";
    AnyKeyHere "E0124" Error "`*` as a key stands where one element is meant";
    ReturnOutsideFunction "E0125" Error "a handler returns a value";
    BadCondition "E0126" Error "the condition of a probe point asks what only a handler knows";
    AliasRecursion "E0127" Error "an alias of probe points stands for itself";
    NeedsUnsafe "E0128" Error "a function needs --unsafe";
    UnknownMember "E0129" Error "a structure has no such member";
    NoParts "E0130" Error "a value has no members, no elements or points to nothing";
    UnknownType "E0131" Error "the target has no such type, variable or constant";
    NoTypes "E0132" Error "the type of a value is not known";
    NoAddress "E0133" Error "a value lies in no memory";
    BadDataCall "E0134" Error "`@cast`, `@var` or `@enum` has other arguments";
    UnknownRegister "E0135" Error "there is no such register";
    UnknownWatch "E0136" Error "no probe watches data of this name";
    UnknownObjects "E0137" Error "no probe is for objects of this name";
    BadObject "E0138" Error "this can not be watched as an object";

    // Script arguments and overrides.
    MissingArgument "E0201" Error "a script argument is used but not given";
    LeftOverArgument "E0202" Error "a script argument is given but not used";
    BadArgument "E0203" Error "a script argument has the wrong form for its place";
    UnknownOverride "E0204" Error "-G names no global of the script";
    BadOverride "E0205" Error "-G gives a global a value that it cannot have";

    // Probe points.
    UnknownProbePoint "E0301" Error "there is no such probe point";
    BadProbeArgument "E0302" Error "an argument of a probe point has the wrong form";
    NotAvailableYet "E0303" Error "nothing can arm this probe point yet";
    UnknownSymbol "E0304" Error "there is no such symbol";
    AmbiguousSymbol "E0305" Error "several symbols have this name";
    StrippedBinary "E0306" Error "the executable has no symbols";
    BadLength "E0307" Error "a watch cannot have this length";
    BadExecutable "E0309" Error "a file is no executable that can be read";

    // Arming.
    NoTarget "E0401" Error "the script watches a process, but none is given";
    NoSuchProcess "E0402" Error "there is no such process";
    NotExecutable "E0403" Error "the command cannot be executed";
    PermissionDenied "E0404" Error "the kernel does not permit it";
    NoFreeRegister "E0405" Error "no debug register is free";
    UnsupportedTarget "E0406" Error "targets of this kind cannot be traced";
    TargetExited "E0407" Error "the target ended before it was armed";
    LimitReached "E0408" Error "a limit of the system is reached";
    UnsupportedMachine "E0409" Error "this machine or kernel has no hardware breakpoints";
    ArmingFailed "E0410" Error "the kernel refused a watch";
    TooManyWatches "E0411" Error "the script asks for more watches than there are debug registers";

    // Faults at run time.
    DivisionByZero "E0501" Error "a handler divided by 0";
    OutOfFuel "E0502" Error "a handler took more steps than it may";
    ArrayFull "E0503" Error "an array has no room for another element";
    ArenaFull "E0504" Error "a handler made too much temporary text";
    TooManyStrings "E0505" Error "too many distinct strings were used as keys";
    OutputFull "E0506" Error "a handler printed too much at once";
    EmptyStatistics "E0507" Error "statistics without values were asked for their minimum, maximum or average";
    BucketOutOfRange "E0508" Error "a histogram has no bucket of this index";
    BadAddress "E0509" Error "memory could not be read";
    Raised "E0510" Error "a handler called error() or an assertion did not hold";
    RecursionTooDeep "E0511" Error "functions called one another too deeply";
    TooManyStacks "E0512" Error "too many distinct stacks were asked for";

    // Doubtful, but the script runs.
    NoKernelConfig "W0001" Warning "the configuration of the kernel could not be read";
    Unused "W0002" Warning "a global is never used";
    NeverRead "W0003" Warning "a variable is assigned and never read";
    NoObjects "W0004" Warning "no handler watches objects of this name";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_titles_keep_the_house_style() {
        let texts: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for code in Code::ALL {
            let letter = match code.severity() {
                Severity::Error => 'E',
                Severity::Warning => 'W',
            };
            assert!(code.as_str().starts_with(letter) && code.as_str().len() == 5);
            assert!(!code.title().ends_with('.'), "{code}");
        }
    }
}
