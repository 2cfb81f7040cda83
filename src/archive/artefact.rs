//! The compressed file: a database as one zstd frame with a checksum, encrypted with `age` if there are
//! recipients. Packing and unpacking are streams, so memory does not grow with the database.

use super::keys::{self, Identities, Recipients};
use super::manifest::{Checksum, hex};
use super::throttle::{Stage, Throttle};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes read, hashed and written at a time.
const CHUNK: usize = 256 * 1024;

/// The file is synced after this many bytes, so that each sync is short: one large sync would hold up
/// the commits of a store on the same disk.
const SYNC_EVERY: u64 = 8 << 20;

/// Counts and hashes the bytes that pass through it.
struct Hashed<F> {
    file: F,
    bytes: u64,
    synced: u64,
    hash: Sha256,
}

impl<F> Hashed<F> {
    fn new(file: F) -> Self {
        Self {
            file,
            bytes: 0,
            synced: 0,
            hash: Sha256::new(),
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    fn checksum(self) -> Checksum {
        Checksum {
            bytes: self.bytes,
            sha256: hex(&self.hash.finalize()),
        }
    }
}

impl Write for Hashed<File> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.note(&bytes[..written]);
        if self.bytes - self.synced >= SYNC_EVERY {
            self.synced = self.bytes;
            self.file.sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.note(&buffer[..read]);
        Ok(read)
    }
}

/// Compresses the database at `from` into the file `to`, encrypts it if there are recipients, and syncs
/// it. Returns the checksums of the database and of the file.
pub(super) fn pack(
    from: &Path,
    to: File,
    level: i32,
    recipients: &Recipients,
    pacer: &Throttle,
) -> Result<(Checksum, Checksum)> {
    let failed = |e| Error::io("the backup could not be written", e);
    let (source, total) = open(from)?;
    let mut source = Hashed::new(source);
    let mut file = Hashed::new(to);
    let sealed = keys::seal(recipients, &mut file)?;
    let mut frame = zstd::Encoder::new(sealed, level).map_err(failed)?;
    frame.include_checksum(true).map_err(failed)?;
    frame.set_pledged_src_size(Some(total)).map_err(failed)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = source.read(&mut chunk).map_err(failed)?;
        if read == 0 {
            break;
        }
        frame.write_all(&chunk[..read]).map_err(failed)?;
        pacer.step(Stage::Pack, source.bytes, total)?;
    }
    let finished = frame.finish().and_then(keys::Sealed::finish);
    finished.map_err(failed)?;
    file.file.sync_all().map_err(failed)?;
    Ok((source.checksum(), file.checksum()))
}

/// How the compressed file is protected.
#[derive(Clone, Copy)]
pub(super) enum Lock<'a> {
    Clear,
    Age(&'a Identities),
}

/// Reads the file at `from` back into the database `to`, up to `expected` bytes. Returns the checksums
/// of the database and of the file.
///
/// # Errors
/// [`BadBackup`](ErrorKind::BadBackup) when the file cannot be decrypted or decompressed, or holds more
/// than `expected` bytes; [`WrongKey`](ErrorKind::WrongKey) when no identity fits.
pub(super) fn unpack(
    from: &Path,
    to: File,
    expected: u64,
    lock: Lock<'_>,
    pacer: &Throttle,
) -> Result<(Checksum, Checksum)> {
    let (source, _) = open(from)?;
    let mut source = Hashed::new(source);
    let opened: Box<dyn Read + '_> = match lock {
        Lock::Clear => Box::new(&mut source),
        Lock::Age(identities) => keys::open(identities, &mut source)?,
    };
    let mut frame = zstd::Decoder::new(opened).map_err(damaged)?;
    let mut target = Hashed::new(to);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = frame.read(&mut chunk).map_err(damaged)?;
        if read == 0 {
            break;
        }
        if target.bytes + read as u64 > expected {
            let why = "it is larger than its manifest says";
            return Err(Error::new(ErrorKind::BadBackup, why));
        }
        target
            .write_all(&chunk[..read])
            .map_err(|e| Error::io("the unpacked database could not be written", e))?;
        pacer.step(Stage::Unpack, target.bytes, expected)?;
    }
    target
        .file
        .sync_all()
        .map_err(|e| Error::io("the unpacked database could not be synced", e))?;
    drop(frame);
    // Bytes after the end of the frame belong to the checksum of the file.
    io::copy(&mut source, &mut io::sink()).map_err(damaged)?;
    Ok((target.checksum(), source.checksum()))
}

/// A file, up to its present length: a file that another process keeps appending to would never end.
fn open(path: &Path) -> Result<(impl Read + use<>, u64)> {
    let failed = |e| files::cannot("read", path, e);
    let file = files::open(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let length = file.metadata().map_err(failed)?.len();
    Ok((file.take(length), length))
}

/// Returns the length of a file and its SHA-256.
pub(super) fn checksum(file: File) -> io::Result<Checksum> {
    let length = file.metadata()?.len();
    let mut file = Hashed::new(file.take(length));
    io::copy(&mut file, &mut io::sink())?;
    Ok(file.checksum())
}

fn damaged(error: io::Error) -> Error {
    match error.kind() {
        // An error of the disk does not make the backup a bad one.
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::new(
                ErrorKind::BadBackup,
                format!("it cannot be read back: {error}"),
            )
        }
        _ if error.raw_os_error().is_some() => Error::io("the backup could not be read", error),
        _ => Error::new(
            ErrorKind::BadBackup,
            format!("it cannot be read back: {error}"),
        ),
    }
}
