//! A disk that is full in the middle: a small file system of its own, which needs root to mount.

#![allow(clippy::unwrap_used)] // A test may fail anywhere, its helpers too.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{capture, look_timeless, materialise, skip};
use evenkeel_clone::{Hint, Manner, Store};

/// A mounted tmpfs of 3 MiB, unmounted in the end.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs"])
            .arg(at)
            .stderr(std::process::Stdio::null())
            .status();
        status
            .is_ok_and(|status| status.success())
            .then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

/// Content without repetition or zeros, so that nothing saves space.
fn noise(bytes: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes).map(|_| step()).collect()
}

#[test]
fn a_full_store_keeps_its_generations_and_names_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    let Some(_disk) = SmallDisk::mount(&disk) else {
        return skip("mounting a tmpfs needs root");
    };
    let primary = dir.path().join("p");
    fs::create_dir(&primary).unwrap();
    fs::write(primary.join("first"), noise(500_000, 1)).unwrap();
    let store = Store::open(&disk.join("store")).unwrap();
    let first = capture(&store, &primary, Hint::Everything).unwrap();

    // One that is too large is refused before writing, many small ones run into the wall.
    fs::write(primary.join("large"), noise(8_000_000, 2)).unwrap();
    let error = capture(&store, &primary, Hint::Everything).unwrap_err();
    assert!(
        error.is_no_space() && error.to_string().contains("bytes short"),
        "{error}"
    );
    fs::remove_file(primary.join("large")).unwrap();
    for number in 0..40 {
        fs::write(primary.join(number.to_string()), noise(100_000, number + 3)).unwrap();
    }
    let error = capture(&store, &primary, Hint::Everything).unwrap_err();
    assert!(
        error.is_no_space() && error.to_string().contains("disk/store"),
        "{error}"
    );

    assert_eq!(fs::read_dir(disk.join("store/tmp")).unwrap().count(), 0);
    assert_eq!(store.generations().unwrap().len(), 1);
    assert!(store.verify(&|_| {}).unwrap().is_sound());
    // With room again it goes on.
    for number in 5..40 {
        fs::remove_file(primary.join(number.to_string())).unwrap();
    }
    let second = capture(&store, &primary, Hint::Everything).unwrap();
    assert!(!second.unchanged && second.generation > first.generation);
}

#[test]
fn a_full_destination_keeps_the_old_tree() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    let Some(_disk) = SmallDisk::mount(&disk) else {
        return skip("mounting a tmpfs needs root");
    };
    let primary = dir.path().join("p");
    fs::create_dir(&primary).unwrap();
    fs::write(primary.join("f"), noise(500_000, 1)).unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let first = capture(&store, &primary, Hint::Everything).unwrap();
    let standby = disk.join("standby");
    materialise(&store, first.generation, &standby, Manner::Swap).unwrap();
    let before = look_timeless(&standby);
    for number in 0..40 {
        fs::write(primary.join(number.to_string()), noise(100_000, number + 3)).unwrap();
    }
    let second = capture(&store, &primary, Hint::Everything).unwrap();
    let error = materialise(&store, second.generation, &standby, Manner::Swap).unwrap_err();
    assert!(error.is_no_space(), "{error}");
    assert_eq!(look_timeless(&standby), before);
    assert_eq!(
        fs::read_dir(&disk).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn a_destination_that_is_a_mount_point_is_written_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    let Some(_disk) = SmallDisk::mount(&disk) else {
        return skip("mounting a tmpfs needs root");
    };
    fs::write(disk.join("extra"), "x").unwrap();
    let primary = dir.path().join("p");
    fs::create_dir(&primary).unwrap();
    fs::write(primary.join("f"), "text").unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let first = capture(&store, &primary, Hint::Everything).unwrap();
    let done = materialise(&store, first.generation, &disk, Manner::Swap).unwrap();
    assert_eq!((done.files_written, done.files_removed), (1, 1));
    assert_eq!(look_timeless(&disk), look_timeless(&primary));
}
