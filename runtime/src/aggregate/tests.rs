use proptest::prelude::*;

use super::*;

const LINEAR: Histogram = Histogram::Linear { low: -10, high: 100, step: 10 };

fn everything() -> Shape {
    Shape {
        variance_shift: Some(4),
        log: true,
        linear: vec![(-10, 100, 10), (0, 7, 3)],
        percentiles: true,
    }
}

fn filled(shape: &Shape, values: &[i64]) -> Aggregate {
    let mut aggregate = Aggregate::new(shape);
    for value in values {
        aggregate.add(shape, *value);
    }
    aggregate
}

fn drawn(histogram: Histogram, samples: &[(i64, usize)]) -> String {
    let linear = match histogram {
        Histogram::Linear { low, high, step } => vec![(low, high, step)],
        Histogram::Log => Vec::new(),
    };
    let shape = Shape { log: true, linear, ..Shape::default() };
    let mut aggregate = Aggregate::new(&shape);
    for (value, times) in samples {
        for _ in 0..*times {
            aggregate.add(&shape, *value);
        }
    }
    let mut out = Vec::new();
    aggregate.render(&shape, histogram, &mut out);
    String::from_utf8(out).expect("ASCII")
}

/// Fifty columns, of which the first are taken by the bar.
fn row(value: &str, bar: usize, count: &str) -> String {
    format!("{value} |{:@<bar$}{:blank$}{count}\n", "", "", blank = 50 - bar + 1)
}

#[test]
fn plain_extractors() {
    let shape = Shape::default();
    let mut aggregate = Aggregate::new(&shape);
    assert_eq!((aggregate.count(), aggregate.sum()), (0, 0));
    assert_eq!((aggregate.min(), aggregate.max(), aggregate.avg()), (None, None, None));
    for value in [3, -8, 1] {
        aggregate.add(&shape, value);
    }
    assert_eq!((aggregate.count(), aggregate.sum()), (3, -4));
    assert_eq!(aggregate.min(), Some(-8));
    assert_eq!(aggregate.max(), Some(3));
    assert_eq!(aggregate.avg(), Some(-1));
    assert_eq!(aggregate.variance(&shape), None);
    assert_eq!(aggregate.percentile(50.0), None);
    assert_eq!(aggregate.bucket(&shape, Histogram::Log, 64), None);
    assert_eq!(aggregate.buckets(&shape, Histogram::Log).count(), 0);
    aggregate.clear();
    assert_eq!(aggregate, Aggregate::new(&shape));
}

#[test]
fn memory_is_as_documented() {
    assert_eq!(size_of::<Aggregate>(), 40);
    assert_eq!(size_of::<Extra>(), 64);
    assert_eq!(Sketch::BYTES_MAX, 61_360);
    assert_eq!(Shape::default().bytes_max(), 40);
    let log = Shape { log: true, ..Shape::default() };
    assert_eq!(log.bytes_max(), 40 + 64 + 1024);
}

/// With rounding at each step, as stat-common.c and stat.c have it for one
/// processor: the running mean of 1, 2, 3, 4 stays 1, the squares are 14, and
/// (3 * (14 / 3) + 4 * (1 - 2)^2) / 3 is 5; ten bits behind the point give the
/// true 5/3, of which the integer part remains.
#[test]
fn variance_is_systemtaps() {
    for (shift, expected) in [(0, 5), (10, 1)] {
        let shape = Shape { variance_shift: Some(shift), ..Shape::default() };
        let mut aggregate = filled(&shape, &[1]);
        assert_eq!(aggregate.variance(&shape), Some(0));
        for value in [2, 3, 4] {
            aggregate.add(&shape, value);
        }
        assert_eq!(aggregate.variance(&shape), Some(expected));
        assert_eq!(Aggregate::new(&shape).variance(&shape), None);
    }
    let shape = Shape { variance_shift: Some(0), ..Shape::default() };
    assert_eq!(filled(&shape, &[10, 10, 10]).variance(&shape), Some(0));
    assert_eq!(filled(&shape, &[0, 10]).variance(&shape), Some(50));
    let extremes = filled(&shape, &[i64::MIN, i64::MAX]);
    assert_eq!(extremes.variance(&shape), Some(i64::MAX));
}

/// Published output of a script with @hist_log (openresty's
/// nginx-systemtap-toolkit, ngx-pcre-stats).
#[test]
fn a_published_logarithmic_histogram() {
    let samples = [(4, 36200), (9, 14707), (16, 105), (63, 2892), (64, 114)];
    let expected = [
        "value |-------------------------------------------------- count\n",
        "    1 |                                                       0\n",
        "    2 |                                                       0\n",
        "    4 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ 36200\n",
        "    8 |@@@@@@@@@@@@@@@@@@@@                               14707\n",
        "   16 |                                                     105\n",
        "   32 |@@@                                                 2892\n",
        "   64 |                                                     114\n",
        "  128 |                                                       0\n",
        "  256 |                                                       0\n",
        "\n",
    ];
    assert_eq!(drawn(Histogram::Log, &samples), expected.concat());
}

/// The example of the SystemTap language reference, 8.4.1.
#[test]
fn the_language_references_linear_histogram() {
    let histogram = Histogram::Linear { low: 0, high: 10_240, step: 200 };
    let expected = [
        "value |-------------------------------------------------- count\n",
        "    0 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ 1650\n",
        "  200 |                                                      8\n",
        "  400 |                                                      0\n",
        "  600 |                                                      0\n",
        "      ~\n",
        " 1000 |                                                      0\n",
        " 1200 |                                                      0\n",
        " 1400 |                                                      1\n",
        " 1600 |                                                      0\n",
        " 1800 |                                                      0\n",
        "\n",
    ];
    let samples = [(0, 1650), (200, 8), (1400, 1)];
    assert_eq!(drawn(histogram, &samples), expected.concat());
}

#[test]
fn rows_for_what_is_outside() {
    let header =
        "value |-------------------------------------------------- count\n".to_owned();
    let expected = [
        header,
        row(" <-10", 1, "1"),
        row("  -10", 0, "0"),
        row("    0", 0, "0"),
        "      ~\n".to_owned(),
        row("   80", 0, "0"),
        row("   90", 0, "0"),
        row("  100", 2, "2"),
        row(" >100", 3, "3"),
        "\n".to_owned(),
    ];
    // The row of `high` itself reaches a step further, as in SystemTap.
    let samples = [(-11, 1), (100, 1), (109, 1), (110, 3)];
    assert_eq!(drawn(LINEAR, &samples), expected.concat());
}

#[test]
fn negative_logarithmic_buckets() {
    let header =
        "value |-------------------------------------------------- count\n".to_owned();
    let expected = [
        header,
        row("  -16", 0, "0"),
        row("   -8", 0, "0"),
        row("   -4", 1, "1"),
        row("   -2", 0, "0"),
        row("   -1", 0, "0"),
        row("    0", 0, "0"),
        row("    1", 0, "0"),
        row("    2", 1, "1"),
        row("    4", 0, "0"),
        row("    8", 0, "0"),
        "\n".to_owned(),
    ];
    assert_eq!(drawn(Histogram::Log, &[(-5, 1), (3, 1)]), expected.concat());
}

#[test]
fn zero_has_no_negative_margin_and_extremes_have_room() {
    let text = drawn(Histogram::Log, &[(0, 1)]);
    assert!(text.contains("\n    0 |@"), "{text}");
    assert!(!text.contains("-1 |"), "{text}");
    let text = drawn(Histogram::Log, &[(i64::MIN, 1), (i64::MAX, 1)]);
    assert!(text.contains("\n-9223372036854775808 |@"), "{text}");
    assert!(text.contains("\n 4611686018427387904 |@"), "{text}");
    assert_eq!(drawn(Histogram::Log, &[]), "");
}

#[test]
fn buckets_are_indexed_as_in_systemtap() {
    let shape = everything();
    let aggregate = filled(&shape, &[0, 1, -1, 7, -11, 25, 500, i64::MIN, i64::MAX]);
    let log = |index| aggregate.bucket(&shape, Histogram::Log, index);
    for (index, count) in [(64, 1), (65, 1), (63, 1), (67, 1), (0, 1), (127, 1), (90, 0)]
    {
        assert_eq!(log(index), Some(count), "{index}");
    }
    assert_eq!((log(-1), log(128), log(i64::MIN)), (None, None, None));
    let linear = |index| aggregate.bucket(&shape, LINEAR, index);
    // Below, -10.., 0.., 10.., 20.., ..., behind.
    for (index, count) in [(0, 2), (1, 1), (2, 3), (3, 0), (4, 1), (13, 2)] {
        assert_eq!(linear(index), Some(count), "{index}");
    }
    assert_eq!(linear(14), None);
    assert_eq!(
        aggregate.buckets(&shape, LINEAR).collect::<Vec<_>>(),
        Vec::from_iter(0..14)
    );
    assert_eq!(aggregate.buckets(&shape, Histogram::Log).count(), 128);
    let other = Histogram::Linear { low: 0, high: 1, step: 1 };
    assert_eq!(aggregate.bucket(&shape, other, 0), None);
}

#[test]
fn histograms_that_systemtap_refuses_have_no_buckets() {
    let linear = |low, high, step| Histogram::Linear { low, high, step }.bucket_count();
    assert_eq!(linear(0, 10, 0), None);
    assert_eq!(linear(0, 10, -1), None);
    assert_eq!(linear(10, 0, 1), None);
    assert_eq!(linear(0, 125, 1), Some(128));
    assert_eq!(linear(0, 126, 1), None);
    assert_eq!(linear(i64::MIN, i64::MAX, 1), None);
    assert_eq!(linear(i64::MIN, i64::MAX, i64::MAX), Some(5));
}

#[test]
fn percentiles_of_small_values_are_exact() {
    let shape = everything();
    let values: Vec<i64> = (1..=100).collect();
    let aggregate = filled(&shape, &values);
    for (percent, expected) in
        [(0.0, 1), (1.0, 1), (50.0, 50), (50.1, 51), (90.0, 90), (99.0, 99), (100.0, 100)]
    {
        assert_eq!(aggregate.percentile(percent), Some(expected), "{percent}");
    }
    assert_eq!(aggregate.percentile(-5.0), Some(1));
    assert_eq!(aggregate.percentile(f64::INFINITY), Some(100));
    assert_eq!(aggregate.percentile(f64::NAN), None);
}

#[test]
fn shapes_merge() {
    let mut shape = Shape { variance_shift: Some(3), ..Shape::default() };
    shape.merge(&everything());
    assert_eq!(shape, everything());
    shape.merge(&Shape { linear: vec![(0, 7, 3)], ..Shape::default() });
    assert_eq!(shape, everything());
}

fn values() -> impl Strategy<Value = Vec<i64>> {
    let value = prop_oneof![
        -200i64..200,
        -1_000_000i64..1_000_000,
        any::<i64>(),
        (0u32..63).prop_map(|bit| 1 << bit),
        Just(i64::MIN),
        Just(i64::MAX),
    ];
    prop::collection::vec(value, 0..200)
}

fn shapes() -> impl Strategy<Value = Shape> {
    let bound = || prop_oneof![any::<i64>(), -300i64..300];
    let linear = prop::collection::vec((bound(), bound(), bound()), 0..4);
    (any::<Option<u32>>(), any::<bool>(), linear, any::<bool>()).prop_map(
        |(variance_shift, log, linear, percentiles)| Shape {
            variance_shift,
            log,
            linear,
            percentiles,
        },
    )
}

proptest! {
    #[test]
    fn merging_is_adding(left in values(), right in values(), mut shape in shapes()) {
        shape.variance_shift = None;
        let mut merged = filled(&shape, &left);
        merged.merge(&shape, &filled(&shape, &right));
        prop_assert_eq!(merged, filled(&shape, &[left, right].concat()));
    }

    #[test]
    fn merged_variance_is_near(
        left in prop::collection::vec(-1000i64..1000, 1..100),
        right in prop::collection::vec(-1000i64..1000, 1..100),
    ) {
        let shape = Shape { variance_shift: Some(20), ..Shape::default() };
        let mut merged = filled(&shape, &left);
        merged.merge(&shape, &filled(&shape, &right));
        let all = [left, right].concat();
        let count = all.len() as f64;
        let mean = all.iter().sum::<i64>() as f64 / count;
        let squares: f64 = all.iter().map(|value| (*value as f64 - mean).powi(2)).sum();
        let exact = squares / (count - 1.0);
        for aggregate in [merged, filled(&shape, &all)] {
            let variance = aggregate.variance(&shape).expect("samples") as f64;
            prop_assert!((variance - exact).abs() < 1.01, "{} {}", variance, exact);
        }
    }

    #[test]
    fn nothing_panics_and_counts_add_up(
        left in values(),
        right in values(),
        shape in shapes(),
        percent in any::<f64>(),
        index in any::<i64>(),
    ) {
        let mut aggregate = filled(&shape, &left);
        aggregate.merge(&shape, &filled(&shape, &right));
        aggregate.variance(&shape);
        aggregate.percentile(percent);
        let histograms: Vec<_> = shape.histograms().collect();
        for histogram in histograms {
            aggregate.bucket(&shape, histogram, index);
            let mut out = Vec::new();
            aggregate.render(&shape, histogram, &mut out);
            if histogram.bucket_count().is_none() {
                prop_assert!(out.is_empty());
                continue;
            }
            let indices = aggregate.buckets(&shape, histogram);
            let counts = indices.filter_map(|b| aggregate.bucket(&shape, histogram, b));
            prop_assert_eq!(counts.sum::<i64>(), aggregate.count());
            let text = String::from_utf8(out).expect("ASCII");
            let rows = text.lines().skip(1).filter(|line| line.contains('|'));
            let counts = rows.filter_map(|line| line.rsplit(' ').next()?.parse::<i64>().ok());
            prop_assert_eq!(counts.sum::<i64>(), aggregate.count());
        }
    }

    #[test]
    fn percentiles_are_near(
        mut values in values(),
        percent in 0.0f64..=100.0,
    ) {
        prop_assume!(!values.is_empty());
        let shape = Shape { percentiles: true, ..Shape::default() };
        let aggregate = filled(&shape, &values);
        values.sort_unstable();
        let rank = (percent / 100.0 * values.len() as f64).ceil().max(1.0) as usize;
        let exact = values[rank - 1];
        let found = aggregate.percentile(percent).expect("samples");
        prop_assert!(found.abs_diff(exact) <= exact.unsigned_abs() / 128, "{} {}", found, exact);
        prop_assert_eq!(aggregate.percentile(0.0), Some(values[0]));
        prop_assert_eq!(aggregate.percentile(100.0), values.last().copied());
    }
}
