//! The compiler against a plain reading of the rules, call by call, through an interpreter of the programs.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::calls::{self, Abi};
use super::rules::{self, Rules, Test};
use super::{compile, program};
use crate::caps;
use crate::spec::{Seccomp, SeccompArg, SeccompRule};

/// Runs a classic program as the kernel would: just the instructions that `program` makes. Also counts its steps.
fn run(code: &[u64], machine: u32, number: u32, args: [u64; 6]) -> (u32, usize) {
    let (mut at, mut a, mut steps) = (0, 0_u32, 0);
    loop {
        let insn = code[at];
        let (op, jt, jf, k) =
            (insn as u16, (insn >> 16 & 0xff) as usize, (insn >> 24 & 0xff) as usize, (insn >> 32) as u32);
        at += 1;
        steps += 1;
        let mut jump = |holds: bool| at += if holds { jt } else { jf };
        match op {
            0x20 => {
                a = match k {
                    0 => number,
                    4 => machine,
                    _ => (args[(k as usize - 16) / 8] >> if k % 8 == 4 { 32 } else { 0 }) as u32,
                }
            }
            0x05 => at += k as usize,
            0x15 => jump(a == k),
            0x25 => jump(a > k),
            0x35 => jump(a >= k),
            0x54 => a &= k,
            0x06 => return (k, steps),
            other => panic!("{other:#x}"),
        }
    }
}

/// The rules read in order, without any tree.
fn plain(rules: &Rules, names: &BTreeMap<u32, &str>, number: u32, args: [u64; 6]) -> u32 {
    if number > *names.last_key_value().unwrap().0 {
        return if rules.default >> 16 == 5 { 0x0005_0026 } else { rules.default };
    }
    let found = names.get(&number).and_then(|name| rules.calls.get(name));
    let Some(list) = found else { return rules.default };
    let holds = |(index, test): &(u32, Test)| {
        let value = args[*index as usize];
        match *test {
            Test::Within(start, end) => (start..=end).contains(&value),
            Test::Not(other) => value != other,
            Test::Masked(mask, other) => value & mask == other,
        }
    };
    let conditional = list.iter().filter(|rule| !rule.tests.is_empty()).find(|rule| rule.tests.iter().all(holds));
    let always = list.iter().find(|rule| rule.tests.is_empty());
    conditional.or(always).map_or(rules.default, |rule| rule.action)
}

fn agree(rules: &Rules, abis: &[Abi], values: &[u64]) {
    let code = program::emit(rules, abis);
    let names = |abi: Abi| -> BTreeMap<u32, &'static str> {
        calls::all().values().filter_map(|call| Some((call.number(abi)?, call.name))).collect()
    };
    let marked = names(Abi::X32);
    for abi in abis {
        let plainly = names(*abi);
        let numbers: Vec<u32> = match abi {
            Abi::X32 => (0x4000_0000..0x4000_0240).collect(),
            _ => (0..520).chain([0x3fff_ffff, u32::MAX]).collect(),
        };
        for number in numbers {
            // Above the marking bit is the other convention's realm.
            let own = if number >= 0x4000_0000 && abi.audit() == Abi::X32.audit() { &marked } else { &plainly };
            for &value in values {
                let args = [value, value.rotate_left(7), value, 0, value, 1];
                let (verdict, _) = run(&code, abi.audit(), number, args);
                assert_eq!(verdict, plain(rules, own, number, args), "{abi:?} {number} {value:#x}");
            }
        }
    }
}

const VALUES: [u64; 14] = [0, 1, 8, 12, 13, 16, 38, 40, 45, 0x2_0000, 0x1000_0000, 0xffff_ffff, 1 << 32, u64::MAX];

#[test]
fn the_default_profile_decides_every_call_as_it_reads() {
    let administrator = caps::mask(&["CAP_SYS_ADMIN".to_owned()]).unwrap();
    for capabilities in [0, administrator, u64::MAX] {
        let rules = rules::read(&Seccomp::docker_default(), capabilities).unwrap();
        agree(&rules, &[Abi::X86_64, Abi::I386, Abi::X32], &VALUES);
        agree(&rules, &[Abi::Aarch64], &VALUES);
    }
}

#[test]
fn well_known_verdicts() {
    let code = compile(&Seccomp::docker_default(), 0).unwrap();
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let verdict = |number, first| run(&code, Abi::X86_64.audit(), number, [first, 0, 0, 0, 0, 0]).0;
    let (allow, refuse) = (0x7fff_0000, 0x0005_0001);
    assert_eq!(verdict(0, 0), allow, "read");
    assert_eq!(verdict(59, 0), allow, "execve");
    assert_eq!(verdict(165, 0), refuse, "mount");
    assert_eq!(verdict(41, 2), allow, "socket(AF_INET)");
    assert_eq!(verdict(41, 40), refuse, "socket(AF_VSOCK)");
    assert_eq!(verdict(41, 38), refuse, "socket(AF_ALG)");
    assert_eq!(verdict(56, 0x11), allow, "clone(SIGCHLD)");
    assert_eq!(verdict(56, 0x1000_0000), refuse, "clone(CLONE_NEWUSER)");
    assert_eq!(verdict(435, 0), 0x0005_0026, "clone3");
    assert_eq!(verdict(425, 0), refuse, "io_uring_setup");
    assert_eq!(verdict(100_000, 0), 0x0005_0026, "a call of the future");
    assert_eq!(run(&code, 0xc000_00b7, 0, [0; 6]).0, 0x8000_0000, "another machine");
}

/// Both bounds matter: the kernel reads the whole program at every launch and walks it at every call.
#[test]
fn the_program_is_short_and_shallow() {
    let rules = rules::read(&Seccomp::docker_default(), 0).unwrap();
    let code = program::emit(&rules, &[Abi::X86_64, Abi::I386, Abi::X32]);
    assert!(code.len() < 560, "{} instructions", code.len());
    let deepest = (0..500).map(|number| run(&code, Abi::X86_64.audit(), number, [0; 6]).1).max().unwrap();
    assert!(deepest < 32, "{deepest} steps");
}

#[test]
fn a_profile_for_one_convention_ends_processes_that_use_another() {
    let profile = Seccomp {
        default_action: "SCMP_ACT_ALLOW".into(),
        architectures: vec!["SCMP_ARCH_X86_64".into()],
        ..Seccomp::default()
    };
    let code = program::emit(&rules::read(&profile, 0).unwrap(), &[Abi::X86_64, Abi::I386, Abi::X32]);
    assert_eq!(run(&code, Abi::X86_64.audit(), 1, [0; 6]).0, 0x7fff_0000);
    assert_eq!(run(&code, Abi::X86_64.audit(), 0x4000_0001, [0; 6]).0, 0x8000_0000);
    assert_eq!(run(&code, Abi::I386.audit(), 1, [0; 6]).0, 0x8000_0000);
}

#[test]
fn what_is_not_understood_is_refused() {
    let with = |profile: Seccomp| compile(&profile, 0).map(|_| ()).map_err(|problem| problem.field);
    let base = Seccomp { default_action: "SCMP_ACT_ALLOW".into(), ..Seccomp::default() };
    assert_eq!(with(base.clone()), Ok(()));
    assert!(with(Seccomp { default_action: "SCMP_ACT_NOTIFY".into(), ..base.clone() }).is_err());
    assert!(with(Seccomp { profile: Some("other".into()), ..base.clone() }).is_err());
    let rule = |op: &str, index| SeccompRule {
        names: vec!["read".into()],
        action: "SCMP_ACT_ERRNO".into(),
        args: vec![SeccompArg { index, op: op.into(), ..SeccompArg::default() }],
        ..SeccompRule::default()
    };
    assert!(with(Seccomp { syscalls: vec![rule("SCMP_CMP_ODD", 0)], ..base.clone() }).is_err());
    assert!(with(Seccomp { syscalls: vec![rule("SCMP_CMP_EQ", 6)], ..base }).is_err());
}

fn arg() -> impl Strategy<Value = SeccompArg> {
    let op = prop::sample::select(vec!["EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"]);
    let value = prop::sample::select(VALUES.to_vec());
    (0..6_u32, value.clone(), value, op).prop_map(|(index, value, other, op)| SeccompArg {
        index,
        value,
        value_two: other & value,
        op: format!("SCMP_CMP_{op}"),
    })
}

fn rule() -> impl Strategy<Value = SeccompRule> {
    let names: Vec<String> = calls::all().keys().map(|&name| name.to_owned()).collect();
    let action = prop::sample::select(vec!["SCMP_ACT_ALLOW", "SCMP_ACT_KILL", "SCMP_ACT_TRAP", "SCMP_ACT_LOG"]);
    (prop::sample::subsequence(names, 1..20), action, prop::collection::vec(arg(), 0..4))
        .prop_map(|(names, action, args)| SeccompRule { names, action: action.into(), args, ..SeccompRule::default() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn any_profile_decides_every_call_as_it_reads(syscalls in prop::collection::vec(rule(), 0..12)) {
        let profile = Seccomp { default_action: "SCMP_ACT_ERRNO".into(), syscalls, ..Seccomp::default() };
        agree(&rules::read(&profile, 0).unwrap(), &[Abi::X86_64, Abi::I386, Abi::X32], &VALUES[..8]);
    }
}

#[test]
fn a_profile_written_out_means_the_same() {
    let capabilities = ["CAP_CHOWN".to_owned(), "CAP_SYS_CHROOT".to_owned()];
    let written = Seccomp::docker_default().written_out(&capabilities).unwrap();
    let mask = caps::mask(&capabilities).unwrap();
    let ours = rules::read(&Seccomp::docker_default(), mask).unwrap();
    let code = program::emit(&ours, Abi::native());
    let theirs = program::emit(&rules::read(&written, mask).unwrap(), Abi::native());
    for abi in Abi::native() {
        for number in 0..520 {
            for value in [0, 1, 2, 12, 16, 17, 40, 0x0002_0000, 0x1000_0000, u64::from(u32::MAX)] {
                let args = [value, 0, 0, 0, 0, 0];
                let (one, _) = run(&code, abi.audit(), number, args);
                let (other, _) = run(&theirs, abi.audit(), number, args);
                assert_eq!(one, other, "{abi:?} {number} {value:#x}");
            }
        }
    }
}
