//! What runs in the sandbox: it reads one client's snapshots, and nothing else is there.

use std::ffi::OsString;
use std::io::{self, Write as _};

use crate::act::history::{self, Out, Stop};
use crate::act::process;
use crate::decide::history::order::Order;
use crate::terms::{Code, Reason, exit};

/// Reads, and writes the answer to standard output. Returns the exit code.
pub(crate) fn read(order: &OsString) -> u8 {
    process::many_files();
    let order: Result<Order, _> = serde_json::from_slice(order.as_encoded_bytes());
    let read = || -> Result<(), Stop> {
        let order = order.map_err(|error| Reason::new(Code::Internal, "the server cannot answer right now").detail(error.to_string()))?;
        let out = Out::standard()?;
        history::read(&order, &mut if order.is_administrator { out } else { out.plain() })
    };
    match read() {
        Ok(()) => 0,
        Err(Stop::Closed) => exit::CLOSED,
        Err(Stop::Because(reason)) => say(&reason),
    }
}

/// Says why there is no answer, to whoever has started this.
pub(super) fn say(reason: &Reason) -> u8 {
    let words = serde_json::to_string(reason).unwrap_or_default();
    let _ = writeln!(io::stderr(), "{words}");
    reason.code.exit()
}
