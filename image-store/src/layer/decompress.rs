//! Decompression by what the bytes are: gzip (several members too), zstd (several and skippable frames too), or plain.
//!
//! The media type is not asked, because registries are full of layers that it lies about. Memory is bounded by the
//! window of the format.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The stream with the bytes that were looked at put back.
type Whole<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

/// Reads the uncompressed bytes of a layer.
pub(crate) enum Decompressor<R: Read> {
    Plain(Whole<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Whole<R>>>>),
    Zstd(Box<Frames<BufReader<Whole<R>>>>),
}

impl<R: Read> Decompressor<R> {
    pub(crate) fn new(mut source: R) -> io::Result<Self> {
        let mut start = Vec::with_capacity(4);
        (&mut source).take(4).read_to_end(&mut start)?;
        let (gzip, zstd) = (start.starts_with(&GZIP), start == ZSTD || is_skippable(&start));
        let whole = io::Cursor::new(start).chain(source);
        Ok(if gzip {
            Self::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 << 10, whole))))
        } else if zstd {
            Self::Zstd(Box::new(Frames {
                source: BufReader::with_capacity(64 << 10, whole),
                decoder: FrameDecoder::new(),
                within: false,
            }))
        } else {
            Self::Plain(whole)
        })
    }
}

impl<R: Read> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.read(buffer),
            Self::Gzip(inner) => inner.read(buffer),
            Self::Zstd(inner) => inner.read(buffer),
        }
    }
}

fn is_skippable(start: &[u8]) -> bool {
    start.len() == 4 && start[0] & 0xf0 == 0x50 && start[1..] == [0x2a, 0x4d, 0x18]
}

/// Zstd frames one after the other.
pub(crate) struct Frames<R: BufRead> {
    source: R,
    decoder: FrameDecoder,
    within: bool,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if self.within && !self.decoder.is_finished() {
                let step = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, step).map_err(|error| bad(&error))?;
            } else if self.source.fill_buf()?.is_empty() {
                return Ok(0);
            } else {
                self.within = self.open_frame()?;
            }
        }
    }
}

impl<R: BufRead> Frames<R> {
    /// Begins the next frame, or skips it when it is one to be skipped.
    fn open_frame(&mut self) -> io::Result<bool> {
        match self.decoder.init(&mut self.source) {
            Ok(()) => Ok(true),
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let skipped = io::copy(&mut (&mut self.source).take(u64::from(length)), &mut io::sink())?;
                if skipped < u64::from(length) { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(false) }
            }
            Err(error) => Err(bad(&error)),
        }
    }
}

fn bad(error: &FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
