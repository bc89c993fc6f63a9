//! Faults: what can go wrong with a call, and the script that says when.

use std::fmt::Debug;
use std::future::pending;

use evenkeel_core::failover::Effect;

/// The name of a call on a port: `driver.fence`, `journal.append`.
pub type Call = &'static str;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it does what it is for.
    None,
    /// It fails, surely without effect.
    Fails,
    /// It fails without effect, but nobody can tell.
    FailsUnsure,
    /// It has its effect, and then fails: the reply is lost.
    LosesReply,
    /// It is delivered twice.
    Twice,
    /// The process that made it dies before the effect.
    DiesBefore,
    /// The process that made it dies after the effect.
    DiesAfter,
}

/// A script of faults.
pub trait Faults: Send + Sync + Debug {
    /// What happens to this call.
    fn draw(&self, call: Call) -> Fault;

    /// The call had its effect: an instant at which a checker can look at the world.
    fn acted(&self, call: Call) {
        let _ = call;
    }
}

/// Everything goes well.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn draw(&self, _: Call) -> Fault {
        Fault::None
    }
}

/// Makes one call on a port, as the script says. `act` is the effect, `fail` makes the port's error.
pub(super) async fn meddled<T, E>(
    faults: &dyn Faults,
    call: Call,
    fail: impl Fn(String, Effect) -> E + Send + Sync,
    act: impl Fn() -> Result<T, E> + Send + Sync,
) -> Result<T, E> {
    let acted = || {
        let result = act();
        faults.acted(call);
        result
    };
    match faults.draw(call) {
        Fault::None => acted(),
        Fault::Fails => Err(fail(format!("{call} did not work"), Effect::None)),
        Fault::FailsUnsure => Err(fail(format!("{call} gave no answer"), Effect::Unknown)),
        Fault::LosesReply => {
            acted()?;
            Err(fail(format!("{call} gave no answer"), Effect::Unknown))
        }
        Fault::Twice => {
            acted()?;
            acted()
        }
        Fault::DiesBefore => pending().await,
        Fault::DiesAfter => {
            // The caller is dead, and with it whoever could read the answer.
            drop(acted());
            pending().await
        }
    }
}
