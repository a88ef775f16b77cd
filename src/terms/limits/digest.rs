//! Bounds of the digest.

use std::time::Duration;

/// Bytes of events in each ledger of a client's, at its end where it is written to, that a digest
/// takes: some eight thousand connections. It says so where there was more.
pub const MAX_DIGEST_LEDGER: u64 = 8 * 1024 * 1024;

/// Lines of a table of a digest; the others are counted.
pub const MAX_DIGEST_ROWS: usize = 20;

/// The largest clients, and those that grew most.
pub const LARGEST: usize = 10;

/// Digests that are made at once: one for the site, and one for each list of `reports_to:` in
/// policies. Others are in the site's alone, which says so.
pub const MAX_DIGESTS: usize = 100;

/// Digests of which figures are remembered, for its plots.
pub const MAX_DIGEST_POINTS: usize = 30;

/// A digest that comes so much later than it was due says so.
pub const DIGEST_LATE: Duration = Duration::from_secs(3600);

/// Columns of a plot of pushes.
pub const PUSH_BARS: usize = 24;

/// Sections of a page of a mail, and the lines above and below them, and of each.
pub const MAX_PAGE_PARTS: usize = 20;

/// Lines of a table of a page.
pub const MAX_PAGE_ROWS: usize = 40;

/// Columns of such a table.
pub const MAX_PAGE_COLUMNS: usize = 6;

/// Bytes of each text of a page.
pub const MAX_PAGE_TEXT: usize = 240;

/// Bars of a plot.
pub const MAX_PAGE_BARS: usize = 60;
