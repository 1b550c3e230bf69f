//! Which hits pass a filter: as one condition where no block follows two others,
//! else block by block.

use std::fmt::{self, Formatter};

use hwtrace_runtime::plan::{Block, Filter, Next};

use super::expression::{Slots, Term};

/// What hits pass a block and those behind it.
enum Passes {
    All,
    None,
    /// Those for which this holds; whether it is several joined by `||`.
    Where(String, bool),
}

/// A line, or several, that begin with what the filter decides.
pub(super) fn show(f: &mut Formatter<'_>, what: &str, filter: &Filter) -> fmt::Result {
    let passes = match is_tree(filter) {
        true => passes(filter, 0, Slots::default()),
        false => None,
    };
    match passes {
        Some(Passes::All) => writeln!(f, "  {what}: all hits pass"),
        Some(Passes::None) => writeln!(f, "  {what}: no hit passes"),
        Some(Passes::Where(text, _)) => {
            writeln!(f, "  {what}: only hits with {text}")
        }
        None => {
            writeln!(f, "  {what}:")?;
            blocks(f, filter)
        }
    }
}

/// Whether a block only says how the hit ends.
fn is_end(block: &Block) -> bool {
    block.steps.is_empty() && matches!(block.next, Next::Pass | Next::Drop)
}

fn is_tree(filter: &Filter) -> bool {
    let mut seen = vec![false; filter.blocks.len()];
    let mut leads_to = |next: u16| {
        let next = usize::from(next);
        is_end(&filter.blocks[next]) || !std::mem::replace(&mut seen[next], true)
    };
    filter.blocks.iter().all(|block| match block.next {
        Next::Pass | Next::Drop => true,
        Next::Go(next) => leads_to(next),
        Next::Choose(_, then, otherwise) => leads_to(then) && leads_to(otherwise),
    })
}

/// None where a condition does not tell: memory is read only to see whether it can be.
fn passes(filter: &Filter, number: u16, mut slots: Slots) -> Option<Passes> {
    let block = &filter.blocks[usize::from(number)];
    slots.set(&block.steps);
    match block.next {
        Next::Pass => Some(Passes::All),
        Next::Drop if block.steps.is_empty() => Some(Passes::None),
        Next::Drop | Next::Go(_) => None,
        Next::Choose(slot, then, otherwise) => {
            let condition = slots.get(slot);
            let then = passes(filter, then, slots.clone())?;
            let otherwise = passes(filter, otherwise, slots)?;
            Some(choice(&condition, then, otherwise))
        }
    }
}

fn choice(condition: &Term, then: Passes, otherwise: Passes) -> Passes {
    let (holds, fails) = (condition.text.clone(), condition.negated());
    let and = |first: String, (second, is_or): (String, bool)| {
        let second = if is_or { format!("({second})") } else { second };
        format!("{first} && {second}")
    };
    match (then, otherwise) {
        (Passes::All, Passes::All) => Passes::All,
        (Passes::None, Passes::None) => Passes::None,
        (Passes::All, Passes::None) => Passes::Where(holds, false),
        (Passes::None, Passes::All) => Passes::Where(fails, false),
        (Passes::Where(then, or), Passes::None) => {
            Passes::Where(and(holds, (then, or)), false)
        }
        (Passes::None, Passes::Where(otherwise, or)) => {
            Passes::Where(and(fails, (otherwise, or)), false)
        }
        (Passes::All, Passes::Where(otherwise, _)) => {
            Passes::Where(format!("{holds} || {otherwise}"), true)
        }
        (Passes::Where(then, _), Passes::All) => {
            Passes::Where(format!("{fails} || {then}"), true)
        }
        (Passes::Where(then, or), Passes::Where(otherwise, or_too)) => {
            let (then, otherwise) =
                (and(holds, (then, or)), and(fails, (otherwise, or_too)));
            Passes::Where(format!("{then} || {otherwise}"), true)
        }
    }
}

fn blocks(f: &mut Formatter<'_>, filter: &Filter) -> fmt::Result {
    let mut slots = Slots::default();
    let to = |next: u16| match filter.blocks[usize::from(next)] {
        ref block if !is_end(block) => next.to_string(),
        Block { next: Next::Drop, .. } => "drop".to_owned(),
        _ => "pass".to_owned(),
    };
    for (number, block) in filter.blocks.iter().enumerate() {
        if is_end(block) {
            continue;
        }
        slots.set(&block.steps);
        write!(f, "    {number}: ")?;
        let then = match block.next {
            Next::Pass => "pass".to_owned(),
            Next::Drop => "drop".to_owned(),
            Next::Go(next) => to(next),
            Next::Choose(slot, then, otherwise) => {
                format!("{} ? {} : {}", slots.get(slot).text, to(then), to(otherwise))
            }
        };
        for load in slots.loads(&block.steps).filter(|load| !then.contains(load)) {
            write!(f, "{load}, then ")?;
        }
        writeln!(f, "{then}")?;
    }
    Ok(())
}
