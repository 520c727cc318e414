//! Nothing allocates between the clone and the stub: an allocator that ends any process but the one that started it.
#![allow(unsafe_code, reason = "a global allocator and fork have no safe form")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::{AtomicI32, Ordering};

use container_core::spec::Namespace;
use container_core::{ContainerId, Launch, NamespaceKind, Rootfs, Runtime, Spec};
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use test_lane::{Need, Outcome, case};

/// Exit status of a process that allocated where it must not.
const TRAPPED: i32 = 120;
static OWNER: AtomicI32 = AtomicI32::new(0);

struct Trap;

fn check() {
    // SAFETY: getpid takes no argument. The raw call, since a copy of the answer may be cached across clone.
    let pid = unsafe { libc::syscall(libc::SYS_getpid) } as i32;
    let owner = OWNER.load(Ordering::Relaxed);
    if owner != 0 && owner != pid {
        // SAFETY: _exit never returns and runs no handlers.
        unsafe { libc::_exit(TRAPPED) };
    }
}

// SAFETY: both calls go to the system's allocator as they came.
unsafe impl GlobalAlloc for Trap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        check();
        // SAFETY: the caller's promise about `pointer` and `layout` is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static TRAP: Trap = Trap;

fn trap_fires() -> Outcome {
    OWNER.store(nix::unistd::getpid().as_raw(), Ordering::Relaxed);
    // SAFETY: the child does what is tried here, allocating once, and ends.
    let fork = unsafe { fork() }?;
    match fork {
        ForkResult::Child => {
            std::hint::black_box(vec![0_u8; 100]);
            // SAFETY: _exit never returns and runs no handlers.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, TRAPPED) => Ok(()),
            other => Err(format!("the trap did not fire: {other:?}").into()),
        },
    }
}

fn launches_pass() -> Outcome {
    let folder = tempfile::tempdir()?;
    for name in ["proc", "sys", "dev", "bin"] {
        std::fs::create_dir(folder.path().join(name))?;
    }
    std::fs::copy("/bin/busybox", folder.path().join("bin/true"))?;
    let runtime = Runtime::new()?;
    OWNER.store(nix::unistd::getpid().as_raw(), Ordering::Relaxed);
    for round in 0..20 {
        let mut spec = Spec::container(["/bin/true"]);
        spec.linux.namespaces.push(Namespace { kind: NamespaceKind::User, path: None });
        let launch = Launch::new(spec, Rootfs::Path(folder.path().to_owned()));
        let launch = launch.cgroup_parent(format!("/test-{}-noalloc", std::process::id()));
        let container = runtime.run(&ContainerId::new(format!("n{round}"))?, launch)?;
        let status = container.wait()?;
        if !status.success() {
            return Err(format!("{status}").into());
        }
        container.delete()?;
    }
    runtime.remove_cgroup_parent(&format!("/test-{}-noalloc", std::process::id()));
    Ok(())
}

fn main() -> ExitCode {
    const NEEDS: &[Need] = &[Need::UserNamespaces, Need::Path("/bin/busybox")];
    test_lane::main(vec![
        case("the_trap_fires", &[], trap_fires),
        case("no_launch_allocates_in_the_child", NEEDS, launches_pass),
    ])
}
