//! Which contenders there are, in the order in which tables show them.
//!
//! A new model is one entry in [`contenders`]. Its name is what `--models` takes. Those that are trained over
//! all series at once stand in [`super::global`], for they take their time and need more than one series.

use super::contender::Pooled;
use super::contender::{Contender, Gaussian, Session, Setup, StartError};
use super::global;
use super::mixture::MixtureContender;
use crate::lstm::SharedNetwork;
use crate::models::arima::{Arima, Limits};
use crate::models::ets::Ets;
use crate::models::mstl::Mstl;
use crate::models::seasonal_naive::SeasonalNaive;
use crate::models::theta::Theta;
use crate::models::{Drift, Fitted, LastValue};

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

/// All contenders that need nothing but the series that they forecast.
pub fn contenders() -> Vec<Box<dyn Contender>> {
    let named = |name, start| Box::new(Named { name, start }) as Box<dyn Contender>;
    vec![
        Box::new(MixtureContender {
            name: "mixture",
            network: SharedNetwork::default(),
        }),
        named("arima", |history, setup| {
            let season = Some(setup.season()).filter(|season| *season > 1);
            match Arima::auto(history, season, &Limits::default()) {
                Ok(model) => Ok(Box::new(Gaussian(model))),
                Err(error) => Err(StartError::Unfit(error.to_string())),
            }
        }),
        named("ets", |history, setup| {
            fitted(Ets::auto(history, setup.season()), history)
        }),
        named("theta", |history, setup| {
            fitted(Theta::auto(history, setup.season()), history)
        }),
        named("mstl", |history, setup| {
            fitted(Mstl::fit(history, &setup.seasons), history)
        }),
        named("seasonal-naive", |history, setup| {
            fitted(SeasonalNaive::fit(history, setup.season()), history)
        }),
        named("last-value", |history, _| {
            Ok(Box::new(Pooled::start(LastValue::default(), history)?))
        }),
        named("drift", |history, _| {
            Ok(Box::new(Pooled::start(Drift::default(), history)?))
        }),
    ]
}

/// The session of a fitted model, or that there is none.
fn fitted<F: Fitted + 'static>(
    model: Option<F>,
    history: &[f64],
) -> Result<Box<dyn Session>, StartError> {
    let values = history.iter().filter(|value| value.is_finite()).count();
    let unfit = || StartError::Unfit(format!("cannot be fitted to {values} values"));
    Ok(Box::new(Gaussian(model.ok_or_else(unfit)?)))
}

/// The names of all contenders, those of [`global`] last.
pub fn names() -> Vec<String> {
    let all = contenders();
    let names = all.iter().map(|c| c.name().to_owned());
    names.chain(global::NAMES.map(str::to_owned)).collect()
}

/// The contender of this name; none for the names of [`global`].
pub fn contender(name: &str) -> Option<Box<dyn Contender>> {
    contenders().into_iter().find(|c| c.name() == name)
}
