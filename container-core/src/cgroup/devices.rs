//! Device rules: lines for version 1, a small program for version 2.

use super::{CgroupPlan, Hierarchy};
use crate::host::Host;
use crate::spec::DeviceRule;
use crate::{Error, Problem, Result};

/// Adds the rules to the plan where they can be enforced. Inside a user namespace no device can be made, so rules
/// have nothing to do there.
pub(super) fn add(plan: &mut CgroupPlan, rules: &[DeviceRule], host: &Host) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    if let Some(group) = plan.groups.iter_mut().find(|group| group.v1_controller() == Some("devices")) {
        for rule in rules {
            let file = if rule.allow { "devices.allow" } else { "devices.deny" };
            group.writes.push((file.to_owned(), line(rule)?));
        }
        return Ok(());
    }
    let unified = plan.groups.iter().any(|group| group.hierarchy == Hierarchy::Unified);
    if unified && host.makes_devices() {
        plan.device_program = program(rules)?;
    } else if host.makes_devices() {
        plan.not_enforced.push("linux.resources.devices".to_owned());
    }
    Ok(())
}

fn number(value: Option<i64>) -> String {
    value.filter(|value| *value >= 0).map_or_else(|| "*".to_owned(), |value| value.to_string())
}

fn parts(rule: &DeviceRule) -> Result<(char, &str)> {
    let kind = rule.kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("a");
    let access = rule.access.as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
    let known = matches!(kind, "a" | "b" | "c") && access.chars().all(|c| "rwm".contains(c));
    match kind.chars().next().filter(|_| known) {
        Some(kind) => Ok((kind, access)),
        None => Err(Error::InvalidSpec {
            problems: vec![Problem {
                field: "linux.resources.devices".to_owned(),
                what: format!("has a rule for type {kind:?} and access {access:?}"),
            }],
        }),
    }
}

fn line(rule: &DeviceRule) -> Result<String> {
    let (kind, access) = parts(rule)?;
    // The kernel takes a bare `a` for everything.
    if kind == 'a' {
        return Ok("a".to_owned());
    }
    Ok(format!("{kind} {}:{} {access}", number(rule.major), number(rule.minor)))
}

const fn insn(code: u8, dst: u8, src: u8, offset: i16, imm: i32) -> u64 {
    code as u64
        | ((src << 4 | dst) as u64) << 8
        | (offset.cast_unsigned() as u64) << 16
        | (imm.cast_unsigned() as u64) << 32
}

/// Registers: 1 the context, then 2 type, 3 access, 4 major, 5 minor.
const LOAD_WORD: u8 = 0x61;
const MOV_REG: u8 = 0xbc;
const MOV_IMM: u8 = 0xb7;
const AND_IMM: u8 = 0x54;
const RSH_IMM: u8 = 0x74;
const JNE_IMM: u8 = 0x55;
const JNE_REG: u8 = 0x5d;
const EXIT: u8 = 0x95;

/// The last rule that fits decides, so they are tried from the last to the first; nothing fits: denied.
fn program(rules: &[DeviceRule]) -> Result<Vec<u64>> {
    let mut code = vec![
        insn(LOAD_WORD, 2, 1, 0, 0),
        insn(AND_IMM, 2, 0, 0, 0xffff),
        insn(LOAD_WORD, 3, 1, 0, 0),
        insn(RSH_IMM, 3, 0, 0, 16),
        insn(LOAD_WORD, 4, 1, 4, 0),
        insn(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let (kind, access) = parts(rule)?;
        let mut tests = Vec::new();
        if kind != 'a' {
            tests.push(vec![(JNE_IMM, 2_u8, 0_u8, if kind == 'b' { 1 } else { 2 })]);
        }
        let bits = access.chars().fold(0, |bits, c| {
            bits | if c == 'm' {
                1
            } else if c == 'r' {
                2
            } else {
                4
            }
        });
        let numbers = if kind == 'a' { [None, None] } else { [rule.major, rule.minor] };
        let body_access = bits != 7 && kind != 'a';
        for (register, value) in [4_u8, 5].into_iter().zip(numbers) {
            if let Some(value) = value.filter(|value| *value >= 0).and_then(|value| i32::try_from(value).ok()) {
                tests.push(vec![(JNE_IMM, register, 0, value)]);
            }
        }
        emit(&mut code, &tests, body_access.then_some(bits), rule.allow);
        if tests.is_empty() && !body_access {
            // It fits always: what follows could never be reached, which the kernel refuses.
            return Ok(code);
        }
    }
    code.extend([insn(MOV_IMM, 0, 0, 0, 0), insn(EXIT, 0, 0, 0, 0)]);
    Ok(code)
}

/// One rule: its tests, each of which jumps behind the rule when it does not fit, then the verdict.
///
/// An allowing rule fits when all that is asked for is in it; a denying one when anything asked for is.
fn emit(code: &mut Vec<u64>, tests: &[Vec<(u8, u8, u8, i32)>], bits: Option<i32>, allow: bool) {
    let access = bits.map_or(0, |_| 3);
    let mut left = tests.len() + access + 2;
    let mut jump = |code: &mut Vec<u64>, op: u8, dst: u8, src: u8, imm: i32| {
        left -= 1;
        code.push(insn(op, dst, src, i16::try_from(left).unwrap_or(i16::MAX), imm));
    };
    for &(op, dst, src, imm) in tests.iter().flatten() {
        jump(code, op, dst, src, imm);
    }
    if let Some(bits) = bits {
        code.push(insn(MOV_REG, 6, 3, 0, 0));
        code.push(insn(AND_IMM, 6, 0, 0, bits));
        let (op, src) = if allow { (JNE_REG, 3) } else { (0x15, 0) };
        code.push(insn(op, 6, src, 2, 0));
    }
    code.extend([insn(MOV_IMM, 0, 0, 0, i32::from(allow)), insn(EXIT, 0, 0, 0, 0)]);
}

#[cfg(test)]
mod tests {
    use super::{line, program};
    use crate::spec::DeviceRule;

    fn rule(allow: bool, kind: &str, numbers: [i64; 2], access: &str) -> DeviceRule {
        DeviceRule {
            allow,
            kind: Some(kind.into()),
            major: Some(numbers[0]),
            minor: Some(numbers[1]),
            access: Some(access.into()),
        }
    }

    /// Runs the program as the kernel would: just the instructions that `program` makes.
    fn verdict(code: &[u64], kind: u32, access: u32, major: u32, minor: u32) -> u64 {
        let context = [kind | access << 16, major, minor];
        let mut registers = [0_u64; 11];
        let mut at = 0_usize;
        loop {
            let insn = code[at];
            let (op, dst, src) = (insn as u8, (insn >> 8 & 15) as usize, (insn >> 12 & 15) as usize);
            let (offset, imm) = ((insn >> 16) as i16, (insn >> 32) as u32);
            at += 1;
            match op {
                0x61 => registers[dst] = context[offset as usize / 4].into(),
                0xbc => registers[dst] = registers[src],
                0xb7 => registers[dst] = imm.into(),
                0x54 => registers[dst] &= u64::from(imm),
                0x74 => registers[dst] >>= imm,
                0x55 if registers[dst] != u64::from(imm) => at = at.wrapping_add_signed(offset.into()),
                0x5d if registers[dst] != registers[src] => at = at.wrapping_add_signed(offset.into()),
                0x15 if registers[dst] == u64::from(imm) => at = at.wrapping_add_signed(offset.into()),
                0x55 | 0x5d | 0x15 => {}
                0x95 => return registers[0],
                other => panic!("{other:#x}"),
            }
        }
    }

    #[test]
    fn lines_and_programs_decide_alike() {
        let rules = [
            rule(false, "a", [-1, -1], "rwm"),
            rule(true, "c", [-1, -1], "m"),
            rule(true, "c", [1, 3], "rwm"),
            rule(true, "b", [8, -1], "r"),
            rule(false, "c", [5, 1], "w"),
        ];
        assert_eq!(line(&rules[0]).unwrap(), "a");
        assert_eq!(line(&rules[3]).unwrap(), "b 8:* r");
        let code = program(&rules).unwrap();
        let (mknod, read, write) = (1, 2, 4);
        assert_eq!(verdict(&code, 2, read | write, 1, 3), 1);
        assert_eq!(verdict(&code, 2, mknod, 9, 9), 1);
        assert_eq!(verdict(&code, 2, read, 9, 9), 0);
        assert_eq!(verdict(&code, 1, read, 8, 5), 1);
        assert_eq!(verdict(&code, 1, read | write, 8, 5), 0);
        assert_eq!(verdict(&code, 2, write, 5, 1), 0);
        assert_eq!(verdict(&code, 1, read, 1, 3), 0);
    }

    #[test]
    fn unknown_types_are_refused() {
        assert!(line(&rule(true, "x", [1, 1], "r")).is_err());
        assert!(line(&rule(true, "c", [1, 1], "rx")).is_err());
    }
}
