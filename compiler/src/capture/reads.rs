//! Which memory is read at the hit for a handler, and why the rest is not.

use std::collections::HashMap;

use hwtrace_runtime::abi::format;
use hwtrace_runtime::plan::{Does, KEEP_MAX, Reads, SLOTS_MAX, Slot};

use super::asked::{self, Asked, Extent};
use super::flow::Flow;
use super::steps::Steps;
use super::symbol::{Made, Symbol, Symbols, Why};
use super::{Late, Read, When};
use crate::ir::effects::codes_of;
use crate::ir::{Block, BlockId, Code, Instruction, Local, Module, Op, Value};

/// Entries of a record, and words that they take, at most: 1 KiB.
const ENTRIES_MAX: usize = 8;
const WORDS_MAX: usize = 128;

/// What locals are.
type Locals = HashMap<Local, Symbol>;

struct Builder<'a> {
    module: &'a Module,
    flow: &'a Flow,
    symbols: Symbols,
    values: HashMap<Value, Symbol>,
    steps: Steps,
    entries: usize,
    words: usize,
    /// The steps that keep something, by its address and what they do there.
    kept: HashMap<(Symbol, Does), usize>,
    listed: Vec<Read>,
}

/// What is read at the hit for a handler, and every place at which it reads.
pub(super) fn reads(module: &Module, code: &Code, flow: &Flow) -> (Reads, Vec<Read>) {
    let mut builder = Builder {
        module,
        flow,
        symbols: Symbols::default(),
        values: HashMap::new(),
        steps: Steps::new(0..SLOTS_MAX, HashMap::new()),
        entries: 0,
        words: 0,
        kept: HashMap::new(),
        listed: Vec::new(),
    };
    builder.code(code);
    let mut listed = builder.listed;
    listed.sort_by_key(|read| module.sites[read.site as usize].start);
    for function in codes_of(module, code).into_iter().skip(1) {
        listed.extend(of_function(module, function));
    }
    let steps = builder.steps;
    (Reads { slots: steps.first_free(), steps: steps.list }, listed)
}

/// Places in a function: it may be called from anywhere.
fn of_function<'a>(
    module: &'a Module,
    function: &'a Code,
) -> impl Iterator<Item = Read> + use<'a> {
    let is_it = |other: &Code| std::ptr::eq(other, function);
    let number = module.functions.iter().position(is_it).unwrap_or_default();
    let when = When::Late(Late::InFunction(number as u32));
    let instructions = function.blocks.iter().flat_map(|block| &block.instructions);
    instructions.filter_map(move |Instruction { op, site, .. }| {
        Some(Read { site: *site, what: asked::asked(op)?.what, when })
    })
}

impl Builder<'_> {
    fn code(&mut self, code: &Code) {
        let mut known: HashMap<BlockId, Locals> = HashMap::new();
        for id in &self.flow.order {
            let block = &code.blocks[id.0 as usize];
            let mut locals = known.remove(id).unwrap_or_default();
            if self.flow.is_in_loop(*id) {
                let unknown = self.symbols.unknown(Why::Loop);
                locals.extend(self.flow.set_in_loops.iter().map(|it| (*it, unknown)));
            }
            if let Some(caught) = block.on_fault {
                let locals = self.at_fault(block, &locals);
                self.lead_to(&mut known, (*id, caught), &locals);
            }
            for instruction in &block.instructions {
                self.instruction(instruction, &mut locals, *id);
            }
            for next in block.terminator.successors() {
                self.lead_to(&mut known, (*id, next), &locals);
            }
        }
    }

    /// What locals may be wherever in the block a fault is.
    fn at_fault(&mut self, block: &Block, locals: &Locals) -> Locals {
        let mut locals = locals.clone();
        let unknown = self.symbols.unknown(Why::Several);
        for instruction in &block.instructions {
            if let Op::SetLocal(local, _) = instruction.op {
                locals.insert(local, unknown);
            }
        }
        locals
    }

    /// Notes what locals are where a block goes on to another.
    fn lead_to(
        &mut self,
        known: &mut HashMap<BlockId, Locals>,
        (from, to): (BlockId, BlockId),
        locals: &Locals,
    ) {
        if self.flow.goes_back(from, to) {
            return;
        }
        let used = |local: &Local| self.flow.is_used_from(to, (*local).into());
        let locals = locals.iter().filter(|(local, _)| used(local));
        let locals: Locals = locals.map(|(local, symbol)| (*local, *symbol)).collect();
        let Some(there) = known.get_mut(&to) else {
            known.insert(to, locals);
            return;
        };
        let zero = self.symbols.put(Made::Constant(0));
        let several = self.symbols.unknown(Why::Several);
        let names: Vec<Local> = there.keys().chain(locals.keys()).copied().collect();
        for local in names {
            let of = |locals: &Locals| locals.get(&local).copied().unwrap_or(zero);
            if of(there) != of(&locals) {
                there.insert(local, several);
            }
        }
    }

    fn instruction(
        &mut self,
        Instruction { result, op, site }: &Instruction,
        locals: &mut Locals,
        block: BlockId,
    ) {
        let symbol = match op {
            Op::SetLocal(local, value) => {
                let symbol = self.value(*value);
                locals.insert(*local, symbol);
                return;
            }
            Op::GetLocal(local) => match locals.get(local) {
                Some(symbol) => *symbol,
                None => self.symbols.put(Made::Constant(0)),
            },
            _ => {
                let unknown = self.symbols.unknown(Why::Operator);
                let of = |value| self.values.get(&value).copied().unwrap_or(unknown);
                self.symbols.result(self.module, op, &of)
            }
        };
        let symbol = match asked::asked(op) {
            Some(asked) => self.read(&asked, symbol, *site, block),
            None => symbol,
        };
        if let Some(value) = result {
            self.values.insert(*value, symbol);
        }
    }

    fn value(&mut self, value: Value) -> Symbol {
        let there = self.values.get(&value).copied();
        there.unwrap_or_else(|| self.symbols.unknown(Why::Operator))
    }

    /// Lists a read, which is to be `symbol`; gives what it is.
    fn read(
        &mut self,
        asked: &Asked,
        symbol: Symbol,
        site: u32,
        block: BlockId,
    ) -> Symbol {
        let when = match self.flow.is_in_loop(block) {
            true => Some(When::Late(Late::InLoop)),
            false => self
                .when(asked, symbol)
                .map_or_else(|late| Some(When::Late(late)), |step| step.map(When::AtHit)),
        };
        let address = self.value(asked.address);
        let recorded = self.symbols.why_unknown(address) == Some(Why::Picture);
        let when = if recorded { Some(When::Recorded) } else { when };
        if let Some(when) = when {
            self.listed.push(Read { site, what: asked.what, when });
        }
        match when {
            Some(When::Late(_)) => self.symbols.unknown(Why::LateRead),
            _ => symbol,
        }
    }

    /// The step that reads at the hit, none where nothing is to be read; or why it is
    /// read late.
    fn when(&mut self, asked: &Asked, symbol: Symbol) -> Result<Option<usize>, Late> {
        let address = self.value(asked.address);
        if let Some(why) = self.symbols.why_unknown(address) {
            return Err(Late::Address(why));
        }
        let Some(does) = self.wanted(asked)? else { return Ok(None) };
        if let Some(step) = self.kept.get(&(address, does)) {
            return Ok(Some(*step));
        }
        let mark = self.steps.mark();
        let Some(step) = self.keep(address, does) else {
            self.steps.back_to(&mark);
            return Err(Late::Full);
        };
        self.kept.insert((address, does), step);
        if let Made::Load(..) = self.symbols.made(symbol) {
            self.steps.know(symbol, self.steps.list[step].to);
        }
        Ok(Some(step))
    }

    /// Adds the steps of an entry; none where it finds no room.
    fn keep(&mut self, from: Symbol, does: Does) -> Option<usize> {
        let from = self.steps.slot(&self.symbols, from)?;
        let words = self.words + does.kept_words().unwrap_or_default();
        if self.entries == ENTRIES_MAX || words > WORDS_MAX {
            return None;
        }
        self.steps.put(match does {
            Does::Load { load, keep, .. } => Does::Load { address: from, load, keep },
            Does::Keep { bytes, text, space, .. } => {
                Does::Keep { address: from, bytes, text, space }
            }
            other => other,
        })?;
        self.entries += 1;
        self.words = words;
        Some(self.steps.list.len() - 1)
    }

    /// What reads as much as is wanted, from whatever address; none where that is
    /// nothing.
    fn wanted(&mut self, asked: &Asked) -> Result<Option<Does>, Late> {
        let (address, space) = (Slot(0), asked.space);
        let most = i64::from(self.module.string_bytes_max);
        let (length, text) = match asked.extent {
            Extent::Number(load) => {
                return Ok(Some(Does::Load { address, load, keep: true }));
            }
            Extent::Bytes(length) => {
                (self.count(length).ok_or(Late::Length)?.min(most), false)
            }
            Extent::Printed(precision) => {
                let precision = match precision {
                    Some(precision) => self.count(precision).ok_or(Late::Length)?,
                    None => format::NONE,
                };
                let length = format::memory_length(precision).ok_or(Late::TooLong)?;
                (length as i64, false)
            }
            // Mostly it ends before: what is not enough is read late.
            Extent::Text(wanted) => {
                let wanted = wanted.and_then(|wanted| self.count(wanted));
                (wanted.unwrap_or(most).min(most).min(KEEP_MAX.into()), true)
            }
        };
        match u16::try_from(length) {
            Ok(0) => Ok(None),
            Ok(bytes @ ..=KEEP_MAX) => {
                Ok(Some(Does::Keep { address, bytes, text, space }))
            }
            Err(_) if length < 0 => Ok(None),
            _ => Err(Late::TooLong),
        }
    }

    /// A number of bytes, where it is known.
    fn count(&mut self, value: Value) -> Option<i64> {
        let symbol = self.value(value);
        self.symbols.constant(symbol)
    }
}
