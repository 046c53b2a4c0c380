//! The wire format of protobuf: tags, varints, and lengths.

/// The value of a field, by its wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireValue<'b> {
    Varint(u64),
    Bytes(&'b [u8]),
    /// Eight bytes: a `double`.
    Fixed64(u64),
    /// Four bytes; no message here has such a field.
    Fixed32,
}

impl WireValue<'_> {
    /// Returns the name of the wire type for error messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Varint(_) => "a number",
            Self::Bytes(_) => "bytes",
            Self::Fixed64(_) | Self::Fixed32 => "a fixed number",
        }
    }
}

/// Bytes that are not a message. The texts follow the path of the field.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum WireError {
    #[error("it ends within a number")]
    VarintEnd,
    #[error("a number has more than 64 bits")]
    VarintBits,
    #[error("a number has more than ten bytes")]
    VarintLength,
    #[error("a length is larger than the body")]
    Length,
    #[error("it ends before the end of a field")]
    FieldEnd,
    #[error("a field has a number that no field may have")]
    FieldNumber,
    #[error("a field has a wire type that is not known")]
    WireType,
}

/// Takes a varint of at most 64 bits.
fn varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some((&byte, tail)) = rest.split_first() else {
            return Err(WireError::VarintEnd);
        };
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(WireError::VarintBits);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(WireError::VarintLength)
}

fn take<'b>(rest: &mut &'b [u8], length: u64) -> Result<&'b [u8], WireError> {
    let length = usize::try_from(length).map_err(|_| WireError::Length)?;
    let Some((taken, tail)) = rest.split_at_checked(length) else {
        return Err(WireError::FieldEnd);
    };
    *rest = tail;
    Ok(taken)
}

/// Takes the next field, its number and its value; `None` at the end.
pub(super) fn next_field<'b>(
    rest: &mut &'b [u8],
) -> Result<Option<(u32, WireValue<'b>)>, WireError> {
    /// The largest field number.
    const NUMBER_MAX: u64 = (1 << 29) - 1;
    if rest.is_empty() {
        return Ok(None);
    }
    let tag = varint(rest)?;
    let number = tag >> 3;
    if number == 0 || number > NUMBER_MAX {
        return Err(WireError::FieldNumber);
    }
    let value = match tag & 7 {
        0 => WireValue::Varint(varint(rest)?),
        1 => {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(take(rest, 8)?);
            WireValue::Fixed64(u64::from_le_bytes(bytes))
        }
        2 => {
            let length = varint(rest)?;
            WireValue::Bytes(take(rest, length)?)
        }
        5 => {
            take(rest, 4)?;
            WireValue::Fixed32
        }
        _ => return Err(WireError::WireType),
    };
    let number = u32::try_from(number).map_err(|_| WireError::FieldNumber)?;
    Ok(Some((number, value)))
}

/// Appends a varint.
fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let bits = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(bits);
            return;
        }
        out.push(bits | 0x80);
    }
}

/// Appends a field with a number.
pub(super) fn put_varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a field with eight bytes.
pub(super) fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field with bytes: a text or a message.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_one_after_the_other() {
        let mut rest: &[u8] = &[0x08, 0xac, 0x02, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0, 0];
        assert_eq!(next_field(&mut rest), Ok(Some((1, WireValue::Varint(300)))));
        assert_eq!(
            next_field(&mut rest),
            Ok(Some((2, WireValue::Bytes(b"hi"))))
        );
        assert_eq!(next_field(&mut rest), Ok(Some((3, WireValue::Fixed32))));
        assert_eq!(next_field(&mut rest), Ok(None));
    }

    #[test]
    fn truncated_and_oversized_fields_are_rejected() {
        for invalid in [
            &[0x08][..],
            &[0x08, 0x80],
            &[0x12, 5, b'x'],
            &[
                0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02,
            ],
            &[
                0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00,
            ],
            &[0x00, 0x00],
            &[0x0b],
            &[0x09, 1, 2, 3],
        ] {
            assert!(next_field(&mut &invalid[..]).is_err(), "{invalid:?}");
        }
        let mut largest: &[u8] = &[
            0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ];
        assert_eq!(
            next_field(&mut largest),
            Ok(Some((1, WireValue::Varint(u64::MAX))))
        );
    }
}
