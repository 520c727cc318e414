//! Steps that change who the process is and what it may do. Their order is the plan's business.

use crate::abi::*;
use crate::op::Op;
use crate::sys::{self, Errno, Plan, Result};

/// Performs the identity steps; anything else is a plan of another version.
pub(crate) fn step(plan: &Plan, op: Op) -> Result<()> {
    match op {
        Op::Rlimit { resource, soft, soft_high, hard, hard_high } => {
            sys::setrlimit(resource, wide(soft, soft_high), wide(hard, hard_high))
        }
        Op::Groups { list } => sys::setgroups(plan.list(list.0)?),
        Op::User { uid, gid } => user(uid, gid),
        Op::Become { uid, gid } => sys::setresgid(gid).and_then(|()| sys::setresuid(uid)),
        Op::Bounding { keep, keep_high, last } => {
            each(!wide(keep, keep_high), last, |capability| sys::prctl(PR_CAPBSET_DROP, capability, 0))
        }
        Op::Caps { effective, effective_high, permitted, permitted_high, inheritable, inheritable_high } => {
            sys::capset([effective, permitted, inheritable, effective_high, permitted_high, inheritable_high])
        }
        Op::Ambient { mask, mask_high, last } => {
            each(wide(mask, mask_high), last, |capability| sys::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability))
        }
        Op::NoNewPrivs {} => sys::prctl(PR_SET_NO_NEW_PRIVS, 1, 0),
        _ => Err(Errno(EINVAL)),
    }
}

const fn wide(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

fn each(mask: u64, last: u32, act: impl Fn(usize) -> Result<()>) -> Result<()> {
    (0..=last.min(63))
        .filter(|capability| mask >> capability & 1 == 1)
        .try_for_each(|capability| act(capability as usize))
}

/// Leaving uid 0 clears the permitted set unless it is kept; the caps op that follows settles it.
fn user(uid: u32, gid: u32) -> Result<()> {
    sys::setresgid(gid)?;
    sys::prctl(PR_SET_KEEPCAPS, 1, 0)?;
    sys::setresuid(uid)?;
    sys::prctl(PR_SET_KEEPCAPS, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::{each, wide};
    use crate::sys::Errno;
    use std::cell::RefCell;

    #[test]
    fn capability_masks_are_walked_up_to_the_last() {
        let seen = RefCell::new(Vec::new());
        let walked = each(wide(0b101, 0b11), 32, |capability| {
            seen.borrow_mut().push(capability);
            Ok(())
        });
        assert_eq!(walked, Ok(()));
        assert_eq!(*seen.borrow(), [0, 2, 32]);
        assert_eq!(each(1, 40, |_| Err(Errno(1))), Err(Errno(1)));
    }
}
