//! The administrator's hooks, before a push and after a snapshot.

use std::path::Path;

use super::{Connection, End};
use crate::act::child::{self, HookEnd, Setting};
use crate::act::clock;
use crate::act::process::Inherited;
use crate::act::record::runlog::RunLog;
use crate::act::store::Repository;
use crate::decide::speak::hook::{self, Occasion};
use crate::terms::limits::{MAX_HOOK_LINES, MAX_HOOK_WORDS, MAX_QUOTED, MAX_REPORTED_HOOKS};
use crate::terms::text::still_printable;
use crate::terms::{Code, FailedHook, PushFacts, Reason};

impl Connection<'_> {
    /// Runs the hooks of `prepare`.
    ///
    /// # Errors
    /// With [`Code::Hook`] when one says no; the ones after it do not run.
    pub(super) fn prepare_hooks(&self, repository: &Repository, log: &RunLog) -> Result<(), Reason> {
        for argv in &self.policy.hooks.prepare {
            if let Some(failed) = self.hook("prepare", argv, repository, None, log) {
                let reason = Reason { of_server: true, ..Reason::new(Code::Hook, "the server cannot take a push right now") };
                return Err(reason.detail(failed.describe()).remedy(failed.remedy()).rule(self.policy.origins.of("hooks")));
            }
        }
        Ok(())
    }

    /// Runs the hooks of `complete`, where there is a snapshot.
    pub(super) fn complete_hooks(&self, end: &mut End, repository: &Repository, log: &RunLog) {
        let End { push: Some(facts), warnings, .. } = end else { return };
        let Some(name) = &facts.snapshot else { return };
        let snapshot = repository.snapshots().join(name);
        for argv in &self.policy.hooks.complete {
            let failed = self.hook("complete", argv, repository, Some((&snapshot, facts)), log);
            warnings.extend(failed.map(|failed| failed.describe()));
        }
    }

    /// Runs one. What a failing one has printed is kept for the mail, and for nobody else.
    fn hook(
        &self,
        hook: &str,
        argv: &[String],
        repository: &Repository,
        published: Option<(&Path, &PushFacts)>,
        log: &RunLog,
    ) -> Option<FailedHook> {
        let words = argv.join(" ");
        log.note(clock::now(), &format!("{hook} hook `{words}`"));
        let inprogress = repository.inprogress();
        let Self { policy, request, id, .. } = self;
        let variables = hook::variables(Occasion {
            hook,
            client: &policy.client,
            id,
            at: request.at,
            address: request.address.as_ref(),
            repository: repository.root(),
            inprogress: &inprogress,
            published,
        });
        let Inherited { files, memory } = self.inherited;
        let setting = Setting { variables, mapped: self.owners.mapping().is_some(), files, memory };
        let before = log.length();
        let HookEnd::Failed(how) = child::hook(argv, setting, policy.hooks.time_limit, log.file()) else { return None };
        let is_quoted = self.failed.borrow().len() < MAX_REPORTED_HOOKS;
        let printed = if is_quoted { log.last_lines(before, MAX_HOOK_WORDS, MAX_HOOK_LINES) } else { Vec::new() };
        log.note(clock::now(), &format!("the hook failed: {how}"));
        let shown = |text: &str| still_printable(text, MAX_QUOTED);
        let log = shown(&log.path().display().to_string());
        let failed = FailedHook { hook: hook.to_owned(), command: shown(&words), how, printed, log };
        self.failed.borrow_mut().push(failed.clone());
        Some(failed)
    }
}
