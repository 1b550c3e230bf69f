//! The bytes of BTF: where each type begins, and what its words are.
//!
//! Nothing of the bytes is trusted: every access is checked, and a type that is
//! cut short, or of a kind that is not known, is the end of them.

use std::ops::Range;
use std::sync::Arc;

use super::BtfError;

/// BTF, and what it is based on.
#[derive(Debug)]
pub(super) struct Raw {
    bytes: Vec<u8>,
    strings: Range<usize>,
    /// Where in `bytes` each type begins. The first has the number after the last
    /// of the base; without one it is number 1, as 0 is `void`.
    starts: Vec<u32>,
    /// Where in `bytes` the sections begin.
    sections: Vec<u32>,
    base: Option<Arc<Raw>>,
}

/// What a type is (`BTF_KIND_…` in include/uapi/linux/btf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Pointer,
    Array,
    Struct,
    Union,
    Enum,
    Forward,
    Alias,
    /// `const`, `volatile`, `restrict` or a tag.
    Qualifier,
    Function,
    Prototype,
    Variable,
    Section,
    Float,
    Tag,
    Enum64,
}

impl Kind {
    fn new(number: u32) -> Option<Self> {
        Some(match number {
            1 => Kind::Integer,
            2 => Kind::Pointer,
            3 => Kind::Array,
            4 => Kind::Struct,
            5 => Kind::Union,
            6 => Kind::Enum,
            7 => Kind::Forward,
            8 => Kind::Alias,
            9..=11 | 18 => Kind::Qualifier,
            12 => Kind::Function,
            13 => Kind::Prototype,
            14 => Kind::Variable,
            15 => Kind::Section,
            16 => Kind::Float,
            17 => Kind::Tag,
            19 => Kind::Enum64,
            _ => return None,
        })
    }

    /// Is its name written behind `struct`, `union` or `enum`?
    pub(super) fn is_tagged(self) -> bool {
        matches!(self, Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64)
    }

    /// How many bytes follow the first twelve: always, and for each of its parts.
    fn rest(self) -> (usize, usize) {
        match self {
            Kind::Integer | Kind::Variable | Kind::Tag => (4, 0),
            Kind::Array => (12, 0),
            Kind::Struct | Kind::Union | Kind::Section | Kind::Enum64 => (0, 12),
            Kind::Enum | Kind::Prototype => (0, 8),
            Kind::Pointer
            | Kind::Forward
            | Kind::Alias
            | Kind::Qualifier
            | Kind::Function
            | Kind::Float => (0, 0),
        }
    }
}

/// One type as it stands there (`struct btf_type`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// Where its name begins.
    pub(super) name: u32,
    pub(super) kind: Kind,
    /// `kind_flag`: bit-fields in a record, signs in an enumeration, a union in a
    /// declaration.
    pub(super) flag: bool,
    /// Its bytes, or the type that it is about.
    pub(super) size_or_type: u32,
    rest: &'a [u8],
}

/// A member of a record as it stands there (`struct btf_member`).
#[derive(Clone, Copy, Debug)]
pub(super) struct RawMember {
    pub(super) name: u32,
    pub(super) id: u32,
    /// In bits from the start of the record.
    pub(super) offset: u32,
    /// Of a bit-field: how many.
    pub(super) width: Option<u32>,
}

/// A variable of a section (`struct btf_var_secinfo`).
#[derive(Clone, Copy, Debug)]
pub(super) struct InSection {
    pub(super) id: u32,
    pub(super) offset: u32,
    pub(super) size: u32,
}

const MAGIC: u32 = 0xeb9f;
/// Bytes that every type begins with.
const TYPE_BYTES: usize = 12;
/// A name is not longer (`KSYM_NAME_LEN` in include/linux/kallsyms.h).
const MAX_NAME: usize = 512;

impl Raw {
    pub(super) fn parse(
        bytes: Vec<u8>,
        base: Option<Arc<Raw>>,
    ) -> Result<Self, BtfError> {
        let word = |at| word(&bytes, at).ok_or(BtfError::Malformed("it is too short"));
        if word(0)? & 0xffff != MAGIC {
            return Err(BtfError::Malformed("it does not begin with 0xeb9f"));
        }
        let header = word(4)? as usize;
        let part = |at: usize| -> Result<Range<usize>, BtfError> {
            let start = header.saturating_add(word(at)? as usize);
            let end = start.saturating_add(word(at + 4)? as usize);
            (end <= bytes.len())
                .then_some(start..end)
                .ok_or(BtfError::Malformed("it ends before its types and names do"))
        };
        let (types, strings) = (part(8)?, part(16)?);
        let (starts, sections) = starts(&bytes, types);
        Ok(Self { bytes, strings, starts, sections, base })
    }

    /// The number of its first type.
    fn first(&self) -> u32 {
        self.base.as_ref().map_or(1, |base| base.end())
    }

    /// The number behind that of its last type.
    pub(super) fn end(&self) -> u32 {
        self.first().saturating_add(self.starts.len() as u32)
    }

    /// The type of this number; none for `void`, and where there is none.
    pub(super) fn entry(&self, id: u32) -> Option<Entry<'_>> {
        match id.checked_sub(self.first()) {
            Some(index) => Entry::at(&self.bytes, *self.starts.get(index as usize)?),
            None => self.base.as_ref()?.entry(id),
        }
    }

    /// Its types by number, those of its base last.
    pub(super) fn entries(&self) -> Box<dyn Iterator<Item = (u32, Entry<'_>)> + '_> {
        let own = (self.first()..).zip(&self.starts);
        let own = own.filter_map(|(id, at)| Some((id, Entry::at(&self.bytes, *at)?)));
        match &self.base {
            Some(base) => Box::new(own.chain(base.entries())),
            None => Box::new(own),
        }
    }

    /// The first type of this name of which `fits` is true.
    pub(super) fn find(
        &self,
        name: &str,
        fits: impl Fn(&Entry<'_>) -> bool,
    ) -> Option<u32> {
        self.find_dyn(name, &fits)
    }

    /// Looks at the names alone, and at the types that bear it.
    fn find_dyn(&self, name: &str, fits: &dyn Fn(&Entry<'_>) -> bool) -> Option<u32> {
        let mut own = (self.first()..).zip(&self.starts);
        let is_it = |at: u32| {
            word(&self.bytes, at as usize).is_some_and(|it| self.is_called(it, name))
                && Entry::at(&self.bytes, at).is_some_and(|entry| fits(&entry))
        };
        let found = own.find(|(_, at)| is_it(**at)).map(|(id, _)| id);
        found.or_else(|| self.base.as_ref()?.find_dyn(name, fits))
    }

    /// The sections that have variables, those of its base last.
    pub(super) fn sections(&self) -> Box<dyn Iterator<Item = Entry<'_>> + '_> {
        let own = self.sections.iter().filter_map(|at| Entry::at(&self.bytes, *at));
        match &self.base {
            Some(base) => Box::new(own.chain(base.sections())),
            None => Box::new(own),
        }
    }

    /// Names from `at` on: those of the base come first.
    fn strings_from(&self, at: u32) -> Option<&[u8]> {
        let before = self.base.as_ref().map_or(0, |base| base.strings_end());
        match at.checked_sub(before) {
            Some(at) => self.bytes.get(self.strings.clone())?.get(at as usize..),
            None => self.base.as_ref()?.strings_from(at),
        }
    }

    fn strings_end(&self) -> u32 {
        let before = self.base.as_ref().map_or(0, |base| base.strings_end());
        before.saturating_add(self.strings.len() as u32)
    }

    /// Is this the name that begins at `at`?
    pub(super) fn is_called(&self, at: u32, name: &str) -> bool {
        let name = name.as_bytes();
        // Most of them have no name at all, or begin with another letter.
        let rest = self.strings_from(at).filter(|_| at != 0).unwrap_or_default();
        rest.first() == name.first()
            && rest.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&0))
    }

    /// The name that begins at `at`; none for what has no name.
    pub(super) fn name(&self, at: u32) -> Option<String> {
        let rest = self.strings_from(at)?;
        let bytes = rest.get(..MAX_NAME).unwrap_or(rest);
        let length = memchr::memchr(0, bytes)?;
        let name = String::from_utf8_lossy(bytes.get(..length)?).into_owned();
        (!name.is_empty()).then_some(name)
    }
}

/// Where each type begins, and each section.
fn starts(bytes: &[u8], types: Range<usize>) -> (Vec<u32>, Vec<u32>) {
    let (mut starts, mut sections) = (Vec::new(), Vec::new());
    let mut at = types.start;
    while let Ok(start) = u32::try_from(at)
        && let Some(entry) = Entry::at(bytes, start)
        && let end = at + TYPE_BYTES + entry.rest.len()
        && end <= types.end
    {
        starts.push(start);
        if entry.kind == Kind::Section {
            sections.push(start);
        }
        at = end;
    }
    starts.shrink_to_fit();
    (starts, sections)
}

impl<'a> Entry<'a> {
    fn at(bytes: &'a [u8], at: u32) -> Option<Self> {
        let bytes = bytes.get(at as usize..)?;
        let info = word(bytes, 4)?;
        let kind = Kind::new(info >> 24 & 0x1f)?;
        let (always, each) = kind.rest();
        let length = always + each * (info & 0xffff) as usize;
        Some(Self {
            name: word(bytes, 0)?,
            kind,
            flag: info >> 31 == 1,
            size_or_type: word(bytes, 8)?,
            rest: bytes.get(TYPE_BYTES..TYPE_BYTES + length)?,
        })
    }

    /// A word of what follows the first three.
    pub(super) fn word(&self, index: usize) -> u32 {
        word(self.rest, index * 4).unwrap_or(0)
    }

    /// Its parts of so many bytes each.
    fn parts(&self, of: Kind, bytes: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let rest = if self.kind == of { self.rest } else { &[] };
        rest.chunks_exact(bytes)
    }

    /// The members of a record.
    pub(super) fn members(&self) -> impl Iterator<Item = RawMember> + use<'a> {
        let flag = self.flag;
        self.parts(self.kind, 12).filter_map(move |part| {
            let offset = word(part, 8)?;
            let width = offset >> 24;
            Some(RawMember {
                name: word(part, 0)?,
                id: word(part, 4)?,
                offset: if flag { offset & 0xff_ffff } else { offset },
                width: (flag && width != 0).then_some(width),
            })
        })
    }

    /// The variables of a section.
    pub(super) fn variables(&self) -> impl Iterator<Item = InSection> + use<'a> {
        self.parts(Kind::Section, 12).filter_map(|part| {
            let (id, offset, size) = (word(part, 0)?, word(part, 4)?, word(part, 8)?);
            Some(InSection { id, offset, size })
        })
    }

    /// The constants of an enumeration: where the name begins, and the value.
    pub(super) fn constants(&self) -> impl Iterator<Item = (u32, i64)> + use<'a> {
        let signed = self.flag;
        let narrow = self.parts(Kind::Enum, 8).filter_map(move |part| {
            let value = word(part, 4)?;
            let value =
                if signed { i64::from(value.cast_signed()) } else { i64::from(value) };
            Some((word(part, 0)?, value))
        });
        let wide = self.parts(Kind::Enum64, 12).filter_map(|part| {
            let (low, high) = (word(part, 4)?, word(part, 8)?);
            let value = u64::from(high) << 32 | u64::from(low);
            Some((word(part, 0)?, value.cast_signed()))
        });
        narrow.chain(wide)
    }
}

/// The little-endian word at an offset.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    bytes.try_into().map(u32::from_le_bytes).ok()
}
