//! Pkt-lines: how the Git protocol cuts a byte stream into packets (git's `gitprotocol-common`).
//!
//! Four hexadecimal digits give the length of a packet including themselves; 0, 1 and 2 are marks without content. The decoder
//! takes bytes in pieces of any size and holds at most one packet, so at most 64 KiB.

use bytes::{Bytes, BytesMut};

/// The digits before each packet.
const PREFIX: usize = 4;
/// The most content one packet can have (git's `LARGE_PACKET_DATA_MAX`).
pub(crate) const DATA_MAX: usize = 65_516;

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    /// Content, which may be empty.
    Data(Bytes),
    /// `0000`: the end of a message.
    Flush,
    /// `0001`: the end of a section.
    Delimiter,
    /// `0002`: the end of an answer.
    ResponseEnd,
}

/// The stream is not made of packets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the length of a packet")]
pub(crate) struct PacketError(String);

/// Appends packets to a request.
#[derive(Debug, Default)]
pub(crate) struct Encoder(Vec<u8>);

impl Encoder {
    /// Adds one line of text; git ends lines with a line feed.
    pub(crate) fn line(&mut self, text: &str) -> &mut Self {
        debug_assert!(text.len() < DATA_MAX, "lines are made of limited names");
        self.0.extend_from_slice(format!("{:04x}", text.len() + 1 + PREFIX).as_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'\n');
        self
    }

    pub(crate) fn delimiter(&mut self) -> &mut Self {
        self.0.extend_from_slice(b"0001");
        self
    }

    pub(crate) fn flush(&mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"0000");
        std::mem::take(&mut self.0)
    }
}

/// Finds the packets in a stream that arrives in pieces.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole packet; `None` if more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Packet>, PacketError> {
        let Some(prefix) = self.buffer.get(..PREFIX) else { return Ok(None) };
        let wrong = || PacketError(String::from_utf8_lossy(prefix).escape_debug().to_string());
        let digits = prefix.iter().all(u8::is_ascii_hexdigit);
        let text = std::str::from_utf8(prefix).map_err(|_| wrong())?;
        let length = usize::from_str_radix(text, 16).ok().filter(|_| digits).ok_or_else(wrong)?;
        let packet = match length {
            0 => Packet::Flush,
            1 => Packet::Delimiter,
            2 => Packet::ResponseEnd,
            3 => return Err(wrong()),
            length if length > DATA_MAX + PREFIX => return Err(wrong()),
            length if length > self.buffer.len() => return Ok(None),
            length => {
                let whole = self.buffer.split_to(length).freeze();
                return Ok(Some(Packet::Data(whole.slice(PREFIX..))));
            }
        };
        let _ = self.buffer.split_to(PREFIX);
        Ok(Some(packet))
    }

    /// Whether the stream stopped between two packets.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// The text of a packet without its line feed.
pub(crate) fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data.strip_suffix(b"\n").unwrap_or(data))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(stream: &[u8], piece: usize) -> Result<(Vec<Packet>, bool), PacketError> {
        let mut decoder = Decoder::default();
        let mut packets = Vec::new();
        for bytes in stream.chunks(piece) {
            decoder.push(bytes);
            while let Some(packet) = decoder.next()? {
                packets.push(packet);
            }
        }
        Ok((packets, decoder.is_empty()))
    }

    fn encode(packets: &[Packet]) -> Vec<u8> {
        let mut stream = Vec::new();
        for packet in packets {
            match packet {
                Packet::Data(data) => {
                    stream.extend_from_slice(format!("{:04x}", data.len() + PREFIX).as_bytes());
                    stream.extend_from_slice(data);
                }
                Packet::Flush => stream.extend_from_slice(b"0000"),
                Packet::Delimiter => stream.extend_from_slice(b"0001"),
                Packet::ResponseEnd => stream.extend_from_slice(b"0002"),
            }
        }
        stream
    }

    #[test]
    fn a_request_is_lines_a_delimiter_and_a_flush() {
        let request = Encoder::default().line("command=ls-refs").delimiter().line("peel").flush();
        assert_eq!(request, b"0014command=ls-refs\n00010009peel\n0000");
    }

    #[test]
    fn what_is_no_length_is_an_error() {
        for bad in ["<htm", "0003", "+010", "00 5", "ffff", "fff1", "zzzz"] {
            assert_eq!(decode(bad.as_bytes(), 9), Err(PacketError(bad.to_owned())), "{bad}");
        }
        assert_eq!(decode(b"000", 9), Ok((vec![], false)));
        assert_eq!(decode(b"0004", 9), Ok((vec![Packet::Data(Bytes::new())], true)));
    }

    fn packet() -> impl Strategy<Value = Packet> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(|data| Packet::Data(data.into())),
            Just(Packet::Data(vec![7; DATA_MAX].into())),
            Just(Packet::Flush),
            Just(Packet::Delimiter),
            Just(Packet::ResponseEnd),
        ]
    }

    proptest! {
        #[test]
        fn packets_survive_any_cutting_of_the_stream(packets in proptest::collection::vec(packet(), 0..8), piece in 1_usize..5000) {
            prop_assert_eq!(decode(&encode(&packets), piece), Ok((packets, true)));
        }

        #[test]
        fn any_bytes_end_in_packets_or_an_error(stream in proptest::collection::vec(any::<u8>(), 0..200), piece in 1_usize..50) {
            let whole = decode(&stream, stream.len().max(1));
            prop_assert_eq!(decode(&stream, piece), whole);
        }
    }
}
