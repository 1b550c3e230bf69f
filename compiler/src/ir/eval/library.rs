//! Builtins of the evaluator.

use hwtrace_runtime::abi::{FaultCode, Helper, SIGSTOP, registers, signal_number, text};

use super::{Datum, Run, Trap};
use crate::ir::{Load, Space};

/// No read crosses a border of pages, as in native code.
const PAGE_BYTES: u64 = 4096;

impl Run<'_, '_> {
    pub(super) fn call(
        &mut self,
        helper: &Helper,
        args: &[Datum],
    ) -> Result<Datum, Trap> {
        let space = helper.name.split_once('_');
        if let Some((space @ ("user" | "kernel"), what)) = space {
            return self.memory(space == "kernel", what, args);
        }
        let most = self.state.module.string_bytes_max as usize;
        if let Some(text) = string_function(helper.name, args, most) {
            return Ok(match text {
                Datum::Text(text) => self.state.cut(text),
                other => other,
            });
        }
        match self.stacks(helper.name, args) {
            Some(found) => Ok(found),
            None => self.stateful(helper.name, args),
        }
    }

    /// What has a state or may fault.
    fn stateful(&mut self, name: &str, args: &[Datum]) -> Result<Datum, Trap> {
        match (name, args) {
            ("stringat", [whole, position]) => {
                match text::stringat(whole.text(), position.long()) {
                    Some(byte) => Ok(Datum::Long(byte)),
                    None => {
                        self.state.fail(FaultCode::UserError, "Position out of bounds")
                    }
                }
            }
            ("ctime", [seconds]) => match text::ctime(seconds.long()) {
                Ok(text) => Ok(self.state.cut(text.into_bytes())),
                Err(why) => self.state.fail(FaultCode::UserError, why.to_string()),
            },
            ("tokenize", [whole, delimiters]) => {
                let token = self.state.tokens.token(whole.text(), delimiters.text());
                let token = token.to_vec();
                Ok(self.state.cut(token))
            }
            ("string_quoted", [whole]) => {
                let most = i64::from(self.state.module.string_bytes_max);
                Ok(self.state.cut(text::string_quoted(whole.text(), most)))
            }
            ("matched", [number]) => {
                let number = usize::try_from(number.long()).ok();
                let range = number.and_then(|number| self.groups.get(number));
                let part = range.and_then(|range| self.matched.get(range));
                Ok(Datum::Text(part.unwrap_or_default().to_vec()))
            }
            ("log", [line]) => {
                self.state.output.extend_from_slice(line.text());
                self.state.output.push(b'\n');
                Ok(Datum::Long(0))
            }
            ("warn", [line]) => {
                self.state.messages.extend_from_slice(b"WARNING: ");
                self.state.messages.extend_from_slice(line.text());
                self.state.messages.push(b'\n');
                Ok(Datum::Long(0))
            }
            _ => self.acting(name, args),
        }
    }

    /// What acts on the session and its processes, and asks for registers.
    fn acting(&mut self, name: &str, args: &[Datum]) -> Result<Datum, Trap> {
        match (name, args) {
            ("system", [command]) => {
                self.state.commands.push(command.text().to_vec());
                Ok(Datum::Long(0))
            }
            ("error", [text]) => self.state.fail(FaultCode::UserError, text.text()),
            ("assert", [Datum::Long(0), text]) => match text.text() {
                b"" => self.state.fail(FaultCode::UserError, "assertion failed"),
                text => self.state.fail(FaultCode::UserError, text),
            },
            ("assert", _) => Ok(Datum::Long(0)),
            ("stop", []) => Ok(self.host.call("signal", &[Datum::Long(SIGSTOP)])),
            ("signal", [number]) => match signal_number(number.long()) {
                Ok(_) => Ok(self.host.call("signal", args)),
                Err(why) => self.state.fail(FaultCode::UserError, why),
            },
            ("register" | "u_register", [wanted]) => {
                let Some(register) = registers::register(wanted.text()) else {
                    let why = [b"Unknown register: ", wanted.text()].concat();
                    return self.state.fail(FaultCode::UserError, why);
                };
                let whole = self.register(register.number);
                Ok(Datum::Long(match name {
                    "register" => register.signed(whole),
                    _ => register.unsigned(whole),
                }))
            }
            ("seen" | "estimated" | "estimated_error" | "coverage", [wanted])
                if name != "coverage" || !wanted.text().is_empty() =>
            {
                if self.host.call("is_counted", args) == Datum::Long(0) {
                    let why = [b"no probe watches `", wanted.text(), b"`"].concat();
                    return self.state.fail(FaultCode::UserError, why);
                }
                Ok(self.host.call(name, args))
            }
            ("watch", [name, address, length]) => {
                let (address, length) = (address.long(), length.long());
                let (name, pid) = self.object(name);
                let since = self.host.field("time").long() as u64;
                let objects = &mut self.state.objects;
                let watched = name.is_some_and(|name| {
                    objects.watch((name, pid), address, length, since)
                });
                Ok(Datum::Long(watched.into()))
            }
            ("unwatch", [name, address]) => {
                let address = address.long();
                let (name, pid) = self.object(name);
                let until = self.host.field("time").long() as u64;
                let objects = &mut self.state.objects;
                let count =
                    name.map_or(0, |name| objects.unwatch((name, pid), address, until));
                Ok(Datum::Long(count))
            }
            ("abort", []) => {
                self.host.call("exit", &[]);
                Err(Trap::Ended)
            }
            _ => Ok(self.around(name, args)),
        }
    }

    /// The number of a name of objects, and the process whose they are.
    fn object(&mut self, name: &Datum) -> (Option<u32>, u32) {
        let names = &self.state.module.layout.objects;
        let number = names.iter().position(|own| own.as_bytes() == name.text());
        let pid = match self.host.field("data_length").long() {
            0 => self.host.call("target", &[]),
            _ => self.host.field("pid"),
        };
        (number.and_then(|number| u32::try_from(number).ok()), pid.long() as u32)
    }

    /// What depends on the hit and the session.
    fn around(&mut self, name: &str, args: &[Datum]) -> Datum {
        match (name, args) {
            ("indent_depth", [delta]) => {
                Datum::Long(self.state.indent.depth(delta.long()))
            }
            ("thread_indent_depth", [delta]) => {
                let thread = self.host.field("tid").long();
                let indent = self.state.thread_indents.entry(thread).or_default();
                Datum::Long(indent.depth(delta.long()))
            }
            ("indent", [delta]) => {
                let now = self.host.call("gettimeofday_us", &[]).long();
                let mut out = Vec::new();
                self.state.indent.indent(&mut out, now, delta.long());
                self.state.cut(out)
            }
            ("thread_indent", [delta]) => {
                let now = self.host.call("gettimeofday_us", &[]).long();
                let thread = self.host.field("tid").long();
                let name = self.host.field("execname");
                let indent = self.state.thread_indents.entry(thread).or_default();
                let mut out = Vec::new();
                let delta = delta.long();
                indent.thread_indent(&mut out, now, name.text(), thread, delta);
                self.state.cut(out)
            }
            ("probefunc", []) => match self.host.field("data_length") {
                Datum::Long(0) => Datum::Text(Vec::new()),
                _ => {
                    let address = self.host.field("address");
                    self.host.call("usymname", &[address])
                }
            },
            ("probemod", []) => {
                let of_user = self.host.field("user_mode").long() != 0;
                match self.host.field("data_length") {
                    Datum::Long(0) => Datum::Text(Vec::new()),
                    _ => {
                        let address = self.host.field("address");
                        let name = if of_user { "umodname" } else { "modname" };
                        self.host.call(name, &[address])
                    }
                }
            }
            ("print_regs", []) => {
                let mut out = Vec::new();
                registers::print(&mut out, |number| self.register(number) as u64);
                self.state.output.extend_from_slice(&out);
                Datum::Long(0)
            }
            // Made for the run, so that they are cut like all that is.
            ("cmdline_str" | "env_var" | "usymptr" | "symptr", _) => {
                match self.host.call(name, args) {
                    Datum::Text(text) => self.state.cut(text),
                    other => other,
                }
            }
            _ => self.host.call(name, args),
        }
    }

    /// A register by its number.
    fn register(&mut self, number: u32) -> i64 {
        self.host.call("register_value", &[Datum::Long(number.into())]).long()
    }

    /// `user_…` and `kernel_…`.
    fn memory(
        &mut self,
        kernel: bool,
        what: &str,
        args: &[Datum],
    ) -> Result<Datum, Trap> {
        let most = self.state.module.string_bytes_max as usize;
        let address = args.first().map_or(0, Datum::long);
        let number = |at: usize| args.get(at).map_or(0, Datum::long);
        let bounded = |count: i64| usize::try_from(count).unwrap_or(0).min(most);
        match what {
            "string" => Ok(Datum::Text(self.text_at(kernel, address, most)?)),
            "string2" => Ok(match self.text_at(kernel, address, most) {
                Ok(text) => Datum::Text(text),
                Err(_) => args.get(1).cloned().unwrap_or(Datum::Text(Vec::new())),
            }),
            "string_n" => {
                Ok(Datum::Text(self.text_at(kernel, address, bounded(number(1)))?))
            }
            "string_quoted" => {
                let text = self.text_at(kernel, address, most)?;
                Ok(self.state.cut(text::string_quoted(&text, most as i64)))
            }
            "buffer_quoted" => {
                let bytes = self.read(kernel, address, bounded(number(1)))?;
                Ok(self.state.cut(text::string_quoted(&bytes, number(2))))
            }
            _ => self.integer_at(kernel, what, address),
        }
    }

    fn integer_at(
        &mut self,
        kernel: bool,
        what: &str,
        address: i64,
    ) -> Result<Datum, Trap> {
        let size = match what {
            "char" | "int8" | "uint8" => 1,
            "short" | "int16" | "uint16" => 2,
            "int" | "int32" | "uint32" => 4,
            _ => 8,
        };
        let space = if kernel { Space::Kernel } else { Space::User };
        self.load(address, Load { size, signed: !what.starts_with('u'), space })
    }

    /// A whole number in memory.
    pub(super) fn load(&mut self, address: i64, load: Load) -> Result<Datum, Trap> {
        let Load { size, signed, space } = load;
        let bytes = self.read(space == Space::Kernel, address, size as usize)?;
        let value =
            bytes.iter().rev().fold(0i64, |value, byte| value << 8 | i64::from(*byte));
        let unused = 64 - 8 * size;
        Ok(Datum::Long(if signed { value << unused >> unused } else { value }))
    }

    /// What a value of an enumeration is called.
    pub(super) fn name(&self, table: u32, value: i64) -> Datum {
        let names = &self.state.module.layout.enumerations[table as usize];
        let name = names.iter().find(|(known, _)| *known == value);
        let name = name.map_or_else(|| value.to_string(), |(_, name)| name.clone());
        self.state.cut(name.into_bytes())
    }

    /// So many bytes of memory, or a fault.
    pub(super) fn read(
        &mut self,
        kernel: bool,
        address: i64,
        length: usize,
    ) -> Result<Vec<u8>, Trap> {
        let mut bytes = vec![0; length];
        if self.host.memory(kernel, address as u64, &mut bytes) == length {
            return Ok(bytes);
        }
        let why = self.obstacle(kernel);
        let text = format!("read fault [man error::fault] at 0x{address:016x}{why}");
        self.state.fail(FaultCode::BadAddress, text)
    }

    fn obstacle(&self, kernel: bool) -> String {
        if kernel { self.host.kernel_obstacle() } else { String::new() }
    }

    /// The text from an address up to a NUL.
    fn text_at(
        &mut self,
        kernel: bool,
        address: i64,
        most: usize,
    ) -> Result<Vec<u8>, Trap> {
        let mut text = Vec::new();
        while text.len() < most {
            let at = (address as u64).wrapping_add(text.len() as u64);
            let wanted = (PAGE_BYTES - at % PAGE_BYTES).min((most - text.len()) as u64);
            let mut chunk = vec![0; wanted as usize];
            let read = self.host.memory(kernel, at, &mut chunk).min(chunk.len());
            let end = chunk[..read].iter().position(|byte| *byte == 0);
            text.extend_from_slice(&chunk[..end.unwrap_or(read)]);
            if end.is_some() {
                break;
            }
            if read < chunk.len() {
                let whose = if kernel { "kernel" } else { "user" };
                let why = self.obstacle(kernel);
                let what = format!(
                    "{whose} string copy fault -14 at {address:016x} [man error::fault]{why}"
                );
                return self.state.fail(FaultCode::BadAddress, what);
            }
        }
        Ok(text)
    }
}

/// What depends on its arguments alone; cut to `most` bytes later.
fn string_function(name: &str, args: &[Datum], most: usize) -> Option<Datum> {
    Some(match (name, args) {
        ("strlen", [whole]) => Datum::Long(whole.text().len() as i64),
        ("substr", [whole, start, length]) => {
            Datum::Text(text::substr(whole.text(), start.long(), length.long()).to_vec())
        }
        ("isinstr", [whole, part]) => {
            Datum::Long(text::contains(whole.text(), part.text()).into())
        }
        ("strpos", [whole, part]) => Datum::Long(text::strpos(whole.text(), part.text())),
        ("strtol", [digits, base]) => {
            Datum::Long(text::strtol(digits.text(), base.long()))
        }
        ("str_replace", [whole, from, to]) => {
            let (whole, from, to) = (whole.text(), from.text(), to.text());
            Datum::Text(text::str_replace(whole, from, to, most))
        }
        ("text_str", [whole]) => Datum::Text(text::text_str(whole.text())),
        ("text_strn", [whole, most, quoted]) => {
            Datum::Text(text::text_strn(whole.text(), most.long(), quoted.long() != 0))
        }
        _ => return None,
    })
}
