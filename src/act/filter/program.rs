//! The part of the filter that needs nobody's judgement, as a program for the kernel's classic BPF (seccomp(2); the kernel's
//! Documentation/networking/filter.rst): calls that are denied, by their number and by flags among their arguments.
//!
//! The kernel's answer to a call may never hang on more than what the kernel itself reads of an argument: an `int` is its
//! lower 32 bits, whatever a caller leaves in the others.

use nix::libc::{self, c_int, c_long};
use seccompiler::sock_filter;

/// What a call is denied with, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule<'a> {
    /// The call's number.
    pub number: c_long,
    /// What the caller is told (`EPERM`), or that the kernel does not know the call (`ENOSYS`).
    pub errno: c_int,
    /// Only where one of these holds; empty: always.
    pub only: &'a [Test],
}

/// A look at the lower 32 bits of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Test {
    /// Which argument, from 0.
    pub argument: u8,
    /// The bits that are looked at.
    pub mask: u32,
    /// What they have to be…
    pub value: u32,
    /// …or, where this is set, have to be anything but.
    pub not: bool,
}

/// Instructions: load a word of the call's description, keep some bits, jump, answer.
const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const SKIP: u32 = libc::BPF_JMP | libc::BPF_JA;
const ANSWER: u32 = libc::BPF_RET | libc::BPF_K;

/// Where the call's description has its number, the kind of processor, and the lower half of each argument (`struct
/// seccomp_data`, seccomp(2)).
const NUMBER: u32 = 0;
const KIND: u32 = 4;
const ARGUMENTS: u32 = 16;
const ARGUMENT: u32 = 8;

/// The kernel's name for this kind of processor (`AUDIT_ARCH_*`, `linux/audit.h`): its number among ELF's, and what its words are
/// like. `None` for one whose calls nobody has looked at: some have calls that hide others, as socketcall(2) does.
pub(super) const MACHINE: Option<u32> = {
    let kind = if cfg!(target_arch = "x86_64") {
        62
    } else if cfg!(target_arch = "aarch64") {
        183
    } else if cfg!(target_arch = "riscv64") {
        243
    } else {
        0
    };
    // The flags say that words have 64 bits and begin with the lowest byte, as is taken for granted here.
    let as_taken = cfg!(target_endian = "little") && cfg!(target_pointer_width = "64");
    if kind != 0 && as_taken { Some(0xc000_0000 | kind) } else { None }
};

/// On x86-64, calls from here on are those of another table (x32), which no system uses.
const OTHER_TABLE: Option<u32> = if cfg!(target_arch = "x86_64") { Some(0x4000_0000) } else { None };

/// A list of up to so many rules is looked through; a longer one is halved.
const FEW: usize = 3;

/// The whole program for these rules, in the order of their numbers; `machine` is the kind of processor that the numbers are
/// of, and a call of any other kind ends the process. Every call that no rule names is allowed.
///
/// `None` where a rule is too long for a jump over it, or a number none that the kernel has room for.
pub(super) fn program(machine: u32, rules: &[Rule<'_>]) -> Option<Vec<sock_filter>> {
    let mut program = Vec::with_capacity(rules.len() * 4);
    program.extend([plain(LOAD, KIND), jump(EQUAL, machine, 1, 0), plain(ANSWER, libc::SECCOMP_RET_KILL_PROCESS), plain(LOAD, NUMBER)]);
    if let Some(first) = OTHER_TABLE {
        program.extend([jump(AT_LEAST, first, 0, 1), plain(ANSWER, libc::SECCOMP_RET_KILL_PROCESS)]);
    }
    search(&mut program, rules)?;
    Some(program)
}

/// Finds the rule of the number that is loaded: by halves, because the kernel tries every number there is when the program is
/// loaded, and runs it for every call whose arguments count.
fn search(program: &mut Vec<sock_filter>, rules: &[Rule<'_>]) -> Option<()> {
    let (lower, upper) = rules.split_at(rules.len() / 2);
    match upper.first() {
        Some(middle) if rules.len() > FEW => {
            program.push(jump(AT_LEAST, u32::try_from(middle.number).ok()?, 0, 1));
            let over = program.len();
            program.push(plain(SKIP, 0));
            search(program, lower)?;
            let length = u32::try_from(program.len() - over - 1).ok()?;
            program.get_mut(over)?.k = length;
            search(program, upper)
        }
        _ => {
            for rule in rules {
                let answer = program.len();
                program.push(jump(EQUAL, u32::try_from(rule.number).ok()?, 0, 0));
                judge(program, rule)?;
                let length = u8::try_from(program.len() - answer - 1).ok()?;
                program.get_mut(answer)?.jf = length;
            }
            program.push(plain(ANSWER, libc::SECCOMP_RET_ALLOW));
            Some(())
        }
    }
}

/// Answers a call that the rule is about.
fn judge(program: &mut Vec<sock_filter>, rule: &Rule<'_>) -> Option<()> {
    let denied = plain(ANSWER, libc::SECCOMP_RET_ERRNO | u32::from(u16::try_from(rule.errno).ok()?));
    if rule.only.is_empty() {
        program.push(denied);
        return Some(());
    }
    for test in rule.only {
        let (holds, fails) = if test.not { (1, 0) } else { (0, 1) };
        program.extend([
            plain(LOAD, ARGUMENTS + ARGUMENT * u32::from(test.argument)),
            plain(AND, test.mask),
            jump(EQUAL, test.value, holds, fails),
            denied.clone(),
        ]);
    }
    program.push(plain(ANSWER, libc::SECCOMP_RET_ALLOW));
    Some(())
}

fn plain(code: u32, k: u32) -> sock_filter {
    jump(code, k, 0, 0)
}

/// Goes on so many instructions later where the comparison holds, and so many where it does not.
fn jump(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const MINE: u32 = 0xc000_003e;
    const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;
    const KILLED: u32 = libc::SECCOMP_RET_KILL_PROCESS;

    /// What the kernel makes of a program: its answer, and after how many steps.
    fn run(program: &[sock_filter], machine: u32, number: u32, arguments: [u64; 6]) -> (u32, usize) {
        let mut call = [0; 64];
        call[0..4].copy_from_slice(&number.to_le_bytes());
        call[4..8].copy_from_slice(&machine.to_le_bytes());
        for (index, argument) in arguments.iter().enumerate() {
            call[16 + 8 * index..24 + 8 * index].copy_from_slice(&argument.to_le_bytes());
        }
        let (mut at, mut held) = (0, 0);
        for steps in 1.. {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let jump = |holds| usize::from(if holds { jt } else { jf });
            match u32::from(code) {
                LOAD => held = u32::from_le_bytes(call[k as usize..k as usize + 4].try_into().unwrap()),
                AND => held &= k,
                EQUAL => at += jump(held == k),
                AT_LEAST => at += jump(held >= k),
                SKIP => at += k as usize,
                ANSWER => return (k, steps),
                other => panic!("the kernel knows no {other:#x} here"),
            }
        }
        unreachable!()
    }

    /// What the rules mean, said without a program.
    fn meant(rules: &[Rule<'_>], number: u32, arguments: [u64; 6]) -> u32 {
        let holds = |test: &Test| {
            let low = arguments[usize::from(test.argument)] as u32;
            (low & test.mask == test.value) != test.not
        };
        let denied = |rule: &&Rule<'_>| rule.number == c_long::from(number) && (rule.only.is_empty() || rule.only.iter().any(holds));
        rules.iter().find(denied).map_or(ALLOWED, |rule| libc::SECCOMP_RET_ERRNO | rule.errno.cast_unsigned())
    }

    fn test() -> impl Strategy<Value = Test> {
        // Values that the mask can leave, and some that it cannot.
        (0..6u8, any::<u32>(), any::<u32>(), any::<bool>(), any::<bool>()).prop_map(|(argument, mask, value, fits, not)| Test {
            argument,
            mask,
            value: if fits { value & mask } else { value },
            not,
        })
    }

    fn rules() -> impl Strategy<Value = BTreeMap<u16, (c_int, Vec<Test>)>> {
        prop::collection::btree_map(
            0..500_u16,
            (prop_oneof![Just(libc::EPERM), Just(libc::ENOSYS)], prop::collection::vec(test(), 0..5)),
            0..120,
        )
    }

    proptest! {
        #[test]
        fn the_program_answers_what_the_rules_mean(rules in rules(), arguments in any::<[u64; 6]>(), few in any::<[u8; 6]>()) {
            let rules: Vec<_> =
                rules.iter().map(|(number, (errno, only))| Rule { number: (*number).into(), errno: *errno, only }).collect();
            let program = program(MINE, &rules).unwrap();
            // The kernel's limit for a program (`BPF_MAXINSNS`).
            prop_assert!(program.len() <= 4096);
            for arguments in [arguments, few.map(u64::from)] {
                for number in (0..520).chain([u32::MAX >> 2]) {
                    prop_assert_eq!(run(&program, MINE, number, arguments).0, meant(&rules, number, arguments), "{}", number);
                }
            }
        }
    }

    #[test]
    fn calls_of_another_kind_of_processor_or_table_end_the_process() {
        let program = program(MINE, &[]).unwrap();
        for (machine, number) in [(0x4000_0003, 1), (0, 1), (MINE ^ 1, 1)] {
            assert_eq!(run(&program, machine, number, [0; 6]).0, KILLED, "{machine:#x} {number:#x}");
        }
        if let Some(first) = OTHER_TABLE {
            assert_eq!(run(&program, MINE, first, [0; 6]).0, KILLED);
            assert_eq!(run(&program, MINE, u32::MAX, [0; 6]).0, KILLED);
        }
        assert_eq!(run(&program, MINE, 1, [0; 6]).0, ALLOWED);
    }

    #[test]
    fn what_a_caller_leaves_in_the_upper_half_of_an_argument_changes_nothing() {
        let (one, two) =
            (Test { argument: 1, mask: 0xff00, value: 0x6600, not: false }, Test { argument: 1, mask: u32::MAX, value: 0, not: true });
        let rules = [Rule { number: 1, errno: 1, only: &[one] }, Rule { number: 2, errno: 1, only: &[two] }];
        let program = program(MINE, &rules).unwrap();
        let answer = |number, argument| run(&program, MINE, number, [0, argument, 0, 0, 0, 0]).0;
        assert_eq!(answer(1, 0x6605), answer(1, 0xffff_ffff_0000_6605));
        assert_ne!(answer(1, 0x6605), ALLOWED);
        assert_eq!((answer(2, 0), answer(2, 1 << 32)), (ALLOWED, ALLOWED));
    }

    #[test]
    fn a_call_is_found_by_halves() {
        let rules: Vec<_> = (0..100).map(|number| Rule { number: number * 3, errno: 1, only: &[] }).collect();
        let program = program(MINE, &rules).unwrap();
        let longest = (0..300).map(|number| run(&program, MINE, number, [0; 6]).1).max();
        assert!(longest.unwrap() < 30, "{longest:?}");
    }

    #[test]
    fn a_rule_that_cannot_be_said_makes_no_program() {
        let only = [Test { argument: 0, mask: 1, value: 1, not: false }; 64];
        assert_eq!(program(MINE, &[Rule { number: 1, errno: 1, only: &only }]), None);
        for (number, errno) in [(-1, 1), (1 << 32, 1), (1, -1), (1, 1 << 16)] {
            assert_eq!(program(MINE, &[Rule { number, errno, only: &[] }]), None, "{number} {errno}");
        }
    }
}
