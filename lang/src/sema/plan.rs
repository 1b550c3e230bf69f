//! From probes as written to handlers at single points: aliases stand for
//! their points, and the environment says what those are.

use std::collections::HashMap;

use super::report::Report;
use crate::ast::{Alias, Demand, Expression, Item, Probe, ProbePoint, Script, Statement};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::environment::{Environment, Point, PointId, TargetVariable};
use crate::parse::glob;
use crate::span::Span;

/// Handlers may have this many bytes of text together, each counted once for
/// every point of its probe.
const HANDLERS_LEN_MAX: usize = 16 << 20;

/// Probes may have this many points together, behind all aliases.
const POINTS_MAX: usize = 1 << 16;

/// Aliases may be looked up so often: those that lead nowhere can double, too.
const LOOKUPS_MAX: usize = 1 << 20;

/// Aliases may stand for aliases this deep.
const ALIAS_DEPTH_MAX: usize = 64;

/// A handler at one point.
#[derive(Debug)]
pub(super) struct Planned<'s> {
    pub(super) point: ProbePoint,
    /// What the environment says; none where it refused.
    pub(super) known: Option<(Point, Vec<TargetVariable>)>,
    /// The prologues, the handler, the epilogues.
    pub(super) blocks: Vec<&'s [Statement]>,
    /// All must hold.
    pub(super) conditions: Vec<&'s Expression>,
    /// Armed only where none of these exists.
    pub(super) instead_of: Vec<PointId>,
}

impl Planned<'_> {
    /// Whether some `$` variable there may be a double, or lead to one.
    pub(super) fn has_doubles(&self) -> bool {
        let variables = self.known.iter().flat_map(|(_, variables)| variables);
        variables.into_iter().any(|variable| variable.ty.is_some())
    }
}

/// An alias's use taken apart, one point.
#[derive(Clone, Debug)]
struct Expanded<'s> {
    point: ProbePoint,
    prologues: Vec<&'s [Statement]>,
    epilogues: Vec<&'s [Statement]>,
    conditions: Vec<&'s Expression>,
}

/// The aliases of a script and what came out so far.
struct Planner<'s, 'r> {
    aliases: HashMap<&'s [String], Vec<&'s Alias>>,
    report: &'r mut Report,
    points: usize,
    length: usize,
    lookups: usize,
    /// Nothing more is planned behind this error.
    full: bool,
}

/// The handlers of a script, in order.
pub(super) fn plan<'s>(
    script: &'s Script,
    environment: &mut dyn Environment,
    report: &mut Report,
) -> Vec<Planned<'s>> {
    let mut planner = Planner {
        aliases: HashMap::new(),
        report,
        points: 0,
        length: 0,
        lookups: 0,
        full: false,
    };
    for item in &script.items {
        if let Item::Alias(alias) = item {
            planner.aliases.entry(&alias.name).or_default().push(alias);
        }
    }
    let mut planned = Vec::new();
    for item in &script.items {
        if let Item::Probe(probe) = item
            && !planner.full
        {
            planner.probe(probe, environment, &mut planned);
        }
    }
    planned
}

impl<'s> Planner<'s, '_> {
    /// A handler for each point of a probe. A point that the environment
    /// refuses makes none, but the block is looked at all the same.
    fn probe(
        &mut self,
        probe: &'s Probe,
        environment: &mut dyn Environment,
        planned: &mut Vec<Planned<'s>>,
    ) {
        let before = planned.len();
        let mut instead_of = Vec::new();
        for point in &probe.points {
            let own = planned.len();
            let mut expanded = Vec::new();
            self.expand(point, &mut Vec::new(), &mut expanded);
            let mut found = false;
            for expanded in expanded {
                if !self.count(probe) {
                    return;
                }
                found |= self.resolve(probe, expanded, environment, planned);
            }
            let ids = planned[own..].iter_mut().filter_map(|planned| {
                planned.instead_of.clone_from(&instead_of);
                Some(planned.known.as_ref()?.0.id)
            });
            let ids: Vec<_> = ids.collect();
            if found && point.demand == Demand::Sufficient {
                if ids.iter().any(|id| environment.is_certain(*id)) {
                    break;
                }
                instead_of.extend(ids);
            }
        }
        if planned.len() == before {
            let point = probe.points[0].clone();
            let blocks = vec![probe.body.as_slice()];
            planned.push(Planned {
                point,
                known: None,
                blocks,
                conditions: Vec::new(),
                instead_of,
            });
        }
    }

    /// Whether there is room for another handler of a probe.
    fn count(&mut self, probe: &Probe) -> bool {
        self.points += 1;
        self.length = self.length.saturating_add(probe.span.range().len());
        if self.length <= HANDLERS_LEN_MAX && self.points <= POINTS_MAX {
            return true;
        }
        self.too_long(probe.span, "give long handlers fewer probe points");
        false
    }

    fn too_long(&mut self, span: Span, help: &str) {
        if !std::mem::replace(&mut self.full, true) {
            let message = "the handlers of this script are too long";
            let error = Diagnostic::new(Code::ScriptTooLong, span, message);
            let label = "repeated for each of its probe points";
            self.report.push(error.label(label).help(help));
        }
    }

    /// Asks the environment for a point; whether it is there.
    fn resolve(
        &mut self,
        probe: &'s Probe,
        expanded: Expanded<'s>,
        environment: &mut dyn Environment,
        planned: &mut Vec<Planned<'s>>,
    ) -> bool {
        let Expanded { point, prologues, epilogues, conditions } = expanded;
        match environment.point(&point) {
            Ok(known) => {
                let variables = environment.variables(known.id).to_vec();
                let body = std::iter::once(probe.body.as_slice());
                let blocks = prologues.into_iter().chain(body).chain(epilogues).collect();
                let known = Some((known, variables));
                let instead_of = Vec::new();
                planned.push(Planned { point, known, blocks, conditions, instead_of });
                true
            }
            Err(error) => {
                if point.demand == Demand::Required || !is_missing(error.code) {
                    self.report.push(*error);
                }
                false
            }
        }
    }

    /// The points that a point stands for: itself where it is no alias.
    fn expand(
        &mut self,
        point: &'s ProbePoint,
        through: &mut Vec<&'s Alias>,
        out: &mut Vec<Expanded<'s>>,
    ) {
        if self.lookups > LOOKUPS_MAX {
            return self.too_long(point.span, "name fewer aliases in an alias");
        }
        let aliases = self.aliases_of(point);
        if aliases.is_empty() {
            let (prologues, epilogues) = (Vec::new(), Vec::new());
            let conditions = point.condition.iter().collect();
            out.push(Expanded { point: point.clone(), prologues, epilogues, conditions });
            return;
        }
        for alias in aliases {
            if through.iter().any(|outer| std::ptr::eq(*outer, alias))
                || through.len() >= ALIAS_DEPTH_MAX
            {
                self.report.push(recursion(alias, point.span));
                continue;
            }
            through.push(alias);
            let mut inner = Vec::new();
            for point in &alias.points {
                self.expand(point, through, &mut inner);
                if inner.len() + out.len() > POINTS_MAX {
                    // The count of points tells of it.
                    break;
                }
            }
            through.pop();
            for mut expanded in inner {
                // What the alias knows runs around the handler that uses it,
                // and inside of what its own points know.
                expanded.prologues.push(&alias.prologue);
                expanded.epilogues.insert(0, &alias.epilogue);
                expanded.conditions.extend(&point.condition);
                let suffix = &point.components[alias.name.len()..];
                expanded.point.components.extend_from_slice(suffix);
                expanded.point.span = point.span;
                if expanded.point.demand == Demand::Required {
                    expanded.point.demand = point.demand;
                }
                out.push(expanded);
            }
        }
    }

    /// The aliases that the beginning of a point names: the longest name, or
    /// all that its wildcards match.
    fn aliases_of(&mut self, point: &ProbePoint) -> Vec<&'s Alias> {
        self.lookups += 1;
        if self.aliases.is_empty() {
            return Vec::new();
        }
        let plain = point.components.iter().take_while(|part| part.argument.is_none());
        let names: Vec<String> = plain.map(|part| part.name.clone()).collect();
        for length in (1..=names.len()).rev() {
            if let Some(found) = self.aliases.get(&names[..length]) {
                return found.clone();
            }
        }
        if names.len() < point.components.len()
            || !names.iter().any(|it| it.contains('*'))
        {
            return Vec::new();
        }
        self.lookups += self.aliases.len();
        let matches = |alias: &[String]| {
            alias.len() == names.len()
                && names
                    .iter()
                    .zip(alias)
                    .all(|(pattern, part)| glob(pattern.as_bytes(), part.as_bytes()))
        };
        let mut found: Vec<&Alias> = self
            .aliases
            .iter()
            .filter(|(name, _)| matches(name))
            .flat_map(|(_, aliases)| aliases.iter().copied())
            .collect();
        found.sort_by_key(|alias| alias.span.start);
        found
    }
}

/// Whether an error says that something is not there, rather than wrong.
fn is_missing(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownProbePoint
            | Code::NotAvailableYet
            | Code::UnknownSymbol
            | Code::UnknownMember
            | Code::StrippedBinary
            | Code::BadExecutable
    )
}

fn recursion(alias: &Alias, used: Span) -> Diagnostic {
    let message = format!("alias `{}` stands for itself", alias.name.join("."));
    Diagnostic::new(Code::AliasRecursion, alias.name_span, message)
        .label("would never end")
        .related(used, "used here")
        .help("name the probe points that it stands for")
}
