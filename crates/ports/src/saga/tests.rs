//! Tests of the executor's own arithmetic. Its behaviour under faults is tested over the fakes in
//! `evenkeel-sim`, with many seeds.

use super::*;

#[test]
fn the_pause_between_attempts_doubles_up_to_its_limit() {
    let pauses: Vec<u64> = (2..8).map(|n| back_off(n).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 8, 8]);
    assert_eq!(back_off(u32::MAX), BACK_OFF_MAX);
}

#[test]
fn a_failure_after_an_effect_may_have_left_a_trace() {
    let surely_not = StepError::from(DriverError::without_effect("no"));
    let maybe = StepError::maybe_effect("no");
    assert_ne!(surely_not, maybe);
    assert_eq!(surely_not.after_an_effect(), maybe);
}
