//! Types in memory: filled by who reads debug information, and by tests.

use std::collections::HashMap;
use std::rc::Rc;

use super::{
    DataType, DataTypes, Enumeration, Member, Named, NotFound, Record, Shape, Space,
    TypeId, TypeRef, Variable,
};
use crate::suggest;

/// Types, variables and constants by name; one of each name. They are the
/// process's, and those of module `kernel` look the same.
///
/// ```
/// use hwtrace_lang::data::{DataTypes, Space, Table};
/// let mut table = Table::default();
/// let int = table.integer("int", 4, true);
/// table.record("struct", Some("point"), 8, vec![
///     Table::member("x", int, 0),
///     Table::member("y", int, 4),
/// ]);
/// assert_eq!(table.named("struct point", None).unwrap().space, Space::User);
/// assert!(table.named("struct pint", None).is_err());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Table {
    types: Vec<Rc<DataType>>,
    names: HashMap<String, TypeId>,
    variables: HashMap<String, Variable>,
    constants: HashMap<String, i64>,
}

impl Table {
    /// Adds a type that has no name, or gets it by [`Table::call`].
    pub fn add(&mut self, ty: DataType) -> TypeId {
        self.types.push(Rc::new(ty));
        TypeId(u32::try_from(self.types.len() - 1).unwrap_or(u32::MAX))
    }

    /// Makes a type another: one that points to itself is added first.
    pub fn set(&mut self, id: TypeId, ty: DataType) {
        if let Some(place) = self.types.get_mut(id.0 as usize) {
            *place = Rc::new(ty);
        }
    }

    /// Gives a type a name, as a typedef does.
    pub fn call(&mut self, name: &str, id: TypeId) {
        self.names.insert(name.to_owned(), id);
    }

    /// Adds an integer, called by its name; `size` in bytes.
    pub fn integer(&mut self, name: &str, size: u32, signed: bool) -> TypeId {
        let id = self.add(DataType::Integer { name: name.to_owned(), size, signed });
        self.call(name, id);
        id
    }

    /// Adds a pointer.
    pub fn pointer(&mut self, to: impl Into<TypeRef>) -> TypeId {
        self.add(DataType::Pointer(to.into()))
    }

    /// Adds an array.
    pub fn array(&mut self, of: impl Into<TypeRef>, length: Option<u64>) -> TypeId {
        self.add(DataType::Array { of: of.into(), length })
    }

    /// Adds an enumeration, called `enum name`, and its constants; `size` in
    /// bytes. It is signed where a constant is negative.
    pub fn enumeration(
        &mut self,
        name: &str,
        size: u32,
        constants: &[(&str, i64)],
    ) -> TypeId {
        let constants: Vec<(String, i64)> =
            constants.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.constants.extend(constants.iter().cloned());
        let signed = constants.iter().any(|(_, value)| *value < 0);
        let of = Enumeration { name: Some(name.to_owned()), size, signed, constants };
        let id = self.add(DataType::Enum(of));
        self.call(&format!("enum {name}"), id);
        id
    }

    /// Adds a structure or union; `size` in bytes.
    pub fn record(
        &mut self,
        keyword: &'static str,
        name: Option<&str>,
        size: u64,
        members: Vec<Member>,
    ) -> TypeId {
        self.shaped(Record { keyword, ..Self::structure(name, size, members) })
    }

    /// Adds a structure of any shape.
    pub fn shaped(&mut self, of: Record) -> TypeId {
        let called = of.name.as_ref().map(|name| format!("{} {name}", of.keyword));
        let id = self.add(DataType::Record(of));
        if let Some(called) = called {
            self.call(&called, id);
        }
        id
    }

    /// A structure that is shown by its members; `size` in bytes.
    pub fn structure(name: Option<&str>, size: u64, members: Vec<Member>) -> Record {
        let name = name.map(str::to_owned);
        Record { keyword: "struct", name, size, members, shape: Shape::Plain }
    }

    /// A member that is no bit-field; `offset` in bytes.
    pub fn member(name: &str, ty: impl Into<TypeRef>, offset: u64) -> Member {
        Member { name: Some(name.to_owned()), ty: ty.into(), offset, bits: None }
    }

    /// Adds a variable.
    pub fn put(&mut self, name: &str, ty: impl Into<TypeRef>, address: u64) {
        let address = Some(address);
        let variable = Variable { ty: ty.into(), address, space: Space::User };
        self.variables.insert(name.to_owned(), variable);
    }
}

/// Whose memory what is found in a module lies in.
fn space(module: Option<&str>) -> Space {
    if module == Some("kernel") { Space::Kernel } else { Space::User }
}

/// What has this name, or the names that are near it.
fn find<T: Copy>(known: &HashMap<String, T>, name: &str) -> Result<T, NotFound> {
    known.get(name).copied().ok_or_else(|| {
        let nearest = suggest::nearest(name, known.keys().map(String::as_str));
        NotFound::Unknown { nearest: nearest.into_iter().map(str::to_owned).collect() }
    })
}

impl DataTypes for Table {
    fn get(&self, id: TypeId) -> Rc<DataType> {
        let known = self.types.get(id.0 as usize);
        known.map_or_else(|| Rc::new(DataType::Void), Rc::clone)
    }

    fn named(&self, name: &str, module: Option<&str>) -> Result<Named, NotFound> {
        // C++ and Rust name their structures without the keyword.
        let tagged = || {
            ["struct", "union", "class", "enum"]
                .into_iter()
                .find_map(|keyword| self.names.get(&format!("{keyword} {name}")))
        };
        let id = match tagged() {
            Some(id) if !self.names.contains_key(name) => *id,
            _ => find(&self.names, name)?,
        };
        Ok(Named { ty: id.into(), space: space(module) })
    }

    fn variable(&self, name: &str, module: Option<&str>) -> Result<Variable, NotFound> {
        let found = find(&self.variables, name)?;
        Ok(Variable { space: space(module), ..found })
    }

    fn constant(&self, name: &str, _: Option<&str>) -> Result<i64, NotFound> {
        find(&self.constants, name)
    }
}
