use proptest::prelude::*;

use super::*;
use crate::strategies;

fn number(text: &str) -> Number {
    Number::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Numbers the slow way: a sign and 300 decimal digits of fixed point, last digit at 10^-PLACES. Every number of the crate and
/// every sum of two fits without loss. Nothing here uses the coefficient arithmetic that it checks.
mod oracle {
    use super::*;

    const WIDTH: usize = 300;
    const PLACES: usize = 170;

    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Fixed {
        pub negative: bool,
        /// Most significant first.
        pub digits: Vec<u8>,
    }

    /// Reads plain notation, as `Display` writes it.
    pub fn fixed(plain: &str) -> Fixed {
        let unsigned = plain.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let text = format!("{whole:0>whole_width$}{fraction:0<PLACES$}", whole_width = WIDTH - PLACES);
        assert_eq!(text.len(), WIDTH);
        Fixed { negative: plain.starts_with('-'), digits: text.bytes().map(|byte| byte - b'0').collect() }
    }

    pub fn add(a: &Fixed, b: &Fixed) -> Fixed {
        if a.negative == b.negative {
            let mut carry = 0;
            let mut digits = vec![0; WIDTH];
            for i in (0..WIDTH).rev() {
                let sum = a.digits[i] + b.digits[i] + carry;
                (digits[i], carry) = (sum % 10, sum / 10);
            }
            assert_eq!(carry, 0);
            return Fixed { negative: a.negative, digits };
        }
        let (larger, smaller) = if a.digits >= b.digits { (a, b) } else { (b, a) };
        let mut borrow = 0;
        let mut digits = vec![0; WIDTH];
        for i in (0..WIDTH).rev() {
            let difference = 10 + larger.digits[i] - smaller.digits[i] - borrow;
            (digits[i], borrow) = (difference % 10, 1 - difference / 10);
        }
        let zero = digits.iter().all(|&digit| digit == 0);
        Fixed { negative: larger.negative && !zero, digits }
    }

    /// The rules of range and precision, read off the digits.
    pub fn check(value: &Fixed) -> Result<(), NumberError> {
        let Some(first) = value.digits.iter().position(|&digit| digit != 0) else {
            return Ok(());
        };
        let last = value.digits.iter().rposition(|&digit| digit != 0).expect("there is a first");
        let magnitude = (WIDTH - PLACES - 1) as i32 - first as i32;
        match () {
            () if magnitude > 125 => Err(NumberError::Overflow),
            () if magnitude < -130 => Err(NumberError::Underflow),
            () if last - first + 1 > 38 => Err(NumberError::Precision),
            () => Ok(()),
        }
    }

    pub fn compare(a: &Fixed, b: &Fixed) -> Ordering {
        match (a.negative, b.negative) {
            (false, false) => a.digits.cmp(&b.digits),
            (true, true) => b.digits.cmp(&a.digits),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

fn check_sum(a: &Number, b: &Number) {
    let exact = oracle::add(&oracle::fixed(&a.to_string()), &oracle::fixed(&b.to_string()));
    let sum = a.checked_add(b);
    assert_eq!(sum.map(drop), oracle::check(&exact), "{a} + {b}");
    if let Ok(sum) = sum {
        assert_eq!(oracle::fixed(&sum.to_string()), exact, "{a} + {b}");
    }
}

#[test]
fn accepted_text_and_its_plain_form() {
    for (text, plain) in [
        ("0", "0"),
        ("-0", "0"),
        ("+0.000", "0"),
        ("0e999999999999", "0"),
        ("-0E-999999999999999999999999999999", "0"),
        ("1", "1"),
        ("+1", "1"),
        ("-1", "-1"),
        ("1.0", "1"),
        ("1e0", "1"),
        ("100E-2", "1"),
        ("007", "7"),
        ("5.", "5"),
        (".5", "0.5"),
        ("-.5E+1", "-5"),
        ("1.50", "1.5"),
        ("12.034", "12.034"),
        ("1e3", "1000"),
        ("0.00012", "0.00012"),
        ("123456E-3", "123.456"),
        ("18446744073709551616", "18446744073709551616"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("0012345678901234567890123456789012345678.000", "12345678901234567890123456789012345678"),
    ] {
        assert_eq!(number(text).to_string(), plain, "{text}");
    }
}

#[test]
fn refused_text() {
    for text in [
        "", " ", "1 ", " 1", "+", "-", ".", "e5", ".e5", "1e", "1e+", "--1", "+-1", "1.2.3", "1e5.0",
        "1e5e5", "0x10", "1_000", "1,5", "NaN", "nan", "Infinity", "-inf", "1f", "١", "1\0", "1e 5",
    ] {
        assert_eq!(Number::parse(text), Err(NumberError::Syntax), "{text:?}");
    }
}

#[test]
fn ends_of_the_range() {
    let digits = "9".repeat(38);
    let largest = number(&format!("{digits}E88"));
    assert_eq!(largest.magnitude(), 125);
    assert_eq!(largest.to_string(), format!("{digits}{}", "0".repeat(88)));
    assert_eq!(number("1E-130").to_string(), format!("0.{}1", "0".repeat(129)));
    let finest = number("1.2345678901234567890123456789012345678E-130");
    assert_eq!((finest.exponent(), finest.digits()), (-167, 38));
    assert_eq!(number(&finest.to_string()), finest);
    assert_eq!(number(&largest.to_string()), largest);
}

#[test]
fn out_of_range_text() {
    use NumberError::{Overflow, Precision, Syntax, Underflow};
    for (text, error) in [
        ("1E126", Overflow),
        ("-1E126", Overflow),
        ("10E125", Overflow),
        ("1E999999999999999999999999999999", Overflow),
        ("1E-131", Underflow),
        ("0.1E-130", Underflow),
        ("1E-999999999999999999999999999999", Underflow),
        ("123456789012345678901234567890123456789", Precision),
        ("1.00000000000000000000000000000000000001", Precision),
        ("123456789012345678901234567890123456789E200", Overflow),
        ("123456789012345678901234567890123456789x", Syntax),
    ] {
        assert_eq!(Number::parse(text), Err(error), "{text}");
    }
}

#[test]
fn long_text_costs_no_more_than_its_length() {
    let zeros = "0".repeat(1_000_000);
    assert_eq!(number(&format!("{zeros}1.{zeros}")), Number::ONE);
    assert_eq!(number(&format!("0.{zeros}1e1000001")), Number::ONE);
    assert_eq!(number(&format!("1{zeros}e-1000000")), Number::ONE);
    let nines = "9".repeat(1_000_000);
    assert_eq!(Number::parse(&nines), Err(NumberError::Overflow));
    assert_eq!(Number::parse(&format!("0.{nines}")), Err(NumberError::Precision));
    assert_eq!(Number::parse(&format!("1e{nines}")), Err(NumberError::Overflow));
}

#[test]
fn messages_are_the_services() {
    assert_eq!(
        NumberError::Syntax.message("abc"),
        "The parameter cannot be converted to a numeric value: abc"
    );
    assert_eq!(NumberError::Syntax.message(""), "The parameter cannot be converted to a numeric value");
    assert_eq!(
        NumberError::Overflow.message("1E126"),
        "Number overflow. Attempting to store a number with magnitude larger than supported range"
    );
    assert_eq!(
        NumberError::Underflow.message("1E-131"),
        "Number underflow. Attempting to store a number with magnitude smaller than supported range"
    );
    assert_eq!(
        NumberError::Precision.message("1"),
        "Attempting to store more than 38 significant digits in a Number"
    );
}

#[test]
fn sums_at_the_edges() {
    let nines = "9".repeat(38);
    for (a, b) in [
        ("1", "-1"),
        ("0", "0"),
        ("0", "-5.5"),
        ("0.1", "0.2"),
        // One carry through all digits; the sum has one digit.
        (nines.as_str(), "1"),
        // 10^38 less 38 nines: 38 places apart, and the result is 1.
        ("1E38", "-99999999999999999999999999999999999999"),
        ("1E39", "-99999999999999999999999999999999999999"),
        ("2E38", "-99999999999999999999999999999999999999"),
        // The raised coefficient leaves 128 bits.
        ("9E38", "1"),
        ("9E38", "-1"),
        ("1E125", "1E-130"),
        ("1E125", "-1E-130"),
        ("1E-130", "-1E-130"),
        ("1.5E-130", "-1.4E-130"),
        ("9E125", "1E125"),
        ("9.9E125", "1E124"),
        ("9.5E125", "-9.5E125"),
        // Both too large and too long: overflow.
        ("9.9E125", "1.0000000000000000000000000000000000001E124"),
        ("9E125", "1.0000000000000000000000000000000000001E125"),
        ("9.9E125", "9.999999999999999999999999999999999999E123"),
    ] {
        check_sum(&number(a), &number(b));
        check_sum(&number(b), &number(a));
        check_sum(&-number(a), &-number(b));
    }
    assert_eq!(number("0.1").checked_add(&number("0.2")), Ok(number("0.3")));
    assert_eq!(number("1").checked_sub(&number("0.9")), Ok(number("0.1")));
    assert_eq!(number("9E125").checked_add(&number("1E125")), Err(NumberError::Overflow));
    assert_eq!(number("1E38").checked_add(&number("0.1")), Err(NumberError::Precision));
    assert_eq!(number("1.5E-130").checked_sub(&number("1.4E-130")), Err(NumberError::Underflow));
}

#[test]
fn integers_there_and_back() {
    for value in [i64::MIN, i64::MIN + 1, -1000, -1, 0, 1, 10, i64::MAX] {
        let converted = Number::from_i64(value);
        assert_eq!(converted.to_string(), value.to_string());
        assert_eq!(converted.to_i64(), Some(value));
        assert_eq!(converted.to_u64(), u64::try_from(value).ok());
    }
    for value in [0, 1, 1000, u64::MAX - 1, u64::MAX] {
        assert_eq!(Number::from(value).to_string(), value.to_string());
        assert_eq!(Number::from_u64(value).to_u64(), Some(value));
    }
    assert_eq!(number("1E19").to_u64(), Some(10_000_000_000_000_000_000));
    for text in ["18446744073709551616", "1E20", "1E125", "0.5", "1.5"] {
        assert_eq!(number(text).to_u64(), None, "{text}");
        assert_eq!(number(text).to_i64(), None, "{text}");
    }
    assert_eq!(number("9223372036854775808").to_i64(), None);
    assert_eq!(number("-9223372036854775809").to_i64(), None);
    assert_eq!(number("-1").to_u64(), None);
}

#[test]
fn parts_are_brought_to_normal_form() {
    assert_eq!(Number::from_parts(true, 0, 999), Ok(Number::ZERO));
    assert_eq!(Number::from_parts(false, 1000, -3), Ok(Number::ONE));
    assert_eq!(Number::from_parts(false, u128::MAX, 0), Err(NumberError::Precision));
    assert_eq!(Number::from_parts(false, 3 * 10u128.pow(38), 0), Ok(number("3E38")));
    assert_eq!(Number::from_parts(false, 1, i32::MAX), Err(NumberError::Overflow));
    assert_eq!(Number::from_parts(false, 10, i32::MIN), Err(NumberError::Underflow));
    assert_eq!(-Number::ZERO, Number::ZERO);
    assert_eq!(Number::ZERO.magnitude(), 0);
    assert_eq!(Number::ZERO.digits(), 0);
    assert_eq!(number("0.05").magnitude(), -2);
}

/// The grammar once more, told apart by splitting instead of scanning.
fn is_decimal(text: &str) -> bool {
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = |part: &str| part.strip_prefix(['+', '-']).unwrap_or(part).to_owned();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (unsigned(mantissa), Some(unsigned(exponent))),
        None => (unsigned(text), None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
    all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(&exponent))
}

proptest! {
    #[test]
    fn display_parses_back(a in strategies::number()) {
        prop_assert_eq!(Number::parse(&a.to_string()), Ok(a));
    }

    #[test]
    fn every_spelling_is_the_same_number(
        a in strategies::number(),
        shift in -200..200i32,
        zeros in 0..50usize,
    ) {
        let sign = if a.is_negative() { "-" } else { "" };
        let zeros = "0".repeat(zeros);
        let exponent = a.exponent() + shift;
        let coefficient = a.coefficient().to_string();
        // The point moved left by `shift` places, which the exponent makes good.
        let places = shift.unsigned_abs() as usize;
        let mantissa = if shift <= 0 {
            format!("{coefficient}{}", "0".repeat(places))
        } else if places < coefficient.len() {
            let (whole, fraction) = coefficient.split_at(coefficient.len() - places);
            format!("{whole}.{fraction}{zeros}")
        } else {
            format!(".{coefficient:0>places$}{zeros}")
        };
        let text = format!("{sign}{zeros}{mantissa}e{exponent}");
        prop_assert_eq!(Number::parse(&text), Ok(a), "{}", text);
    }

    #[test]
    fn syntax_errors_are_those_of_the_grammar(
        text in prop::collection::vec(prop::sample::select(b"0019.eE+- x".to_vec()), 0..9)
    ) {
        let text = String::from_utf8(text).expect("only ASCII is selected");
        let refused = Number::parse(&text) == Err(NumberError::Syntax);
        prop_assert_eq!(refused, !is_decimal(&text), "{}", text);
    }

    #[test]
    fn parsing_never_panics(text in any::<String>()) {
        if let Ok(a) = Number::parse(&text) {
            prop_assert!(is_decimal(&text));
            prop_assert_eq!(Number::parse(&a.to_string()), Ok(a));
        }
    }

    #[test]
    fn sums_are_the_oracles(a in strategies::number(), b in strategies::number()) {
        check_sum(&a, &b);
    }

    #[test]
    fn sums_of_near_numbers_are_the_oracles(
        a in strategies::number(),
        digits in 1..10u128.pow(38),
        distance in -40..40i32,
        negative in any::<bool>(),
    ) {
        if let Ok(b) = Number::from_parts(negative, digits, a.exponent() + distance) {
            check_sum(&a, &b);
        }
    }

    #[test]
    fn a_difference_undoes_a_sum(a in strategies::number(), b in strategies::number()) {
        if let Ok(sum) = a.checked_add(&b) {
            prop_assert_eq!(sum.checked_sub(&b), Ok(a));
        }
        prop_assert_eq!(a.checked_sub(&a), Ok(Number::ZERO));
        prop_assert_eq!(a.checked_add(&b), b.checked_add(&a));
    }

    #[test]
    fn order_is_numeric(a in strategies::number(), b in strategies::number()) {
        let exact = oracle::compare(&oracle::fixed(&a.to_string()), &oracle::fixed(&b.to_string()));
        prop_assert_eq!(a.cmp(&b), exact);
        prop_assert_eq!(a == b, exact == Ordering::Equal);
        prop_assert_eq!(a.cmp(&a), Ordering::Equal);
    }

    #[test]
    fn order_of_near_numbers_is_numeric(a in strategies::number(), step in 0..3u128) {
        if let Some(b) = strategies::lengthened(&a, step) {
            let away = if step == 0 { Ordering::Equal } else { Ordering::Greater };
            let expected = if a.is_negative() { away.reverse() } else { away };
            prop_assert_eq!(b.cmp(&a), expected);
        }
    }
}
