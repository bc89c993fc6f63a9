//! What plots have in common: numbers at axes, texts, names of files.

/// A number at an axis.
pub(crate) fn tick(value: f64) -> String {
    if value == 0.0 || (0.01..1e6).contains(&value.abs()) {
        format!("{value:.2}")
    } else {
        format!("{value:.2e}")
    }
}

/// Text between tags.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A name for the file of series number `number`, which no other has: what is no letter, digit, dot or
/// dash in the series' own name becomes `_`.
pub(crate) fn file_name(number: usize, series: &str) -> String {
    let plain: String = series
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => c,
            _ => '_',
        })
        .take(80)
        .collect();
    format!("{number:04}-{plain}.svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_stay_in_the_directory_and_apart() {
        assert_eq!(file_name(3, "../a b/é"), "0003-.._a_b__.svg");
        assert_ne!(file_name(1, "a/b"), file_name(2, "a_b"));
    }
}
