//! Recurring windows as people write them: `Mon-Fri 02:00-04:00`, `Sat,Sun 01:00-05:00`,
//! `daily 23:30-00:30`. Times are UTC; an end that is not after its start is on the next day.

use std::time::Duration;

use evenkeel_core::policy::RecurringWindow;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads a window.
pub(super) fn parse(text: &str) -> Result<RecurringWindow, String> {
    let wrong = || {
        format!(
            "`{text}` is not a window; write it like `Mon-Fri 02:00-04:00` or `daily 23:30-00:30` (UTC)"
        )
    };
    let (days, times) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let (start, end) = times.trim().split_once('-').ok_or_else(wrong)?;
    let (start, end) = (time(start).ok_or_else(wrong)?, time(end).ok_or_else(wrong)?);
    let length = if end > start {
        end - start
    } else {
        end + 24 * 60 - start
    };
    Ok(RecurringWindow {
        weekdays: weekdays(days).ok_or_else(wrong)?,
        start: Duration::from_secs(60 * start),
        length: Duration::from_secs(60 * length),
    })
}

/// Minutes since midnight.
fn time(text: &str) -> Option<u64> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(60 * hours + minutes)
}

fn weekdays(text: &str) -> Option<Vec<u8>> {
    if text.eq_ignore_ascii_case("daily") {
        return Some(Vec::new());
    }
    let mut days = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => days.push(weekday(part)?),
            Some((first, last)) => {
                let (first, last) = (weekday(first)?, weekday(last)?);
                let length = (7 + last - first) % 7;
                days.extend((0..=length).map(|i| (first + i) % 7));
            }
        }
    }
    days.sort_unstable();
    days.dedup();
    Some(days)
}

fn weekday(text: &str) -> Option<u8> {
    let name = text.trim().to_ascii_lowercase();
    let index = DAYS.iter().position(|day| *day == name)?;
    u8::try_from(index).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_people_write_them() {
        let window = parse("Mon-Fri 02:00-04:00").unwrap();
        assert_eq!(window.weekdays, [0, 1, 2, 3, 4]);
        assert_eq!(window.start, Duration::from_secs(7200));
        assert_eq!(window.length, Duration::from_secs(7200));
        let over_midnight = parse("daily 23:30-00:30").unwrap();
        assert_eq!(over_midnight.length, Duration::from_secs(3600));
        assert_eq!(
            parse("Sat-Mon,Wed 00:00-01:00").unwrap().weekdays,
            [0, 2, 5, 6]
        );
        for bad in [
            "",
            "Mon",
            "Mon 2-4",
            "Moon 02:00-04:00",
            "Mon 25:00-26:00",
            "daily 02:00",
        ] {
            assert!(parse(bad).unwrap_err().contains("Mon-Fri"), "{bad}");
        }
    }
}
