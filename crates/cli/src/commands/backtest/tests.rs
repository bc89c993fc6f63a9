//! The parts of the command that a whole run does not show.

use std::path::PathBuf;

use super::*;

#[test]
fn series_are_named_after_files_and_stay_apart() {
    let files = ["a/cpu.csv", "b/cpu.csv", "b/disk.csv"].map(PathBuf::from);
    let names = files.each_ref().map(|file| file_stem(file, &files));
    assert_eq!(names, ["a/cpu.csv", "b/cpu.csv", "disk"]);
}

#[test]
fn the_bar_is_as_long_empty_as_full() {
    for done in [0, 1, 2, 3] {
        let bar = bar(done, 3);
        let drawn = bar.chars().filter(|c| matches!(c, '#' | '.')).count();
        assert_eq!(drawn, BAR, "{bar}");
    }
    assert!(bar(0, 0).ends_with("0 of 0 series"));
}
