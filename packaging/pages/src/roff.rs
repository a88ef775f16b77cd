//! A manual page, in the macros of man(7) that groff and mandoc both know.

use snapgate::admin::help::blocks::{self, Block, Style, spans, tagged};

/// A page that is being written.
pub(crate) struct Page {
    text: String,
    /// How deep the keys are that the text is about: 0 where it is about none.
    depth: usize,
    /// Whether the last thing is a tag, whose text comes next.
    is_tagged: bool,
    /// Whether nothing stands in the section yet.
    is_fresh: bool,
    /// Whether a list is open below a tag.
    is_listing: bool,
}

impl Page {
    /// A page with its name, such as `snapgate` and 8, and what that is in a few words.
    pub(crate) fn new(name: &str, section: u8, day: &str, means: &str) -> Self {
        let mut page = Self { text: String::new(), depth: 0, is_tagged: false, is_fresh: false, is_listing: false };
        let version = snapgate::terms::build::FACTS.lines().next().unwrap_or_default();
        let manual = if section == 5 { "File Formats" } else { "System Administration" };
        page.request("TH", &[&name.to_uppercase(), &section.to_string(), day, &format!("snapgate {version}"), manual]);
        // What is typed is not to be torn apart, nor lines stretched.
        page.request("nh", &[]);
        page.request("ad", &["l"]);
        page.section("name");
        page.line(&format!("{} \\- {}", escaped(name), inline(&lowered(means))));
        page
    }

    /// The page's text.
    pub(crate) fn end(mut self) -> String {
        self.level(0);
        self.text
    }

    /// Begins a section.
    pub(crate) fn section(&mut self, name: &str) {
        self.level(0);
        self.request("SH", &[&name.to_uppercase()]);
    }

    /// Adds a text in Markdown. A heading of a key becomes a tag.
    pub(crate) fn markdown(&mut self, text: &str) {
        for block in blocks::read(text) {
            self.block(&block);
        }
        self.list(false);
    }

    /// Adds something with what is said of it; the text may have paragraphs.
    pub(crate) fn tag(&mut self, tag: &str, text: &str) {
        self.level(0);
        self.request("TP", &[]);
        self.line(tag);
        self.is_tagged = true;
        self.depth = 1;
        self.markdown(text);
        self.level(0);
    }

    /// Adds a line of roff.
    pub(crate) fn line(&mut self, line: &str) {
        self.is_fresh = false;
        if line.starts_with(['.', '\'']) {
            self.text.push_str("\\&");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(depth @ 0..=2, words) => {
                self.level(0);
                self.request(if *depth < 2 { "SH" } else { "SS" }, &[&blocks::bare(words)]);
            }
            Block::Heading(depth, words) => {
                self.level(depth - 2);
                self.request("TP", &[]);
                self.line(&inline(words));
                self.is_tagged = true;
            }
            Block::Paragraph(words) => {
                self.list(false);
                self.paragraph();
                self.line(&inline(words));
            }
            Block::Item(words) => {
                self.list(true);
                match tagged(words) {
                    Some((tag, text)) => {
                        self.request("TP", &[]);
                        self.line(&inline(tag));
                        self.line(&inline(text));
                    }
                    None => {
                        self.request("IP", &["\\(bu", "2"]);
                        self.line(&inline(words));
                    }
                }
            }
            Block::Row(cells) => {
                self.list(true);
                self.request("TP", &[]);
                let (first, rest) =
                    cells.split_first().map_or((String::new(), String::new()), |(first, rest)| (inline(first), rest.join("; ")));
                self.line(&first);
                self.line(&inline(&rest));
            }
            Block::Code(lines) => {
                self.list(false);
                self.paragraph();
                self.request("nf", &[]);
                for line in lines {
                    self.line(format!("    {}", escaped(line)).trim_end());
                }
                self.request("fi", &[]);
            }
        }
    }

    fn paragraph(&mut self) {
        if !std::mem::take(&mut self.is_tagged) && !self.is_fresh {
            self.request(if self.depth > 0 { "IP" } else { "PP" }, &[]);
        }
    }

    /// Opens or closes a list.
    fn list(&mut self, is_open: bool) {
        self.is_tagged &= !is_open;
        if self.depth > 0 && self.is_listing != is_open {
            self.request(if is_open { "RS" } else { "RE" }, &[]);
            self.is_listing = is_open;
        }
    }

    /// Goes to the keys of this depth: those of a table are further in than the table's own.
    fn level(&mut self, depth: usize) {
        self.list(false);
        self.is_tagged = false;
        for _ in depth.max(1)..self.depth {
            self.request("RE", &[]);
        }
        for _ in self.depth.max(1)..depth {
            self.request("RS", &[]);
        }
        self.depth = depth;
    }

    fn request(&mut self, name: &str, words: &[&str]) {
        self.is_fresh = matches!(name, "SH" | "SS");
        self.text.push('.');
        self.text.push_str(name);
        for word in words {
            // A sign of roff's own, and a day, are not text.
            let is_day = word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            let word = if word.starts_with("\\(") || is_day { (*word).to_owned() } else { escaped(word) };
            self.text.push_str(&if word.is_empty() || word.contains(' ') { format!(" \"{word}\"") } else { format!(" {word}") });
        }
        self.text.push('\n');
    }
}

/// A text in which every sign stands for itself, also where it is copied from the page.
pub(crate) fn escaped(text: &str) -> String {
    let sign = |letter: char| match letter {
        '\\' => "\\e".to_owned(),
        '-' => "\\-".to_owned(),
        '\'' => "\\(aq".to_owned(),
        '"' => "\\(dq".to_owned(),
        '`' => "\\(ga".to_owned(),
        '~' => "\\(ti".to_owned(),
        '^' => "\\(ha".to_owned(),
        '…' => "...".to_owned(),
        letter if letter.is_ascii() => letter.to_string(),
        letter => format!("\\[u{:04X}]", u32::from(letter)),
    };
    text.chars().map(sign).collect()
}

/// What is typed.
pub(crate) fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text))
}

/// What stands for something else.
pub(crate) fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", escaped(text))
}

/// Words in Markdown.
pub(crate) fn inline(text: &str) -> String {
    let styled = |(style, words): (Style, String)| match style {
        Style::Plain => escaped(&words),
        Style::Bold => bold(&words),
        Style::Italic => italic(&words),
    };
    spans(text).into_iter().map(styled).collect()
}

/// A sentence as a part of another.
pub(crate) fn lowered(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}
