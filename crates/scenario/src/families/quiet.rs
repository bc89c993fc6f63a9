//! Families in which nothing happens but noise and seasons.

use std::time::Duration;

use super::draw::{Draw, white};
use crate::component::{Component, Noise, Reverting, Season, Wave};
use crate::scenario::Scenario;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn long(draw: &mut Draw) -> f64 {
    draw.between(10_000.0, 14_000.0).round()
}

pub(super) fn white_noise(draw: &mut Draw) -> Scenario {
    let sd = draw.sd(6.0, 50.0);
    let steps = long(draw);
    draw.of(vec![white(sd)], steps)
}

pub(super) fn mean_reverting(draw: &mut Draw) -> Scenario {
    let (sd, memory) = (draw.sd(6.5, 50.0), draw.magnitude(2.0, 60.0));
    let memory = draw.span(memory);
    let course = vec![
        Component::Reverting(Reverting { sd, memory }),
        white(sd / 5.0),
    ];
    let steps = long(draw);
    draw.of(course, steps)
}

/// Degrees of freedom, with the multiple of the standard deviation that one value in 10⁷ is beyond.
const TAILS: [(f64, f64); 4] = [(5.0, 35.0), (6.0, 24.3), (8.0, 16.0), (12.0, 10.7)];

pub(super) fn heavy_tails(draw: &mut Draw) -> Scenario {
    let (degrees, multiple) = draw.random.pick(&TAILS);
    let noise = Noise {
        sd: draw.sd(multiple, 1.5 * multiple),
        sd_end: None,
        tails: Some(degrees),
    };
    let steps = long(draw);
    draw.of(vec![Component::Noise(noise)], steps)
}

pub(super) fn variance_growth(draw: &mut Draw) -> Scenario {
    let (end, growth) = (draw.sd(6.0, 20.0), draw.between(2.0, 4.0));
    let noise = Noise {
        sd: end / growth,
        sd_end: Some(end),
        tails: None,
    };
    let steps = long(draw);
    draw.of(vec![Component::Noise(noise)], steps)
}

pub(super) fn season(draw: &mut Draw, period: Duration, low: f64, high: f64) -> Season {
    Season {
        period,
        amplitude: draw.distance * draw.between(low, high),
        wave: Wave::Sine,
        phase: draw.random.unit(),
        width: 0.1,
    }
}

pub(super) fn daily_season(draw: &mut Draw) -> Scenario {
    draw.with_steps(&[MINUTE, 5 * MINUTE]);
    let mut daily = season(draw, DAY, 0.1, 0.6);
    if draw.permille(333) {
        daily.wave = Wave::Pulse;
        daily.width = draw.between(0.01, 0.2);
    }
    let mut course = draw.noise_within(1.0 - (daily.amplitude / draw.distance).abs());
    course.push(Component::Season(daily));
    let days = DAY.as_secs_f64() / draw.step.as_secs_f64();
    let steps = long(draw).max(7.0 * days);
    draw.of(course, steps)
}

pub(super) fn weekly_season(draw: &mut Draw) -> Scenario {
    draw.with_steps(&[5 * MINUTE]);
    let (weekly, daily) = (
        season(draw, 7 * DAY, 0.1, 0.4),
        season(draw, DAY, 0.1, 0.25),
    );
    let together = (weekly.amplitude + daily.amplitude) / draw.distance;
    let mut course = draw.noise_within(1.0 - together.abs());
    course.extend([Component::Season(weekly), Component::Season(daily)]);
    let week = 7.0 * DAY.as_secs_f64() / draw.step.as_secs_f64();
    draw.of(course, 6.0 * week)
}
