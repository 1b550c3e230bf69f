//! Globals that are written and never read print themselves at the end, in
//! SystemTap's form.

use super::report::Report;
use super::scope::Globals;
use crate::ast::{Argument, ArgumentValue, Component, Demand, ProbePoint};
use crate::environment::Environment;
use crate::printf::{Conversion, Directive, Flags, Format, Piece};
use crate::span::Span;
use crate::typed::{
    Block, Expression, ExpressionKind, Extractor, Foreach, Global, GlobalId, GlobalKind,
    Local, LocalId, Order, OrderBy, Place, Probe, Program, Statement, StatementKind,
};
use crate::types::Type;

/// Priority of the `end` probes that print such globals: behind all others.
/// Who runs the probes of an end can tell them by it, and run them also where
/// a failure ends the session.
pub const AUTOPRINT_PRIORITY: i64 = i64::MAX;

/// Appends an `end` probe for each such global. They run behind the script's
/// own `end` probes.
pub(super) fn append(
    program: &mut Program,
    globals: &Globals,
    environment: &mut dyn Environment,
    report: &mut Report,
) {
    for (known, id) in globals.list.iter().zip((0..).map(GlobalId)) {
        if known.read || !known.written {
            continue;
        }
        let point = last_end(known.name.span);
        match environment.point(&point) {
            Ok(found) => {
                let name = point.to_string();
                let (locals, body) = handler(id, &program.globals[id.0 as usize]);
                let span = point.span;
                program.probes.push(Probe {
                    point: found.id,
                    name,
                    span,
                    locals,
                    optional: false,
                    instead_of: Vec::new(),
                    condition: None,
                    body,
                });
            }
            Err(error) => report.push(*error),
        }
    }
}

/// `end` with the largest sequence number: behind all others.
fn last_end(span: Span) -> ProbePoint {
    let argument = Argument { value: ArgumentValue::Long(AUTOPRINT_PRIORITY), span };
    let component = Component { name: "end".to_owned(), argument: Some(argument), span };
    let demand = Demand::Required;
    ProbePoint { components: vec![component], demand, condition: None, span }
}

fn handler(id: GlobalId, global: &Global) -> (Vec<Local>, Block) {
    match &global.kind {
        GlobalKind::Scalar { ty, .. } => {
            let print = Printer { global, keys: &[], value: *ty };
            (Vec::new(), vec![print.statement(vec![Place::Global(id)])])
        }
        GlobalKind::Stats => {
            let print = Printer { global, keys: &[], value: Type::Stats };
            (Vec::new(), vec![print.unless_empty(Place::Global(id))])
        }
        GlobalKind::Array { keys, value: Type::Stats, .. } => {
            aggregates(id, global, keys)
        }
        GlobalKind::Array { keys, value, .. } => array(id, global, keys, *value),
    }
}

/// `foreach (value = [keys] in array-) printf(…)`
fn array(
    id: GlobalId,
    global: &Global,
    keys: &[Type],
    value: Type,
) -> (Vec<Local>, Block) {
    let mut locals = key_locals(keys);
    locals.push(Local { name: "value".to_owned(), ty: value });
    let ids: Vec<LocalId> = (0..).map(LocalId).take(locals.len()).collect();
    let print = Printer { global, keys, value };
    let body = vec![print.statement(ids.iter().copied().map(Place::Local).collect())];
    let foreach = Foreach {
        array: id,
        value: ids.last().copied(),
        keys: ids[..keys.len()].to_vec(),
        slice: Vec::new(),
        order: Some(Order { by: OrderBy::Value, descending: true }),
        limit: None,
        body,
    };
    let kind = StatementKind::Foreach(foreach);
    (locals, vec![Statement { kind, span: global.span }])
}

fn key_locals(keys: &[Type]) -> Vec<Local> {
    let local = |(ty, at): (&Type, u32)| Local { name: format!("key{at}"), ty: *ty };
    keys.iter().zip(0..).map(local).collect()
}

/// `foreach ([keys] in array @count-) printf(…)`
fn aggregates(id: GlobalId, global: &Global, keys: &[Type]) -> (Vec<Local>, Block) {
    let locals = key_locals(keys);
    let ids: Vec<LocalId> = (0..).map(LocalId).take(locals.len()).collect();
    let print = Printer { global, keys, value: Type::Stats };
    let element = Place::Element {
        array: id,
        keys: ids
            .iter()
            .zip(keys)
            .map(|(id, ty)| print.read(Place::Local(*id), *ty))
            .collect(),
    };
    let foreach = Foreach {
        array: id,
        value: None,
        keys: ids.clone(),
        slice: Vec::new(),
        order: Some(Order { by: OrderBy::Extractor(Extractor::Count), descending: true }),
        limit: None,
        body: vec![print.aggregate(&ids, &element)],
    };
    let kind = StatementKind::Foreach(foreach);
    (locals, vec![Statement { kind, span: global.span }])
}

/// What is printed of an aggregate, in order.
const EXTRACTORS: [Extractor; 5] =
    [Extractor::Count, Extractor::Min, Extractor::Max, Extractor::Sum, Extractor::Avg];

/// Makes the `printf` of one global.
struct Printer<'a> {
    global: &'a Global,
    keys: &'a [Type],
    value: Type,
}

impl Printer<'_> {
    /// Prints the keys and the value found at `places`.
    fn statement(&self, places: Vec<Place>) -> Statement {
        let types = self.keys.iter().copied().chain([self.value]);
        let args = places.into_iter().zip(types).map(|(place, ty)| self.read(place, ty));
        self.print(self.format(), args.collect())
    }

    fn read(&self, place: Place, ty: Type) -> Expression {
        Expression { kind: ExpressionKind::Read(place), ty, span: self.global.span }
    }

    fn print(&self, format: Format, args: Vec<Expression>) -> Statement {
        let span = self.global.span;
        let kind = ExpressionKind::Print { format, args, to_string: false };
        let print = Expression { kind, ty: Type::Long, span };
        Statement { kind: StatementKind::Expression(print), span }
    }

    fn extract(&self, extractor: Extractor, place: &Place) -> Expression {
        let kind = ExpressionKind::Extract { extractor, place: place.clone() };
        Expression { kind, ty: Type::Long, span: self.global.span }
    }

    /// `name[keys] @count=… @min=… …`
    fn aggregate(&self, keys: &[LocalId], place: &Place) -> Statement {
        let keys = keys.iter().zip(self.keys);
        let keys = keys.map(|(id, ty)| self.read(Place::Local(*id), *ty));
        let values = EXTRACTORS.map(|extractor| self.extract(extractor, place));
        self.print(
            self.aggregate_format(&EXTRACTORS, Conversion::Signed),
            keys.chain(values).collect(),
        )
    }

    /// Of an aggregate without values there is only the count.
    fn unless_empty(&self, place: Place) -> Statement {
        let count = || self.extract(Extractor::Count, &place);
        // SystemTap writes the 0 of an empty one as 0x0.
        let format = self.aggregate_format(&EXTRACTORS[..1], Conversion::HexLower);
        let empty = self.print(format, vec![count()]);
        let kind = StatementKind::If {
            condition: count(),
            then: vec![self.aggregate(&[], &place)],
            otherwise: vec![empty],
        };
        Statement { kind, span: self.global.span }
    }

    fn aggregate_format(&self, extractors: &[Extractor], number: Conversion) -> Format {
        let mut format = FormatBuilder::default();
        self.keys_format(&mut format);
        format.text(if self.keys.is_empty() { "" } else { "]" });
        for extractor in extractors {
            format.text(&format!(" {extractor}="));
            format.value(Type::Long, number);
        }
        format.text("\n");
        format.finish()
    }

    fn keys_format(&self, format: &mut FormatBuilder) {
        format.text(&self.global.name);
        for (at, key) in self.keys.iter().enumerate() {
            format.text(if at == 0 { "[" } else { "," });
            format.value(*key, Conversion::Signed);
        }
    }

    /// `name=%#x\n`, `name[%#d,"%#s"]="%#s"\n`; a stack ends its line itself.
    fn format(&self) -> Format {
        let mut format = FormatBuilder::default();
        self.keys_format(&mut format);
        format.text(if self.keys.is_empty() { "=" } else { "]=" });
        format.value(self.value, Conversion::HexLower);
        format.text(if self.value == Type::Stack { "" } else { "\n" });
        format.finish()
    }
}

#[derive(Default)]
struct FormatBuilder {
    pieces: Vec<Piece>,
    literal: String,
}

impl FormatBuilder {
    fn text(&mut self, text: &str) {
        self.literal.push_str(text);
    }

    /// A number by `number`, a string quoted and with escapes, a stack on lines of its
    /// own.
    fn value(&mut self, ty: Type, number: Conversion) {
        let conversion = match ty {
            Type::Long | Type::Stats => number,
            Type::Double => Conversion::Shortest,
            Type::String | Type::Stack => Conversion::String,
        };
        let quote = if ty == Type::String { "\"" } else { "" };
        self.literal.push_str(quote);
        self.flush();
        let flags = Flags { alternate: true, ..Flags::default() };
        let directive = Directive { flags, width: None, precision: None, conversion };
        self.pieces.push(Piece::Directive(directive));
        self.literal.push_str(quote);
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            self.pieces.push(Piece::Literal(std::mem::take(&mut self.literal)));
        }
    }

    fn finish(mut self) -> Format {
        self.flush();
        Format { pieces: self.pieces }
    }
}
