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
