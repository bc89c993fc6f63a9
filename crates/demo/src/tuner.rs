//! The misbehaving tuner: a job on the machine of instance a that raises one value of its
//! configuration, step by step, "because the service is busy". It would reach the limit.
//!
//! It does what such jobs do: it asks the local instance how it is set, and writes a little more into
//! its file, leaving the rest of the file as it is. When the instance is no longer there, it ends. Its
//! course is fixed before it starts, by a seed; so when it *would* reach the limit is known too.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::Timestamp;
use evenkeel_ports::Clock;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::{After, Connection, Request};

/// The step is this much, more or less ...
const STEP: u64 = 26;
/// ... by up to this much.
const STEP_JITTER: u64 = 6;
/// The time between two steps, more or less ...
const PACE_MS: u64 = 1000;
/// ... by up to this much.
const PACE_JITTER_MS: u64 = 150;

/// One write of the tuner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// Since its start.
    after: Duration,
    value: u64,
}

/// Every write up to the one that reaches the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Course {
    steps: Vec<Step>,
}

impl Course {
    /// The course of `seed` from one value to a limit above it.
    pub(crate) fn new(seed: u64, from: u64, limit: u64) -> Self {
        let mut noise = Noise(seed);
        let mut steps = Vec::new();
        let (mut value, mut after_ms) = (from, 0);
        while value < limit {
            value += noise.around(STEP, STEP_JITTER);
            steps.push(Step {
                after: Duration::from_millis(after_ms),
                value,
            });
            after_ms += noise.around(PACE_MS, PACE_JITTER_MS);
        }
        Self { steps }
    }

    /// When it reaches the limit, since its start.
    pub(crate) fn limit_after(&self) -> Duration {
        self.steps.last().map_or(Duration::ZERO, |step| step.after)
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Noise(u64);

impl Noise {
    fn around(&mut self, middle: u64, jitter: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        middle - jitter + mixed % (2 * jitter + 1)
    }
}

/// Where the tuner is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// How often it wrote.
    pub(crate) writes: u32,
    /// When it first did: the drift's true onset.
    pub(crate) first_write_at: Option<Timestamp>,
    /// What it wrote last.
    pub(crate) value: Option<u64>,
    /// When its course reaches the limit.
    pub(crate) limit_at: Option<Timestamp>,
    /// When it really wrote a value at the limit.
    pub(crate) crossed_at: Option<Timestamp>,
    /// Why it ended.
    pub(crate) ended: Option<String>,
}

/// What the tuner is let loose on.
#[derive(Clone, Debug)]
pub(crate) struct Victim {
    /// The file that it rewrites.
    pub(crate) file: PathBuf,
    /// Where it writes the new text before it moves it into place: on the same file system, and
    /// outside the tree, where a half-written file would be somebody's configuration.
    pub(crate) scratch: PathBuf,
    /// The address of the instance whose file it is.
    pub(crate) instance: SocketAddr,
    /// The value at which the service fails.
    pub(crate) limit: u64,
}

/// The tuner at work; it ends with this.
#[derive(Debug)]
pub(crate) struct Tuner {
    progress: watch::Receiver<Progress>,
    task: JoinHandle<()>,
}

impl Drop for Tuner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tuner {
    /// Lets it loose.
    pub(crate) fn start(course: Course, victim: Victim, clock: Arc<dyn Clock>) -> Self {
        let limit_at = clock.now() + course.limit_after();
        let first = Progress {
            limit_at: Some(limit_at),
            ..Progress::default()
        };
        let (report, progress) = watch::channel(first);
        let task = tokio::spawn(async move {
            let why = match work(&course, &victim, clock.as_ref(), &report).await {
                Ok(()) => "its course is run".to_owned(),
                Err(why) => why,
            };
            report.send_modify(|progress| progress.ended = Some(why));
        });
        Self { progress, task }
    }

    /// Where it is.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }
}

async fn work(
    course: &Course,
    victim: &Victim,
    clock: &dyn Clock,
    report: &watch::Sender<Progress>,
) -> Result<(), String> {
    let began = clock.monotonic();
    for step in &course.steps {
        // To the course's own time, so that delays do not add up.
        let elapsed = clock.monotonic().saturating_sub(began);
        tokio::time::sleep(step.after.saturating_sub(elapsed)).await;
        is_there(victim.instance).await?;
        rewrite(victim, step.value)?;
        let now = clock.now();
        report.send_modify(|progress| {
            progress.writes += 1;
            progress.value = Some(step.value);
            progress.first_write_at.get_or_insert(now);
            if step.value >= victim.limit {
                progress.crossed_at.get_or_insert(now);
            }
        });
    }
    Ok(())
}

/// Whether the instance still answers: any answer will do.
async fn is_there(instance: SocketAddr) -> Result<(), String> {
    let gone = |what: String| format!("{instance} no longer answers: {what}");
    let mut connection = Connection::open(instance)
        .await
        .map_err(|broken| gone(broken.why.to_string()))?;
    let asked = connection.exchange(&Request::get("/", After::Close)).await;
    asked.map(|_| ()).map_err(|broken| gone(broken.to_string()))
}

fn rewrite(victim: &Victim, value: u64) -> Result<(), String> {
    let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(&victim.file).map_err(|error| told(&victim.file, error))?;
    let text = with_max_connections(&text, value)?;
    let mode = std::fs::metadata(&victim.file).map_or(0o644, |found| found.permissions().mode());
    std::fs::File::create(&victim.scratch)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.set_permissions(std::fs::Permissions::from_mode(mode))
        })
        .map_err(|error| told(&victim.scratch, error))?;
    std::fs::rename(&victim.scratch, &victim.file).map_err(|error| told(&victim.file, error))
}

/// The text with another value of `pool.max_connections`, and nothing else changed.
fn with_max_connections(text: &str, value: u64) -> Result<String, String> {
    let mut document: toml_edit::DocumentMut = text
        .parse()
        .map_err(|error| format!("the configuration is no TOML: {error}"))?;
    let found = document
        .get_mut("pool")
        .and_then(|pool| pool.get_mut("max_connections"))
        .and_then(toml_edit::Item::as_value_mut)
        .ok_or("the configuration has no pool.max_connections")?;
    let mut written = toml_edit::Value::from(i64::try_from(value).unwrap_or(i64::MAX));
    // The comment behind it stays.
    *written.decor_mut() = found.decor().clone();
    *found = written;
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use evenkeel_daemon::clock::SystemClock;

    use super::*;

    #[test]
    fn only_the_one_value_changes() {
        let text = "# shop\n[pool]  # the pool\nmin_idle = 8\nmax_connections   = 400 # of all\n\n[http]\nx = 1\n";
        assert_eq!(
            with_max_connections(text, 426).unwrap(),
            text.replace("400", "426")
        );
        assert!(
            with_max_connections("[pool]\n", 1)
                .unwrap_err()
                .contains("pool.max_connections")
        );
        assert!(
            with_max_connections("[pool", 1)
                .unwrap_err()
                .contains("TOML")
        );
    }

    #[test]
    fn a_course_is_fixed_by_its_seed_and_ends_at_the_limit() {
        let course = Course::new(7, 400, 1024);
        assert_eq!(course, Course::new(7, 400, 1024));
        assert_ne!(course, Course::new(8, 400, 1024));
        assert_eq!(
            course.steps[0].after,
            Duration::ZERO,
            "the onset is the first write"
        );
        for seed in 0..200 {
            let course = Course::new(seed, 400, 1024);
            let (last, before) = course.steps.split_last().unwrap();
            assert!(last.value >= 1024 && before.iter().all(|step| step.value < 1024));
            assert!(
                course
                    .steps
                    .windows(2)
                    .all(|two| two[0].value < two[1].value)
            );
            let limit_s = course.limit_after().as_secs_f64();
            assert!((15.0..35.0).contains(&limit_s), "seed {seed}: {limit_s} s");
        }
    }

    #[tokio::test]
    async fn it_touches_nothing_where_the_instance_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("app.toml");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let instance = listener.local_addr().unwrap();
        drop(listener);
        let victim = Victim {
            file: file.clone(),
            scratch: directory.path().join("new"),
            instance,
            limit: 1024,
        };
        let tuner = Tuner::start(
            Course::new(1, 400, 1024),
            victim,
            Arc::new(SystemClock::start()),
        );
        let mut progress = tuner.progress.clone();
        let ended = progress.wait_for(|progress| progress.ended.is_some());
        let ended = tokio::time::timeout(Duration::from_secs(10), ended)
            .await
            .unwrap()
            .unwrap()
            .clone();
        assert!(ended.ended.unwrap().contains("no longer answers"));
        assert_eq!((ended.writes, ended.first_write_at), (0, None));
        assert!(!file.exists());
    }
}
