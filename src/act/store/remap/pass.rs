//! What a walk through a repository is for.
//!
//! Only one that changes may change anything.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Look,
    /// To look where an earlier run was begun and has not ended.
    LookAgain,
    /// To look, and keep what will have to be given back.
    Keep,
    /// To change what is not as it should be.
    Change,
    /// To find what is not as it should be.
    Verify,
}

impl Pass {
    pub(super) fn is_untouched(self) -> bool {
        matches!(self, Self::Look | Self::Keep)
    }

    /// Whether what is to be given back is kept already.
    pub(super) fn has_kept(self) -> bool {
        !self.is_untouched()
    }
}
