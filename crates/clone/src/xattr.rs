//! Extended attributes of an open file or directory: those that belong to the file itself - the
//! user's, POSIX ACLs, capabilities. Labels that the machine puts on (SELinux, IMA, overlayfs) are left
//! to the machine.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::path::Escaped;

/// All attributes that this process may see; none where the file system knows none.
pub(crate) fn read(file: BorrowedFd<'_>) -> io::Result<BTreeMap<Escaped, Escaped>> {
    let mut found = BTreeMap::new();
    for name in names(file)? {
        match value(file, &name) {
            Ok(value) => {
                found.insert(Escaped(name), Escaped(value));
            }
            // Removed since it was listed.
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Makes the attributes exactly `wanted`.
pub(crate) fn write(file: BorrowedFd<'_>, wanted: &BTreeMap<Escaped, Escaped>) -> io::Result<()> {
    let present = read(file)?;
    for name in present.keys().filter(|name| !wanted.contains_key(name)) {
        rustix::fs::fremovexattr(file, name.0.as_slice())?;
    }
    for (name, value) in wanted {
        if present.get(name) != Some(value) {
            rustix::fs::fsetxattr(file, name.0.as_slice(), &value.0, XattrFlags::empty())?;
        }
    }
    Ok(())
}

fn names(file: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let list = match grown(|buffer| rustix::fs::flistxattr(file, buffer)) {
        Ok(list) => list,
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let names = list
        .split(|&byte| byte == 0)
        .filter(|name| belongs_to_the_file(name));
    Ok(names.map(<[u8]>::to_vec).collect())
}

fn belongs_to_the_file(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name.starts_with(b"system.posix_acl_")
        || name == b"security.capability"
}

fn value(file: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    grown(|buffer| rustix::fs::fgetxattr(file, name, buffer))
}

/// Calls with ever larger buffers until one is large enough. The kernel's limit is 64 KiB.
fn grown(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 1024];
    loop {
        match call(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 4, 0),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn attributes_come_back_and_extra_ones_go() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let one = |name: &str, value: &[u8]| {
            BTreeMap::from([(Escaped(name.as_bytes().to_vec()), Escaped(value.to_vec()))])
        };
        let long = one("user.long", &[7; 2000]);
        if let Err(error) = write(file.as_file().as_fd(), &long) {
            assert!(
                std::env::var_os("EVENKEEL_REQUIRE_ALL").is_none_or(|value| value != "1"),
                "extended attributes are needed: {error}"
            );
            println!("skipped: this file system takes no user attributes: {error}");
            return;
        }
        assert_eq!(read(file.as_file().as_fd()).unwrap(), long);
        let other = one("user.short", b"x");
        write(file.as_file().as_fd(), &other).unwrap();
        assert_eq!(read(file.as_file().as_fd()).unwrap(), other);
    }
}
