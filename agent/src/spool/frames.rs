//! Frames: length, checksum, payload. A frame that is cut or damaged is not one.
//!
//! The highest bit of the length says that the frame begins anew: it can be understood without those before it.

/// Largest payload: [`super::MAX_SAMPLES`] raw values and their series fit well.
pub(super) const MAX_PAYLOAD_BYTES: usize = 16 * 1024 * 1024;
/// Length and checksum.
pub(super) const HEAD_BYTES: usize = 8;

/// Reserves the head of a frame in an empty buffer; the payload is appended behind it.
pub(super) fn begin(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&[0; HEAD_BYTES]);
}

/// Bit of the length of a frame that begins anew.
const ANEW: u32 = 1 << 31;
/// Least bytes of a payload: time, count, series, shape.
const MIN_PAYLOAD_BYTES: usize = 4;

/// What a head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) checksum: u32,
    pub(super) anew: bool,
}

/// Fills in the head.
pub(super) fn end(buffer: &mut [u8], anew: bool) {
    let Some((head, payload)) = buffer.split_at_mut_checked(HEAD_BYTES) else { return };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let length = if anew { length | ANEW } else { length };
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
}

/// The head, if its length is possible.
pub(super) fn parse_head(head: [u8; HEAD_BYTES]) -> Option<Head> {
    let [a, b, c, d, e, f, g, h] = head;
    let told = u32::from_le_bytes([a, b, c, d]);
    let length = usize::try_from(told & !ANEW).ok()?;
    let checksum = u32::from_le_bytes([e, f, g, h]);
    (length <= MAX_PAYLOAD_BYTES).then_some(Head { length, checksum, anew: told & ANEW != 0 })
}

/// The whole frame that these bytes begin with, if any: whether it begins anew, and its payload.
pub(super) fn parse(bytes: &[u8]) -> Option<(bool, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let head = parse_head(*head)?;
    let payload = rest.get(..head.length).filter(|payload| payload.len() >= MIN_PAYLOAD_BYTES)?;
    (crc32fast::hash(payload) == head.checksum).then_some((head.anew, payload))
}
