//! What all families draw alike: step, horizon, level, limit, noise.

use std::time::Duration;

use crate::component::{Component, Noise, Ramp, Reverting};
use crate::random::Seeded;
use crate::scenario::{Limits, Moment, Property, Resource, Scenario, Tolerance};

/// The numbers of one scenario.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    pub(super) random: Seeded,
    pub(super) step: Duration,
    /// In steps.
    pub(super) horizon: f64,
    pub(super) level: f64,
    /// To the limit, with its sign.
    pub(super) distance: f64,
    pub(super) is_two_sided: bool,
    /// In steps.
    pub(super) quiet: f64,
    /// To the limit, in steps.
    pub(super) way: f64,
}

const STEPS: [Duration; 3] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

impl Draw {
    pub(super) fn new(random: Seeded) -> Self {
        let mut draw = Self {
            random,
            step: STEPS[0],
            horizon: 0.0,
            level: 0.0,
            distance: 0.0,
            is_two_sided: false,
            quiet: 0.0,
            way: 0.0,
        };
        draw.with_steps(&STEPS);
        draw
    }

    /// Draws everything anew, with one of these steps.
    pub(super) fn with_steps(&mut self, steps: &[Duration]) {
        let random = &mut self.random;
        self.step = random.pick(steps);
        let seconds = self.step.as_secs_f64();
        let (shortest, longest) = (1800.0 / seconds, 43_200.0 / seconds);
        let (least, most) = (shortest.max(30.0), longest.min(180.0));
        self.horizon = random.between(least, most).round();
        self.level = random.magnitude(10.0, 10_000.0);
        self.is_two_sided = random.permille(333);
        let distance = self.level * random.between(0.3, 3.0);
        let is_down = self.is_two_sided && random.permille(500);
        self.distance = if is_down { -distance } else { distance };
        self.quiet = random.magnitude(300.0, 3000.0).round();
        self.way = self.horizon * random.magnitude(0.5, 6.0);
    }

    pub(super) fn permille(&mut self, permille: u64) -> bool {
        self.random.permille(permille)
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        self.random.between(low, high)
    }

    pub(super) fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        self.random.magnitude(low, high)
    }

    /// So many steps, in whole milliseconds and at least one.
    pub(super) fn span(&self, steps: f64) -> Duration {
        let ms = (self.step.as_secs_f64() * 1000.0 * steps).round().max(1.0);
        Duration::from_secs_f64(ms / 1000.0)
    }

    /// So many steps after the start.
    pub(super) fn after(&self, steps: f64) -> Moment {
        Moment::After(self.span(steps))
    }

    /// A standard deviation of between 1/`most` and 1/`least` of the distance to the limit.
    pub(super) fn sd(&mut self, least: f64, most: f64) -> f64 {
        self.distance.abs() / self.magnitude(least, most)
    }

    /// Noise as most families have it.
    pub(super) fn noise(&mut self) -> Vec<Component> {
        self.noise_within(1.0)
    }

    /// Noise that stays below the limit where only this share of the distance to it is left.
    pub(super) fn noise_within(&mut self, room: f64) -> Vec<Component> {
        let sd = room * self.sd(6.0, 50.0);
        self.noise_of(sd)
    }

    /// Noise with this standard deviation in all.
    pub(super) fn noise_of(&mut self, sd: f64) -> Vec<Component> {
        if self.permille(667) {
            return vec![white(sd)];
        }
        let steps = self.magnitude(2.0, 20.0);
        let half = sd / 2.0_f64.sqrt();
        let reverting = Reverting {
            sd: half,
            memory: self.span(steps),
        };
        vec![white(half), Component::Reverting(reverting)]
    }

    /// A ramp after the quiet time that reaches the limit after the way, and goes on.
    pub(super) fn ramp(&self) -> Ramp {
        Ramp {
            at: self.after(self.quiet),
            by: self.distance,
            over: self.span(self.way),
            bend: crate::component::Bend::Linear,
            until: None,
        }
    }

    /// The limited number that the drawing is about.
    pub(super) fn property(&self, course: Vec<Component>) -> Property {
        let mut property = Property::number("usage", self.level);
        if self.is_two_sided {
            property.tolerance = Some(Tolerance::Absolute(self.distance.abs()));
        } else {
            property.limits = Some(Limits {
                lower: None,
                upper: Some(self.level + self.distance),
            });
        }
        property.course = course;
        property
    }

    /// A scenario of one resource with these properties, so many steps long.
    pub(super) fn scenario(&self, properties: Vec<Property>, steps: f64) -> Scenario {
        let mut scenario = Scenario::new(self.span(steps), self.step);
        scenario.policy.horizon = Some(self.span(self.horizon));
        scenario.resource = vec![Resource::new("made", properties)];
        scenario
    }

    /// The same of one number that does this.
    pub(super) fn of(&self, course: Vec<Component>, steps: f64) -> Scenario {
        self.scenario(vec![self.property(course)], steps)
    }

    /// Long enough to see the harm of a ramp, and half a horizon more.
    pub(super) fn until_harm(&self) -> f64 {
        self.quiet + self.way + self.horizon / 2.0
    }
}

/// Normal noise.
pub(super) fn white(sd: f64) -> Component {
    Component::Noise(Noise {
        sd,
        sd_end: None,
        tails: None,
    })
}
