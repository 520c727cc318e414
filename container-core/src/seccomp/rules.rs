//! What happens to each call, by name.

use std::collections::BTreeMap;

use super::{DOCKER_DEFAULT, calls, holds_any, problem};
use crate::Problem;
use crate::spec::{Seccomp, SeccompArg};

/// A verdict as the kernel spells it.
pub(super) type Action = u32;

pub(super) const ALLOW: Action = 0x7fff_0000;
pub(super) const ERRNO: Action = 0x0005_0000;
pub(super) const KILL_PROCESS: Action = 0x8000_0000;
const EPERM: u32 = 1;
pub(super) const ENOSYS: u32 = 38;

/// A comparison with one 64-bit argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    /// Within both bounds.
    Within(u64, u64),
    /// Not this value.
    Not(u64),
    /// Equal after masking.
    Masked(u64, u64),
}

/// A rule for a call: all tests hold, then the action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) tests: Vec<(u32, Test)>,
    pub(super) action: Action,
}

/// A profile, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) default: Action,
    /// Conventions that are covered; any other ends the process.
    pub(super) names: Option<Vec<String>>,
    pub(super) calls: BTreeMap<&'static str, Vec<Rule>>,
}

/// Reads a profile for a process with these capabilities.
pub(super) fn read(profile: &Seccomp, capabilities: u64) -> Result<Rules, Problem> {
    match profile.profile.as_deref() {
        Some(DOCKER_DEFAULT) => Ok(docker(capabilities)),
        Some(other) => Err(problem("profile", format!("does not know {other:?}"))),
        None => custom(profile),
    }
}

fn custom(profile: &Seccomp) -> Result<Rules, Problem> {
    let default = action(&profile.default_action, profile.default_errno_ret)?;
    let mut rules = Rules { default, names: None, calls: BTreeMap::new() };
    if !profile.architectures.is_empty() {
        rules.names = Some(profile.architectures.clone());
    }
    for entry in &profile.syscalls {
        let action = action(&entry.action, entry.errno_ret)?;
        let tests = entry.args.iter().map(test).collect::<Result<Vec<_>, _>>()?;
        for name in &entry.names {
            // A name of another machine or a newer kernel says nothing here.
            if let Some(call) = calls::all().get(name.as_str()) {
                rules.calls.entry(call.name).or_default().push(Rule { tests: tests.clone(), action });
            }
        }
    }
    Ok(rules)
}

fn action(name: &str, errno: Option<u32>) -> Result<Action, Problem> {
    let data = |default| errno.unwrap_or(default) & 0xffff;
    Ok(match name {
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_ERRNO" => ERRNO | data(EPERM),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => KILL_PROCESS,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 | data(EPERM),
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        other => return Err(problem("action", format!("{other:?} is not supported"))),
    })
}

fn test(arg: &SeccompArg) -> Result<(u32, Test), Problem> {
    if arg.index > 5 {
        return Err(problem("args", format!("index {} is above 5", arg.index)));
    }
    let (value, last) = (arg.value, u64::MAX);
    // An empty range stands for a test that never holds.
    let test = match arg.op.as_str() {
        "SCMP_CMP_EQ" => Test::Within(value, value),
        "SCMP_CMP_NE" => Test::Not(value),
        "SCMP_CMP_LT" => value.checked_sub(1).map_or(Test::Within(1, 0), |end| Test::Within(0, end)),
        "SCMP_CMP_LE" => Test::Within(0, value),
        "SCMP_CMP_GT" => value.checked_add(1).map_or(Test::Within(1, 0), |start| Test::Within(start, last)),
        "SCMP_CMP_GE" => Test::Within(value, last),
        "SCMP_CMP_MASKED_EQ" => Test::Masked(value, arg.value_two),
        other => return Err(problem("args", format!("does not know {other:?}"))),
    };
    Ok((arg.index, test))
}

/// Docker's default profile: a list of what is allowed, some of it for certain capabilities only.
fn docker(capabilities: u64) -> Rules {
    let mut rules = Rules { default: ERRNO | EPERM, names: None, calls: BTreeMap::new() };
    for call in calls::all().values() {
        let made = match call.policy {
            "+" => vec![Rule { tests: vec![], action: ALLOW }],
            "-" => continue,
            "?" => by_arguments(call.name, capabilities),
            names if holds_any(capabilities, names) => vec![Rule { tests: vec![], action: ALLOW }],
            _ => continue,
        };
        rules.calls.insert(call.name, made);
    }
    rules
}

/// Socket families without a history of holes; DECnet, Econet, IrDA, CAIF, ALG, VSOCK and their like are not here.
const FAMILIES: [(u64, u64); 8] = [(0, 11), (13, 18), (21, 22), (24, 24), (26, 33), (35, 36), (39, 39), (41, 45)];
/// Linux, UNAME26 and ADDR_NO_RANDOMIZE combinations that programs use, and the query.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// Every flag of clone that makes a namespace.
const NAMESPACE_FLAGS: u64 = 0x7e02_0000;

fn by_arguments(name: &str, capabilities: u64) -> Vec<Rule> {
    let allow = |test| Rule { tests: vec![(0, test)], action: ALLOW };
    let administrator = holds_any(capabilities, "SYS_ADMIN");
    match name {
        "socket" => FAMILIES.iter().map(|&(a, b)| allow(Test::Within(a, b))).collect(),
        "personality" => PERSONALITIES.iter().map(|&value| allow(Test::Within(value, value))).collect(),
        "clone" | "clone3" if administrator => vec![Rule { tests: vec![], action: ALLOW }],
        "clone" => vec![allow(Test::Masked(NAMESPACE_FLAGS, 0))],
        // Its flags are behind a pointer that no filter can follow; "no such call" makes libraries use clone.
        _ => vec![Rule { tests: vec![], action: ERRNO | ENOSYS }],
    }
}
