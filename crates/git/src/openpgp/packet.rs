//! The packets that OpenPGP data is made of, and the fields in them (RFC 4880 and 9580, section 4).
//!
//! Entry points: [`packets`] and [`Reader`]. Invariant: nothing is read beyond the end, whatever the lengths say.

/// Packets in one key or signature: a key with hundreds of user names and certifications has thousands.
const PACKETS_MAX: usize = 20_000;

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
}

/// Takes OpenPGP data apart.
pub(super) fn packets(bytes: &[u8]) -> Result<Vec<Packet<'_>>, String> {
    let mut reader = Reader(bytes);
    let mut packets = Vec::new();
    while !reader.is_empty() {
        if packets.len() == PACKETS_MAX {
            return Err(format!("it has more than {PACKETS_MAX} packets"));
        }
        let first = reader.byte()?;
        if first & 0x80 == 0 {
            return Err("it is no OpenPGP data".to_owned());
        }
        let (tag, length) = if first & 0x40 != 0 {
            (first & 0x3f, reader.length()?)
        } else {
            let length = match first & 0x03 {
                0 => usize::from(reader.byte()?),
                1 => usize::from(reader.u16()?),
                2 => reader.u32_length()?,
                _ => return Err("a packet has no length".to_owned()),
            };
            ((first >> 2) & 0x0f, length)
        };
        packets.push(Packet { tag, body: reader.take(length)? });
    }
    Ok(packets)
}

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| "it is cut off".to_owned())?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or_else(|| "it is cut off".to_owned())?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, String> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_be_bytes)
    }

    fn u32_length(&mut self) -> Result<usize, String> {
        usize::try_from(self.u32()?).map_err(|_| "a length is too large".to_owned())
    }

    /// A length of one, two or five bytes, as packets and subpackets have.
    pub(super) fn length(&mut self) -> Result<usize, String> {
        match self.byte()? {
            short @ 0..=191 => Ok(usize::from(short)),
            high @ 192..=223 => Ok(((usize::from(high) - 192) << 8) + usize::from(self.byte()?) + 192),
            255 => self.u32_length(),
            // Only data may come in parts, and none is expected here.
            _ => Err("a packet comes in parts".to_owned()),
        }
    }

    /// A length of a subpacket: as of a packet, but without parts.
    pub(super) fn subpacket_length(&mut self) -> Result<usize, String> {
        match self.byte()? {
            short @ 0..=191 => Ok(usize::from(short)),
            255 => self.u32_length(),
            high => Ok(((usize::from(high) - 192) << 8) + usize::from(self.byte()?) + 192),
        }
    }

    /// A whole number: the count of its bits, then its bytes, here without leading zeros.
    pub(super) fn number(&mut self) -> Result<&'a [u8], String> {
        let bits = usize::from(self.u16()?);
        let mut bytes = self.take(bits.div_ceil(8))?;
        while let [0, rest @ ..] = bytes {
            bytes = rest;
        }
        Ok(bytes)
    }
}

/// A number with leading zeros, as long as a key asks for; nothing if it is longer.
pub(super) fn padded(number: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut padded = vec![0; length.checked_sub(number.len())?];
    padded.extend_from_slice(number);
    Some(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_both_formats_are_read() {
        let mut bytes = vec![0x88, 2, 1, 2]; // old format, tag 2, one byte of length
        bytes.extend([0xc2, 1, 9]); // new format, tag 2
        bytes.extend([0xcd, 0xff, 0, 0, 0, 3, b'a', b'b', b'c']);
        bytes.extend([0x99, 0, 1, 7]);
        let found: Vec<(u8, &[u8])> = packets(&bytes).unwrap().iter().map(|packet| (packet.tag, packet.body)).collect();
        assert_eq!(found, [(2, &[1_u8, 2][..]), (2, &[9]), (13, b"abc"), (6, &[7])]);
        let mut long = vec![0xc2, 192, 8];
        long.extend([5; 200]);
        assert_eq!(packets(&long).unwrap()[0].body.len(), 200);
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        for bad in [
            &[0xc2, 5, 1][..],
            &[0xc2],
            &[0x02, 1, 1],
            &[0xc2, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xc2, 230, 1],
            &[0x8b, 1],
        ] {
            assert!(packets(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Reader(&[0, 9, 1, 2]).number(), Ok(&[1_u8, 2][..]));
        assert_eq!(Reader(&[0, 9, 0, 2]).number(), Ok(&[2_u8][..]));
        assert!(Reader(&[0xff, 0xff, 0]).number().is_err());
        assert_eq!(padded(&[1, 2], 3), Some(vec![0, 1, 2]));
        assert_eq!(padded(&[1, 2], 1), None);
    }
}
