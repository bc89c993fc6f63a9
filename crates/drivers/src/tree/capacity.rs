//! What grows and what runs out in a tree: entries of tables, days until certificates expire.
//!
//! Derived properties are named with a leading `@`, which no written property has. The age of the
//! tree is left out on purpose: it always grows, so a forecast of it says nothing;
//! `TreeReading::newest_change` has the instant instead.

use evenkeel_core::Timestamp;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::format::Format;
use super::leaf::Leaf;

/// Siblings under one place from which a document counts as a table.
const TABLE_ENTRIES_MIN: usize = 32;
/// More certificates than this in one file are a trust store, where one root's expiry means nothing.
const CHAIN_CERTIFICATES_MAX: usize = 16;

/// When the first certificate of a PEM text expires, in seconds since the epoch.
pub(super) fn first_expiry_of_pem(text: &str) -> Option<i64> {
    const MARK: &str = "-----BEGIN CERTIFICATE-----";
    let count = text.matches(MARK).take(CHAIN_CERTIFICATES_MAX + 1).count();
    if count == 0 || count > CHAIN_CERTIFICATES_MAX {
        return None;
    }
    Pem::iter_from_buffer(text.as_bytes())
        .filter_map(Result::ok)
        .filter(|block| block.label == "CERTIFICATE")
        .filter_map(|block| expiry_of_der(&block.contents))
        .min()
}

/// When a certificate in DER expires, in seconds since the epoch.
pub(super) fn expiry_of_der(bytes: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(bytes).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// Negative once it has passed.
pub(super) fn days_to(expiry_seconds: i64, now: Timestamp) -> f64 {
    (expiry_seconds as f64 - now.as_millis() as f64 / 1e3) / 86_400.0
}

/// The number of entries, if the file is a table: a map, a list of hosts, many similar lines.
/// `was_table` keeps a file that shrinks below the limit from losing the property.
pub(super) fn entries(
    path: &str,
    format: Format,
    text: &str,
    leaves: &[Leaf],
    was_table: bool,
) -> Option<usize> {
    let is_named_table = has_table_name(path);
    if format == Format::Text {
        let lines = || text.lines().filter(|line| !line.trim().is_empty());
        let count = lines()
            .filter(|line| !line.trim_start().starts_with(['#', ';']))
            .count();
        return (is_named_table || was_table).then_some(count);
    }
    let largest = largest_family(leaves);
    let is_table = is_named_table || was_table || largest >= TABLE_ENTRIES_MIN || has_map(leaves);
    is_table.then_some(leaves.len())
}

fn has_table_name(path: &str) -> bool {
    const NAMES: &[&str] = &[
        "hosts",
        "hosts.allow",
        "hosts.deny",
        "passwd",
        "group",
        "mime.types",
    ];
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_list = |ending: &str| name.ends_with(ending);
    NAMES.contains(&name)
        || [".map", ".list", ".lst", ".csv", ".hosts"]
            .into_iter()
            .any(is_list)
}

/// A `map` or `geo` block of nginx.
fn has_map(leaves: &[Leaf]) -> bool {
    let is_map = |leaf: &Leaf| {
        ["map[", "geo["]
            .iter()
            .any(|block| leaf.path.starts_with(block) || leaf.path.contains(&format!("/{block}")))
    };
    leaves.iter().any(is_map)
}

/// The longest run of leaves with the same parent. Leaves come in document order, so siblings are
/// neighbours.
fn largest_family(leaves: &[Leaf]) -> usize {
    let parent = |leaf: &Leaf| leaf.path.rfind('/').map_or(0, |at| at);
    let mut largest = 0;
    let mut run = 0;
    let mut before: Option<&str> = None;
    for leaf in leaves {
        let here = &leaf.path[..parent(leaf)];
        run = if before == Some(here) { run + 1 } else { 1 };
        before = Some(here);
        largest = largest.max(run);
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn count(path: &str, format: Format, text: &str, was_table: bool) -> Option<usize> {
        entries(path, format, text, &parse(format, text).unwrap(), was_table)
    }

    #[test]
    fn tables_are_counted_and_small_documents_are_not() {
        let many: String = (0..40).map(|n| format!("k{n} v{n}\n")).collect();
        assert_eq!(count("a", Format::KeyValue, &many, false), Some(40));
        assert_eq!(count("a", Format::KeyValue, "a 1\n", false), None);
        assert_eq!(count("a", Format::KeyValue, "a 1\n", true), Some(1));
        assert_eq!(
            count("x/hosts", Format::Text, "# c\n127.0.0.1 a\n\n", false),
            Some(1)
        );
        assert_eq!(count("a", Format::Text, "a\n", false), None);
        assert_eq!(
            count("n", Format::Nginx, "map $a $b { x 1; y 2; }", false),
            Some(2)
        );
    }

    #[test]
    fn days_are_fractional_and_negative_after_the_end() {
        assert!((days_to(43_200, Timestamp::from_millis(0)) - 0.5).abs() < 1e-12);
        assert!((days_to(0, Timestamp::from_millis(86_400_000)) + 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_certificate_has_no_expiry() {
        assert_eq!(first_expiry_of_pem("x"), None);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(first_expiry_of_pem(broken), None);
        assert_eq!(
            first_expiry_of_pem("-----BEGIN CERTIFICATE-----\nAAAA\n"),
            None
        );
        assert_eq!(expiry_of_der(&[0x30, 0x03, 1, 2, 3]), None);
    }
}
