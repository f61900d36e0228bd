use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::parse::whole_lines;

/// A file of the kernel's that is read again and again: it is kept open, so
/// that a reading needs no path to be walked, and opened again once reading
/// failed. On an EPYC, two levels of cgroups in plain files took 14 us for the
/// processors and 21 us for memory, `/proc/stat` of two processors 23 us.
pub(super) struct Kept {
    path: PathBuf,
    file: Option<File>,
}

/// What files are read into: once a signal, so that reading allocates nothing.
/// What a file has beyond it is not needed: memory.stat has what is asked for
/// in its first kilobyte, and /proc/stat the first two hundred processors.
pub(super) type Buffer = Box<[u8; 16_384]>;

pub(super) fn buffer() -> Buffer {
    Box::new([0; 16_384])
}

impl Kept {
    pub(super) fn at(path: PathBuf) -> Self {
        Kept { path, file: None }
    }

    pub(super) fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// Its content from the beginning, as far as the buffer goes, by what a
    /// parser makes of it.
    pub(super) fn read<T>(
        &mut self,
        buffer: &mut Buffer,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> io::Result<T> {
        let read = self.fill(buffer).and_then(|length| {
            let whole = whole_lines(&buffer[..length], length == buffer.len());
            parse(whole).ok_or_else(|| io::ErrorKind::InvalidData.into())
        });
        if read.is_err() {
            self.file = None;
        }
        read
    }

    fn fill(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => {
                file.seek(SeekFrom::Start(0))?;
                file
            }
            None => self.file.insert(File::open(&self.path)?),
        };
        let mut length = 0;
        while length < buffer.len() {
            match file.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(length)
    }
}
