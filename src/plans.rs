//! What is done at the hits of each register, by what its requests want of them.

use hwtrace_runtime::event::Trigger;
use hwtrace_runtime::plan::{
    ACTS_MAX, Does, Filter, Load, Needs, Plan, Reads, Space, Step,
};

use crate::registers::{Registers, Sees, Shape};
use crate::request::{Data, Request};

/// The plans of all registers, by watch number; `of` tells what each request wants.
pub(crate) fn of(registers: &Registers, of: &dyn Fn(usize) -> Plan) -> Vec<Plan> {
    let watches = registers.watches();
    // Hits are counted where all of a request's come by.
    let of = |request: usize, shared: bool| match shared || !registers.is_alone(request) {
        true => without_gate(of(request)),
        false => of(request),
    };
    let mut plans: Vec<_> = watches
        .iter()
        .zip(registers.sees())
        .map(|(watch, sees)| of_register(watch.length, sees, &of))
        .collect();
    // What is read by the program of one register, another that reports loads may
    // report.
    let loads = watches.iter().any(|watch| watch.trigger == Trigger::ReadWrite);
    if loads && watches.len() > 1 {
        plans.iter_mut().for_each(blind);
    }
    plans
}

/// Says of which registers the data may go elsewhere: objects, what is behind pointers that are
/// followed, and what a library brings, or may bring, that comes and goes.
pub(crate) fn tell_moves(
    plans: &mut [Plan],
    registers: &Registers,
    (requests, shapes): (&[Request], &[Option<Shape>]),
) {
    let comes = |request: usize| match &requests[request].data {
        Data::Process(data) => data.follow || data.expression.module().is_some(),
        Data::Kernel(_) | Data::Objects(_) => false,
    };
    let moves = |sees: &Sees| match sees {
        Sees::Objects { .. } | Sees::Link { .. } => true,
        Sees::Data { request, .. } => {
            let shape = shapes.get(*request).and_then(Option::as_ref);
            // That of threads comes and goes with them.
            shape.is_some_and(|it| !it.own && (!it.placed || comes(*request)))
        }
    };
    for (plan, sees) in plans.iter_mut().zip(registers.sees()) {
        plan.moves = sees.iter().any(moves);
    }
}

/// Leaves memory alone at the hits.
fn blind(plan: &mut Plan) {
    plan.blind = true;
    plan.reads = Reads::NONE;
    let reads = |filter: &Filter| {
        let steps = filter.blocks.iter().flat_map(|block| &block.steps);
        steps.into_iter().any(|step| matches!(step.does, Does::Load { .. }))
    };
    plan.filter = plan.filter.take().filter(|filter| !reads(filter));
    keep_then(plan, |filter| !reads(filter));
    plan.acts.retain(|act| !reads(&act.when));
}

/// The same plan for hits that are counted later: nobody knows here who goes on.
fn without_gate(mut plan: Plan) -> Plan {
    if plan.gate.take().is_some() {
        plan.acts.clear();
    }
    plan
}

/// Keeps what is asked of those whom a gate lets through, where that may be asked.
fn keep_then(plan: &mut Plan, may: impl Fn(&Filter) -> bool) {
    if let Some(gate) = &mut plan.gate {
        gate.then = gate.then.take().filter(may);
    }
}

/// Leaves the kernel's memory alone at the hits: of those who may not read it. All memory
/// of all processes is in it, and programs read it with less rights than anybody else
/// takes ([`crate::surroundings::may_read_kernel`]).
pub(crate) fn without_kernel(plans: &mut [Plan]) {
    let of_kernel = |step: &Step| {
        matches!(
            step.does,
            Does::Load { load: Load { space: Space::Kernel, .. }, .. }
                | Does::Keep { space: Space::Kernel, .. }
        )
    };
    let reads = |filter: &Filter| {
        filter.blocks.iter().flat_map(|block| &block.steps).any(of_kernel)
    };
    for plan in plans {
        if plan.reads.steps.iter().any(of_kernel) {
            plan.reads = Reads::NONE;
        }
        plan.filter = plan.filter.take().filter(|filter| !reads(filter));
        keep_then(plan, |filter| !reads(filter));
        plan.acts.retain(|act| !reads(&act.when));
    }
}

/// The same at stores alone, where the register reports loads, too: of who does not want
/// them. What is not known may be a store, but nothing is sent at it.
fn without_loads(plan: Plan) -> Plan {
    let needs = Needs { access: true, ..plan.needs };
    let filter = plan.filter.map(|filter| Filter::no_loads().and(filter));
    let mut acts = plan.acts;
    for act in &mut acts {
        act.when = Filter::stores().and(act.when.clone());
    }
    Plan { needs, filter, acts, ..plan }
}

/// The plans for an engine. To one that can be taught what an access was costs next
/// to nothing, and others ask it of the first hit at each address.
pub(crate) fn taught(plans: &[Plan], learns: bool) -> Vec<Plan> {
    let mut plans = plans.to_vec();
    for plan in &mut plans {
        plan.needs.access |= learns;
        // Who can not be taught does not count at the hit, either.
        if !learns && plan.gate.is_some() {
            plan.acts.clear();
        }
    }
    plans
}

fn of_register(length: u32, sees: &[Sees], of: &dyn Fn(usize, bool) -> Plan) -> Plan {
    let shared = sees.len() > 1;
    let mut sum = Plan::default();
    let mut filters = Vec::new();
    for sees in sees {
        let Plan { needs, filter, gate, reads, stack, acts, .. } = match sees {
            Sees::Link { .. } => Plan::default(),
            // Which object it is shows when the hit is handed on.
            Sees::Objects { request } => {
                let Plan { needs, stack, .. } = of(*request, shared);
                let needs = Needs { access: true, ..needs };
                Plan { needs, stack, ..Plan::default() }
            }
            Sees::Data { request, view, whole, stores, beside } => {
                let plan = of(*request, shared);
                let plan = if *stores { without_loads(plan) } else { plan };
                let alone = whole.is_none() && beside.is_nowhere();
                match alone && view.is_identity(length) {
                    true => plan,
                    // What its numbers are is found out later; and an object in
                    // several registers is put together from all of their hits.
                    false => Plan {
                        needs: plan.needs.and(Needs { access: true, ..plan.needs }),
                        stack: plan.stack,
                        ..Plan::default()
                    },
                }
            }
        };
        sum.needs = sum.needs.and(needs);
        sum.reads.add(&reads);
        sum.stack = sum.stack.and(stack);
        sum.acts.extend(acts);
        sum.acts.truncate(ACTS_MAX);
        sum.gate = gate;
        filters.push(filter);
    }
    // Who has none wants all.
    let filters: Option<Vec<Filter>> = filters.into_iter().collect();
    sum.filter = filters.and_then(|all| all.into_iter().reduce(Filter::or));
    sum
}
