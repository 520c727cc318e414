//! Who the program is and what it may do. The order of the pieces is settled in `compile`.

use container_child::op::Op;

use super::Input;
use crate::options::Missing;
use crate::plan::Builder;
use crate::{caps, seccomp};

const RLIMITS: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

#[allow(clippy::cast_possible_truncation, reason = "splitting a word in two halves")]
pub(super) const fn halves(value: u64) -> (u32, u32) {
    (value as u32, (value >> 32) as u32)
}

pub(super) fn oom_score(input: &Input<'_>, b: &mut Builder) {
    if let Some(score) = input.spec.process.oom_score_adj {
        let text = b.text(&score.to_string(), "process.oomScoreAdj");
        b.op(Op::Adjust { text }, "process.oomScoreAdj");
    }
}

pub(super) fn limits(input: &Input<'_>, b: &mut Builder) {
    for (index, limit) in input.spec.process.rlimits.iter().enumerate() {
        let field = format!("process.rlimits[{index}]");
        let name = limit.kind.strip_prefix("RLIMIT_").unwrap_or(&limit.kind);
        let Some(resource) = RLIMITS.iter().position(|known| *known == name).and_then(|at| u32::try_from(at).ok())
        else {
            b.problem(field, format!("does not know {:?}", limit.kind));
            continue;
        };
        let ((soft, soft_high), (hard, hard_high)) = (halves(limit.soft), halves(limit.hard));
        b.op(Op::Rlimit { resource, soft, soft_high, hard, hard_high }, field);
    }
}

/// The final sets: what is asked for, within what this process may give.
struct Sets {
    bounding: u64,
    effective: u64,
    permitted: u64,
    inheritable: u64,
    ambient: u64,
}

fn sets(input: &Input<'_>) -> Sets {
    let none = crate::spec::Capabilities::default();
    let asked = input.spec.process.capabilities.as_ref().unwrap_or(&none);
    let mask = |names: &[String]| caps::mask(names).unwrap_or(0);
    // Within a new user namespace everything is held; else no more than this machine gives anybody.
    let own = input.makes(crate::NamespaceKind::User) || input.joins(crate::NamespaceKind::User);
    let known = u64::MAX >> (63 - u64::from(input.host.last_capability.min(63)));
    let held = if own { known } else { input.host.bounding & known };
    let permitted = mask(&asked.permitted) & held;
    let inheritable = mask(&asked.inheritable) & permitted;
    Sets {
        bounding: mask(&asked.bounding) & held,
        effective: mask(&asked.effective) & permitted,
        permitted,
        inheritable,
        ambient: mask(&asked.ambient) & inheritable & permitted,
    }
}

/// Groups and bounding set need rights that leaving uid 0 takes away.
pub(super) fn user(input: &Input<'_>, b: &mut Builder) {
    let user = &input.spec.process.user;
    if input.setgroups {
        let list = b.list(&user.additional_gids);
        b.op(Op::Groups { list }, "process.user.additionalGids");
    } else if !user.additional_gids.is_empty() {
        let field = "process.user.additionalGids";
        match input.launch.missing {
            Missing::Degrade => b.not_enforced.push(field.to_owned()),
            Missing::Refuse => b.problem(field, "cannot be set in a user namespace that denies setgroups"),
        }
    }
    let sets = sets(input);
    let (keep, keep_high) = halves(sets.bounding);
    b.op(Op::Bounding { keep, keep_high, last: input.host.last_capability }, "process.capabilities.bounding");
    b.op(Op::User { uid: user.uid, gid: user.gid }, "process.user");
    if needs_admin(input) && user.uid != 0 {
        // Leaving uid 0 emptied the effective set, and loading a filter without no_new_privs needs one right.
        let (effective, effective_high) = halves(caps::SYS_ADMIN);
        let (permitted, permitted_high) = halves(sets.permitted | caps::SYS_ADMIN);
        let op = Op::Caps { effective, effective_high, permitted, permitted_high, inheritable: 0, inheritable_high: 0 };
        b.op(op, "linux.seccomp");
    }
    b.op(Op::Umask { mask: user.umask.unwrap_or(0o022) }, "process.user.umask");
}

/// A filter may be loaded with the right to administrate, or by a process that can gain no privileges.
fn needs_admin(input: &Input<'_>) -> bool {
    input.spec.linux.seccomp.is_some() && !input.spec.process.no_new_privileges
}

pub(super) fn lock(input: &Input<'_>, b: &mut Builder) {
    let sets = sets(input);
    if needs_admin(input) {
        filter(input, b);
        capabilities(&sets, b);
    } else {
        capabilities(&sets, b);
        if input.spec.process.no_new_privileges {
            b.op(Op::NoNewPrivs {}, "process.noNewPrivileges");
        }
        filter(input, b);
    }
}

fn capabilities(sets: &Sets, b: &mut Builder) {
    let (effective, effective_high) = halves(sets.effective);
    let (permitted, permitted_high) = halves(sets.permitted);
    let (inheritable, inheritable_high) = halves(sets.inheritable);
    let op = Op::Caps { effective, effective_high, permitted, permitted_high, inheritable, inheritable_high };
    b.op(op, "process.capabilities");
    if sets.ambient != 0 {
        let (mask, mask_high) = halves(sets.ambient);
        b.op(Op::Ambient { mask, mask_high, last: 63 }, "process.capabilities.ambient");
    }
}

fn filter(input: &Input<'_>, b: &mut Builder) {
    let Some(profile) = &input.spec.linux.seccomp else { return };
    // What the bounding set holds is what the program could ever come to hold.
    match seccomp::flags(profile).and_then(|flags| Ok((seccomp::compile(profile, sets(input).bounding)?, flags))) {
        Ok((filter, flags)) => {
            let program = b.program(&filter);
            b.op(Op::Seccomp { program, flags }, "linux.seccomp");
        }
        Err(problem) => b.problems.push(problem),
    }
}
