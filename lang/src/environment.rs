//! What the language asks of its surroundings: which probe points there are
//! and what is known inside them.

use std::borrow::Cow;

use crate::ast::ProbePoint;
use crate::data::{DataTypes, NoTypes, Space, TypeRef};
use crate::diagnostic::Diagnostic;

/// The number an environment gave a probe point; opaque to the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PointId(pub u32);

/// A probe point that the environment knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its number in the environment, kept in the typed program.
    pub id: PointId,
    /// What a handler at this point can ask.
    pub context: Context,
}

/// What a handler can ask at a kind of point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The session's own points: begin, end, timers.
    Session,
    /// An access to watched data: `$new`, `$old`, `access()` and the like.
    Data,
}

/// A `$` variable at a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetVariable {
    /// Name without the `$`.
    pub name: Cow<'static, str>,
    /// Its type; a long without sign where it is not known.
    pub ty: Option<TypeRef>,
    /// Where its value is found at a hit.
    pub location: Location,
    /// Whose memory it lies in, and what it points to.
    pub space: Space,
}

impl TargetVariable {
    /// A variable of no known type in a field of the record.
    pub const fn field(name: &'static str, field: &'static str) -> Self {
        let (name, location) = (Cow::Borrowed(name), Location::Field(field));
        Self { name, ty: None, location, space: Space::User }
    }

    /// The same, of a known type.
    pub fn of(self, ty: impl Into<TypeRef>) -> Self {
        Self { ty: Some(ty.into()), ..self }
    }
}

/// Where the value of a variable is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a field of the hit's record, by its name in the runtime's schema: the
    /// bytes of the value, the rest 0.
    Field(&'static str),
    /// In memory, at this address.
    Memory(u64),
    /// In the picture that is kept of an object wider than a field, which is read
    /// like memory at this address, though no process has it there.
    Picture(u64),
}

/// Answers questions about what lies outside the script.
pub trait Environment {
    /// What the probe point is.
    ///
    /// # Errors
    /// A diagnostic at the point's span where no such point exists, where an
    /// argument has the wrong form, or where it can not be probed here.
    fn point(&mut self, point: &ProbePoint) -> Result<Point, Box<Diagnostic>>;

    /// Whether it is certain that the point exists. Where it shows only when it
    /// is armed, the points that are to stand in for it (behind `!`) are kept.
    fn is_certain(&self, _point: PointId) -> bool {
        true
    }

    /// The `$` variables known at the point.
    fn variables(&self, point: PointId) -> &[TargetVariable];

    /// The name of the objects at whose accesses the point fires, where it is one for
    /// objects that handlers watch.
    fn objects(&self, _point: PointId) -> Option<&str> {
        None
    }

    /// The objects of a point all have this type; none where they have several, or none
    /// that is known. [`Environment::variables`] is asked again then.
    fn set_object_type(&mut self, _point: PointId, _ty: Option<TypeRef>) {}

    /// Names of the registers that `register()` can be asked for; none where
    /// they are not known, and any name will do.
    fn registers(&self) -> &[&'static str] {
        &[]
    }

    /// What the data of the script's points is called, of those that were asked for up to
    /// now; none where that is not known, and any name will do.
    fn watched(&self) -> Option<Vec<String>> {
        None
    }

    /// The types of the target's data. None are known unless implemented.
    fn types(&self) -> &dyn DataTypes {
        &NoTypes
    }
}
