//! Whole stories, told by what Evenkeel itself says: from the drift to the saga's last step. What is decided and
//! what is not, over longer courses, is told in `decided.rs`.

// Clippy spares `unwrap` in functions marked as tests, but not in what they share.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::Instance;
use evenkeel_core::decide::Command;
use evenkeel_core::failover::Capabilities;
use evenkeel_core::forecast::ForecasterFactory;
use evenkeel_core::policy::{Mode, Policy, PropertyRule, Tolerance};
use evenkeel_core::property::{Observed, Severity, Value};
use evenkeel_core::record::EventKind;
use evenkeel_forecast::MixtureFactory;
use evenkeel_ports::fake::poll_once;
use evenkeel_ports::{Clock, ControlStore, EventFilter};
use evenkeel_scenario::random::Seeded;
use evenkeel_sim::controller::{Controller, stored_state};
use evenkeel_sim::script::{Rates, Script};
use evenkeel_sim::trend::Trends;
use evenkeel_sim::world::{START, World};

mod golden;

const TICK: Duration = Duration::from_secs(10);

const DATABASE: Capabilities = Capabilities {
    single_writer: true,
    has_data: true,
    ..Capabilities::STATELESS
};

/// A policy that acts on `pool` when it goes from 400 to 1000.
fn acting() -> Policy {
    let limits = Tolerance::Limits {
        lower: None,
        upper: Some(1000.0),
    };
    let mut rule = PropertyRule::new("pool", limits).unwrap();
    rule.severity = Some(Severity::Critical);
    Policy {
        mode: Mode::Act,
        warm_up: Some(Duration::ZERO),
        rules: vec![rule],
        ..Policy::default()
    }
}

/// A story being told.
struct Story<'w> {
    world: &'w World,
    pool: Pool,
    controller: Controller<'w>,
    told: Vec<String>,
}

/// A world whose pool is a setting (somebody changes it) or a capacity (it fills by itself).
fn world(capabilities: Capabilities, policy: Policy, pool: Pool) -> World {
    let script = Script::new(7, Rates::default());
    let properties = BTreeMap::from([("pool".into(), pool(400.0))]);
    World::new(script, capabilities, policy, properties).unwrap()
}

type Pool = fn(f64) -> Observed;

fn setting(value: f64) -> Observed {
    Observed::configuration(Value::Number(value))
}

fn capacity(value: f64) -> Observed {
    Observed::capacity(value, Some("connections"))
}

impl<'w> Story<'w> {
    fn new(world: &'w World, pool: Pool) -> Self {
        Self::with(world, pool, &Trends)
    }

    fn with(world: &'w World, pool: Pool, factory: &'w dyn ForecasterFactory) -> Self {
        Self {
            world,
            pool,
            controller: Controller::new(world, factory, "one"),
            told: Vec::new(),
        }
    }

    fn heading(&mut self, what: &str) {
        let said = std::mem::take(&mut self.controller.said);
        self.told.extend(said);
        self.told.push(format!("\n# {what}"));
    }

    /// Lets `ticks` pass in which `a`'s pool is as `level` says.
    fn pass(&mut self, ticks: u32, mut level: impl FnMut(u32) -> f64) {
        for tick in 0..ticks {
            let found = (self.pool)(level(tick));
            let driver = &self.world.view.driver;
            driver.alter(Instance::A, |place| {
                place.properties.insert("pool".into(), found);
            });
            let lived = poll_once(async {
                self.controller.sync().await?;
                self.controller.evaluate(&mut |_| ()).await
            });
            match lived {
                Some(result) => result.unwrap(),
                None => return self.restart(),
            }
            // Nothing drifts any more once the clients have moved away from it.
            if self.serving() != Instance::A {
                return;
            }
            self.wait();
        }
    }

    /// Lets `ticks` pass without touching anything.
    fn rest(&mut self, ticks: u32) {
        for _ in 0..ticks {
            let lived = poll_once(self.controller.evaluate(&mut |_| ()));
            lived.expect("no fault was asked for").unwrap();
            self.wait();
        }
    }

    fn wait(&self) {
        let clock = &self.world.view.clock;
        let next = (clock.now() - START).as_secs() / 10 + 1;
        let next = START + TICK * u32::try_from(next).unwrap();
        clock.advance(next - clock.now());
    }

    fn restart(&mut self) {
        let said = std::mem::take(&mut self.controller.said);
        self.told.extend(said);
        self.told
            .push("(the process is killed, and started again)".into());
        self.controller = Controller::new(self.world, &Trends, "one");
        let recovered = poll_once(self.controller.recover(&mut |_| ()));
        recovered.expect("it dies once").unwrap();
    }

    fn command(&mut self, command: &Command) {
        let done = poll_once(self.controller.command(command, "ann", &mut |_| ()));
        done.expect("no fault was asked for").unwrap();
    }

    fn serving(&self) -> Instance {
        poll_once(stored_state(self.world))
            .unwrap()
            .unwrap()
            .serving
    }

    /// Ends the story, and compares it with the one that was committed.
    fn end(mut self, name: &str) {
        self.heading("In the end");
        let state = poll_once(stored_state(self.world)).unwrap().unwrap();
        let served_by = self.world.view.served_by();
        self.told.push(format!(
            "{} serves, the resource is {}, clients reach {}",
            state.serving,
            state.phase.as_str(),
            served_by.map_or("nobody".to_owned(), |i| i.to_string())
        ));
        self.told.extend(self.sagas());
        golden::compare(name, &self.told);
        assert!(self.world.script.broken().is_empty());
    }

    /// What each saga recorded, step by step.
    fn sagas(&self) -> Vec<String> {
        let filter = EventFilter {
            kind: Some(EventKind::Saga),
            limit: 100,
            ..EventFilter::default()
        };
        let events = poll_once(self.world.store.events(&filter))
            .unwrap()
            .unwrap();
        let told = events.into_iter().rev().map(|record| {
            let detail = record.event.detail.unwrap_or_default();
            let steps: Vec<String> = detail.lines().map(|line| format!("  {line}")).collect();
            format!("\n{}\n{}", record.event.sentence, steps.join("\n"))
        });
        told.collect()
    }
}

/// A scatter of ± `width`, the same every time.
fn noise(width: f64) -> impl FnMut() -> f64 {
    let mut random = Seeded::new(1);
    move || (random.below(2001) as f64 / 1000.0 - 1.0) * width
}

#[test]
fn a_slow_drift_is_left_behind_and_the_old_primary_becomes_the_standby() {
    let world = world(Capabilities::STATELESS, acting(), capacity);
    let mut story = Story::new(&world, capacity);
    story.heading("Twenty quiet minutes, then the pool grows by 3 every ten seconds");
    let mut noise = noise(2.0);
    story.pass(120, |_| 400.0 + noise());
    story.pass(200, |tick| 400.0 + 3.0 * f64::from(tick) + noise());
    story.rest(30);
    story.end("drift");
}

#[test]
fn noise_within_the_band_is_no_news() {
    let world = world(Capabilities::STATELESS, acting(), capacity);
    let mut story = Story::new(&world, capacity);
    story.heading("Two hours in which the pool scatters by ±30 of its 600");
    let mut noise = noise(30.0);
    story.pass(720, |_| 400.0 + noise());
    story.end("noise");
}

#[test]
fn a_failover_waits_for_a_persons_word() {
    let policy = Policy {
        approval_required: true,
        ..acting()
    };
    let world = world(Capabilities::STATELESS, policy, setting);
    let mut story = Story::new(&world, setting);
    story.heading("The pool grows, and a person must approve");
    story.pass(60, |_| 400.0);
    story.pass(60, |tick| 400.0 + 3.0 * f64::from(tick));
    story.heading("Ann approves");
    let until = world.view.clock.now() + Duration::from_secs(600);
    story.command(&Command::Approve { until });
    story.pass(5, |tick| 580.0 + 3.0 * f64::from(tick));
    story.end("approval");
}

#[test]
fn a_clone_that_is_not_well_is_taken_down_again() {
    let world = world(Capabilities::STATELESS, acting(), setting);
    let standby = |place: &mut evenkeel_ports::fake::Place| {
        place.sick = Some("answers 503".to_owned());
    };
    world.view.driver.alter(Instance::B, standby);
    let mut story = Story::new(&world, setting);
    story.heading("The pool grows, and the clone would not come up well");
    story.pass(60, |_| 400.0);
    story.pass(60, |tick| 400.0 + 3.0 * f64::from(tick));
    story.end("sick_clone");
}

#[test]
fn a_crash_in_the_middle_of_a_failover_is_recovered_from() {
    let world = world(DATABASE, acting(), setting);
    let mut story = Story::new(&world, setting);
    story.heading("The pool of a single writer grows; the process dies right after the fence");
    world.script.die_at("driver.fence");
    story.pass(60, |_| 400.0);
    story.pass(200, |tick| 400.0 + 3.0 * f64::from(tick));
    story.rest(3);
    story.end("crash");
}

#[test]
fn with_the_real_forecaster_a_drift_is_left_before_its_limit() {
    let world = world(Capabilities::STATELESS, acting(), capacity);
    let forecasters = MixtureFactory::default();
    let mut story = Story::with(&world, capacity, &forecasters);
    let mut noise = noise(2.0);
    story.pass(120, |_| 400.0 + noise());
    assert_eq!(story.serving(), Instance::A, "{:?}", story.controller.said);
    let level = |tick: u32| 400.0 + 3.0 * f64::from(tick) + noise();
    story.pass(200, level);
    assert_eq!(story.serving(), Instance::B, "{:?}", story.controller.said);
}

#[test]
fn with_the_real_forecaster_noise_within_the_band_starts_nothing() {
    let world = world(Capabilities::STATELESS, acting(), capacity);
    let forecasters = MixtureFactory::default();
    let mut story = Story::with(&world, capacity, &forecasters);
    let mut noise = noise(30.0);
    story.pass(720, |_| 400.0 + noise());
    assert_eq!(story.serving(), Instance::A, "{:?}", story.controller.said);
}
