/// Writes a composite key so that different keys have different bytes: each
/// part is a tag, its length as a little-endian `u64` where it varies, and
/// its bytes.
///
/// | Part | Tag | Then |
/// |---|---|---|
/// | [`text`](Self::text) | 1 | length, UTF-8 |
/// | [`bytes`](Self::bytes) | 2 | length, bytes |
/// | [`number`](Self::number) | 3 | `u64`, little-endian |
/// | [`signed`](Self::signed) | 4 | `i64`, little-endian, two's complement |
/// | [`wide`](Self::wide) | 5 | `u128`, little-endian |
/// | [`flag`](Self::flag) | 6 | 0 or 1 |
/// | [`absent`](Self::absent) | 7 | nothing |
///
/// A tag says how far its part reaches, so the bytes can be read in one way
/// only. The kind belongs to the key: the number 1 and the signed number 1
/// are different keys, as are a text and its bytes.
///
/// ```
/// use axiomatic_core::hash::Encoder;
/// let mut key = Encoder::new();
/// key.number(7).flag(true);
/// assert_eq!(key.as_bytes(), [3, 7, 0, 0, 0, 0, 0, 0, 0, 6, 1]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// An empty key.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty key with room for so many bytes: a text or bytes take nine
    /// more than they are long.
    pub fn with_capacity(bytes: usize) -> Self {
        Encoder(Vec::with_capacity(bytes))
    }

    /// Adds a text.
    pub fn text(&mut self, part: &str) -> &mut Self {
        self.long(1, part.as_bytes())
    }

    /// Adds bytes.
    pub fn bytes(&mut self, part: &[u8]) -> &mut Self {
        self.long(2, part)
    }

    /// Adds a number.
    pub fn number(&mut self, part: u64) -> &mut Self {
        self.part(3, &part.to_le_bytes())
    }

    /// Adds a number that may be negative.
    pub fn signed(&mut self, part: i64) -> &mut Self {
        self.part(4, &part.to_le_bytes())
    }

    /// Adds a number of 128 bits, such as a UUID or an IPv6 address.
    pub fn wide(&mut self, part: u128) -> &mut Self {
        self.part(5, &part.to_le_bytes())
    }

    /// Adds yes or no.
    pub fn flag(&mut self, part: bool) -> &mut Self {
        self.part(6, &[u8::from(part)])
    }

    /// Adds that an optional part is not there, which is another key than an
    /// empty text or a zero.
    pub fn absent(&mut self) -> &mut Self {
        self.part(7, &[])
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Empties it for the next key, keeping its memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn part(&mut self, tag: u8, bytes: &[u8]) -> &mut Self {
        self.0.push(tag);
        self.0.extend_from_slice(bytes);
        self
    }

    fn long(&mut self, tag: u8, bytes: &[u8]) -> &mut Self {
        let length = (bytes.len() as u64).to_le_bytes();
        self.part(tag, &length).0.extend_from_slice(bytes);
        self
    }
}
