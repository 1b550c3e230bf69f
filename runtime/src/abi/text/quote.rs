//! Text as it may be printed: `text_str` and the `…_quoted` functions
//! (`_stp_text_str` in SystemTap's runtime/stp_string.c).

/// `text_str`: `text` with what is not printable ASCII, `"` and the backslash
/// escaped: as in C, in octal with three digits, and characters of more than
/// one byte as `\uXXXX` or `\UXXXXXXXX`. What is not UTF-8 is escaped byte by
/// byte.
pub fn text_str(text: &[u8]) -> Vec<u8> {
    escaped(text, usize::MAX).0
}

/// `text_strn`: as [`text_str`], but at most `most` bytes long (any number
/// where it is not above 0); with `quoted` in double quotes, with `...` behind
/// them where not all of the text has room.
///
/// An escape stays whole: SystemTap cuts the last one in the middle to put
/// the dots there, this leaves it out.
pub fn text_strn(text: &[u8], most: i64, quoted: bool) -> Vec<u8> {
    let most = usize::try_from(most).ok().filter(|most| *most > 0);
    let most = most.unwrap_or(usize::MAX);
    if !quoted {
        return escaped(text, most).0;
    }
    // Quotes and dots have room in any case, as in SystemTap.
    let room = most.max(5) - 2;
    let (mut body, mut complete) = escaped(text, room);
    if !complete {
        (body, complete) = (escaped(text, room - 3).0, false);
    }
    let mut out = Vec::with_capacity(body.len() + 5);
    out.push(b'"');
    out.append(&mut body);
    out.extend_from_slice(if complete { b"\"" } else { b"\"..." });
    out
}

/// `string_quoted`, and with the bytes that were read `user_string_quoted`,
/// `user_buffer_quoted` and their `kernel_` forms: `text` escaped and in double
/// quotes, cut to `most` bytes as [`text_strn`] does.
pub fn string_quoted(text: &[u8], most: i64) -> Vec<u8> {
    text_strn(text, most, true)
}

/// The escapes that have room in `most` bytes, and whether those are all.
fn escaped(text: &[u8], most: usize) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(text.len().min(most));
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            if !push(&mut out, most, |out| escape_character(out, character)) {
                return (out, false);
            }
        }
        for byte in chunk.invalid() {
            if !push(&mut out, most, |out| octal(out, *byte)) {
                return (out, false);
            }
        }
    }
    (out, true)
}

/// Writes with `write`, and takes it back where it is too much.
fn push(out: &mut Vec<u8>, most: usize, write: impl FnOnce(&mut Vec<u8>)) -> bool {
    let before = out.len();
    write(out);
    let fits = out.len() <= most;
    if !fits {
        out.truncate(before);
    }
    fits
}

fn escape_character(out: &mut Vec<u8>, character: char) {
    let letter = match character {
        '\x07' => b'a',
        '\x08' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\x0b' => b'v',
        '\x0c' => b'f',
        '\r' => b'r',
        '"' | '\\' => character as u8,
        ' '..='~' => return out.push(character as u8),
        '\0'..='\x7f' => return octal(out, character as u8),
        '\u{80}'..='\u{ffff}' => {
            return out.extend(format!("\\u{:04X}", u32::from(character)).bytes());
        }
        _ => return out.extend(format!("\\U{:08X}", u32::from(character)).bytes()),
    };
    out.extend_from_slice(&[b'\\', letter]);
}

fn octal(out: &mut Vec<u8>, byte: u8) {
    let digit = |shift: u32| b'0' + (byte >> shift & 7);
    out.extend_from_slice(&[b'\\', digit(6), digit(3), digit(0)]);
}
