//! The runs that are no push's, and the times that they are held to.

use std::time::Duration;

use super::Run;
use crate::decide::push::links::Layout;
use crate::decide::sandbox::spec::Sandbox;

impl Run {
    /// One that links nothing and may take any time.
    pub(in crate::decide) fn unlimited(sandbox: Sandbox) -> Self {
        let layout = Layout { start: sandbox.directory.clone(), bases: Vec::new(), partial_dir: String::new() };
        Self { sandbox, layout, deadline: Duration::MAX, idle: None, until: None, reads: false, while_read: false }
    }

    /// The same, ended after so long, when its client has asked for nothing for so long, or when that
    /// is gone.
    pub(in crate::decide) fn within(self, deadline: Duration, idle: Duration) -> Self {
        Self { deadline, idle: Some(idle), while_read: true, ..self }
    }
}
