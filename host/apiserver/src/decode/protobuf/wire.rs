//! The wire format of protobuf: tags, varints, lengths.

/// What stands at a field, by its wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireValue<'b> {
    Varint(u64),
    Bytes(&'b [u8]),
    /// Four or eight bytes, which no message here has.
    Fixed,
}

impl WireValue<'_> {
    /// The name of the wire type, for messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Varint(_) => "a number",
            Self::Bytes(_) => "bytes",
            Self::Fixed => "a fixed number",
        }
    }
}

/// Takes a varint of at most 64 bits.
fn varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some((&byte, tail)) = rest.split_first() else {
            return Err("it ends within a number");
        };
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err("a number has more than 64 bits");
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number has more than ten bytes")
}

fn take<'b>(rest: &mut &'b [u8], length: u64) -> Result<&'b [u8], &'static str> {
    let length = usize::try_from(length).map_err(|_| "a length is larger than the body")?;
    let Some((taken, tail)) = rest.split_at_checked(length) else {
        return Err("it ends before the end of a field");
    };
    *rest = tail;
    Ok(taken)
}

/// Takes the next field: its number and what stands there. Nothing at the end.
pub(super) fn next_field<'b>(
    rest: &mut &'b [u8],
) -> Result<Option<(u32, WireValue<'b>)>, &'static str> {
    /// The largest number that a field may have.
    const NUMBER_MAX: u64 = (1 << 29) - 1;
    if rest.is_empty() {
        return Ok(None);
    }
    let tag = varint(rest)?;
    let number = tag >> 3;
    if number == 0 || number > NUMBER_MAX {
        return Err("a field has a number that no field may have");
    }
    let content = match tag & 7 {
        0 => WireValue::Varint(varint(rest)?),
        1 => {
            take(rest, 8)?;
            WireValue::Fixed
        }
        2 => {
            let length = varint(rest)?;
            WireValue::Bytes(take(rest, length)?)
        }
        5 => {
            take(rest, 4)?;
            WireValue::Fixed
        }
        _ => return Err("a field has a wire type that is not known"),
    };
    let number = u32::try_from(number).map_err(|_| "a field has too large a number")?;
    Ok(Some((number, content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_one_by_one() {
        let mut rest: &[u8] = &[0x08, 0xac, 0x02, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0, 0];
        assert_eq!(next_field(&mut rest), Ok(Some((1, WireValue::Varint(300)))));
        assert_eq!(
            next_field(&mut rest),
            Ok(Some((2, WireValue::Bytes(b"hi"))))
        );
        assert_eq!(next_field(&mut rest), Ok(Some((3, WireValue::Fixed))));
        assert_eq!(next_field(&mut rest), Ok(None));
    }

    #[test]
    fn what_is_cut_or_too_large_is_refused() {
        for bad in [
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
            assert!(next_field(&mut &bad[..]).is_err(), "{bad:?}");
        }
        let mut most: &[u8] = &[
            0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ];
        assert_eq!(
            next_field(&mut most),
            Ok(Some((1, WireValue::Varint(u64::MAX))))
        );
    }
}
