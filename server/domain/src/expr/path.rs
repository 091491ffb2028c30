//! Document paths: an attribute of an item, or a place inside one.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::{AttributeValue, Item};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Segment {
    /// A member of a map; as a path's first segment, an attribute of the item.
    Name(String),
    /// An element of a list, from 0.
    Index(u32),
}

/// A place in an item: an attribute, and steps into its maps and lists. Placeholders are already resolved, so a dot inside a name
/// is a character of that name.
///
/// The first segment is a [`Segment::Name`] in every path that a parser made; decoded bytes may say otherwise, and such a path
/// leads nowhere. Paths order attribute by attribute, list elements by number, a path before its descendants. `Display` is the
/// form of error messages: `[a, b, [1]]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Path {
    segments: Vec<Segment>,
}

/// How the paths of two actions get in each other's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// One path is the other, or leads through it.
    Overlap,
    /// One place is used as a map by one path and as a list by the other.
    Conflict,
}

impl Path {
    /// The path of a whole attribute.
    pub fn attribute(name: impl Into<String>) -> Self {
        Self { segments: vec![Segment::Name(name.into())] }
    }

    /// Goes one step deeper.
    pub(crate) fn push(&mut self, segment: Segment) {
        self.segments.push(segment);
    }

    /// Takes the last step away.
    #[cfg(test)]
    pub(super) fn pop(&mut self) -> Option<Segment> {
        self.segments.pop()
    }

    /// The steps, the attribute's name first.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The attribute that the path begins with.
    pub fn root(&self) -> &str {
        match self.segments.first() {
            Some(Segment::Name(name)) => name,
            _ => "",
        }
    }

    /// Whether the path leads into an attribute instead of naming all of it.
    pub fn is_nested(&self) -> bool {
        self.segments.len() > 1
    }

    /// The value at this place of `item`, if there is one.
    pub fn find<'i>(&self, item: &'i Item) -> Option<&'i AttributeValue> {
        let (first, rest) = self.segments.split_first()?;
        let Segment::Name(name) = first else {
            return None;
        };
        rest.iter().try_fold(item.get(name)?, step)
    }

    /// The list or map that holds this place, to change it; `None` for a whole attribute and for a parent that does not exist.
    pub(super) fn parent_in<'i>(&self, item: &'i mut Item) -> Option<&'i mut AttributeValue> {
        let (Segment::Name(name), rest) = self.segments.split_first()? else {
            return None;
        };
        let (_, middle) = rest.split_last()?;
        middle.iter().try_fold(item.get_mut(name)?, step_mut)
    }

    /// How this path and a later one of the same expression clash, if they do.
    pub(super) fn clash(&self, other: &Path) -> Option<Clash> {
        for pair in self.segments.iter().zip(&other.segments) {
            match pair {
                (Segment::Name(a), Segment::Name(b)) if a == b => {}
                (Segment::Index(a), Segment::Index(b)) if a == b => {}
                (Segment::Name(_), Segment::Index(_)) | (Segment::Index(_), Segment::Name(_)) => {
                    return Some(Clash::Conflict);
                }
                _ => return None,
            }
        }
        Some(Clash::Overlap)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (at, segment) in self.segments.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            match segment {
                Segment::Name(name) => f.write_str(name)?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        f.write_str("]")
    }
}

fn step<'i>(value: &'i AttributeValue, segment: &Segment) -> Option<&'i AttributeValue> {
    match (value, segment) {
        (AttributeValue::M(map), Segment::Name(name)) => map.get(name),
        (AttributeValue::L(list), Segment::Index(index)) => list.get(*index as usize),
        _ => None,
    }
}

fn step_mut<'i>(value: &'i mut AttributeValue, segment: &Segment) -> Option<&'i mut AttributeValue> {
    match (value, segment) {
        (AttributeValue::M(map), Segment::Name(name)) => map.get_mut(name),
        (AttributeValue::L(list), Segment::Index(index)) => list.get_mut(*index as usize),
        _ => None,
    }
}
