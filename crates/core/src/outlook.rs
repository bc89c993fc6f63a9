//! The outlook: what is known of one property at one evaluation — where it stands, where it goes,
//! how far it may go, and whether and when it will have gone too far.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::band::Band;
use crate::company::Company;
use crate::forecast::Forecast;
use crate::ids::PropertyPath;
use crate::property::{Origin, Place, Severity, Value};
use crate::time::Timestamp;

/// Whether a deviation is, or will be, outside its band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// Neither now nor within the horizon.
    #[default]
    None,
    /// The median leaves the band at some horizon.
    Predicted {
        /// Time until the first horizon whose median is outside: the lead time.
        lead_time: Duration,
        /// The greatest calibrated probability, over the horizons whose median is outside, that the
        /// deviation is outside there.
        confidence: f64,
        /// Time until the median reaches the ceiling, where it does within the horizon.
        harm_after: Option<Duration>,
    },
    /// The deviation has reached the ceiling.
    Observed,
}

impl Breach {
    /// The probability that stands behind it: 1 for what was observed, 0 for none.
    pub fn confidence(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Predicted { confidence, .. } => confidence,
            Self::Observed => 1.0,
        }
    }

    /// Time left before the breach; `None` where none is seen.
    pub fn lead_time(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Predicted { lead_time, .. } => Some(lead_time),
            Self::Observed => Some(Duration::ZERO),
        }
    }
}

/// One property at one evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PropertyOutlook {
    /// Which property.
    pub path: PropertyPath,
    /// What may be done about it.
    pub severity: Severity,
    /// Configuration or capacity.
    pub origin: Origin,
    /// Its unit, for people.
    pub unit: Option<String>,
    /// The approved value; `None` where it is not in the baseline.
    pub approved: Option<Value>,
    /// The value found; `None` where it vanished.
    pub found: Option<Value>,
    /// The line it stands on.
    pub place: Option<Place>,
    /// The signed distance from the approved value, in tolerances.
    pub deviation: f64,
    /// How far the deviation may go.
    pub band: Band,
    /// Whether it goes too far.
    pub breach: Breach,
    /// When the drift that is running set in.
    pub onset: Option<Timestamp>,
    /// Where it goes; `None` for a property that never moved, or too short a history.
    pub forecast: Option<Forecast>,
    /// What made its breach surer than it is by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<Company>,
}

impl PropertyOutlook {
    /// Whether its deviation is, or was, anything but 0. What never moved has nothing worth a series.
    pub fn has_moved(&self) -> bool {
        self.forecast.is_some() || self.deviation != 0.0
    }

    /// The outlook in one sentence: value, share of the tolerance, prediction.
    pub fn sentence(&self) -> String {
        let text = |value: &Option<Value>| match (value, self.unit.as_deref()) {
            (None, _) => "absent".to_owned(),
            (Some(value), None) => value.brief(),
            (Some(value), Some(unit)) => format!("{} {unit}", value.brief()),
        };
        let now = format!(
            "{} is {} (approved {}), {:+.2} of its tolerance",
            self.path,
            text(&self.found),
            text(&self.approved),
            self.deviation
        );
        let band = format!("band {:+.2} to {:+.2}", -self.band.lower, self.band.upper);
        match self.breach {
            Breach::None => format!("{now}, {band}"),
            Breach::Observed => format!("{now}, beyond the limit"),
            Breach::Predicted {
                lead_time,
                confidence,
                ..
            } => format!(
                "{now}, predicted to leave its {band} in {} with confidence {confidence:.2}{}",
                crate::time::Brief(lead_time),
                self.company_text()
            ),
        }
    }

    /// What made it surer, for people: the empty text where nothing did.
    fn company_text(&self) -> String {
        let Some(Company { with, alone }) = &self.company else {
            return String::new();
        };
        let first = with.first().map_or("", PropertyPath::as_str);
        let others = match with.len() {
            0 | 1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        format!(" ({alone:.2} by itself; {first}{others} set in with it)")
    }
}
