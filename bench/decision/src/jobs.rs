//! Work spread over threads, results in the order of the work.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Applies `work` to every item on at most `workers` threads.
pub(crate) fn map<T: Sync, R: Send>(
    workers: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(i) else { break };
                    let result = work(item);
                    // A lock is only poisoned by a panic of another worker, which ends the program anyway.
                    match done.lock() {
                        Ok(mut done) => done.push((i, result)),
                        Err(_) => break,
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_work() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(
            map(3, &items, |i| i * i),
            items.iter().map(|i| i * i).collect::<Vec<_>>()
        );
        assert_eq!(map(3, &[] as &[u32], |i| *i), [] as [u32; 0]);
    }
}
