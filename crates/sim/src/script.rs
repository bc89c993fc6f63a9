//! The script of one seed: which call meets which fault, how long it takes, and when clients write.
//! After every effect it looks at the world, and remembers what must never be.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use evenkeel_core::Instance;
use evenkeel_ports::Driver;
use evenkeel_ports::fake::{Call, FakeClock, FakeDriver, FakeRedirector, Fault, Faults};
use evenkeel_scenario::random::Seeded;

/// How often what happens, in thousandths of all calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// A call fails, in one way or another.
    pub failure: u64,
    /// The process dies at a call.
    pub death: u64,
    /// A call takes long, up to 15 minutes.
    pub slow: u64,
    /// A client writes just before a call.
    pub write: u64,
}

/// The part of the world that is looked at.
#[derive(Debug)]
pub struct View {
    /// Both instances.
    pub driver: FakeDriver,
    /// Their clients, where there are any.
    pub redirector: Option<FakeRedirector>,
    /// Time.
    pub clock: FakeClock,
    /// How many writes clients were told are done.
    pub acknowledged: Mutex<u64>,
}

/// See the module.
pub struct Script {
    random: Mutex<Seeded>,
    rates: Mutex<Rates>,
    view: OnceLock<Weak<View>>,
    broken: Mutex<Vec<String>>,
    /// A call that fails every time, for stories.
    failing: Mutex<Option<Call>>,
    /// The process dies at the next call of this name, once.
    dying: Mutex<Option<Call>>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Script {
    /// The script of `seed`, with these rates.
    pub fn new(seed: u64, rates: Rates) -> Self {
        Self {
            random: Mutex::new(Seeded::new(seed)),
            rates: Mutex::new(rates),
            view: OnceLock::new(),
            broken: Mutex::default(),
            failing: Mutex::default(),
            dying: Mutex::default(),
        }
    }

    /// Shows it the world.
    pub fn show(&self, view: &Arc<View>) {
        // A second view of the same world would be the same.
        let _first = self.view.set(Arc::downgrade(view));
    }

    /// Other rates from now on; what they were.
    pub fn set_rates(&self, rates: Rates) -> Rates {
        std::mem::replace(&mut *locked(&self.rates), rates)
    }

    /// This call fails from now on.
    pub fn fail(&self, call: Option<Call>) {
        *locked(&self.failing) = call;
    }

    /// The process dies after the next effect of this call.
    pub fn die_at(&self, call: Call) {
        *locked(&self.dying) = Some(call);
    }

    /// What was seen that must never be.
    pub fn broken(&self) -> Vec<String> {
        locked(&self.broken).clone()
    }

    fn look(&self, call: Call) {
        let Some(view) = self.view.get().and_then(Weak::upgrade) else {
            return;
        };
        if let Err(what) = view.check(call) {
            locked(&self.broken).push(format!("after {call}: {what}"));
        }
    }
}

impl Faults for Script {
    fn draw(&self, call: Call) -> Fault {
        if *locked(&self.failing) == Some(call) {
            return Fault::Fails;
        }
        if locked(&self.dying)
            .take_if(|dying| *dying == call)
            .is_some()
        {
            return Fault::DiesAfter;
        }
        let (rates, mut random) = (*locked(&self.rates), locked(&self.random));
        if let Some(view) = self.view.get().and_then(Weak::upgrade) {
            view.clock.advance(Duration::from_millis(random.below(50)));
            if random.permille(rates.slow) {
                view.clock.advance(Duration::from_secs(random.below(900)));
            }
            if random.permille(rates.write) {
                view.write();
            }
        }
        // Lines of a journal and commits go to a local disk: they are not delivered twice.
        let is_local = call.starts_with("journal") || call.starts_with("store");
        if random.permille(rates.death) {
            return random.pick(&[Fault::DiesBefore, Fault::DiesAfter]);
        }
        if random.permille(rates.failure) {
            return match is_local {
                true => random.pick(&[Fault::Fails, Fault::LosesReply]),
                false => random.pick(&[
                    Fault::Fails,
                    Fault::FailsUnsure,
                    Fault::LosesReply,
                    Fault::Twice,
                ]),
            };
        }
        Fault::None
    }

    fn acted(&self, call: Call) {
        self.look(call);
    }
}

impl View {
    /// The instance that clients reach now.
    pub fn served_by(&self) -> Option<Instance> {
        let running = |i: &Instance| self.driver.place(*i).running;
        match &self.redirector {
            Some(redirector) => {
                let endpoint = redirector.serves()?;
                Instance::BOTH
                    .into_iter()
                    .find(|i| FakeDriver::address(*i) == endpoint)
            }
            None => Instance::BOTH.into_iter().find(running),
        }
    }

    /// A client writes, if anybody answers. What has no clients of its own (no redirector) writes
    /// nothing here: what a job wrote while it was tried out goes with it when that is undone.
    pub fn write(&self) {
        if self.redirector.is_none() {
            return;
        }
        let Some(instance) = self.served_by() else {
            return;
        };
        if self.driver.place(instance).running {
            self.driver.alter(instance, |place| place.writes += 1);
            *locked(&self.acknowledged) += 1;
        }
    }

    /// How many writes clients were told are done.
    pub fn acknowledged(&self) -> u64 {
        *locked(&self.acknowledged)
    }

    /// From here on only these writes count: the rest is known to be lost, or was put right.
    pub fn acknowledge_only(&self, writes: u64) {
        *locked(&self.acknowledged) = writes;
    }

    /// What must hold at every instant.
    fn check(&self, call: Call) -> Result<(), String> {
        let [a, b] = Instance::BOTH.map(|instance| self.driver.place(instance));
        if self.driver.capabilities().single_writer && a.running && b.running {
            return Err("two writers at once".to_owned());
        }
        let Some(redirector) = &self.redirector else {
            return Ok(());
        };
        for (instance, place) in [(Instance::A, &a), (Instance::B, &b)] {
            let serves = redirector.serves() == Some(FakeDriver::address(instance));
            if serves && !place.running {
                return Err(format!("clients are sent to {instance}, which is stopped"));
            }
            if serves && call == "redirector.point" && place.sick.is_some() {
                return Err(format!("clients were moved to {instance}, which is sick"));
            }
        }
        Ok(())
    }
}
