//! What the service answers.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};

use super::say;
use super::settings::{Look, Settings, Source};

/// The configuration's file in its directory.
const CONFIG_FILE: &str = "app.toml";
/// The data's file in its directory: one number a line.
const DATA_FILE: &str = "counts.log";

/// The service behind its connections.
#[derive(Debug)]
pub(super) struct Shop {
    name: String,
    source: Mutex<Source>,
    counts: Mutex<File>,
}

impl Shop {
    /// Opens the service on its two directories.
    pub(super) fn open(name: &str, config: &Path, data: &Path) -> Result<Self, String> {
        let source = Source::open(config.join(CONFIG_FILE))?;
        let path = data.join(DATA_FILE);
        let counts = std::fs::create_dir_all(data)
            .and_then(|()| OpenOptions::new().append(true).create(true).open(&path))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let shop = Self {
            name: name.to_owned(),
            source: Mutex::new(source),
            counts: Mutex::new(counts),
        };
        shop.tell(lock(&shop.source).settings());
        Ok(shop)
    }

    /// The settings in force now.
    fn settings(&self) -> Settings {
        let mut source = lock(&self.source);
        let before = source.settings();
        match source.look() {
            Look::Unchanged => {}
            Look::Changed(settings) => {
                if settings.is_exhausted() != before.is_exhausted() {
                    self.tell(settings);
                }
            }
            Look::Refused(why) => say(&format!("the configuration stays as it was: {why}")),
        }
        source.settings()
    }

    fn tell(&self, settings: Settings) {
        let (name, most) = (&self.name, settings.pool.max_connections);
        let limit = settings.limits.open_files;
        say(&if settings.is_exhausted() {
            format!(
                "instance {name}: max_connections = {most} leaves no file for clients, of {limit}"
            )
        } else {
            format!("instance {name}: max_connections = {most}, below its limit of {limit}")
        });
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let settings = self.settings();
        if settings.is_exhausted() {
            return self.report(StatusCode::SERVICE_UNAVAILABLE, settings);
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/" | "/healthz") => self.report(StatusCode::OK, settings),
            (&Method::POST, "/count") => {
                let longest = usize::try_from(settings.http.max_body_bytes).unwrap_or(usize::MAX);
                match Limited::new(request.into_body(), longest).collect().await {
                    Ok(body) => self.report(self.count(&body.to_bytes()), settings),
                    Err(_) => self.report(StatusCode::PAYLOAD_TOO_LARGE, settings),
                }
            }
            _ => self.report(StatusCode::NOT_FOUND, settings),
        }
    }

    /// Keeps a number.
    fn count(&self, body: &[u8]) -> StatusCode {
        let Some(number) = std::str::from_utf8(body)
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
        else {
            return StatusCode::BAD_REQUEST;
        };
        // One write for a whole line, so that no reader ever sees half of one.
        match lock(&self.counts).write_all(format!("{number}\n").as_bytes()) {
            Ok(()) => StatusCode::OK,
            Err(error) => {
                say(&format!("cannot count: {error}"));
                StatusCode::INSUFFICIENT_STORAGE
            }
        }
    }

    /// Every answer says who gave it, and with which setting.
    fn report(&self, status: StatusCode, settings: Settings) -> Response<Full<Bytes>> {
        let body = serde_json::json!({
            "instance": self.name,
            "max_connections": settings.pool.max_connections,
        });
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = status;
        let json = hyper::header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

/// Nothing is left half done under these locks, so a panic elsewhere does not matter here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
