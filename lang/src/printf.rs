//! printf format strings, taken apart at compile time.

pub(crate) mod parse;

/// A format string in pieces, in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Format {
    /// Text and directives as they follow one another.
    pub pieces: Vec<Piece>,
}

/// One piece of a format string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that is printed as it is.
    Literal(String),
    /// A value that is printed.
    Directive(Directive),
}

/// A `%` directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The flags in front of the width.
    pub flags: Flags,
    /// Smallest number of columns.
    pub width: Option<Count>,
    /// Digits of a number, or columns of a string at most.
    pub precision: Option<Count>,
    /// How the value is written.
    pub conversion: Conversion,
}

/// The flags of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags {
    /// `-`: pad on the right.
    pub left: bool,
    /// `+`: a sign in front of positive numbers too.
    pub plus: bool,
    /// ` `: a space where the sign of a positive number would be.
    pub space: bool,
    /// `0`: pad with zeros.
    pub zero: bool,
    /// `#`: `0x` or `0` in front of numbers, escapes in strings.
    pub alternate: bool,
}

/// A width or precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Written in the format.
    Fixed(u32),
    /// `*`: the next argument, a long.
    Argument,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conversion {
    /// `%d %i`
    Signed,
    /// `%u`
    Unsigned,
    /// `%x`
    HexLower,
    /// `%X`
    HexUpper,
    /// `%o`
    Octal,
    /// `%p`
    Pointer,
    /// `%c`
    Char,
    /// `%s`
    String,
    /// `%b`: the bytes of a long, lowest first as the machine has them; the
    /// width says how many: 1, 2, 4 or 8, else 8.
    Bytes,
    /// `%m`: the bytes of the target's memory at an address, as they are; the
    /// precision says how many, else 1.
    Memory,
    /// `%M`: the same in hexadecimal digits, two for each byte.
    MemoryHex,
    /// `%f`, of a double
    Fixed,
    /// `%e`, of a double
    Exponent,
    /// `%g`, of a double
    General,
    /// What `print` makes of a double: the shortest digits that read back as
    /// the same double, with a point and at least one digit behind it unless
    /// there is an exponent; `inf`, `-inf`, `nan`. No format has it.
    Shortest,
}
