//! The types of the target's data: C's, which those of C++ and Rust are shown
//! as, and the trait by which the language asks for them.
//!
//! Typedefs and qualifiers leave no trace: who knows the types resolves them. A
//! type without a name of its own has that of its typedef.

mod table;

use std::rc::Rc;

pub use table::Table;

/// Members without a name may be inside of one another so deep; deeper ones
/// are taken for a mistake of the debug information.
const ANONYMOUS_DEPTH_MAX: usize = 16;

/// Arrays may be inside of one another so deep.
const ARRAY_DEPTH_MAX: usize = 16;

/// The number that a [`DataTypes`] gave a type; opaque to the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(pub u32);

/// A type, or a pointer to one that the script itself has made: by `&$x` or
/// `@cast(p, "struct node *")`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeRef {
    /// The type.
    pub base: TypeId,
    /// How many pointers are between: 1 for a pointer to `base`.
    pub pointers: u32,
}

impl From<TypeId> for TypeRef {
    fn from(base: TypeId) -> Self {
        Self { base, pointers: 0 }
    }
}

impl TypeRef {
    /// A pointer to this type.
    pub fn pointer(self) -> Self {
        Self { pointers: self.pointers + 1, ..self }
    }
}

/// Whose memory data lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// That of the process that made the hit.
    User,
    /// The kernel's.
    Kernel,
}

/// A type of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataType {
    /// `void`, or a type of which nothing is known.
    Void,
    /// A whole number.
    Integer {
        /// Its name: `unsigned int`.
        name: String,
        /// Its bytes.
        size: u32,
        /// Whether it can be negative.
        signed: bool,
    },
    /// A byte of text.
    Char {
        /// Whether it can be negative.
        signed: bool,
    },
    /// `false` or `true`.
    Bool {
        /// Its bytes.
        size: u32,
    },
    /// A floating point number (IEEE 754).
    Float {
        /// Its name: `double`.
        name: String,
        /// Its bytes; only 4 and 8 can be read.
        size: u32,
    },
    /// An enumeration.
    Enum(Enumeration),
    /// A pointer, 8 bytes.
    Pointer(TypeRef),
    /// An array.
    Array {
        /// The type of its elements.
        of: TypeRef,
        /// How many there are; none where that is not known (`int a[]`).
        length: Option<u64>,
    },
    /// A structure or union.
    Record(Record),
}

/// An enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// Its name, without `enum`.
    pub name: Option<String>,
    /// Its bytes.
    pub size: u32,
    /// Whether it can be negative.
    pub signed: bool,
    /// Its constants by name, with their values.
    pub constants: Vec<(String, i64)>,
}

/// A structure or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `struct`, `union`, `class`
    pub keyword: &'static str,
    /// Its name, without the keyword.
    pub name: Option<String>,
    /// Its bytes.
    pub size: u64,
    /// Its members.
    pub members: Vec<Member>,
    /// As what it is shown.
    pub shape: Shape,
}

/// As what a structure is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Its members.
    #[default]
    Plain,
    /// Text somewhere else: Rust's `&str`, Go's `string`.
    Text(Extent),
    /// A part of an array, or an array, somewhere else: Rust's `&[T]`, Go's slices.
    Slice {
        /// Where it is.
        extent: Extent,
        /// Its elements.
        of: TypeRef,
    },
    /// One of several, as the `enum`s of Rust are: which one, a number in it says.
    Variants(Variants),
}

/// Where in a structure pointer and length of something else are, in bytes from
/// its start; 8 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The pointer.
    pub data: u64,
    /// How many elements there are.
    pub length: u64,
}

/// What one of several structures is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variants {
    /// The number that tells: its type, a whole number, and its place in bytes
    /// from the start. None where there is one variant only.
    pub discriminant: Option<(TypeRef, u64)>,
    /// All of them, which are among the structure's members, too.
    pub all: Vec<Variant>,
}

/// One of several structures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// The numbers that stand for it, without sign; none where all do that
    /// stand for no other.
    pub values: Option<Vec<u64>>,
    /// Its type, a structure.
    pub ty: TypeRef,
    /// Where it begins, in bytes from the start.
    pub offset: u64,
}

/// A member of a structure or union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name; none where its own members are used like those of the whole.
    pub name: Option<String>,
    /// Its type.
    pub ty: TypeRef,
    /// Where it begins, bytes from the start of the whole.
    pub offset: u64,
    /// Of a bit-field: which bits.
    pub bits: Option<Bits>,
}

/// The bits of a bit-field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// The first of them, counted from the lowest bit at the member's offset.
    pub offset: u32,
    /// How many, 1 to 64.
    pub width: u32,
}

/// A type found by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The type.
    pub ty: TypeRef,
    /// Whose memory its objects lie in.
    pub space: Space,
}

/// A variable found by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its type.
    pub ty: TypeRef,
    /// Where it lies; none where that shows when the script runs.
    pub address: Option<u64>,
    /// In whose memory.
    pub space: Space,
}

/// Why a name was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// No types are known at all: there is no target.
    NoTypes,
    /// Nor are those of the target.
    Untyped {
        /// Why not, a clause.
        why: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// There is none of this name.
    Unknown {
        /// Names that are near, the best first.
        nearest: Vec<String>,
    },
}

/// Knows the types of the target's data.
pub trait DataTypes {
    /// The type of this number.
    fn get(&self, id: TypeId) -> Rc<DataType>;

    /// The type called `name`: `int`, `struct node`, `node_t`; in `module`, an
    /// executable, a library or `kernel`, where one is given.
    ///
    /// # Errors
    /// There is none.
    fn named(&self, name: &str, module: Option<&str>) -> Result<Named, NotFound>;

    /// The variable called `name`: `counter`, `counter@file.c`.
    ///
    /// # Errors
    /// There is none.
    fn variable(&self, name: &str, module: Option<&str>) -> Result<Variable, NotFound>;

    /// The value of a constant of an enumeration.
    ///
    /// # Errors
    /// There is none of this name.
    fn constant(&self, name: &str, module: Option<&str>) -> Result<i64, NotFound>;
}

/// Knows no type.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTypes;

impl DataTypes for NoTypes {
    fn get(&self, _: TypeId) -> Rc<DataType> {
        Rc::new(DataType::Void)
    }

    fn named(&self, _: &str, _: Option<&str>) -> Result<Named, NotFound> {
        Err(NotFound::NoTypes)
    }

    fn variable(&self, _: &str, _: Option<&str>) -> Result<Variable, NotFound> {
        Err(NotFound::NoTypes)
    }

    fn constant(&self, _: &str, _: Option<&str>) -> Result<i64, NotFound> {
        Err(NotFound::NoTypes)
    }
}

/// Where a member lies in the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) ty: TypeRef,
    pub(crate) offset: u64,
    pub(crate) bits: Option<Bits>,
}

/// What is told of types with the help of who knows them.
impl dyn DataTypes + '_ {
    /// The type that is referred to.
    pub(crate) fn view(&self, ty: TypeRef) -> Rc<DataType> {
        match ty.pointers.checked_sub(1) {
            Some(pointers) => Rc::new(DataType::Pointer(TypeRef { pointers, ..ty })),
            None => self.get(ty.base),
        }
    }

    /// The bytes of a type; none where that is not known.
    pub fn size(&self, ty: TypeRef) -> Option<u64> {
        self.size_within(ty, ARRAY_DEPTH_MAX)
    }

    fn size_within(&self, ty: TypeRef, depth: usize) -> Option<u64> {
        Some(match &*self.view(ty) {
            DataType::Void => return None,
            DataType::Integer { size, .. }
            | DataType::Bool { size }
            | DataType::Float { size, .. } => u64::from(*size),
            DataType::Enum(enumeration) => u64::from(enumeration.size),
            DataType::Char { .. } => 1,
            DataType::Pointer(_) => 8,
            DataType::Record(record) => record.size,
            DataType::Array { of, length } => {
                let element = self.size_within(*of, depth.checked_sub(1)?)?;
                element.checked_mul((*length)?)?
            }
        })
    }

    /// The type as C writes it: `struct node *`, `int [3]`.
    pub(crate) fn name(&self, ty: TypeRef) -> String {
        self.name_within(ty, ARRAY_DEPTH_MAX)
    }

    fn name_within(&self, ty: TypeRef, depth: usize) -> String {
        let Some(depth) = depth.checked_sub(1) else { return "…".to_owned() };
        let tagged = |keyword: &str, name: &Option<String>| match name {
            Some(name) => format!("{keyword} {name}"),
            None => format!("{keyword} {{…}}"),
        };
        match &*self.view(ty) {
            DataType::Void => "void".to_owned(),
            DataType::Integer { name, .. } | DataType::Float { name, .. } => name.clone(),
            DataType::Char { signed: true } => "char".to_owned(),
            DataType::Char { signed: false } => "unsigned char".to_owned(),
            DataType::Bool { .. } => "bool".to_owned(),
            DataType::Enum(enumeration) => tagged("enum", &enumeration.name),
            DataType::Record(record) => tagged(record.keyword, &record.name),
            DataType::Pointer(to) => {
                let to = self.name_within(*to, depth);
                let blank = if to.ends_with('*') { "" } else { " " };
                format!("{to}{blank}*")
            }
            DataType::Array { of, length } => {
                let length = length.map_or_else(String::new, |length| length.to_string());
                format!("{} [{length}]", self.name_within(*of, depth))
            }
        }
    }

    /// The members as scripts name them: those of nameless ones are in their
    /// place.
    pub(crate) fn members(&self, record: &Record) -> Vec<(String, Place)> {
        let mut found = Vec::new();
        self.collect(record, 0, ANONYMOUS_DEPTH_MAX, &mut found);
        found
    }

    fn collect(
        &self,
        record: &Record,
        start: u64,
        depth: usize,
        found: &mut Vec<(String, Place)>,
    ) {
        for Member { name, ty, offset, bits } in &record.members {
            let (ty, offset, bits) = (*ty, start.wrapping_add(*offset), *bits);
            match (name, &*self.view(ty)) {
                (Some(name), _) => found.push((name.clone(), Place { ty, offset, bits })),
                (None, DataType::Record(inner)) if depth > 0 => {
                    self.collect(inner, offset, depth - 1, found);
                }
                // Bits that are only there to fill.
                (None, _) => {}
            }
        }
    }

    /// Whether it is a byte of text.
    pub(crate) fn is_char(&self, ty: TypeRef) -> bool {
        matches!(&*self.view(ty), DataType::Char { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_names_and_members_without_a_name() {
        let mut table = Table::default();
        let int = table.integer("int", 4, true);
        let array = table.array(int, Some(3));
        let inner = table.record("union", None, 4, vec![Table::member("u", int, 0)]);
        let nameless = Member { name: None, ..Table::member("", inner, 8) };
        let outer = table.record(
            "struct",
            Some("outer"),
            24,
            vec![nameless, Table::member("a", array, 12)],
        );
        let types: &dyn DataTypes = &table;
        assert_eq!(
            types.name(TypeRef::from(outer).pointer().pointer()),
            "struct outer **"
        );
        assert_eq!(types.name(array.into()), "int [3]");
        assert_eq!(types.size(array.into()), Some(12));
        let DataType::Record(record) = &*types.get(outer) else { panic!("a record") };
        let members = types.members(record);
        let found: Vec<_> =
            members.iter().map(|(name, place)| (name.as_str(), place.offset)).collect();
        assert_eq!(found, [("u", 8), ("a", 12)]);
    }

    #[test]
    fn a_record_that_contains_itself_does_no_harm() {
        let mut table = Table::default();
        let id = table.add(DataType::Void);
        let itself = Member { name: None, ..Table::member("", id, 0) };
        let record =
            Record { members: vec![itself], ..Table::structure(None, 1, Vec::new()) };
        table.set(id, DataType::Record(record.clone()));
        let types: &dyn DataTypes = &table;
        assert!(types.members(&record).is_empty());
        table.set(id, DataType::Array { of: id.into(), length: Some(2) });
        let types: &dyn DataTypes = &table;
        assert_eq!(types.size(id.into()), None);
        assert!(types.name(id.into()).starts_with('…'));
    }
}
