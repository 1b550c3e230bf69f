use super::*;
use crate::strings::Strings;

fn array(shape: Shape) -> Array {
    Array::new(shape)
}

fn longs(capacity: usize, wraps: bool) -> Array {
    array(Shape { keys: vec![Kind::Long], capacity, wraps, ..Shape::default() })
}

fn order(array: &Array, route: Route<'_>) -> Vec<u64> {
    let mut walk = Walk::default();
    walk.start(0, array, &Strings::new(64), route);
    let mut keys = Vec::new();
    while walk.advance(Some(array)) {
        keys.extend_from_slice(walk.current());
    }
    keys
}

const PLAIN: Route<'static> = Route {
    by: SortBy::Insertion,
    descending: false,
    limit: usize::MAX,
    slice: Slice::ALL,
};

#[test]
fn order_is_that_of_insertion_also_after_removals() {
    let mut array = longs(1000, false);
    for key in 0..500 {
        *array.cell(&[key]).unwrap() = key;
    }
    for key in (0..500).filter(|key| key % 7 != 0) {
        array.remove(&[key]);
    }
    // Removed ones come back at the end.
    *array.cell(&[3]).unwrap() = 1;
    let mut expected: Vec<_> = (0..500).step_by(7).collect();
    expected.push(3);
    assert_eq!(order(&array, PLAIN), expected);
    array.remove(&[0]);
    *array.cell(&[0]).unwrap() = 1;
    expected.remove(0);
    expected.push(0);
    assert_eq!(order(&array, PLAIN), expected);
}

/// Against a plain list, with random insertions and removals.
#[test]
fn tables_do_as_lists_do() {
    for wraps in [false, true] {
        let mut array = longs(40, wraps);
        let mut list: Vec<(u64, u64)> = Vec::new();
        let mut random = 1u64;
        for step in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = random >> 33 & 63;
            if random >> 40 & 3 == 0 {
                array.remove(&[key]);
                list.retain(|(other, _)| *other != key);
            } else {
                let there = list.iter().position(|(other, _)| *other == key);
                let set = array.cell(&[key]).map(|cell| *cell = step);
                match there {
                    Some(at) => list[at].1 = step,
                    None if list.len() == 40 && !wraps => {
                        assert_eq!(set, Err(FaultCode::ArrayFull));
                        continue;
                    }
                    None => {
                        if list.len() == 40 {
                            list.remove(0);
                        }
                        list.push((key, step));
                    }
                }
                assert_eq!(set, Ok(()));
            }
            assert_eq!(array.len(), list.len());
            if step % 16 == 0 {
                let keys: Vec<_> = list.iter().map(|(key, _)| *key).collect();
                assert_eq!(order(&array, PLAIN), keys);
                assert!(list.iter().all(|(key, value)| array.get(&[*key]) == *value));
            }
        }
    }
}

#[test]
fn removal_of_all_one_by_one_is_not_quadratic() {
    let removal = |_| {
        let mut array = longs(1 << 16, false);
        for key in 0..1 << 16 {
            array.cell(&[key]).unwrap();
        }
        let start = std::time::Instant::now();
        for key in 0..1 << 16 {
            array.remove(&[key]);
        }
        assert!(array.is_empty());
        start.elapsed()
    };
    // The machine may stall, but not each time.
    let least = (0..3).map(removal).min().unwrap();
    // Quadratic it took seconds even when optimised.
    assert!(least.as_secs_f64() < 1.0, "{least:?}");
}

#[test]
fn slices_choose_by_some_of_the_keys() {
    let keys = vec![Kind::Long, Kind::Long];
    let mut array = array(Shape { keys, capacity: 100, ..Shape::default() });
    for (a, b) in [(1, 5), (2, 5), (1, 6), (3, 7)] {
        *array.cell(&[a, b]).unwrap() = 10 * a + b;
    }
    let slice = Slice { keys: &[1, 0], mask: 1 };
    assert_eq!(order(&array, Route { slice, ..PLAIN }), [1, 5, 1, 6]);
    let route = Route { slice, by: SortBy::Key(1), descending: true, limit: 1 };
    assert_eq!(order(&array, route), [1, 6]);
    let fives = Slice { keys: &[0, 5], mask: 2 };
    assert!(array.contains_match(fives));
    array.remove_matches(fives);
    assert!(!array.contains_match(fives));
    assert_eq!(order(&array, PLAIN), [1, 6, 3, 7]);
}

#[test]
fn strings_and_aggregates_go_with_their_elements() {
    let keys = vec![Kind::Long];
    let mut texts = array(Shape {
        keys: keys.clone(),
        values: Kind::String,
        capacity: 2,
        wraps: true,
        ..Shape::default()
    });
    for (key, text) in [(1, "a"), (2, "b"), (3, "c"), (2, "d")] {
        texts.set_text(&[key], text.as_bytes()).unwrap();
    }
    let all: Vec<_> = (1..4).map(|key| texts.text(&[key])).collect();
    assert_eq!(all, [&b""[..], b"d", b"c"]);
    assert_eq!(texts.texts.slots.len(), 2);

    let mut stats = array(Shape {
        keys,
        values: Kind::Statistics,
        capacity: 2,
        wraps: true,
        ..Shape::default()
    });
    for (key, value) in [(1, 4), (2, 5), (2, 6), (3, 7)] {
        stats.accumulate(&[key], value).unwrap();
    }
    assert!(stats.aggregate(&[1]).is_none());
    assert_eq!(stats.aggregate(&[2]).unwrap().sum(), 11);
    assert_eq!(stats.aggregate(&[3]).unwrap().count(), 1);
    let by_max = SortBy::Extractor(Extractor::Max);
    assert_eq!(order(&stats, Route { by: by_max, descending: true, ..PLAIN }), [3, 2]);
}
