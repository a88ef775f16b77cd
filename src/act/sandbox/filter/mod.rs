//! What rsync may ask of the kernel (seccomp(2)): it is left the calls that it uses, and links are
//! put before the gate (seccomp_unotify(2)), which makes them when rsync is gone. The other half of
//! the jail: mounts and Landlock guard what a path leads to.
//!
//! A call that nobody has looked at may not be among those that are left.

mod allowed;
mod answer;
mod beside;
mod program;

use std::fmt::Display;
use std::os::fd::RawFd;

use libseccomp::error::SeccompError;
use libseccomp::{ScmpAction, ScmpFilterContext, ScmpSyscall};
use nix::libc::{self, c_long};
use nix::unistd::Pid;
use seccompiler::BpfProgram;

use crate::decide::sandbox::spec::Isolation;

use allowed::{rules, spared};
use program::{MACHINE, program};

pub use answer::Answering;

/// A filter of which the part that asks holds, and the other is ready to. What the questions come
/// in on is closed with it, so it has to be kept until that is handed over.
#[must_use]
pub struct Prepared {
    asking: Option<ScmpFilterContext>,
    program: Option<BpfProgram>,
}

/// Makes the filter for this thread and whatever it starts or becomes. From here on the gate, which
/// no signal will reach, is asked; nothing is denied yet.
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
    // The one that asks comes first: the other allows no filter any more. Of two answers the kernel
    // takes the stricter, and a denial is stricter than a question.
    let asking = isolation.asks.then(asking).transpose().map_err(|error| failed(&error))?;
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

    /// Leaves this thread and whatever it starts or becomes the calls that rsync uses. It is the
    /// last step before rsync: nothing can be mounted, jailed or handed over any more.
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

/// The filter that asks about links. The library is here for the descriptor that the questions come
/// in on: nothing else offers that without unsafe.
fn asking() -> Result<ScmpFilterContext, SeccompError> {
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow)?;
    for call in LINKING {
        filter.add_rule(ScmpAction::Notify, ScmpSyscall::from(i32::try_from(*call).unwrap_or(NO_CALL)))?;
    }
    filter.load()?;
    Ok(filter)
}

/// What libseccomp takes no rule for (`__NR_SCMP_ERROR`, seccomp.h).
const NO_CALL: i32 = -1;

/// The calls that make a link.
const LINKING: &[c_long] = &[
    libc::SYS_linkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
];

#[cfg(test)]
mod tests;
