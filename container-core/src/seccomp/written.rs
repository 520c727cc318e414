//! Rules written back as a specification's: what a built-in profile would look like in `config.json`.
//!
//! Absent: flags, and machines other than this one's conventions.

use super::rules::{ALLOW, ERRNO, KILL_PROCESS, Rule, Rules, Test};
use crate::spec::{Seccomp, SeccompArg, SeccompRule};

/// Beyond this many values a range is no longer written as one rule a value.
const WIDEST: u64 = 64;

/// Writes rules out; nothing when the format cannot say one of them.
pub(super) fn out(rules: &Rules) -> Option<Seccomp> {
    let (default_action, default_errno_ret) = action(rules.default)?;
    let mut syscalls: Vec<SeccompRule> = Vec::new();
    for (name, list) in &rules.calls {
        for rule in list {
            for args in alternatives(rule)? {
                let (action, errno_ret) = action(rule.action)?;
                let same = |known: &&mut SeccompRule| {
                    (&known.action, known.errno_ret, &known.args) == (&action, errno_ret, &args)
                };
                match syscalls.iter_mut().find(same) {
                    Some(known) => known.names.push((*name).to_owned()),
                    None => syscalls.push(SeccompRule { names: vec![(*name).to_owned()], action, errno_ret, args }),
                }
            }
        }
    }
    let architectures = super::Abi::native().iter().map(|abi| abi.profile_name().to_owned()).collect();
    Some(Seccomp { default_action, default_errno_ret, architectures, syscalls, ..Seccomp::default() })
}

fn action(action: u32) -> Option<(String, Option<u32>)> {
    let data = action & 0xffff;
    match action & 0xffff_0000 {
        ERRNO => Some(("SCMP_ACT_ERRNO".to_owned(), Some(data))),
        ALLOW => Some(("SCMP_ACT_ALLOW".to_owned(), None)),
        KILL_PROCESS => Some(("SCMP_ACT_KILL_PROCESS".to_owned(), None)),
        _ => None,
    }
}

/// The conditions of a rule, as one list per value of a range: the format compares an argument once per rule.
fn alternatives(rule: &Rule) -> Option<Vec<Vec<SeccompArg>>> {
    let mut all = vec![Vec::new()];
    for &(index, test) in &rule.tests {
        let arg = |op: &str, value, value_two| SeccompArg { index, value, value_two, op: op.to_owned() };
        let choices: Vec<SeccompArg> = match test {
            Test::Within(start, end) if end.wrapping_sub(start) <= WIDEST => {
                (start..=end).map(|value| arg("SCMP_CMP_EQ", value, 0)).collect()
            }
            Test::Within(..) => return None,
            Test::Not(value) => vec![arg("SCMP_CMP_NE", value, 0)],
            Test::Masked(mask, value) => vec![arg("SCMP_CMP_MASKED_EQ", mask, value)],
        };
        all = all
            .iter()
            .flat_map(|before: &Vec<SeccompArg>| {
                choices.iter().map(|choice| before.iter().cloned().chain([choice.clone()]).collect())
            })
            .collect();
    }
    Some(all)
}
