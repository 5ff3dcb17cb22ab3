//! The little of the protobuf encoding that error details need: writing strings and numbers.
//!
//! A crate for it would bring a code generator, and a feature for it would change what gRPC clients
//! see. The tests read back what is written here with the crate that gRPC programs use.

/// A message in the making. Fields with default values are left out, as they have to be.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

/// Length-delimited fields.
const BYTES: u64 = 2;
/// Numbers of variable length.
const VARINT: u64 = 0;

impl Message {
    /// Adds a number.
    pub(super) fn number(mut self, field: u64, value: u64) -> Self {
        if value != 0 {
            self.varint(field << 3 | VARINT);
            self.varint(value);
        }
        self
    }

    /// Adds a text.
    pub(super) fn text(self, field: u64, value: &str) -> Self {
        if value.is_empty() { self } else { self.bytes(field, value.as_bytes()) }
    }

    /// Adds a message, also an empty one.
    pub(super) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// The encoding.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | BYTES);
        self.varint(u64::try_from(value.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.0.push(low & 0x7f);
                return;
            }
            self.0.push(low | 0x80);
        }
    }
}
