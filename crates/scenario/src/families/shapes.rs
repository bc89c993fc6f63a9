//! Families of sudden changes, and of what goes nowhere in particular.

use super::draw::{Draw, white};
use crate::component::{Bend, Component, Flapping, Ramp, Step, Walk};
use crate::scenario::{Approval, Scenario, Tolerance, Window};

/// How much of the way to the limit is left after this share of it; all of it where the limit is passed anyway.
fn room(share: f64) -> f64 {
    if share < 1.0 { 1.0 - share } else { 1.0 }
}

fn step_of(draw: &Draw, share: f64) -> Step {
    Step {
        at: draw.after(draw.quiet),
        by: draw.distance * share,
        decay: None,
        lasting: None,
    }
}

pub(super) fn step(draw: &mut Draw) -> Scenario {
    let share = if draw.permille(500) {
        draw.between(0.3, 0.8)
    } else {
        draw.between(1.05, 2.0)
    };
    let mut course = draw.noise_within(room(share));
    course.push(Component::Step(step_of(draw, share)));
    draw.of(course, draw.quiet + 2.0 * draw.horizon)
}

pub(super) fn step_decay(draw: &mut Draw) -> Scenario {
    let share = if draw.permille(667) {
        draw.between(0.5, 0.9)
    } else {
        draw.between(1.05, 1.5)
    };
    let decay = draw.horizon * draw.magnitude(0.2, 2.0);
    let mut course = draw.noise_within(room(share));
    course.push(Component::Step(Step {
        decay: Some(draw.span(decay)),
        ..step_of(draw, share)
    }));
    draw.of(course, draw.quiet + 3.0 * draw.horizon)
}

pub(super) fn random_walk(draw: &mut Draw) -> Scenario {
    let steps = draw.between(3000.0, 8000.0).round();
    let width = draw.distance.abs() * draw.between(0.3, 1.2);
    let walk = Walk {
        at: draw.after(0.0),
        sd: width / steps.sqrt(),
    };
    let noise = draw.sd(50.0, 200.0);
    draw.of(vec![Component::Walk(walk), white(noise)], steps)
}

pub(super) fn flapping(draw: &mut Draw) -> Scenario {
    let share = if draw.permille(667) {
        draw.between(0.3, 0.8)
    } else {
        draw.between(1.1, 1.6)
    };
    let (high, low) = (draw.magnitude(1.0, 20.0), draw.magnitude(3.0, 60.0));
    let flapping = Flapping {
        at: draw.after(draw.quiet),
        by: Some(draw.distance * share),
        high: draw.span(high),
        low: draw.span(low),
        jitter: draw.between(0.0, 0.8),
        until: None,
    };
    let mut course = draw.noise_within(room(share));
    course.push(Component::Flapping(flapping));
    draw.of(course, draw.quiet + 6.0 * draw.horizon)
}

pub(super) fn approved_rollout(draw: &mut Draw) -> Scenario {
    let in_window = draw.permille(667);
    let share = if in_window {
        draw.between(0.5, 1.5)
    } else {
        draw.between(0.3, 0.9)
    };
    let takes = if in_window && draw.permille(500) {
        draw.horizon * draw.between(0.1, 0.3)
    } else {
        0.0
    };
    let ends = draw.quiet + takes;
    // A measured value has noise; a configured one has none, and its change makes generations suspect.
    let is_measured = draw.permille(500);
    let mut course = if is_measured {
        draw.noise_within(if in_window { 1.0 } else { room(share) })
    } else {
        Vec::new()
    };
    course.push(if takes > 0.0 {
        Component::Ramp(Ramp {
            at: draw.after(draw.quiet),
            by: draw.distance * share,
            over: draw.span(takes),
            bend: Bend::Linear,
            until: Some(draw.after(ends)),
        })
    } else {
        Component::Step(step_of(draw, share))
    });
    let mut property = draw.property(course);
    // A limit stays where it is; a tolerance goes with what is approved.
    property.limits = None;
    property.tolerance = Some(Tolerance::Absolute(draw.distance.abs()));
    if !is_measured {
        property.origin = Some(evenkeel_core::property::Origin::Configuration);
    }
    let mut scenario = draw.scenario(vec![property], ends + 3.0 * draw.horizon);
    // After the probe that sees the whole change.
    let approved = ends.ceil() + draw.between(1.0, 10.0).round();
    scenario.approval = vec![Approval {
        at: draw.after(approved),
        resource: None,
        paths: Vec::new(),
        by: "rollout".to_owned(),
    }];
    if in_window {
        let before = draw.between(1.0, 10.0);
        scenario.window = vec![Window {
            at: draw.after(draw.quiet - before),
            lasting: draw.span(before + (approved - draw.quiet) + 2.0),
            resource: None,
            why: "rollout".to_owned(),
            by: "rollout".to_owned(),
        }];
    }
    scenario
}
