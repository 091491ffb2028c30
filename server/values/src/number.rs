//! Decimal numbers of 38 significant digits, exact.
//!
//! A number is `sign × coefficient × 10^exponent`, kept in *normal form*: the coefficient has no factor of ten, and zero is
//! `+0 × 10^0`. So equal numbers are equal field by field ("1", "1.0" and "100E-2" are one number), which is what keys, sets and
//! comparison need. Thirty-eight digits fit into 128 bits; the two halves are stored apart, so that the type is 24 bytes wide and
//! does not force an attribute value onto a 16-byte boundary.
//!
//! The *magnitude* of a number is the decimal exponent of its first digit: 125 for 9.99E+125, 0 for 7, -2 for 0.05. The service
//! takes magnitudes from -130 to 125, so there are exactly 256 of them: one byte in a key.
//!
//! Nothing is ever rounded. A number that does not fit, typed or computed, is an error. Where several errors apply, range comes
//! before precision. Addition takes the same view: an exact sum with more than 38 significant digits is
//! [`NumberError::Precision`], because dropping a digit in silence would break the counter that the caller keeps.
//!
//! Absent on purpose: multiplication and division (no expression has them), floats (they cannot hold these values).

use std::cmp::Ordering;
use std::fmt;
use std::ops::Neg;
use std::str::FromStr;

/// Most significant digits a number may have.
pub const MAX_DIGITS: u32 = 38;
/// Largest decimal exponent of a number's first digit: 9.99…E+125 is the largest number.
pub const MAX_MAGNITUDE: i32 = 125;
/// Smallest decimal exponent of a number's first digit: 1E-130 is the smallest positive number.
pub const MIN_MAGNITUDE: i32 = -130;

/// As many zeros as plain notation can need in a row: 1E125 has 125, and 1E-130 has 129 behind the point.
const ZEROS: &str = match str::from_utf8(&[b'0'; 130]) {
    Ok(zeros) => zeros,
    Err(_) => unreachable!(),
};

/// Powers of ten up to 10^38, the largest that 128 bits hold.
const POW10: [u128; 39] = {
    let mut table = [1u128; 39];
    let mut i = 1;
    while i < table.len() {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

/// Why a text or a result is not a [`Number`].
///
/// `Display` is the service's message without the offending text; [`NumberError::message`] adds it where the service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberError {
    /// The text is not a decimal number.
    Syntax,
    /// The magnitude is above 9.99…E+125.
    Overflow,
    /// The magnitude is below 1E-130, and the number is not zero.
    Underflow,
    /// More than 38 significant digits.
    Precision,
}

impl NumberError {
    /// The service's message for `input`, the text as the caller sent it.
    pub fn message(&self, input: &str) -> String {
        match self {
            NumberError::Syntax if !input.is_empty() => format!("{self}: {input}"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NumberError::Syntax => "The parameter cannot be converted to a numeric value",
            NumberError::Overflow => {
                "Number overflow. Attempting to store a number with magnitude larger than supported range"
            }
            NumberError::Underflow => {
                "Number underflow. Attempting to store a number with magnitude smaller than supported range"
            }
            NumberError::Precision => "Attempting to store more than 38 significant digits in a Number",
        })
    }
}

impl std::error::Error for NumberError {}

/// An exact decimal of at most 38 significant digits, in normal form.
///
/// `Ord` is numeric order, `Eq` and `Hash` agree with it. `Display` is plain notation without an exponent, which
/// [`Number::parse`] reads back to the same number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number {
    /// Upper half of the coefficient, which is below 10^38 and not divisible by ten unless it is zero.
    high: u64,
    /// Lower half of the coefficient.
    low: u64,
    /// Power of ten the coefficient is multiplied with; 0 for zero.
    exponent: i16,
    /// False for zero.
    negative: bool,
}

impl Number {
    /// Zero.
    pub const ZERO: Number = Number { high: 0, low: 0, exponent: 0, negative: false };
    /// One.
    pub const ONE: Number = Number { high: 0, low: 1, exponent: 0, negative: false };

    /// Reads decimal text: an optional sign, digits with an optional point (`5.` and `.5` are taken), an optional exponent.
    ///
    /// Blanks, `NaN`, `Infinity`, hexadecimal and digit separators are [`NumberError::Syntax`]. The work is linear in the length
    /// of the text, however long its digits or large its exponent: zeros on either side are counted, never stored.
    pub fn parse(text: &str) -> Result<Number, NumberError> {
        let (negative, unsigned) = split_sign(text.as_bytes());
        let (whole, rest) = split_digits(unsigned);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest),
            _ => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(NumberError::Syntax);
        }
        let exponent = parse_exponent(rest)?;

        let digits = || whole.iter().chain(fraction).map(|byte| byte - b'0');
        let Some(leading) = digits().position(|digit| digit != 0) else {
            return Ok(Number::ZERO);
        };
        let trailing = digits().rev().take_while(|&digit| digit == 0).count();
        let significant = whole.len() + fraction.len() - leading - trailing;

        // A text's length fits into i64 (allocations are at most isize::MAX bytes); the exponent saturates far outside the range.
        let magnitude = (whole.len() as i64 - 1 - leading as i64).saturating_add(exponent);
        let magnitude = check_magnitude(magnitude)?;
        if significant > MAX_DIGITS as usize {
            return Err(NumberError::Precision);
        }
        let coefficient =
            digits().skip(leading).take(significant).fold(0u128, |sum, digit| sum * 10 + u128::from(digit));
        Ok(Number::assemble(negative, coefficient, magnitude - (significant as i32 - 1)))
    }

    /// The number `±coefficient × 10^exponent`, brought to normal form. Errors on range and precision.
    pub fn from_parts(negative: bool, coefficient: u128, exponent: i32) -> Result<Number, NumberError> {
        if coefficient == 0 {
            return Ok(Number::ZERO);
        }
        let (coefficient, stripped) = strip_zeros(coefficient);
        let exponent = i64::from(exponent) + i64::from(stripped);
        let digits = digit_count(coefficient);
        let magnitude = check_magnitude(exponent + i64::from(digits) - 1)?;
        if digits > MAX_DIGITS {
            return Err(NumberError::Precision);
        }
        Ok(Number::assemble(negative, coefficient, magnitude - (digits as i32 - 1)))
    }

    /// Puts parts together that are in normal form and in range already.
    fn assemble(negative: bool, coefficient: u128, exponent: i32) -> Number {
        debug_assert!(!coefficient.is_multiple_of(10) && coefficient < POW10[38]);
        Number {
            high: (coefficient >> 64) as u64,
            low: coefficient as u64,
            exponent: exponent as i16,
            negative,
        }
    }

    /// The number for a signed integer; every one fits.
    pub fn from_i64(value: i64) -> Number {
        Number::from_integer(value < 0, value.unsigned_abs())
    }

    /// The number for an unsigned integer; every one fits.
    pub fn from_u64(value: u64) -> Number {
        Number::from_integer(false, value)
    }

    fn from_integer(negative: bool, value: u64) -> Number {
        Number::from_parts(negative, u128::from(value), 0)
            .expect("a 64-bit integer has at most 20 digits and a magnitude below 20")
    }

    /// The value as an unsigned integer, if it is whole and in range.
    pub fn to_u64(&self) -> Option<u64> {
        match self.negative {
            true => None,
            false => u64::try_from(self.whole()?).ok(),
        }
    }

    /// The value as a signed integer, if it is whole and in range.
    pub fn to_i64(&self) -> Option<i64> {
        let absolute = i128::try_from(self.whole()?).ok()?;
        i64::try_from(if self.negative { -absolute } else { absolute }).ok()
    }

    /// The absolute value, if it is whole and fits into 128 bits.
    fn whole(&self) -> Option<u128> {
        // In normal form a negative exponent means a fraction.
        let scale = POW10.get(usize::try_from(self.exponent).ok()?)?;
        self.coefficient().checked_mul(*scale)
    }

    /// The digits as an integer without trailing zeros, below 10^38.
    pub fn coefficient(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    /// The power of ten that [`Number::coefficient`] is multiplied with; from -167 to 125.
    pub fn exponent(&self) -> i32 {
        i32::from(self.exponent)
    }

    /// Whether the number is below zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether the number is zero.
    pub fn is_zero(&self) -> bool {
        self.high == 0 && self.low == 0
    }

    /// How many significant digits the number has: 1 to 38, and 0 for zero.
    pub fn digits(&self) -> u32 {
        digit_count(self.coefficient())
    }

    /// The decimal exponent of the first digit, from [`MIN_MAGNITUDE`] to [`MAX_MAGNITUDE`]. Zero has none; it answers 0.
    pub fn magnitude(&self) -> i32 {
        match self.is_zero() {
            true => 0,
            false => self.exponent() + self.digits() as i32 - 1,
        }
    }

    /// The exact sum. Overflow and underflow as in the service; a sum of more than 38 significant digits is
    /// [`NumberError::Precision`] (the service's rule for it is not documented; refusing is the only answer that loses nothing).
    pub fn checked_add(&self, other: &Number) -> Result<Number, NumberError> {
        if self.is_zero() || other.is_zero() {
            return Ok(if self.is_zero() { *other } else { *self });
        }
        let (upper, lower) = match self.exponent >= other.exponent {
            true => (self, other),
            false => (other, self),
        };
        let shift = (upper.exponent() - lower.exponent()) as usize;
        let same_sign = upper.negative == lower.negative;
        if same_sign {
            check_carry(upper, lower, shift)?;
        }
        // The sum is a multiple of lower's last digit. With shift > 0 that digit stays as it is, and not zero, so the sum's
        // digits reach from it up to the first one: whatever leaves 128 bits here (3.4 × 10^38, less lower's 10^38 at most) has
        // 39 digits or more. With shift = 0 nothing can leave 128 bits.
        let raised = POW10
            .get(shift)
            .and_then(|scale| upper.coefficient().checked_mul(*scale))
            .ok_or(NumberError::Precision)?;
        let (negative, coefficient) = if same_sign {
            let sum = raised.checked_add(lower.coefficient());
            (upper.negative, sum.ok_or(NumberError::Precision)?)
        } else if raised >= lower.coefficient() {
            (upper.negative, raised - lower.coefficient())
        } else {
            (lower.negative, lower.coefficient() - raised)
        };
        Number::from_parts(negative, coefficient, lower.exponent())
    }

    /// The exact difference; errors as for [`Number::checked_add`].
    pub fn checked_sub(&self, other: &Number) -> Result<Number, NumberError> {
        self.checked_add(&-*other)
    }

    /// Compares distance from zero; neither may be zero.
    fn compare_absolute(&self, other: &Number) -> Ordering {
        self.magnitude().cmp(&other.magnitude()).then_with(|| {
            // Equal magnitude: the two differ by at most 37 places, and the raised one has at most 38 digits.
            let shift = self.exponent() - other.exponent();
            let scale = POW10[shift.unsigned_abs() as usize];
            match shift >= 0 {
                true => (self.coefficient() * scale).cmp(&other.coefficient()),
                false => self.coefficient().cmp(&(other.coefficient() * scale)),
            }
        })
    }

    /// -1, 0 or 1.
    fn signum(&self) -> i8 {
        match (self.is_zero(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }
}

/// Finds an overflow of a sum of like signs before precision is looked at, so that a sum that is both too large and too long is
/// an overflow. Lower's digits below upper's last place cannot carry, so they may be cut off here.
fn check_carry(upper: &Number, lower: &Number, shift: usize) -> Result<(), NumberError> {
    let carried = POW10.get(shift).map_or(0, |scale| lower.coefficient() / scale);
    let sum = upper.coefficient() + carried;
    let magnitude = upper.exponent() + digit_count(sum) as i32 - 1;
    check_magnitude(i64::from(magnitude)).map(drop)
}

fn check_magnitude(magnitude: i64) -> Result<i32, NumberError> {
    match magnitude {
        m if m > i64::from(MAX_MAGNITUDE) => Err(NumberError::Overflow),
        m if m < i64::from(MIN_MAGNITUDE) => Err(NumberError::Underflow),
        m => Ok(m as i32),
    }
}

/// Decimal digits of a coefficient; 0 for 0.
fn digit_count(coefficient: u128) -> u32 {
    coefficient.checked_ilog10().map_or(0, |log| log + 1)
}

/// Divides by ten until a digit other than zero is last; also says how often. The argument is not zero.
fn strip_zeros(mut coefficient: u128) -> (u128, i32) {
    let mut stripped = 0;
    while coefficient.is_multiple_of(10) {
        // 64-bit division is many times faster, and most numbers are that small.
        coefficient = match u64::try_from(coefficient) {
            Ok(small) => u128::from(small / 10),
            Err(_) => coefficient / 10,
        };
        stripped += 1;
    }
    (coefficient, stripped)
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// Reads `e`, an optional sign and digits to the end of the text; nothing at all is exponent 0. Saturates.
fn parse_exponent(text: &[u8]) -> Result<i64, NumberError> {
    let unsigned = match text {
        [] => return Ok(0),
        [b'e' | b'E', rest @ ..] => rest,
        _ => return Err(NumberError::Syntax),
    };
    let (negative, unsigned) = split_sign(unsigned);
    let (digits, rest) = split_digits(unsigned);
    if digits.is_empty() || !rest.is_empty() {
        return Err(NumberError::Syntax);
    }
    let exponent =
        digits.iter().fold(0i64, |sum, byte| sum.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    Ok(if negative { -exponent } else { exponent })
}

impl Neg for Number {
    type Output = Number;

    fn neg(self) -> Number {
        Number { negative: !self.negative && !self.is_zero(), ..self }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        self.signum().cmp(&other.signum()).then_with(|| match self.signum() {
            0 => Ordering::Equal,
            1 => self.compare_absolute(other),
            _ => other.compare_absolute(self),
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        let coefficient = self.coefficient();
        if self.exponent >= 0 {
            write!(f, "{coefficient}")?;
            return f.write_str(&ZEROS[..self.exponent as usize]);
        }
        let places = usize::from(self.exponent.unsigned_abs());
        let digits = self.digits() as usize;
        if places >= digits {
            f.write_str("0.")?;
            f.write_str(&ZEROS[..places - digits])?;
            return write!(f, "{coefficient}");
        }
        let scale = POW10[places];
        write!(f, "{}.{:0places$}", coefficient / scale, coefficient % scale)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({self})")
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Number, NumberError> {
        Number::parse(text)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Number {
        Number::from_i64(value)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Number {
        Number::from_u64(value)
    }
}

#[cfg(test)]
mod tests;
