//! Random trees and random edits: what is captured comes back, and digests tell contents apart.

#![allow(clippy::unwrap_used)] // A test may fail anywhere, its helpers too.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::{World, look, look_timeless, materialise};
use evenkeel_clone::{Hint, LiveTree, Manner, Substitutions, TreeName};
use proptest::prelude::*;

/// One change of a tree.
#[derive(Clone, Debug)]
enum Edit {
    Write(PathBuf, Vec<u8>),
    Link(PathBuf, String),
    Directory(PathBuf),
    Remove(PathBuf),
    Mode(PathBuf, u32),
    Name(PathBuf, PathBuf),
}

fn path() -> impl Strategy<Value = PathBuf> {
    proptest::collection::vec("[ab.-]{0,1}[a-c]", 1..4).prop_map(|parts| parts.iter().collect())
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (path(), "[a-z]{0,8}").prop_map(|(path, text)| Edit::Write(path, text.into_bytes())),
        1 => (path(), "[a-z./]{1,8}").prop_map(|(path, to)| Edit::Link(path, to)),
        1 => path().prop_map(Edit::Directory),
        2 => path().prop_map(Edit::Remove),
        1 => (path(), 0o400u32..0o1000).prop_map(|(path, mode)| Edit::Mode(path, mode)),
        1 => (path(), path()).prop_map(|(from, to)| Edit::Name(from, to)),
    ]
}

/// Applies the edit where it can be, and returns the paths that an observer would report.
fn apply(root: &Path, edit: &Edit) -> Vec<PathBuf> {
    let make_way = |path: &Path| {
        let path = root.join(path);
        for parent in path
            .ancestors()
            .skip(1)
            .take_while(|parent| parent.starts_with(root))
        {
            if parent.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
                fs::remove_file(parent).unwrap();
            }
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        remove(&path);
        path
    };
    match edit {
        Edit::Write(path, text) => {
            let path = make_way(path);
            fs::write(&path, text).unwrap();
            with_parents(root, path)
        }
        Edit::Link(path, to) => {
            let path = make_way(path);
            symlink(to, &path).unwrap();
            with_parents(root, path)
        }
        Edit::Directory(path) => {
            let path = make_way(path);
            fs::create_dir(&path).unwrap();
            with_parents(root, path)
        }
        Edit::Remove(path) => {
            let path = root.join(path);
            // Never through a link: the test must not edit outside its tree.
            if path.canonicalize().is_ok_and(|real| real == path) {
                remove(&path);
            }
            vec![path]
        }
        Edit::Mode(path, mode) => {
            let path = root.join(path);
            if path.canonicalize().is_ok_and(|real| real == path) {
                // The owner keeps access, so that the test runs for anybody.
                fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o700)).unwrap();
            }
            vec![path]
        }
        Edit::Name(from, to) => {
            let from = root.join(from);
            if from.symlink_metadata().is_ok_and(|found| found.is_file())
                && from.canonicalize().is_ok_and(|real| real == from)
            {
                let kept = fs::read(&from).unwrap();
                let to = make_way(to);
                if from.is_file() {
                    fs::hard_link(&from, &to).unwrap();
                } else {
                    fs::write(&to, kept).unwrap();
                }
                return [with_parents(root, from), with_parents(root, to)].concat();
            }
            vec![]
        }
    }
}

fn with_parents(root: &Path, path: PathBuf) -> Vec<PathBuf> {
    let inner = |at: &&Path| at.starts_with(root) && *at != root;
    path.ancestors()
        .take_while(inner)
        .map(Path::to_owned)
        .collect()
}

fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        fork: false,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_captured_tree_comes_back_as_it_was(
        first in proptest::collection::vec(edit(), 0..20),
        second in proptest::collection::vec(edit(), 0..8),
    ) {
        let world = World::fast();
        for edit in &first {
            apply(&world.primary, edit);
        }
        let one = world.capture();
        prop_assert!(!one.unchanged);
        world.materialise(one.generation);
        prop_assert_eq!(look(&world.standby), look(&world.primary));
        let before = look_timeless(&world.primary);

        for edit in &second {
            apply(&world.primary, edit);
        }
        let two = world.capture();
        let after = look_timeless(&world.primary);
        prop_assert_eq!(two.config_digest == one.config_digest, before == after);
        prop_assert_eq!(two.unchanged, before == after);

        // By exchange, over the tree that is there.
        world.materialise(two.generation);
        prop_assert_eq!(look_timeless(&world.standby), after.clone());
        // The digest of the copy is the digest of the original.
        let copy = common::capture(&world.store, &world.standby, Hint::Everything).unwrap();
        prop_assert_eq!(copy.config_digest, two.config_digest);

        // In place, back to the first generation.
        materialise(&world.store, one.generation, &world.primary, Manner::InPlace { aside: None })
            .unwrap();
        prop_assert_eq!(look_timeless(&world.primary), before);
        prop_assert_eq!(world.capture().config_digest, one.config_digest);
        let sound = world.store.verify(&|_| {}).unwrap().is_sound();
        prop_assert!(sound);
    }

    #[test]
    fn the_right_hints_give_the_same_digest_as_a_full_look(
        first in proptest::collection::vec(edit(), 0..20),
        then in proptest::collection::vec(proptest::collection::vec(edit(), 0..4), 1..4),
    ) {
        let world = World::fast();
        for edit in &first {
            apply(&world.primary, edit);
        }
        world.capture();
        let other = World::fast();
        for edits in &then {
            let changed: BTreeSet<PathBuf> =
                edits.iter().flat_map(|edit| apply(&world.primary, edit)).collect();
            let hinted = world.try_capture(Hint::Paths(changed)).unwrap();
            let full = common::capture(&other.store, &world.primary, Hint::Rehash).unwrap();
            prop_assert_eq!(hinted.config_digest, full.config_digest);
        }
    }

    #[test]
    fn diff_is_empty_only_between_equal_trees(
        first in proptest::collection::vec(edit(), 0..12),
        second in proptest::collection::vec(edit(), 0..4),
    ) {
        let world = World::fast();
        for edit in &first {
            apply(&world.primary, edit);
        }
        let one = world.capture();
        for edit in &second {
            apply(&world.primary, edit);
        }
        let tree = LiveTree::new(TreeName::Config, &world.primary);
        let live = world
            .store
            .compare_with_live(one.generation, &tree, &Substitutions::default())
            .unwrap();
        let two = world.capture();
        let diff = world.store.diff(one.generation, two.generation).unwrap();
        prop_assert_eq!(diff.is_empty(), two.unchanged);
        prop_assert_eq!(&live, &diff);
        let files = diff.iter().filter(|change| !change.directory).count() as u64;
        let delta = two.delta;
        prop_assert_eq!(files, delta.files_added + delta.files_changed + delta.files_removed);
    }
}
