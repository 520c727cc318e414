//! The plan of a process that joins a running container. Pure.

use container_child::op::Op;

use super::{Input, identity, program, streams};
use crate::NamespaceKind;
use crate::Result;
use crate::plan::{Builder, FdNeed, LaunchPlan};

/// Compiles the joining of the namespaces in `flags`, with `tasks` v1 groups to be joined first.
///
/// The joining process is the stub from its first instruction: small, its memory its own, not dumpable. So nothing
/// of the host program's memory is ever within reach of the container.
pub(crate) fn join(input: &Input<'_>, flags: u32, tasks: usize) -> Result<LaunchPlan> {
    let mut b = Builder::default();
    super::check::program(input, &mut b);
    b.op(Op::Umask { mask: 0 }, "plan");
    // Needs the host's proc.
    identity::oom_score(input, &mut b);
    for index in 0..tasks {
        let fd = b.fd(FdNeed::Tasks(index));
        let text = b.text("0", "cgroup");
        b.op(Op::Write { fd, text }, "cgroup");
    }
    if flags != 0 {
        let fd = b.fd(FdNeed::Target);
        b.op(Op::Setns { fd, flags }, "container");
    }
    if flags & NamespaceKind::User.flag() != 0 {
        b.op(Op::Become { uid: 0, gid: 0 }, "container");
    }
    if flags & (NamespaceKind::Pid.flag() | NamespaceKind::Time.flag()) != 0 {
        // Only a child is inside the joined pid namespace.
        b.op(Op::Fork {}, "container");
    }
    streams(input, 0, &mut b);
    program::working_folder(input, &mut b);
    identity::limits(input, &mut b);
    identity::user(input, &mut b);
    b.op(Op::Signals {}, "plan");
    b.op(Op::CloseFds {}, "plan");
    identity::lock(input, &mut b);
    program::exec(&input.spec.process.args, &input.spec.process.env, &mut b);
    let process = &input.spec.process;
    b.finish(process.args.first().cloned().unwrap_or_default(), process.cwd.clone())
}
