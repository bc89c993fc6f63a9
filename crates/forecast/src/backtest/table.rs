//! Which contenders there are, in the order in which tables show them.
//!
//! A new model is one entry in [`contenders`]. Its name is what `--models` takes.

use super::contender::Pooled;
use super::contender::{Contender, Session, Setup, StartError};
use super::mixture::MixtureContender;
use crate::models::{Drift, LastValue};

/// What makes a session of a history.
type Start = fn(&[f64], &Setup) -> Result<Box<dyn Session>, StartError>;

/// A contender that is a name and a function.
struct Named {
    name: &'static str,
    start: Start,
}

impl Contender for Named {
    fn name(&self) -> &str {
        self.name
    }

    fn start(&self, history: &[f64], setup: &Setup) -> Result<Box<dyn Session>, StartError> {
        (self.start)(history, setup)
    }
}

/// All contenders.
pub fn contenders() -> Vec<Box<dyn Contender>> {
    let named = |name, start| Box::new(Named { name, start }) as Box<dyn Contender>;
    vec![
        Box::new(MixtureContender),
        named("last-value", |history, _| {
            Ok(Box::new(Pooled::start(LastValue::default(), history)?))
        }),
        named("drift", |history, _| {
            Ok(Box::new(Pooled::start(Drift::default(), history)?))
        }),
    ]
}

/// The names of all contenders.
pub fn names() -> Vec<String> {
    let all = contenders();
    all.iter().map(|c| c.name().to_owned()).collect()
}

/// The contender of this name.
pub fn contender(name: &str) -> Option<Box<dyn Contender>> {
    contenders().into_iter().find(|c| c.name() == name)
}
