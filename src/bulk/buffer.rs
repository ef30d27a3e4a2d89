//! The bytes of a file, unpacked, through a window that never grows beyond a line.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Input;

/// Longest line, or entry of a document, in bytes.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// How much is asked of the source at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// What a file begins with that has to be unpacked.
#[derive(Debug, Clone, Copy)]
enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    fn of(magic: &[u8]) -> Option<Packing> {
        match magic {
            [0x1f, 0x8b, ..] => Some(Packing::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd] => Some(Packing::Zstd),
            // A file of several frames may begin with one that holds no data.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Some(Packing::Zstd),
            _ => None,
        }
    }
}

/// A window on the unpacked bytes of a file: `bytes[start..end]` has been read and not yet been consumed. What was
/// consumed stays where it is until the next time that something is read.
pub(super) struct Buffer {
    source: Source,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// The place of `bytes[start]` in the unpacked file.
    offset: u64,
    is_over: bool,
    is_packed: bool,
}

enum Source {
    /// A file as it is, which can be sought.
    File(File),
    /// Anything else.
    Stream(Box<dyn Read + Send>),
}

/// What a search for the end of a line found; lengths are counted from the window's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// A line of so many bytes, and how many belong to it with its newline.
    At { content: usize, whole: usize },
    /// No newline as far as a line may go.
    TooLong,
    /// Nothing more.
    End,
}

impl Buffer {
    /// Opens an input, whatever it is packed with. The counter is told how many bytes were taken from it, as packed.
    pub(super) fn open(input: &Input, read: &Arc<AtomicU64>) -> io::Result<Buffer> {
        let raw: Box<dyn Read + Send> = if input.is_stdin() {
            Box::new(io::stdin())
        } else {
            let mut file = File::open(&input.path)?;
            if file.metadata()?.is_file() {
                let mut magic = Vec::with_capacity(4);
                (&file).take(4).read_to_end(&mut magic)?;
                file.seek(SeekFrom::Start(0))?;
                if Packing::of(&magic).is_none() {
                    return Ok(Buffer::new(Source::File(file), false));
                }
            }
            Box::new(file)
        };
        Buffer::over(raw, read)
    }

    /// Reads what cannot be sought.
    pub(super) fn over(mut raw: Box<dyn Read + Send>, read: &Arc<AtomicU64>) -> io::Result<Buffer> {
        let mut magic = Vec::with_capacity(4);
        raw.by_ref().take(4).read_to_end(&mut magic)?;
        let packing = Packing::of(&magic);
        let packed = Counting { source: io::Cursor::new(magic).chain(raw), read: read.clone() };
        let source = Source::Stream(match packing {
            None => Box::new(packed),
            Some(Packing::Gzip) => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            Some(Packing::Zstd) => Box::new(zstd::stream::read::Decoder::new(packed)?),
        });
        Ok(Buffer::new(source, packing.is_some()))
    }

    fn new(source: Source, is_packed: bool) -> Buffer {
        Buffer { source, bytes: Vec::new(), start: 0, end: 0, offset: 0, is_over: false, is_packed }
    }

    /// Whether it is read as it is, so that [`offset`](Buffer::offset) says how much of it has been read.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// Whether it is unpacked on the way.
    pub(super) fn is_packed(&self) -> bool {
        self.is_packed
    }

    /// What has been read and not been consumed.
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The place in the unpacked file of what comes next.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Some bytes by their places in the window: those just consumed, too.
    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Consumes some bytes and says where they are.
    pub(super) fn consume(&mut self, bytes: usize) -> Range<usize> {
        let from = self.start;
        self.start = self.end.min(from + bytes);
        self.offset += (self.start - from) as u64;
        from..self.start
    }

    /// Reads on; `false` at the end. What is unread stays, and moves to the front.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        if self.is_over {
            return Ok(false);
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() < self.end + CHUNK_BYTES {
            self.bytes.resize(self.end + CHUNK_BYTES, 0);
        }
        let room = &mut self.bytes[self.end..];
        let bytes = loop {
            let read = match &mut self.source {
                Source::File(file) => file.read(room),
                Source::Stream(stream) => stream.read(room),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += bytes;
        self.is_over = bytes == 0;
        Ok(bytes > 0)
    }

    /// Reads on until so many bytes are unread; `false` if there are not that many.
    pub(super) fn fill_to(&mut self, bytes: usize) -> io::Result<bool> {
        while self.unread().len() < bytes {
            if !self.fill()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Finds the end of a line, looking from so many bytes behind the window's start.
    pub(super) fn line_end(&mut self, from: usize) -> io::Result<LineEnd> {
        let mut searched = from;
        loop {
            let unread = self.unread();
            if let Some(at) = memchr::memchr(b'\n', &unread[searched..]) {
                let content = searched + at;
                if content > LINE_BYTES_MAX {
                    return Ok(LineEnd::TooLong);
                }
                let carriage_return = content > from && unread[content - 1] == b'\r';
                return Ok(LineEnd::At {
                    content: content - usize::from(carriage_return),
                    whole: content + 1,
                });
            }
            searched = unread.len();
            if searched > LINE_BYTES_MAX {
                return Ok(LineEnd::TooLong);
            }
            if !self.fill()? {
                let content = self.unread().len();
                if content == from {
                    return Ok(LineEnd::End);
                }
                let carriage_return = self.unread()[content - 1] == b'\r';
                return Ok(LineEnd::At { content: content - usize::from(carriage_return), whole: content });
            }
        }
    }

    /// Consumes the rest of a line, however long, with its newline.
    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', self.unread()) {
                self.consume(at + 1);
                return Ok(());
            }
            self.consume(self.unread().len());
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Goes on at a place behind this one; `false` if the file does not reach there.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<bool> {
        let within = offset.saturating_sub(self.offset);
        if within <= self.unread().len() as u64 {
            self.consume(within as usize);
            return Ok(true);
        }
        if let Source::File(file) = &mut self.source {
            if file.metadata()?.len() < offset {
                return Ok(false);
            }
            file.seek(SeekFrom::Start(offset))?;
            (self.start, self.end, self.offset) = (0, 0, offset);
            return Ok(true);
        }
        while self.offset < offset {
            let unread = self.unread().len() as u64;
            self.consume(unread.min(offset - self.offset) as usize);
            if self.offset < offset && !self.fill()? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Counts what goes through.
struct Counting<R> {
    source: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.source.read(buffer)?;
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}
