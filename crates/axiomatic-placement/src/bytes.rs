//! Stored forms, byte by byte: little-endian, of fixed widths, and read with
//! strict bounds.

/// Appends to what is to be stored.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Bytes whose number the reader knows.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes, after their number as a `u32`; `None` if it does not fit.
    pub(crate) fn counted(&mut self, bytes: &[u8]) -> Option<&mut Self> {
        let len = u32::try_from(bytes.len()).ok()?;
        Some(self.u32(len).raw(bytes))
    }

    /// Writes over four bytes written before.
    ///
    /// # Panics
    ///
    /// If there are none at that place.
    pub(crate) fn patch_u32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What ended too soon.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Truncated;

/// Takes from what was stored, from the front, and allocates nothing.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// How many bytes there still are.
    pub(crate) fn remaining(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next bytes, so many.
    pub(crate) fn raw(&mut self, len: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Bytes after their number.
    pub(crate) fn counted(&mut self) -> Result<&'a [u8], Truncated> {
        let len = self.u32()?;
        self.raw(usize::try_from(len).map_err(|_| Truncated)?)
    }

    /// How many items follow, of so many bytes each at the least: no more than
    /// there are bytes for, so that it is safe to make room for them.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, Truncated> {
        let count = usize::try_from(self.u32()?).map_err(|_| Truncated)?;
        let needed = count.checked_mul(least).ok_or(Truncated)?;
        (needed <= self.0.len()).then_some(count).ok_or(Truncated)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_every_prefix_ends_too_soon() {
        let mut writer = Writer::default();
        writer.u8(1).u16(0x0203).u32(4).u64(5).raw(b"six");
        assert!(writer.counted(b"seven").is_some());
        writer.patch_u32(3, 0x0408_0a0b);
        assert_eq!(writer.as_bytes()[..7], [1, 3, 2, 0x0b, 0x0a, 8, 4]);
        let bytes = writer.into_bytes();
        let read = |bytes| -> Result<_, Truncated> {
            let mut reader = Reader::new(bytes);
            let numbers = (reader.u8()?, reader.u16()?, reader.u32()?, reader.u64()?);
            Ok((
                numbers,
                reader.raw(3)?,
                reader.counted()?,
                reader.remaining(),
            ))
        };
        let whole: (_, &[u8], &[u8], _) = ((1, 0x0203, 0x0408_0a0b, 5), b"six", b"seven", 0);
        assert_eq!(read(&bytes), Ok(whole));
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), Err(Truncated), "{len}");
        }
    }

    #[test]
    fn a_count_is_believed_only_if_there_are_bytes_for_it() {
        let count = |bytes: &[u8], least| Reader::new(bytes).count(least);
        assert_eq!(count(&[2, 0, 0, 0, 9, 9], 1), Ok(2));
        assert_eq!(count(&[2, 0, 0, 0, 9, 9], 2), Err(Truncated));
        assert_eq!(count(&[255, 255, 255, 255], usize::MAX), Err(Truncated));
    }
}
