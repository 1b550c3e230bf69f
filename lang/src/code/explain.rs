//! What a code means at length, for `hwtrace explain CODE`.

use super::Code;

/// A code explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What is wrong and why, in sentences.
    pub text: &'static str,
    /// A script that has the error; none where no text causes it. A first line
    /// `# arguments: a b` gives it script arguments.
    pub wrong: Option<&'static str>,
    /// The same, put right.
    pub right: Option<&'static str>,
}

const fn text(text: &'static str) -> Explanation {
    Explanation { text, wrong: None, right: None }
}

const fn example(
    text: &'static str,
    wrong: &'static str,
    right: &'static str,
) -> Explanation {
    Explanation { text, wrong: Some(wrong), right: Some(right) }
}

impl Code {
    /// What the code means at length, with a script that has the error and one
    /// that has not.
    ///
    /// ```
    /// use hwtrace_lang::code::Code;
    /// let known = Code::OutsideLoop.explanation();
    /// assert_eq!(known.wrong, Some("probe begin { break }"));
    /// ```
    pub fn explanation(self) -> Explanation {
        match TABLE.iter().find(|(code, _)| *code == self) {
            Some((_, explanation)) => *explanation,
            None => text(self.title()),
        }
    }

    /// The code that is spelled `text`: `E0001`.
    ///
    /// ```
    /// use hwtrace_lang::code::Code;
    /// assert_eq!(Code::named("e0001"), Some(Code::Syntax));
    /// ```
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

#[rustfmt::skip]
static TABLE: &[(Code, Explanation)] = &[
    (Code::Syntax, example(
        "The text stops being hwt at the marked place. A script is made of probes, globals, functions and aliases; statements stand inside of braces. What was expected there and what stands there instead, the message says.",
        "probe begin { x = }",
        "probe begin { x = 1 print(x) }",
    )),
    (Code::UnterminatedString, example(
        "A string ends on the line on which it begins. Longer texts are written as several strings, which join.",
        r#"probe begin { print("one) }"#,
        r#"probe begin { print("one " "two") }"#,
    )),
    (Code::UnterminatedComment, example(
        "A comment that begins with `/*` goes on until `*/`, over as many lines as it takes. Comments do not nest.",
        "probe begin { } /* the end",
        "probe begin { } /* the end */",
    )),
    (Code::UnbalancedBracket, example(
        "Each `(`, `[` and `{` is closed by its own partner, and in the reverse order.",
        "probe begin { print((1) }",
        "probe begin { print((1)) }",
    )),
    (Code::BadInteger, example(
        "Numbers are decimal (42), hexadecimal (0x2a), octal (052) or have a fraction or an exponent (1.5, 1e3). Whole numbers have 64 bits. A leading 0 makes a number octal, so that it has no 8 and no 9.",
        "probe begin { print(089) }",
        "probe begin { print(89) }",
    )),
    (Code::BadEscape, example(
        r#"In a string a backslash begins an escape: \n \t \r \a \b \f \v \e \\ \" \123 \x1b. A backslash itself is written twice."#,
        r#"probe begin { print("\q") }"#,
        r#"probe begin { print("\\q") }"#,
    )),
    (Code::TooDeep, example(
        "Brackets may be nested 64 deep, operators and statements 512; a chain of `else if` or of operators is nested, too. Scripts by hand never come near; generated ones keep parts in variables.",
        "probe begin { print(((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))) }",
        "probe begin { print(-1) }",
    )),
    (Code::ScriptTooLong, text("Scripts have at most 4 MiB, also after macros are written out, and one probe not more than some 300 kB. Handlers count once for each of their probe points.")),
    (Code::Unsupported, example(
        "The script uses a part of the language that hwtrace does not have yet. The help says what to do until then.",
        "probe process.data(1).write { rearm() }",
        "global on probe process.data(1).write if (on) { println($new) } probe timer.s(1) { on = 1 }",
    )),
    (Code::ForeignSyntax, example(
        "The marked text belongs to bpftrace, DTrace or C. The help shows how hwt writes it.",
        "probe begin { int x }",
        "probe begin { x = 0 print(x) }",
    )),
    (Code::OutsideLoop, example(
        "`break` and `continue` act on the loop around them. To leave a handler write `next`, to leave a function `return`.",
        "probe begin { break }",
        "probe begin { next }",
    )),
    (Code::NotAssignable, example(
        "On the left of `=` and its like, and beside `++` and `--`, stands a variable or an element of an array.",
        "probe begin { 1 = x }",
        "probe begin { x = 1 print(x) }",
    )),
    (Code::NoProbes, example(
        "A script without a probe never does anything. Where all its probe points are optional (`?`), at least one has to exist.",
        "global n",
        "probe begin { println(1) }",
    )),
    (Code::BadPreprocessor, example(
        "`%( condition %? yes %: no %)` chooses between two parts of the script before anything else looks at it. The condition compares kernel_v, kernel_vr, arch, systemtap_v, a CONFIG_ option, a script argument, numbers or strings; comparisons are joined by && and ||.",
        "%( kernel_v %? probe begin { } %)",
        r#"%( kernel_v >= "5.10" %? probe begin { } %: probe end { } %)"#,
    )),
    (Code::BadMacro, example(
        "`@define NAME(a, b) %( @a + @b %)` declares a macro, behind which `@NAME(1, 2)` stands for its text. A macro can not use itself, and a call has as many arguments as the macro has parameters.",
        "@define add(a, b) %( @a + @b %)\nprobe begin { print(@add(1)) }",
        "@define add(a, b) %( @a + @b %)\nprobe begin { print(@add(1, 2)) }",
    )),
    (Code::UnknownVariable, example(
        "A variable is read, but nothing in this handler ever assigns a value to it, and no global has its name. Mostly the name is misspelled.",
        "probe begin { count = 1 print(cuont) }",
        "probe begin { count = 1 print(count) }",
    )),
    (Code::UnknownFunction, example(
        "No function of the script and no builtin function has this name. `hwtrace list --functions` shows the builtin ones.",
        "probe begin { prnt(1) }",
        "probe begin { print(1) }",
    )),
    (Code::UnknownTargetVariable, example(
        "The probe point knows some `$` variables, but not this one. Variables of the script have no `$`.",
        "probe process.data(1).write { print($nwe) }",
        "probe process.data(1).write { print($new) }",
    )),
    (Code::UnknownArray, example(
        "Arrays are globals and are declared at the top of the script.",
        "probe begin { a[1] = 2 }",
        "global a probe begin { a[1] = 2 }",
    )),
    (Code::Redeclared, example(
        "Two globals, two functions or two parameters of one function have the same name.",
        "global n, n probe begin { n++ }",
        "global n, m probe begin { n++ m++ }",
    )),
    (Code::TypeMismatch, example(
        "Types follow from use: a variable that is once a string is a string everywhere. Only a long beside a double in arithmetic or a comparison becomes a double by itself.",
        r#"probe begin { x = 1 x = "one" }"#,
        r#"probe begin { x = 1 y = "one" print(sprint(x) . y) }"#,
    )),
    (Code::ArrayAndScalar, example(
        "A global is either an array, used with keys in brackets, or holds one value.",
        "global n probe begin { n[1] = 2 n = 3 }",
        "global n, m probe begin { n[1] = 2 m = 3 }",
    )),
    (Code::KeyCount, example(
        "All elements of an array have the same number of keys.",
        "global a probe begin { a[1] = 2 a[1, 2] = 3 }",
        "global a, b probe begin { a[1] = 2 b[1, 2] = 3 }",
    )),
    (Code::ArgumentCount, example(
        "A function gets a value for each of its parameters.",
        r#"probe begin { print(strlen("a", 1)) }"#,
        r#"probe begin { print(strlen("a")) }"#,
    )),
    (Code::NotAvailableHere, example(
        "What was accessed, and by which instruction, is known only in data probes; `$` variables are known only in handlers, not in functions.",
        "probe begin { print($new) }",
        "probe process.data(1).write { print($new) }",
    )),
    (Code::BadFormat, example(
        "A directive of a format is `%`, flags, width, precision and a conversion: %d %i %u %x %X %o %p %c %b %m %M %f %e %g %s. Numbers always have 64 bits, so that there are no length modifiers. A percent sign is `%%`.",
        r#"probe begin { printf("%ld", 1) }"#,
        r#"probe begin { printf("%d", 1) }"#,
    )),
    (Code::FormatArguments, example(
        "Each directive of a format prints one value; a `*` as width or precision takes a value of its own before it.",
        r#"probe begin { printf("%d %d", 1) }"#,
        r#"probe begin { printf("%d %d", 1, 2) }"#,
    )),
    (Code::FormatNotLiteral, example(
        "Formats and delimiters are checked before the script runs, so they stand in the script as literals.",
        r#"probe begin { x = "%d" printf(x, 1) }"#,
        r#"probe begin { printf("%d", 1) }"#,
    )),
    (Code::NoValue, example(
        "The function is called for its effect and gives nothing that could be used.",
        "probe begin { x = exit() print(x) }",
        "probe begin { exit() }",
    )),
    (Code::BadArraySize, example(
        "An array has room for at least 1 element and at most 4294967295.",
        "global a[0] probe begin { a[1] = 1 }",
        "global a[10] probe begin { a[1] = 1 }",
    )),
    (Code::ReadOnly, example(
        "`$` variables belong to the target, and hwtrace never changes the target.",
        "probe process.data(1).write { $new = 1 }",
        "probe process.data(1).write { new = $new print(new) }",
    )),
    (Code::BadOrder, example(
        "A foreach is sorted by one key, by the value or by one extractor, with `+` (the smallest first) or `-` behind it.",
        "global a probe begin { a[1] = 1 foreach (k+ in a-) print(k) }",
        "global a probe begin { a[1] = 1 foreach (k in a-) print(k) }",
    )),
    (Code::NotStatistics, example(
        "`<<<` and extractors such as `@count` work on statistics: a global or an element of an array that `<<<` fills and nothing assigns to.",
        "probe begin { x <<< 1 }",
        "global x probe begin { x <<< 1 }",
    )),
    (Code::StatisticsAsValue, example(
        "Statistics are no value: they can be asked (`@count(s)`, `@avg(s)`), filled (`s <<< n`) and deleted, not assigned, passed or printed.",
        "global s probe begin { s <<< 1 print(s) }",
        "global s probe begin { s <<< 1 print(@avg(s)) }",
    )),
    (Code::BadExtractor, example(
        "Statistics have @count @sum @min @max @avg @variance(s[, shift]) @p50 @p90 @p99 @percentile(s, p) and the histograms @hist_log(s) and @hist_linear(s, low, high, step), whose bounds are numbers in the script.",
        "global s probe begin { s <<< 1 print(@count(s, 1)) }",
        "global s probe begin { s <<< 1 print(@count(s)) }",
    )),
    (Code::HistogramAsValue, example(
        "A histogram is printed by a statement of its own, `print(@hist_log(s))`, walked by `foreach (i in @hist_log(s))` from the lowest bucket upwards, or asked for one bucket, `@hist_log(s)[i]`.",
        "global s probe begin { s <<< 1 x = @hist_log(s) print(x) }",
        "global s probe begin { s <<< 1 print(@hist_log(s)) }",
    )),
    (Code::BadRegex, example(
        r#"Behind `=~` and `!~` stands a string literal with a regular expression. Unlike the POSIX expressions of SystemTap it has no back references, finds the leftmost alternative that fits rather than the longest, knows `\\d \\w \\b`, and takes time linear in the text."#,
        r#"probe begin { if (execname() =~ "a(b") next }"#,
        r#"probe begin { if (execname() =~ "a[(]b") next }"#,
    )),
    (Code::BadKeyType, example(
        "Doubles are no keys, for two that print alike need not be equal. A string made of one is a fine key.",
        "global a probe begin { a[1.5] = 1 }",
        r#"global a probe begin { a[sprintf("%.1f", 1.5)] = 1 }"#,
    )),
    (Code::AnyKeyHere, example(
        "`*` as a key stands for all elements that have the other keys. It is known to `foreach`, `delete` and `in`.",
        "global a probe begin { a[1, 2] = 3 print(a[*, 2]) }",
        "global a probe begin { a[1, 2] = 3 if ([*, 2] in a) delete a[*, 2] }",
    )),
    (Code::ReturnOutsideFunction, example(
        "Only functions return values. `return` and `next` without a value leave a handler.",
        "probe begin { return 1 }",
        "function f() { return 1 } probe begin { print(f()) }",
    )),
    (Code::BadCondition, example(
        "The `if (…)` of a probe point decides when it is armed, outside of any handler. It may use globals, constants and functions of their arguments alone, and changes nothing.",
        "probe process.data(1).write if (pid() == 1) { }",
        "probe process.data(1).write { if (pid() != 1) next }",
    )),
    (Code::AliasRecursion, example(
        "An alias stands for other probe points, and in the end for ones that exist.",
        "probe a = b { } probe b = a { } probe a { }",
        "probe a = begin { } probe a { }",
    )),
    (Code::NeedsUnsafe, example(
        "The function acts on the system, which a tracer does not do unless it was allowed to with --unsafe.",
        r#"probe begin { system("date") }"#,
        r#"probe begin { println("date") }"#,
    )),
    (Code::UnknownMember, example(
        "The structure or union of the target has no member of this name. `$x$` shows those that it has.",
        r#"probe process.data("list").write { println($new->lenght) }"#,
        r#"probe process.data("list").write { println($new->length) }"#,
    )),
    (Code::NoParts, example(
        "`->` takes a structure, a union or a pointer to one, `[…]` an array or a pointer, `*` a pointer. What is none of them has nothing inside.",
        r#"probe process.data("list").write { println($new->length->x) }"#,
        r#"probe process.data("list").write { println($new->length) }"#,
    )),
    (Code::UnknownType, example(
        "`@cast` names a type, `@var` a variable and `@enum` a constant of the target, as its debug information does. With `@defined` a script can ask first.",
        r#"probe begin { println(@enum("REDD")) }"#,
        r#"probe begin { println(@enum("RED")) }"#,
    )),
    (Code::NoTypes, example(
        "A number of the script, or data of the target without debug information, has no type that could tell of members or of what it points to. `@cast` says what lies at an address; `user_int(address)` and its like read what needs no type.",
        r#"probe begin { p = 4096 println(p->length) }"#,
        r#"probe begin { p = 4096 println(@cast(p, "struct list")->length) }"#,
    )),
    (Code::NoAddress, example(
        "`&` gives the address of what lies in memory. `$new` and `$old` were kept when the access was made, bit-fields share their bytes with others, and an address itself lies nowhere.",
        r#"probe process.data("list").write { println(&$new) }"#,
        r#"probe process.data("list").write { println(&$new->length) }"#,
    )),
    (Code::BadDataCall, example(
        "`@cast(value, \"type\")`, `@var(\"name@file.c\")` and `@enum(\"CONSTANT\")` are looked up before the script runs, so that their names are literals. Each can name a module behind: `@var(\"name\", \"libfoo.so\")`.",
        r#"probe begin { name = "RED" println(@enum(name)) }"#,
        r#"probe begin { println(@enum("RED")) }"#,
    )),
    (Code::UnknownRegister, example(
        "The processor has no register of this name, or none that is recorded at a hit: segments are not.",
        r#"probe process.data("counter").write { println(register("rxa")) }"#,
        r#"probe process.data("counter").write { println(register("rax")) }"#,
    )),
    (Code::UnknownWatch, example(
        "`seen()`, `estimated()`, `estimated_error()` and `coverage()` are asked of data that a probe watches, by the name that stands in its `data(\"…\")`.",
        r#"probe process.data("counter").write { } probe end { println(seen("count")) }"#,
        r#"probe process.data("counter").write { } probe end { println(seen("counter")) }"#,
    )),
    (Code::UnknownObjects, example(
        "`watch()` and `unwatch()` name objects by a literal, and a probe `process.watch(\"name\")` says what is to be done at accesses to them.",
        r#"probe process.data("counter").write { watch("node", data_addr(), 8) }"#,
        r#"probe process.data("counter").write { watch("node", data_addr(), 8) } probe process.watch("node").write { }"#,
    )),
    (Code::BadObject, example(
        "`watch()` takes data of the process with `&` before it, or an address and how many bytes are there, 1 to 64. Bit-fields share their bytes with others, and the kernel's data is nobody's object.",
        r#"probe begin { watch("node", 4096) } probe process.watch("node").write { }"#,
        r#"probe begin { watch("node", 4096, 8) } probe process.watch("node").write { }"#,
    )),
    (Code::MissingArgument, example(
        "The script uses `$1` or `@1`, and so it needs an argument behind its name on the command line.",
        "probe begin { print($1) }",
        "probe begin { print($#) }",
    )),
    (Code::LeftOverArgument, example(
        "An argument was given that the script never uses; mostly it belongs in front of the script, or to another one.",
        "# arguments: 7\nprobe begin { }",
        "# arguments: 7\nprobe begin { print($1) }",
    )),
    (Code::BadArgument, example(
        "`$1` pastes an argument as a number or a name. `@1` pastes it as a string, whatever is in it.",
        "# arguments: counter\nprobe process.data($1).write { }",
        "# arguments: counter\nprobe process.data(@1).write { }",
    )),
    (Code::UnknownOverride, text("-G gives a global another value at the start; the script has no global of this name.")),
    (Code::BadOverride, text("-G sets globals of one value: a whole number, a number or a text, as the global's type is. Arrays and statistics can not be set.")),
    (Code::UnknownProbePoint, example(
        "No probe point has this name. `hwtrace list` shows those that there are. With `?` behind it a point may be missing.",
        "probe nowhere { }",
        "probe nowhere?, begin { }",
    )),
    (Code::BadProbeArgument, text("The argument in parentheses is missing, has the wrong type or is out of range.")),
    (Code::NotAvailableYet, text("The probe point belongs to the language, but hwtrace can not arm it yet.")),
    (Code::UnknownSymbol, text("The executable and its symbol table have no such object. `hwtrace list` shows what they have; a static variable may have been optimized away.")),
    (Code::AmbiguousSymbol, text("Several objects have this name. Name the file, `counter@file.c`, or the address.")),
    (Code::StrippedBinary, text("The symbols of the executable were removed. Install its debug information, or watch an address.")),
    (Code::BadLength, text("A watch is at least 1 byte long; what is longer than 8 takes a debug register for each 8 bytes, and there are four.")),
    (Code::BadExecutable, text("The file is missing, can not be read or is no ELF executable.")),
    (Code::NoTarget, text(r#"A script that watches a process needs to know which: -c starts a command, -p takes a process, process("PATH") names an executable."#)),
    (Code::NoSuchProcess, text("The process given by -p has ended, or is in another pid namespace.")),
    (Code::NotExecutable, text("The command of -c is not there or may not be executed.")),
    (Code::PermissionDenied, text("The kernel lets only some watch: see /proc/sys/kernel/perf_event_paranoid, and the rights over the target (same user, ptrace allowed).")),
    (Code::NoFreeRegister, text("All debug registers of the CPU are in use, by a debugger or by another tracer. Where that is another hwtrace, start both with --registers 2. What a debugger or --engine ptrace left reserved on a thread --engine ptrace can use.")),
    (Code::UnsupportedTarget, text("The target can not be traced: it has another architecture, or is a kernel thread.")),
    (Code::TargetExited, text("The target ended before its data could be watched.")),
    (Code::LimitReached, text("A limit of the system on files, memory or events was reached; see ulimit and /proc/sys/kernel/perf_event_mlock_kb.")),
    (Code::UnsupportedMachine, text("The machine has no debug registers, or the kernel gives no access to them, as in some virtual machines.")),
    (Code::ArmingFailed, text("The kernel refused a watch for a reason of its own.")),
    (Code::TooManyWatches, text("A CPU has few debug registers, four on x86. Watch fewer objects at a time, or make probe points conditional: `if (on)`.")),
    (Code::DivisionByZero, text("The right side of `/` or `%` was 0. Test it before, or catch the error: `try { … } catch { … }`.")),
    (Code::OutOfFuel, text("A handler took more steps than it may, by default 1,000,000; see -D MAXACTION=.")),
    (Code::ArrayFull, text("An array has no room left. Give it a size, `global a[100000]`, or let it drop the oldest element, `global a%[1000]`.")),
    (Code::ArenaFull, text("A handler made more temporary text than fits. Print in pieces rather than joining strings in a loop.")),
    (Code::TooManyStrings, text("Too many distinct strings were used as keys. Use numbers as keys and make text of them when printing.")),
    (Code::OutputFull, text("One run of a handler printed more than may wait to be put out, 16 MiB. Print less at a time.")),
    (Code::EmptyStatistics, text("The smallest, largest or average value of nothing was asked for. Test `@count(s)` before.")),
    (Code::BucketOutOfRange, text("The index of a bucket is not one of the histogram's. Walk it with `foreach (i in @hist_log(s))`.")),
    (Code::BadAddress, text(r#"Memory at this address is not mapped or may not be read. `user_string2(a, "?")` gives a text of your own in place of the error. Handlers run after the hit: what is not read at the hit, as `--dump plan` tells, is lost where the process has ended by then."#)),
    (Code::Raised, text("The script itself called error(), or an assertion did not hold.")),
    (Code::RecursionTooDeep, text("Functions called one another too deeply; see -D MAXNESTING=.")),
    (Code::TooManyStacks, text("More distinct stacks were asked for than are kept, 64 MiB of them. Ask for fewer levels, `ucallers(3)`, or at fewer hits.")),
    (Code::NoKernelConfig, text(r#"A condition asked for an option of the kernel's configuration, which is neither in /proc/config.gz nor in /boot/config-RELEASE. The option counts as ""."#)),
    (Code::Unused, text("A global is declared and then neither read nor written. It may be misspelled where it was meant.")),
    (Code::NeverRead, text("A variable of a handler or function is assigned and then not read there. It may be misspelled, or meant to be a global that outlives the handler.")),
    (Code::NoObjects, text("A probe `process.watch(\"name\")` fires at accesses to objects that handlers watch with `watch(\"name\", &data)`, and no handler does.")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_once() {
        let codes: Vec<Code> = TABLE.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, Code::ALL);
        for (code, explanation) in TABLE {
            assert!(explanation.text.ends_with('.'), "{code}");
        }
    }
}
