//! Parts of an item.
//!
//! A projection keeps what its paths lead to, each value inside the maps and lists it lies in. Places that do not exist are left
//! out, with the parents that would be there only for them; chosen elements of a list close ranks in the order of their indexes.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::{AttributeValue, Item};

use super::path::{Path, Segment};

/// The paths of a `ProjectionExpression`. No two of them clash.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Projection {
    paths: Vec<Path>,
}

impl Projection {
    /// Keeps what these paths lead to.
    pub(crate) fn new(paths: Vec<Path>) -> Self {
        Self { paths }
    }

    /// The chosen parts of `item`. Key attributes are not added.
    pub fn project(&self, item: &Item) -> Item {
        project(&self.paths, item)
    }

    /// The paths, in the order of the text.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter()
    }
}

/// What `UPDATED_OLD` (with the item before) and `UPDATED_NEW` (with the item after) answer: the parts of `item` at the targets
/// of an update.
///
/// Indexes are taken as they stand in the expression on both sides. So an element that was appended by an index behind the end
/// is not in the new view, and where an element was removed the new view shows its successor; the service does the same.
pub fn updated_view(item: &Item, touched: &[Path]) -> Item {
    project(touched, item)
}

/// A value of which all or some parts are chosen.
enum Part<'i> {
    Whole(&'i AttributeValue),
    Map(BTreeMap<&'i str, Part<'i>>),
    List(BTreeMap<u32, Part<'i>>),
}

fn project(paths: &[Path], item: &Item) -> Item {
    let mut chosen: BTreeMap<&str, Part<'_>> = BTreeMap::new();
    for path in paths {
        let (Some(value), Some((Segment::Name(name), rest))) =
            (path.find(item), path.segments().split_first())
        else {
            continue;
        };
        match chosen.get_mut(name.as_str()) {
            Some(part) => part.merge(rest, value),
            None => {
                chosen.insert(name, Part::new(rest, value));
            }
        }
    }
    chosen.into_iter().map(|(name, part)| (name.to_owned(), part.into_value())).collect()
}

impl<'i> Part<'i> {
    /// Chooses only `value`, which lies `path` deep.
    fn new(path: &'i [Segment], value: &'i AttributeValue) -> Self {
        match path.split_first() {
            None => Part::Whole(value),
            Some((Segment::Name(name), rest)) => {
                Part::Map(BTreeMap::from([(name.as_str(), Part::new(rest, value))]))
            }
            Some((Segment::Index(index), rest)) => {
                Part::List(BTreeMap::from([(*index, Part::new(rest, value))]))
            }
        }
    }

    /// Chooses `value` too. Where paths clash, which no parser lets pass, the larger part or the first shape stays.
    fn merge(&mut self, path: &'i [Segment], value: &'i AttributeValue) {
        match (self, path.split_first()) {
            (part, None) => *part = Part::Whole(value),
            (Part::Map(parts), Some((Segment::Name(name), rest))) => match parts.get_mut(name.as_str()) {
                Some(part) => part.merge(rest, value),
                None => {
                    parts.insert(name, Part::new(rest, value));
                }
            },
            (Part::List(parts), Some((Segment::Index(index), rest))) => match parts.get_mut(index) {
                Some(part) => part.merge(rest, value),
                None => {
                    parts.insert(*index, Part::new(rest, value));
                }
            },
            _ => {}
        }
    }

    fn into_value(self) -> AttributeValue {
        match self {
            Part::Whole(value) => value.clone(),
            Part::Map(parts) => AttributeValue::M(
                parts.into_iter().map(|(name, part)| (name.to_owned(), part.into_value())).collect(),
            ),
            Part::List(parts) => AttributeValue::L(parts.into_values().map(Part::into_value).collect()),
        }
    }
}
