//! A server that answers every request with the same small page. It says in a field which instance it is,
//! so that a demonstration can see a switch.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::http::Reader;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Said in the field `X-Instance` of every answer.
    #[arg(long, default_value = "a")]
    tag: String,
    /// Size of the page in bytes, at most 16 MiB.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(0..=16 * 1024 * 1024))]
    body_bytes: u32,
}

/// Serves until killed, on one thread.
pub(crate) fn serve(options: &Options) -> Result<()> {
    crate::ensure_loopback("--listen", options.listen)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listen = options.listen;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}; choose another --listen"))?;
        let answer = Arc::<[u8]>::from(answer(options));
        loop {
            // An error here is of one client that gave up; the next one is welcome.
            if let Ok((client, _peer)) = listener.accept().await {
                tokio::spawn(answer_all(client, Arc::clone(&answer)));
            }
        }
    })
}

fn answer(options: &Options) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Instance: {}\r\nContent-Length: {}\r\n\r\n",
        options.tag, options.body_bytes
    )
    .into_bytes();
    answer.resize(answer.len() + options.body_bytes as usize, b'x');
    answer
}

async fn answer_all(mut client: TcpStream, answer: Arc<[u8]>) {
    let mut reader = Reader::default();
    if client.set_nodelay(true).is_err() {
        return;
    }
    while let Ok(Some(_)) = reader.head(&mut client).await {
        let last = reader
            .field("connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("close"));
        if client.write_all(&answer).await.is_err() || last {
            return;
        }
    }
}
