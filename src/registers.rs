//! Which registers a session's requests take, and what each request sees of the
//! hits of its registers.

mod objects;

use std::ops::Range;

use hwtrace_probes::resolve::{Location, Piece};
use hwtrace_probes::spec::Mode;
use hwtrace_runtime::access::Beyond;
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::schema::ByteRange;
use hwtrace_runtime::slots::turns::{Seat, Turns};
use hwtrace_runtime::slots::{self, Claim, Room, Scope, Shortage, Slots, Subscriber};
use hwtrace_runtime::tracker::image;
use hwtrace_runtime::view::{Bits, Part, View};

use crate::names::{FIELD_BYTES, Names};
use crate::session::{Data, Request};

/// What a request takes registers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its data.
    Data,
    /// A pointer on the way to it, by number, which is followed.
    Link(usize),
    /// Objects, wherever they are.
    Objects,
}

/// Whose a claim is.
#[derive(Clone, Copy)]
struct Whose {
    request: usize,
    role: Role,
}

/// What a subscriber of a register is told of its hits.
pub(crate) enum Sees {
    /// Accesses to its data, or a part of it.
    Data {
        /// By number.
        request: usize,
        /// Which bytes, and what they are called.
        view: View,
        /// Of data in several registers: all of them.
        whole: Option<Box<[image::Piece]>>,
        /// Whether the register reports loads, too, and these are not for it.
        stores: bool,
        /// Where others of its registers are.
        beside: Beyond,
    },
    /// Accesses to objects, wherever the register is at the time.
    Objects {
        /// Whose probe may be for them.
        request: usize,
    },
    /// That a pointer was stored to.
    Link {
        /// The request whose path leads through it.
        request: usize,
    },
}

impl Sees {
    /// The request that it is for.
    pub(crate) fn request(&self) -> usize {
        match self {
            Self::Data { request, .. }
            | Self::Objects { request }
            | Self::Link { request } => *request,
        }
    }
}

/// The registers of a session, by watch number.
#[derive(Default)]
pub(crate) struct Registers {
    watches: Vec<Watch>,
    /// By watch.
    sees: Vec<Vec<Sees>>,
    /// By watch: who gives it its address, the first that is there.
    places: Vec<Vec<Place>>,
    /// By request: whether each thread has its own data.
    own: Vec<bool>,
    /// By watch: how it takes turns.
    seats: Vec<Seat>,
    slots: Slots,
    /// The watches that are kept for objects.
    for_objects: Range<usize>,
}

/// By what a register's address is known: so many bytes before a piece of
/// something.
#[derive(Clone, Copy)]
struct Place {
    request: usize,
    role: Role,
    piece: usize,
    before: u64,
}

impl Registers {
    /// Gives everything that is located a register. `intern` makes handles of
    /// names. `by_member`: whether values are to be those of the members that were
    /// touched, also where all of them are in one register.
    ///
    /// # Errors
    /// Where there are not enough; with the request that gets none.
    pub(crate) fn plan(
        requests: &[Request],
        located: &[Option<Shape>],
        by_member: bool,
        room: Room,
        intern: &mut dyn FnMut(&[u8]) -> u64,
    ) -> Result<Self, Shortage> {
        let (whose, claims): (Vec<_>, Vec<_>) =
            claims(requests, located).into_iter().unzip();
        let plan = slots::plan(&claims, room)
            .map_err(|error| Shortage { claim: whose[error.claim].request, ..error })?;
        let own = located.iter().map(|it| it.as_ref().is_some_and(|it| it.own)).collect();
        let mut registers = Self {
            watches: plan.watches(),
            own,
            seats: plan.seats(),
            slots: plan.slots,
            ..Self::default()
        };
        for register in &plan.registers {
            let place = |subscriber: &Subscriber| {
                let Whose { request, role } = whose[subscriber.claim];
                let before = subscriber.window.start.into();
                Place { request, role, piece: subscriber.piece, before }
            };
            registers.places.push(register.subscribers.iter().map(place).collect());
        }
        for register in &plan.registers {
            let sees = register.subscribers.iter().map(|subscriber| {
                let Whose { request, role } = whose[subscriber.claim];
                let own = claims[subscriber.claim].pieces[subscriber.piece].trigger;
                match (role, located[request].as_ref()) {
                    (Role::Data, Some(shape)) => Sees::Data {
                        request,
                        view: view(shape, subscriber, by_member, intern),
                        whole: match by_member && !shape.is_one_member() {
                            true => None,
                            false => registers.whole(request, shape),
                        },
                        stores: own != register.watch.trigger,
                        beside: Beyond {
                            below: subscriber.piece > 0,
                            above: subscriber.piece + 1 < shape.pieces.len(),
                        },
                    },
                    _ => Sees::Link { request },
                }
            });
            let sees = sees.collect();
            registers.sees.push(sees);
        }
        Ok(registers)
    }

    /// How they take turns.
    pub(crate) fn turns(&self, seed: u64) -> Turns {
        Turns::new(&self.seats, self.slots, seed)
    }

    /// How many of a thread's, or a CPU's, they get along with; one at least is for
    /// objects, where there are any.
    pub(crate) fn least(&self, by_turns: bool) -> usize {
        let all = self.seats.iter().enumerate();
        let (objects, others): (Vec<_>, Vec<_>) =
            all.partition(|(watch, _)| self.for_objects.contains(watch));
        let objects = objects.len().min(1);
        if !by_turns {
            return objects + others.len();
        }
        let (stay, turn): (Vec<_>, Vec<_>) =
            others.into_iter().map(|it| it.1).partition(|seat| seat.pinned);
        let among = |scope: Scope| {
            usize::from(turn.iter().any(|seat: &&Seat| seat.scope == scope))
        };
        objects + stay.len() + among(Scope::Tasks) + among(Scope::Kernel)
    }

    /// What the engine is told of them; addresses are those of the first
    /// process.
    pub(crate) fn watches(&self) -> &[Watch] {
        &self.watches
    }

    /// Who sees the hits of each.
    pub(crate) fn sees(&self) -> &[Vec<Sees>] {
        &self.sees
    }

    /// By watch: whether an access may hit others with it, which is one all the same.
    pub(crate) fn shared_by_accesses(&self) -> impl Iterator<Item = bool> {
        let beside = |sees: &Sees| match sees {
            Sees::Data { beside, .. } => !beside.is_nowhere(),
            Sees::Objects { .. } | Sees::Link { .. } => false,
        };
        self.sees.iter().map(move |all| all.iter().any(beside))
    }

    /// By request: whether it has any.
    pub(crate) fn asked(&self, requests: usize) -> Vec<bool> {
        (0..requests).map(|request| self.of(request).next().is_some()).collect()
    }

    /// The registers of a request's data, or of the pointers to it.
    pub(crate) fn of(&self, request: usize) -> impl Iterator<Item = usize> {
        let own = move |places: &Vec<Place>| {
            places.iter().any(|place| place.request == request)
        };
        self.places
            .iter()
            .enumerate()
            .filter(move |(_, places)| own(places))
            .map(|it| it.0)
    }

    /// Whether all that a request sees are the hits of one register.
    pub(crate) fn is_alone(&self, request: usize) -> bool {
        self.of(request).nth(1).is_none()
    }

    /// The registers in a process where data is: none for those that nothing
    /// asks for there. `Found` tells of a request.
    pub(crate) fn placed<'a>(
        &self,
        found: &dyn Fn(usize) -> Found<'a>,
    ) -> Vec<Option<Watch>> {
        let place = |(watch, places): (&Watch, &Vec<Place>)| {
            let mut asked = None;
            for place in places {
                let address = match found(place.request) {
                    Found::NotHere => continue,
                    // Threads are given it one by one.
                    Found::Pending(_) if self.own[place.request] => continue,
                    Found::Pending(links) => place.link(links),
                    Found::At(location) => place.address(location, watch.length),
                };
                let address = address.unwrap_or(Watch::PENDING);
                asked = Some(Watch { address, ..*watch });
                if address != Watch::PENDING {
                    break;
                }
            }
            asked
        };
        self.watches.iter().zip(&self.places).map(place).collect()
    }

    /// The watches that a thread needs for data of its own.
    pub(crate) fn own(&self, request: usize, location: &Location) -> Vec<(usize, Watch)> {
        let found = |other| match other == request {
            true => Found::At(location),
            false => Found::NotHere,
        };
        let placed = self.placed(&found);
        let own = placed.into_iter().enumerate();
        own.filter_map(|(number, watch)| Some((number, watch.filter(Watch::is_placed)?)))
            .collect()
    }

    /// All pieces of data that one register does not hold, or a field of the record
    /// not well.
    fn whole(&self, request: usize, shape: &Shape) -> Option<Box<[image::Piece]>> {
        if shape.pieces.len() < 2 && !shape.pictured {
            return None;
        }
        let piece = |(number, piece): (usize, &Piece)| {
            let (watch, place) =
                self.places.iter().enumerate().find_map(|(watch, all)| {
                    let own = |place: &&Place| {
                        let data = (place.request, place.role) == (request, Role::Data);
                        data && place.piece == number
                    };
                    Some((watch, all.iter().find(own)?))
                })?;
            let (start, end) = (piece.window.start as u8, piece.window.end as u8);
            let before = place.before as u8;
            let window = ByteRange { start: before + start, end: before + end };
            Some(image::Piece { watch: watch as u32, window })
        };
        shape.pieces.iter().enumerate().map(piece).collect()
    }
}

/// Where the data of a request is in a process.
pub(crate) enum Found<'a> {
    /// It is not asked for there.
    NotHere,
    /// It may come; of the pointers to it these are there.
    Pending(&'a [u64]),
    /// There.
    At(&'a Location),
}

impl Place {
    /// The pointer, where it is one and is there.
    fn link(&self, links: &[u64]) -> Option<u64> {
        match self.role {
            Role::Link(number) => links.get(number).copied(),
            Role::Data | Role::Objects => None,
        }
    }

    /// None where the data lies such that the register does not cover it.
    fn address(&self, location: &Location, length: u32) -> Option<u64> {
        let (start, end) = match self.role {
            Role::Link(number) => {
                let link = location.links.get(number)?.address.0;
                (link, link.checked_add(8)?)
            }
            // That handlers tell.
            Role::Objects => return None,
            Role::Data => {
                let piece = location.pieces.get(self.piece)?;
                let start = piece.address.0;
                (start, start.checked_add(piece.length.into())?)
            }
        };
        let address = start.checked_sub(self.before)?;
        let covered = address % u64::from(length) == 0
            && end <= address.checked_add(length.into())?;
        covered.then_some(address)
    }
}

/// What is known of the data of a request for planning: how long its pieces are,
/// and where, where that is known.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Its name.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) size: u64,
    /// Whether it is some bits of them.
    pub(crate) bits: bool,
    /// Whether handlers read it from a picture.
    pub(crate) pictured: bool,
    /// As registers cover it.
    pub(crate) pieces: Vec<Piece>,
    /// Whether these are where the data is, and not only as long.
    pub(crate) placed: bool,
    /// Whether each thread has its own.
    pub(crate) own: bool,
    /// Whether it is where the file that it is in says, and not behind pointers.
    pub(crate) fixed: bool,
    /// Addresses of the pointers to it that are followed; of those that are not
    /// known yet [`Watch::PENDING`].
    pub(crate) links: Vec<u64>,
}

impl Shape {
    /// That of data which was found.
    pub(crate) fn of(location: &Location, follows: bool, names: &Names) -> Self {
        let links = location.links.iter().map(|link| link.address.0);
        Self {
            name: location.name.clone(),
            size: location.size,
            bits: location.bits.is_some(),
            pictured: names.is_pictured(location.ty, location.size),
            pieces: location.pieces.clone(),
            placed: location.thread_local.is_none(),
            own: location.thread_local.is_some(),
            fixed: location.links.is_empty(),
            links: if follows { links.collect() } else { Vec::new() },
        }
    }

    /// That of data which is not there yet; of the pointers to it these are.
    pub(crate) fn pending(
        location: &Location,
        follows: bool,
        names: &Names,
        there: &[u64],
    ) -> Self {
        let mut shape = Self { placed: false, ..Self::of(location, follows, names) };
        for (number, link) in shape.links.iter_mut().enumerate() {
            *link = there.get(number).copied().unwrap_or(Watch::PENDING);
        }
        shape
    }

    /// How many registers it takes by itself.
    pub(crate) fn registers(&self) -> usize {
        self.pieces.len() + self.links.len()
    }

    /// Whether more than one register holds this member.
    fn is_torn(&self, name: &str) -> bool {
        let has = |piece: &&Piece| piece.parts.iter().any(|part| part.name == name);
        self.pieces.iter().filter(has).nth(1).is_some()
    }

    /// Whether it is not made of several members.
    fn is_one_member(&self) -> bool {
        let mut parts = self.pieces.iter().flat_map(|piece| &piece.parts);
        let first = parts.next();
        parts.all(|part| first.is_some_and(|first| first.name == part.name))
    }

    fn is_whole(&self) -> bool {
        self.size <= FIELD_BYTES && !self.bits && self.pieces.len() == 1
    }
}

fn claims(requests: &[Request], located: &[Option<Shape>]) -> Vec<(Whose, Claim)> {
    let mut claims = Vec::new();
    for (request, shape) in located.iter().enumerate() {
        let Some(shape) = shape else { continue };
        let Request { data, .. } = &requests[request];
        let trigger = match data.mode() {
            Mode::Write | Mode::Change => Trigger::Write,
            Mode::ReadWrite | Mode::Read => Trigger::ReadWrite,
        };
        let piece = |piece: &Piece| {
            let address = if shape.placed { piece.address.0 } else { Watch::PENDING };
            Watch { address, length: piece.length, trigger }
        };
        let claim = Claim {
            pieces: shape.pieces.iter().map(piece).collect(),
            scope: match data {
                Data::Kernel(_) => Scope::Kernel,
                Data::Process(_) if shape.own => Scope::Own,
                Data::Process(_) | Data::Objects(_) => Scope::Tasks,
            },
            pinned: data.is_pinned(),
            weight: 1,
            fixed: shape.fixed,
        };
        claims.push((Whose { request, role: Role::Data }, claim.clone()));
        for (number, address) in shape.links.iter().enumerate() {
            let link = Watch { address: *address, length: 8, trigger: Trigger::Write };
            // While it waited the data could go elsewhere unseen.
            let claim = Claim { pieces: vec![link], pinned: true, ..claim.clone() };
            claims.push((Whose { request, role: Role::Link(number) }, claim));
        }
    }
    claims
}

/// What a request sees of a register with a piece of its data.
fn view(
    shape: &Shape,
    subscriber: &Subscriber,
    by_member: bool,
    intern: &mut dyn FnMut(&[u8]) -> u64,
) -> View {
    let name = intern(shape.name.as_bytes());
    let Some(piece) = shape.pieces.get(subscriber.piece) else {
        return View::identity(subscriber.window.length(), name);
    };
    let before = subscriber.window.start;
    let window = ByteRange {
        start: before + piece.window.start as u8,
        end: before + piece.window.end as u8,
    };
    let part = |part: &hwtrace_probes::resolve::Part| Part {
        offset: before + part.offset as u8,
        length: part.length as u8,
        bits: part
            .bits
            .map(|bits| Bits { low: bits.offset as u8, width: bits.width as u8 }),
        signed: part.signed,
        partial: shape.is_torn(&part.name),
        name: intern(part.name.as_bytes()),
    };
    let parts: Box<[Part]> = piece.parts.iter().map(part).collect();
    let whole = shape.is_whole() && !(by_member && parts.len() > 1);
    View { window, whole, parts, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_turns_fewer_registers_will_do() {
        let seat = |pinned, scope| Seat { pinned, weight: 1, scope };
        let tasks = |pinned| seat(pinned, Scope::Tasks);
        let least = |seats: &[Seat], for_objects| {
            let registers =
                Registers { seats: seats.to_vec(), for_objects, ..Registers::default() };
            [false, true].map(|by_turns| registers.least(by_turns))
        };
        assert_eq!(least(&[], 0..0), [0, 0]);
        assert_eq!(least(&[tasks(false); 3], 0..0), [3, 1]);
        assert_eq!(least(&[tasks(true), tasks(false), tasks(false)], 0..0), [3, 2]);
        // Those of the kernel's data take turns by themselves.
        assert_eq!(least(&[tasks(false), seat(false, Scope::Kernel)], 0..0), [2, 2]);
        // Of those that are left for objects one will do.
        assert_eq!(least(&[tasks(false), tasks(true), tasks(true)], 1..3), [2, 2]);
    }
}
