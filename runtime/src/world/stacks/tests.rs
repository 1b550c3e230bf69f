//! The stacks of a hit through the world, with a walker that is told what it finds.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;

/// What was asked of the walker.
#[derive(Debug, Default)]
struct Asked {
    walks: Vec<(u32, u64, Option<u64>, usize)>,
    places: Vec<Place>,
}

/// Finds the callers that were captured; what is at an odd address is inlined.
#[derive(Default, Clone)]
struct Fake(Rc<RefCell<Asked>>);

impl Stacks for Fake {
    fn image(&mut self, pid: u32) -> u32 {
        pid + 100
    }

    fn walk(&mut self, hit: &StackAt<'_>, out: &mut Vec<u64>) -> bool {
        let walk =
            (hit.pid, hit.instruction, hit.registers.get(7), hit.stack.bytes.len());
        self.0.borrow_mut().walks.push(walk);
        out.push(hit.instruction);
        out.extend_from_slice(hit.stack.callers);
        !hit.stack.callers.is_empty()
    }

    fn frame(&mut self, place: Place, each: &mut dyn FnMut(&Frame<'_>)) {
        self.0.borrow_mut().places.push(place);
        let module = if place.image.is_some() { "/bin/demo" } else { "kernel" };
        let frame = Frame { offset: 4, size: 16, module, ..Frame::default() };
        match place.address {
            0x99 => {}
            address if address % 2 == 1 => {
                let line = Some(("a.h", 3));
                let small = Some("small");
                each(&Frame { function: small, inlined: true, line, ..Frame::default() });
                each(&Frame { function: Some("large"), line: Some(("a.c", 9)), ..frame });
            }
            _ => each(&Frame { function: Some("f"), ..frame }),
        }
    }
}

fn record(user_mode: u32) -> HitRecord {
    HitRecord { pid: 7, address: 0x10, data_length: 8, user_mode, ..HitRecord::default() }
}

fn set_up() -> (AllStacks, Fake) {
    let fake = Fake::default();
    let mut stacks = AllStacks { who: Box::new(fake.clone()), ..AllStacks::default() };
    stacks.hit.set(&RawHit {
        pid: 7,
        tid: 8,
        registers: Registers { mask: 1 << 7, values: &[0x7000] },
        user_stack: UserStack { callers: &[0x21, 0x99], bytes: &[0; 24] },
        kernel_stack: &[0x40, 0x50],
        ..RawHit::default()
    });
    (stacks, fake)
}

fn lines(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn a_hit_is_walked_once_and_with_all_that_was_captured() {
    let (mut stacks, fake) = set_up();
    assert!(fake.0.borrow().walks.is_empty(), "nobody has asked yet");
    let all = stacks.keep(Space::User, &record(1), -1);
    assert_ne!(all, Ok(known::EMPTY));
    assert_eq!(stacks.keep(Space::User, &record(1), 5), all);
    assert_ne!(stacks.keep(Space::User, &record(1), 0), all);
    assert_eq!(stacks.at_hit(Space::User, &record(1)).addresses, [0x10, 0x21, 0x99]);
    assert_eq!(fake.0.borrow().walks, [(7, 0x10, Some(0x7000), 24)]);
    stacks.hit.set(&RawHit { pid: 7, ..RawHit::default() });
    assert_eq!(stacks.at_hit(Space::User, &record(1)).addresses, [0x10]);
    assert_eq!((fake.0.borrow().walks.len(), stacks.hit.cut), (2, 1));
}

#[test]
fn there_are_no_stacks_outside_of_hits() {
    let (mut stacks, fake) = set_up();
    let outside = HitRecord { data_length: 0, ..record(1) };
    for space in [Space::User, Space::Kernel] {
        assert_eq!(stacks.keep(space, &outside, -1), Ok(known::EMPTY));
        let write = |out: &mut Vec<u8>| stacks.write_caller(out, space, &outside);
        assert_eq!(lines(write), "");
    }
    assert!(fake.0.borrow().walks.is_empty());
}

#[test]
fn the_kernel_has_a_stack_where_it_made_the_access() {
    let (mut stacks, _) = set_up();
    assert_eq!(stacks.keep(Space::Kernel, &record(1), -1), Ok(known::EMPTY));
    assert_eq!(stacks.at_hit(Space::Kernel, &record(0)).addresses, [0x40, 0x50]);
    let write = |out: &mut Vec<u8>| {
        stacks.write_at_hit(out, Form::Full, Space::Kernel, &record(0))
    };
    assert_eq!(
        lines(write),
        " 0x40 : f+0x4/0x10 [kernel]\n 0x50 : f+0x4/0x10 [kernel]\n"
    );
    stacks.hit.set(&RawHit::default());
    assert_eq!(stacks.at_hit(Space::Kernel, &record(0)).addresses, [0x10]);
}

#[test]
fn kept_stacks_are_named_when_they_are_printed() {
    let (mut stacks, fake) = set_up();
    let number = stacks.keep(Space::User, &record(1), -1).unwrap_or_default();
    assert!(fake.0.borrow().places.is_empty(), "nothing is named yet");
    let people = lines(|out| stacks.write_kept(out, Form::People, number));
    assert_eq!(
        people,
        "  f+0x4 [demo]\n  small (a.h:3) [inlined]\n  large+0x4 (a.c:9)\n  0x99\n"
    );
    let brief = lines(|out| stacks.write_kept(out, Form::Brief, number));
    assert_eq!(brief, "f+0x4\nlarge+0x4\n0x99\n");
    let places = fake.0.borrow().places.clone();
    let place = |address, returns| Place { image: Some(107), address, returns };
    assert_eq!(places[..3], [place(0x10, false), place(0x21, true), place(0x99, true)]);
}

#[test]
fn a_stack_that_was_cut_says_so() {
    let (mut stacks, _) = set_up();
    stacks.hit.set(&RawHit { pid: 7, ..RawHit::default() });
    let number = stacks.keep(Space::User, &record(1), -1).unwrap_or_default();
    let lines = |form| lines(|out| stacks.write_kept(out, form, number));
    assert_eq!(
        [Form::People, Form::Brief].map(lines),
        ["  f+0x4 [demo]\n  ...\n", "f+0x4\n...\n"]
    );
}

#[test]
fn the_caller_is_the_function_that_holds_the_call() {
    let (mut stacks, _) = set_up();
    let write = |out: &mut Vec<u8>| stacks.write_caller(out, Space::User, &record(1));
    assert_eq!(lines(write), "large 0x21");
}
