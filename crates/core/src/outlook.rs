//! The outlook: what is known of one property at one evaluation — where it stands, where it goes,
//! how far it may go, and whether and when it will have gone too far.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::band::Band;
use crate::company::Company;
use crate::forecast::{FirstPassage, Forecast, PathBound, Swing};
use crate::harm::Harm;
use crate::ids::PropertyPath;
use crate::property::{Origin, Place, Severity, Value};
use crate::surprise::Surprise;
use crate::time::{Brief, Timestamp};

/// Whether a deviation is, or will be, outside its band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// Neither now nor within the horizon.
    #[default]
    None,
    /// The median leaves the band at some horizon.
    Predicted {
        /// Time until the first horizon whose median is outside: the lead time. The path has left the band by
        /// then with a probability of at least one half, and by [`PropertyOutlook::path_bound`] with what it
        /// says.
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
    /// The value at its limit, where it is a measured number: on the side where it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
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
    /// Since when it is watched: no forecast rests on more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Where it goes; `None` for a property that never moved, or too short a history.
    pub forecast: Option<Forecast>,
    /// Whether it comes to its limit (the band's ceiling) within the horizon; `None` where no breach is predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm: Option<Harm>,
    /// What made its breach surer than it is by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<Company>,
    /// The value found lies outside the bounds that were forecast for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surprise: Option<Surprise>,
    /// How far its season goes from now to the horizon, which its band has made room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<Swing>,
}

impl PropertyOutlook {
    /// Whether its deviation is, or was, anything but 0. What never moved has nothing worth a series.
    pub fn has_moved(&self) -> bool {
        self.forecast.is_some() || self.deviation != 0.0
    }

    /// Whether it was found outside its band, and outside what was forecast for it.
    pub fn surprises(&self) -> bool {
        self.surprise.is_some() && self.band.is_breached_by(self.deviation)
    }

    /// When the deviation leaves its band first, as a statement about its path; `None` without a forecast.
    pub fn first_passage(&self) -> Option<FirstPassage> {
        let (lower, upper) = (-self.band.lower, self.band.upper);
        let forecast = self.forecast.as_ref()?;
        Some(forecast.first_passage(lower, upper))
    }

    /// Of a predicted breach: the time within which its confidence holds for the path. Company makes a breach
    /// surer, but says nothing of the path; so this is about the confidence that it has by itself.
    pub fn path_bound(&self) -> Option<PathBound> {
        match self.breach {
            Breach::None | Breach::Observed => None,
            Breach::Predicted { confidence, .. } => {
                let alone = self.company.as_ref().map_or(confidence, |c| c.alone);
                self.first_passage()?.bound_of(alone)
            }
        }
    }

    /// The outlook in one sentence: value, share of the tolerance, prediction.
    pub fn sentence(&self) -> String {
        let text = |value: &Option<Value>| match value {
            None => "absent".to_owned(),
            Some(value) => self.in_unit(value),
        };
        let now = format!(
            "{} is {} (approved {}{}), {:+.2} of its tolerance{}",
            self.path,
            text(&self.found),
            text(&self.approved),
            self.limit_text(),
            self.deviation,
            self.surprise_text()
        );
        let band = format!(
            "band {:+.2} to {:+.2}{}",
            -self.band.lower,
            self.band.upper,
            self.season_text()
        );
        match self.breach {
            Breach::None => format!("{now}, {band}"),
            Breach::Observed => format!("{now}, beyond the limit"),
            Breach::Predicted {
                lead_time,
                confidence,
                ..
            } => format!(
                "{now}, predicted to leave its {band} {}{}{}",
                self.when_text(lead_time),
                self.company_text(confidence),
                self.harm_text()
            ),
        }
    }

    fn limit_text(&self) -> String {
        let limit = self.limit.map(|limit| self.in_unit(&Value::Number(limit)));
        limit.map_or(String::new(), |limit| format!(", limit {limit}"))
    }

    fn in_unit(&self, value: &Value) -> String {
        match &self.unit {
            Some(unit) => format!("{} {unit}", value.brief()),
            None => value.brief(),
        }
    }

    /// What was expected where something else was found; else the empty text.
    fn surprise_text(&self) -> String {
        let expected = self.surprise.map(|s| s.expected_text(self.unit.as_deref()));
        expected.map_or(String::new(), |text| format!(", expected {text}"))
    }

    /// What of the band is the season's: the empty text where there is none.
    fn season_text(&self) -> String {
        let Some(Swing { lower, upper }) = self.season else {
            return String::new();
        };
        let of = |side: f64| (side.abs() >= 0.005).then(|| format!("{side:+.2}"));
        match (of(lower), of(upper)) {
            (Some(lower), Some(upper)) => format!(" (with the season's {lower} to {upper})"),
            (Some(one), None) | (None, Some(one)) => format!(" (with the season's {one})"),
            (None, None) => String::new(),
        }
    }

    /// The lead time, and what is certain of the path. A bound from below is rounded down.
    fn when_text(&self, lead_time: Duration) -> String {
        let Some(bound) = self.path_bound() else {
            return format!("in {}", Brief(lead_time));
        };
        let within = Brief(bound.within);
        let surely = format!(
            "within {within} with probability at least {:.2}",
            (bound.at_least * 100.0 + 1e-9).floor() / 100.0
        );
        if bound.within <= lead_time {
            surely
        } else {
            format!("in {}, {surely}", Brief(lead_time))
        }
    }

    fn harm_text(&self) -> String {
        let harm = self.harm.map(|harm| format!(", {}", harm.text()));
        harm.unwrap_or_default()
    }

    /// What made it surer, for people: the empty text where nothing did.
    fn company_text(&self, confidence: f64) -> String {
        let Some(Company { with, .. }) = &self.company else {
            return String::new();
        };
        let first = with.first().map_or("", PropertyPath::as_str);
        let others = match with.len() {
            0 | 1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        format!(" (confidence {confidence:.2}: {first}{others} set in with it)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::forecast::{HorizonGrid, Quantiles};

    /// A capacity that was found 0.2 off, of which nothing more is known.
    pub(crate) fn found(path: &str, severity: Severity, breach: Breach) -> PropertyOutlook {
        PropertyOutlook {
            path: path.into(),
            severity,
            origin: Origin::Capacity,
            unit: None,
            approved: None,
            limit: None,
            found: None,
            place: None,
            deviation: 0.2,
            band: Band {
                lower: 0.2,
                upper: 0.2,
            },
            breach,
            onset: None,
            since: None,
            forecast: None,
            harm: None,
            company: None,
            surprise: None,
            season: None,
        }
    }

    /// Below the band's end of 0.3 for sure at first; then above it by so many quantiles of 13.
    fn outlook(above: &[usize], breach: Breach) -> PropertyOutlook {
        let step = Duration::from_secs(60);
        let grid = HorizonGrid::every_step(step, u32::try_from(above.len()).unwrap());
        let quantiles = above.iter().map(|&above| {
            Quantiles::new(std::array::from_fn(
                |i| if i + above >= 13 { 0.5 } else { 0.1 },
            ))
        });
        PropertyOutlook {
            approved: Some(Value::Number(400.0)),
            found: Some(Value::Number(440.0)),
            band: Band {
                lower: 0.3,
                upper: 0.3,
            },
            forecast: Some(Forecast {
                origin: Timestamp::from_millis(0),
                grid,
                quantiles: quantiles.collect(),
            }),
            ..found("pool", Severity::Critical, breach)
        }
    }

    fn predicted(minutes: u64, confidence: f64) -> Breach {
        Breach::Predicted {
            lead_time: Duration::from_secs(60 * minutes),
            confidence,
            harm_after: None,
        }
    }

    #[test]
    fn a_breach_is_stated_of_the_path_by_its_own_confidence() {
        let mut outlook = outlook(&[1, 7, 10, 8], predicted(2, 0.0));
        let passage = outlook.first_passage().unwrap();
        let surest = passage.within_reach().unwrap().at_least;
        outlook.breach = predicted(2, surest);
        let bound = outlook.path_bound().unwrap();
        assert_eq!(bound.within, Duration::from_secs(180));
        assert!(bound.at_least >= surest && bound.at_most >= bound.at_least);
        let text = format!("{:.2}", (surest * 100.0).floor() / 100.0);
        let end = format!("+0.30 in 2 min, within 3 min with probability at least {text}");
        assert!(outlook.sentence().ends_with(&end), "{}", outlook.sentence());
        // Company says nothing of the path.
        outlook.breach = predicted(2, 0.99);
        outlook.company = Some(Company {
            with: vec!["heap".into()],
            alone: surest,
        });
        assert_eq!(outlook.path_bound(), Some(bound));
        let end = format!("{end} (confidence 0.99: heap set in with it)");
        assert!(outlook.sentence().ends_with(&end), "{}", outlook.sentence());
    }

    #[test]
    fn a_measured_number_is_told_with_its_limit() {
        let outlook = PropertyOutlook {
            limit: Some(1024.0),
            unit: Some("MiB".into()),
            deviation: 0.66,
            ..outlook(&[0], Breach::None)
        };
        let start =
            "pool is 440 MiB (approved 400 MiB, limit 1,024 MiB), +0.66 of its tolerance, band";
        assert!(
            outlook.sentence().starts_with(start),
            "{}",
            outlook.sentence()
        );
        let bare = PropertyOutlook {
            unit: None,
            ..outlook
        };
        let start = "pool is 440 (approved 400, limit 1,024), +0.66";
        assert!(bare.sentence().starts_with(start), "{}", bare.sentence());
    }

    #[test]
    fn the_season_that_the_band_has_room_for_is_told() {
        let mut outlook = outlook(&[0], Breach::None);
        let mut told = |lower, upper| {
            outlook.season = Some(Swing { lower, upper });
            outlook.sentence()
        };
        let end = "band -0.30 to +0.30 (with the season's +0.20)";
        assert!(told(0.0, 0.2).ends_with(end));
        assert!(told(-0.1, 0.2).ends_with("(with the season's -0.10 to +0.20)"));
        assert!(told(-0.001, 0.0).ends_with("band -0.30 to +0.30"));
    }

    #[test]
    fn where_the_first_horizon_is_the_surest_one_time_is_enough() {
        let sure = outlook(&[13, 13], predicted(1, 1.0));
        let end = "+0.30 within 60 s with probability at least 1.00";
        assert!(sure.sentence().ends_with(end), "{}", sure.sentence());
        assert_eq!(outlook(&[13], Breach::Observed).path_bound(), None);
        let mut unknown = outlook(&[13], predicted(2, 0.9));
        unknown.forecast = None;
        let text = unknown.sentence();
        assert!(
            text.ends_with("to leave its band -0.30 to +0.30 in 2 min"),
            "{text}"
        );
    }
}
