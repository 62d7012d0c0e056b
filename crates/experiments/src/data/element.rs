//! The element types of binary arrays, decoded to double precision.

use super::error::Problem;

/// A real element type with its byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) kind: Kind,
    pub(crate) big_endian: bool,
}

/// What the bytes of an element mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Signed(u8),
    Unsigned(u8),
    Float(u8),
}

impl Element {
    /// The bytes an element takes.
    pub(crate) fn size(self) -> usize {
        match self.kind {
            Kind::Bool => 1,
            Kind::Signed(size) | Kind::Unsigned(size) | Kind::Float(size) => size.into(),
        }
    }

    /// The type that numpy writes as `descr`: a byte order, a letter and a size.
    pub(crate) fn from_numpy(descr: &str) -> Result<Self, Problem> {
        let refuse = |why| Problem::Dtype { found: super::error::printable(descr), why };
        let (order, code) = match descr.chars().next() {
            Some(c @ ('<' | '>' | '|' | '=')) => (c, &descr[1..]),
            _ => ('=', descr),
        };
        let big_endian = match order {
            '>' => true,
            '=' => cfg!(target_endian = "big"),
            _ => false,
        };
        let kind = match code {
            "b1" | "?" => Kind::Bool,
            "i1" | "i2" | "i4" | "i8" => Kind::Signed(code.as_bytes()[1] - b'0'),
            "u1" | "u2" | "u4" | "u8" => Kind::Unsigned(code.as_bytes()[1] - b'0'),
            "f2" | "f4" | "f8" => Kind::Float(code.as_bytes()[1] - b'0'),
            _ if code.starts_with('O') => return Err(refuse("they are pickled Python objects")),
            _ if code.starts_with('c') => return Err(refuse("they are complex")),
            _ if code.starts_with('f') => return Err(refuse("they are wider than double precision")),
            _ if code.starts_with(['U', 'S', 'a']) => return Err(refuse("they are text")),
            _ if code.starts_with(['M', 'm']) => return Err(refuse("they are dates or durations")),
            _ => return Err(refuse("they are no real numbers")),
        };
        Ok(Element { kind, big_endian })
    }

    /// The type that an idx file names by one byte. idx is big-endian.
    pub(crate) fn from_idx(code: u8) -> Option<Self> {
        let kind = match code {
            0x08 => Kind::Unsigned(1),
            0x09 => Kind::Signed(1),
            0x0b => Kind::Signed(2),
            0x0c => Kind::Signed(4),
            0x0d => Kind::Float(4),
            0x0e => Kind::Float(8),
            _ => return None,
        };
        Some(Element { kind, big_endian: true })
    }

    /// The element in `bytes`, which has [`Element::size`] of them; an integer that a double cannot hold is returned as
    /// the error.
    pub(crate) fn decode(self, bytes: &[u8]) -> Result<f64, i128> {
        let word = bytes.iter().enumerate().fold(0u64, |word, (k, &byte)| {
            let place = if self.big_endian { bytes.len() - 1 - k } else { k };
            word | u64::from(byte) << (8 * place)
        });
        match self.kind {
            Kind::Bool => Ok(f64::from(u8::from(word != 0))),
            Kind::Unsigned(_) => exact(word.into()),
            Kind::Signed(size) => {
                let shift = 64 - 8 * u32::from(size);
                exact((word.cast_signed() << shift >> shift).into())
            }
            Kind::Float(2) => Ok(half(word as u16)),
            Kind::Float(4) => Ok(f32::from_bits(word as u32).into()),
            Kind::Float(_) => Ok(f64::from_bits(word)),
        }
    }
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            Kind::Bool => write!(f, "bool"),
            Kind::Signed(size) => write!(f, "int{}", 8 * size),
            Kind::Unsigned(size) => write!(f, "uint{}", 8 * size),
            Kind::Float(size) => write!(f, "float{}", 8 * size),
        }
    }
}

fn exact(value: i128) -> Result<f64, i128> {
    if value as f64 as i128 == value { Ok(value as f64) } else { Err(value) }
}

/// IEEE 754 binary16: ±m·2⁻²⁴ when the exponent field is 0, ±(1024 + m)·2^(e−25) up to 30, infinities and NaN at 31.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let mantissa = f64::from(bits & 0x3ff);
    match (bits >> 10) & 0x1f {
        0 => sign * mantissa * f64::powi(2.0, -24),
        31 if mantissa == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        e => sign * (1024.0 + mantissa) * f64::powi(2.0, i32::from(e) - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_and_order_decodes() {
        let check = |descr: &str, bytes: &[u8], value: f64| {
            let element = Element::from_numpy(descr).unwrap();
            assert_eq!(element.size(), bytes.len(), "{descr}");
            assert_eq!(element.decode(bytes), Ok(value), "{descr}");
        };
        check("|b1", &[1], 1.0);
        check("|i1", &[0xff], -1.0);
        check("|u1", &[0xff], 255.0);
        check("<i2", &(-2i16).to_le_bytes(), -2.0);
        check(">i2", &(-2i16).to_be_bytes(), -2.0);
        check("<u4", &u32::MAX.to_le_bytes(), u32::MAX.into());
        check(">i4", &i32::MIN.to_be_bytes(), i32::MIN.into());
        check("<i8", &i64::MIN.to_le_bytes(), i64::MIN as f64);
        check(">u8", &(1u64 << 53).to_be_bytes(), 2f64.powi(53));
        check("<f4", &0.1f32.to_le_bytes(), 0.1f32.into());
        check(">f8", &(-0.1f64).to_be_bytes(), -0.1);
        check("f8", &0.3f64.to_ne_bytes(), 0.3);
        // 1.5 = 0x3e00, the least subnormal 2^-24 = 0x0001, the largest finite 65504 = 0x7bff, -2 = 0xc000
        for (bits, value) in [(0x3e00u16, 1.5), (1, 2f64.powi(-24)), (0x7bff, 65504.0), (0xc000, -2.0)] {
            check("<f2", &bits.to_le_bytes(), value);
        }
        assert_eq!(half(0xfc00), f64::NEG_INFINITY);
        assert!(half(0x7e00).is_nan());
        let wide = Element::from_numpy("<u8").unwrap();
        assert_eq!(wide.decode(&((1u64 << 53) + 1).to_le_bytes()), Err((1 << 53) + 1));
    }

    #[test]
    fn what_is_no_real_number_is_refused() {
        for descr in ["|O", "O8", "<c16", "<U5", "|S3", "<M8[ns]", "<f16", "|V8", "", "<", "é8", "<i3"] {
            assert!(matches!(Element::from_numpy(descr), Err(Problem::Dtype { .. })), "{descr}");
        }
    }
}
