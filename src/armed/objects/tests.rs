//! Whether objects are counted from when they are asked for, and told of where they are not.

use std::time::Duration;

use super::*;

const MS: u64 = 1_000_000;

/// Two cells for one register of process 7, both looked at by request 0.
fn two_of_one() -> (Objects, Option<Move>) {
    let mut objects = Objects {
        registers: vec![3],
        length: 8,
        names: vec![Name { requests: vec![0], ..Name::default() }],
        known: HashMap::new(),
        pools: BTreeMap::new(),
        back: VecDeque::new(),
        rotate: true,
        pace: Pace::new(Duration::from_millis(8)),
        counted_from: Some(100 * MS),
        counts: Rc::default(),
        figures: Figures { most: 2, ..Figures::default() },
    };
    let mut pool = Pool::new(1, 1);
    let mut first = None;
    for address in [8, 16] {
        let object =
            Object { id: 0, name: 0, pid: 7, address, length: 8, since: 101 * MS };
        let since = objects.counts_from(&object, 104 * MS);
        let count = objects.counts.borrow_mut().add_cell(7, pool::WEIGHT_OF_NEW);
        objects.counts.borrow_mut().join_cell(count, 0, since);
        first = first.or(pool.add(address, 0, count, 104 * MS));
    }
    objects.pools.insert(7, pool);
    (objects, first)
}

#[test]
fn time_counts_from_the_call_and_a_turn_ends_when_its_register_moves() {
    let (mut objects, first) = two_of_one();
    let first = first.expect("a free register");
    objects.turn(7, first.address, true, 105 * MS);
    let seen = |objects: &Objects, now| objects.counts.borrow().of(0, now * MS);
    let estimate = seen(&objects, 111);
    assert_eq!((estimate.on_ns, estimate.wanted_ns), (6 * MS, 20 * MS));
    let moves = objects.pools.get_mut(&7).expect("its pool").turn(112 * MS);
    let [Move { left, address, .. }] = moves[..] else { panic!("{moves:?}") };
    assert_eq!((left, address), (first.address, Some(16)));
    objects.turn(7, left, false, 113 * MS);
    objects.turn(7, address, true, 113 * MS);
    let estimate = seen(&objects, 121);
    assert_eq!((estimate.on_ns, estimate.wanted_ns), (16 * MS, 40 * MS));
}

#[test]
fn what_was_called_for_before_all_began_counts_from_then() {
    let (mut objects, _) = two_of_one();
    let object = |since| Object {
        id: 0,
        name: 0,
        pid: 7,
        address: 8,
        length: 8,
        since: since * MS,
    };
    for (called, counts) in [(90, 100), (101, 101), (200, 104)] {
        assert_eq!(objects.counts_from(&object(called), 104 * MS), counts * MS);
    }
    objects.counted_from = None;
    let begin = objects.counts_from(&object(90), 95 * MS);
    assert_eq!(begin, 95 * MS, "a call of begin");
}

#[test]
fn the_first_turn_is_as_long_as_others() {
    let (mut objects, _) = two_of_one();
    assert!(objects.turn_is_over(MS) && !objects.pace.has_begun());
    let begin = |objects: &mut Objects, now| {
        let Objects { pools, pace, .. } = objects;
        pace.begin(now, now, pools.get_mut(&7).expect("its pool").turns());
    };
    begin(&mut objects, MS);
    assert!(!objects.turn_is_over(2 * MS) && objects.turn_is_over(12 * MS));
    assert!(objects.pace.has_begun());
    let pool = objects.pools.get_mut(&7).expect("its pool");
    let (cell, _) = pool.remove(8, 0).expect("it was there");
    assert!(!objects.turn_is_over(13 * MS), "nobody waits");
    let pool = objects.pools.get_mut(&7).expect("its pool");
    pool.add(8, 0, cell.count, 500 * MS);
    assert!(objects.turn_is_over(500 * MS) && !objects.pace.has_begun());
}

#[test]
fn those_that_had_no_turn_are_told_of() {
    let (mut objects, first) = two_of_one();
    let told = |objects: &Objects| objects.remarks(200 * MS).concat();
    assert!(told(&objects).ends_with("on average; 2 of all that came had none"));
    objects.turn(7, first.and_then(|it| it.address), true, 105 * MS);
    let (cell, _) =
        objects.pools.get_mut(&7).expect("its pool").remove(16, 0).expect("it");
    objects.forget_cell(&cell, 110 * MS);
    assert!(
        told(&objects).ends_with("; 1 of all that came had none"),
        "nor when it goes"
    );
    let pool = objects.pools.get_mut(&7).expect("its pool");
    let (cell, _) = pool.remove(8, 0).expect("it");
    objects.forget_cell(&cell, 110 * MS);
    objects.figures.without_turn = 0;
    assert!(told(&objects).ends_with("on average"));
}

#[test]
fn those_that_came_and_went_count_as_not_seen() {
    let (mut objects, _) = two_of_one();
    let before = objects.counts.borrow().of(0, 200 * MS);
    let missed = Missed { name: 0, objects: 3, wanted_ns: 5 * MS };
    objects.miss(&missed, 150 * MS);
    let after = objects.counts.borrow().of(0, 200 * MS);
    assert_eq!((after.on_ns, after.wanted_ns), (0, before.wanted_ns + 5 * MS));
    let remarks = objects.remarks(200 * MS);
    assert!(remarks[0].starts_with("3 objects not watched: unwatch() or the end came"));
}

#[test]
fn a_process_that_has_ended_is_known() {
    assert!(!has_ended(std::process::id()));
    let mut child = std::process::Command::new("true").spawn().expect("true");
    while !has_ended(child.id()) {
        std::thread::yield_now();
    }
    child.wait().expect("it exits");
    assert!(has_ended(child.id()));
}
