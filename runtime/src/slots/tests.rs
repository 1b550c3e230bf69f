use proptest::prelude::*;

use super::*;
use crate::event::Trigger;

fn watch(address: u64, length: u32) -> Watch {
    Watch { address, length, trigger: Trigger::Write }
}

fn loads(address: u64, length: u32) -> Watch {
    Watch { trigger: Trigger::ReadWrite, ..watch(address, length) }
}

fn claim(pieces: &[Watch]) -> Claim {
    let pieces = pieces.to_vec();
    Claim { pieces, scope: Scope::Tasks, pinned: false, weight: 1, fixed: true }
}

fn claims(watches: &[Watch]) -> Vec<Claim> {
    watches.iter().map(|watch| claim(&[*watch])).collect()
}

fn room(capacity: usize, rotate: bool) -> Room {
    Room { capacity, held: 0, rotate }
}

fn planned(claims: &[Claim], capacity: usize, rotate: bool) -> Plan {
    plan(claims, room(capacity, rotate)).expect("enough")
}

fn served(plan: &Plan) -> Vec<Vec<usize>> {
    let of =
        |register: &Register| register.subscribers.iter().map(|it| it.claim).collect();
    plan.registers.iter().map(of).collect()
}

#[test]
fn watches_share_what_covers_them_and_others_do_not() {
    let asked = [watch(8, 4), watch(8, 8), watch(12, 4), loads(8, 4), watch(16, 4)];
    let plan = planned(&claims(&asked), CAPACITY, false);
    assert_eq!(served(&plan), [vec![0, 1, 2], vec![3], vec![4]]);
    assert_eq!(plan.watches(), [watch(8, 8), loads(8, 4), watch(16, 4)]);
    let windows: Vec<_> =
        plan.registers[0].subscribers.iter().map(|it| it.window).collect();
    let range = |start, end| ByteRange { start, end };
    assert_eq!(windows, [range(0, 4), range(0, 8), range(4, 8)]);
    assert!(plan.fits() && plan.merged == 0);
}

#[test]
fn neighbours_share_as_far_as_registers_are_short() {
    let ints: Vec<_> = (0..8).map(|index| watch(64 + 4 * index, 4)).collect();
    let ints = claims(&ints);
    assert_eq!(planned(&ints, 8, false).merged, 0);
    let six = planned(&ints, 6, false);
    assert_eq!(
        served(&six),
        [vec![0, 1], vec![2, 3], vec![4], vec![5], vec![6], vec![7]]
    );
    assert_eq!((six.merged, six.watches()[1]), (2, watch(72, 8)));
    let window = six.registers[1].subscribers[1].window;
    assert_eq!(window, ByteRange { start: 4, end: 8 });
    let four = planned(&ints, 4, false);
    assert_eq!((four.registers.len(), four.fits()), (4, true));
    // All that can, where that is not enough.
    let turns = planned(&ints, 3, true);
    assert_eq!((turns.registers.len(), turns.fits()), (4, false));
    assert_eq!(turns.slots, Slots { tasks: 3, kernel: 0 });
}

#[test]
fn the_narrowest_share_first() {
    let asked = [
        watch(64, 1),
        watch(66, 2),
        watch(72, 1),
        watch(73, 1),
        watch(80, 4),
        watch(87, 1),
    ];
    let asked = claims(&asked);
    let of = |capacity| served(&planned(&asked, capacity, true));
    assert_eq!(of(5), [vec![0], vec![1], vec![2, 3], vec![4], vec![5]]);
    assert_eq!(of(4), [vec![0, 1], vec![2, 3], vec![4], vec![5]]);
    assert_eq!(planned(&asked, 4, true).watches()[..2], [watch(64, 4), watch(72, 2)]);
    assert_eq!(of(1), [vec![0, 1], vec![2, 3], vec![4, 5]]);
}

#[test]
fn stores_go_where_all_accesses_are_reported_before_others_are_widened() {
    let asked = claims(&[watch(64, 4), loads(64, 4), watch(72, 4), watch(76, 4)]);
    assert_eq!(served(&planned(&asked, 4, false)).len(), 4);
    let three = planned(&asked, 3, false);
    assert_eq!(served(&three), [vec![0, 1], vec![2], vec![3]]);
    assert_eq!(three.watches()[0], loads(64, 4));
    assert_eq!(served(&planned(&asked, 2, false)), [vec![0, 1], vec![2, 3]]);
    // Where only the wider one covers them.
    let asked = claims(&[watch(64, 8), loads(64, 4), loads(68, 4)]);
    let one = planned(&asked, 1, false);
    assert_eq!((served(&one), one.watches()), (vec![vec![0, 1, 2]], vec![loads(64, 8)]));
    // The other way round loads would be missed.
    let asked = claims(&[watch(64, 8), loads(64, 4)]);
    assert_eq!(served(&planned(&asked, 1, true)).len(), 2);
}

#[test]
fn what_moves_or_is_elsewhere_has_no_neighbours() {
    let moving = Claim { fixed: false, ..claim(&[watch(64, 4)]) };
    let kernel = Claim { scope: Scope::Kernel, ..claim(&[watch(72, 4)]) };
    let own = Claim { scope: Scope::Own, ..claim(&[watch(Watch::PENDING, 4)]) };
    let asked = [
        moving.clone(),
        claim(&[watch(68, 4)]),
        kernel,
        claim(&[watch(76, 4)]),
        own,
        claim(&[watch(Watch::PENDING, 4), watch(Watch::PENDING, 4)]),
        // The very same moves alike.
        moving,
    ];
    let plan = planned(&asked, 4, true);
    let alone = [vec![0, 6], vec![1], vec![2], vec![3], vec![4], vec![5], vec![5]];
    assert_eq!(served(&plan), alone);
    assert_eq!(plan.slots, Slots { tasks: 2, kernel: 1 });
    assert!(plan.seats()[4].pinned, "of each thread");
}

#[test]
fn a_register_is_as_pinned_and_heavy_as_any_of_its_claims() {
    let claims = [
        Claim { weight: 3, ..claim(&[watch(64, 8)]) },
        Claim { pinned: true, ..claim(&[watch(64, 4)]) },
        Claim { weight: 0, ..claim(&[watch(72, 4)]) },
    ];
    let seats = planned(&claims, 4, false).seats();
    assert_eq!((seats[0].pinned, seats[0].weight), (true, 3));
    assert_eq!((seats[1].pinned, seats[1].weight), (false, 1));
}

#[test]
fn what_is_left_is_divided_among_those_who_wait() {
    let many = |pinned, tasks, kernel| {
        let at = |number: u64| [watch(1024 + 8 * number, 8)];
        let all = (0..pinned + tasks + kernel).map(|number| Claim {
            pinned: number < pinned,
            scope: match number < pinned + tasks {
                true => Scope::Tasks,
                false => Scope::Kernel,
            },
            ..claim(&at(number))
        });
        all.collect::<Vec<_>>()
    };
    for (pinned, tasks, kernel, slots) in [
        (0, 4, 0, (4, 0)),
        (0, 64, 0, (4, 0)),
        (1, 64, 0, (3, 0)),
        (0, 6, 6, (2, 2)),
        (0, 64, 1, (3, 1)),
        (0, 1, 64, (1, 3)),
        (2, 9, 1, (1, 1)),
        (2, 1, 1, (1, 1)),
        (0, 3, 2, (2, 2)),
        (3, 0, 5, (0, 1)),
    ] {
        let plan = planned(&many(pinned, tasks, kernel), 4, true);
        let (tasks, kernel) = slots;
        assert_eq!(plan.slots, Slots { tasks, kernel }, "{pinned}");
    }
    let refused = |pinned, tasks, kernel, room| {
        let shortage = plan(&many(pinned, tasks, kernel), room).expect_err("short");
        (shortage.why, shortage.needed, shortage.claim)
    };
    let (free, held) = (room(4, true), Room { held: 2, ..room(4, true) });
    assert_eq!(refused(5, 9, 0, free), (Lack::Pinned, 5, 4));
    assert_eq!(refused(4, 2, 0, free), (Lack::Turns, 5, 4));
    assert_eq!(refused(3, 2, 2, free), (Lack::Turns, 5, 3));
    assert_eq!(refused(1, 2, 2, held), (Lack::Turns, 3, 1));
    assert_eq!(refused(0, 4, 1, room(4, false)), (Lack::NoTurns, 5, 4));
    assert_eq!(refused(0, 1, 0, room(0, true)), (Lack::Turns, 1, 0));
}

#[test]
fn a_shortage_has_figures() {
    let asked: Vec<_> = (0..5).map(|index| watch(8 + index * 8, 8)).collect();
    let said = |room| plan(&claims(&asked), room).expect_err("short").to_string();
    assert_eq!(said(room(4, false)), "5 different watches for 4 debug registers");
    let held = Room { capacity: 4, held: 4, rotate: true };
    assert_eq!(
        said(held),
        "at least 1 watches at a time for 4 debug registers, of which others hold 4"
    );
    assert_eq!(plan(&[claim(&[])], room(0, false)), Ok(Plan::default()));
}

/// Claims on a few words, so that many lie together.
fn any_claims() -> impl Strategy<Value = Vec<Claim>> {
    let scope = prop_oneof![8 => Just(Scope::Tasks), 1 => Just(Scope::Own), 2 => Just(Scope::Kernel)];
    let piece = (0u64..4, 0u32..4, 0u64..8, any::<bool>(), 0..12).prop_map(
        |(word, length, within, write, pending)| {
            let length = 1 << length;
            let address = 64 + word * 8 + within / u64::from(length) * u64::from(length);
            let address = if pending == 0 { Watch::PENDING } else { address };
            let trigger = if write { Trigger::Write } else { Trigger::ReadWrite };
            Watch { address, length, trigger }
        },
    );
    let pieces = proptest::collection::vec(piece, 1..4);
    let claim = (pieces, scope, 0..6, 1u32..5, 0..5).prop_map(
        |(pieces, scope, pinned, weight, moves)| Claim {
            pieces,
            scope,
            pinned: pinned == 0,
            weight,
            fixed: moves > 0,
        },
    );
    proptest::collection::vec(claim, 0..20)
}

/// Whether what one asks for another register reports, too.
fn reports(outer: Watch, inner: Watch) -> bool {
    let end = |watch: Watch| watch.address + u64::from(watch.length);
    let trigger = outer.trigger == inner.trigger || inner.trigger == Trigger::Write;
    trigger && outer.address <= inner.address && end(inner) <= end(outer)
}

proptest! {
    #[test]
    fn each_piece_is_served_once_by_a_register_that_covers_it(
        claims in any_claims(),
        capacity in 0usize..30,
    ) {
        let enough = planned(&claims, 1000, false);
        prop_assert_eq!(enough.merged, 0);
        let Ok(plan) = plan(&claims, room(capacity, true)) else { return Ok(()) };
        let mut served: Vec<Vec<u32>> =
            claims.iter().map(|claim| vec![0; claim.pieces.len()]).collect();
        for Register { watch, subscribers, seat } in &plan.registers {
            prop_assert!(watch.address % u64::from(watch.length) == 0 && watch.length <= 8);
            prop_assert!(subscribers.is_sorted_by_key(|it| (it.claim, it.piece)));
            for Subscriber { claim, piece, window } in subscribers {
                served[*claim][*piece] += 1;
                let (claim, piece) = (&claims[*claim], claims[*claim].pieces[*piece]);
                prop_assert!(reports(*watch, piece));
                prop_assert_eq!(piece.address, watch.address + u64::from(window.start));
                prop_assert_eq!(piece.length, u32::from(window.length()));
                prop_assert_eq!(claim.scope, seat.scope);
                prop_assert!(seat.pinned || !claim.pinned);
                prop_assert!(seat.weight >= claim.weight);
                prop_assert!(subscribers.len() == 1 || piece.is_placed());
                // Who moves shares with those alone whose register covers it anyway.
                let first = subscribers[0];
                let own = |it: &Subscriber| claims[it.claim].pieces[it.piece];
                let covered = subscribers.iter().any(|it| own(it) == *watch);
                prop_assert!(claim.fixed || covered, "{first:?}");
            }
        }
        prop_assert!(served.iter().flatten().all(|times| *times == 1));
        prop_assert_eq!(plan.registers.len() + plan.merged, enough.registers.len());
    }

    #[test]
    fn no_more_share_than_have_to(claims in any_claims(), capacity in 1usize..30) {
        let needed = planned(&claims, 1000, false).registers.len();
        let Ok(plan) = plan(&claims, room(capacity, true)) else { return Ok(()) };
        let wanted = plan.registers.len();
        if plan.merged > 0 {
            prop_assert!(wanted >= capacity && needed > capacity);
        }
        prop_assert_eq!(plan.fits(), wanted <= capacity);
        // Where it does not suffice, nothing is left that could share.
        for (at, one) in plan.registers.iter().enumerate() {
            for other in plan.registers.iter().skip(at + 1) {
                let placed = one.watch.is_placed() && other.watch.is_placed();
                let together = placed
                    && one.seat.scope == other.seat.scope
                    && one.watch.address / 8 == other.watch.address / 8;
                let fixed = [one, other].iter().all(|register| {
                    register.subscribers.iter().all(|it| claims[it.claim].fixed)
                });
                if wanted > capacity && together && fixed {
                    prop_assert!(one.watch.trigger != other.watch.trigger);
                    let covered = reports(one.watch, other.watch)
                        || reports(other.watch, one.watch);
                    prop_assert!(!covered);
                }
            }
        }
    }

    #[test]
    fn slots_are_no_more_than_registers(claims in any_claims(), capacity in 0usize..8) {
        let held = capacity / 3;
        let all = Room { capacity, held, rotate: true };
        let count = |plan: &Plan, scope| {
            let waits = |seat: &&Seat| !seat.pinned && seat.scope == scope;
            plan.seats().iter().filter(waits).count()
        };
        match plan(&claims, all) {
            Ok(plan) => {
                let pinned = plan.seats().iter().filter(|seat| seat.pinned).count();
                let Slots { tasks, kernel } = plan.slots;
                let used = pinned + tasks + kernel;
                let [all_tasks, all_kernel] =
                    [Scope::Tasks, Scope::Kernel].map(|scope| count(&plan, scope));
                prop_assert!(used <= capacity - held);
                prop_assert!(plan.fits() || used == capacity - held, "none is idle");
                prop_assert!(tasks <= all_tasks && kernel <= all_kernel);
                prop_assert!(tasks > 0 || all_tasks == 0);
                prop_assert!(kernel > 0 || all_kernel == 0);
                let refused = super::plan(&claims, Room { rotate: false, ..all });
                prop_assert_eq!(refused.is_ok(), plan.fits());
            }
            Err(shortage) => {
                prop_assert!(shortage.needed > capacity - held);
                prop_assert!(shortage.claim < claims.len());
                let enough = Room { capacity: shortage.needed + held, ..all };
                let again = super::plan(&claims, enough);
                let why = again.map_err(|shortage| shortage.why);
                let pinned = shortage.why == Lack::Pinned;
                prop_assert!(why.is_ok() || pinned && why == Err(Lack::Turns));
            }
        }
    }
}
