//! The filter's program: check the machine, find the number's range in a tree, return or look at the arguments.
//!
//! Jumps go forward only, as the kernel demands. Blocks that look at arguments are shared by all conventions and lie
//! behind the trees.

use super::calls::{self, Abi, X32_BIT};
use super::rules::{Action, ENOSYS, ERRNO, KILL_PROCESS, Rule, Rules, Test};

const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_NOT_LESS: u16 = 0x35;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
/// Offsets in the kernel's description of a call.
const NUMBER: u32 = 0;
const MACHINE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// What a number leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaf {
    Return(Action),
    /// Index of a block that looks at the arguments.
    Block(usize),
}

#[derive(Debug, Default)]
struct Code {
    insns: Vec<u64>,
    /// Jumps whose block has no place yet.
    pending: Vec<(usize, usize)>,
    blocks: Vec<Vec<Rule>>,
}

const fn insn(code: u16, jt: u8, jf: u8, k: u32) -> u64 {
    code as u64 | (jt as u64) << 16 | (jf as u64) << 24 | (k as u64) << 32
}

fn small(value: usize) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

fn word(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Emits the program for the machine's conventions.
pub(super) fn emit(rules: &Rules, abis: &[Abi]) -> Vec<u64> {
    let mut code = Code::default();
    code.insns.push(insn(LOAD, 0, 0, MACHINE));
    let mut machines: Vec<u32> = abis.iter().filter(|abi| covers(rules, **abi)).map(|abi| abi.audit()).collect();
    machines.dedup();
    for machine in machines {
        let mut part = Code { blocks: std::mem::take(&mut code.blocks), ..Code::default() };
        part.insns.push(insn(LOAD, 0, 0, NUMBER));
        let ranges = layout(rules, machine, &mut part.blocks);
        if !compact(&ranges, &mut part) {
            tree(&ranges, &mut part);
        }
        // Not this machine: behind its part.
        code.insns.push(insn(JUMP_EQUAL, 1, 0, machine));
        code.insns.push(insn(JUMP, 0, 0, word(part.insns.len())));
        let base = code.insns.len();
        code.insns.append(&mut part.insns);
        code.pending.extend(part.pending.into_iter().map(|(at, block)| (at + base, block)));
        code.blocks = part.blocks;
    }
    code.insns.push(insn(RETURN, 0, 0, KILL_PROCESS));
    blocks(&mut code, rules.default);
    code.insns
}

fn covers(rules: &Rules, abi: Abi) -> bool {
    rules.names.as_ref().is_none_or(|names| names.iter().any(|name| name == abi.profile_name()))
}

/// All numbers of a machine: its own convention's, and where there is one, the second one's above the marking bit.
fn layout(rules: &Rules, machine: u32, blocks: &mut Vec<Vec<Rule>>) -> Vec<(u32, Leaf)> {
    let mut ranges = Vec::new();
    for (abi, first) in [(Abi::X86_64, 0), (Abi::I386, 0), (Abi::Aarch64, 0), (Abi::X32, X32_BIT)] {
        if abi.audit() != machine {
            continue;
        }
        if covers(rules, abi) {
            ranges.extend(complete(&ranges_of(rules, abi, blocks), abi, first, rules.default));
        } else {
            ranges.push((first, Leaf::Return(KILL_PROCESS)));
        }
    }
    ranges
}

/// The numbers that the rules name, each with its leaf.
fn ranges_of(rules: &Rules, abi: Abi, blocks: &mut Vec<Vec<Rule>>) -> Vec<(u32, Leaf)> {
    let mut found = Vec::new();
    for (name, rules) in &rules.calls {
        let Some(number) = calls::all().get(name).and_then(|call| call.number(abi)) else { continue };
        let leaf = match rules.iter().find(|rule| rule.tests.is_empty()) {
            // Without tests before it, the unconditional rule is all there is.
            Some(rule) if rules.iter().all(|other| other.tests.is_empty() || other.action == rule.action) => {
                Leaf::Return(rule.action)
            }
            _ => Leaf::Block(blocks.iter().position(|known| known == rules).unwrap_or_else(|| {
                blocks.push(rules.clone());
                blocks.len() - 1
            })),
        };
        found.push((number, leaf));
    }
    found.sort_unstable_by_key(|(number, _)| *number);
    found
}

/// Fills the gaps with the default, joins neighbours that agree, and answers "no such call" for numbers above all
/// that are known: libraries try new calls and fall back when told so.
fn complete(found: &[(u32, Leaf)], abi: Abi, first: u32, default: Action) -> Vec<(u32, Leaf)> {
    let mut ranges: Vec<(u32, Leaf)> = Vec::new();
    let mut push = |start: u32, leaf: Leaf| {
        if ranges.last().is_some_and(|(last, _)| *last == start) {
            ranges.pop();
        }
        if ranges.last().is_none_or(|(_, known)| *known != leaf) {
            ranges.push((start, leaf));
        }
    };
    push(first, Leaf::Return(default));
    for &(number, leaf) in found {
        push(number, leaf);
        push(number + 1, Leaf::Return(default));
    }
    let newest = calls::all().values().filter_map(|call| call.number(abi)).max().unwrap_or(first);
    let unknown = if default & 0xffff_0000 == ERRNO { ERRNO | ENOSYS } else { default };
    push(newest + 1, Leaf::Return(unknown));
    ranges
}

/// Where a step of the compact search leads.
#[derive(Debug, Clone, Copy)]
enum Target {
    Step(usize),
    Leaf(Leaf),
}

/// A binary search whose leaves are shared: one instruction for each boundary between ranges. Conditional jumps
/// reach 255 instructions; tells whether that was enough, else nothing is emitted.
fn compact(ranges: &[(u32, Leaf)], code: &mut Code) -> bool {
    let mut steps = Vec::new();
    let root = search(ranges, &mut steps);
    let mut leaves: Vec<Leaf> = Vec::new();
    for target in steps.iter().flat_map(|&(_, yes, no)| [yes, no]).chain([root]) {
        match target {
            Target::Leaf(leaf) if !leaves.contains(&leaf) => leaves.push(leaf),
            _ => {}
        }
    }
    if steps.len() + leaves.len() > usize::from(u8::MAX) {
        return false;
    }
    let place = |target| match target {
        Target::Step(at) => at,
        Target::Leaf(leaf) => steps.len() + leaves.iter().position(|known| *known == leaf).unwrap_or(0),
    };
    for (at, &(k, yes, no)) in steps.iter().enumerate() {
        let (jt, jf) = (place(yes) - at - 1, place(no) - at - 1);
        code.insns.push(insn(JUMP_NOT_LESS, small(jt), small(jf), k));
    }
    leaves.iter().for_each(|leaf| emit_leaf(*leaf, code));
    true
}

/// Lists the steps of the search, each before those it leads to.
fn search(ranges: &[(u32, Leaf)], steps: &mut Vec<(u32, Target, Target)>) -> Target {
    let (left, right) = ranges.split_at(ranges.len() / 2);
    match (left, right) {
        ([], [(_, leaf)]) => Target::Leaf(*leaf),
        (_, []) => Target::Leaf(Leaf::Return(KILL_PROCESS)),
        (left, right) => {
            let at = steps.len();
            steps.push((right[0].0, Target::Step(at), Target::Step(at)));
            let no = search(left, steps);
            let yes = search(right, steps);
            steps[at] = (right[0].0, yes, no);
            Target::Step(at)
        }
    }
}

fn emit_leaf(leaf: Leaf, code: &mut Code) {
    match leaf {
        Leaf::Return(action) => code.insns.push(insn(RETURN, 0, 0, action)),
        Leaf::Block(block) => {
            code.pending.push((code.insns.len(), block));
            code.insns.push(insn(JUMP, 0, 0, 0));
        }
    }
}

/// A binary search over the starts of ranges, of any size.
fn tree(ranges: &[(u32, Leaf)], code: &mut Code) {
    match ranges {
        [] => {}
        [(_, leaf)] => emit_leaf(*leaf, code),
        _ => {
            let (left, right) = ranges.split_at(ranges.len() / 2);
            let at = code.insns.len();
            code.insns.push(0);
            tree(left, code);
            let skipped = code.insns.len() - at - 1;
            if skipped <= usize::from(u8::MAX) {
                code.insns[at] = insn(JUMP_NOT_LESS, small(skipped), 0, right[0].0);
            } else {
                // Too far for a conditional jump: over a long one. Jumps noted inside move by one.
                code.insns[at] = insn(JUMP_NOT_LESS, 0, 1, right[0].0);
                code.insns.insert(at + 1, insn(JUMP, 0, 0, word(skipped)));
                for (noted, _) in &mut code.pending {
                    *noted += usize::from(*noted > at);
                }
            }
            tree(right, code);
        }
    }
}

/// Places every block and points the noted jumps at it.
fn blocks(code: &mut Code, default: Action) {
    let blocks = std::mem::take(&mut code.blocks);
    let mut places = Vec::with_capacity(blocks.len());
    for rules in &blocks {
        places.push(code.insns.len());
        match alternatives(rules) {
            Some((index, ranges, action)) => ranges_block(index, &ranges, action, default, &mut code.insns),
            None => general_block(rules, default, &mut code.insns),
        }
    }
    for (at, block) in std::mem::take(&mut code.pending) {
        code.insns[at] = insn(JUMP, 0, 0, word(places[block] - at - 1));
    }
}

/// Index of the argument, its ranges, the verdict within them.
type Alternatives = (u32, Vec<(u32, u32)>, Action);

/// Rules that all say the same about ranges of one argument, sorted, none above 32 bits.
fn alternatives(rules: &[Rule]) -> Option<Alternatives> {
    let (index, action) = (rules.first()?.tests.first()?.0, rules.first()?.action);
    let mut ranges = Vec::new();
    for rule in rules {
        match rule.tests.as_slice() {
            [(at, Test::Within(start, end))] if *at == index && rule.action == action && start <= end => {
                ranges.push((u32::try_from(*start).ok()?, u32::try_from(*end).ok()?));
            }
            _ => return None,
        }
    }
    ranges.sort_unstable();
    Some((index, ranges, action))
}

/// The high half must be zero; then the low half is compared with the ranges, the highest first.
fn ranges_block(index: u32, ranges: &[(u32, u32)], action: Action, default: Action, code: &mut Vec<u64>) {
    let low = ARGUMENTS + 8 * index;
    let first = code.len();
    code.push(insn(LOAD, 0, 0, low + 4));
    code.push(0);
    code.push(insn(LOAD, 0, 0, low));
    let body = code.len();
    // Each range: above it no, within it yes, else the next. The two verdicts come last.
    let total = body + ranges.len() * 2;
    for &(start, end) in ranges.iter().rev() {
        let no = total - code.len() - 1;
        code.push(insn(JUMP_GREATER, small(no), 0, end));
        let yes = total + 1 - code.len() - 1;
        code.push(insn(JUMP_NOT_LESS, small(yes), 0, start));
    }
    code.push(insn(RETURN, 0, 0, default));
    code.push(insn(RETURN, 0, 0, action));
    code[first + 1] = insn(JUMP_EQUAL, 0, small(total - first - 2), 0);
}

/// Rule after rule; within one, each test that does not hold jumps behind the rule. Rules without tests come last.
fn general_block(rules: &[Rule], default: Action, code: &mut Vec<u64>) {
    let last = rules.iter().find(|rule| rule.tests.is_empty()).map_or(default, |rule| rule.action);
    for rule in rules.iter().filter(|rule| !rule.tests.is_empty()) {
        let parts: Vec<Vec<Step>> = rule.tests.iter().flat_map(|(index, test)| steps(*index, *test)).collect();
        let mut left: usize = parts.iter().map(Vec::len).sum();
        for part in &parts {
            for (at, &(op, k, next)) in part.iter().enumerate() {
                // Behind this rule's return; behind this test.
                let (fail, pass) = (left, part.len() - at - 1);
                let (jt, jf) = match next {
                    Next::Go => (0, 0),
                    Next::IfTrue => (0, fail),
                    Next::IfFalse => (fail, 0),
                    Next::TrueIsEnough => (pass, 0),
                    Next::FalseIsEnough => (0, pass),
                };
                code.push(insn(op, small(jt), small(jf), k));
                left -= 1;
            }
        }
        code.push(insn(RETURN, 0, 0, rule.action));
    }
    code.push(insn(RETURN, 0, 0, last));
}

/// Where a step of a test leads.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// On, it is no jump.
    Go,
    /// On if it holds, else the test has failed.
    IfTrue,
    /// On if it does not hold, else the test has failed.
    IfFalse,
    /// The test holds if the step does, else on.
    TrueIsEnough,
    /// The test holds if the step does not, else on.
    FalseIsEnough,
}

/// Operation, constant, and where it leads.
type Step = (u16, u32, Next);

#[allow(clippy::cast_possible_truncation, reason = "splitting a word in two halves")]
const fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}

/// The steps of a test: each part must hold.
fn steps(index: u32, test: Test) -> Vec<Vec<Step>> {
    let low = ARGUMENTS + 8 * index;
    let load = |offset| (LOAD, offset, Next::Go);
    match test {
        Test::Masked(mask, value) => {
            let ((mask_high, mask_low), (high, low_value)) = (halves(mask), halves(value));
            let upper = [load(low + 4), (AND, mask_high, Next::Go), (JUMP_EQUAL, high, Next::IfTrue)];
            let lower = [load(low), (AND, mask_low, Next::Go), (JUMP_EQUAL, low_value, Next::IfTrue)];
            vec![upper.to_vec(), lower.to_vec()]
        }
        Test::Not(value) => {
            let (high, low_value) = halves(value);
            let differs = (JUMP_EQUAL, high, Next::FalseIsEnough);
            vec![vec![load(low + 4), differs, load(low), (JUMP_EQUAL, low_value, Next::IfFalse)]]
        }
        Test::Within(start, end) => {
            let ((high, low_value), (end_high, end_low)) = (halves(start), halves(end));
            let at_least = vec![
                load(low + 4),
                (JUMP_GREATER, high, Next::TrueIsEnough),
                (JUMP_EQUAL, high, Next::IfTrue),
                load(low),
                (JUMP_NOT_LESS, low_value, Next::IfTrue),
            ];
            let at_most = vec![
                load(low + 4),
                (JUMP_GREATER, end_high, Next::IfFalse),
                (JUMP_EQUAL, end_high, Next::FalseIsEnough),
                load(low),
                (JUMP_GREATER, end_low, Next::IfFalse),
            ];
            vec![at_least, at_most]
        }
    }
}
