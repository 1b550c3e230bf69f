//! Data of the running kernel by name: what is found is what the kernel says of
//! itself in `/proc`.

#![allow(missing_docs, clippy::unwrap_used)]

use std::rc::Rc;
use std::time::Instant;

use hwtrace_probes::AbsAddr;
use hwtrace_probes::btf::Btf;
use hwtrace_probes::kernel::path::split;
use hwtrace_probes::kernel::{
    KernelError, KernelLocation, KernelNames, Path, task_offset,
};
use hwtrace_probes::symbols::KernelData;
use hwtrace_probes::types::{Member, Type, Types, type_name};
use hwtrace_runtime::bpf::{KernelReader, TaskLayout, Tasks};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::kernel::linux::Linux;

/// What it takes to find data of the kernel.
struct Live {
    types: Btf,
    symbols: KernelData,
    reader: KernelReader,
    tasks: Tasks,
    cpus: Vec<u32>,
}

impl Live {
    /// None where the machine does not let us, which fails where it has to.
    fn new() -> Option<Self> {
        let live = Self::try_new();
        if let Err(why) = &live {
            eprintln!("SKIPPED: {why}");
            assert!(std::env::var_os("HWTRACE_REQUIRE_LIVE").is_none(), "{why}");
        }
        live.ok()
    }

    fn try_new() -> Result<Self, String> {
        let kernel: Rc<dyn Kernel> = Rc::new(Linux);
        let types = Btf::running(1).map_err(|error| error.to_string())?;
        let offset = |member| {
            let offset = task_offset(&types, member).ok_or("no such member of a task")?;
            u16::try_from(offset).map_err(|error| error.to_string())
        };
        let layout = TaskLayout {
            function: types.function("bpf_iter_task").ok_or("no iterator over tasks")?,
            pid: offset("pid")?,
            tgid: offset("tgid")?,
        };
        let symbols = KernelData::running();
        let reader = KernelReader::open(&kernel).map_err(|error| error.to_string())?;
        let tasks = Tasks::open(&kernel, layout).map_err(|error| error.to_string())?;
        let cpus = kernel.online_cpus().map_err(|error| error.to_string())?;
        Ok(Self { types, symbols, reader, tasks, cpus })
    }

    fn with<T>(&self, ask: impl FnOnce(&KernelNames<'_>) -> T) -> T {
        ask(&KernelNames {
            types: Some(&self.types),
            symbols: &self.symbols,
            read: &|address, out| self.reader.read(address.0, out),
            cpus: &self.cpus,
            tasks: &|| {
                let all = self.tasks.all().unwrap();
                all.iter().map(|task| AbsAddr(task.address)).collect()
            },
        })
    }

    fn data(&self, text: &str) -> Result<KernelLocation, KernelError> {
        let (name, path) = split(text).unwrap();
        self.with(|names| names.data(&name, &path))
    }

    fn read(&self, address: AbsAddr, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        assert_eq!(self.reader.read(address.0, &mut bytes), bytes.len(), "{address}");
        bytes
    }

    /// The bytes of what a path names in a thread.
    fn task(&self, tid: u32, path: &str) -> Vec<u8> {
        let task = self.tasks.find(tid).unwrap().expect("it is there");
        let path = Path::parse(path).unwrap();
        let found = self.with(|names| names.task(AbsAddr(task.address), &path)).unwrap();
        self.read(found.places[0].address, found.size.unwrap())
    }

    fn number(&self, tid: u32, path: &str) -> i64 {
        signed(&self.task(tid, path))
    }
}

/// A number that may be negative.
fn signed(bytes: &[u8]) -> i64 {
    let shift = 64 - 8 * bytes.len();
    let number =
        bytes.iter().rev().fold(0, |number, byte| number << 8 | i64::from(*byte));
    number << shift >> shift
}

fn proc(file: &str) -> String {
    std::fs::read_to_string(format!("/proc/thread-self/{file}")).unwrap()
}

#[test]
fn what_the_kernel_keeps_of_a_thread() {
    let Some(live) = Live::new() else { return };
    let tid = nix::unistd::gettid().as_raw() as u32;
    assert_eq!(live.number(tid, "pid"), i64::from(tid));
    assert_eq!(live.number(tid, "tgid"), i64::from(std::process::id()));
    let mut comm = live.task(tid, "comm");
    assert_eq!(comm.len(), 16);
    comm.truncate(comm.iter().position(|byte| *byte == 0).unwrap());
    assert_eq!(String::from_utf8(comm).unwrap() + "\n", proc("comm"));
    let adjusted = proc("oom_score_adj").trim().parse().unwrap();
    assert_eq!(live.number(tid, "signal->oom_score_adj"), adjusted);
    // `arg_start`, the 48th field of /proc/PID/stat (proc(5)).
    let stat = proc("stat");
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
    let arguments: i64 = fields.clone().nth(45).unwrap().parse().unwrap();
    assert_eq!(live.number(tid, "mm->arg_start"), arguments);
    assert_eq!(
        live.number(tid, "real_parent->tgid"),
        i64::from(std::os::unix::process::parent_id())
    );
}

#[test]
fn a_thread_is_found_as_long_as_it_is_there() {
    let Some(live) = Live::new() else { return };
    let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
    let found = live.tasks.find(child.id()).unwrap().expect("it is there");
    assert!(AbsAddr(found.address).is_kernel());
    let own = live.tasks.find(std::process::id()).unwrap().expect("we are there");
    let all = live.tasks.all().unwrap();
    assert!(all.contains(&found) && all.contains(&own), "{all:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(live.tasks.find(child.id()), Ok(None));
}

#[test]
fn every_symbol_of_data_is_found() {
    let Some(live) = Live::new() else { return };
    assert!(!live.symbols.is_hidden(), "we may read memory, so we are root");
    let mut found = 0;
    for symbol in live.symbols.variables().take(2000) {
        match live.data(symbol.name) {
            Ok(location) => {
                found += 1;
                assert!(location.places.iter().all(|place| place.address.is_kernel()));
                assert!(location.size.is_some(), "{location:?}");
            }
            Err(KernelError::Ambiguous { places, .. }) => assert!(places.len() > 1),
            Err(error) => panic!("{}: {error}", symbol.name),
        }
    }
    assert!(found >= 30, "{found}");
    let missing = live.data("no_such_variable").unwrap_err();
    let listed = matches!(missing, KernelError::NoVariable { .. });
    assert_eq!(listed, live.symbols.is_complete(), "{missing}");
}

/// Each CPU's own number, and the address of the thread that runs on it.
#[test]
fn variables_of_each_cpu() {
    let Some(live) = Live::new() else { return };
    let areas = live.with(|names| names.areas());
    assert_eq!(areas.iter().map(|area| area.cpu).collect::<Vec<_>>(), live.cpus);
    let number = live.data("cpu_number");
    let number = number.or_else(|_| live.data("pcpu_hot.cpu_number"));
    let number = number.expect("Linux has one of them since 6.2, and had before");
    for place in &number.places {
        let bytes = live.read(place.address, number.size.unwrap());
        assert_eq!(signed(&bytes), i64::from(place.cpu.unwrap()), "{place:?}");
    }
    let idle = live.data("runqueues.idle->pid").unwrap();
    assert_eq!(idle.places.len(), live.cpus.len());
    for place in &idle.places {
        assert_eq!(signed(&live.read(place.address, 4)), 0, "{place:?}");
    }
}

#[test]
fn memory_is_read_where_there_is_some() {
    let Some(live) = Live::new() else { return };
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
    let code = symbols.lines().find(|line| line.ends_with(" T _stext")).unwrap();
    let code = u64::from_str_radix(&code[..16], 16).unwrap();
    let bytes = live.read(AbsAddr(code + 100), 2000);
    assert!(bytes.iter().filter(|byte| **byte != 0).count() > 500);
    for nowhere in [0, 0x1000, 0xffff_ffff_ffff_f000, u64::MAX] {
        assert_eq!(live.reader.read(nowhere, &mut [0; 16]), 0, "{nowhere:#x}");
    }
}

#[test]
fn types_of_the_kernel() {
    let Some(live) = Live::new() else { return };
    let types: &dyn Types = &live.types;
    let record = |name| match &*types.plain(types.named(name).unwrap()).1 {
        Type::Record(record) => record.clone(),
        other => panic!("{other:?}"),
    };
    let task = record("struct task_struct");
    let member = |name: &str| {
        task.members.iter().find(|it| it.name.as_deref() == Some(name)).unwrap()
    };
    let length = types.constant("TASK_COMM_LEN").expect("include/linux/sched.h");
    assert_eq!(type_name(types, member("comm").ty), format!("char [{length}]"));
    assert_eq!(type_name(types, member("pid").ty), "pid_t");
    assert_eq!(type_name(types, member("signal").ty), "struct signal_struct *");
    assert_eq!(types.size(member("pid").ty), Some(4));
    assert_eq!(types.size(types.named("unsigned long").unwrap()), Some(8));
    assert!(member("in_execve").bits.is_some());
    for name in ["task_struct", "signal_struct", "rq", "file", "sk_buff"] {
        let record = record(name);
        let end = |member: &Member| member.offset + types.size(member.ty).unwrap_or(0);
        let inside =
            |member: &Member| member.bits.is_some() || end(member) <= record.size;
        assert!(record.members.iter().all(inside), "{record:?}");
    }
}

/// What BTF says of a variable's size is what its type comes to.
#[test]
fn types_of_variables_have_their_sizes() {
    let Some(live) = Live::new() else { return };
    let types: &dyn Types = &live.types;
    let mut records = 0;
    for variable in live.types.variables() {
        let name = &variable.name;
        let shown = type_name(types, variable.ty);
        assert!(!shown.is_empty());
        let size = types.size(variable.ty);
        assert!(
            size.is_none_or(|size| size == u64::from(variable.size)),
            "{name}: {shown}"
        );
        records += usize::from(matches!(&*types.plain(variable.ty).1, Type::Record(_)));
    }
    assert!(records > 50, "{records}");
}

/// For people: what finding and reading takes here.
#[test]
fn it_is_quick() {
    let Some(live) = Live::new() else { return };
    let started = Instant::now();
    let types = Btf::running(1).unwrap();
    assert!(types.named("struct task_struct").is_some());
    eprintln!("{} types, the first name after {:?}", types.len(), started.elapsed());
    let task = live.tasks.find(std::process::id()).unwrap().unwrap();
    let started = Instant::now();
    for _ in 0..1000 {
        live.read(AbsAddr(task.address), 8);
    }
    eprintln!("reading 8 bytes takes {:?}", started.elapsed() / 1000);
    let started = Instant::now();
    live.tasks.find(std::process::id()).unwrap();
    eprintln!("finding a task takes {:?}", started.elapsed());
}
