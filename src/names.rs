//! What the names in a script mean: the files of the target, with their types, and
//! the kernel's types. Known before the target runs, so that scripts can be
//! checked; and the same files and types when it does.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use hwtrace_lang::data::{
    DataType, DataTypes, Named, NotFound, Space, TypeId, TypeRef, Variable,
};
use hwtrace_lang::environment::{self, TargetVariable};
use hwtrace_probes::btf::Btf;
use hwtrace_probes::dwarf::Dwarf;
use hwtrace_probes::expr::Expression;
use hwtrace_probes::image::{Files, Image, Loader};
use hwtrace_probes::kernel;
use hwtrace_probes::process::Process;
use hwtrace_probes::resolve::{self, Location, ResolveError, Typed};
use hwtrace_probes::spec::{DataSpec, KernelDataSpec, ProcessRef};
use hwtrace_probes::types::{self, Types};
use hwtrace_runtime::abi::{PICTURE_NEW, PICTURE_OLD};
use hwtrace_runtime::launch;

use crate::target::Target;
use crate::types::{Numbers, Source};
use crate::values::Values;

/// The target's own types.
const USER: Source = Source(0);
/// The kernel's.
const KERNEL: Source = Source(1);

/// The source of the kernel's types: files are numbered from 0.
const KERNEL_TYPES: u16 = 0xff00;

/// The name of the kernel where a module is asked for.
const KERNEL_MODULE: &str = "kernel";

/// Why the kernel's types are not known.
pub(crate) const NO_BTF: &str = "the kernel has no BTF (/sys/kernel/btf/vmlinux)";

/// A field of the record has so many bytes; what is wider has a picture.
pub(crate) const FIELD_BYTES: u64 = 8;

/// Finds a target's files.
type Find<'a> = dyn Fn(&Rc<Files>) -> Option<Known> + 'a;

/// Watched data: whose type it is, which, and its bytes.
type Watched = (Source, Option<types::TypeId>, u64);

/// What is known of the target's files.
pub struct Names {
    files: Rc<Files>,
    target: Option<Known>,
    /// Of other executables, by path.
    others: RefCell<HashMap<String, Option<Rc<Known>>>>,
    kernel: OnceCell<Option<Rc<Btf>>>,
    numbers: Numbers,
}

/// An executable, and with its libraries when they are asked for.
struct Known {
    alone: Rc<Image>,
    /// None for a process, which has its libraries.
    whole: Option<OnceCell<Rc<Image>>>,
    files: Rc<Files>,
}

impl Known {
    fn file(path: &Path, files: &Rc<Files>) -> Option<Self> {
        let alone = Rc::new(Image::of_file(path, None, files).ok()?);
        Some(Self { alone, whole: Some(OnceCell::new()), files: Rc::clone(files) })
    }

    fn process(pid: u32, files: &Rc<Files>) -> Option<Self> {
        let process = Process::open(pid).ok()?;
        let alone = Rc::new(Image::of_process(&process, files).ok()?);
        Some(Self { alone, whole: None, files: Rc::clone(files) })
    }

    /// With its libraries, as far as they are found.
    fn whole(&self) -> &Rc<Image> {
        let Some(whole) = &self.whole else { return &self.alone };
        whole.get_or_init(|| {
            let Some(main) = self.alone.modules().first() else {
                return Rc::clone(&self.alone);
            };
            let loader = Loader::of_this_system();
            let image = Image::of_file(main.path(), Some(&loader), &self.files);
            image.map_or_else(|_| Rc::clone(&self.alone), Rc::new)
        })
    }

    /// Asks the library that the data is in, also one that is loaded later, or else
    /// all.
    fn ask_of<T>(
        &self,
        data: &DataSpec,
        ask: impl Fn(&Image) -> Result<T, ResolveError>,
    ) -> Result<T, ResolveError> {
        let Some(library) = data.expression.module() else { return self.ask(ask) };
        match ask(self.whole()) {
            Err(ResolveError::NoSuchModule { module, loaded }) => {
                let program = self.alone.modules().first();
                let loader = Loader::of_this_system();
                match Image::of_library(library, program, &loader, &self.files) {
                    Some(image) => ask(&image),
                    None => Err(ResolveError::NoSuchModule { module, loaded }),
                }
            }
            known => known,
        }
    }

    /// Asks the executable, and where it does not know, its libraries, too.
    fn ask<T, E>(&self, ask: impl Fn(&Image) -> Result<T, E>) -> Result<T, E> {
        let first = ask(&self.alone);
        match (&first, &self.whole) {
            (Err(_), Some(_)) => ask(self.whole()).or(first),
            _ => first,
        }
    }

    /// Asks for types; where there are none for a reason, tells it.
    fn ask_types<T>(
        &self,
        ask: impl Fn(&Image) -> Result<T, NotFound>,
    ) -> Result<T, NotFound> {
        self.ask(ask).map_err(|error| match error {
            NotFound::Unknown { nearest } if nearest.is_empty() => {
                self.without_types().unwrap_or(NotFound::Unknown { nearest })
            }
            error => error,
        })
    }

    /// Why the executable tells of no types; none where it does.
    fn without_types(&self) -> Option<NotFound> {
        let main = self.alone.modules().first()?;
        let (why, path) = (main.debug().err()?.to_owned(), main.path().to_path_buf());
        let told = format!("types come from {}, and {why}", path.display());
        let error = ResolveError::Untyped { name: String::new(), why, path: Some(path) };
        Some(NotFound::Untyped { why: told, help: error.help() })
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Names {
    fn new(target: Option<&Find<'_>>) -> Self {
        let files = Files::new(|elf, path, root, number| {
            match Dwarf::open(elf, path, root, number) {
                Ok(dwarf) => Ok(Box::new(dwarf)),
                Err(none) => Err(none.to_string()),
            }
        });
        let target = target.and_then(|target| target(&files));
        Self {
            files,
            target,
            others: RefCell::default(),
            kernel: OnceCell::new(),
            numbers: Numbers::default(),
        }
    }

    /// Those of a target. Of one that can not be looked at none are known: what
    /// is wrong with it is said when it is started.
    pub fn of(target: &Target) -> Self {
        match target {
            Target::None => Self::default(),
            Target::Process(pid) => Self::new(Some(&|files| Known::process(*pid, files))),
            Target::Command(command) => Self::new(Some(&|files| {
                let name = CString::new(command.first()?.as_bytes()).ok()?;
                let path = launch::find_program(&name).ok()?;
                Known::file(Path::new(OsStr::from_bytes(path.as_bytes())), files)
            })),
        }
    }

    /// The files, for the images of processes.
    pub(crate) fn files(&self) -> &Rc<Files> {
        &self.files
    }

    /// Whether anything is known of the data's process.
    fn known<T>(&self, process: &ProcessRef, ask: impl FnOnce(&Known) -> T) -> Option<T> {
        match process {
            ProcessRef::Target => self.target.as_ref().map(ask),
            ProcessRef::Path(path) => {
                let mut others = self.others.borrow_mut();
                let other = others.entry(path.clone()).or_insert_with(|| {
                    Known::file(Path::new(path), &self.files).map(Rc::new)
                });
                let other = other.clone();
                drop(others);
                other.as_deref().map(ask)
            }
            ProcessRef::Pid(pid) => Known::process(*pid, &self.files).as_ref().map(ask),
        }
    }

    /// What is known of watched data; none where nothing is known of its process.
    pub(crate) fn typed(&self, data: &DataSpec) -> Option<Result<Typed, ResolveError>> {
        let length = data.length.map(u64::from);
        let ask = |image: &Image| resolve::type_of(image, &data.expression, length);
        self.known(&data.process, |known| known.ask_of(data, ask))
    }

    /// The elements that the ranges in watched data mean, each as data of its own; of data
    /// without ranges, it alone. Where nothing is known of its process yet, ranges of
    /// plain numbers still are; others stay what they are.
    ///
    /// # Errors
    /// Which elements they mean can not be told.
    pub fn elements(&self, data: &DataSpec) -> Result<Vec<DataSpec>, ResolveError> {
        let whole = &data.expression;
        if whole.ranged().is_none() {
            return Ok(vec![data.clone()]);
        }
        let ask = |image: &Image| resolve::elements(image, whole);
        let elements = match self.known(&data.process, |known| known.ask_of(data, ask)) {
            Some(Ok(elements)) => elements,
            Some(Err(why)) if !why.may_come_later() => return Err(why),
            _ => resolve::numbered(whole)?.unwrap_or_else(|| vec![whole.clone()]),
        };
        let of = |expression| DataSpec { expression, ..data.clone() };
        Ok(elements.into_iter().map(of).collect())
    }

    /// What watched data is like wherever it may be; none where nothing is known of
    /// its process.
    pub(crate) fn unplaced(
        &self,
        data: &DataSpec,
    ) -> Option<Result<Location, ResolveError>> {
        let length = data.length.map(u64::from);
        let ask = |image: &Image| resolve::unplaced(image, &data.expression, length);
        self.known(&data.process, |known| known.ask_of(data, ask))
    }

    /// Whether a library that an executable needs has the data, and itself it has not.
    pub(crate) fn is_in_library(&self, data: &DataSpec, executable: &Path) -> bool {
        let has = |image: &Image| resolve::type_of(image, &data.expression, None).is_ok();
        let in_library = self.known(&data.process, |known| {
            let main = known.alone.modules().first();
            main.is_some_and(|main| **main.path() == *executable)
                && data.expression.module().is_none()
                && !has(&known.alone)
                && has(known.whole())
        });
        in_library.unwrap_or(false)
    }

    /// Of data of processes: whose type, and how long.
    pub(crate) fn of_process(&self, typed: &Typed) -> Watched {
        (USER, typed.ty, typed.size)
    }

    /// Of data of the kernel; none where no type of it is known.
    pub(crate) fn of_kernel(&self, data: &KernelDataSpec) -> Option<Watched> {
        let (ty, size) = kernel::typed(self.kernel()?, &data.object)?;
        let whole = data.length.is_none_or(|length| u64::from(length) == size);
        Some((KERNEL, Some(ty).filter(|_| whole), data.length.map_or(size, u64::from)))
    }

    /// The `$` variables of watched data: what all of it was and is, and the member
    /// that was touched, which of data within a field is all of it.
    pub(crate) fn variables(&self, known: Option<Watched>) -> Vec<TargetVariable> {
        const FIELDS: [&str; 2] = ["new", "old"];
        const PARTS: [&str; 2] = ["new_part", "old_part"];
        const PICTURES: [u64; 2] = [PICTURE_NEW, PICTURE_OLD];
        let Some((source, Some(ty), size)) = known else {
            let part = |at: usize| TargetVariable::field(PARTS[at], FIELDS[at]);
            let whole = |at: usize| TargetVariable::field(FIELDS[at], FIELDS[at]);
            return vec![whole(0), whole(1), part(0), part(1)];
        };
        let space = if source == KERNEL { Space::Kernel } else { Space::User };
        let number = self.numbers.number(source, ty);
        let pictured = self.is_pictured(Some(ty), size);
        let whole = |at: usize| {
            let field = TargetVariable::field(FIELDS[at], FIELDS[at]).of(number);
            let picture = environment::Location::Picture(PICTURES[at]);
            let location = if pictured { picture } else { field.location };
            TargetVariable { space, location, ..field }
        };
        let element = match size <= FIELD_BYTES {
            true => (!pictured).then_some(number),
            false => self.element(source, ty),
        };
        let part = |at: usize| {
            let part = TargetVariable::field(PARTS[at], FIELDS[at]);
            let ty = element.map(Into::into);
            TargetVariable { space, ty, ..part }
        };
        vec![whole(0), whole(1), part(0), part(1)]
    }

    /// The `$` variables of objects of a type, and whether these are read from a picture.
    pub(crate) fn object_variables(
        &self,
        ty: Option<TypeRef>,
    ) -> (Vec<TargetVariable>, bool) {
        let Some(ty) = ty else { return (self.variables(None), false) };
        let of = DataTypes::get(self, ty.base);
        let pictured = ty.pointers == 0
            && matches!(&*of, DataType::Record(_) | DataType::Array { .. });
        let variable = |name, field, picture, whole| {
            let variable = TargetVariable::field(name, field);
            match pictured {
                false => variable.of(ty),
                true if whole => TargetVariable {
                    location: environment::Location::Picture(picture),
                    ..variable.of(ty)
                },
                true => variable,
            }
        };
        let variables = vec![
            variable("new", "new", PICTURE_NEW, true),
            variable("old", "old", PICTURE_OLD, true),
            variable("new_part", "new", PICTURE_NEW, false),
            variable("old_part", "old", PICTURE_OLD, false),
        ];
        (variables, pictured)
    }

    /// Whether handlers read data from a picture of it: what is wider than a field of
    /// the record, and text, of which functions take the address.
    pub(crate) fn is_pictured(&self, ty: Option<types::TypeId>, size: u64) -> bool {
        size > FIELD_BYTES || ty.is_some_and(|ty| types::has_text(self, ty))
    }

    /// The scalar that an array is made of.
    fn element(&self, source: Source, ty: types::TypeId) -> Option<TypeId> {
        let scalar = types::scalar_of(&*self.source(source)?, ty)?;
        Some(self.numbers.number(source, scalar))
    }

    /// The types of the target's files, and the kernel's.
    pub fn types(&self) -> &dyn Types {
        self
    }

    /// How values of data are shown; of an array in several registers those of its
    /// elements.
    pub(crate) fn values(&self, location: &Location) -> Values {
        let Some(ty) = location.ty else { return Values::default() };
        let wide = location.size > FIELD_BYTES;
        let element = wide.then(|| types::scalar_of(self, ty)).flatten();
        Values::of(self, element.unwrap_or(ty))
    }

    /// The kernel's types.
    pub(crate) fn kernel(&self) -> Option<&Rc<Btf>> {
        let read = || Btf::running(KERNEL_TYPES).ok().map(Rc::new);
        self.kernel.get_or_init(read).as_ref()
    }

    fn source(&self, source: Source) -> Option<Rc<dyn Types>> {
        match source {
            KERNEL => self.kernel().map(|kernel| Rc::clone(kernel) as Rc<dyn Types>),
            _ => Some(Rc::clone(&self.files) as Rc<dyn Types>),
        }
    }

    /// Asks whoever a module means: the target, one of its libraries, another
    /// executable.
    fn ask<T>(
        &self,
        module: Option<&str>,
        ask: impl Fn(&Image) -> Result<T, NotFound>,
    ) -> Result<T, NotFound> {
        let target = self.known(&ProcessRef::Target, |known| {
            let known_module = module.is_none_or(|module| {
                known.whole().modules_named(module).next().is_some()
            });
            known_module.then(|| known.ask_types(&ask))
        });
        if let Some(answer) = target.flatten() {
            return answer;
        }
        let other = module.map(|path| ProcessRef::Path(path.to_owned()));
        let answer =
            other.and_then(|other| self.known(&other, |known| known.ask_types(&ask)));
        answer.unwrap_or(Err(NotFound::NoTypes))
    }
}

/// A type by its name; C++ and Rust name their records without a keyword.
fn named(types: &dyn Types, name: &str) -> Option<types::TypeId> {
    let tagged = |keyword: &&str| types.named(&format!("{keyword} {name}"));
    let keywords = ["struct", "union", "class", "enum"];
    types.named(name).or_else(|| keywords.iter().find_map(tagged))
}

fn untyped(why: &str) -> NotFound {
    NotFound::Untyped { why: why.to_owned(), help: None }
}

fn unknown() -> NotFound {
    NotFound::Unknown { nearest: Vec::new() }
}

/// By the number of its source a type is of the kernel or of a file.
impl Types for Names {
    fn get(&self, id: types::TypeId) -> Arc<types::Type> {
        match self.kernel.get() {
            Some(Some(kernel)) if id.source() == KERNEL_TYPES => kernel.get(id),
            _ => self.files.get(id),
        }
    }

    fn named(&self, name: &str) -> Option<types::TypeId> {
        self.files.named(name)
    }

    fn constant(&self, name: &str) -> Option<i64> {
        self.files.constant(name)
    }
}

impl DataTypes for Names {
    fn get(&self, id: TypeId) -> Rc<DataType> {
        self.numbers.get(id, |source| self.source(source))
    }

    fn named(&self, name: &str, module: Option<&str>) -> Result<Named, NotFound> {
        let numbered = |source, ty, space| {
            Ok(Named { ty: self.numbers.number(source, ty).into(), space })
        };
        if module == Some(KERNEL_MODULE) {
            let kernel = self.kernel().ok_or_else(|| untyped(NO_BTF))?;
            let ty = named(&**kernel, name).ok_or_else(unknown)?;
            return numbered(KERNEL, ty, Space::Kernel);
        }
        let find = |image: &Image| named(image, name).ok_or_else(unknown);
        self.ask(module, find).and_then(|ty| numbered(USER, ty, Space::User))
    }

    fn variable(&self, name: &str, module: Option<&str>) -> Result<Variable, NotFound> {
        let expression = Expression::parse(name).map_err(|_| unknown())?;
        let find = |image: &Image| {
            resolve::type_of(image, &expression, None)
                .map_err(|error| NotFound::Unknown { nearest: error.nearest() })
        };
        let Typed { ty, .. } = self.ask(module, find)?;
        let ty =
            ty.ok_or_else(|| untyped("debug information tells nothing of its type"))?;
        let ty = self.numbers.number(USER, ty).into();
        Ok(Variable { ty, address: None, space: Space::User })
    }

    fn constant(&self, name: &str, module: Option<&str>) -> Result<i64, NotFound> {
        if module == Some(KERNEL_MODULE) {
            let kernel = self.kernel().ok_or_else(|| untyped(NO_BTF))?;
            return kernel.constant(name).ok_or_else(unknown);
        }
        self.ask(module, |image| image.constant(name).ok_or_else(unknown))
    }
}
