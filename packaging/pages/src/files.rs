//! The pages of the site file and of policies: the texts of `docs/policy.md`, and the keys that it has.

use snapgate::admin::help::Topic;
use snapgate::admin::help::keys::keys;

use crate::roff::Page;

/// The frame of `docs/policy.md`.
const FRAME: &str = include_str!("../../../tests/reference/policy.md");

/// The pages of file formats, by name.
pub(crate) fn all(day: &str) -> Vec<(String, String)> {
    vec![("snapgate.yaml.5".to_owned(), site(day)), ("snapgate-policy.5".to_owned(), policy(day))]
}

/// What both pages begin with: the frame up to its first section, but for its title and for how it is made.
fn introduction() -> String {
    let (before, _) = FRAME.split_once("\n## ").unwrap_or((FRAME, ""));
    let paragraphs = before.split("\n\n").filter(|words| !words.starts_with('#') && !words.contains("GOLDEN=write"));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// The sections of the frame that have no table of their own in this page.
fn sections() -> String {
    let sections = FRAME.split("\n## ").skip(1).filter(|section| !section.contains("\n[site]") && !section.contains("\n[policy]"));
    sections.map(|section| format!("## {}\n", section.replace("[verbs]\n", &Topic::Verbs.text()))).collect()
}

fn site(day: &str) -> String {
    let mut page = Page::new("snapgate.yaml", 5, day, "the site file: what holds for the whole backup server");
    page.section("description");
    page.markdown(&introduction());
    page.section("keys");
    page.markdown(&keys(Topic::Site.rows()));
    end(page, &[Topic::Sizes, Topic::Times], "snapgate-policy")
}

fn policy(day: &str) -> String {
    let mut page = Page::new("snapgate-policy", 5, day, "what a client of the backup server may do");
    page.section("description");
    page.markdown(&introduction());
    page.section("keys");
    page.markdown(&keys(Topic::Policy.rows()));
    page.section("how it works");
    page.markdown(&sections());
    end(page, &[Topic::Windows, Topic::Addresses, Topic::Sizes, Topic::Times], "snapgate.yaml")
}

/// How values are written, the files, and the other pages.
fn end(mut page: Page, topics: &[Topic], other: &str) -> String {
    for topic in topics {
        page.section(topic.as_str());
        page.markdown(&topic.text());
    }
    page.section("files");
    page.markdown(&Topic::Files.text());
    page.section("see also");
    page.markdown(&format!("`snapgate`(8), `{other}`(5), `snapgate-check`(8), `snapgate-explain`(8), `snapgate-shell`(8)"));
    page.end()
}
