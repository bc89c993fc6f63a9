//! What every history keeps to.

use std::time::Duration;

use evenkeel_core::forecast::{Forecast, HorizonGrid, LEVELS, Quantiles};
use evenkeel_core::property::{Place, Value};
use evenkeel_core::{PropertyPath, ResourceId, Timestamp};

use crate::history::{
    Aggregation, History, Learned, Point, PropertyChange, Range, RetentionPlan, RetentionPolicy,
    Sample, SeriesKey, Stream,
};

const HOUR: i64 = 3600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn series(property: &str, stream: Stream) -> SeriesKey {
    SeriesKey {
        resource: "web".into(),
        property: property.into(),
        stream,
    }
}

fn sample(series: &SeriesKey, seconds: i64, value: f64) -> Sample {
    Sample {
        series: series.clone(),
        at: at(seconds),
        value,
    }
}

fn every_point(from: i64, until: i64) -> Range {
    Range {
        from: at(from),
        until: at(until),
        step: None,
    }
}

fn per(seconds: u64, aggregation: Aggregation, range: Range) -> Range {
    Range {
        step: Some((Duration::from_secs(seconds), aggregation)),
        ..range
    }
}

async fn pairs(history: &impl History, series: &SeriesKey, range: Range) -> Vec<(i64, f64)> {
    let points = history.range(series, range).await.unwrap();
    let pair = |point: Point| (point.at.as_millis() / 1000, point.value);
    points.into_iter().map(pair).collect()
}

/// Points, changes and forecasts come back as they went in.
pub async fn history(history: &impl History) {
    exactness(history).await;
    gaps_edges_and_steps(history).await;
    changes(history).await;
    forecasts(history).await;
    learned(history).await;
}

async fn exactness(history: &impl History) {
    let values = [
        0.0,
        -0.0,
        0.1 + 0.2,
        f64::MIN_POSITIVE / 3.0,
        -5e-324,
        f64::MAX,
        f64::MIN,
        9_007_199_254_740_993.0,
        1.0 / 3.0,
    ];
    let exact = series("exact", Stream::Value);
    let samples: Vec<Sample> = (values.iter().zip(0..))
        .map(|(value, second)| sample(&exact, second, *value))
        .collect();
    history.append(&samples).await.unwrap();
    history.append(&samples).await.unwrap();
    history.append(&samples[3..5]).await.unwrap();
    history.append(&[]).await.unwrap();
    let points = history.range(&exact, every_point(0, 100)).await.unwrap();
    let bits = |value: &f64| value.to_bits();
    assert_eq!(
        points.iter().map(|p| bits(&p.value)).collect::<Vec<_>>(),
        values.iter().map(bits).collect::<Vec<_>>(),
        "bit by bit, and once each although appended twice"
    );
    let latest = history.latest(&exact).await.unwrap().unwrap();
    assert_eq!((latest.at, latest.value), (at(8), values[8]));
    let unknown = series("unknown", Stream::Value);
    assert_eq!(history.latest(&unknown).await, Ok(None));
    assert_eq!(
        history.range(&unknown, every_point(0, 100)).await,
        Ok(vec![])
    );
}

async fn gaps_edges_and_steps(history: &impl History) {
    let gappy = series("gappy", Stream::Deviation);
    // Late ones too: a range is in order of time, whatever the order of appending.
    let samples = [(10, 1.0), (20, 5.0), (30, 3.0), (100, 7.0), (110, 2.0)];
    for index in [0, 2, 4, 1, 3] {
        let (second, value) = samples[index];
        history
            .append(&[sample(&gappy, second, value)])
            .await
            .unwrap();
    }
    let ask = async |range| pairs(history, &gappy, range).await;
    assert_eq!(ask(every_point(0, 1000)).await, samples);
    assert_eq!(
        ask(every_point(20, 100)).await,
        samples[1..3],
        "from in, until out"
    );
    assert!(
        ask(every_point(31, 100)).await.is_empty(),
        "a gap stays a gap"
    );
    assert!(ask(every_point(100, 20)).await.is_empty());
    let all = every_point(0, 1000);
    let steps = [
        (Aggregation::Min, [(0, 1.0), (80, 2.0)]),
        (Aggregation::Max, [(0, 5.0), (80, 7.0)]),
        (Aggregation::Mean, [(0, 3.0), (80, 4.5)]),
        (Aggregation::Last, [(0, 3.0), (80, 2.0)]),
        (Aggregation::Count, [(0, 3.0), (80, 2.0)]),
    ];
    for (aggregation, expected) in steps {
        assert_eq!(
            ask(per(40, aggregation, all)).await,
            expected,
            "{aggregation:?}"
        );
    }
    let inside = per(20, Aggregation::Count, every_point(15, 110));
    assert_eq!(
        ask(inside).await,
        [(15, 2.0), (95, 1.0)],
        "steps are counted from the start of the range"
    );
    let latest = history.latest(&gappy).await.unwrap();
    assert_eq!(latest.map(|p| p.at), Some(at(110)));
    let keys = history.series(&"web".into()).await.unwrap();
    assert!(keys.contains(&gappy) && keys.contains(&series("exact", Stream::Value)));
    assert!(history.series(&"db".into()).await.unwrap().is_empty());
}

fn change(property: &str, seconds: i64, new: &str) -> PropertyChange {
    PropertyChange {
        resource: "web".into(),
        property: property.into(),
        at: at(seconds),
        old: None,
        new: Some(Value::Text(new.to_owned())),
        place: Some(Place {
            file: "nginx.conf".to_owned(),
            line: 12,
        }),
    }
}

async fn changes(history: &impl History) {
    let web = ResourceId::from("web");
    let all = [
        change("a", 10, "1"),
        change("b", 20, "2"),
        change("a", 30, "3"),
    ];
    history.append_changes(&all[1..]).await.unwrap();
    history.append_changes(&all).await.unwrap();
    let ask = async |property: Option<&str>, from, until| {
        let property = property.map(PropertyPath::from);
        let found = history.changes(&web, property.as_ref(), every_point(from, until));
        found.await.unwrap()
    };
    assert_eq!(ask(None, 0, 100).await, all, "in order of time, once each");
    assert_eq!(ask(None, 10, 30).await, all[..2], "from in, until out");
    assert_eq!(
        ask(Some("a"), 0, 100).await,
        [all[0].clone(), all[2].clone()]
    );
    let nobody = history
        .changes(&"db".into(), None, every_point(0, 100))
        .await;
    assert_eq!(nobody, Ok(vec![]));
}

fn forecast(seconds: i64) -> Forecast {
    let grid = HorizonGrid::new(Duration::from_secs(10), Duration::from_secs(600));
    let offset = f64::from(u32::try_from(seconds).unwrap()) / 7.0;
    let quantiles = (0..grid.len())
        .map(|horizon| {
            let spread = f64::from(grid.steps()[horizon]).sqrt();
            Quantiles::new(LEVELS.map(|level| offset + spread * (level - 0.5)))
        })
        .collect();
    Forecast {
        origin: at(seconds),
        grid,
        quantiles,
    }
}

async fn forecasts(history: &impl History) {
    let web = ResourceId::from("web");
    let path = PropertyPath::from("a");
    for seconds in [100, 200] {
        let made = [
            (path.clone(), forecast(seconds)),
            ("b".into(), forecast(150)),
        ];
        history.append_forecasts(&web, &made).await.unwrap();
    }
    let ask = async |seconds| history.forecast_at(&web, &path, at(seconds)).await.unwrap();
    assert_eq!(ask(99).await, None);
    assert_eq!(ask(100).await, Some(forecast(100)));
    assert_eq!(ask(199).await, Some(forecast(100)));
    assert_eq!(ask(10_000).await, Some(forecast(200)));
    let nobody = history.forecast_at(&"db".into(), &path, at(1000)).await;
    assert_eq!(nobody, Ok(None));
}

async fn learned(history: &impl History) {
    let (web, db) = (ResourceId::from("web"), ResourceId::from("db"));
    let state = |property: &str, state: &[u8]| Learned {
        property: property.into(),
        state: state.to_vec(),
    };
    let found = async |resource| {
        let found = history.load_learned(resource).await.unwrap();
        assert_eq!(found.damaged, []);
        found.states
    };
    assert_eq!(found(&web).await, []);
    let all_bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let first = [state("b", &all_bytes), state("a", b""), state("c", b"c")];
    history.save_learned(&web, &first, &[]).await.unwrap();
    let other = [state("a", b"of db")];
    history.save_learned(&db, &other, &[]).await.unwrap();
    let sorted = [state("a", b""), state("b", &all_bytes), state("c", b"c")];
    assert_eq!(found(&web).await, sorted, "by property");
    let next = [state("b", b"later"), state("d", b"new")];
    let forgotten = ["a".into(), "never there".into()];
    history.save_learned(&web, &next, &forgotten).await.unwrap();
    let left = [state("b", b"later"), state("c", b"c"), state("d", b"new")];
    assert_eq!(found(&web).await, left);
    assert_eq!(found(&db).await, other, "each resource has its own");
}

/// Retention removes what it planned to, keeps what is young, and loses no hour's aggregates before
/// their own age.
pub async fn history_retention(history: &impl History) {
    let noisy = series("noisy", Stream::Value);
    thirty_hours(history, &noisy).await;
    let hours = |n: u64| Duration::from_secs(n * HOUR.unsigned_abs());
    let policy = RetentionPolicy {
        raw: hours(4),
        five_minutes: hours(10),
        hour: hours(20),
        changes: hours(10),
    };
    let kept = every_point(10 * HOUR, 30 * HOUR);
    let mut before = Vec::new();
    for aggregation in ALL_AGGREGATIONS {
        let range = per(3600, aggregation, kept);
        before.push((range, history.range(&noisy, range).await.unwrap()));
    }
    let young = every_point(26 * HOUR, 30 * HOUR);
    let young_points = history.range(&noisy, young).await.unwrap();

    let now = at(30 * HOUR);
    let plan = history.plan_retention(&policy, now).await.unwrap();
    let again = history.plan_retention(&policy, now).await;
    assert_eq!(again, Ok(plan), "a plan does nothing");
    assert_eq!(history.retain(&policy, now).await, Ok(plan), "as planned");
    assert_eq!((plan.changes, plan.forecasts), (1, 1));
    assert_ne!(plan.raw_points, 0);
    let nothing = Ok(RetentionPlan::default());
    assert_eq!(history.plan_retention(&policy, now).await, nothing);
    assert_eq!(
        history.retain(&policy, now).await,
        nothing,
        "once is enough"
    );

    let young_after = history.range(&noisy, young).await.unwrap();
    assert_eq!(young_after, young_points);
    for (range, expected) in before {
        let found = history.range(&noisy, range).await.unwrap();
        assert_eq!(found.len(), expected.len(), "{range:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.at, expected.at);
            let off = (found.value - expected.value).abs();
            assert!(off < 1e-9, "{range:?}: {found:?}, not {expected:?}");
        }
    }
    only_young_is_left(history, &noisy).await;
}

/// A point a minute, with an hour's gap in the middle of each tier; a change and a forecast, one of
/// each old and one young.
async fn thirty_hours(history: &impl History, noisy: &SeriesKey) {
    let gaps = [5, 15, 23, 28];
    let minutes = (0..30 * 60).filter(|minute| !gaps.contains(&(minute / 60)));
    let samples: Vec<Sample> = minutes
        .map(|minute: i64| {
            let value = (minute * 7919 % 1000 - 500) as f64 / 8.0;
            sample(noisy, minute * 60, value)
        })
        .collect();
    for samples in samples.chunks(97) {
        history.append(samples).await.unwrap();
    }
    let changes = [change("a", HOUR, "old"), change("a", 25 * HOUR, "young")];
    history.append_changes(&changes).await.unwrap();
    let made = [
        ("a".into(), forecast(HOUR)),
        ("a".into(), forecast(25 * HOUR)),
    ];
    history
        .append_forecasts(&"web".into(), &made)
        .await
        .unwrap();
}

async fn only_young_is_left(history: &impl History, noisy: &SeriesKey) {
    let past = history.range(noisy, every_point(0, 10 * HOUR)).await;
    assert_eq!(past, Ok(vec![]), "older than the coarsest tier keeps");
    let (web, path) = (ResourceId::from("web"), PropertyPath::from("a"));
    let left = history.changes(&web, None, every_point(0, 30 * HOUR)).await;
    assert_eq!(left, Ok(vec![change("a", 25 * HOUR, "young")]));
    let gone = history.forecast_at(&web, &path, at(2 * HOUR)).await;
    assert_eq!(gone, Ok(None));
}

const ALL_AGGREGATIONS: [Aggregation; 5] = [
    Aggregation::Min,
    Aggregation::Max,
    Aggregation::Mean,
    Aggregation::Last,
    Aggregation::Count,
];
