//! Frames: length, checksum, payload. A frame that is cut or damaged is not one.

/// Largest payload: [`super::MAX_SAMPLES`] raw values and their series fit well.
pub(super) const MAX_PAYLOAD_BYTES: usize = 16 * 1024 * 1024;
/// Length and checksum.
pub(super) const HEAD_BYTES: usize = 8;

/// Reserves the head of a frame in an empty buffer; the payload is appended behind it.
pub(super) fn begin(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&[0; HEAD_BYTES]);
}

/// Fills in the head.
pub(super) fn end(buffer: &mut [u8]) {
    let Some((head, payload)) = buffer.split_at_mut_checked(HEAD_BYTES) else { return };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
}

/// Length of the payload and its checksum, if the length is possible.
pub(super) fn parse_head(head: [u8; HEAD_BYTES]) -> Option<(usize, u32)> {
    let [a, b, c, d, e, f, g, h] = head;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
    (length <= MAX_PAYLOAD_BYTES).then_some((length, u32::from_le_bytes([e, f, g, h])))
}
