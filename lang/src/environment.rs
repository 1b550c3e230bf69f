//! What the language asks of its surroundings: which probe points there are
//! and what is known inside them.

use crate::ast::ProbePoint;
use crate::diagnostic::Diagnostic;
use crate::types::Type;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetVariable {
    /// Name without the `$`.
    pub name: &'static str,
    /// Its type once read.
    pub ty: Type,
    /// The field of the record that holds it, in the runtime's schema.
    pub field: &'static str,
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

    /// Names of the registers that `register()` can be asked for; none where
    /// they are not known, and any name will do.
    fn registers(&self) -> &[&'static str] {
        &[]
    }
}
