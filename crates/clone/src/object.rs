//! The object store: immutable contents, each under its digest, and the way new ones get in.
//!
//! `objects/ab/cdef…` holds the content whose BLAKE3 digest is `abcdef…`. New contents are *staged* in
//! `tmp/`, made durable together, and only then renamed into place; an object that is in place is
//! therefore whole, whatever happens to the machine. Runs of zeros become holes. Contents may be
//! secret: everything here is readable by the owner only.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::Digest;
use crate::error::{At, CloneError};
use crate::steps::Steps;

/// How much is read or written at a time; the memory that a file of any size needs.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;
/// Up to so many files are flushed one by one; more are flushed by one flush of the file system.
const FLUSH_SINGLY_MAX: usize = 32;
/// Free space is looked up before writing anything of at least this size.
pub(crate) const SPACE_CHECK_BYTES: u64 = 1024 * 1024;

/// Feeds a reader's bytes to `take` in chunks. The outer error is `take`'s, the inner the reader's.
pub(crate) fn pump(
    reader: &mut impl Read,
    mut take: impl FnMut(&[u8]) -> Result<(), CloneError>,
) -> Result<io::Result<u64>, CloneError> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(Ok(total)),
            Ok(count) => {
                take(&buffer[..count])?;
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Writes chunks to a file and leaves holes where they are zero. The file must be new.
pub(crate) struct SparseWriter {
    file: File,
    length: u64,
    pending_hole: bool,
}

impl SparseWriter {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            length: 0,
            pending_hole: false,
        }
    }

    pub(crate) fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        if chunk.len() >= 4096 && chunk.iter().all(|&byte| byte == 0) {
            self.pending_hole = true;
        } else {
            if self.pending_hole {
                self.file.seek(SeekFrom::Start(self.length))?;
                self.pending_hole = false;
            }
            self.file.write_all(chunk)?;
        }
        self.length += chunk.len() as u64;
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<File> {
        if self.pending_hole {
            self.file.set_len(self.length)?;
        }
        Ok(self.file)
    }
}

/// Refuses early what would fill the disk. `bytes` is what is about to be written beneath `directory`.
pub(crate) fn ensure_space(
    doing: &'static str,
    directory: &Path,
    bytes: u64,
) -> Result<(), CloneError> {
    if bytes < SPACE_CHECK_BYTES {
        return Ok(());
    }
    let space = rustix::fs::statvfs(directory).at("look up the free space of", directory)?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < bytes {
        let path = directory.to_owned();
        return Err(CloneError::NoSpace {
            doing,
            path,
            short_bytes: Some(bytes - free),
        });
    }
    Ok(())
}

/// Makes what was written durable: `files` one by one where they are few, else all at once.
pub(crate) fn flush(root: &Path, files: &[PathBuf]) -> Result<(), CloneError> {
    if files.len() > FLUSH_SINGLY_MAX {
        let directory = File::open(root).at("open", root)?;
        return rustix::fs::syncfs(&directory).at("flush the file system of", root);
    }
    for path in files {
        match File::open(path) {
            // Its mode is final already and shuts its owner out.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let directory = File::open(root).at("open", root)?;
                return rustix::fs::syncfs(&directory).at("flush the file system of", root);
            }
            opened => opened.and_then(|file| file.sync_all()).at("flush", path)?,
        }
    }
    Ok(())
}

/// Makes one file or directory durable.
pub(crate) fn flush_one(path: &Path) -> Result<(), CloneError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .at("flush", path)
}

/// Makes a directory that only its owner may enter, and those above it.
pub(crate) fn make_directory(path: &Path) -> Result<(), CloneError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .at("make the directory", path)
}

/// Writes a small file so that it is wholly there or as before.
pub(crate) fn write_atomically(
    steps: &Steps,
    tmp: &Path,
    path: &Path,
    bytes: &[u8],
) -> Result<(), CloneError> {
    steps.before("write", tmp)?;
    let mut file = new_file(tmp)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .at("write", path);
    let renamed = written.and_then(|()| {
        steps.before("rename into place", path)?;
        fs::rename(tmp, path).at("rename into place", path)
    });
    if renamed.is_err() {
        // The error matters more than what remains; `tmp` is cleared on the next opening anyway.
        let _ = fs::remove_file(tmp);
    }
    renamed?;
    let directory = path.parent().unwrap_or(path);
    steps.before("flush the directory", directory)?;
    flush_one(directory)
}

fn new_file(path: &Path) -> Result<File, CloneError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .at("create", path)
}

/// The objects of one store.
#[derive(Debug)]
pub(crate) struct Objects {
    directory: PathBuf,
    tmp: PathBuf,
    steps: Steps,
    next_tmp: AtomicU64,
}

impl Objects {
    /// Opens `objects/` and an emptied `tmp/` in the store's directory.
    pub(crate) fn open(store: &Path, steps: Steps) -> Result<Self, CloneError> {
        let (directory, tmp) = (store.join("objects"), store.join("tmp"));
        if tmp.exists() {
            fs::remove_dir_all(&tmp).at("clear", &tmp)?;
        }
        make_directory(&directory)?;
        make_directory(&tmp)?;
        Ok(Self {
            directory,
            tmp,
            steps,
            next_tmp: AtomicU64::new(0),
        })
    }

    pub(crate) fn observe(&mut self, steps: Steps) {
        self.steps = steps;
    }

    /// Where the object is, or would be.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        let (shard, rest) = hex.split_at(2);
        self.directory.join(shard).join(rest)
    }

    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.path(digest)
            .symlink_metadata()
            .is_ok_and(|found| found.is_file())
    }

    /// A name in `tmp/` that nothing has.
    pub(crate) fn tmp_path(&self) -> PathBuf {
        self.tmp
            .join(self.next_tmp.fetch_add(1, Ordering::Relaxed).to_string())
    }

    pub(crate) fn open_object(&self, digest: &Digest) -> Result<File, CloneError> {
        let path = self.path(digest);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(CloneError::MissingObject {
                    path,
                    digest: *digest,
                })
            }
            opened => opened.at("open", path),
        }
    }

    /// Feeds the object's bytes to `take` and checks at the end that they are the right ones.
    pub(crate) fn read_through(
        &self,
        digest: &Digest,
        mut take: impl FnMut(&[u8]) -> Result<(), CloneError>,
    ) -> Result<u64, CloneError> {
        let path = self.path(digest);
        let mut file = self.open_object(digest)?;
        let mut hasher = blake3::Hasher::new();
        let count = pump(&mut file, |chunk| {
            hasher.update(chunk);
            take(chunk)
        })?
        .at("read", &path)?;
        if Digest::from(hasher.finalize()) != *digest {
            let what = "its content does not have the digest that names it".to_owned();
            return Err(CloneError::Damaged { path, what });
        }
        Ok(count)
    }

    /// The whole content, checked. For listings and small files.
    pub(crate) fn read(&self, digest: &Digest) -> Result<Vec<u8>, CloneError> {
        let mut bytes = Vec::new();
        self.read_through(digest, |chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Every object in place, with its path. Files with other names are no objects and are left out.
    pub(crate) fn all(&self) -> Result<Vec<(Digest, PathBuf)>, CloneError> {
        let mut found = Vec::new();
        for shard in fs::read_dir(&self.directory).at("list", &self.directory)? {
            let shard = shard.at("list", &self.directory)?.path();
            if !shard.is_dir() {
                continue;
            }
            for object in fs::read_dir(&shard).at("list", &shard)? {
                let path = object.at("list", &shard)?.path();
                let name =
                    [&shard, &path].map(|p| p.file_name().unwrap_or_default().to_os_string());
                if let Ok(digest) = name
                    .map(|n| n.to_string_lossy().into_owned())
                    .concat()
                    .parse()
                {
                    found.push((digest, path));
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// New contents on their way in. Dropped before [`Staging::commit`], it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Staging<'s> {
    objects: &'s Objects,
    staged: BTreeMap<Digest, PathBuf>,
    /// Bytes of new content so far.
    pub(crate) bytes: u64,
}

impl<'s> Staging<'s> {
    pub(crate) fn new(objects: &'s Objects) -> Self {
        Self {
            objects,
            staged: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Will the object be there once this is committed?
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.staged.contains_key(digest) || self.objects.contains(digest)
    }

    /// Stages a content that is in memory.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<Digest, CloneError> {
        let digest = Digest::of(bytes);
        if !self.has(&digest) {
            let mut writer = self.writer(bytes.len() as u64)?;
            writer.write(bytes)?;
            self.adopt(writer)?;
        }
        Ok(digest)
    }

    /// Begins a content that comes in chunks. `allocated_bytes` is what it is expected to take.
    pub(crate) fn writer(&self, allocated_bytes: u64) -> Result<ObjectWriter, CloneError> {
        let path = self.objects.tmp_path();
        ensure_space("store a file in", &self.objects.tmp, allocated_bytes)?;
        self.objects.steps.before("stage", &path)?;
        let file = new_file(&path)?;
        let hasher = blake3::Hasher::new();
        let writer = Some(SparseWriter::new(file));
        Ok(ObjectWriter {
            path,
            writer,
            hasher,
            length: 0,
        })
    }

    /// Takes a content that was written in full.
    pub(crate) fn adopt(&mut self, mut writer: ObjectWriter) -> Result<Digest, CloneError> {
        let digest = Digest::from(writer.hasher.finalize());
        if self.has(&digest) {
            return Ok(digest); // The writer removes its file.
        }
        if let Some(sparse) = writer.writer.take() {
            let finished = sparse.finish().at("write", &writer.path);
            if let Err(error) = finished {
                // The caller needs the first error, not one about the clearing up.
                let _ = fs::remove_file(&writer.path);
                return Err(error);
            }
            self.bytes += writer.length;
            self.staged.insert(digest, writer.path.clone());
        }
        Ok(digest)
    }

    /// Makes all staged contents durable, and then puts them in place.
    pub(crate) fn commit(mut self) -> Result<(), CloneError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let steps = &self.objects.steps;
        let files: Vec<PathBuf> = self.staged.values().cloned().collect();
        steps.before("flush new objects", &self.objects.tmp)?;
        flush(&self.objects.tmp, &files)?;
        let mut shards = vec![self.objects.directory.clone()];
        for (digest, tmp) in &self.staged {
            let path = self.objects.path(digest);
            let shard = path.parent().unwrap_or(&path).to_owned();
            steps.before("rename an object into place", &path)?;
            if shards.last() != Some(&shard) {
                make_directory(&shard)?;
                shards.push(shard);
            }
            fs::rename(tmp, &path).at("rename an object into place", &path)?;
        }
        steps.before("flush object directories", &self.objects.directory)?;
        flush(&self.objects.directory, &shards)?;
        self.staged.clear();
        Ok(())
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        for tmp in self.staged.values() {
            // Some are renamed already when a commit failed midway; opening the store clears the rest.
            let _ = fs::remove_file(tmp);
        }
    }
}

/// One content that comes in chunks. Dropped before it is adopted, it removes its file.
pub(crate) struct ObjectWriter {
    path: PathBuf,
    writer: Option<SparseWriter>,
    hasher: blake3::Hasher,
    length: u64,
}

impl ObjectWriter {
    pub(crate) fn write(&mut self, chunk: &[u8]) -> Result<(), CloneError> {
        self.hasher.update(chunk);
        self.length += chunk.len() as u64;
        match &mut self.writer {
            Some(writer) => writer.write(chunk).at("write", &self.path),
            None => Ok(()),
        }
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        if self.writer.is_some() {
            // Best effort: opening the store clears `tmp/` as well.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects() -> (tempfile::TempDir, Objects) {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path(), Steps::default()).unwrap();
        (dir, objects)
    }

    #[test]
    fn a_committed_object_reads_back() {
        let (_dir, objects) = objects();
        let mut staging = Staging::new(&objects);
        let digest = staging.put(b"keel").unwrap();
        assert_eq!(staging.put(b"keel").unwrap(), digest);
        assert_eq!(staging.bytes, 4);
        staging.commit().unwrap();
        assert_eq!(objects.read(&digest).unwrap(), b"keel");
        assert_eq!(objects.all().unwrap().len(), 1);
    }

    #[test]
    fn a_dropped_staging_leaves_nothing() {
        let (dir, objects) = objects();
        let mut staging = Staging::new(&objects);
        let digest = staging.put(b"keel").unwrap();
        let mut half = staging.writer(0).unwrap();
        half.write(b"half").unwrap();
        drop(half);
        drop(staging);
        assert!(!objects.contains(&digest));
        assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn a_changed_object_is_refused() {
        let (_dir, objects) = objects();
        let mut staging = Staging::new(&objects);
        let digest = staging.put(b"keel").unwrap();
        staging.commit().unwrap();
        fs::write(objects.path(&digest), b"kiel").unwrap();
        assert!(matches!(
            objects.read(&digest),
            Err(CloneError::Damaged { .. })
        ));
        fs::remove_file(objects.path(&digest)).unwrap();
        assert!(matches!(
            objects.read(&digest),
            Err(CloneError::MissingObject { .. })
        ));
    }

    #[test]
    fn zeros_become_holes_and_read_back_as_zeros() {
        use std::os::unix::fs::MetadataExt;
        let (_dir, objects) = objects();
        let mut staging = Staging::new(&objects);
        let zeros = vec![0; CHUNK_BYTES];
        let mut writer = staging.writer(0).unwrap();
        for chunk in [&zeros[..], b"middle", &zeros[..], &zeros[..]] {
            writer.write(chunk).unwrap();
        }
        let digest = staging.adopt(writer).unwrap();
        staging.commit().unwrap();
        let found = fs::metadata(objects.path(&digest)).unwrap();
        assert_eq!(found.len(), 3 * CHUNK_BYTES as u64 + 6);
        assert!(found.blocks() * 512 < CHUNK_BYTES as u64);
        assert_eq!(objects.read(&digest).unwrap().len() as u64, found.len());
    }

    #[test]
    fn a_delta_larger_than_the_disk_is_refused_before_writing() {
        let (dir, _objects) = objects();
        let error = ensure_space("store a file in", dir.path(), u64::MAX).unwrap_err();
        assert!(
            error.is_no_space() && error.to_string().contains("bytes short"),
            "{error}"
        );
    }
}
