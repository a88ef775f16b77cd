//! The source as the compiler sees it: which modules there are, what is only for tests, and what a path means where it is written.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::visit_mut::{self, VisitMut};
use syn::{Item, Meta, Token, UseTree};

use super::files;
use super::tokens::{Said, said};

/// Longer than any path that means something; imports that name each other would go on for ever.
const MAX_WORDS: usize = 24;

/// A module of what is not only for tests.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Its path, from `crate` on.
    pub(crate) path: Vec<String>,
    /// Its file, below `src`.
    pub(crate) file: String,
    /// What it says, its inner modules left out.
    pub(crate) said: Vec<Said>,
    /// What its imports, and the types that have another name in it, are called, and the paths that these stand for.
    names: BTreeMap<String, BTreeSet<Vec<String>>>,
    /// What it imports everything of.
    globs: BTreeSet<Vec<String>>,
}

/// All modules that are not only for tests.
#[derive(Debug, Default)]
pub(crate) struct House {
    modules: BTreeMap<Vec<String>, Module>,
    /// Files that are part of the tests, and of nothing else.
    tests: BTreeSet<String>,
    /// What is wrong with the tree of modules itself.
    pub(crate) faults: Vec<String>,
}

impl House {
    /// The source of this crate.
    pub(crate) fn real() -> Self {
        let src = files::root().join("src");
        let texts = files::sources("src").into_iter().map(|path| {
            let name = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        });
        Self::read(&texts.collect())
    }

    /// A crate with these files, for what a rule has to find in it. A module needs nobody to declare it here.
    pub(crate) fn planted(files: &[(&str, &str)]) -> Self {
        let mut house = Self::default();
        for (name, code) in files {
            let path = name.trim_end_matches(".rs").trim_end_matches("/mod").split('/');
            let path: Vec<String> = std::iter::once("crate").chain(path).map(str::to_owned).collect();
            // Whoever is above it is there as well.
            for length in 1..path.len() {
                let above = path[..length].to_vec();
                house.modules.entry(above.clone()).or_insert_with(|| Module { path: above, ..Module::default() });
            }
            house.file(name, code, path, &BTreeMap::new());
        }
        house
    }

    /// Reads a crate from its files, by name, as they name each other.
    fn read(files: &BTreeMap<String, String>) -> Self {
        let mut house = Self::default();
        house.file("lib.rs", &files["lib.rs"], vec!["crate".to_owned()], files);
        for (name, code) in files.iter().filter(|(name, _)| name.starts_with("bin/")) {
            let program = name.trim_start_matches("bin/").trim_end_matches(".rs");
            house.file(name, code, ["crate", "bin", program].map(str::to_owned).to_vec(), files);
        }
        let is_read = |name: &&String| house.modules.values().any(|module| module.file == **name) || house.tests.contains(*name);
        let orphans: Vec<String> =
            files.keys().filter(|name| !is_read(name)).map(|name| format!("{name}: no module names this file")).collect();
        house.faults.extend(orphans);
        house
    }

    fn file(&mut self, name: &str, code: &str, path: Vec<String>, files: &BTreeMap<String, String>) {
        let file = syn::parse_file(code).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.module(name, file.items, path, files);
    }

    /// Takes in a module, and those that it declares.
    fn module(&mut self, file: &str, items: Vec<Item>, path: Vec<String>, files: &BTreeMap<String, String>) {
        let mut module = Module { path: path.clone(), file: file.to_owned(), ..Module::default() };
        for mut item in items {
            let for_tests = is_for_tests(&item);
            if let Item::Mod(inner) = item {
                let inside = [&path[..], &[inner.ident.to_string()]].concat();
                match inner.content {
                    Some((_, items)) if !for_tests => self.module(file, items, inside, files),
                    Some(_) => {}
                    None => self.declared(file, inside, for_tests, files),
                }
            } else if !for_tests {
                WithoutTests.visit_item_mut(&mut item);
                Imports(&mut module).visit_item(&item);
                module.said.extend(said(item.into_token_stream()));
            }
        }
        self.modules.insert(path, module);
    }

    fn declared(&mut self, by: &str, path: Vec<String>, for_tests: bool, files: &BTreeMap<String, String>) {
        let place = path[1..].join("/");
        let found = [format!("{place}.rs"), format!("{place}/mod.rs")].into_iter().find_map(|name| files.get_key_value(&name));
        match found {
            Some((name, code)) if for_tests => {
                self.tests.insert(name.clone());
                // What tests declare is theirs.
                for item in syn::parse_file(code).unwrap().items {
                    if let Item::Mod(inner) = &item
                        && inner.content.is_none()
                        && !inner.attrs.iter().any(|attribute| attribute.path().is_ident("path"))
                    {
                        self.declared(name, [&path[..], &[inner.ident.to_string()]].concat(), true, files);
                    }
                }
            }
            Some((name, code)) => self.file(name, code, path, files),
            None if files.is_empty() => {}
            None => self.faults.push(format!("{by}: no file for `{}`", path.join("::"))),
        }
    }

    /// The modules, below the room with this name where one is given.
    pub(crate) fn modules(&self, room: &str) -> impl Iterator<Item = &Module> {
        self.modules.values().filter(move |module| room.is_empty() || module.path.get(1).is_some_and(|name| name == room))
    }

    /// Whether there is a module with this path.
    pub(crate) fn has(&self, path: &[String]) -> bool {
        self.modules.contains_key(path)
    }

    /// What a path means in a module: from `crate` or from the name of another crate on, with every place that it is imported by.
    pub(crate) fn means(&self, module: &Module, words: &[String]) -> BTreeSet<Vec<String>> {
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut open = vec![(module, words.to_vec())];
        while let Some((module, words)) = open.pop() {
            if words.len() > MAX_WORDS || !seen.insert((&module.path, words.clone())) {
                continue;
            }
            if let Some(own) = self.own(module, &words) {
                let depth = (1..=own.len()).rev().find(|depth| self.has(&own[..*depth])).unwrap_or(1);
                if let Some(last) = self.modules.get(&own[..depth]) {
                    open.extend(self.leads(last, &own[depth..]).into_iter().map(|words| (last, words)));
                }
                found.insert(own);
            } else {
                let leads = self.leads(module, &words);
                if leads.is_empty() || leads.contains(&words) {
                    let from = usize::from(words.first().is_some_and(String::is_empty));
                    found.insert(words[from..].to_vec());
                }
                open.extend(leads.into_iter().map(|words| (module, words)));
            }
        }
        found
    }

    /// The path from `crate` on, if this one says that it is the crate's.
    fn own(&self, module: &Module, words: &[String]) -> Option<Vec<String>> {
        let mut own = match words.first()?.as_str() {
            "crate" | "snapgate" => vec!["crate".to_owned()],
            "self" | "super" => module.path.clone(),
            word if self.has(&[&module.path[..], &[word.to_owned()]].concat()) => return Some([&module.path[..], words].concat()),
            _ => return None,
        };
        let supers = words.iter().position(|word| word != "super" && word != "self").unwrap_or(words.len());
        for _ in words[..supers].iter().filter(|word| *word == "super") {
            own.pop();
        }
        own.extend(words[supers.max(1)..].iter().cloned());
        Some(own)
    }

    /// Where the imports of a module lead with these words.
    fn leads(&self, module: &Module, words: &[String]) -> Vec<Vec<String>> {
        let Some((first, rest)) = words.split_first().filter(|(first, _)| !first.is_empty()) else { return Vec::new() };
        let named = module.names.get(first).into_iter().flatten();
        let mut leads: Vec<Vec<String>> = named.map(|target| [&target[..], rest].concat()).collect();
        for glob in &module.globs {
            let is_there = match self.own(module, glob).map(|path| (self.modules.get(&path), path)) {
                Some((Some(other), path)) => {
                    other.names.contains_key(first) || self.has(&[&path[..], std::slice::from_ref(first)].concat())
                }
                Some((None, _)) => false,
                // Another crate's may have any name.
                None => leads.is_empty() && words.len() > 1 && glob.first() != words.first(),
            };
            if is_there {
                leads.push([&glob[..], words].concat());
            }
        }
        leads
    }
}

/// Collects what stands for something else.
struct Imports<'a>(&'a mut Module);

impl Imports<'_> {
    fn tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |word: &syn::Ident| [before, &[word.to_string()]].concat();
        let mut named = |name: String, mut path: Vec<String>| {
            if path.len() > 1 && path.last().is_some_and(|word| word == "self") {
                path.pop();
            }
            let name = if name == "self" { path.last().cloned().unwrap_or_default() } else { name };
            self.0.names.entry(name).or_default().insert(path);
        };
        match tree {
            UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
            UseTree::Name(name) => named(name.ident.to_string(), with(&name.ident)),
            UseTree::Rename(rename) => named(rename.rename.to_string(), with(&rename.ident)),
            UseTree::Glob(_) => drop(self.0.globs.insert(before.to_vec())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, before)),
        }
    }
}

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let before: &[String] = if item.leading_colon.is_some() { &[String::new()] } else { &[] };
        self.tree(&item.tree, before);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        if let syn::Type::Path(other) = &*item.ty {
            let words = other.path.segments.iter().map(|part| part.ident.to_string()).collect();
            self.0.names.entry(item.ident.to_string()).or_default().insert(words);
        }
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name);
        self.0.names.entry(name.to_string()).or_default().insert(vec![item.ident.to_string()]);
    }
}

/// Takes out what is only for tests, wherever it stands in an item.
struct WithoutTests;

impl VisitMut for WithoutTests {
    fn visit_item_impl_mut(&mut self, item: &mut syn::ItemImpl) {
        item.items.retain(|item| !is_for_tests(item));
        visit_mut::visit_item_impl_mut(self, item);
    }

    fn visit_item_trait_mut(&mut self, item: &mut syn::ItemTrait) {
        item.items.retain(|item| !is_for_tests(item));
        visit_mut::visit_item_trait_mut(self, item);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|statement| !is_for_tests(statement));
        visit_mut::visit_block_mut(self, block);
    }
}

/// Whether the attributes at the beginning of this say that it is only for tests.
fn is_for_tests(node: &impl ToTokens) -> bool {
    let mut trees = node.to_token_stream().into_iter();
    while let Some(TokenTree::Punct(sign)) = trees.next() {
        let Some(TokenTree::Group(attribute)) = trees.next().filter(|_| sign.as_char() == '#') else { return false };
        if syn::parse2::<Meta>(attribute.stream()).is_ok_and(|meta| is_test(&meta, true)) {
            return true;
        }
    }
    false
}

/// `#[test]`, and `#[cfg(…)]` with a condition that holds in tests alone.
fn is_test(meta: &Meta, is_attribute: bool) -> bool {
    let Meta::List(list) = meta else { return meta.path().is_ident("test") };
    let inner = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap_or_default();
    let mut inner = inner.iter().map(|meta| is_test(meta, false));
    let name = |name: &str| list.path.is_ident(name);
    (name("cfg") && is_attribute && inner.len() == 1 && inner.all(|is_test| is_test))
        || (name("all") && !is_attribute && inner.any(|is_test| is_test))
        || (name("any") && !is_attribute && inner.len() > 0 && inner.all(|is_test| is_test))
}

/// All tokens of a text, with what is only for tests.
pub(crate) fn tokens(name: &str, code: &str) -> TokenStream {
    code.parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn each_file_is_a_module_or_tests() {
    let house = House::real();
    assert_eq!(house.faults, [""; 0]);
    assert!(house.modules.len() > 100 && house.tests.len() > 10, "{} {}", house.modules.len(), house.tests.len());
    let planted = [
        ("lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod tests;"),
        ("a/mod.rs", ""),
        ("c.rs", ""),
        ("tests.rs", "mod d;"),
        ("tests/d.rs", ""),
    ];
    let house = House::read(&planted.map(|(name, code)| (name.to_owned(), code.to_owned())).into());
    assert_eq!(house.faults, ["lib.rs: no file for `crate::b`", "c.rs: no module names this file"]);
}

#[test]
fn what_is_only_for_tests_is_known_by_its_attribute() {
    for (code, is_left) in [
        ("#[cfg(test)] fn x() { left() }", false),
        ("#[test] fn x() { left() }", false),
        ("/// Words.\n#[cfg(all(test, unix))] mod x { fn y() { left() } }", false),
        ("#[cfg(any(test, test))] use left;", false),
        ("impl X { #[cfg(test)] fn x() { left() } }", false),
        ("trait X { #[cfg(test)] fn x() { left() } }", false),
        ("fn x() { #[cfg(test)] fn y() { left() } }", false),
        ("#[cfg(not(test))] fn x() { left() }", true),
        ("#[cfg(any(test, unix))] fn x() { left() }", true),
        ("#[cfg(unix)] fn x() { left() }", true),
        ("#[cfg(test)] mod tests {}\nfn x() { left() }", true),
        ("impl X { #[cfg(test)] fn x() {} fn y() { left() } }", true),
        ("mod x { fn y() { left() } }", true),
    ] {
        let house = House::planted(&[("a.rs", code)]);
        let found = house.modules("").any(|module| module.said.iter().any(|said| said.words == ["left"]));
        assert_eq!(found, is_left, "{code}");
    }
}

#[test]
fn a_path_means_what_the_imports_make_of_it() {
    let house = House::planted(&[
        ("a/mod.rs", "pub use super::b::Thing as Other;\nuse std::time::{self, Instant};\nuse crate::b as bee;\ntype Clock = Instant;"),
        ("a/c.rs", "use super::*;\nuse nix;\nmod inner { fn f() { use core::fmt::Write; } }"),
        ("b.rs", "use chrono::*;\nuse fs::x as fs;"),
    ]);
    for (module, path, expected) in [
        ("a", "Other", "crate::b::Thing"),
        ("a", "time::Instant::now", "std::time::Instant::now"),
        ("a", "Clock::now", "std::time::Instant::now"),
        ("a", "c::x", "crate::a::c::x"),
        ("a", "self::bee::x", "crate::a::bee::x crate::b::x"),
        ("a::c", "Instant::now", "crate::a::Instant::now std::time::Instant::now"),
        ("a::c", "Clock::now", "crate::a::Clock::now std::time::Instant::now"),
        ("a::c", "super::super::b", "crate::b"),
        ("a::c", "nix::x", "nix::x"),
        ("a::c", "crate::a::Other", "crate::a::Other crate::b::Thing"),
        ("a::c::inner", "Write::x", "core::fmt::Write::x"),
        ("a::c::inner", "super::nix::x", "crate::a::c::nix::x nix::x"),
        ("b", "Utc::now", "chrono::Utc::now"),
        ("b", "::Utc::now", "Utc::now"),
        ("b", "snapgate::a", "crate::a"),
    ] {
        let module = house.modules("").find(|other| other.path[1..].join("::") == module).unwrap();
        let words: Vec<String> = path.split("::").map(str::to_owned).collect();
        let means: Vec<String> = house.means(module, &words).iter().map(|words| words.join("::")).collect();
        assert_eq!(means.join(" "), expected, "{path} in {:?}", module.path);
    }
}
