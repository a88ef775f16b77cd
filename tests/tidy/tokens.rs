//! What a piece of code says: its paths, its methods and what it calls, whether they stand in a type, an expression or a macro.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// One thing that the code says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// The path, as it is written. It begins with an empty word where it begins with `::`, and ends with `*` where all is imported.
    pub(crate) words: Vec<String>,
    /// Whether this is what stands behind a dot: a method or a field.
    pub(crate) is_member: bool,
    /// The text that a function with this path is given first.
    pub(crate) given: Option<String>,
    /// The line, from 1 on.
    pub(crate) line: usize,
}

/// No path begins with one of these.
const KEYWORDS: [&str; 32] = [
    "as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "fn", "for", "if", "impl", "in", "let", "loop",
    "match", "mod", "move", "mut", "pub", "ref", "return", "static", "struct", "trait", "type", "unsafe", "use", "where", "while",
];

/// Everything that these tokens say.
pub(crate) fn said(tokens: TokenStream) -> Vec<Said> {
    let mut found = Vec::new();
    scan(tokens, &[], &mut found);
    found
}

/// Reads tokens, or what stands in the braces behind `before::`.
fn scan(tokens: TokenStream, before: &[String], found: &mut Vec<Said>) {
    let trees = Trees(tokens.into_iter().collect());
    let mut at = 0;
    while at < trees.0.len() {
        let is_renamed = !before.is_empty() && at > 0 && trees.word(at - 1).as_deref() == Some("as");
        let is_lifetime = at > 0 && trees.is(at - 1, '\'');
        if let TokenTree::Group(group) = &trees.0[at] {
            if at > 0 && trees.is(at - 1, '#') {
                paths_in_texts(group.stream(), found);
            }
            scan(group.stream(), &[], found);
            at += 1;
        } else if trees.begins_path(at) && !is_renamed && !is_lifetime {
            at = path(&trees, at, before, found);
        } else {
            if trees.is(at, '*') && !before.is_empty() {
                let words = [before, &["*".to_owned()]].concat();
                found.push(Said { words, is_member: false, given: None, line: trees.line(at) });
            }
            at += 1;
        }
    }
}

/// Reads the path that begins here, and says where it ends.
fn path(trees: &Trees, begin: usize, before: &[String], found: &mut Vec<Said>) -> usize {
    let mut words = before.to_vec();
    let mut at = begin;
    if trees.is_colons(at) {
        words = vec![String::new()];
        at += 2;
    }
    while let Some(word) = trees.word(at) {
        words.push(word);
        at += 1;
        if !trees.is_colons(at) {
            break;
        }
        at += 2;
        if trees.is(at, '*') {
            words.push("*".to_owned());
            at += 1;
        } else if let Some(TokenTree::Group(group)) = trees.0.get(at).filter(|tree| is_group(tree, Delimiter::Brace)) {
            scan(group.stream(), &words, found);
            return at + 1;
        }
    }
    // `use a::{self}` is `a`.
    if !before.is_empty() && words.last().is_some_and(|word| word == "self") {
        words.pop();
    }
    let is_member = begin > 0 && trees.is(begin - 1, '.') && !(begin > 1 && trees.is(begin - 2, '.'));
    let line = trees.line(begin);
    let given = trees.0.get(at).and_then(text_given);
    // `<Instant>::now()` is `Instant::now()`.
    let is_in_angles = begin > 0 && trees.is(begin - 1, '<') && trees.is(at, '>') && trees.is_colons(at + 1);
    if let Some(word) = trees.word(at + 3).filter(|_| is_in_angles) {
        let words = [&words[..], &[word]].concat();
        found.push(Said { words, is_member, given: None, line });
    }
    found.push(Said { words, is_member, given, line });
    at
}

/// Paths in the texts of an attribute: `#[serde(with = "crate::a::b")]`.
fn paths_in_texts(tokens: TokenStream, found: &mut Vec<Said>) {
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => paths_in_texts(group.stream(), found),
            TokenTree::Ident(word) if word == "doc" => return,
            TokenTree::Literal(literal) => {
                let text = text_of(&literal.to_string());
                let read = text.as_deref().and_then(|text| syn::parse_str::<syn::Path>(text).ok()).filter(|path| path.segments.len() > 1);
                let words = read.map(|path| path.segments.iter().map(|part| part.ident.to_string()).collect());
                found.extend(words.map(|words| Said { words, is_member: false, given: None, line: literal.span().start().line }));
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

/// The text that stands first in these parentheses.
fn text_given(tree: &TokenTree) -> Option<String> {
    match tree {
        TokenTree::Group(group) if is_group(tree, Delimiter::Parenthesis) => text_given(&group.stream().into_iter().next()?),
        TokenTree::Literal(literal) => text_of(&literal.to_string()),
        TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) => None,
    }
}

fn text_of(literal: &str) -> Option<String> {
    Some(literal.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

fn is_group(tree: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == delimiter)
}

struct Trees(Vec<TokenTree>);

impl Trees {
    fn is(&self, at: usize, sign: char) -> bool {
        matches!(self.0.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
    }

    fn is_colons(&self, at: usize) -> bool {
        let is_joint = matches!(self.0.get(at), Some(TokenTree::Punct(punct)) if punct.spacing() == Spacing::Joint);
        is_joint && self.is(at, ':') && self.is(at + 1, ':')
    }

    fn word(&self, at: usize) -> Option<String> {
        let Some(TokenTree::Ident(word)) = self.0.get(at) else { return None };
        let word = word.to_string();
        Some(word.strip_prefix("r#").unwrap_or(&word).to_owned())
    }

    fn begins_path(&self, at: usize) -> bool {
        let is_word = self.word(at).is_some_and(|word| !KEYWORDS.contains(&word.as_str()));
        is_word || (self.is_colons(at) && self.word(at + 2).is_some() && !(at > 0 && self.is(at - 1, '>')))
    }

    fn line(&self, at: usize) -> usize {
        self.0[at].span().start().line
    }
}

#[test]
fn every_way_of_writing_a_path_is_read() {
    for (code, expected) in [
        ("a::b(c)", &["a::b", "c"][..]),
        ("use a::{b, c::{self, d as e}, f::*};", &["a::b", "a::c", "a::c::d", "a::f::*"]),
        ("use a::*;", &["a::*"]),
        ("return ::a::b", &["::a::b"]),
        ("x.read::<crate::a::B>()", &["x", ".read", "crate::a::B"]),
        ("fn f<'a>(x: &'a dyn a::B<c::D>) {}", &["f", "x", "a::B", "c::D"]),
        ("<a::B>::now()", &["a::B::now", "a::B", "now"]),
        ("m!($crate::a::b, x = c::d)", &["m", "crate::a::b", "x", "c::d"]),
        ("#[serde(with = \"a::b\", rename = \"c\")] struct X;", &["a::b", "serde", "with", "rename", "X"]),
        ("#[doc = \"crate::a\"] struct X;", &["doc", "X"]),
        ("0..a::b", &["a::b"]),
        ("r#a::r#b", &["a::b"]),
    ] {
        let said = said(code.parse().unwrap());
        let said: Vec<String> =
            said.iter().map(|said| format!("{}{}", if said.is_member { "." } else { "" }, said.words.join("::"))).collect();
        assert_eq!(said, expected, "{code}");
    }
    let connect = &said("\nTcpStream::connect((\"host\", 1))".parse().unwrap())[0];
    assert_eq!((connect.line, connect.given.as_deref()), (2, Some("host")));
}
