//! The half of the filter that asks nobody, as a classic BPF program (seccomp(2); the kernel's
//! Documentation/networking/filter.rst): which calls are allowed, by their number and by flags
//! among their arguments.
//!
//! A call without a rule is never allowed. And only what the kernel itself reads of an argument
//! counts: an `int` is its lower 32 bits.

use nix::libc::{self, c_int, c_long};
use seccompiler::sock_filter;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The kernel does it.
    Allow,
    /// It fails as not permitted (`EPERM`).
    NotPermitted,
    /// It fails as unknown to the kernel (`ENOSYS`), and the caller does without.
    NotKnown,
    /// The process ends.
    End,
}

/// What becomes of a call, and on what that hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule<'a> {
    /// Mostly this…
    pub answer: Answer,
    /// …but where one of these holds, what the first of them says.
    pub unless: &'a [Test],
}

impl Rule<'_> {
    /// The same, whatever the arguments are.
    pub(super) const fn always(answer: Answer) -> Self {
        Self { answer, unless: &[] }
    }
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
    /// What becomes of the call then.
    pub then: Answer,
}

/// Instructions: load a word of the call's description, keep some bits, jump, answer.
const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const SKIP: u32 = libc::BPF_JMP | libc::BPF_JA;
const ANSWER: u32 = libc::BPF_RET | libc::BPF_K;

/// Offsets of the number, the kind of processor, and the lower half of each argument (`struct
/// seccomp_data`, seccomp(2)).
const NUMBER: u32 = 0;
const KIND: u32 = 4;
const ARGUMENTS: u32 = 16;
const ARGUMENT: u32 = 8;

/// The kernel's name for this kind of processor (`AUDIT_ARCH_*`, `linux/audit.h`): ELF's number and
/// flags for its words. `None` for kinds whose calls nobody has examined: some hide calls in
/// others, as socketcall(2) does.
pub(super) const MACHINE: Option<u32> = {
    // The flag for words of 64 bits: others there are another table, or none.
    const WIDE: u32 = 0x8000_0000;
    let (kind, is_wide) = if cfg!(target_arch = "x86_64") {
        (WIDE | 62, true)
    } else if cfg!(target_arch = "aarch64") {
        (WIDE | 183, true)
    } else if cfg!(target_arch = "riscv64") {
        (WIDE | 243, true)
    } else if cfg!(target_arch = "arm") {
        (40, false)
    } else {
        (0, false)
    };
    // The flag for the lowest byte first, as the program assumes.
    let as_taken = cfg!(target_endian = "little") && cfg!(target_pointer_width = "64") == is_wide;
    if kind != 0 && as_taken { Some(0x4000_0000 | kind) } else { None }
};

/// On x86-64, calls from here on are those of another table (x32), which no system uses.
const OTHER_TABLE: Option<u32> = if cfg!(target_arch = "x86_64") { Some(0x4000_0000) } else { None };

/// From here on (Linux 5.1) calls are younger than the C libraries in use, have the same number on
/// every processor, and libraries do without them. Some take "not permitted" for an error of the
/// file.
pub(super) const RECENT: u32 = 424;

/// The program for these rules, which are in the order of their numbers on `machine`. A call of
/// another kind of processor ends the process. A call without a rule is not permitted or, from
/// [`RECENT`] on, unknown.
///
/// `None` where the numbers are in no order, or none that the kernel has room for.
pub(super) fn program(machine: u32, rules: &[(c_long, Rule<'_>)]) -> Option<Vec<sock_filter>> {
    let mut program = Vec::with_capacity(rules.len() * 4);
    program.extend([plain(LOAD, KIND), jump(EQUAL, machine, 1, 0), say(Answer::End), plain(LOAD, NUMBER)]);
    if let Some(first) = OTHER_TABLE {
        program.extend([jump(AT_LEAST, first, 0, 1), say(Answer::End)]);
    }
    search(&mut program, &stretches(rules)?)?;
    Some(program)
}

/// The same rules for all numbers there are: each holds from its number up to the next one.
fn stretches<'a>(rules: &[(c_long, Rule<'a>)]) -> Option<Vec<(u32, Rule<'a>)>> {
    let mut stretches: Vec<(u32, Rule<'a>)> = Vec::with_capacity(rules.len() * 2);
    let mut put = |from, rule| {
        if stretches.last().is_none_or(|(_, last)| *last != rule) {
            stretches.push((from, rule));
        }
    };
    let mut next = 0;
    let numbered = rules.iter().map(|(number, rule)| Some((u32::try_from(*number).ok()?, Some(*rule))));
    for named in numbered.chain([Some((u32::MAX, None))]) {
        let (number, rule) = named?;
        // What lies between has no rule.
        if next < number.min(RECENT) {
            put(next, Rule::always(Answer::NotPermitted));
        }
        if next.max(RECENT) < number {
            put(next.max(RECENT), Rule::always(Answer::NotKnown));
        }
        if let Some(rule) = rule {
            put(number, rule);
            next = (number >= next).then(|| number.checked_add(1))??;
        }
    }
    Some(stretches)
}

/// Finds the rule of a number by halves: the kernel tries every number when it loads the program,
/// and runs it for each call whose arguments count.
fn search(program: &mut Vec<sock_filter>, stretches: &[(u32, Rule<'_>)]) -> Option<()> {
    let (lower, upper) = stretches.split_at(stretches.len() / 2);
    let (middle, rule) = upper.first()?;
    if lower.is_empty() {
        judge(program, rule);
        return Some(());
    }
    let here = program.len();
    program.push(jump(AT_LEAST, *middle, 0, 0));
    search(program, lower)?;
    let length = program.len() - here - 1;
    match u8::try_from(length) {
        Ok(length) => program.get_mut(here)?.jt = length,
        // Too far for a comparison: it leads to a jump that has more room, or past it.
        Err(_) => {
            program.get_mut(here)?.jf = 1;
            program.insert(here + 1, plain(SKIP, u32::try_from(length).ok()?));
        }
    }
    search(program, upper)
}

/// Answers a call that the rule is about.
fn judge(program: &mut Vec<sock_filter>, rule: &Rule<'_>) {
    for test in rule.unless {
        let (holds, fails) = if test.not { (1, 0) } else { (0, 1) };
        program.extend([
            plain(LOAD, ARGUMENTS + ARGUMENT * u32::from(test.argument)),
            plain(AND, test.mask),
            jump(EQUAL, test.value, holds, fails),
            say(test.then),
        ]);
    }
    program.push(say(rule.answer));
}

fn say(answer: Answer) -> sock_filter {
    let failed = |errno: c_int| libc::SECCOMP_RET_ERRNO | errno.cast_unsigned();
    let answer = match answer {
        Answer::Allow => libc::SECCOMP_RET_ALLOW,
        Answer::NotPermitted => failed(libc::EPERM),
        Answer::NotKnown => failed(libc::ENOSYS),
        Answer::End => libc::SECCOMP_RET_KILL_PROCESS,
    };
    plain(ANSWER, answer)
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
    fn meant(rules: &[(c_long, Rule<'_>)], number: u32, arguments: [u64; 6]) -> Answer {
        let holds = |test: &Test| {
            let low = arguments[usize::from(test.argument)] as u32;
            (low & test.mask == test.value) != test.not
        };
        let other = if number < 424 { Answer::NotPermitted } else { Answer::NotKnown };
        match rules.binary_search_by_key(&(number as c_long), |(named, _)| *named) {
            Ok(at) => rules[at].1.unless.iter().find(|test| holds(test)).map_or(rules[at].1.answer, |test| test.then),
            Err(_) => other,
        }
    }

    fn answers() -> impl Strategy<Value = Answer> {
        prop_oneof![Just(Answer::Allow), Just(Answer::NotPermitted), Just(Answer::NotKnown), Just(Answer::End)]
    }

    fn test() -> impl Strategy<Value = Test> {
        // Values that the mask can leave, and some that it cannot.
        let test = (0..6u8, any::<u32>(), any::<u32>(), any::<bool>(), any::<bool>(), answers());
        test.prop_map(|(argument, mask, value, fits, not, then)| Test {
            argument,
            mask,
            value: if fits { value & mask } else { value },
            not,
            then,
        })
    }

    fn rules() -> impl Strategy<Value = BTreeMap<u16, (Answer, Vec<Test>)>> {
        // Few numbers lie beside each other, or many.
        (1..3_u16).prop_flat_map(|apart| {
            let rule = (answers(), prop::collection::vec(test(), 0..5));
            prop::collection::btree_map((0..500 / apart).prop_map(move |number| number * apart), rule, 0..150)
        })
    }

    proptest! {
        #[test]
        fn the_program_answers_what_the_rules_mean(rules in rules(), arguments in any::<[u64; 6]>(), few in any::<[u8; 6]>()) {
            let rules: Vec<_> = rules
                .iter()
                .map(|(number, (answer, unless))| ((*number).into(), Rule { answer: *answer, unless }))
                .collect();
            let program = program(MINE, &rules).unwrap();
            // The kernel's limit for a program (`BPF_MAXINSNS`).
            prop_assert!(program.len() <= 4096);
            for arguments in [arguments, few.map(u64::from)] {
                for number in (0..520).chain([u32::MAX >> 2]) {
                    prop_assert_eq!(run(&program, MINE, number, arguments).0, say(meant(&rules, number, arguments)).k, "{}", number);
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
        assert_eq!(run(&program, MINE, 1, [0; 6]).0, say(Answer::NotPermitted).k);
    }

    #[test]
    fn what_a_caller_leaves_in_the_upper_half_of_an_argument_changes_nothing() {
        let test = |mask, value, not| Test { argument: 1, mask, value, not, then: Answer::NotPermitted };
        let (one, two) = (test(0xff00, 0x6600, false), test(u32::MAX, 0, true));
        let rule = |number, unless| (number, Rule { answer: Answer::Allow, unless });
        let (one, two) = ([one], [two]);
        let program = program(MINE, &[rule(1, &one), rule(2, &two)]).unwrap();
        let answer = |number, argument| run(&program, MINE, number, [0, argument, 0, 0, 0, 0]).0;
        assert_eq!(answer(1, 0x6605), answer(1, 0xffff_ffff_0000_6605));
        assert_ne!(answer(1, 0x6605), ALLOWED);
        assert_eq!((answer(2, 0), answer(2, 1 << 32)), (ALLOWED, ALLOWED));
    }

    #[test]
    fn a_call_is_found_by_halves_and_its_neighbours_share_an_answer() {
        let allowed = |number| (number, Rule::always(Answer::Allow));
        let apart = program(MINE, &(0..160).map(|number| allowed(number * 3)).collect::<Vec<_>>()).unwrap();
        let longest = (0..480).map(|number| run(&apart, MINE, number, [0; 6]).1).max();
        assert!(longest.unwrap() < 20, "{longest:?}");
        let together = program(MINE, &(0..160).map(allowed).collect::<Vec<_>>()).unwrap();
        assert!(together.len() < 15, "{together:?}");
    }

    #[test]
    fn numbers_that_cannot_be_looked_for_make_no_program() {
        let too_high = c_long::checked_shl(1, 32).unwrap_or(-1);
        for numbers in [&[-1][..], &[too_high], &[u32::MAX as c_long], &[2, 1], &[1, 1]] {
            let rules: Vec<_> = numbers.iter().map(|number| (*number, Rule::always(Answer::Allow))).collect();
            assert_eq!(program(MINE, &rules), None, "{numbers:?}");
        }
    }
}
