//! `properties`: every property with deviation, band and breach, the most urgent first.

use evenkeel_api::wire::{BreachKind, Origin, Property, PropertyList, Severity};
use evenkeel_core::Timestamp;

use super::status::breach_paint;
use crate::args::PropertiesArgs;
use crate::error::CliError;
use crate::render::text::{
    band, count, deviation, elide, from_now, percent, percent_at_least, span, value,
};
use crate::render::{Column, Page, Paint, Painted, Style, Table};
use crate::session::Session;

const PATH_COLUMNS: usize = 48;
const VALUE_COLUMNS: usize = 24;
/// A deviation below this shows as zero.
const DEVIATES: f64 = 0.005;

/// Which properties are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    All,
    Deviating,
    Breaching,
}

pub(super) async fn properties(
    session: &mut Session<'_>,
    args: &PropertiesArgs,
) -> Result<(), CliError> {
    let shown = match (args.all, args.breaching) {
        (true, _) => Shown::All,
        (false, true) => Shown::Breaching,
        (false, false) => Shown::Deviating,
    };
    let mut list = session.client.properties(&args.resource).await?;
    if args.json {
        // A program filters for itself, unless it asked for those in breach.
        if shown == Shown::Breaching {
            list.properties.retain(|property| is_shown(property, shown));
        }
        return session.json(&list);
    }
    let page = page(&list, shown, session.now(), session.screen.style);
    session.text(&page)
}

fn is_shown(property: &Property, shown: Shown) -> bool {
    let breaches = property.breach.kind != BreachKind::None;
    match shown {
        Shown::All => true,
        Shown::Breaching => breaches,
        Shown::Deviating => breaches || property.deviation.abs() >= DEVIATES,
    }
}

/// The most urgent first: by breach, by lead time, by how far of the band is used up.
fn urgency(a: &Property, b: &Property) -> std::cmp::Ordering {
    let lead = |p: &Property| p.breach.lead_time_s.unwrap_or(f64::INFINITY);
    let used = |p: &Property| {
        let side = if p.deviation < 0.0 {
            p.band.lower
        } else {
            p.band.upper
        };
        p.deviation.abs() / side.max(f64::MIN_POSITIVE)
    };
    (b.breach.kind.cmp(&a.breach.kind))
        .then(lead(a).total_cmp(&lead(b)))
        .then(used(b).total_cmp(&used(a)))
        .then(a.path.cmp(&b.path))
}

fn page(list: &PropertyList, shown: Shown, now: Timestamp, style: Style) -> String {
    let mut page = Page::new(style);
    let mut properties: Vec<&Property> = list
        .properties
        .iter()
        .filter(|property| is_shown(property, shown))
        .collect();
    properties.sort_by(|a, b| urgency(a, b));
    if !properties.is_empty() {
        page.table(&table(&properties, now), 0);
        page.gap();
    }
    let total = list.properties.len();
    let which = match shown {
        Shown::All => "shown",
        Shown::Deviating => "deviate or breach (--all shows every one)",
        Shown::Breaching => "breach",
    };
    let read = from_now(now, &list.at);
    let summary = format!(
        "{} of {total} properties {which}, read {read}",
        properties.len()
    );
    page.line(Painted::new(Paint::Dim, summary));
    if !list.unreadable.is_empty() {
        let places = u64::try_from(list.unreadable.len()).unwrap_or(u64::MAX);
        page.line(format!(
            "{} could not be read, and what stands there is unknown:",
            count(places, "place")
        ));
        for place in &list.unreadable {
            page.item(format!("{}: {}", place.path, place.why));
        }
    }
    page.finish()
}

fn table(properties: &[&Property], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        Column::Left("PROPERTY"),
        Column::Right("VALUE"),
        Column::Right("APPROVED"),
        Column::Right("DEVIATION"),
        Column::Left("BAND"),
        Column::Left("SEVERITY"),
        Column::Left("BREACH"),
        Column::Left("SINCE"),
        Column::Left("WHERE"),
    ]);
    for property in properties {
        let paint = breach_paint(property.breach.kind);
        let unit = property.unit.as_deref();
        let severity = match property.severity {
            Severity::Critical => Paint::Bold,
            Severity::Warn => Paint::Plain,
            Severity::Info => Paint::Dim,
        };
        let place = match (&property.place, property.origin) {
            (Some(place), _) => place.to_string(),
            (None, Origin::Capacity) => "capacity".to_owned(),
            (None, Origin::Configuration) => String::new(),
        };
        table.row([
            elide(&property.path, PATH_COLUMNS).into(),
            elide(&value(property.value.as_ref(), unit), VALUE_COLUMNS).into(),
            elide(&value(property.approved.as_ref(), unit), VALUE_COLUMNS).into(),
            Painted::new(paint, deviation(property.deviation)),
            band(property.band).into(),
            Painted::new(severity, property.severity.as_str()),
            Painted::new(paint, breach_text(property)),
            property
                .onset
                .as_deref()
                .map(|at| from_now(now, at))
                .unwrap_or_default()
                .into(),
            place.into(),
        ]);
    }
    table
}

fn breach_text(property: &Property) -> String {
    match property.breach.kind {
        BreachKind::None => String::new(),
        BreachKind::Observed => "beyond the limit".to_owned(),
        BreachKind::Predicted => {
            let lead = span(property.breach.lead_time_s.unwrap_or_default());
            match property.breach.path_bound {
                Some(bound) => format!(
                    "in {lead}, {} within {}",
                    percent_at_least(bound.at_least),
                    span(bound.within_s)
                ),
                None => format!("in {lead}, {}", percent(property.breach.confidence)),
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use evenkeel_api::wire::{Band, Breach, PathBound, Place, Unreadable, ValueKind, WireValue};

    use super::*;
    use crate::render::text::parse_time;

    pub(crate) fn number(value: f64, text: &str) -> Option<WireValue> {
        Some(WireValue {
            kind: ValueKind::Number,
            value: value.into(),
            text: text.into(),
        })
    }

    pub(crate) fn property(path: &str, deviation: f64, breach: Breach) -> Property {
        Property {
            path: path.into(),
            value: number(812.0, "812"),
            approved: number(400.0, "400"),
            limit: Some(1024.0),
            deviation,
            band: Band {
                lower: 0.2,
                upper: 0.8,
            },
            severity: Severity::Critical,
            origin: Origin::Configuration,
            place: Some(Place {
                file: "nginx.conf".into(),
                line: 12,
            }),
            unit: Some("MiB".into()),
            breach,
            onset: Some("2026-11-24T22:51:05Z".into()),
            surprise: None,
            sentence: format!("{path} drifts"),
        }
    }

    pub(crate) const PREDICTED: Breach = Breach {
        kind: BreachKind::Predicted,
        lead_time_s: Some(840.0),
        confidence: 0.97,
        path_bound: Some(PathBound {
            within_s: 1200.0,
            at_least: 0.97,
            at_most: 1.0,
        }),
        harm_after_s: Some(1860.0),
        harm: None,
    };

    #[test]
    fn the_most_urgent_stand_first_and_what_is_as_approved_is_left_out() {
        let calm = Property {
            onset: None,
            ..property("a/calm", 0.0, Breach::NONE)
        };
        let list = PropertyList {
            resource: "web".into(),
            at: "2026-11-24T23:14:00Z".into(),
            properties: vec![
                calm,
                property("b/drifts", 0.1, Breach::NONE),
                property("c/worst", 0.62, PREDICTED),
            ],
            unreadable: vec![Unreadable {
                path: "conf.d".into(),
                why: "permission denied".into(),
            }],
        };
        let now = parse_time("2026-11-24T23:14:05Z").unwrap();
        let text = page(&list, Shown::Deviating, now, Style::PLAIN);
        let expected = "\
PROPERTY    VALUE  APPROVED  DEVIATION  BAND          SEVERITY  BREACH                         SINCE       WHERE
c/worst   812 MiB   400 MiB      +0.62  -0.20..+0.80  critical  in 14 min, 97 % within 20 min  23 min ago  nginx.conf:12
b/drifts  812 MiB   400 MiB      +0.10  -0.20..+0.80  critical                                 23 min ago  nginx.conf:12

2 of 3 properties deviate or breach (--all shows every one), read 5 s ago
1 place could not be read, and what stands there is unknown:
  conf.d: permission denied
";
        assert_eq!(text, expected, "\n{text}");
        let breaching = page(&list, Shown::Breaching, now, Style::PLAIN);
        assert!(
            breaching.contains("1 of 3 properties breach"),
            "{breaching}"
        );
        assert!(page(&list, Shown::All, now, Style::PLAIN).contains("a/calm"));
    }
}
