use super::*;

fn seat(scope: Scope) -> Seat {
    Seat { pinned: false, weight: 1, scope }
}

#[test]
fn five_share_four() {
    let slots = Slots { tasks: 4, kernel: 0 };
    let mut turns = Turns::new(&[seat(Scope::Tasks); 5], slots, 1);
    let mut had = [0; 5];
    for _ in 0..100 {
        for (watch, carried) in turns.carried().iter().enumerate() {
            had[watch] += u32::from(*carried);
        }
        turns.next();
    }
    assert_eq!(had, [80; 5]);
}
