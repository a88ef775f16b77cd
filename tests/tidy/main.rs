//! The shape of the source: who may use whom, what decides without touching anything, files that fit a reader, nothing unsafe, and
//! documents that say what is there. Each rule is shown to find what it is against.
#![cfg(test)]

mod arrows;
mod clock;
mod documents;
mod files;
mod house;
mod names;
mod purity;
mod shape;
mod tokens;
