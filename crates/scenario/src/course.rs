//! The course of a number, step by step: its components under way, added up, quantised and clamped.
//!
//! Every component is asked once at each instant of the grid, in order, whether or not the probe of that
//! instant is kept. So what it draws depends on nothing but its own stream.

use std::sync::Arc;

use evenkeel_core::Timestamp;

use crate::component::{
    Bend, Component, Flapping, Noise, Ramp, Reverting, Sawtooth, Season, Stairs, Step, Wave,
};
use crate::random::Seeded;
use crate::scenario::{Clamp, Moment, Property, Scenario};

/// Where a member of a fleet stands in time, and what names its streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'s> {
    pub(crate) scenario: &'s Scenario,
    pub(crate) seed: u64,
    /// The member's name.
    pub(crate) resource: &'s str,
    /// How far it is behind the first member, in seconds.
    pub(crate) behind: f64,
}

impl Surroundings<'_> {
    /// Seconds from the scenario's start.
    pub(crate) fn seconds(&self, moment: Moment) -> f64 {
        self.scenario.seconds(moment) + self.behind
    }

    pub(crate) fn stream(&self, path: &str, component: usize) -> Seeded {
        Seeded::named(
            self.seed,
            &format!("{}\n{path}\n{component}", self.resource),
        )
    }
}

/// Draws the spans between what comes again and again.
#[derive(Clone, Debug)]
pub(crate) struct Jittered {
    pub(crate) random: Seeded,
    pub(crate) jitter: f64,
}

impl Jittered {
    /// About `span`, and never nothing.
    pub(crate) fn around(&mut self, span: f64) -> f64 {
        let factor = 1.0 + self.jitter * self.random.between(-1.0, 1.0);
        span * factor.max(0.01)
    }
}

/// A number under way.
#[derive(Clone, Debug)]
pub(crate) struct NumberCourse {
    level: f64,
    quantum: Option<f64>,
    clamp: Option<Clamp>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    moves: Moves,
    /// What it contributed last; `None` where there is nothing to be read.
    last: Option<f64>,
    /// What of it is approved.
    approved: f64,
}

impl NumberCourse {
    /// The course of `property` under `path`; without its noise it is the systematic course.
    pub(crate) fn new(
        property: &Property,
        path: &str,
        level: f64,
        within: &Surroundings<'_>,
        with_noise: bool,
    ) -> Self {
        let parts = (property.course.iter().enumerate())
            .filter(|(_, component)| with_noise || !component.is_noise())
            .filter_map(|(i, component)| {
                Moves::new(component, level, within, within.stream(path, i))
            })
            .map(|moves| Part {
                moves,
                last: None,
                approved: 0.0,
            })
            .collect();
        Self {
            level,
            quantum: property.quantum,
            clamp: property.clamp,
            parts,
        }
    }

    /// Whether it never moves.
    pub(crate) fn is_constant(&self) -> bool {
        self.parts.is_empty()
    }

    /// The value at `t` seconds from the start; `None` where there is nothing to be read.
    pub(crate) fn at(&mut self, t: f64) -> Option<f64> {
        for part in &mut self.parts {
            part.last = part.moves.at(t);
        }
        let moved: Option<f64> = self.parts.iter().map(|part| part.last).sum();
        let mut value = self.level + moved?;
        if let Some(quantum) = self.quantum {
            value = (value / quantum).round() * quantum;
        }
        if let Some(Clamp { lower, upper }) = self.clamp {
            value = lower.map_or(value, |lower| value.max(lower));
            value = upper.map_or(value, |upper| value.min(upper));
        }
        Some(value)
    }

    /// Takes what it contributes now as approved.
    pub(crate) fn approve(&mut self) {
        for part in &mut self.parts {
            part.approved = part.last.unwrap_or(part.approved);
        }
    }

    /// When the component set in that leads most in the direction of `sign`, as of the last call of
    /// [`at`](Self::at); `None` if it always was under way.
    pub(crate) fn leading_since(&self, sign: f64) -> Option<f64> {
        let towards = |part: &Part| sign * (part.last.unwrap_or_default() - part.approved);
        let leading = (self.parts.iter()).max_by(|a, b| towards(a).total_cmp(&towards(b)))?;
        leading.moves.set_in()
    }
}

/// A component under way.
#[derive(Clone, Debug)]
enum Moves {
    Ramp(RunningRamp),
    Step(RunningStep),
    Walk {
        at: f64,
        sd: f64,
        value: f64,
        under_way: bool,
        random: Seeded,
    },
    Reverting {
        keep: f64,
        spread: f64,
        value: f64,
        random: Seeded,
    },
    Noise {
        noise: Noise,
        length: f64,
        random: Seeded,
    },
    Season(Season),
    Sawtooth(RunningSawtooth),
    Stairs(RunningStairs),
    Flapping(RunningFlapping),
    Trace(RunningTrace),
}

impl Moves {
    /// `None` for what does not move a number.
    fn new(
        component: &Component,
        level: f64,
        within: &Surroundings<'_>,
        mut random: Seeded,
    ) -> Option<Self> {
        let step = within.scenario.step.as_secs_f64();
        Some(match component {
            Component::Ramp(ramp) => Self::Ramp(RunningRamp::new(ramp, within)),
            Component::Step(step) => Self::Step(RunningStep::new(step, within)),
            Component::Walk(walk) => Self::Walk {
                at: within.seconds(walk.at),
                sd: walk.sd,
                value: 0.0,
                under_way: false,
                random,
            },
            Component::Reverting(Reverting { sd, memory }) => {
                let keep = (-step / memory.as_secs_f64()).exp();
                Self::Reverting {
                    keep,
                    spread: sd * (1.0 - keep * keep).sqrt(),
                    value: sd * random.normal(),
                    random,
                }
            }
            Component::Noise(noise) => Self::Noise {
                noise: *noise,
                length: within.scenario.length.as_secs_f64(),
                random,
            },
            Component::Season(season) => Self::Season(*season),
            Component::Leak(tooth) => {
                Self::Sawtooth(RunningSawtooth::new(tooth, Growth::Even, within, random))
            }
            Component::Counter(tooth) => {
                let uneven = Growth::Uneven {
                    value: 0.0,
                    counted_until: within.seconds(tooth.at),
                };
                Self::Sawtooth(RunningSawtooth::new(tooth, uneven, within, random))
            }
            Component::Stairs(stairs) => Self::Stairs(RunningStairs::new(stairs, within, random)),
            Component::Flapping(flapping) => {
                Self::Flapping(RunningFlapping::new(flapping, within, random))
            }
            Component::Trace(trace) => Self::Trace(RunningTrace {
                samples: Arc::clone(&trace.0),
                next: 0,
                level,
                start: within.scenario.start,
                reach: step / 2.0,
            }),
            Component::Change(_)
            | Component::Vanish(_)
            | Component::Add(_)
            | Component::Remove(_)
            | Component::Grow(_)
            | Component::Edit(_)
            | Component::Leaf(_) => return None,
        })
    }

    fn at(&mut self, t: f64) -> Option<f64> {
        Some(match self {
            Self::Ramp(ramp) => ramp.at(t),
            Self::Step(step) => step.at(t),
            Self::Walk {
                at,
                sd,
                value,
                under_way,
                random,
            } => {
                if *under_way {
                    *value += *sd * random.normal();
                }
                *under_way = t >= *at;
                *value
            }
            Self::Reverting {
                keep,
                spread,
                value,
                random,
            } => {
                let now = *value;
                *value = *keep * now + *spread * random.normal();
                now
            }
            Self::Noise {
                noise,
                length,
                random,
            } => {
                let end = noise.sd_end.unwrap_or(noise.sd);
                let sd = noise.sd + (end - noise.sd) * t / *length;
                sd * match noise.tails {
                    None => random.normal(),
                    Some(degrees) => random.student(degrees),
                }
            }
            Self::Season(season) => season_at(season, t),
            Self::Sawtooth(tooth) => tooth.at(t),
            Self::Stairs(stairs) => stairs.at(t),
            Self::Flapping(flapping) => flapping.at(t),
            Self::Trace(trace) => return trace.at(t),
        })
    }

    /// When it set in; `None` for what always was under way.
    fn set_in(&self) -> Option<f64> {
        match self {
            Self::Ramp(ramp) => Some(ramp.at),
            Self::Step(step) => Some(step.at),
            Self::Sawtooth(tooth) => Some(tooth.began),
            Self::Stairs(stairs) => Some(stairs.at),
            Self::Flapping(flapping) => Some(flapping.turned),
            Self::Walk { .. }
            | Self::Reverting { .. }
            | Self::Noise { .. }
            | Self::Season(_)
            | Self::Trace(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
struct RunningRamp {
    at: f64,
    by: f64,
    over: f64,
    bend: Bend,
    until: f64,
}

impl RunningRamp {
    fn new(ramp: &Ramp, within: &Surroundings<'_>) -> Self {
        Self {
            at: within.seconds(ramp.at),
            by: ramp.by,
            over: ramp.over.as_secs_f64(),
            bend: ramp.bend,
            until: (ramp.until).map_or(f64::INFINITY, |until| within.seconds(until)),
        }
    }

    fn at(&self, t: f64) -> f64 {
        let x = (t.min(self.until) - self.at).max(0.0) / self.over;
        self.by
            * match self.bend {
                Bend::Linear => x,
                Bend::Accelerating => x * x,
                Bend::Decelerating => -(-3.0 * x).exp_m1(),
            }
    }
}

#[derive(Clone, Debug)]
struct RunningStep {
    at: f64,
    by: f64,
    decay: Option<f64>,
    ends: f64,
}

impl RunningStep {
    fn new(step: &Step, within: &Surroundings<'_>) -> Self {
        let at = within.seconds(step.at);
        Self {
            at,
            by: step.by,
            decay: step.decay.map(|decay| decay.as_secs_f64()),
            ends: (step.lasting).map_or(f64::INFINITY, |lasting| at + lasting.as_secs_f64()),
        }
    }

    fn at(&self, t: f64) -> f64 {
        if t < self.at || t >= self.ends {
            return 0.0;
        }
        let left = (self.decay).map_or(1.0, |decay| (-(t - self.at) / decay).exp());
        self.by * left
    }
}

fn season_at(season: &Season, t: f64) -> f64 {
    let place = t / season.period.as_secs_f64() + season.phase;
    match season.wave {
        Wave::Sine => season.amplitude * (std::f64::consts::TAU * place).sin(),
        Wave::Pulse if place.rem_euclid(1.0) < season.width => season.amplitude,
        Wave::Pulse => 0.0,
    }
}

#[derive(Clone, Copy, Debug)]
enum Growth {
    /// In proportion to time: a leak.
    Even,
    /// In bursts, exponential round that: a counter.
    Uneven { value: f64, counted_until: f64 },
}

#[derive(Clone, Debug)]
struct RunningSawtooth {
    at: f64,
    rate: f64,
    every: f64,
    until: f64,
    growth: Growth,
    spans: Jittered,
    /// When the tooth under way began.
    began: f64,
    /// When the next one does.
    next: f64,
}

impl RunningSawtooth {
    fn new(tooth: &Sawtooth, growth: Growth, within: &Surroundings<'_>, random: Seeded) -> Self {
        let (at, every) = (within.seconds(tooth.at), tooth.every.as_secs_f64());
        let mut new = Self {
            at,
            rate: tooth.by / every,
            every,
            until: (tooth.until).map_or(f64::INFINITY, |until| within.seconds(until)),
            growth,
            spans: Jittered {
                random,
                jitter: tooth.jitter,
            },
            began: at,
            next: at,
        };
        new.next += new.span();
        new
    }

    /// Until the next restart.
    fn span(&mut self) -> f64 {
        match self.growth {
            Growth::Even => self.spans.around(self.every),
            // Never nothing, so that the loop over restarts ends.
            Growth::Uneven { .. } => self.every * self.spans.random.exponential().max(0.01),
        }
    }

    fn at(&mut self, t: f64) -> f64 {
        if t < self.at {
            return 0.0;
        }
        while self.next <= t && self.next < self.until {
            self.began = self.next;
            self.next += self.span();
            if let Growth::Uneven {
                value,
                counted_until,
            } = &mut self.growth
            {
                (*value, *counted_until) = (0.0, self.began);
            }
        }
        match &mut self.growth {
            Growth::Even => (t - self.began) * self.rate,
            Growth::Uneven {
                value,
                counted_until,
            } => {
                *value += (t - *counted_until) * self.rate * self.spans.random.exponential();
                *counted_until = t;
                *value
            }
        }
    }
}

#[derive(Clone, Debug)]
struct RunningStairs {
    at: f64,
    by: f64,
    every: f64,
    spans: Jittered,
    next: f64,
    made: u32,
    count: u32,
}

impl RunningStairs {
    fn new(stairs: &Stairs, within: &Surroundings<'_>, random: Seeded) -> Self {
        let at = within.seconds(stairs.at);
        Self {
            at,
            by: stairs.by,
            every: stairs.every.as_secs_f64(),
            spans: Jittered {
                random,
                jitter: stairs.jitter,
            },
            next: at,
            made: 0,
            count: stairs.count.unwrap_or(u32::MAX),
        }
    }

    fn at(&mut self, t: f64) -> f64 {
        while self.next <= t && self.made < self.count {
            self.made += 1;
            self.next += self.spans.around(self.every);
        }
        self.by * f64::from(self.made)
    }
}

#[derive(Clone, Debug)]
struct RunningFlapping {
    by: f64,
    high: f64,
    low: f64,
    until: f64,
    spans: Jittered,
    is_high: bool,
    /// When it turned high last.
    turned: f64,
    next: f64,
}

impl RunningFlapping {
    fn new(flapping: &Flapping, within: &Surroundings<'_>, random: Seeded) -> Self {
        let at = within.seconds(flapping.at);
        Self {
            by: flapping.by.unwrap_or(1.0),
            high: flapping.high.as_secs_f64(),
            low: flapping.low.as_secs_f64(),
            until: (flapping.until).map_or(f64::INFINITY, |until| within.seconds(until)),
            spans: Jittered {
                random,
                jitter: flapping.jitter,
            },
            is_high: false,
            turned: at,
            next: at,
        }
    }

    fn at(&mut self, t: f64) -> f64 {
        while self.next <= t {
            self.is_high = !self.is_high;
            if self.is_high {
                self.turned = self.next;
            }
            let span = if self.is_high { self.high } else { self.low };
            self.next += self.spans.around(span);
        }
        if self.is_high && t < self.until {
            self.by
        } else {
            0.0
        }
    }
}

#[derive(Clone, Debug)]
struct RunningTrace {
    samples: Arc<[(Timestamp, f64)]>,
    next: usize,
    level: f64,
    start: Timestamp,
    /// How far a sample may be from the instant that it is read for, in seconds.
    reach: f64,
}

impl RunningTrace {
    /// The nearest sample within reach.
    fn at(&mut self, t: f64) -> Option<f64> {
        let from_start = |at: Timestamp| Moment::At(at).seconds_from(self.start);
        let distance = |i: usize| {
            let sample = self.samples.get(i);
            sample.map_or(f64::INFINITY, |(at, _)| (from_start(*at) - t).abs())
        };
        let mut nearest = self.next;
        while distance(nearest + 1) <= distance(nearest) && nearest + 1 < self.samples.len() {
            nearest += 1;
        }
        self.next = nearest;
        // Half open, so that no sample is read twice.
        let (at, value) = self.samples.get(nearest)?;
        let ahead = from_start(*at) - t;
        (-self.reach < ahead && ahead <= self.reach).then(|| value - self.level)
    }
}
