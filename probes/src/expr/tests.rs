use proptest::prelude::*;

use super::*;

fn offset(of: Expression, count: i64) -> Expression {
    match count {
        0 => of,
        count => Expression::Offset { of: Box::new(of), count },
    }
}

fn symbol(name: &str, count: i64) -> Result<Expression, ExprError> {
    Ok(offset(Expression::name(name), count))
}

fn kind(text: &str) -> ExprErrorKind {
    Expression::parse(text).expect_err(text).kind
}

#[test]
fn symbols_with_and_without_offset() {
    assert_eq!(Expression::parse("counter"), symbol("counter", 0));
    assert_eq!(Expression::parse(" limits + 0x10 "), symbol("limits", 16));
    assert_eq!(Expression::parse("limits-8"), symbol("limits", -8));
    assert_eq!(Expression::parse("a+8+8-4"), symbol("a", 12));
    assert_eq!(Expression::parse("(a+8)-8"), symbol("a", 0));
}

#[test]
fn addresses_in_hex_and_decimal() {
    let parse = Expression::parse;
    assert_eq!(parse("0x404028"), Ok(Expression::Address(0x404028)));
    let decimal = |address, as_hex| Ok(Expression::Decimal { address, as_hex });
    assert_eq!(parse("4210728"), decimal(4210728, 0x4210728));
    assert_eq!(parse("404010+8"), decimal(404018, 0x404018));
    assert_eq!(parse("8"), Ok(Expression::Address(8)));
    let long = "18446744073709551615";
    assert_eq!(parse(long), Ok(Expression::Address(u64::MAX)));
    assert_eq!(parse("0x1000+8"), Ok(Expression::Address(0x1008)));
    for bad in ["0x", "0xzz", "0777", "12ab", "0x1-2", "0x11111111111111111"] {
        assert!(matches!(kind(bad), ExprErrorKind::BadNumber { .. }), "{bad}");
    }
}

#[test]
fn names_of_compilers_and_demanglers() {
    for name in [
        "_ZN3app5stats4HITSE",
        "crate::module::STATIC",
        "app::{closure#0}::COUNT",
        "Grid<-1>::cells",
        "Grid<int, (char)43>::cells",
        "(anonymous namespace)::counter",
        "app::(anonymous namespace)::counter",
        "next_id()::count",
        "next_id(std::vector<int, std::allocator<int> > const&)::count",
        "Pool::get() const::count",
        "guard variable for next_id()::count",
        "<app::Pool as app::Reset>::LIMIT",
        "stdout@GLIBC_2.2.5",
        "stdout@@GLIBC_2.2.5",
        "größe",
        "state@u1.c",
        "app::state@some dir/two-files+1.cpp",
        "name[abi:cxx11]",
        "app::Pool[abi:cxx11]::name",
    ] {
        assert_eq!(Expression::parse(name), symbol(name, 0), "{name}");
    }
    assert_eq!(Expression::parse("Grid<-1>::n+4"), symbol("Grid<-1>::n", 4));
    assert_eq!(Expression::parse("state@u1.c + 8"), symbol("state@u1.c", 8));
    assert_eq!(Expression::parse("state@a-b.c-8+4"), symbol("state@a-b.c", -4));
}

/// Each text with its canonical form.
#[test]
fn forms_and_how_they_print() {
    for (text, printed) in [
        ("*head", "*head"),
        ("* & counter", "*&counter"),
        ("(struct conn*)0x1000", "(struct conn*)0x1000"),
        ("(const struct conn * const *) p", "(struct conn**)p"),
        ("(*mut app::Node)0x10", "(app::Node*)0x10"),
        ("(unsigned  long*)p + 1", "(unsigned long*)p+1"),
        ("((struct conn*)p)->next . x", "((struct conn*)p)->next.x"),
        ("(struct conn*)p->next", "(struct conn*)p->next"),
        ("cfg.limits[2].max", "cfg.limits[2].max"),
        ("cfg@u1.c.limits[0x2].max", "cfg@u1.c.limits[2].max"),
        ("pair@u1.c.s", "pair@u1.c.s"),
        ("tuple.0.1", "tuple.0.1"),
        ("count.0", "count.0"),
        ("table.llvm.123+4", "table.llvm.123+4"),
        ("list->head->next", "list->head->next"),
        ("(*p).x", "(*p).x"),
        ("(x)", "x"),
        ("(x).y", "x.y"),
        ("*(p + 1)", "*(p+1)"),
        ("p[-1]", "p[-1]"),
        ("p[2*3 - 1]", "p[5]"),
        ("p[ns::MAX - 1]", "p[ns::MAX - 1]"),
        ("p[-(A+1)*2]", "p[(0 - (A + 1)) * 2]"),
        ("table[0 .. 64].refs", "table[0..64].refs"),
        ("p[-2..N - 1]->x[..]", "p[-2..N - 1]->x[..]"),
        ("*t[0x2..][..3]", "*t[2..][..3]"),
        ("libz.so.1:crc_table", "libz.so.1:crc_table"),
        ("prog:ns::counter.x", "prog:ns::counter.x"),
        ("\"/a b/libz.so\":crc", "\"/a b/libz.so\":crc"),
        ("\"/lib/libz.so\":crc", "/lib/libz.so:crc"),
        ("*lib-a+b.so:p", "*lib-a+b.so:p"),
        ("a<b>::c", "a<b>::c"),
        ("a<b>::c->d", "a<b>::c->d"),
        ("p->Base<int>::x", "p->Base<int>::x"),
    ] {
        let parsed = Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(parsed.to_string(), printed, "{text}");
        assert_eq!(Expression::parse(printed), Ok(parsed), "{text}");
    }
}

#[test]
fn before_their_members() {
    for (text, before) in [
        ("x", "x."),
        ("*p", "p->"),
        ("**p", "(*p)->"),
        ("(struct a*)p", "((struct a*)p)->"),
        ("(struct a*)p+1", "((struct a*)p+1)->"),
        ("x+8", "(x+8)."),
    ] {
        let parsed = Expression::parse(text).expect(text);
        assert_eq!(parsed.before_member(), before);
    }
}

#[test]
fn nonsense_is_refused() {
    assert_eq!(kind("  "), ExprErrorKind::Empty);
    assert_eq!(kind("a+"), ExprErrorKind::MissingOffset);
    assert_eq!(kind("+4"), syntax(0, '+'));
    assert_eq!(kind("int counter"), syntax(3, ' '));
    assert_eq!(kind("state@u1.c+"), ExprErrorKind::MissingOffset);
    assert_eq!(kind("state@u=1.c"), syntax(7, '='));
    assert_eq!(kind("a=b"), syntax(1, '='));
    assert_eq!(kind("f(1)"), syntax(1, '('));
    assert_eq!(kind("/cfg.*/"), ExprErrorKind::RegularExpression);
    assert_eq!(kind("&x"), ExprErrorKind::AddressOf { of: "x".to_owned() });
    assert_eq!(kind("(&x)+1"), ExprErrorKind::AddressOf { of: "x".to_owned() });
    assert_eq!(kind("(int)x"), ExprErrorKind::NotAPointer { to: "int".to_owned() });
    assert_eq!(kind("x[0..=3]"), syntax(5, '='));
    assert_eq!(kind("x[0...3]"), syntax(5, '.'));
    assert_eq!(kind("x[0..3..4]"), syntax(6, '.'));
    assert_eq!(kind("x[0..3"), ExprErrorKind::Unclosed { bracket: '[' });
    assert_eq!(kind("(x"), ExprErrorKind::Unclosed { bracket: '(' });
    assert_eq!(kind("x[1"), ExprErrorKind::Unclosed { bracket: '[' });
    assert_eq!(kind("\"x"), ExprErrorKind::Unclosed { bracket: '"' });
    for incomplete in ["x.", "x->", "*", "lib.so:", "x[", "(struct a*)", "\"x\""] {
        let kind = kind(incomplete);
        assert!(matches!(kind, ExprErrorKind::Incomplete { .. }), "{incomplete}: {kind}");
    }
    let long = "x".repeat(parse::MAX_LENGTH + 1);
    assert!(matches!(kind(&long), ExprErrorKind::TooLong { .. }));
    for deep in ["*".repeat(10_000) + "x", "(".repeat(9000) + "x", "x.a".repeat(5000)] {
        assert!(matches!(
            kind(&deep),
            ExprErrorKind::TooManyParts { .. } | ExprErrorKind::Unclosed { .. }
        ));
    }
}

fn syntax(at: usize, found: char) -> ExprErrorKind {
    ExprErrorKind::Syntax { at, found }
}

fn constants() -> impl Strategy<Value = Constant> {
    let leaf = prop_oneof![
        (-1000_i64..1000).prop_map(Constant::Number),
        "[A-Z]{1,3}(::[A-Z]{1,2})?".prop_map(Constant::Named),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        let operator = prop::sample::select(&[
            Operator::Add,
            Operator::Subtract,
            Operator::Multiply,
        ]);
        (operator, inner.clone(), inner).prop_map(|(operator, left, right)| {
            Constant::binary(operator, left, right).expect("small")
        })
    })
}

fn expressions() -> impl Strategy<Value = Expression> {
    let name = "[a-z_][a-z0-9_]{0,4}(::[a-z]{1,3}|<-?[0-9]>::x|@u[0-9]\\.c)?";
    let module = prop::option::of("(/lib/)?lib[a-z]{1,3}\\.so(\\.[0-9])?|a b");
    let leaf = prop_oneof![
        (module, name).prop_map(|(module, name)| Expression::Name { module, name }),
        (0x1000_0000_0000_u64..).prop_map(Expression::Address),
    ];
    leaf.prop_recursive(6, 24, 1, |inner| {
        let member = "[a-z]{1,4}|[0-9]|base::[a-z]{1,3}";
        let inner = inner.prop_map(Box::new);
        let to = "(struct |unsigned )?[a-z]{1,5}(::[a-z]{1,3})?";
        prop_oneof![
            (inner.clone(), member)
                .prop_map(|(of, name)| Expression::Member { of, name }),
            (inner.clone(), member).prop_map(|(of, name)| Expression::Arrow { of, name }),
            (inner.clone(), constants())
                .prop_map(|(of, index)| Expression::Index { of, index }),
            (inner.clone(), prop::option::of(constants()), prop::option::of(constants()))
                .prop_map(|(of, from, to)| Expression::Range { of, from, to }),
            inner.clone().prop_map(Expression::Dereference),
            inner.clone().prop_map(|of| Expression::Dereference(Box::new(
                Expression::Reference(of)
            ))),
            (to, 1..4_u32, inner.clone()).prop_map(|(to, stars, of)| Expression::Cast {
                to,
                stars,
                of
            }),
            (inner, 1..1000_i64).prop_map(|(of, count)| match *of {
                // Numbers and offsets are added up.
                Expression::Address(_) | Expression::Offset { .. } => *of,
                of => offset(of, count - 500),
            }),
        ]
    })
}

#[test]
fn what_ranges_are_of() {
    for (text, of) in [("a[0..2].b[..]", "a"), ("*(p->t[1..])", "p->t"), ("x[1]", "")] {
        let parsed = Expression::parse(text).expect(text);
        let ranged = parsed.ranged().map(ToString::to_string);
        assert_eq!(ranged.unwrap_or_default(), of, "{text}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in any::<String>()) {
        let _ = Expression::parse(&text);
    }

    /// What parses prints as what parses to the same.
    #[test]
    fn likely_text(text in "[a-zA-Z0-9_:.@*&()<>{}\\[\\]+\\-x \"]{0,40}") {
        if let Ok(parsed) = Expression::parse(&text) {
            let printed = parsed.to_string();
            let parsed = match parsed {
                Expression::Decimal { address, .. } => Expression::Address(address),
                parsed => parsed,
            };
            if !printed.contains("0x") {
                prop_assert_eq!(Expression::parse(&printed), Ok(parsed), "{}", printed);
            }
        }
    }

    #[test]
    fn printed_form_parses_to_itself(expression in expressions()) {
        let printed = expression.to_string();
        prop_assert_eq!(Expression::parse(&printed), Ok(expression), "{}", printed);
    }
}
