//! The types of data, as debug information tells them: one model for DWARF
//! (user programs) and BTF (the kernel), and the traits of those who know them.
//!
//! A type refers to others by number, so that only what is looked at is ever
//! read.

use std::sync::Arc;

use crate::address::VirtOffset;

mod name;
mod transparent;

pub use name::type_name;
pub use transparent::{has_text, is_bool, scalar_of, unwrapped};

/// A type's number; opaque. Which source it is of, and where there, is in it:
/// see [`TypeId::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(u64);

/// Bits of a [`TypeId`] that say where in its source the type is.
const WITHIN_BITS: u32 = 48;

impl TypeId {
    /// The type at `within` (less than 2⁴⁸) of source number `source`.
    pub fn new(source: u16, within: u64) -> Self {
        Self(u64::from(source) << WITHIN_BITS | within & ((1 << WITHIN_BITS) - 1))
    }

    /// The number of its source.
    pub fn source(self) -> u16 {
        (self.0 >> WITHIN_BITS) as u16
    }

    /// Where in its source it is.
    pub fn within(self) -> u64 {
        self.0 & ((1 << WITHIN_BITS) - 1)
    }
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `void`, a function, or something of which nothing is known.
    Void,
    /// Another name for a type (`typedef`, `using`).
    Alias {
        /// The name.
        name: String,
        /// What it stands for.
        of: TypeId,
    },
    /// A whole number.
    Integer {
        /// Its name: `unsigned int`, `u32`.
        name: String,
        /// Its bytes.
        size: u32,
        /// Whether it can be negative.
        signed: bool,
    },
    /// A unit of text: C's `char` types (1 byte), `char16_t`, Rust's `char` (4).
    Char {
        /// Its name.
        name: String,
        /// Its bytes.
        size: u32,
        /// Whether it can be negative.
        signed: bool,
    },
    /// `false` or `true`.
    Bool {
        /// Its name.
        name: String,
        /// Its bytes.
        size: u32,
    },
    /// A floating point number.
    Float {
        /// Its name.
        name: String,
        /// Its bytes.
        size: u32,
    },
    /// An enumeration of constants.
    Enumeration(Enumeration),
    /// A pointer, 8 bytes.
    Pointer {
        /// What it points to.
        to: TypeId,
        /// C++'s references, which are pointers that are written without `*`.
        reference: bool,
    },
    /// An array.
    Array {
        /// Its elements.
        of: TypeId,
        /// How many there are; none where that is not known (`int a[]`).
        length: Option<u64>,
    },
    /// A structure, union or class, of Rust also a tuple, an enum with data, a
    /// slice.
    Record(Record),
}

/// An enumeration of constants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// Its name with its namespaces, without `enum`.
    pub name: Option<String>,
    /// Its bytes.
    pub size: u32,
    /// Whether its values can be negative.
    pub signed: bool,
    /// Its constants by name, with their values.
    pub constants: Vec<(String, i64)>,
}

/// A structure, union or class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `struct`, `union` or `class`.
    pub keyword: &'static str,
    /// Its name with its namespaces, without the keyword.
    pub name: Option<String>,
    /// Its bytes.
    pub size: u64,
    /// Its members in the order of the source; base classes are among them.
    pub members: Vec<Member>,
    /// Of a Rust enum: what else is in it, by its discriminant.
    pub variants: Option<Variants>,
    /// Whether the record is only declared where its debug information was
    /// found, and nothing else defines it: size and members are not known.
    pub declared: bool,
}

/// A member of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name; none of an anonymous structure or union, and of a base class: their
    /// members are named as if they were those of the whole.
    pub name: Option<String>,
    /// Its type.
    pub ty: TypeId,
    /// Where it begins, in bytes from the start of the whole.
    pub offset: u64,
    /// Of a bit-field: which bits.
    pub bits: Option<Bits>,
    /// Whether it is a base class.
    pub base: bool,
}

/// The bits of a bit-field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bits {
    /// The first of them, counted from the lowest bit at the member's offset.
    pub offset: u32,
    /// How many, 1 to 64.
    pub width: u32,
}

/// The variants of a Rust enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variants {
    /// The number that says which one is there; none where there is only one.
    pub discriminant: Option<Member>,
    /// All of them.
    pub all: Vec<Variant>,
}

/// One variant of a Rust enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// Values of the discriminant (its bytes without sign) at which it is
    /// there; none for all that no other variant has.
    pub values: Option<Vec<u64>>,
    /// Its fields: a record at an offset in the whole.
    pub fields: Member,
}

/// A variable that debug information tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name with its namespaces, classes and functions: `app::Pool::limit`.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// Where it lies.
    pub place: Place,
    /// Where it is declared.
    pub declared: Option<Line>,
}

/// A line of source code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The file's path as the compiler was given it, made absolute where the
    /// debug information says how.
    pub file: Arc<str>,
    /// The line, from 1 on; 0 where it is not known.
    pub line: u32,
}

/// Where a variable lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// At an address of its file's address space.
    Fixed(VirtOffset),
    /// So many bytes from the start of its file's block of thread-locals.
    ThreadLocal(u64),
    /// The compiler left no room for it.
    OptimizedOut,
    /// It is in a register or on the stack, or in another file.
    Elsewhere,
}

/// Knows types.
pub trait Types {
    /// The type of this number; [`Type::Void`] for one that makes no sense.
    fn get(&self, id: TypeId) -> Arc<Type>;

    /// The type called `name`, as a cast has it without its `*`: `int`,
    /// `unsigned long`, `struct node`, `node_t`, `app::Pool`. A definition
    /// rather than a declaration.
    fn named(&self, name: &str) -> Option<TypeId>;

    /// The value of an enumeration's constant.
    fn constant(&self, name: &str) -> Option<i64>;
}

/// Knows the variables of one file, and their types.
pub trait DebugInfo: Types {
    /// The variables called `name`: by the whole of their path or by its last
    /// parts (`limit`, `Pool::limit`, `app::Pool::limit`), raw linkage names too.
    fn variables(&self, name: &str) -> Vec<Variable>;

    /// The variable whose bytes an address of the file is among.
    fn variable_at(&self, address: VirtOffset) -> Option<Variable>;

    /// All of them, in an order that is always the same.
    fn all_variables(&self, each: &mut dyn FnMut(Variable));
}

/// What is asked of types whoever knows them.
impl dyn Types + '_ {
    /// The type behind its aliases.
    pub fn plain(&self, id: TypeId) -> (TypeId, Arc<Type>) {
        let mut id = id;
        for _ in 0..ALIASES_MAX {
            let ty = self.get(id);
            match &*ty {
                Type::Alias { of, .. } => id = *of,
                _ => return (id, ty),
            }
        }
        (id, Arc::new(Type::Void))
    }

    /// Its bytes; none where that is not known.
    pub fn size(&self, id: TypeId) -> Option<u64> {
        self.size_within(id, NESTING_MAX)
    }

    fn size_within(&self, id: TypeId, depth: u32) -> Option<u64> {
        match &*self.plain(id).1 {
            Type::Void | Type::Alias { .. } => None,
            Type::Integer { size, .. }
            | Type::Char { size, .. }
            | Type::Bool { size, .. }
            | Type::Float { size, .. } => Some(u64::from(*size)),
            Type::Enumeration(enumeration) => Some(u64::from(enumeration.size)),
            Type::Pointer { .. } => Some(8),
            Type::Record(record) => (!record.declared).then_some(record.size),
            Type::Array { of, length } => {
                let element = self.size_within(*of, depth.checked_sub(1)?)?;
                element.checked_mul((*length)?)
            }
        }
    }
}

/// Aliases of aliases are followed so often; more are a mistake of the debug
/// information.
const ALIASES_MAX: u32 = 64;

/// Arrays and records may be inside of one another so deep.
pub const NESTING_MAX: u32 = 32;
