//! On a file without a process, whose debug information is made up: a small program
//! in memory that is an ELF file with a symbol table.

mod fixture;

use fixture::{Fixture, TestMemory, typed};
use proptest::prelude::*;

use super::*;
use crate::types::{Types, type_name};

fn find(text: &str) -> Location {
    let fixture = Fixture::new();
    let found = fixture.resolve(text, None);
    found.unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn fails(text: &str) -> ResolveError {
    let fixture = Fixture::new();
    fixture.resolve(text, None).expect_err(text)
}

/// Each expression with its address, size and type.
#[test]
fn addresses_sizes_and_types() {
    let fixture = Fixture::new();
    for (text, address, size, ty) in [
        ("cfg", 0x4000, 64, "struct config"),
        ("cfg.level", 0x4000, 4, "int"),
        ("cfg.limits", 0x4008, 32, "struct limit [4]"),
        ("cfg.limits[2].max", 0x401c, 4, "int"),
        ("cfg.limits[LAST].max", 0x4024, 4, "int"),
        ("cfg.limits[LAST - 1].max", 0x401c, 4, "int"),
        ("cfg.anonymous", 0x4028, 8, "long"),
        ("cfg.other_side", 0x4028, 4, "int"),
        ("cfg.next", 0x4030, 8, "struct config *"),
        ("*cfg.next", 0x5000, 64, "struct config"),
        ("cfg.next->level", 0x5000, 4, "int"),
        ("cfg.next->limits[1].min", 0x5010, 4, "int"),
        ("cfg.next[1].level", 0x5040, 4, "int"),
        ("cfg.next[-1].level", 0x4fc0, 4, "int"),
        ("(*cfg.next).level", 0x5000, 4, "int"),
        ("*(cfg.next + 1)", 0x5040, 64, "struct config"),
        ("*cfg.limits", 0x4008, 8, "struct limit"),
        ("*(cfg.limits + 1)", 0x4010, 8, "struct limit"),
        ("*&cfg", 0x4000, 64, "struct config"),
        ("(&cfg)->level", 0x4000, 4, "int"),
        ("(&cfg)[1].level", 0x4040, 4, "int"),
        ("(struct config*)0x6000", 0x6000, 64, "struct config"),
        ("((struct config*)0x6000)->level", 0x6000, 4, "int"),
        ("(struct config*)0x6000+1", 0x6040, 64, "struct config"),
        ("(struct limit*)cfg.next", 0x5000, 8, "struct limit"),
        ("*(struct limit**)&cfg.next", 0x4030, 8, "struct limit *"),
        ("(struct limit*)handle", 0x5000, 8, "struct limit"),
        ("(unsigned long*)0x6000", 0x6000, 8, "unsigned long"),
        ("cfg+4", 0x4004, 8, ""),
        ("cfg+8", 0x4008, 4, "int"),
        ("cfg.limits+12", 0x4014, 4, "int"),
        ("alias", 0x5000, 64, "struct config"),
        ("alias.level", 0x5000, 4, "int"),
        ("derived.level", 0x4084, 4, "int"),
        ("derived.base::level", 0x4084, 4, "int"),
        ("derived.own", 0x4080, 4, "int"),
        ("pair.0", 0x4090, 4, "int"),
        ("pair.1", 0x4098, 8, "long"),
        ("count.0", 0x40a0, 4, ""),
        ("slice[1]", 0x5008, 8, "struct limit"),
        ("choice.Some.0", 0x40c8, 8, "long"),
    ] {
        let found = fixture.resolve(text, None);
        let found = found.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((found.address.0, found.size), (address, size), "{text}");
        let name = found.ty.map(|ty| type_name(&fixture.image, ty));
        assert_eq!(name.unwrap_or_default(), ty, "{text}");
        // What is known without memory is the same.
        let known = typed(&fixture.image, text).expect(text);
        assert_eq!((known.ty, known.size), (found.ty, size), "{text}");
    }
}

#[test]
fn bit_fields() {
    let found = find("flags.low");
    assert_eq!((found.address.0, found.size), (0x40b0, 1));
    assert_eq!(found.bits, Some(Bits { offset: 2, width: 3 }));
    let found = find("flags.wide");
    assert_eq!((found.address.0, found.size), (0x40b1, 2));
    assert_eq!(found.bits, Some(Bits { offset: 1, width: 12 }));
    let [piece] = &*found.pieces else { panic!("{found:?}") };
    assert_eq!((piece.address.0, piece.length), (0x40b0, 4));
    assert_eq!(piece.window, 1..3);
    assert_eq!((piece.parts[0].offset, &*piece.parts[0].name), (1, "flags.wide"));
    let whole = find("flags");
    let names: Vec<_> = parts(&whole).map(|part| (&*part.name, part.bits)).collect();
    let bits = |offset, width| Some(Bits { offset, width });
    assert_eq!(names, [("flags.low", bits(2, 3)), ("flags.wide", bits(1, 12))]);
    assert!(matches!(fails("*&flags.low"), ResolveError::BitField { .. }));
}

fn parts(location: &Location) -> impl Iterator<Item = &Part> {
    location.pieces.iter().flat_map(|piece| &piece.parts)
}

#[test]
fn parts_name_the_members() {
    let names = |text: &str| -> Vec<String> {
        parts(&find(text)).map(|part| part.name.clone()).collect()
    };
    let cfg = names("cfg");
    assert_eq!(cfg[..3], ["cfg.level", "cfg.limits[0].min", "cfg.limits[0].max"]);
    assert_eq!(cfg[9..], ["cfg.anonymous", "cfg.other_side", "cfg.next", "cfg.rest"]);
    assert_eq!(names("cfg.next->limits[1]")[0], "cfg.next->limits[1].min");
    assert_eq!(names("*cfg.next")[0], "cfg.next->level");
    assert_eq!(
        names("(struct limit*)0x6000"),
        ["((struct limit*)0x6000)->min", "((struct limit*)0x6000)->max"]
    );
    assert_eq!(names("cfg+8"), ["cfg.limits[0].min"]);
    assert_eq!(names("cfg+4"), ["cfg+4", "cfg.limits[0].min"]);
    assert_eq!(names("count.0"), ["count.0"]);
    assert_eq!(names("choice"), ["choice", "choice.Some.0"]);
    assert_eq!(names("0x6000"), ["0x6000"]);
    // Each of them is an expression that names it.
    let fixture = Fixture::new();
    for text in ["cfg", "derived", "pair", "flags", "(struct config*)0x5000"] {
        let found = fixture.resolve(text, None).expect(text);
        for piece in &found.pieces {
            for part in &piece.parts {
                let own = fixture.resolve(&part.name, None).expect(&part.name);
                assert_eq!(own.address.0, piece.address.0 + u64::from(part.offset));
                assert_eq!((own.ty, own.bits), (part.ty, part.bits), "{}", part.name);
            }
        }
    }
}

#[test]
fn lengths() {
    let fixture = Fixture::new();
    let find = |text, length| fixture.resolve(text, Some(length)).expect(text);
    let name = |found: &Location| {
        found.ty.map_or_else(String::new, |ty| type_name(&fixture.image, ty))
    };
    // The first member, if it is so long.
    assert_eq!(name(&find("cfg", 4)), "int");
    assert_eq!(name(&find("cfg", 64)), "struct config");
    assert_eq!(name(&find("cfg", 3)), "");
    let two = find("cfg+8", 16);
    assert_eq!((two.pieces.len(), parts(&two).count()), (2, 4));
    assert_eq!(parts(&two).last().expect("four").name, "cfg.limits[1].max");
    let unaligned = find("cfg+5", 6);
    assert_eq!((unaligned.pieces.len(), unaligned.assumed_length), (2, false));
    assert!(fixture.resolve("0x6000", None).expect("it").assumed_length);
}

#[test]
fn links_are_the_pointers_on_the_path() {
    let found = find("cfg.next->next->level");
    let links: Vec<_> =
        found.links.iter().map(|link| (&*link.name, link.address.0)).collect();
    assert_eq!(links, [("cfg.next", 0x4030), ("cfg.next->next", 0x5030)]);
    assert_eq!(found.address.0, 0x7000);
    assert_eq!(find("cfg.level").links, []);
}

#[test]
fn what_is_wrong_is_said() {
    for (text, message, help) in [
        (
            "cfg.limit",
            "`struct config` has no member `limit`",
            "did you mean `limits` (struct limit [4])?",
        ),
        ("cfg.next.level", "`cfg.next` is a pointer", "write `cfg.next->level`"),
        ("cfg->level", "`cfg` is no pointer", "write `cfg.level`"),
        ("(&cfg).level", "`&cfg` is a pointer", "write `(&cfg)->level`"),
        ("cfg.level.x", "`cfg.level` has no members: it is of type `int`", ""),
        ("cfg.level[0]", "`cfg.level` has no elements: it is of type `int`", ""),
        (
            "*cfg.level",
            "`cfg.level` is no pointer: it is of type `int`",
            "a number that holds an address is cast: `(char*)cfg.level`",
        ),
        ("cfg.limits[4]", "`cfg.limits` has no element 4: it has 4", ""),
        ("cfg.limits[-1]", "`cfg.limits` has no element -1: it has 4", ""),
        ("cfg.limits[MOST]", "there is no constant `MOST`", ""),
        ("(struct none*)0x6000", "there is no type `struct none`", ""),
        ("null->level", "`null` is NULL", ""),
        ("wild->level", "`wild` is 0xdead0000, where nothing is mapped", ""),
        ("0x6000.x", "`0x6000` is a pointer", "write `0x6000->x`"),
        (
            "0x6000->x",
            "the type of `*0x6000` is not known: an address has none",
            "cast it: `(struct node*)0x55…` is a pointer with a type",
        ),
        (
            "count.0.x",
            "the type of `count.0` is not known: debug information tells nothing of it",
            "build it with `-g`",
        ),
        (
            "cfg+64",
            "`cfg+64` is outside of `cfg`, which has 64 bytes",
            "watch the address, if that is what is meant: `0x4040`",
        ),
        (
            "cfg.level+4",
            "`cfg.level+4` is outside of `cfg.level`, which has 4 bytes; `cfg+4` lies there",
            "watch it by its own name: `cfg+4`",
        ),
        ("opaque->x", "what is in `struct opaque` is not known: it is only declared", ""),
        (
            "gone",
            "`gone` was optimised out: it is in no memory",
            "build it with less optimisation, or declare it `volatile`",
        ),
        ("on_stack", "`on_stack` is a local variable, which has no fixed address", ""),
        ("libz.so:cfg", "no file called `libz.so` is loaded", "loaded are prog"),
    ] {
        let error = fails(text);
        assert_eq!(error.to_string(), message, "{text}");
        assert_eq!(error.help().unwrap_or_default(), help, "{text}");
    }
    for later in ["null->level", "wild->level", "libz.so:cfg"] {
        assert!(fails(later).may_come_later(), "{later}");
    }
    // What depends on memory alone is no error of types.
    let fixture = Fixture::new();
    assert_eq!(typed(&fixture.image, "null->level").expect("typed").size, 4);
    let prog = fixture.resolve("prog:cfg.level", None).expect("by its file");
    assert_eq!(prog.address.0, 0x4000);
}

fn all_of(text: &str) -> Result<Vec<String>, ResolveError> {
    let expression = Expression::parse(text).expect(text);
    let found = elements(&Fixture::new().image, &expression)?;
    Ok(found.iter().map(ToString::to_string).collect())
}

#[test]
fn ranges_are_their_elements() {
    for (text, expected) in [
        ("cfg.level", &["cfg.level"][..]),
        ("cfg.limits[1..3].max", &["cfg.limits[1].max", "cfg.limits[2].max"]),
        ("cfg.limits[LAST - 1..]", &["cfg.limits[2]", "cfg.limits[3]"]),
        ("cfg.limits[..LAST - 1]", &["cfg.limits[0]", "cfg.limits[1]"]),
        ("cfg.next[-1..1].level", &["cfg.next[-1].level", "cfg.next[0].level"]),
        (
            "cfg.next[0..2].limits[2..].min",
            &[
                "cfg.next[0].limits[2].min",
                "cfg.next[0].limits[3].min",
                "cfg.next[1].limits[2].min",
                "cfg.next[1].limits[3].min",
            ],
        ),
        ("slice[0..2].max", &["slice[0].max", "slice[1].max"]),
        ("*(cfg.limits[0..1])", &["*cfg.limits[0]"]),
        ("((struct config*)0x6000)[1..2]", &["((struct config*)0x6000)[1]"]),
        ("cfg.limits[0..1]+4", &["cfg.limits[0]+4"]),
    ] {
        let found = all_of(text);
        assert_eq!(found.unwrap_or_else(|error| panic!("{text}: {error}")), expected);
    }
    let all = all_of("cfg.limits[..]").expect("an array");
    assert_eq!((all.len(), &*all[3]), (4, "cfg.limits[3]"));
    let most = format!("cfg.next[0..{}]", crate::expr::MAX_ELEMENTS);
    assert_eq!(all_of(&most).expect("just so many").len(), 1024);
}

#[test]
fn ranges_of_nothing_are_refused() {
    for (text, message, help) in [
        (
            "cfg.limits[0..5]",
            "`cfg.limits[0..5]` goes beyond `cfg.limits`, which has 4 elements",
            "all of them are `cfg.limits[..]`",
        ),
        (
            "cfg.limits[-1..]",
            "`cfg.limits[-1..]` goes beyond `cfg.limits`, which has 4 elements",
            "all of them are `cfg.limits[..]`",
        ),
        (
            "cfg.limits[4..4]",
            "`cfg.limits[4..4]` goes beyond `cfg.limits`, which has 4 elements",
            "all of them are `cfg.limits[..]`",
        ),
        (
            "cfg.limits[3..3].max",
            "there is no element in `cfg.limits[3..3]`: the one behind `..` is not in it",
            "element 3 alone is `cfg.limits[3..4]`",
        ),
        (
            "cfg.next[..]",
            "nothing tells how many elements `cfg.next` has",
            "write where they end: `cfg.next[0..8]`",
        ),
        (
            "((long*)0x6000)[2..]",
            "nothing tells how many elements `((long*)0x6000)` has",
            "write where they end: `((long*)0x6000)[2..10]`",
        ),
        ("cfg.level[0..2]", "`cfg.level` has no elements: it is of type `int`", ""),
        ("cfg.limits[0..MOST]", "there is no constant `MOST`", ""),
        (
            "cfg.next[0..4].limits[0..300]",
            "`cfg.next[0].limits[0..300]` goes beyond `cfg.next[0].limits`, which has 4 \
             elements",
            "all of them are `cfg.next[0].limits[..]`",
        ),
        (
            "cfg.next[0..300].limits[..]",
            "`cfg.next[0..300].limits[..]` is 1200 elements, and 1024 are watched at most",
            "watch some of them, as in `table[0..64]`",
        ),
    ] {
        let error = all_of(text).expect_err(text);
        assert_eq!(error.to_string(), message, "{text}");
        assert_eq!(error.help().unwrap_or_default(), help, "{text}");
    }
    let several = fails("cfg.limits[..]");
    assert!(matches!(several, ResolveError::Several { .. }), "{several}");
}

#[test]
fn ranges_of_numbers_need_no_types() {
    let of = |text| numbered(&Expression::parse(text).expect(text));
    let found = of("later[..2]->x[3..4]").expect("elements").expect("numbers");
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["later[0]->x[3]", "later[1]->x[3]"]);
    assert!(matches!(of("later[0..N]"), Ok(None)));
    assert!(matches!(of("later[..]"), Ok(None)));
    assert!(matches!(of("later[2..2]"), Err(ResolveError::EmptyRange { .. })));
    let many = of("later[0..9223372036854775807][0..9]");
    assert!(matches!(many, Err(ResolveError::TooManyElements { .. })), "{many:?}");
}

#[test]
fn addresses_have_names() {
    let fixture = Fixture::new();
    for (address, expected) in [
        (0x4000, "cfg"),
        (0x4008, "cfg.limits"),
        (0x4010, "cfg.limits[1]"),
        (0x4014, "cfg.limits[1].max"),
        (0x4016, "cfg.limits[1].max+2"),
        (0x4004, "cfg+4"),
        (0x40a2, "count.0+2"),
    ] {
        let name = describe(&fixture.image, AbsAddr(address));
        assert_eq!(name.as_deref(), Some(expected), "{address:#x}");
    }
    assert_eq!(describe(&fixture.image, AbsAddr(0x5000)), None);
}

proptest! {
    /// Registers cover all bytes of an object, each once, and no other register would
    /// be needed less.
    #[test]
    fn pieces_cover_exactly(address in 0x1000_u64..0x1100, size in 1_u64..200) {
        let pieces = pieces::cover(AbsAddr(address), size);
        let mut next = address;
        for piece in &pieces {
            prop_assert!(matches!(piece.length, 1 | 2 | 4 | 8));
            prop_assert_eq!(piece.address.0 % u64::from(piece.length), 0);
            prop_assert_eq!(piece.address.0 + u64::from(piece.window.start), next);
            prop_assert!(piece.window.start < piece.window.end);
            prop_assert!(piece.window.end <= piece.length);
            next = piece.address.0 + u64::from(piece.window.end);
            // Half of it would not do.
            let half = piece.length / 2;
            let within_half = half > 0
                && (piece.window.end <= half || piece.window.start >= half);
            prop_assert!(!within_half);
        }
        prop_assert_eq!(next, address + size);
        let blocks = (address + size).div_ceil(8) - address / 8;
        prop_assert_eq!(pieces.len() as u64, blocks);
        prop_assert_eq!(pieces::count(AbsAddr(address), size), blocks);
    }

    /// The path of a place leads back to it.
    #[test]
    fn paths_lead_back(offset in 0_u64..64, leaf: bool) {
        let fixture = Fixture::new();
        let ty = typed(&fixture.image, "cfg").expect("cfg").ty.expect("typed");
        let at = if leaf { leaf_at } else { path_at }(&fixture.image, ty, offset);
        let found = fixture.resolve(&format!("cfg{}", at.path), None).expect("it is one");
        prop_assert_eq!(found.address.0 + at.rest, 0x4000 + offset);
        prop_assert_eq!(found.ty, Some(at.ty));
        let size = (&fixture.image as &dyn Types).size(at.ty).expect("known");
        prop_assert!(at.rest < size);
    }
}

#[test]
fn thread_pointers_are_found_below_the_robust_list() {
    for (pointer, head) in [(0x8000_u64, 0x82e0_u64), (0x8540, 0x8820), (0x8700, 0x8720)]
    {
        let mut memory = TestMemory::default();
        memory.map(0x8000, 0x1000);
        memory.set(pointer, pointer);
        memory.set(pointer + 16, pointer);
        memory.set(head, head);
        let found = tls::find_thread_pointer(&mut memory, AbsAddr(head));
        assert_eq!(found, Some(AbsAddr(pointer)));
        memory.set(pointer + 16, 0);
        assert_eq!(tls::find_thread_pointer(&mut memory, AbsAddr(head)), None);
    }
}
