//! A static threshold on the value, the alert that most people have: `value > fraction of the limit`.

use super::Detector;

#[derive(Clone, Debug)]
pub(super) struct StaticThreshold {
    fraction: f64,
}

impl StaticThreshold {
    pub(super) fn new(fraction: f64) -> Self {
        Self { fraction }
    }
}

impl Detector for StaticThreshold {
    fn observe(&mut self, _at: f64, deviation: f64) -> bool {
        deviation.abs() >= self.fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_alarms_at_its_fraction_on_both_sides_and_below_never() {
        let mut detector = StaticThreshold::new(0.8);
        let alarms = [0.79, 0.8, -0.81, 0.0].map(|value| detector.observe(0.0, value));
        assert_eq!(alarms, [false, true, true, false]);
    }
}
