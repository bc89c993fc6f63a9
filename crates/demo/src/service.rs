//! The service that the demonstration watches: `evenkeel demo-service --config DIR --data DIR
//! --listen ADDRESS --name NAME [--while-locked FILE]`.
//!
//! A small HTTP/1.1 service with a configuration file, `DIR/app.toml`, and a data file. It looks at
//! its configuration with every request, so an edit takes effect at once. At or above its limit of
//! open files it really fails: from then on every request is answered 503.
//!
//! It leaves out everything that a shop would do. With `--while-locked` it ends as soon as nobody
//! holds a lock on that file: the demonstration holds one, so that whatever becomes of it, killed or
//! not, nothing of it stays behind.

mod answer;
mod settings;

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use answer::Shop;

/// How long connections may go on after the service was told to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// How the service was called.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Arguments {
    config: PathBuf,
    data: PathBuf,
    listen: SocketAddr,
    name: String,
    while_locked: Option<PathBuf>,
}

/// Runs the service until it is told to stop.
pub fn run_service(arguments: impl Iterator<Item = String>) -> ExitCode {
    let outcome = parse(arguments).and_then(|arguments| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
        runtime.block_on(serve(arguments))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            say(&what);
            ExitCode::FAILURE
        }
    }
}

/// One line of the service's own log, which is its standard error.
fn say(what: &str) {
    // There is nobody left to tell if stderr is closed.
    let _ = writeln!(std::io::stderr(), "demo-service: {what}");
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let (mut config, mut data, mut listen) = (None, None, None);
    let (mut name, mut while_locked) = (None, None);
    while let Some(option) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--config" => config = Some(PathBuf::from(value)),
            "--data" => data = Some(PathBuf::from(value)),
            "--listen" => {
                let address = value.parse();
                let hint =
                    || format!("--listen: `{value}` is not an address; write 127.0.0.1:8080");
                listen = Some(address.map_err(|_| hint())?);
            }
            "--name" => name = Some(value),
            "--while-locked" => while_locked = Some(PathBuf::from(value)),
            _ => return Err(format!("{option} is not known here")),
        }
    }
    let needed = |option| format!("{option} is missing");
    Ok(Arguments {
        config: config.ok_or_else(|| needed("--config"))?,
        data: data.ok_or_else(|| needed("--data"))?,
        listen: listen.ok_or_else(|| needed("--listen"))?,
        name: name.ok_or_else(|| needed("--name"))?,
        while_locked,
    })
}

async fn serve(arguments: Arguments) -> Result<(), String> {
    let shop = Arc::new(Shop::open(
        &arguments.name,
        &arguments.config,
        &arguments.data,
    )?);
    let listener = TcpListener::bind(arguments.listen).await;
    let listener =
        listener.map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    say(&format!(
        "instance {} listens on {}",
        arguments.name, arguments.listen
    ));
    let unheard = |error: std::io::Error| format!("cannot hear signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut abandoned = std::pin::pin!(abandoned(arguments.while_locked));
    let why = loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&shop), stopping.clone()));
                }
                // Out of files, or a client that left at once: neither ends the service.
                Err(error) => {
                    say(&format!("cannot accept: {error}"));
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            _ = terminate.recv() => break "told to stop",
            _ = interrupt.recv() => break "interrupted",
            () = &mut abandoned => break "the demonstration is over",
        }
    };
    drop(listener);
    let _ = stop.send(());
    let ended = tokio::time::timeout(STOP_GRACE, async {
        while connections.join_next().await.is_some() {}
    });
    let how = if ended.await.is_ok() {
        ""
    } else {
        ", with connections cut"
    };
    say(&format!("instance {} ends: {why}{how}", arguments.name));
    Ok(())
}

/// Waits until nobody holds a lock on the file; for ever where none is named.
async fn abandoned(lock: Option<PathBuf>) {
    let Some(path) = lock else {
        return std::future::pending().await;
    };
    let (tell, told) = tokio::sync::oneshot::channel();
    // A thread of its own: the runtime would wait for a blocking task of its own when it ends.
    std::thread::spawn(move || {
        let waited = File::open(&path).and_then(|file| file.lock_shared());
        if let Err(error) = waited {
            say(&format!("{}: {error}", path.display()));
        }
        let _ = tell.send(());
    });
    let _ = told.await;
}

/// Serves one connection until its client closes it, or, once told to stop, until it is idle.
async fn converse(stream: TcpStream, shop: Arc<Shop>, mut stopping: watch::Receiver<()>) {
    // Small answers are not held back for more to come.
    let _ = stream.set_nodelay(true);
    let handler = service_fn(move |request| {
        let shop = Arc::clone(&shop);
        async move { Ok::<_, std::convert::Infallible>(shop.answer(request).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), handler);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A client that breaks off is its own affair.
        _ = connection.as_mut() => return,
        _ = stopping.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{After, Answer, Connection, Request};

    fn arguments(text: &str) -> Result<Arguments, String> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_and_what_is_wrong_is_named() {
        let good = "--config /c --data /d --listen 127.0.0.1:80 --name a";
        assert_eq!(arguments(good).unwrap().listen, ([127, 0, 0, 1], 80).into());
        for (bad, named) in [
            ("--config", "--config needs a value"),
            ("--listen here", "`here`"),
            ("--port 1", "--port is not known"),
            ("--config /c", "--data is missing"),
        ] {
            let error = arguments(bad).unwrap_err();
            assert!(error.contains(named), "{bad}: {error}");
        }
    }

    #[tokio::test]
    async fn it_is_abandoned_when_the_lock_is_let_go() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().lock().unwrap();
        let mut waiting = std::pin::pin!(abandoned(Some(file.path().to_path_buf())));
        let early = tokio::time::timeout(Duration::from_millis(50), waiting.as_mut()).await;
        assert!(early.is_err(), "the lock is held");
        file.as_file().unlock().unwrap();
        tokio::time::timeout(Duration::from_secs(10), waiting)
            .await
            .unwrap();
    }

    /// Asks a service that may still be starting.
    async fn ask(address: SocketAddr, request: &Request) -> Answer {
        for _ in 0..500 {
            if let Ok(mut connection) = Connection::open(address).await {
                return connection.exchange(request).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the service does not come up");
    }

    #[tokio::test]
    async fn it_serves_counts_obeys_an_edit_at_once_and_really_fails_at_its_limit() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("app.toml");
        let text = include_str!("app.toml");
        std::fs::write(&file, text).unwrap();
        let lock = File::create(directory.path().join("lock")).unwrap();
        lock.lock().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap();
        drop(free);
        let service = tokio::spawn(serve(Arguments {
            config: directory.path().to_path_buf(),
            data: directory.path().join("data"),
            listen,
            name: "a".to_owned(),
            while_locked: Some(directory.path().join("lock")),
        }));
        let get = Request::get("/", After::Keep);
        let answer = ask(listen, &get).await;
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 200);
        assert!(
            body.contains("\"instance\":\"a\"") && body.contains("400"),
            "{body}"
        );

        let count = |body: &str| Request {
            method: "POST",
            path: "/count",
            body: body.to_owned(),
            after: After::Close,
        };
        assert_eq!(ask(listen, &count("17")).await.status, 200);
        assert_eq!(ask(listen, &count("many")).await.status, 400);
        let counts = std::fs::read_to_string(directory.path().join("data/counts.log")).unwrap();
        assert_eq!(counts, "17\n");
        assert_eq!(
            ask(listen, &Request::get("/nowhere", After::Close))
                .await
                .status,
            404
        );

        std::fs::write(
            &file,
            text.replace("max_connections = 400", "max_connections = 1023"),
        )
        .unwrap();
        assert!(
            String::from_utf8(ask(listen, &get).await.body)
                .unwrap()
                .contains("1023")
        );
        std::fs::write(
            &file,
            text.replace("max_connections = 400", "max_connections = 1024"),
        )
        .unwrap();
        assert_eq!(
            ask(listen, &Request::get("/healthz", After::Close))
                .await
                .status,
            503
        );

        lock.unlock().unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), service).await;
        ended.unwrap().unwrap().unwrap();
    }
}
