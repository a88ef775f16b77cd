//! `from:` and `when:` of a policy: where a client may come from, and when.

use serde::de::{Deserialize, Deserializer, MapAccess};

use crate::decide::policy::window::{Days, Hours, Window};
use crate::decide::policy::yaml::{Nothing, Several, Shape, TableOf, Text, Texts, Truth, Wrong, keys, wrong};
use crate::terms::limits::MAX_HOSTS;

use super::Source;

/// `from:`, with its limit of names.
pub(super) struct Sources(pub(super) Vec<Source>);

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Texts(all) = Texts::deserialize(from)?;
        let hosts = all.iter().filter(|source| matches!(source, Source::Host(_))).count();
        if hosts > MAX_HOSTS {
            let message = format!("{hosts} `host:` names in one policy");
            return Err(wrong(&Wrong::new(message, format!("use at most {MAX_HOSTS}: each is looked up at every connection"))));
        }
        Ok(Self(all))
    }
}

impl Shape for Sources {
    fn values() -> String {
        format!("{}, at most {MAX_HOSTS} of them names of hosts", <Texts<Source> as Shape>::values())
    }
}

keys! {
    pub(super) struct WhenKeys, "an entry of `when`" {
        /// The days on which the window opens. One that runs past midnight belongs to the day on
        /// which it begins.
        days: Days as Text<_> = Value("mon-sun"), "mon-fri";
        /// From when to when it is open, on the clocks of `timezone:`; past midnight where it does
        /// not end later than it begins.
        hours: Vec<Hours> as Several<_> = Words("all day"), r#""22:00-06:00""#;
        /// Whether a push that still runs is ended when the window closes (code `window`, exit 75).
        /// What arrived is kept, the client is told when to come again, and the next push goes on
        /// from there. Where another window is open at that minute, the push goes on until that one
        /// closes; where one without `stop: true` is, or closes at the same time, it takes as long
        /// as it takes. A push that has received everything by then is published.
        ///
        /// The record says `stopped`. A mail says that there is no need to act: once a day at most,
        /// with `report: always` each time, and with `report: never` not at all. `ssh HOST status`
        /// and `snapgate explain` say when a push would be ended.
        stop: bool as Truth = Value("false"), "true";
    }

    /// In `{ days: sat,sun }` YAML ends the value at the comma, and `sun` is a key without a value.
    fn takes(key: &str) -> bool {
        Days::parse(key).is_ok()
    }

    fn take_other<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let Some((days, more)) = self.days.zip(Days::parse(key).ok()) else {
            return Err(wrong(&Wrong::new(format!("`{key}` stands here without `days:`"), "write days: and the days")));
        };
        let Nothing = map.next_value()?;
        self.days = Some(days.and(more));
        Ok(())
    }
}

impl WhenKeys {
    fn windows(self) -> impl Iterator<Item = Window> {
        let Self { days, hours, stop } = self;
        let (days, stop) = (days.unwrap_or(Days::ALL), stop.unwrap_or(false));
        let hours = hours.unwrap_or_else(|| vec![Hours::ALL]);
        hours.into_iter().map(move |hours| Window::new(days, hours).stopping(stop))
    }
}

/// The windows of a list.
pub(super) fn windows(all: Vec<TableOf<WhenKeys>>) -> Vec<Window> {
    all.into_iter().flat_map(|TableOf(entry)| entry.windows()).collect()
}
