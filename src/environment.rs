//! What the language asks of its surroundings, answered by `probes`.

use std::rc::Rc;

use hwtrace_lang::ast::{ArgumentValue, Demand, ProbePoint};
use hwtrace_lang::code::Code;
use hwtrace_lang::data::{DataTypes, TypeRef};
use hwtrace_lang::diagnostic::Diagnostic;
use hwtrace_lang::environment::{self, Context, PointId, TargetVariable};
use hwtrace_lang::span::Span;
use hwtrace_probes::expr::ExprError;
use hwtrace_probes::provider;
use hwtrace_probes::resolve::ResolveError;
use hwtrace_probes::spec::{ArgumentRef, Component, Spec, SpecErrorKind};
use hwtrace_runtime::abi::registers::REGISTER_NAMES;

use crate::arming;
use crate::names::Names;
use crate::request::{Data, Objects};

/// A probe point that was understood.
#[derive(Clone, Debug)]
pub struct Point {
    /// What it means.
    pub spec: Spec,
    /// As it is written in the script.
    pub name: String,
    /// What its data is called there, where it has a name.
    pub data_name: Option<String>,
    /// Its number, by which others refer to it.
    pub id: PointId,
    /// Where it stands in the script; of one that cannot be armed yet, the part
    /// for which that is so.
    pub span: Span,
    /// `?` or `!` behind it: where its data does not exist it is left out.
    pub optional: bool,
    /// Points of the same probe: left out where the data of one of them exists.
    pub instead_of: Vec<PointId>,
    /// All data whose accesses fire it: that of the point, or each element of its ranges.
    pub data: Vec<Data>,
}

impl Point {
    /// The range whose elements its data is, where it is one.
    pub(crate) fn range(&self) -> Option<Rc<str>> {
        let Spec::Data(data) = &self.spec else { return None };
        data.expression.ranged()?;
        Some(data.expression.to_string().into())
    }
}

/// What is known of all objects that are watched by a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectShape {
    /// Their bytes; none where they have several lengths.
    pub length: Option<u32>,
    /// Whether handlers read them from a picture.
    pub pictured: bool,
}

/// The probe points of a script, as they are met.
pub(crate) struct Environment {
    points: Vec<Point>,
    /// By point: the `$` variables there.
    variables: Vec<Vec<TargetVariable>>,
    /// By point: why its data is not known.
    unknown: Vec<Option<ResolveError>>,
    names: Rc<Names>,
}

impl Environment {
    pub(crate) fn new(names: &Rc<Names>) -> Self {
        Self {
            points: Vec::new(),
            variables: Vec::new(),
            unknown: Vec::new(),
            names: Rc::clone(names),
        }
    }

    /// What is wrong with points whose data is not known, which may be why other
    /// things are.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = Diagnostic> {
        let points = self.points.iter().zip(&self.unknown);
        points.filter_map(|(point, why)| {
            Some(arming::unresolved(why.as_ref()?, Some(point.span)))
        })
    }

    /// The data whose accesses fire a point.
    ///
    /// # Errors
    /// It has ranges, and which elements they mean can not be told.
    fn data(&self, spec: &Spec, span: Span) -> Result<Vec<Data>, Box<Diagnostic>> {
        Ok(match spec {
            Spec::Data(data) => {
                let elements = self
                    .names
                    .elements(data)
                    .map_err(|why| Box::new(arming::unresolved(&why, Some(span))))?;
                elements.into_iter().map(Data::Process).collect()
            }
            Spec::KernelData(data) => vec![Data::Kernel(data.clone())],
            Spec::Objects(spec) => vec![Data::Objects(Objects {
                spec: spec.clone(),
                shape: ObjectShape::default(),
                number: None,
            })],
            _ => Vec::new(),
        })
    }

    /// What is known at a point, by the first of its data.
    ///
    /// # Errors
    /// It can be done without, and its data is not there.
    fn look_at(
        &mut self,
        (spec, data): (&Spec, Option<&Data>),
        optional: bool,
        span: Span,
    ) -> Result<(), Box<Diagnostic>> {
        let (known, why) = match data {
            Some(Data::Process(data)) => match self.names.typed(data).transpose() {
                Ok(typed) => (typed.map(|typed| self.names.of_process(&typed)), None),
                Err(why) => (None, Some(why)),
            },
            Some(Data::Kernel(data)) => (self.names.of_kernel(data), None),
            Some(Data::Objects(_)) | None => (None, None),
        };
        let why = why.filter(|why| !why.may_come_later());
        if let Some(why) = why.as_ref().filter(|why| optional && arming::is_absent(why)) {
            return Err(Box::new(arming::unresolved(why, Some(span))));
        }
        self.unknown.push(why);
        self.variables.push(match is_data(spec) {
            true => self.names.variables(known),
            false => Vec::new(),
        });
        Ok(())
    }

    /// The points by number.
    pub(crate) fn into_points(self) -> Vec<Point> {
        self.points
    }
}

impl environment::Environment for Environment {
    fn point(
        &mut self,
        point: &ProbePoint,
    ) -> Result<environment::Point, Box<Diagnostic>> {
        let components: Vec<_> = point
            .components
            .iter()
            .map(|component| Component {
                name: &component.name,
                argument: component.argument.as_ref().map(|argument| {
                    match &argument.value {
                        ArgumentValue::Long(value) => ArgumentRef::Long(*value),
                        ArgumentValue::String(text) => ArgumentRef::Str(text),
                    }
                }),
            })
            .collect();
        let spec = provider::parse(&components).map_err(|error| {
            let at = point.components.get(error.index);
            let span = at.map_or(point.span, |component| component.span);
            Box::new(explain(&error.kind, span))
        })?;
        let context = if is_data(&spec) { Context::Data } else { Context::Session };
        let span = match &spec {
            Spec::Later(later) => point.components[later.index].span,
            _ => point.span,
        };
        let id = PointId(self.points.len() as u32);
        let data = self.data(&spec, point.span)?;
        let optional = point.demand != Demand::Required;
        self.look_at((&spec, data.first()), optional, point.span)?;
        self.points.push(Point {
            spec,
            name: point.to_string(),
            data_name: components.iter().find_map(data_name),
            id,
            span,
            optional: false,
            instead_of: Vec::new(),
            data,
        });
        Ok(environment::Point { id, context })
    }

    /// Data exists where its name is found in the target; what cannot be armed
    /// yet might as well not exist.
    fn is_certain(&self, point: PointId) -> bool {
        let point = self.points.get(point.0 as usize);
        !point.is_some_and(|point| {
            matches!(point.spec, Spec::Data(_) | Spec::KernelData(_) | Spec::Later(_))
        })
    }

    fn objects(&self, point: PointId) -> Option<&str> {
        match &self.points.get(point.0 as usize)?.spec {
            Spec::Objects(objects) => Some(&objects.name),
            _ => None,
        }
    }

    fn set_object_type(&mut self, point: PointId, ty: Option<TypeRef>) {
        let at = point.0 as usize;
        let (variables, pictured) = self.names.object_variables(ty);
        let names: &dyn DataTypes = &*self.names;
        let length = ty.and_then(|ty| names.size(ty));
        let length = length.and_then(|length| u32::try_from(length).ok());
        if let [Data::Objects(objects)] = &mut self.points[at].data[..] {
            objects.shape = ObjectShape { length, pictured };
        }
        self.variables[at] = variables;
    }

    fn registers(&self) -> &[&'static str] {
        REGISTER_NAMES
    }

    fn watched(&self) -> Option<Vec<String>> {
        Some(self.points.iter().filter_map(|point| point.data_name.clone()).collect())
    }

    fn variables(&self, point: PointId) -> &[TargetVariable] {
        self.variables.get(point.0 as usize).map_or(&[], Vec::as_slice)
    }

    fn types(&self) -> &dyn DataTypes {
        &*self.names
    }
}

/// What the data is called that a component names.
fn data_name(component: &Component<'_>) -> Option<String> {
    match (component.name, component.argument) {
        ("data" | "watch", Some(ArgumentRef::Str(name))) => Some(name.to_owned()),
        _ => None,
    }
}

/// Whether accesses to data are what fires it.
fn is_data(spec: &Spec) -> bool {
    match spec {
        Spec::Data(_) | Spec::KernelData(_) | Spec::Objects(_) => true,
        Spec::Later(later) => later.is_data,
        _ => false,
    }
}

fn explain(kind: &SpecErrorKind, span: Span) -> Diagnostic {
    let code = match kind {
        SpecErrorKind::Unknown { .. }
        | SpecErrorKind::Trailing { .. }
        | SpecErrorKind::Incomplete { .. } => Code::UnknownProbePoint,
        SpecErrorKind::Expression(error) => return explain_expression(error, span),
        SpecErrorKind::BadLength { .. } => Code::BadLength,
        _ => Code::BadProbeArgument,
    };
    let diagnostic = Diagnostic::new(code, span, kind.to_string());
    match kind {
        SpecErrorKind::Unknown { nearest, .. } if nearest.is_empty() => diagnostic.help(
            "probe points are, for example, `process.data(\"counter\").write`, \
                             `timer.s(1)`, `begin` and `end`",
        ),
        SpecErrorKind::Unknown { nearest, .. } => {
            diagnostic.help(format!("did you mean {}?", quoted(nearest)))
        }
        SpecErrorKind::BadLength { .. } => {
            diagnostic.help("leave it out: then it is that of the data's type")
        }
        SpecErrorKind::FollowedRange { .. } => diagnostic.help(FOLLOW_ONE),
        _ => diagnostic,
    }
}

/// What to do where a range was to follow pointers.
pub const FOLLOW_ONE: &str = "leave it out: pointers are followed once, at the start; or \
                              watch one element with it";

/// What is wrong with an expression that names data.
pub fn explain_expression(
    error: &ExprError,
    span: impl Into<Option<Span>>,
) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::BadProbeArgument, span, error.to_string());
    match error.help() {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// "`a`, `b` or `c`"
pub(crate) fn quoted(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
