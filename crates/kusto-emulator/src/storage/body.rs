//! Bodies of blobs: in memory as the network delivered them, or in files of the data directory; never copied in between.
//!
//! A body is a list of segments: one for a blob put at once, one per block otherwise, so that a block list is committed
//! without touching its bytes. A segment's file is removed when nothing refers to it any more, readers included.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::files;

/// Bytes read from a file at a time.
const READ_BYTES: usize = 256 * 1024;

/// Where new bodies go.
#[derive(Debug)]
enum Kind {
    /// Nowhere: counted and dropped.
    Dropped,
    Memory,
    /// Files in this directory, named by a number that only grows.
    Files {
        directory: PathBuf,
        next: AtomicU64,
    },
}

/// Takes new bodies, up to a limit of bytes that exist at a time.
#[derive(Debug)]
pub(crate) struct Bodies {
    kind: Kind,
    held: Arc<AtomicU64>,
    limit: u64,
}

impl Bodies {
    fn new(kind: Kind, limit: u64) -> Self {
        Self { kind, held: Arc::default(), limit }
    }

    /// Counts and drops.
    pub(crate) fn dropped() -> Self {
        Self::new(Kind::Dropped, u64::MAX)
    }

    pub(crate) fn memory(limit: u64) -> Self {
        Self::new(Kind::Memory, limit)
    }

    /// Files in `directory`, named from `next` on.
    pub(crate) fn files(directory: &Path, next: u64, limit: u64) -> Self {
        Self::new(Kind::Files { directory: directory.to_owned(), next: AtomicU64::new(next) }, limit)
    }

    /// Starts a new segment.
    pub(crate) fn writer(&self) -> io::Result<SegmentWriter> {
        let sink = match &self.kind {
            Kind::Dropped => Sink::Dropped,
            Kind::Memory => Sink::Memory(Vec::new()),
            Kind::Files { directory, next } => {
                let path = directory.join(format!("{:016x}", next.fetch_add(1, Ordering::Relaxed)));
                let file = files::private().write(true).create_new(true).open(&path)?;
                let (chunks, rest) = mpsc::channel(16);
                let task = tokio::task::spawn_blocking(|| drain(file, rest));
                // Doomed until it is finished: an upload that breaks off leaves nothing.
                Sink::File { path: DoomedPath { path, doomed: AtomicBool::new(true) }, chunks, task }
            }
        };
        Ok(SegmentWriter { sink, charge: self.charge(0), limit: self.limit })
    }

    /// A segment that an earlier start wrote.
    pub(crate) fn reopen(&self, name: &str, length: u64) -> Segment {
        let Kind::Files { directory, .. } = &self.kind else {
            return Segment { length, store: Store::Dropped };
        };
        let path = DoomedPath { path: directory.join(name), doomed: AtomicBool::new(false) };
        Segment { length, store: Store::File(Arc::new(FileSegment { path, _charge: self.charge(length) })) }
    }

    fn charge(&self, bytes: u64) -> Charge {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Charge { bytes, held: Arc::clone(&self.held) }
    }
}

/// Bytes that count against the limit as long as this lives.
#[derive(Debug)]
struct Charge {
    bytes: u64,
    held: Arc<AtomicU64>,
}

impl Charge {
    /// Counts more; false if that is beyond `limit`.
    fn add(&mut self, bytes: u64, limit: u64) -> bool {
        self.bytes += bytes;
        self.held.fetch_add(bytes, Ordering::Relaxed) + bytes <= limit
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn drain(mut sink: File, mut chunks: mpsc::Receiver<Bytes>) -> io::Result<()> {
    while let Some(chunk) = chunks.blocking_recv() {
        sink.write_all(&chunk)?;
    }
    Ok(())
}

#[derive(Debug)]
enum Sink {
    Dropped,
    Memory(Vec<Bytes>),
    File { path: DoomedPath, chunks: mpsc::Sender<Bytes>, task: JoinHandle<io::Result<()>> },
}

/// A segment under way.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    sink: Sink,
    charge: Charge,
    limit: u64,
}

impl SegmentWriter {
    /// Adds a chunk; waits while the disk is behind.
    ///
    /// # Errors
    /// `StorageFull` beyond the limit.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        if !self.charge.add(chunk.len() as u64, self.limit) {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("its limit is {} bytes", self.limit),
            ));
        }
        match &mut self.sink {
            Sink::Dropped => {}
            Sink::Memory(chunks) => chunks.push(chunk),
            // A closed channel means that the disk failed; `finish` says how.
            Sink::File { chunks, .. } => drop(chunks.send(chunk).await),
        }
        Ok(())
    }

    /// All bytes are with the operating system when this returns.
    pub(crate) async fn finish(self) -> io::Result<Segment> {
        let length = self.charge.bytes;
        let store = match self.sink {
            Sink::Dropped => Store::Dropped,
            Sink::Memory(chunks) => Store::Memory(Arc::new(MemorySegment { chunks, _charge: self.charge })),
            Sink::File { path, chunks, task } => {
                drop(chunks);
                task.await.map_err(io::Error::other)??;
                path.doomed.store(false, Ordering::Release);
                Store::File(Arc::new(FileSegment { path, _charge: self.charge }))
            }
        };
        Ok(Segment { length, store })
    }
}

/// A path whose file goes with it once it is doomed.
#[derive(Debug)]
struct DoomedPath {
    path: PathBuf,
    doomed: AtomicBool,
}

impl Drop for DoomedPath {
    fn drop(&mut self) {
        if self.doomed.load(Ordering::Acquire)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "a body's file was not removed");
        }
    }
}

#[derive(Debug)]
struct FileSegment {
    path: DoomedPath,
    _charge: Charge,
}

#[derive(Debug)]
struct MemorySegment {
    chunks: Vec<Bytes>,
    _charge: Charge,
}

#[derive(Debug, Clone)]
enum Store {
    Dropped,
    Memory(Arc<MemorySegment>),
    File(Arc<FileSegment>),
}

/// Finished bytes.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) length: u64,
    store: Store,
}

impl Segment {
    /// The name of its file, for the journal.
    pub(crate) fn file_name(&self) -> Option<String> {
        match &self.store {
            Store::File(file) => file.path.path.file_name().map(|name| name.to_string_lossy().into_owned()),
            Store::Dropped | Store::Memory(_) => None,
        }
    }

    /// Nothing refers to the bytes any more: they go when the last reader has gone.
    pub(crate) fn doom(&self) {
        if let Store::File(file) = &self.store {
            file.path.doomed.store(true, Ordering::Release);
        }
    }

    fn stream(self, from: u64, length: u64) -> BoxStream<'static, io::Result<Bytes>> {
        match self.store {
            Store::Dropped => stream::once(async { Err(io::Error::other("the body was dropped")) }).boxed(),
            Store::Memory(memory) => {
                stream::iter(cut(&memory.chunks, from, length).into_iter().map(Ok)).boxed()
            }
            Store::File(file) => file_stream(file, from, length).boxed(),
        }
    }
}

/// The given range of a chunk list; shares the memory.
fn cut(chunks: &[Bytes], mut from: u64, mut length: u64) -> Vec<Bytes> {
    let mut cut = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let size = chunk.len() as u64;
        if length > 0 && from < size {
            let end = size.min(from + length);
            cut.push(chunk.slice(from as usize..end as usize));
            length -= end - from;
        }
        from = from.saturating_sub(size);
    }
    cut
}

fn file_stream(
    file: Arc<FileSegment>,
    from: u64,
    length: u64,
) -> impl futures::Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((file, None::<File>, from, length), |(segment, open, at, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = move || -> io::Result<(Arc<FileSegment>, File, Bytes)> {
            let mut file = match open {
                Some(file) => file,
                None => {
                    let mut file = File::open(&segment.path.path)?;
                    file.seek(SeekFrom::Start(at))?;
                    file
                }
            };
            let mut chunk = vec![0; READ_BYTES.min(left as usize)];
            file.read_exact(&mut chunk)?;
            Ok((segment, file, chunk.into()))
        };
        let (segment, file, chunk) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        let read = chunk.len() as u64;
        Ok(Some((chunk, (segment, Some(file), at + read, left - read))))
    })
}

/// The bytes of a blob.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body {
    pub(crate) segments: Vec<Segment>,
}

impl Body {
    /// In bytes.
    pub(crate) fn length(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// `length` bytes from `from` on, in order. The range lies within the body.
    pub(crate) fn stream(
        self,
        from: u64,
        length: u64,
    ) -> impl futures::Stream<Item = io::Result<Bytes>> + Send {
        let (mut skip, mut left) = (from, length);
        let parts = self.segments.into_iter().filter_map(move |segment| {
            let start = skip.min(segment.length);
            let take = left.min(segment.length - start);
            skip -= start;
            left -= take;
            (take > 0).then(|| segment.stream(start, take))
        });
        stream::iter(parts).flatten()
    }

    /// The bytes for a thread that may block.
    pub(crate) fn reader(self) -> BodyReader {
        BodyReader {
            segments: self.segments.into_iter(),
            parts: Vec::new().into_iter(),
            chunk: Bytes::new(),
            file: None,
        }
    }
}

/// Reads a body from beginning to end; files are opened when they are reached.
#[derive(Debug)]
pub(crate) struct BodyReader {
    segments: std::vec::IntoIter<Segment>,
    parts: std::vec::IntoIter<Bytes>,
    chunk: Bytes,
    file: Option<(File, Arc<FileSegment>)>,
}

impl BodyReader {
    /// Goes to the next segment; false at the end.
    fn next_segment(&mut self) -> io::Result<bool> {
        let Some(segment) = self.segments.next() else { return Ok(false) };
        match segment.store {
            Store::Dropped => return Err(io::Error::other("the body was dropped")),
            Store::Memory(memory) => self.parts = memory.chunks.clone().into_iter(),
            Store::File(segment) => self.file = Some((File::open(&segment.path.path)?, segment)),
        }
        Ok(true)
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.chunk.is_empty() {
                let count = buffer.len().min(self.chunk.len());
                buffer[..count].copy_from_slice(&self.chunk.split_to(count));
                return Ok(count);
            }
            if let Some((file, _)) = &mut self.file {
                match file.read(buffer)? {
                    0 => self.file = None,
                    count => return Ok(count),
                }
            } else if let Some(chunk) = self.parts.next() {
                self.chunk = chunk;
            } else if !self.next_segment()? {
                return Ok(0);
            }
        }
    }
}
