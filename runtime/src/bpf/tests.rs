use super::*;
use crate::kernel::fake::{Call, Fake, Holdings};

const LAYOUT: TaskLayout = TaskLayout { function: 1, pid: 100, tgid: 104 };

fn fake() -> (Rc<Fake>, Rc<dyn Kernel>) {
    let fake = Rc::new(Fake::new(1, &[1]));
    (Rc::clone(&fake), fake)
}

#[test]
fn memory_is_read_up_to_where_it_ends() {
    let (fake, kernel) = fake();
    let page = 0xffff_8880_0000_2000_u64;
    let content: Vec<u8> = (0..3000_u32).map(|byte| byte as u8).collect();
    fake.set_kernel_memory(page - 1500, &content);
    let reader = KernelReader::open(&kernel).expect("nothing fails");
    let mut all = vec![0; 3000];
    assert_eq!(reader.read(page - 1500, &mut all), 3000);
    assert_eq!(all, content);
    assert_eq!(reader.read(page + 1500, &mut all), 0);
    // What is missing in a piece is missing as a whole.
    assert_eq!(reader.read(page - 8, &mut all), 8 + 5 * 256);
    assert_eq!(reader.read(u64::MAX - 3, &mut all), 0);
    assert_eq!(reader.read(page, &mut []), 0);
    fake.fail(Call::BpfRun, 0, Errno::EINVAL);
    assert_eq!(reader.read(page, &mut all[..4]), 0);
    drop(reader);
    assert_eq!(fake.holdings(), Holdings::default());
}

#[test]
fn tasks_are_found_by_their_ids() {
    let (fake, kernel) = fake();
    let task =
        |tid, tgid| Task { address: 0xffff_8880_0000_0000 + u64::from(tid), tid, tgid };
    fake.set_tasks(&[task(1, 1), task(20, 20), task(21, 20)]);
    let tasks = Tasks::open(&kernel, LAYOUT).expect("nothing fails");
    assert_eq!(tasks.all(), Ok(vec![task(1, 1), task(20, 20), task(21, 20)]));
    assert_eq!(tasks.find(21), Ok(Some(task(21, 20))));
    assert_eq!(tasks.find(22), Ok(None));
    assert_eq!(tasks.find(0), Ok(None));
    fake.fail(Call::BpfIterate, 0, Errno::ESRCH);
    assert_eq!(tasks.find(21), Ok(None));
    fake.fail(Call::Read, 1, Errno::EAGAIN);
    assert_eq!(tasks.all().map(|all| all.len()), Ok(3));
    for (call, nth) in [(Call::BpfIterate, 0), (Call::Read, 1)] {
        fake.fail(call, nth, Errno::ENOMEM);
        assert!(matches!(tasks.all(), Err(BpfError::Failed { .. })), "{call:?}");
    }
    drop(tasks);
    assert_eq!(fake.holdings(), Holdings::default());
}

#[test]
fn what_is_refused_says_why() {
    let (fake, kernel) = fake();
    let refused = |errno| {
        fake.fail(Call::BpfLoad, 0, errno);
        fake.fail(Call::BpfLoad, 1, errno);
        Tasks::open(&kernel, LAYOUT).expect_err("it fails")
    };
    assert_eq!(refused(Errno::EPERM), BpfError::NotPermitted);
    assert_eq!(refused(Errno::ENOSYS), BpfError::Missing("CONFIG_BPF_SYSCALL"));
    let said = refused(Errno::EACCES).to_string();
    let expected = "the kernel refuses the BPF program that finds tasks: EACCES: \
                    Permission denied (R2 is invalid)";
    assert_eq!(said, expected);
    fake.fail(Call::BpfRun, 0, Errno::EPERM);
    let reader = KernelReader::open(&kernel);
    assert_eq!(reader.expect_err("it fails"), BpfError::NotPermitted);
    let far = TaskLayout { pid: u16::MAX, ..LAYOUT };
    assert!(matches!(Tasks::open(&kernel, far), Err(BpfError::Failed { .. })));
    assert_eq!(fake.holdings(), Holdings::default());
}
