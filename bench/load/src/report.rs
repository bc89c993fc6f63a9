//! What a run found, for people and for scripts.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// The result of one run. Latencies are of successful requests, whole: in mode `new` with the connecting.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) seconds: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
    pub(crate) p999_us: u32,
    pub(crate) max_us: u32,
    /// What the first failed request met.
    pub(crate) first_error: Option<String>,
}

impl Report {
    /// Sums up the latencies, in microseconds.
    pub(crate) fn new(
        mut latencies_us: Vec<u32>,
        failed: u64,
        took: Duration,
        first_error: Option<String>,
    ) -> Self {
        latencies_us.sort_unstable();
        let requests = latencies_us.len() as u64;
        Self {
            requests,
            failed,
            seconds: took.as_secs_f64(),
            requests_per_second: requests as f64 / took.as_secs_f64().max(f64::MIN_POSITIVE),
            p50_us: quantile(&latencies_us, 500),
            p99_us: quantile(&latencies_us, 990),
            p999_us: quantile(&latencies_us, 999),
            max_us: quantile(&latencies_us, 1000),
            first_error,
        }
    }
}

/// The smallest value that at least `per_mille` of the sorted ones do not exceed; 0 of none.
fn quantile(sorted: &[u32], per_mille: usize) -> u32 {
    let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests in {:.1} s: {:.0}/s, p50 {} us, p99 {} us, p99.9 {} us, max {} us; {} failed",
            self.requests,
            self.seconds,
            self.requests_per_second,
            self.p50_us,
            self.p99_us,
            self.p999_us,
            self.max_us,
            self.failed,
        )?;
        match &self.first_error {
            Some(error) => write!(f, " (first: {error})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let sorted: Vec<u32> = (1..=200).collect();
        assert_eq!(quantile(&sorted, 500), 100);
        assert_eq!(quantile(&sorted, 990), 198);
        assert_eq!(quantile(&sorted, 1000), 200);
        assert_eq!(quantile(&[7], 1), 7);
        assert_eq!(quantile(&[], 990), 0);
    }
}
