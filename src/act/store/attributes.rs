//! Extended attributes of files, open ones and those that a path of the gate's own leads to.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt as _;

use rustix::buffer::spare_capacity;
use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, getxattr, removexattr, setxattr};
use rustix::io::Errno;

/// Bytes of a value or of a list of names: the kernel hands over no more of either (xattr(7)).
const MOST: usize = 64 << 10;

pub(in crate::act) fn names(file: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut list = Vec::with_capacity(MOST);
    flistxattr(file, spare_capacity(&mut list))?;
    Ok(list.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(|name| OsString::from_vec(name.to_vec())).collect())
}

/// What an open file has of that name.
pub(in crate::act) fn get(file: impl AsFd, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
    let mut value = Vec::with_capacity(MOST);
    had(fgetxattr(file, name, spare_capacity(&mut value)), value)
}

/// The same of whatever a path leads to.
pub(super) fn get_at(path: &str, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut value = Vec::with_capacity(MOST);
    had(getxattr(path, name, spare_capacity(&mut value)), value)
}

fn had(got: rustix::io::Result<usize>, mut value: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    match got {
        Ok(_) => {
            value.shrink_to_fit();
            Ok(Some(value))
        }
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn set(file: impl AsFd, name: &OsStr, value: &[u8]) -> io::Result<()> {
    Ok(fsetxattr(file, name, value, XattrFlags::empty())?)
}

/// The same for whatever a path leads to.
pub(super) fn set_at(path: &str, name: &str, value: &[u8]) -> io::Result<()> {
    Ok(setxattr(path, name, value, XattrFlags::empty())?)
}

pub(super) fn remove(file: impl AsFd, name: &OsStr) -> io::Result<()> {
    Ok(fremovexattr(file, name)?)
}

/// The same from whatever a path leads to, where it has that one.
pub(super) fn remove_at(path: &str, name: &str) -> io::Result<()> {
    match removexattr(path, name) {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
