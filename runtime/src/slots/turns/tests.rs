use proptest::prelude::*;

use super::*;

fn seat(scope: Scope, weight: u32) -> Seat {
    Seat { pinned: false, weight, scope }
}

fn tasks(slots: usize) -> Slots {
    Slots { tasks: slots, kernel: 0 }
}

/// How many of so many turns each watch has.
fn shares(turns: &mut Turns, rounds: u32) -> Vec<f64> {
    let mut had = vec![0; turns.carried().len()];
    for _ in 0..rounds {
        for (watch, carried) in turns.carried().iter().enumerate() {
            had[watch] += u32::from(*carried);
        }
        turns.advance();
    }
    had.into_iter().map(|had| f64::from(had) / f64::from(rounds)).collect()
}

/// The share of the time that each ought to have: by weight, but nobody more than all.
fn fair(weights: &[u32], slots: usize) -> Vec<f64> {
    let mut fair = vec![None; weights.len()];
    loop {
        let left = slots - fair.iter().flatten().count();
        let rest = || (0..weights.len()).filter(|watch| fair[*watch].is_none());
        let sum: f64 = rest().map(|watch| f64::from(weights[watch])).sum();
        let share = |watch: usize| left as f64 * f64::from(weights[watch]) / sum;
        let always: Vec<_> = rest().filter(|watch| share(*watch) >= 1.0).collect();
        if always.is_empty() {
            let all = 0..weights.len();
            return all
                .map(|watch| fair[watch].unwrap_or_else(|| share(watch)))
                .collect();
        }
        always.into_iter().for_each(|watch| fair[watch] = Some(1.0));
    }
}

#[test]
fn equal_ones_have_equal_shares() {
    let mut turns = Turns::new(&[seat(Scope::Tasks, 1); 5], tasks(4), 1);
    assert!(turns.rotates());
    assert_eq!(shares(&mut turns, 100), [0.8; 5]);
}

#[test]
fn who_fits_stays() {
    let mut turns = Turns::new(&[seat(Scope::Tasks, 1); 4], tasks(4), 1);
    assert_eq!((turns.rotates(), turns.advance()), (false, vec![]));
    let one_more = turns.add(seat(Scope::Tasks, 1));
    assert!(turns.rotates() && !turns.carried()[one_more]);
}

#[test]
fn pinned_ones_and_those_of_threads_stay() {
    let pinned = Seat { pinned: true, ..seat(Scope::Tasks, 1) };
    let own = seat(Scope::Own, 1);
    let seats = [pinned, own, seat(Scope::Tasks, 1), seat(Scope::Tasks, 1)];
    let mut turns = Turns::new(&seats, tasks(1), 1);
    assert_eq!(shares(&mut turns, 10), [1.0, 1.0, 0.5, 0.5]);
}

#[test]
fn who_is_not_wanted_gives_way_within_a_turn() {
    let mut turns = Turns::new(&[seat(Scope::Tasks, 1); 6], tasks(2), 3);
    let carried = |turns: &Turns| -> Vec<usize> {
        (0..6).filter(|watch| turns.carried()[*watch]).collect()
    };
    let [goes, stays] = carried(&turns)[..] else { panic!("two registers") };
    turns.want(goes, false);
    let passes = turns.relieve();
    assert_eq!((passes.len(), passes[0].from), (1, goes));
    assert!(turns.carried()[stays] && turns.relieve().is_empty());
    // The others go on without it, until it is wanted.
    assert_eq!(shares(&mut turns, 100)[goes], 0.0);
    turns.want(goes, true);
    assert!(shares(&mut turns, 30)[goes] > 0.3);
    // Nobody is wanted: nobody is there to give way to.
    (0..6).for_each(|watch| turns.want(watch, false));
    let last = carried(&turns);
    assert!(turns.advance().is_empty() && turns.relieve().is_empty());
    assert!(!turns.rotates() && carried(&turns) == last);
}

#[test]
fn who_was_away_does_not_catch_up() {
    let mut turns = Turns::new(&[seat(Scope::Tasks, 1); 4], tasks(1), 3);
    turns.want(0, false);
    shares(&mut turns, 3000);
    turns.want(0, true);
    let after = shares(&mut turns, 400);
    assert!(after.iter().all(|share| (share - 0.25).abs() < 0.02), "{after:?}");
}

#[test]
fn slices_are_a_quarter_longer_or_shorter() {
    let mut turns = Turns::new(&[], Slots::default(), 9);
    let slices: Vec<_> =
        (0..1000).map(|_| turns.slice(Duration::from_millis(8)).as_secs_f64()).collect();
    let mean = slices.iter().sum::<f64>() / 1000.0;
    let (least, most) =
        slices.iter().fold((1.0f64, 0.0f64), |it, own| (it.0.min(*own), it.1.max(*own)));
    assert!((0.006..0.0061).contains(&least) && (0.0099..=0.01).contains(&most));
    assert!((mean - 0.008).abs() < 0.000_1, "{mean}");
}

/// What may happen to turns.
#[derive(Clone, Debug)]
enum Step {
    Next,
    Relieve,
    Want(usize, bool),
    Add(Scope, u32),
    SetWeight(usize, u32),
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Tasks), Just(Scope::Own), Just(Scope::Kernel)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Next),
        2 => Just(Step::Relieve),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(watch, on)| Step::Want(watch, on)),
        1 => (scope(), any::<u32>()).prop_map(|(scope, weight)| Step::Add(scope, weight)),
        1 => (any::<usize>(), any::<u32>())
            .prop_map(|(watch, weight)| Step::SetWeight(watch, weight)),
    ]
}

fn seats() -> impl Strategy<Value = Vec<Seat>> {
    let seat = (any::<bool>(), 0u32..9, scope())
        .prop_map(|(pinned, weight, scope)| Seat { pinned, weight, scope });
    proptest::collection::vec(seat, 1..20)
}

/// How many registers each scope has, and whose they are that stay.
fn holders(seats: &[Seat], carried: &[bool]) -> ([usize; 2], Vec<bool>) {
    let mut rotating = [0; 2];
    let keeps = |(seat, carried): (&Seat, &bool)| {
        let keeps = seat.pinned || seat.scope == Scope::Own;
        rotating[usize::from(seat.scope == Scope::Kernel)] +=
            usize::from(*carried && !keeps);
        keeps && *carried
    };
    let kept = seats.iter().zip(carried).map(keeps).collect();
    (rotating, kept)
}

proptest! {
    #[test]
    fn registers_are_neither_made_nor_lost(
        seats in seats(),
        (of_tasks, of_kernel) in (0usize..4, 0usize..3),
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let mut seats = seats;
        let slots = Slots { tasks: of_tasks, kernel: of_kernel };
        let mut turns = Turns::new(&seats, slots, seed);
        let (rotating, _) = holders(&seats, turns.carried());
        prop_assert!(rotating[0] <= of_tasks && rotating[1] <= of_kernel);
        for step in steps {
            let before = turns.carried().to_vec();
            let passes = match step {
                Step::Next => turns.advance(),
                Step::Relieve => turns.relieve(),
                Step::Want(watch, on) => {
                    turns.want(watch % seats.len(), on);
                    vec![]
                }
                Step::Add(scope, weight) => {
                    seats.push(seat(scope, weight));
                    prop_assert_eq!(turns.add(seat(scope, weight)), seats.len() - 1);
                    vec![]
                }
                Step::SetWeight(watch, weight) => {
                    turns.set_weight(watch % seats.len(), weight);
                    vec![]
                }
            };
            let mut now = before.clone();
            now.resize(seats.len(), false);
            for (seat, now) in seats.iter().zip(&mut now).skip(before.len()) {
                *now = seat.scope == Scope::Own;
            }
            for Pass { from, to } in passes {
                prop_assert_eq!(seats[from].scope, seats[to].scope);
                prop_assert!(now[from] && !now[to] && from != to);
                prop_assert!(!before[to], "nobody goes and comes at once");
                (now[from], now[to]) = (false, true);
            }
            prop_assert_eq!(turns.carried(), &*now);
            let (found, kept) = holders(&seats, &now);
            prop_assert_eq!(found, rotating);
            let (_, all) = holders(&seats, &vec![true; seats.len()]);
            prop_assert_eq!(kept, all, "who is pinned has a register");
        }
    }

    #[test]
    fn shares_are_by_weight(
        weights in proptest::collection::vec(1u32..12, 2..24),
        slots in 1usize..5,
        seed in any::<u64>(),
    ) {
        let slots = slots.min(weights.len());
        let seats: Vec<_> =
            weights.iter().map(|weight| seat(Scope::Tasks, *weight)).collect();
        let mut turns = Turns::new(&seats, tasks(slots), seed);
        let found = shares(&mut turns, 4000);
        let fair = fair(&weights, slots);
        for (found, fair) in found.iter().zip(&fair) {
            prop_assert!((found - fair).abs() < 0.01, "{found} and {fair}");
        }
    }

    #[test]
    fn each_is_carried_in_each_cycle_and_meets_every_other(
        watches in 3usize..14,
        slots in 2usize..5,
        seed in any::<u64>(),
    ) {
        let slots = slots.min(watches - 1);
        let seats = vec![seat(Scope::Tasks, 1); watches];
        let mut turns = Turns::new(&seats, tasks(slots), seed);
        let mut met = vec![vec![0u32; watches]; watches];
        // A cycle has all once; so a watch waits for two at most.
        let cycle = watches.div_ceil(slots);
        let mut waited = vec![0; watches];
        for _ in 0..cycle * watches * 40 {
            let carried = turns.carried().to_vec();
            for one in 0..watches {
                waited[one] = if carried[one] { 0 } else { waited[one] + 1 };
                prop_assert!(waited[one] < 2 * cycle, "{one} waits");
                for other in 0..watches {
                    met[one][other] += u32::from(carried[one] && carried[other]);
                }
            }
            turns.advance();
        }
        prop_assert!(met.iter().flatten().all(|met| *met > 0), "{met:?}");
    }
}
