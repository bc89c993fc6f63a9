//! The series that the examples of the network learn from and are measured on, and their threads.

use std::error::Error;
use std::path::Path;

use evenkeel_forecast::lstm::{Context, Executor, Part};

#[path = "../../src/testing.rs"]
mod testing;
use testing::Random;

/// A series with its context, and what it is called in the table.
pub(crate) struct Owned {
    pub(crate) group: &'static str,
    pub(crate) context: Context,
    pub(crate) values: Vec<f64>,
    /// Forecasts are scored from here on.
    pub(crate) score_from: usize,
    /// Steps between scored forecasts.
    pub(crate) every: usize,
}

/// So many threads, each with its share of a mini-batch.
pub(crate) struct Threads(pub(crate) usize);

impl Executor for Threads {
    fn each(&self, parts: &mut [Part], work: &(dyn Fn(&mut Part) + Sync)) {
        let share = parts.len().div_ceil(self.0.max(1)).max(1);
        std::thread::scope(|scope| {
            let mut shares = parts.chunks_mut(share);
            let own = shares.next();
            for share in shares {
                scope.spawn(move || share.iter_mut().for_each(work));
            }
            if let Some(own) = own {
                own.iter_mut().for_each(work);
            }
        });
    }
}

/// What to learn from, and what to measure on.
pub(crate) type Split = (Vec<Owned>, Vec<Owned>);

pub(crate) fn synthetic(seed: u64) -> Split {
    let mut random = Random::new(seed);
    let mut make = |count: usize| {
        (0..count)
            .map(|n| family(n % 6, &mut random))
            .collect::<Vec<_>>()
    };
    (make(1000), make(120))
}

/// One series of 2,000 hourly points.
fn family(kind: usize, random: &mut Random) -> Owned {
    let group = [
        "daily load",
        "ramp",
        "random walk",
        "AR(1)",
        "bursts",
        "noise on a level",
    ][kind];
    let scale = 10.0_f64.powf(6.0 * random.uniform() - 2.0);
    let offset = scale * 20.0 * random.normal();
    let (a, b, c) = (random.uniform(), random.uniform(), random.uniform());
    let shape = [
        random.normal(),
        random.normal(),
        random.normal(),
        random.normal(),
    ];
    let (mut level, mut burst) = (0.0, 0.0);
    let values = (0..2000_u32).map(|t| {
        let day = f64::from(t) / 24.0 * std::f64::consts::TAU;
        let noise = random.normal();
        let value = match kind {
            0 => {
                level = 0.98 * level + 0.1 * random.normal();
                let cycle = shape[0] * day.sin() + shape[1] * day.cos();
                let second = 0.6 * (shape[2] * (2.0 * day).sin() + shape[3] * (2.0 * day).cos());
                let weekend = if t / 24 % 7 >= 5 { 1.0 - 0.5 * a } else { 1.0 };
                2.0 * (cycle + second) * weekend + level + (0.1 + 0.5 * b) * noise
            }
            1 => {
                if random.uniform() < 0.002 {
                    level = 0.0;
                }
                level += 0.02 + 0.3 * a;
                level + (0.1 + b) * noise
            }
            2 => {
                level += noise;
                level
            }
            3 => {
                level = (0.5 + 0.48 * a) * level + noise;
                level
            }
            4 => {
                if random.uniform() < 0.01 + 0.03 * a {
                    burst = 5.0 + 20.0 * random.uniform();
                }
                burst *= 0.5 + 0.45 * b;
                burst + 0.3 * noise
            }
            _ => {
                if random.uniform() < 0.003 * a {
                    level += 10.0 * random.normal();
                }
                level + noise
            }
        };
        if random.uniform() < 0.01 * c {
            f64::NAN
        } else {
            offset + scale * value
        }
    });
    let values = values.collect();
    let seasons = if kind == 0 {
        [Some(24), Some(168)]
    } else {
        [None; 2]
    };
    let context = Context {
        start_s: 1_700_000_400,
        step_s: 3600,
        seasons,
        family: 0,
    };
    Owned {
        group,
        context,
        values,
        score_from: 300,
        every: 7,
    }
}

pub(crate) fn read_directory(
    directory: &Path,
    season: Option<u16>,
) -> Result<Split, Box<dyn Error>> {
    let mut files = Vec::new();
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "csv") {
                files.push(path);
            }
        }
    }
    files.sort();
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (n, path) in files.iter().enumerate() {
        let text = std::fs::read_to_string(path)?;
        let rows: Vec<(i64, f64)> = text.lines().filter_map(read_row).collect();
        let (Some(first), Some(second)) = (rows.first(), rows.get(1)) else {
            continue;
        };
        let step = (second.0 - first.0).clamp(1, 86_400);
        let context = Context {
            start_s: first.0,
            step_s: u32::try_from(step)?,
            seasons: [
                season.or_else(|| steps_in(86_400, step)),
                steps_in(604_800, step),
            ],
            family: 0,
        };
        let values: Vec<f64> = rows.iter().map(|row| row.1).collect();
        let every = values.len().div_ceil(500);
        let owned = Owned {
            group: "CSV",
            context,
            values,
            score_from: 300,
            every,
        };
        if n % 2 == 0 {
            train.push(owned)
        } else {
            test.push(owned)
        }
    }
    Ok((train, test))
}

/// How many steps make a period; none if they do not divide it.
fn steps_in(period: i64, step: i64) -> Option<u16> {
    let count = (period % step == 0).then_some(period / step)?;
    u16::try_from(count).ok()
}

/// `YYYY-MM-DD hh:mm:ss,value` to seconds and value.
fn read_row(line: &str) -> Option<(i64, f64)> {
    let (time, value) = line.split_once(',')?;
    let parts: Vec<i64> = time
        .split(['-', ' ', ':', 'T'])
        .map_while(|p| p.parse().ok())
        .collect();
    let [year, month, day, hour, minute, second] = parts[..] else {
        return None;
    };
    // Days from the civil calendar (Hinnant).
    let shifted = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year - 719_468;
    Some((
        ((days * 24 + hour) * 60 + minute) * 60 + second,
        value.trim().parse().ok()?,
    ))
}

pub(crate) fn read_m4(train: &str, test: &str, season: u16) -> Result<Split, Box<dyn Error>> {
    let read = |path: &str| -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
        let text = std::fs::read_to_string(path)?;
        let row = |line: &str| {
            line.split(',')
                .skip(1)
                .map_while(|v| v.trim_matches('"').parse().ok())
                .collect()
        };
        Ok(text
            .lines()
            .map(row)
            .filter(|row: &Vec<f64>| !row.is_empty())
            .collect())
    };
    let context = Context {
        start_s: 0,
        step_s: 3600,
        seasons: [Some(season), Some(168)],
        family: 0,
    };
    let (mut learn, mut score) = (Vec::new(), Vec::new());
    for (n, (mut values, rest)) in read(train)?.into_iter().zip(read(test)?).enumerate() {
        let length = values.len();
        if n % 2 == 0 {
            learn.push(Owned {
                group: "M4",
                context,
                values,
                score_from: 0,
                every: 1,
            });
        } else {
            values.extend(rest);
            // One forecast, made at the end of the training row.
            score.push(Owned {
                group: "M4",
                context,
                values,
                score_from: length - 1,
                every: 1000,
            });
        }
    }
    Ok((learn, score))
}
