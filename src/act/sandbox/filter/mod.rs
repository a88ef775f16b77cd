//! Which system calls rsync may make (seccomp(2)). The gate is asked about links
//! (seccomp_unotify(2)) and makes them when rsync is gone. Mounts and Landlock, the other half of
//! the jail, guard where a path leads.
//!
//! A call that nobody has looked at may not be among those that are left.

mod allowed;
mod answer;
mod beside;
mod loaded;
mod program;

use std::fmt::Display;
use std::os::fd::RawFd;

use libseccomp::error::SeccompError;
use libseccomp::{ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use nix::libc::{self, c_long};
use nix::unistd::Pid;
use seccompiler::BpfProgram;

use crate::decide::sandbox::spec::{Filter, Isolation};

use allowed::{rules, spared};
use program::{MACHINE, program};

pub use answer::Answering;
pub use loaded::{Came, Loading};

/// A filter whose asking half is loaded, and the other half ready. It holds the descriptor for
/// questions, so it is kept until that is handed over.
#[must_use]
pub struct Prepared {
    asking: Option<ScmpFilterContext>,
    program: Option<BpfProgram>,
}

/// Makes the filter for this thread and what it starts or becomes. From here on the gate, which no
/// signal will reach, is asked; nothing is denied yet.
///
/// # Errors
/// With what did not work, for the administrator.
pub fn prepare(isolation: Isolation, gate: Pid) -> Result<Prepared, String> {
    let gate = gate.as_raw().cast_unsigned();
    let program = |filter| {
        let machine = MACHINE.ok_or_else(|| failed(&"this kind of processor is not known to it"))?;
        program(machine, &rules(filter, isolation.view, &spared(gate))).ok_or_else(|| failed(&"it is too long"))
    };
    let program = isolation.filter.map(program).transpose()?;
    // The asking half comes first: the other allows no further filter. The kernel takes the
    // stricter of two answers: a denial rather than a question.
    let ask = match isolation {
        Isolation { asks: true, .. } => Some(asking as fn() -> Result<ScmpFilterContext, SeccompError>),
        Isolation { filter: Some(Filter::Browse), .. } => Some(asking_when_loaded as _),
        _ => None,
    };
    let asking = ask.map(|ask| ask()).transpose().map_err(|error| failed(&error))?;
    Ok(Prepared { asking, program })
}

impl Prepared {
    /// What questions come in on; `None` where nothing is asked.
    ///
    /// # Errors
    /// When the kernel gave none.
    pub fn listener(&self) -> Result<Option<RawFd>, String> {
        self.asking.as_ref().map(ScmpFilterContext::get_notify_fd).transpose().map_err(|error| failed(&error))
    }

    /// Loads the half that denies. It is the last step before rsync: nothing can be mounted, jailed
    /// or handed over any more.
    ///
    /// # Errors
    /// With what did not work, for the administrator.
    pub fn hold(self) -> Result<(), String> {
        self.program.map_or(Ok(()), |program| seccompiler::apply_filter(&program)).map_err(|error| failed(&error))
    }
}

fn failed(error: &dyn Display) -> String {
    format!("the filter of system calls: {error}")
}

/// The half that asks about links. Only this library gives the descriptor for questions without
/// unsafe.
fn asking() -> Result<ScmpFilterContext, SeccompError> {
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow)?;
    for call in LINKING {
        filter.add_rule(ScmpAction::Notify, ScmpSyscall::from(i32::try_from(*call).unwrap_or(NO_CALL)))?;
    }
    filter.load()?;
    Ok(filter)
}

/// The half that asks once a program is loaded.
fn asking_when_loaded() -> Result<ScmpFilterContext, SeccompError> {
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow)?;
    // A process that is not yet the program makes itself readable: with 1.
    let (option, value) = (u64::from(libc::PR_SET_DUMPABLE.cast_unsigned()), 0);
    let conditions = [
        ScmpArgCompare::new(0, ScmpCompareOp::MaskedEqual(u64::from(u32::MAX)), option),
        ScmpArgCompare::new(1, ScmpCompareOp::Equal, value),
    ];
    let call = ScmpSyscall::from(i32::try_from(libc::SYS_prctl).unwrap_or(NO_CALL));
    filter.add_rule_conditional(ScmpAction::Notify, call, &conditions)?;
    filter.load()?;
    Ok(filter)
}

/// What libseccomp takes no rule for (`__NR_SCMP_ERROR`, seccomp.h).
const NO_CALL: i32 = -1;

/// The calls that make a link.
const LINKING: &[c_long] = &[
    libc::SYS_linkat,
    #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
    libc::SYS_link,
];

#[cfg(test)]
mod tests;
