//! What makes an index a vector index: the attribute that holds vectors, their length, how near two of them are, and the
//! attributes that a search may filter by.
//!
//! A vector index is a global index ([`super::index`]) without an order of its own. Its entry is the projected item with
//! the vector beside it, packed, under the name [`VECTOR`], which is empty and so no attribute's: 32-bit floats, little
//! end first. The list of numbers that the item has is not kept a second time. What ships, fills, counts and compares
//! entries of indexes needs to know nothing of that.
//!
//! Rules of writes (contract 4.8): a vector of another length, an element that is no number or that no 32-bit float can
//! hold, and a filter attribute of another type than declared refuse the write. More digits than a float has are rounded,
//! in the index only. An item without the attribute, or without the HASH attribute, has no entry.
//!
//! Distances are computed with 64-bit floats in one fixed order, without fused operations, so that every replica finds
//! the same ones. Nothing that is stored depends on them.

use std::fmt::Write;

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::{AttributeValue, Item, Number};

use super::table::KeyAttribute;

/// The name under which an entry keeps its vector: no attribute has an empty one.
pub const VECTOR: &str = "";

/// `DistanceFunction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum DistanceFunction {
    /// One less the cosine of the angle, 0 to 2. A vector of zeros has no direction; it is 1 away from every other.
    Cosine,
    /// The inner product; the greater, the nearer.
    DotProduct,
    /// The length of the difference.
    Euclidean,
}

/// `VectorDistanceFunction` by its names, in the model's order.
pub const DISTANCE_FUNCTIONS: [(&str, DistanceFunction); 3] = [
    ("COSINE", DistanceFunction::Cosine),
    ("DOT_PRODUCT", DistanceFunction::DotProduct),
    ("EUCLIDEAN", DistanceFunction::Euclidean),
];

/// What a vector index has besides what every global index has.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct VectorSchema {
    /// The attribute that holds vectors.
    pub attribute: String,
    /// Numbers of a vector, 1 to 4096.
    pub dimensions: u32,
    /// How near two vectors are.
    pub distance: DistanceFunction,
    /// `INLINE_FILTER` attributes, in the order of the request.
    pub filters: Vec<KeyAttribute>,
}

impl VectorSchema {
    /// The item's vector, packed; `None` where it has none or what it has is no vector of this index.
    pub fn packed(&self, item: &Item) -> Option<Vec<u8>> {
        let floats = self.floats(item.get(&self.attribute)?).ok()?;
        Some(pack(&floats))
    }

    /// Whether what the item has under the vector's attribute can be in the index called `name`.
    ///
    /// # Errors
    /// The text of the ValidationException (contract 14.3; what stands before "Invalid" there is not on record, and what
    /// is said of a number out of range is ours).
    pub fn check(&self, name: &str, item: &Item) -> Result<(), String> {
        let Some(value) = item.get(&self.attribute) else { return Ok(()) };
        let fault = match self.floats(value) {
            Ok(_) => return Ok(()),
            Err(fault) => fault,
        };
        let attribute = &self.attribute;
        let what = match fault {
            Fault::NoList(found) => {
                format!("Invalid type for parameter {attribute}, Expected: L, Actual: {found}.")
            }
            Fault::Length(found) => format!(
                "Invalid size for parameter {attribute}, Expected: {}, Actual: {found}.",
                self.dimensions
            ),
            Fault::NoNumber(at, found) => {
                format!("Invalid type for parameter {attribute}[{at}], Expected: N, Actual: {found}.")
            }
            Fault::Range(at) => format!(
                "Invalid value for parameter {attribute}[{at}], Expected: a number that a 32-bit float can hold."
            ),
        };
        Err(format!("One or more parameter values were invalid: {what} IndexName: {name}"))
    }

    fn floats(&self, value: &AttributeValue) -> Result<Vec<f32>, Fault> {
        let AttributeValue::L(list) = value else {
            return Err(Fault::NoList(value.type_name()));
        };
        if list.len() != self.dimensions as usize {
            return Err(Fault::Length(list.len()));
        }
        floats(list)
    }
}

/// Why a value is no vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is of this type.
    NoList(&'static str),
    /// It has so many elements.
    Length(usize),
    /// This element is of this type.
    NoNumber(usize, &'static str),
    /// This element is beyond a 32-bit float.
    Range(usize),
}

/// Numbers as 32-bit floats, each the nearest one.
///
/// # Errors
/// [`Fault::NoNumber`] and [`Fault::Range`].
pub fn floats(list: &[AttributeValue]) -> Result<Vec<f32>, Fault> {
    let mut text = String::new();
    let mut float = |(at, value): (usize, &AttributeValue)| {
        let AttributeValue::N(number) = value else {
            return Err(Fault::NoNumber(at, value.type_name()));
        };
        nearest(number, &mut text).ok_or(Fault::Range(at))
    };
    list.iter().enumerate().map(&mut float).collect()
}

/// The nearest float; `None` where that is infinite. `text` is room to work in.
fn nearest(number: &Number, text: &mut String) -> Option<f32> {
    text.clear();
    let sign = if number.is_negative() { "-" } else { "" };
    write!(text, "{sign}{}e{}", number.coefficient(), number.exponent()).expect("a string takes any text");
    let float: f32 = text.parse().expect("digits and an exponent are a float");
    float.is_finite().then_some(float)
}

/// A vector as entries keep it.
pub fn pack(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|float| float.to_le_bytes()).collect()
}

/// The floats of a packed vector.
pub fn unpack(packed: &[u8]) -> impl Iterator<Item = f32> {
    packed.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

/// A packed vector as an attribute: each float by the shortest decimal that is nearest to it.
pub fn shown(packed: &[u8]) -> AttributeValue {
    let number = |float: f32| {
        let number = Number::parse(&format!("{float:e}"));
        AttributeValue::N(number.expect("a finite float has at most 9 digits and 45 places"))
    };
    AttributeValue::L(unpack(packed).map(number).collect())
}

/// What is searched for, ready to be compared with many vectors.
#[derive(Clone, Debug)]
pub struct Probe<'v> {
    function: DistanceFunction,
    vector: &'v [f32],
    square: f64,
}

impl<'v> Probe<'v> {
    /// A probe with finite floats.
    pub fn new(function: DistanceFunction, vector: &'v [f32]) -> Self {
        let square = fold(vector, &pack(vector), |a, _| a * a);
        Self { function, vector, square }
    }

    /// How far a packed vector of the same length is, the smaller the nearer; never NaN. Of an inner product, its negative.
    pub fn distance(&self, packed: &[u8]) -> f64 {
        match self.function {
            DistanceFunction::DotProduct => -fold(self.vector, packed, |a, b| a * b),
            DistanceFunction::Euclidean => fold(self.vector, packed, |a, b| (a - b) * (a - b)).sqrt(),
            DistanceFunction::Cosine => {
                let squares = self.square * fold(self.vector, packed, |_, b| b * b);
                if squares == 0.0 {
                    return 1.0;
                }
                let cosine = fold(self.vector, packed, |a, b| a * b) / squares.sqrt();
                1.0 - cosine.clamp(-1.0, 1.0)
            }
        }
    }
}

impl DistanceFunction {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        DISTANCE_FUNCTIONS.iter().find(|(_, function)| *function == self).map_or("", |(name, _)| name)
    }

    /// What a client is told of a distance.
    pub fn score(self, distance: f64) -> f64 {
        match self {
            // Not -0.0 for what is 0.
            Self::DotProduct => 0.0 - distance,
            Self::Cosine | Self::Euclidean => distance,
        }
    }
}

/// Sums that are made side by side, so that the compiler can use wide registers.
const LANES: usize = 8;

/// The sum of `term` over the pairs of elements, in a fixed order.
fn fold(vector: &[f32], packed: &[u8], term: impl Fn(f64, f64) -> f64) -> f64 {
    let packed = packed.as_chunks::<4>().0;
    let (wide, rest) = vector.as_chunks::<LANES>();
    let (packed_wide, packed_rest) = packed.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in wide.iter().zip(packed_wide) {
        for lane in 0..LANES {
            lanes[lane] += term(f64::from(a[lane]), f64::from(f32::from_le_bytes(b[lane])));
        }
    }
    let sum: f64 = lanes.iter().sum();
    let rest = rest.iter().zip(packed_rest);
    rest.fold(sum, |sum, (a, b)| sum + term(f64::from(*a), f64::from(f32::from_le_bytes(*b))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(numbers: &[&str]) -> AttributeValue {
        let number = |text: &&str| AttributeValue::N(Number::parse(text).expect("a number"));
        AttributeValue::L(numbers.iter().map(number).collect())
    }

    fn schema() -> VectorSchema {
        VectorSchema {
            attribute: "v".to_owned(),
            dimensions: 2,
            distance: DistanceFunction::Cosine,
            filters: Vec::new(),
        }
    }

    #[test]
    fn the_reference_scores() {
        let probe = [1.0, 0.0, 0.0, 0.0];
        let half = std::f32::consts::FRAC_1_SQRT_2;
        let rows: [[f32; 4]; 3] = [[10.0, 0.0, 0.0, 0.0], [half, half, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0]];
        // Contract 4.7.
        let expected = [
            (DistanceFunction::Cosine, [0.0, 0.29, 2.0]),
            (DistanceFunction::Euclidean, [9.0, 0.77, 2.0]),
            (DistanceFunction::DotProduct, [10.0, 0.71, -1.0]),
        ];
        for (function, scores) in expected {
            for (row, score) in rows.iter().zip(scores) {
                let found = function.score(Probe::new(function, &probe).distance(&pack(row)));
                assert!((found - score).abs() < 0.006, "{function:?} {row:?}: {found}");
            }
        }
    }

    #[test]
    fn the_same_direction_is_no_distance_and_zeros_have_none() {
        let vector = [0.1, -0.7, 3.25];
        let probe = Probe::new(DistanceFunction::Cosine, &vector);
        assert_eq!(probe.distance(&pack(&vector)), 0.0);
        assert_eq!(probe.distance(&pack(&[0.0; 3])), 1.0);
        assert_eq!(Probe::new(DistanceFunction::DotProduct, &[0.0; 3]).distance(&pack(&vector)), 0.0);
        assert!(DistanceFunction::DotProduct.score(-0.0).is_sign_positive());
    }

    #[test]
    fn what_is_no_vector_is_told() {
        let fault = |value: AttributeValue| {
            let item = Item::from([("v".to_owned(), value)]);
            assert_eq!(schema().packed(&item), None);
            schema().check("near", &item).expect_err("refused")
        };
        assert!(
            fault(AttributeValue::from("x"))
                .contains("Invalid type for parameter v, Expected: L, Actual: S. IndexName: near")
        );
        assert!(
            fault(list(&["1"]))
                .contains("Invalid size for parameter v, Expected: 2, Actual: 1. IndexName: near")
        );
        let mixed = AttributeValue::L(vec![AttributeValue::N(Number::ONE), AttributeValue::Null]);
        assert!(fault(mixed).contains("Invalid type for parameter v[1], Expected: N, Actual: NULL."));
        assert!(fault(list(&["1", "-3.5e38"])).contains("v[1]"));
        assert_eq!(schema().check("near", &Item::new()), Ok(()));
    }

    #[test]
    fn digits_beyond_a_float_are_rounded() {
        let numbers = list(&["0.123456789012345678", "1e-60"]);
        let packed = schema().packed(&Item::from([("v".to_owned(), numbers)])).expect("a vector");
        assert_eq!(unpack(&packed).collect::<Vec<_>>(), [0.123_456_79, 0.0]);
        assert_eq!(shown(&packed), list(&["0.12345679", "0"]));
        let extremes = pack(&[f32::MAX, f32::MIN_POSITIVE]);
        assert_eq!(
            floats(match &shown(&extremes) {
                AttributeValue::L(list) => list,
                _ => &[],
            })
            .map(|f| pack(&f)),
            Ok(extremes)
        );
    }

    proptest! {
        #[test]
        fn wide_sums_are_those_of_a_plain_loop(pairs in prop::collection::vec((-100f32..100.0, -100f32..100.0), 0..40)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
            let plain: f64 = pairs.iter().map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            prop_assert!((fold(&a, &pack(&b), |a, b| a * b) - plain).abs() < 1e-6);
        }

        #[test]
        fn floats_come_back_from_decimals(float in prop::num::f32::NORMAL | prop::num::f32::ZERO) {
            let AttributeValue::L(list) = shown(&pack(&[float])) else { panic!("a list") };
            prop_assert_eq!(floats(&list), Ok(vec![float]));
        }
    }
}
