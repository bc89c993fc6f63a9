//! As much HTTP/1.1 as a measurement needs: find the end of a head, read a body of known length.
//!
//! Leaves out chunked bodies, pipelining and everything else; both ends are ours.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longer heads than this are refused.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Reads messages from a stream into one buffer, which is used again for the next message.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    /// How much of the buffer the last message took.
    used: usize,
}

impl Reader {
    /// Reads up to the empty line that ends a head. `None` when the stream ended before the first byte.
    pub(crate) async fn head<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> io::Result<Option<usize>> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let mut searched = 0;
        loop {
            let found = self.buffer[searched..]
                .windows(4)
                .position(|w| w == b"\r\n\r\n");
            if let Some(at) = found {
                self.used = searched + at + 4;
                return Ok(Some(self.used));
            }
            searched = self.buffer.len().saturating_sub(3);
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other(
                    "the head of a message is longer than 16 KiB",
                ));
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// The value of a field of the head just read.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(&self.buffer[..self.used]).ok()?;
        head.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Whether the head just read begins with `text`.
    pub(crate) fn starts_with(&self, text: &str) -> bool {
        self.buffer[..self.used].starts_with(text.as_bytes())
    }

    /// Reads the body that follows the head just read, and forgets it.
    pub(crate) async fn skip_body<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        length: usize,
    ) -> io::Result<()> {
        while self.buffer.len() < self.used + length {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.used += length;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_messages_in_one_piece_are_told_apart() {
        let mut stream =
            &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n"[..];
        let mut reader = Reader::default();
        assert_eq!(reader.head(&mut stream).await.unwrap(), Some(38));
        assert!(reader.starts_with("HTTP/1.1 200"));
        assert_eq!(reader.field("content-length"), Some("3"));
        reader.skip_body(&mut stream, 3).await.unwrap();
        assert_eq!(reader.head(&mut stream).await.unwrap(), Some(18));
        assert!(reader.starts_with("GET"));
        assert_eq!(reader.head(&mut stream).await.unwrap(), None);
    }
}
