//! Bytes as hexadecimal digits.

/// Reads exactly `N` bytes, digits in either case.
pub(crate) fn read_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Appends two digits for each byte.
pub(crate) fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let mut text = Vec::new();
        write_hex(&mut text, &[0, 0x1f, 0xff]);
        assert_eq!(text, b"001fff");
        assert_eq!(read_hex(&text), Some([0, 0x1f, 0xff]));
        assert_eq!(read_hex(b"001FfF"), Some([0, 0x1f, 0xff]));
        for bad in [b"001ff".as_slice(), b"001ffg", b"001fff00", b"", b"0x1fff"] {
            assert_eq!(read_hex::<3>(bad), None);
        }
    }
}
