//! Files that trip copying programs up.

#![allow(clippy::unwrap_used)] // A test may fail anywhere, its helpers too.

mod common;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{World, look, odd_name, skip};
use evenkeel_clone::{
    Filter, Hint, LiveTree, Node, RelativePath, SkipReason, Substitutions, TreeName,
};
use evenkeel_testing::{Place, as_nobody};

#[test]
fn a_fifo_is_copied_without_being_opened() {
    let world = World::new();
    let made = std::process::Command::new("mkfifo")
        .arg(world.primary.join("pipe"))
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return skip("mkfifo cannot be run");
    }
    let captured = world.capture();
    assert!(captured.skipped.is_empty());
    world.materialise(captured.generation);
    assert!(
        world
            .standby
            .join("pipe")
            .symlink_metadata()
            .unwrap()
            .file_type()
            .is_fifo()
    );
    assert_eq!(look(&world.standby), look(&world.primary));
}

#[test]
fn a_symlink_loop_is_recorded_and_not_followed() {
    let world = World::new();
    fs::create_dir(world.primary.join("d")).unwrap();
    symlink("..", world.primary.join("d/up")).unwrap();
    symlink("itself", world.primary.join("itself")).unwrap();
    symlink("/etc/passwd", world.primary.join("absolute")).unwrap();
    let captured = world.capture();
    assert_eq!(
        (captured.delta.files_total, captured.delta.bytes_total),
        (3, 0)
    );
    world.materialise(captured.generation);
    assert_eq!(look(&world.standby), look(&world.primary));
}

#[test]
fn a_socket_is_skipped_with_its_reason_and_harmless() {
    let world = World::new();
    let _socket = UnixListener::bind(world.primary.join("s")).unwrap();
    let captured = world.capture();
    assert_eq!(captured.skipped[0].why, SkipReason::Socket);
    assert!(
        world
            .store
            .generation(captured.generation)
            .unwrap()
            .is_complete()
    );
}

#[test]
fn names_that_are_not_utf8_come_back() {
    let world = World::new();
    for name in [
        &b"\xff\xfe"[..],
        b"new\nline",
        b"back\\slash",
        "grün".as_bytes(),
    ] {
        fs::write(world.primary.join(odd_name(name)), name).unwrap();
    }
    let captured = world.capture();
    world.materialise(captured.generation);
    assert_eq!(look(&world.standby), look(&world.primary));
    let path = odd_name(b"\xff\xfe");
    let text = world
        .store
        .read_file(captured.generation, TreeName::Config, Path::new(&path));
    assert_eq!(text.unwrap().unwrap(), b"\xff\xfe");
}

#[test]
fn an_unreadable_file_is_recorded_and_stops_nothing() {
    let name = "an_unreadable_file_is_recorded_and_stops_nothing";
    if as_nobody(module_path!(), name) == Place::Elsewhere {
        return;
    }
    let world = World::new();
    let secret = world.write("secret", "x");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o0)).unwrap();
    let closed = world.write("closed/inner", "x");
    let closed = closed.parent().unwrap();
    fs::set_permissions(closed, fs::Permissions::from_mode(0o0)).unwrap();
    world.write("plain", "x");
    let captured = world.capture();
    fs::set_permissions(closed, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(captured.skipped.len(), 2, "{:?}", captured.skipped);
    for skipped in &captured.skipped {
        assert!(matches!(&skipped.why, SkipReason::Unreadable(why) if why.contains("denied")));
    }
    assert!(
        !world
            .store
            .generation(captured.generation)
            .unwrap()
            .is_complete()
    );
    let tree = world
        .store
        .tree(captured.generation, TreeName::Config)
        .unwrap();
    assert!(tree.get(&RelativePath::new("plain").unwrap()).is_some());
    // Repaired, it is captured although no hint mentions it.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let again = world.try_capture(Hint::Paths(BTreeSet::new())).unwrap();
    assert!(
        again.skipped.is_empty() && again.delta.files_added == 2,
        "{again:?}"
    );
}

#[test]
fn a_large_sparse_file_stays_sparse_and_whole() {
    // 64 MiB and not 2 GiB: hashing zeros is what takes the time, and every path through the code is
    // the same above one chunk.
    let world = World::new();
    let mut file = fs::File::create(world.primary.join("disk.img")).unwrap();
    file.write_all(b"begin").unwrap();
    file.seek(SeekFrom::Start(50 << 20)).unwrap();
    file.write_all(b"middle").unwrap();
    file.set_len(64 << 20).unwrap();
    drop(file);
    let captured = world.capture();
    assert_eq!(captured.delta.bytes_total, 64 << 20);
    world.materialise(captured.generation);
    let copy = world.standby.join("disk.img");
    let found = fs::metadata(&copy).unwrap();
    assert_eq!(found.len(), 64 << 20);
    assert!(found.blocks() * 512 < 4 << 20, "{} blocks", found.blocks());
    let tree = LiveTree::new(TreeName::Config, &world.standby);
    let none = Substitutions::default();
    let changes = world
        .store
        .compare_with_live(captured.generation, &tree, &none)
        .unwrap();
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn a_change_of_the_same_size_within_the_same_second_is_seen() {
    let world = World::new();
    for round in 0..20u8 {
        let path = world.write("f", [round]);
        let captured = world.capture();
        assert!(!captured.unchanged, "round {round}");
        // Even with the time of modification put back.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, [round + 100]).unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        assert!(!world.capture().unchanged, "round {round}, time put back");
    }
}

#[test]
fn a_file_that_never_holds_still_is_torn() {
    let mut world = World::new();
    let path = world.write("log", vec![b'x'; 1 << 20]);
    // Staging begins after the first look at a file of this size and before the last one.
    let busy = Arc::new(AtomicBool::new(true));
    world.store.observe({
        let busy = Arc::clone(&busy);
        Arc::new(move |step| {
            if step == "stage" && busy.load(Ordering::Relaxed) {
                fs::File::options()
                    .append(true)
                    .open(&path)?
                    .write_all(b"more")?;
            }
            Ok(())
        })
    });
    let captured = world.capture();
    assert_eq!(captured.torn.len(), 1);
    assert_eq!(captured.torn[0].path.to_string(), "log");
    assert!(
        !world
            .store
            .generation(captured.generation)
            .unwrap()
            .is_complete()
    );
    // Once it rests, the next capture is whole, although no hint mentions it.
    busy.store(false, Ordering::Relaxed);
    let captured = world.try_capture(Hint::Paths(BTreeSet::new())).unwrap();
    assert!(captured.torn.is_empty());
    assert!(
        world
            .store
            .generation(captured.generation)
            .unwrap()
            .is_complete()
    );
}

#[test]
fn a_tree_that_changes_under_the_scan_never_leads_outside() {
    let world = World::new();
    let outside = world.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), "secret").unwrap();
    fs::create_dir(world.primary.join("d")).unwrap();
    world.write("d/f", "inside");
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (stop, primary) = (Arc::clone(&stop), world.primary.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                fs::rename(primary.join("d"), primary.join("was")).unwrap();
                symlink("../outside", primary.join("d")).unwrap();
                fs::remove_file(primary.join("d")).unwrap();
                fs::rename(primary.join("was"), primary.join("d")).unwrap();
            }
        }
    });
    for _ in 0..50 {
        let captured = world.try_capture(Hint::Rehash).unwrap();
        let tree = world
            .store
            .tree(captured.generation, TreeName::Config)
            .unwrap();
        for entry in tree.entries() {
            assert!(
                !matches!(entry.node, Node::File { size, .. } if size != 6 || entry.path.as_bytes().starts_with(b"outside"))
            );
            if let Node::File { .. } = entry.node {
                let text = world
                    .store
                    .read_file(captured.generation, TreeName::Config, entry.path.as_path())
                    .unwrap();
                assert_eq!(text.unwrap(), b"inside");
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
}

#[test]
fn devices_and_set_id_bits_come_back_for_root() {
    let world = World::new();
    let made = std::process::Command::new("mknod")
        .arg(world.primary.join("null"))
        .args(["c", "1", "3"])
        .stderr(std::process::Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return skip("making device nodes needs root");
    }
    let path = world.write("tool", "x");
    std::os::unix::fs::chown(&path, Some(1234), Some(4321)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o6755)).unwrap();
    let captured = world.capture();
    world.materialise(captured.generation);
    assert_eq!(look(&world.standby), look(&world.primary));
}

#[test]
fn a_filter_decides_what_belongs_to_the_tree() {
    let world = World::new();
    for path in [
        "a.conf",
        "b.log",
        "sites/x.conf",
        "sites/x.log",
        "empty/x.log",
        "run/x.conf",
    ] {
        world.write(path, path);
    }
    let mut tree = LiveTree::new(TreeName::Config, &world.primary);
    tree.filter = Filter::new(&["*.conf"], &["/run"]).unwrap();
    let none = Substitutions::default();
    let request = evenkeel_clone::Capture {
        trees: std::slice::from_ref(&tree),
        substitutions: &none,
        at: evenkeel_core::Timestamp::from_millis(1),
        hint: Hint::Everything,
        pinned_config: None,
    };
    let captured = world.store.capture(&request, &|_| {}).unwrap();
    let listing = world
        .store
        .tree(captured.generation, TreeName::Config)
        .unwrap();
    let paths: Vec<String> = listing
        .entries()
        .iter()
        .map(|e| e.path.to_string())
        .collect();
    assert_eq!(paths, [".", "a.conf", "sites", "sites/x.conf"]);

    // A hint at something new finds the way to it, and at something gone takes the way away.
    world.write("empty/new.conf", "x");
    fs::remove_file(world.primary.join("sites/x.conf")).unwrap();
    let changed = [
        world.primary.join("empty/new.conf"),
        world.primary.join("sites/x.conf"),
    ];
    let request = evenkeel_clone::Capture {
        hint: Hint::Paths(changed.into()),
        ..request
    };
    let captured = world.store.capture(&request, &|_| {}).unwrap();
    let listing = world
        .store
        .tree(captured.generation, TreeName::Config)
        .unwrap();
    let paths: Vec<String> = listing
        .entries()
        .iter()
        .map(|e| e.path.to_string())
        .collect();
    assert_eq!(paths, [".", "a.conf", "empty", "empty/new.conf"]);
    assert!(world.primary.join("b.log").file_name() == Some(OsStr::new("b.log")));
}
