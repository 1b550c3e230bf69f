//! How a function on a stack is written: for people, and as SystemTap does
//! (runtime/sym.h: what `_STP_SYM_FULL`, `_STP_SYM_SIMPLE` and `_STP_SYM_BRIEF` show).

use crate::world::stacks::{Frame, Place, Stack, Stacks};

/// A form of a stack's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// For people: function, place in the source or file, and what was inlined.
    People,
    /// `print_ubacktrace()`: address, symbol, offset, size and file.
    Full,
    /// `print_ubacktrace_fileline()`: the same with the source file and line.
    Source,
    /// `print_ubacktrace_brief()`: symbol and offset.
    Brief,
    /// `sprint_ubacktrace()`: symbol, offset, and the file without folders.
    Simple,
}

impl Form {
    /// Writes the lines of a stack, each with its end: of each address one, and for
    /// people of what was inlined there, too.
    pub fn write_stack(self, out: &mut Vec<u8>, who: &mut dyn Stacks, stack: Stack<'_>) {
        for (level, &address) in stack.addresses.iter().enumerate() {
            let start = out.len();
            let mut line = |frame: &Frame<'_>| {
                if self == Self::People || !frame.inlined {
                    self.write(out, address, frame);
                    out.push(b'\n');
                }
            };
            let place = Place { image: stack.image, address, returns: level > 0 };
            who.frame(place, &mut line);
            if out.len() == start {
                self.write(out, address, &Frame::default());
                out.push(b'\n');
            }
        }
        if !stack.whole {
            out.extend_from_slice(self.cut());
            out.push(b'\n');
        }
    }

    /// Writes the line of a function that is at an address, without the line's end.
    fn write(self, out: &mut Vec<u8>, address: u64, frame: &Frame<'_>) {
        let text = match self {
            Self::People => for_people(address, frame),
            Self::Full => {
                format!(" {address:#x} : {}{}", full(address, frame), file(frame))
            }
            Self::Source => {
                let line = frame.line.map(|(file, line)| format!(" at {file}:{line}"));
                let (name, line) = (full(address, frame), line.unwrap_or_default());
                format!(" {address:#x} : {name}{line}{}", file(frame))
            }
            Self::Brief => short(address, frame),
            Self::Simple => short(address, frame) + &base(frame),
        };
        out.extend_from_slice(text.as_bytes());
    }

    /// The line behind the last one of a stack that could not be walked to its end.
    fn cut(self) -> &'static [u8] {
        match self {
            Self::People => b"  ...",
            Self::Full | Self::Source => b" ...",
            Self::Brief | Self::Simple => b"...",
        }
    }
}

/// `  store_it+0x14 (demo.c:12)`, `  add (demo.h:7) [inlined]`, `  0x401136 [libc.so.6]`
fn for_people(address: u64, frame: &Frame<'_>) -> String {
    let name = match frame.function {
        Some(name) if frame.inlined => name.to_owned(),
        _ => short(address, frame),
    };
    let place = match frame.line {
        Some((file, line)) => format!(" ({file}:{line})"),
        None => base(frame),
    };
    let inlined = if frame.inlined { " [inlined]" } else { "" };
    format!("  {name}{place}{inlined}")
}

/// `main+0x16`, or the address.
fn short(address: u64, frame: &Frame<'_>) -> String {
    match frame.function {
        Some(name) => format!("{name}+{:#x}", frame.offset),
        None => format!("{address:#x}"),
    }
}

/// `main+0x16/0x20`, or the address.
fn full(address: u64, frame: &Frame<'_>) -> String {
    let size = match (frame.function, frame.size) {
        (Some(_), size @ 1..) => format!("/{size:#x}"),
        _ => String::new(),
    };
    short(address, frame) + &size
}

/// ` [/usr/bin/prog]`
fn file(frame: &Frame<'_>) -> String {
    in_brackets(frame.module)
}

/// ` [prog]`
fn base(frame: &Frame<'_>) -> String {
    in_brackets(frame.module.rsplit('/').next().unwrap_or_default())
}

fn in_brackets(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" [{name}]") }
}

/// Appends what the function is called that the address is in, and the address: what
/// `caller()` gives of the address to which a call returns.
pub fn write_caller(
    out: &mut Vec<u8>,
    who: &mut dyn Stacks,
    image: Option<u32>,
    address: u64,
) {
    let mut name = format!("{address:#x}");
    who.frame(Place { image, address, returns: true }, &mut |frame| {
        if let (Some(function), false) = (frame.function, frame.inlined) {
            function.clone_into(&mut name);
        }
    });
    out.extend_from_slice(format!("{name} {address:#x}").as_bytes());
}

/// Addresses as text, in hexadecimal digits with blanks between them.
pub fn addresses_text(addresses: &[u64]) -> String {
    let words: Vec<String> =
        addresses.iter().map(|address| format!("{address:#x}")).collect();
    words.join(" ")
}

/// The addresses in such a text; what is no address is left out.
pub fn addresses_in(text: &[u8]) -> Vec<u64> {
    let words = text.split(u8::is_ascii_whitespace);
    let number = |word: &[u8]| {
        let word = std::str::from_utf8(word).ok()?;
        u64::from_str_radix(word.strip_prefix("0x").unwrap_or(word), 16).ok()
    };
    words.filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame<'static> = Frame {
        function: Some("main"),
        offset: 0x16,
        size: 0x20,
        module: "/usr/bin/demo",
        line: Some(("src/demo.c", 12)),
        inlined: false,
    };

    fn line(form: Form, frame: Frame<'_>) -> String {
        let mut out = Vec::new();
        form.write(&mut out, 0x40_1136, &frame);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn forms_say_what_they_are_for() {
        let line = |form| line(form, FRAME);
        assert_eq!(line(Form::People), "  main+0x16 (src/demo.c:12)");
        assert_eq!(line(Form::Full), " 0x401136 : main+0x16/0x20 [/usr/bin/demo]");
        assert_eq!(
            line(Form::Source),
            " 0x401136 : main+0x16/0x20 at src/demo.c:12 [/usr/bin/demo]"
        );
        assert_eq!(line(Form::Brief), "main+0x16");
        assert_eq!(line(Form::Simple), "main+0x16 [demo]");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let unknown = Frame { function: None, offset: 0, line: None, ..FRAME };
        assert_eq!(line(Form::People, unknown), "  0x401136 [demo]");
        assert_eq!(line(Form::Full, unknown), " 0x401136 : 0x401136 [/usr/bin/demo]");
        let nothing = Frame::default();
        assert_eq!(line(Form::People, nothing), "  0x401136");
        assert_eq!(line(Form::Source, nothing), " 0x401136 : 0x401136");
        assert_eq!(line(Form::Simple, nothing), "0x401136");
        let no_size = Frame { size: 0, ..FRAME };
        assert_eq!(line(Form::Full, no_size), " 0x401136 : main+0x16 [/usr/bin/demo]");
    }

    #[test]
    fn addresses_are_written_and_read() {
        let text = addresses_text(&[0x401136, u64::MAX]);
        assert_eq!(text, "0x401136 0xffffffffffffffff");
        assert_eq!(addresses_in(text.as_bytes()), [0x401136, u64::MAX]);
        assert_eq!(addresses_in(b" 10  0x2 main -5 0x1ffffffffffffffff\n"), [16, 2]);
        assert_eq!(addresses_text(&[]), "");
    }

    #[test]
    fn what_was_inlined_is_marked() {
        let inlined = Frame { inlined: true, offset: 0, ..FRAME };
        assert_eq!(line(Form::People, inlined), "  main (src/demo.c:12) [inlined]");
    }
}
