//! Families of drifts that come step by step.

use std::collections::BTreeSet;
use std::time::Duration;

use evenkeel_core::property::{Origin, Value};

use super::draw::{Draw, white};
use super::quiet::season;
use crate::component::{Bend, Component, Ramp, Repeated, Sawtooth, Stairs};
use crate::scenario::{Gap, Late, Lost, Property, Scenario, Tolerance};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn ramp_with(draw: &mut Draw, bend: Bend) -> Scenario {
    let mut course = draw.noise();
    course.push(Component::Ramp(Ramp {
        bend,
        ..draw.ramp()
    }));
    draw.of(course, draw.until_harm())
}

pub(super) fn linear_ramp(draw: &mut Draw) -> Scenario {
    ramp_with(draw, Bend::Linear)
}

pub(super) fn accelerating(draw: &mut Draw) -> Scenario {
    ramp_with(draw, Bend::Accelerating)
}

pub(super) fn decelerating(draw: &mut Draw) -> Scenario {
    let plateau = draw.between(0.3, 0.85);
    let mut course = draw.noise_within(1.0 - plateau);
    course.push(Component::Ramp(Ramp {
        by: draw.distance * plateau,
        bend: Bend::Decelerating,
        ..draw.ramp()
    }));
    draw.of(course, draw.quiet + 1.5 * draw.way + 2.0 * draw.horizon)
}

pub(super) fn season_ramp(draw: &mut Draw) -> Scenario {
    draw.with_steps(&[MINUTE, 5 * MINUTE]);
    let days = if draw.step == MINUTE {
        draw.between(5.0, 8.0)
    } else {
        draw.between(10.0, 20.0)
    };
    draw.quiet = (days * DAY.as_secs_f64() / draw.step.as_secs_f64()).round();
    let daily = season(draw, DAY, 0.1, 0.35);
    let mut course = draw.noise_within(1.0 - (daily.amplitude / draw.distance).abs());
    course.push(Component::Season(daily));
    course.push(Component::Ramp(draw.ramp()));
    // The season may hold it back by 0.35.
    draw.of(course, draw.quiet + 1.4 * draw.way + draw.horizon / 2.0)
}

pub(super) fn sawtooth_leak(draw: &mut Draw) -> Scenario {
    let every = draw.horizon * draw.between(1.0, 3.0);
    let share = draw.between(0.4, 0.8);
    let teeth = draw.between(8.0, 15.0).round();
    let breaks = draw.permille(500);
    // The last restart comes a little after the last but one is due.
    let last = teeth * every;
    let leak = Sawtooth {
        at: draw.after(0.0),
        by: draw.distance * share,
        every: draw.span(every),
        // The longest tooth stays below the limit: 0.8 x 1.15 is 0.92.
        jitter: draw.between(0.0, 0.15),
        until: breaks.then(|| draw.after(last + 1.0)),
    };
    // The longest tooth of those that restart.
    let top = share * (1.0 + leak.jitter);
    let mut course = draw.noise_within(1.0 - top);
    course.push(Component::Leak(leak));
    let more = if breaks { every / share } else { 0.0 };
    // The jitter may move the last restart by some teeth's worth.
    draw.of(course, last + more + every + draw.horizon / 2.0)
}

pub(super) fn counter_resets(draw: &mut Draw) -> Scenario {
    let every = draw.horizon * draw.between(0.2, 0.6);
    let share = draw.between(0.1, 0.2);
    let breaks = draw.permille(500);
    let steps = draw.between(2000.0, 5000.0).round();
    let counter = Sawtooth {
        at: draw.after(0.0),
        by: draw.distance * share,
        every: draw.span(every),
        jitter: 0.0,
        until: breaks.then(|| draw.after(steps)),
    };
    let more = if breaks { 1.2 * every / share } else { 0.0 };
    draw.of(
        vec![Component::Counter(counter)],
        steps + more + draw.horizon / 2.0,
    )
}

pub(super) fn staircase(draw: &mut Draw) -> Scenario {
    let share = draw.between(0.08, 0.25);
    let to_harm = (1.0 / share).ceil();
    let stops = draw.permille(333);
    let count = if stops {
        (draw.between(0.4, 0.85) / share).floor().max(1.0)
    } else {
        to_harm + 2.0
    };
    let every = draw.way / to_harm;
    let stairs = Stairs {
        at: draw.after(draw.quiet),
        by: draw.distance * share,
        every: draw.span(every),
        jitter: draw.between(0.0, 0.5),
        count: Some(whole(count)),
    };
    let mut property = draw.property(vec![Component::Stairs(stairs)]);
    property.origin = Some(Origin::Configuration);
    draw.scenario(vec![property], draw.until_harm() + draw.way)
}

pub(super) fn gaps_and_late(draw: &mut Draw) -> Scenario {
    let drifts = draw.permille(667);
    let mut course = draw.noise();
    if drifts {
        course.push(Component::Ramp(draw.ramp()));
    }
    let steps = draw.until_harm();
    let mut scenario = draw.of(course, steps);
    let mut gaps = Vec::new();
    for _ in 0..draw.random.below(4) + 1 {
        let (at, lasting) = (draw.between(0.1, 0.95) * steps, draw.magnitude(3.0, 60.0));
        gaps.push(Gap {
            at: draw.after(at),
            lasting: draw.span(lasting),
        });
    }
    let mut lost = Vec::new();
    for _ in 0..draw.random.below(3) {
        let (at, lasting) = (draw.between(0.1, 0.95) * steps, draw.magnitude(1.0, 20.0));
        lost.push(Lost {
            at: draw.after(at),
            lasting: draw.span(lasting),
            why: "no answer".to_owned(),
        });
    }
    let (share, by) = (draw.between(0.1, 0.5), draw.between(0.1, 0.9));
    let resource = &mut scenario.resource[0];
    resource.missing = draw.between(0.02, 0.3);
    resource.late = Some(Late {
        share,
        by: draw.span(by),
    });
    resource.gap = gaps;
    resource.lost = lost;
    scenario
}

pub(super) fn quantised(draw: &mut Draw) -> Scenario {
    let quantum = draw.distance.abs() * draw.between(0.04, 0.2);
    // A little noise flips between two values, a little more between three.
    let sd = quantum * draw.magnitude(0.1, 0.7);
    let mut course = draw.noise_of(sd.min(draw.distance.abs() / 8.0));
    if draw.permille(667) {
        course.push(Component::Ramp(draw.ramp()));
    }
    // The approved value and the limit are values that it can have.
    draw.level = (draw.level / quantum).round().max(1.0) * quantum;
    let mut property = draw.property(course);
    property.quantum = Some(quantum);
    draw.scenario(vec![property], draw.until_harm())
}

/// A whole number of at most some thousands.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded on both sides
fn whole(number: f64) -> u32 {
    number.round().clamp(0.0, 100_000.0) as u32
}

/// So many changes over the way to the limit, or half of them.
fn changes(draw: &mut Draw, to_harm: f64) -> Repeated {
    let stops = draw.permille(333);
    let every = draw.way / to_harm;
    let size = (1.0 / every).ceil();
    let count = if stops { to_harm / 2.0 } else { to_harm * 1.3 };
    Repeated {
        at: draw.after(draw.quiet),
        every: draw.span(every * size),
        jitter: draw.between(0.0, 0.5),
        size: whole(size),
        count: Some(whole((count / size).ceil())),
    }
}

pub(super) fn set_growth(draw: &mut Draw) -> Scenario {
    let tolerance = draw.between(0.1, 0.4);
    let items = draw.magnitude(60.0, 200.0).round();
    // New items n make a Jaccard distance of n / (items + n).
    let to_harm = items * tolerance / (1.0 - tolerance);
    let growth = changes(draw, to_harm);
    let set: BTreeSet<String> = (0..whole(items))
        .map(|i| format!("10.0.{i}.0/24"))
        .collect();
    let mut property = Property::new("allowed", Value::Set(set));
    property.tolerance = Some(Tolerance::Absolute(tolerance));
    property.course = vec![Component::Grow(growth)];
    draw.scenario(vec![property], draw.until_harm() + draw.way)
}

pub(super) fn text_edits(draw: &mut Draw) -> Scenario {
    let tolerance = draw.between(0.15, 0.4);
    let lines = draw.between(40.0, 120.0).round();
    let edits = changes(draw, lines * tolerance);
    let text: String = (0..whole(lines))
        .map(|i| format!("setting_{i} = {i}\n"))
        .collect();
    let mut property = Property::new("motd", Value::Text(text));
    property.tolerance = Some(Tolerance::Absolute(tolerance));
    property.course = vec![Component::Edit(edits)];
    draw.scenario(vec![property], draw.until_harm() + draw.way)
}

pub(super) fn fleet_drift(draw: &mut Draw) -> Scenario {
    let mut scenario = linear_ramp(draw);
    let apart = draw.between(0.0, 2.0);
    let fleet = &mut scenario.resource[0];
    fleet.count = whole(draw.between(6.0, 12.0));
    fleet.stagger = draw.span(apart);
    scenario.length += fleet.stagger * fleet.count;
    scenario
}

pub(super) fn two_together(draw: &mut Draw) -> Scenario {
    let mut properties = Vec::new();
    for (path, share) in [("usage", 1.0), ("latency", draw.between(0.6, 1.2))] {
        let sd = draw.sd(6.0, 20.0);
        let ramp = Ramp {
            by: draw.distance * share,
            ..draw.ramp()
        };
        let course = vec![white(sd), Component::Ramp(ramp)];
        let mut property = draw.property(course);
        path.clone_into(&mut property.path);
        properties.push(property);
    }
    draw.scenario(properties, draw.until_harm())
}
