//! Stories of a store's life: two instances, pinning, reverting, bit rot, pruning.

#![allow(clippy::unwrap_used)] // A test may fail anywhere, its helpers too.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::{World, look_timeless, materialise};
use evenkeel_clone::{
    Capture, Captured, ChangeKind, CloneError, Hint, LiveTree, Manner, Materialise, Store,
    Substitutions, Target, TreeName,
};
use evenkeel_core::{GenerationId, Timestamp};

fn pairs(address: &str, root: &Path) -> Substitutions {
    let pair = |canonical: &str, local: &str| (canonical.to_owned(), local.to_owned());
    let root = root.to_str().unwrap();
    Substitutions::new(vec![pair("@address@", address), pair("@root@", root)]).unwrap()
}

/// Captures config and data; `pinned` keeps that generation's config.
fn both(
    world: &World,
    root: &Path,
    address: &str,
    pinned: Option<GenerationId>,
    hint: Hint,
) -> Captured {
    let trees = [
        LiveTree::new(TreeName::Config, root.join("etc")),
        LiveTree::new(TreeName::Data, root.join("var")),
    ];
    let request = Capture {
        trees: &trees,
        substitutions: &pairs(address, root),
        at: Timestamp::from_millis(1),
        hint,
        pinned_config: pinned,
    };
    world.store.capture(&request, &|_| {}).unwrap()
}

fn two_trees(world: &World) {
    let root = world.primary.display();
    world.write(
        "etc/app.conf",
        format!("listen 10.0.0.1:80;\nroot {root}/var;\n"),
    );
    world.write("etc/blob", b"\0 10.0.0.1");
    symlink(world.primary.join("var"), world.primary.join("etc/data")).unwrap();
    world.write("var/rows", "10.0.0.1");
}

#[test]
fn the_same_configuration_has_the_same_digest_on_both_instances() {
    let world = World::new();
    two_trees(&world);
    let captured = both(&world, &world.primary, "10.0.0.1", None, Hint::Everything);
    let text = world
        .store
        .read_file(captured.generation, TreeName::Config, Path::new("app.conf"));
    assert_eq!(
        text.unwrap().unwrap(),
        b"listen @address@:80;\nroot @root@/var;\n"
    );

    let target = |name, path: &str| Target {
        from: captured.generation,
        to: LiveTree::new(name, world.standby.join(path)),
    };
    let targets = [
        target(TreeName::Config, "etc"),
        target(TreeName::Data, "var"),
    ];
    let substitutions = pairs("10.0.0.2", &world.standby);
    let request = Materialise {
        targets: &targets,
        substitutions: &substitutions,
        manner: Manner::Swap,
    };
    world.store.materialise(&request, &|_| {}).unwrap();
    let at = world.standby.display();
    assert_eq!(
        fs::read_to_string(world.standby.join("etc/app.conf")).unwrap(),
        format!("listen 10.0.0.2:80;\nroot {at}/var;\n")
    );
    assert_eq!(
        fs::read(world.standby.join("etc/blob")).unwrap(),
        b"\0 10.0.0.1"
    );
    assert_eq!(
        fs::read(world.standby.join("var/rows")).unwrap(),
        b"10.0.0.1"
    );
    assert_eq!(
        fs::read_link(world.standby.join("etc/data")).unwrap(),
        world.standby.join("var")
    );

    // Roles swapped: the standby is captured, and nothing has changed.
    let again = both(&world, &world.standby, "10.0.0.2", None, Hint::Everything);
    assert!(
        again.unchanged,
        "{:?}",
        world.store.diff(captured.generation, again.generation)
    );
    assert_eq!(again.config_digest, captured.config_digest);
    assert!(world.store.plan(&request).unwrap().is_empty());
}

#[test]
fn a_file_that_cannot_go_both_ways_stops_the_capture_by_name() {
    let world = World::new();
    two_trees(&world);
    world.write("etc/odd.conf", "@address@ 10.0.0.1");
    let trees = [LiveTree::new(TreeName::Config, world.primary.join("etc"))];
    let request = Capture {
        trees: &trees,
        substitutions: &pairs("10.0.0.1", &world.primary),
        at: Timestamp::from_millis(1),
        hint: Hint::Everything,
        pinned_config: None,
    };
    let error = world.store.capture(&request, &|_| {}).unwrap_err();
    assert!(matches!(&error, CloneError::NotReversible { path, literal }
        if path.ends_with("odd.conf") && literal == "@address@"));
    assert_eq!(world.store.generations().unwrap().len(), 0);
}

#[test]
fn data_is_followed_while_configuration_is_pinned() {
    let world = World::new();
    two_trees(&world);
    let root = world.primary.clone();
    let good = both(&world, &root, "10.0.0.1", None, Hint::Everything);
    world.write("etc/app.conf", "drifted");
    let rows = world.write("var/rows", "more");
    let hint = Hint::Paths(BTreeSet::from([rows]));
    let pinned = both(
        &world,
        &root,
        "10.0.0.1",
        Some(good.generation),
        hint.clone(),
    );
    assert_eq!(pinned.config_digest, good.config_digest);
    assert_ne!(pinned.data_digest, good.data_digest);
    let record = world.store.generation(pinned.generation).unwrap();
    assert_eq!(record.config_pinned_from, Some(good.generation));

    // The hint says nothing about what happened to the configuration while it was pinned.
    let free = both(&world, &root, "10.0.0.1", None, hint);
    assert_ne!(free.config_digest, good.config_digest);
    let changes = world.store.diff(good.generation, free.generation).unwrap();
    let told: Vec<_> = changes
        .iter()
        .map(|c| (c.tree, c.path.to_string(), c.kind))
        .collect();
    assert_eq!(
        told,
        [
            (TreeName::Config, "app.conf".to_owned(), ChangeKind::Changed),
            (TreeName::Data, "rows".to_owned(), ChangeKind::Changed),
        ]
    );
}

#[test]
fn hints_are_not_taken_by_a_store_that_was_just_opened() {
    let world = World::new();
    world.write("a", "1");
    world.write("b", "1");
    world.capture();
    let World {
        dir,
        store,
        primary,
        ..
    } = world;
    drop(store);
    fs::write(primary.join("a"), "changed while nobody looked").unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let hint = || Hint::Paths(BTreeSet::from([primary.join("b")]));
    let first = common::capture(&store, &primary, hint()).unwrap();
    assert_eq!(first.delta.files_changed, 1);
    // From now on they are: what no hint mentions is not looked at.
    fs::write(primary.join("a"), "changed again").unwrap();
    assert!(common::capture(&store, &primary, hint()).unwrap().unchanged);
    // One that lies in no tree is a misunderstanding, and trusted in nothing.
    let strange = Hint::Paths(BTreeSet::from([dir.path().join("elsewhere")]));
    assert!(
        !common::capture(&store, &primary, strange)
            .unwrap()
            .unchanged
    );
    fs::write(primary.join("a"), "once more").unwrap();
    assert!(
        !common::capture(&store, &primary, Hint::Everything)
            .unwrap()
            .unchanged
    );
}

#[test]
fn a_live_tree_is_reverted_and_nothing_is_lost() {
    let world = World::new();
    world.write("app.conf", "good");
    world.write("same", "same");
    world.write("turned/inner", "good");
    world.write("mode", "x");
    let baseline = world.capture();
    let before = look_timeless(&world.primary);
    let untouched = fs::metadata(world.primary.join("same")).unwrap().ino();

    world.write("app.conf", "drifted");
    fs::remove_dir_all(world.primary.join("turned")).unwrap();
    world.write("turned", "now a file");
    world.write("extra/deep/file", "precious");
    fs::set_permissions(
        world.primary.join("mode"),
        fs::Permissions::from_mode(0o777),
    )
    .unwrap();
    world.write("kept.log", "the filter leaves this out");

    let mut to = LiveTree::new(TreeName::Config, &world.primary);
    to.filter = evenkeel_clone::Filter::new(&[] as &[&str], &["*.log"]).unwrap();
    let aside = world.dir.path().join("aside");
    let targets = [Target {
        from: baseline.generation,
        to,
    }];
    let none = Substitutions::default();
    let manner = Manner::InPlace {
        aside: Some(aside.clone()),
    };
    let request = Materialise {
        targets: &targets,
        substitutions: &none,
        manner,
    };
    let plan = world.store.plan(&request).unwrap();
    let done = world.store.materialise(&request, &|_| {}).unwrap();
    assert_eq!(done.changes, plan);
    let kinds: Vec<_> = plan.iter().map(|c| (c.path.to_string(), c.kind)).collect();
    let expected = [
        ("app.conf", ChangeKind::Changed),
        ("extra", ChangeKind::Removed),
        ("extra/deep", ChangeKind::Removed),
        ("extra/deep/file", ChangeKind::Removed),
        ("mode", ChangeKind::Metadata),
        ("turned", ChangeKind::Changed),
        ("turned/inner", ChangeKind::Added),
    ];
    assert_eq!(kinds, expected.map(|(path, kind)| (path.to_owned(), kind)));

    let kept = world.primary.join("kept.log");
    assert_eq!(
        fs::read_to_string(&kept).unwrap(),
        "the filter leaves this out"
    );
    fs::remove_file(kept).unwrap();
    assert_eq!(look_timeless(&world.primary), before);
    assert_eq!(
        fs::metadata(world.primary.join("same")).unwrap().ino(),
        untouched
    );
    let lost = |path: &str| fs::read_to_string(aside.join("config").join(path)).unwrap();
    assert_eq!(lost("extra/deep/file"), "precious");
    assert_eq!(lost("app.conf"), "drifted");
    assert_eq!(lost("turned"), "now a file");

    // A second drift of the same file does not overwrite what was kept of the first.
    world.write("app.conf", "drifted again");
    world.store.materialise(&request, &|_| {}).unwrap();
    assert_eq!(
        (lost("app.conf"), lost("app.conf~1")),
        ("drifted".into(), "drifted again".into())
    );
    assert!(world.store.plan(&request).unwrap().is_empty());
}

#[test]
fn a_swap_writes_only_what_differs_and_nothing_if_nothing_does() {
    let world = World::new();
    world.write("same", "same");
    world.write("changed", "1");
    let one = world.capture();
    world.materialise(one.generation);
    let inode = |path: &str| fs::metadata(world.standby.join(path)).unwrap().ino();
    let (root, same) = (inode("."), inode("same"));
    let idle = world.materialise(one.generation);
    assert_eq!(
        (idle.files_written, idle.files_kept, inode(".")),
        (0, 2, root)
    );

    world.write("changed", "2");
    let two = world.capture();
    assert_eq!((two.delta.files_changed, two.delta.bytes_moved), (1, 1));
    let done = world.materialise(two.generation);
    assert_eq!(
        (done.files_written, done.files_kept, done.bytes_written),
        (1, 1, 1)
    );
    assert_eq!(inode("same"), same);
    assert_ne!(inode("."), root);
    // A file that was tampered with on the standby, same size, is not kept.
    fs::write(world.standby.join("same"), "evil").unwrap();
    assert_eq!(world.materialise(two.generation).files_written, 1);
    assert_eq!(look_timeless(&world.standby), look_timeless(&world.primary));
}

#[test]
fn destinations_that_cannot_be_right_are_refused() {
    let world = World::new();
    world.write("f", "x");
    let id = world.capture().generation;
    let refused = |to: &Path| {
        let error = materialise(&world.store, id, to, Manner::Swap).unwrap_err();
        assert!(matches!(error, CloneError::Destination { .. }), "{error}");
    };
    refused(Path::new("/"));
    refused(&world.primary.join("f"));
    refused(world.dir.path()); // The store is in it.
    symlink("nowhere", world.dir.path().join("dangling")).unwrap();
    refused(&world.dir.path().join("dangling"));

    let target = |name, to: &Path| Target {
        from: id,
        to: LiveTree::new(name, to),
    };
    let inner = world.standby.join("inner");
    let targets = [
        target(TreeName::Config, &world.standby),
        target(TreeName::Data, &inner),
    ];
    let none = Substitutions::default();
    let request = Materialise {
        targets: &targets,
        substitutions: &none,
        manner: Manner::Swap,
    };
    let error = world.store.materialise(&request, &|_| {}).unwrap_err();
    assert!(error.to_string().contains("inside another tree"), "{error}");
    assert!(!world.standby.exists());
}

#[test]
fn a_destination_behind_a_link_is_exchanged_where_it_is() {
    let world = World::new();
    world.write("f", "x");
    let id = world.capture().generation;
    let real = world.dir.path().join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, &world.standby).unwrap();
    world.materialise(id);
    assert!(world.standby.symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read_to_string(real.join("f")).unwrap(), "x");
}

/// The path of the object that holds `content`.
fn object(world: &World, content: &[u8]) -> PathBuf {
    let hex = evenkeel_clone::Digest::of(content).to_string();
    world
        .store
        .directory()
        .join("objects")
        .join(&hex[..2])
        .join(&hex[2..])
}

#[test]
fn bit_rot_is_found_refused_and_healed() {
    let world = World::new();
    world.write("f", "precious");
    world.write("gone", "also precious");
    let id = world.capture().generation;
    fs::write(object(&world, b"precious"), "precioux").unwrap();
    fs::remove_file(object(&world, b"also precious")).unwrap();

    let report = world.store.verify(&|_| {}).unwrap();
    assert_eq!((report.damaged.len(), report.missing.len()), (1, 1));
    assert_eq!(report.generations_affected(), BTreeSet::from([id]));
    let error = materialise(&world.store, id, &world.standby, Manner::Swap).unwrap_err();
    assert!(matches!(
        error,
        CloneError::Damaged { .. } | CloneError::MissingObject { .. }
    ));
    assert!(!world.standby.exists());

    world.store.put_away(&report).unwrap();
    assert!(world.capture().unchanged);
    // Same content as the latest generation: it is whole again.
    let report = world.store.verify(&|_| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    world.materialise(id);
}

#[test]
fn a_corrupt_generation_is_refused_by_name_and_blocks_the_sweep() {
    let world = World::new();
    world.write("f", "1");
    let one = world.capture().generation;
    world.write("f", "2");
    let two = world.capture().generation;
    let path = world
        .store
        .directory()
        .join("generations")
        .join(one.to_string());
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();

    let error = world.store.generation(one).unwrap_err();
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error}"
    );
    let ids: Vec<_> = world
        .store
        .generations()
        .unwrap()
        .into_iter()
        .map(|r| r.id)
        .collect();
    assert_eq!(ids, [two]);
    assert_eq!(world.store.verify(&|_| {}).unwrap().unreadable.len(), 1);
    assert!(world.store.remove(&BTreeSet::new()).is_err());
    assert!(object(&world, b"1").exists());
    let pruned = world.store.prune(&BTreeSet::from([two])).unwrap();
    assert_eq!(pruned.generations, BTreeSet::from([one]));
    assert!(!object(&world, b"1").exists() && object(&world, b"2").exists());
}

#[test]
fn numbers_of_removed_generations_are_not_given_again() {
    let world = World::new();
    world.write("f", "1");
    let one = world.capture().generation;
    world.write("f", "2");
    let two = world.capture().generation;
    world.store.prune(&BTreeSet::from([one])).unwrap();
    let three = world.capture();
    assert!(!three.unchanged && three.generation > two);
    world.store.prune(&BTreeSet::new()).unwrap();
    let pruned = fs::read_dir(world.store.directory().join("objects")).unwrap();
    let left: usize = pruned
        .map(|shard| fs::read_dir(shard.unwrap().path()).unwrap().count())
        .sum();
    assert_eq!((left, world.store.latest().unwrap()), (0, None));
    assert!(world.capture().generation > three.generation);
}

#[test]
fn an_unsettled_cache_is_not_needed_for_a_right_answer() {
    let world = World::new();
    world.write("f", "1");
    let one = world.capture();
    fs::write(world.store.directory().join("stat-cache"), "rubbish").unwrap();
    let World {
        dir,
        store,
        primary,
        ..
    } = world;
    drop(store);
    let store = Store::open(&dir.path().join("store")).unwrap();
    let again = common::capture(&store, &primary, Hint::Everything).unwrap();
    assert!(again.unchanged && again.generation == one.generation);
}

#[test]
fn a_missing_root_is_named() {
    let world = World::new();
    let missing = world.dir.path().join("missing");
    let error = common::capture(&world.store, &missing, Hint::Everything).unwrap_err();
    assert!(
        matches!(&error, CloneError::Root { root, .. } if *root == missing),
        "{error}"
    );
}
