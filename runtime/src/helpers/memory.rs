//! Memory of the target and of the kernel, as it was at the hit where it was read
//! then. What can not be read faults.

use super::{Context, enter, give, settle};
use crate::abi::{FaultCode, text};
use crate::strings::StringHandle;
use crate::world::World;

/// Whose memory.
#[derive(Clone, Copy)]
enum Space {
    User,
    Kernel,
}

/// No read crosses a border of pages, so that what can be read is read.
const PAGE_BYTES: u64 = 4096;

/// Reads all of `out`, or faults. `pid`: none for the kernel.
pub(super) fn read(
    world: &mut World,
    pid: Option<u32>,
    address: i64,
    out: &mut [u8],
) -> Result<(), FaultCode> {
    if world.outside.read(pid, address as u64, out) == out.len() {
        return Ok(());
    }
    let why = obstacle(world, pid);
    let text = format!("read fault [man error::fault] at 0x{address:016x}{why}");
    unread(world, pid, &text)
}

/// Memory of a process, or of the kernel, could not be read.
fn unread<T>(world: &mut World, pid: Option<u32>, text: &str) -> Result<T, FaultCode> {
    world.unread = pid;
    world.fail(FaultCode::BadAddress, text.as_bytes())
}

/// Why memory of the kernel can not be read; nothing to say of a process's.
fn obstacle(world: &World, pid: Option<u32>) -> String {
    pid.map_or_else(|| world.outside.kernel_obstacle(), |_| String::new())
}

/// The world, and whose memory is meant there: none for the kernel's.
fn enter_for<'a>(context: Context, space: Space) -> (&'a mut World, Option<u32>) {
    let (world, record) = enter(context);
    let pid = match space {
        Space::User => Some(world.asked_of(record)),
        Space::Kernel => None,
    };
    (world, pid)
}

/// The unsigned integer of `N` bytes at `address`.
fn unsigned<const N: usize>(context: Context, space: Space, address: i64) -> u64 {
    let (world, process) = enter_for(context, space);
    let mut bytes = [0; N];
    let done = read(world, process, address, &mut bytes);
    settle(context, done);
    let mut word = [0; 8];
    word[..N].copy_from_slice(&bytes);
    u64::from_le_bytes(word)
}

/// The signed integer of `N` bytes at `address`.
fn signed<const N: usize>(context: Context, space: Space, address: i64) -> i64 {
    let unused = 64 - 8 * N as u32;
    (unsigned::<N>(context, space, address) as i64) << unused >> unused
}

/// Functions that read an integer: of the target, of the kernel, how.
macro_rules! integers {
    ($($user:ident, $kernel:ident, $read:ident::<$bytes:literal>;)*) => {$(
        pub(super) extern "C" fn $user(context: Context, address: i64) -> i64 {
            $read::<$bytes>(context, Space::User, address) as i64
        }

        pub(super) extern "C" fn $kernel(context: Context, address: i64) -> i64 {
            $read::<$bytes>(context, Space::Kernel, address) as i64
        }
    )*};
}

integers! {
    user_char, kernel_char, signed::<1>;
    user_short, kernel_short, signed::<2>;
    user_int, kernel_int, signed::<4>;
    user_long, kernel_long, signed::<8>;
    user_pointer, kernel_pointer, unsigned::<8>;
    user_int8, kernel_int8, signed::<1>;
    user_int16, kernel_int16, signed::<2>;
    user_int32, kernel_int32, signed::<4>;
    user_int64, kernel_int64, signed::<8>;
    user_uint8, kernel_uint8, unsigned::<1>;
    user_uint16, kernel_uint16, unsigned::<2>;
    user_uint32, kernel_uint32, unsigned::<4>;
    user_uint64, kernel_uint64, unsigned::<8>;
}

/// What a value of an enumeration is called; the value in digits where it has
/// no name.
pub(super) extern "C" fn enumeration_name(
    context: Context,
    table: i64,
    value: i64,
) -> u64 {
    let (world, _) = enter(context);
    match world.enumeration_name(table as usize, value) {
        Some(name) => name.0,
        None => give(context, value.to_string().as_bytes()),
    }
}

/// The text from `address` up to a NUL, at most `most` bytes.
fn string(
    context: Context,
    space: Space,
    address: i64,
    most: usize,
) -> Result<Vec<u8>, FaultCode> {
    let (world, process) = enter_for(context, space);
    let most = most.min(world.strings.length_max());
    if let Some(text) = world.outside.text_at_hit(process, address as u64, most) {
        return Ok(text.to_vec());
    }
    let mut text = Vec::new();
    while text.len() < most {
        let at = (address as u64).wrapping_add(text.len() as u64);
        let mut chunk = [0; 256];
        let to_border = PAGE_BYTES - at % PAGE_BYTES;
        let wanted = chunk.len().min(most - text.len()).min(to_border as usize);
        let read = world.outside.read(process, at, &mut chunk[..wanted]);
        let read = &chunk[..read];
        if let Some(end) = read.iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&read[..end]);
            return Ok(text);
        }
        if read.len() < wanted {
            let whose = match space {
                Space::User => "user",
                Space::Kernel => "kernel",
            };
            let why = obstacle(world, process);
            let what = format!(
                "{whose} string copy fault -14 at {address:016x} [man error::fault]{why}"
            );
            return unread(world, process, &what);
        }
        text.extend_from_slice(read);
    }
    Ok(text)
}

/// Gives a string that was read, or notes the fault.
fn give_read(context: Context, read: Result<Vec<u8>, FaultCode>) -> u64 {
    match read {
        Ok(text) => give(context, &text),
        Err(code) => settle(context, Err::<StringHandle, _>(code)).0,
    }
}

fn length(most: i64) -> usize {
    usize::try_from(most).unwrap_or(0)
}

/// Functions that read text: names for the target and the kernel.
macro_rules! strings {
    ($space:ident, $plain:ident, $or:ident, $n:ident, $quoted:ident, $buffer:ident) => {
        pub(super) extern "C" fn $plain(context: Context, address: i64) -> u64 {
            let text = string(context, Space::$space, address, usize::MAX);
            give_read(context, text)
        }

        /// With a text for what can not be read.
        pub(super) extern "C" fn $or(context: Context, address: i64, or: u64) -> u64 {
            match string(context, Space::$space, address, usize::MAX) {
                Ok(text) => give(context, &text),
                Err(_) => or,
            }
        }

        pub(super) extern "C" fn $n(context: Context, address: i64, most: i64) -> u64 {
            let text = string(context, Space::$space, address, length(most));
            give_read(context, text)
        }

        pub(super) extern "C" fn $quoted(context: Context, address: i64) -> u64 {
            let most = enter(context).0.strings.length_max() as i64;
            let text = string(context, Space::$space, address, usize::MAX);
            give_read(context, text.map(|text| text::string_quoted(&text, most)))
        }

        /// So many bytes, quoted, cut to `most`.
        pub(super) extern "C" fn $buffer(
            context: Context,
            address: i64,
            bytes: i64,
            most: i64,
        ) -> u64 {
            let (world, process) = enter_for(context, Space::$space);
            let mut buffer = vec![0; length(bytes).min(world.strings.length_max())];
            let done = read(world, process, address, &mut buffer);
            give_read(context, done.map(|()| text::string_quoted(&buffer, most)))
        }
    };
}

strings!(
    User,
    user_string,
    user_string2,
    user_string_n,
    user_string_quoted,
    user_buffer_quoted
);
strings!(
    Kernel,
    kernel_string,
    kernel_string2,
    kernel_string_n,
    kernel_string_quoted,
    kernel_buffer_quoted
);
