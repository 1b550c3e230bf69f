//! Tables, full and narrow, of what was watched all the time and of what was not.

use super::*;

fn row(hits: u64, place: &str) -> Row {
    let place = place.to_owned();
    Row {
        hits,
        estimated: hits as f64,
        coverage: 1.0,
        away: false,
        access: "write",
        member: String::new(),
        place,
        line: String::new(),
        address: hits,
        values: Some("0..9".to_owned()),
        doubtful: false,
        threads: 2,
    }
}

/// It was watched all the time.
fn whole() -> Estimate {
    Estimate { on_ns: 1, wanted_ns: 1, ..Estimate::default() }
}

/// A quarter of the time.
fn quarter(seen: u64, variance: Option<f64>) -> Estimate {
    let estimated = seen as f64 * 4.0;
    Estimate { seen, on_ns: 1, wanted_ns: 4, estimated, variance, bias: 0.0 }
}

fn quarter_row(hits: u64, place: &str) -> Row {
    Row { estimated: hits as f64 * 4.0, coverage: 0.25, ..row(hits, place) }
}

#[test]
fn the_row_with_most_hits_is_first_and_columns_are_aligned() {
    let table = Table::new(
        "x: 8 bytes at 0x10".into(),
        "hit",
        whole(),
        vec![row(1, "a+0x1"), row(3, "b+0x2")],
    );
    let expected = "x: 8 bytes at 0x10, 4 hits\n\
                    hits     %  access  where  values  threads\n   \
                    3  75.0  write   b+0x2  0..9          2\n   \
                    1  25.0  write   a+0x1  0..9          2\n";
    assert_eq!(table.text(80), expected);
}

#[test]
fn lines_have_a_column_where_one_is_known() {
    let known = Row { line: "x.c:12".into(), ..row(3, "b+0x2") };
    let table = Table::new("x".into(), "hit", whole(), vec![row(1, "a+0x1"), known]);
    let expected = "x, 4 hits\n\
                    hits     %  access  where  line    values  threads\n   \
                    3  75.0  write   b+0x2  x.c:12  0..9          2\n   \
                    1  25.0  write   a+0x1          0..9          2\n";
    assert_eq!(table.text(80), expected);
}

#[test]
fn members_have_a_column_where_there_are_some() {
    let member = Row { member: ".max".into(), ..row(3, "b+0x2") };
    let expected = "x, 3 hits\n\
                    hits      %  access  member  where  values  threads\n   \
                    3  100.0  write   .max    b+0x2  0..9          2\n";
    assert_eq!(Table::new("x".into(), "hit", whole(), vec![member]).text(80), expected);
}

#[test]
fn long_names_give_way_so_that_lines_fit() {
    let name = "a_namespace::".repeat(10) + "function+0x12";
    for line in ["", "demo.rs:58"] {
        let row = Row { line: line.into(), ..row(3, &name) };
        let text = Table::new("x".into(), "hit", whole(), vec![row]).text(80);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("function+0x12"), "{text}");
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn what_was_watched_part_of_the_time_has_estimates() {
    let away = Row { away: true, access: "away", place: String::new(), ..row(2, "") };
    let rows = vec![away, quarter_row(1, "a+0x1"), quarter_row(2999, "b+0x2")];
    let estimate = quarter(3000, Some(2500.0));
    let table = Table::new("x: 8 bytes at 0x10".into(), "hit", estimate, rows);
    let lines = [
        "x: 8 bytes at 0x10, seen 3,000 hits in 25.0 % of the time, estimated 12,000 ± 98",
        " seen  estimated  coverage  access  where            values  threads",
        "2,999     11,996    25.0 %  write   b+0x2            0..9          2",
        "    1          4    25.0 %  write   a+0x1            0..9          2",
        "                            away    changed 2 times  0..9",
    ];
    assert_eq!(table.text(90).lines().collect::<Vec<_>>(), lines);
    let narrow: Vec<_> = table.text(79).lines().map(str::to_owned).collect();
    assert_eq!(narrow[1], "  estimated 12,000 ± 98");
    assert_eq!(narrow[3], lines[2]);
    let unknown =
        Table::new("x".into(), "change", quarter(1, None), vec![quarter_row(1, "a")]);
    let head = "x, seen 1 change in 25.0 % of the time, estimated 4 ± ?\n";
    assert!(unknown.text(80).starts_with(head), "{unknown:?}");
}

#[test]
fn lines_with_estimates_fit() {
    let name = "a_namespace::".repeat(10) + "function+0x12";
    let row = Row {
        member: format!(".{}", "inner.".repeat(9)),
        line: "a_directory/with_a_file.rs:58".into(),
        values: Some("0x7f0011223344..0x7f0011223355".into()),
        ..quarter_row(123_456_789, &name)
    };
    let title = "counter: unsigned long, 8 bytes at 0x404028".to_owned();
    let estimate = quarter(123_456_789, Some(1e12));
    let text = Table::new(title, "hit", estimate, vec![row]).text(80);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("+0x12") && text.contains("inner."), "{text}");
}

#[test]
fn who_it_was_and_in_which_line_stays() {
    let rows: Vec<_> = (40..44)
        .map(|index| Row {
            member: format!("[{index}].refs"),
            line: "cached.c:58".into(),
            values: Some("0..4294967295".into()),
            doubtful: true,
            ..quarter_row(1000 * index, "worker_of_the_table+0x195")
        })
        .collect();
    let estimate = quarter(168_000, Some(1e6));
    let table = Table::new("table[..].refs".into(), "hit", estimate, rows);
    assert!(
        table
            .text(120)
            .contains("worker_of_the_table+0x195  cached.c:58  ~0..4294967295")
    );
    let text = table.text(80);
    for kept in
        ["…he_table+0x195", "cached.c:58", "[40].refs", "[43].refs", "~…4294967295"]
    {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    // What differs is never cut away, however narrow it is.
    assert!((40..44).all(|index| table.text(30).contains(&format!("[{index}].refs"))));
}
