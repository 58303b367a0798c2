//! Frames: four bytes of length, big-endian, and then that many bytes of JSON.
//!
//! Invariant: memory follows what has arrived, never what a length promises.

use std::io;

use serde::Serialize;

/// The largest frame, in bytes: a chart with its subcharts travels in one, and encoded the largest that people keep are a tenth
/// of it.
pub(crate) const FRAME_BYTES_MAX: usize = 96 * 1024 * 1024;
/// The length before a frame, in bytes.
const HEADER_BYTES: usize = 4;
/// Up to which room, in bytes, a buffer is kept for the next frame: most frames are smaller, and a large one is rare.
const ROOM_BYTES: usize = 256 * 1024;

/// A frame would be, or claims to be, larger than [`FRAME_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// What has arrived and is not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
}

// === impl Frames ===

impl Frames {
    /// Takes up what has arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The content of the next frame, if all of it has arrived.
    pub(crate) fn take(&mut self) -> Result<Option<Vec<u8>>, TooLarge> {
        let Some(end) = self.end()?.filter(|end| *end <= self.bytes.len()) else { return Ok(None) };
        let rest = self.bytes.split_off(end);
        let mut frame = std::mem::replace(&mut self.bytes, rest);
        frame.drain(..HEADER_BYTES);
        if frame.len() < ROOM_BYTES {
            frame.shrink_to_fit();
        }
        Ok(Some(frame))
    }

    /// Whether a whole frame has arrived, or the beginning of one that is too large: nothing more need be read.
    pub(crate) fn is_full(&self) -> bool {
        self.end().map_or(true, |end| end.is_some_and(|end| end <= self.bytes.len()))
    }

    /// Whether nothing has arrived that was not taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Where the next frame ends, if its length has arrived.
    fn end(&self) -> Result<Option<usize>, TooLarge> {
        let Some(header) = self.bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*header)).map_err(|_| TooLarge)?;
        if length > FRAME_BYTES_MAX { Err(TooLarge) } else { Ok(Some(HEADER_BYTES + length)) }
    }
}

/// A message as a frame.
pub(crate) fn frame(message: &impl Serialize) -> Result<Vec<u8>, TooLarge> {
    frame_within(message, FRAME_BYTES_MAX)
}

fn frame_within(message: &impl Serialize, bytes_max: usize) -> Result<Vec<u8>, TooLarge> {
    let mut bounded = Bounded { bytes: vec![0; HEADER_BYTES], bytes_max };
    // Our own messages can fail in no other way.
    serde_json::to_writer(&mut bounded, message).map_err(|_| TooLarge)?;
    let mut bytes = bounded.bytes;
    let length = u32::try_from(bytes.len() - HEADER_BYTES).map_err(|_| TooLarge)?;
    if let Some(header) = bytes.first_chunk_mut::<HEADER_BYTES>() {
        *header = length.to_be_bytes();
    }
    Ok(bytes)
}

/// Takes no more content than that.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > HEADER_BYTES + self.bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_that_is_too_large_is_known_before_anything_follows() {
        let mut frames = Frames::default();
        frames.push(&[0xff, 0xff, 0xff]);
        assert_eq!((frames.take(), frames.is_full()), (Ok(None), false));
        frames.push(&[0xff]);
        assert_eq!((frames.take(), frames.is_full()), (Err(TooLarge), true));
    }

    #[test]
    fn a_message_that_no_frame_can_hold_is_none() {
        assert_eq!(frame_within(&"abc", 5), Ok(b"\0\0\0\x05\"abc\"".to_vec()));
        assert_eq!(frame_within(&"abcd", 5), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn what_is_said_is_heard_however_it_is_cut(
            texts in vec(".{0,40}", 0..6),
            cut in 1_usize..30,
        ) {
            let said: Vec<u8> = texts.iter().flat_map(|text| frame(text).unwrap()).collect();
            let (mut frames, mut heard) = (Frames::default(), Vec::new());
            for part in said.chunks(cut) {
                frames.push(part);
                while let Some(frame) = frames.take().unwrap() {
                    heard.push(serde_json::from_slice::<String>(&frame).unwrap());
                }
            }
            prop_assert_eq!(heard, texts);
            prop_assert!(frames.is_empty());
        }

        #[test]
        fn arbitrary_bytes_are_frames_or_an_error(parts in vec(vec(any::<u8>(), 0..20), 0..20)) {
            let (mut frames, mut taken, mut pushed) = (Frames::default(), 0, 0);
            for part in parts {
                frames.push(&part);
                pushed += part.len();
                while let Ok(Some(frame)) = frames.take() {
                    taken += HEADER_BYTES + frame.len();
                }
            }
            prop_assert!(taken <= pushed);
        }
    }
}
