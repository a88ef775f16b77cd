//! `snapgate-shell rrsync` beside rsync's own rrsync: one table of commands goes through both, each on a tree of its own, and every
//! difference is listed with its reason (`differences`). An unlisted difference fails, and so does a listed one that is none.
#![cfg(test)]

mod both;
mod differences;
mod held;
mod lines;
mod locks;
mod logs;
mod outside;
mod races;
mod transfers;
