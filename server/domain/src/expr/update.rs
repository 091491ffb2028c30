//! How an update changes an item.
//!
//! Two steps. First every action looks at the item as it was: right-hand sides are computed, targets are checked, and each action
//! becomes a write or a removal. Only then does the item change; an error leaves it as it was. As no two targets of one update
//! clash, the order of the writes matters in two places only:
//!
//! - Elements set behind the end of a list are appended in the order of their indexes, so writes go in path order.
//! - Indexes of removals mean the list as it was, so removals come last and go in reverse path order.
//!
//! An update stops as soon as what it writes is larger than an item may be: the item would be refused anyway, and nothing larger
//! is ever built.

use std::borrow::Cow;
use std::fmt;

use trilith_values::size::value_size;
use trilith_values::{AttributeValue, Item, NumberError};

use super::ast::{Action, Literal, SetValue, Update};
use super::limits::MAX_ITEM_BYTES;
use super::path::{Path, Segment};
use crate::error::OpError;

/// Why an update cannot be done on this item. `Display` is the service's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateError {
    /// A right-hand side reads a place that does not exist.
    MissingAttribute,
    /// A target's parent does not exist or is not a map or list as the path needs it.
    InvalidPath,
    /// An operand, or what it is combined with, has a type that the operation does not take.
    OperandType,
    /// A sum or difference is not a number that can be stored.
    Number(NumberError),
    /// What the update writes is larger than an item may be.
    ItemTooLarge,
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingAttribute => {
                f.write_str("The provided expression refers to an attribute that does not exist in the item")
            }
            Self::InvalidPath => {
                f.write_str("The document path provided in the update expression is invalid for update")
            }
            Self::OperandType => {
                f.write_str("An operand in the update expression has an incorrect data type")
            }
            Self::Number(error) => error.fmt(f),
            Self::ItemTooLarge => f.write_str("Item size to update has exceeded the maximum allowed size"),
        }
    }
}

impl std::error::Error for UpdateError {}

impl From<UpdateError> for OpError {
    fn from(error: UpdateError) -> Self {
        OpError::validation(error.to_string())
    }
}

impl Update {
    /// Changes `item`, which exists, and answers the targets in the order of the text.
    ///
    /// On an error the item is unchanged.
    pub fn apply(&self, item: &mut Item) -> Result<Vec<Path>, UpdateError> {
        self.run(item, true)
    }

    /// [`Update::apply`] for an item that did not exist: `item` holds only its key. The one difference is that a `REMOVE` into an
    /// attribute that does not exist is no error here, as the service has it.
    pub fn apply_to_new(&self, item: &mut Item) -> Result<Vec<Path>, UpdateError> {
        self.run(item, false)
    }

    /// The places that the actions change, in the order of the text. No two of them clash.
    pub fn targets(&self) -> impl Iterator<Item = &Path> {
        self.actions.iter().map(Action::target)
    }

    /// Every place that the update changes or reads.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let mut paths = Vec::new();
        for action in &self.actions {
            paths.push(action.target());
            if let Action::Set(_, value) = action {
                value.collect_paths(&mut paths);
            }
        }
        paths.into_iter()
    }

    /// Whether the update does something, and only takes away (`REMOVE`, `DELETE`). On an item that does not exist it has nothing
    /// to do, and the service does not create one for it.
    pub fn only_removes(&self) -> bool {
        !self.actions.is_empty()
            && self.actions.iter().all(|action| matches!(action, Action::Remove(_) | Action::Delete(..)))
    }

    fn run(&self, item: &mut Item, existed: bool) -> Result<Vec<Path>, UpdateError> {
        let mut old = OldItem { literals: &self.literals, item, written_bytes: 0 };
        let mut writes = Vec::new();
        let mut removals = Vec::new();
        // All values before any place: an operand that is missing is reported before a target that cannot be.
        let changes = self.actions.iter().map(|action| old.change(action)).collect::<Result<Vec<_>, _>>()?;
        for (action, change) in self.actions.iter().zip(changes) {
            let target = action.target();
            match change {
                Change::Write(value) => {
                    old.check_parent(target)?;
                    writes.push((target, value));
                }
                Change::Remove => {
                    if existed {
                        old.check_parent(target)?;
                    }
                    removals.push(target);
                }
                Change::Nothing => old.check_parent(target)?,
            }
        }
        writes.sort_by_key(|(target, _)| *target);
        for (target, value) in writes {
            write(item, target, value);
        }
        removals.sort_by_key(|target| std::cmp::Reverse(*target));
        for target in removals {
            remove(item, target);
        }
        Ok(self.targets().cloned().collect())
    }
}

impl Action {
    /// The place that the action changes.
    pub fn target(&self) -> &Path {
        match self {
            Action::Set(path, _) | Action::Remove(path) | Action::Add(path, _) | Action::Delete(path, _) => {
                path
            }
        }
    }
}

impl SetValue {
    fn collect_paths<'t>(&'t self, paths: &mut Vec<&'t Path>) {
        match self {
            SetValue::Path(path) => paths.push(path),
            SetValue::Literal(_) => {}
            SetValue::IfNotExists(path, value) => {
                paths.push(path);
                value.collect_paths(paths);
            }
            SetValue::ListAppend(left, right)
            | SetValue::Plus(left, right)
            | SetValue::Minus(left, right) => {
                left.collect_paths(paths);
                right.collect_paths(paths);
            }
        }
    }
}

/// What an action comes to on a given item.
enum Change {
    Write(AttributeValue),
    Remove,
    Nothing,
}

/// The item before the update, with the request's values.
struct OldItem<'v> {
    literals: &'v [AttributeValue],
    item: &'v Item,
    /// Bytes of all values that the update writes, against [`MAX_ITEM_BYTES`].
    written_bytes: usize,
}

impl<'v> OldItem<'v> {
    fn change(&mut self, action: &Action) -> Result<Change, UpdateError> {
        match action {
            Action::Set(_, value) => {
                let value = self.value(value)?;
                self.written_bytes += value_size(&value);
                self.check_size(self.written_bytes)?;
                Ok(Change::Write(value.into_owned()))
            }
            Action::Remove(_) => Ok(Change::Remove),
            Action::Add(path, number) => {
                let added = self.literal(*number)?;
                self.written_bytes += value_size(added);
                self.check_size(self.written_bytes)?;
                // A place that cannot exist has nothing in it; that its parent is wrong is the caller's error.
                add(path.find(self.item), added).map(Change::Write)
            }
            Action::Delete(path, number) => {
                let taken = self.literal(*number)?;
                match path.find(self.item) {
                    None => Ok(Change::Nothing),
                    Some(value) => delete(value, taken),
                }
            }
        }
    }

    fn literal(&self, number: Literal) -> Result<&'v AttributeValue, UpdateError> {
        self.literals.get(usize::from(number)).ok_or(UpdateError::MissingAttribute)
    }

    fn value(&self, value: &SetValue) -> Result<Cow<'v, AttributeValue>, UpdateError> {
        match value {
            SetValue::Path(path) => {
                path.find(self.item).map(Cow::Borrowed).ok_or(UpdateError::MissingAttribute)
            }
            SetValue::Literal(number) => self.literal(*number).map(Cow::Borrowed),
            SetValue::IfNotExists(path, other) => match path.find(self.item) {
                Some(value) => Ok(Cow::Borrowed(value)),
                None => self.value(other),
            },
            SetValue::ListAppend(first, second) => {
                let (first, second) = (self.value(first)?, self.value(second)?);
                self.check_size(value_size(&first) + value_size(&second))?;
                let AttributeValue::L(tail) = &*second else {
                    return Err(UpdateError::OperandType);
                };
                let AttributeValue::L(mut list) = first.into_owned() else {
                    return Err(UpdateError::OperandType);
                };
                list.extend(tail.iter().cloned());
                Ok(Cow::Owned(AttributeValue::L(list)))
            }
            SetValue::Plus(left, right) => self.number(left, right, |a, b| a.checked_add(b)),
            SetValue::Minus(left, right) => self.number(left, right, |a, b| a.checked_sub(b)),
        }
    }

    fn number(
        &self,
        left: &SetValue,
        right: &SetValue,
        combine: fn(
            &trilith_values::Number,
            &trilith_values::Number,
        ) -> Result<trilith_values::Number, NumberError>,
    ) -> Result<Cow<'v, AttributeValue>, UpdateError> {
        let (left, right) = (self.value(left)?, self.value(right)?);
        let (Some(left), Some(right)) = (left.as_n(), right.as_n()) else {
            return Err(UpdateError::OperandType);
        };
        let result = combine(left, right).map_err(UpdateError::Number)?;
        Ok(Cow::Owned(AttributeValue::N(result)))
    }

    fn check_size(&self, bytes: usize) -> Result<(), UpdateError> {
        if bytes > MAX_ITEM_BYTES {
            return Err(UpdateError::ItemTooLarge);
        }
        Ok(())
    }

    /// A place can be written or removed only in a map or list that exists. Whole attributes always can.
    fn check_parent(&self, target: &Path) -> Result<(), UpdateError> {
        let fits = match target.segments() {
            [Segment::Name(_)] => true,
            [middle @ .., last] => {
                matches!(
                    (find_parent(self.item, middle), last),
                    (Some(AttributeValue::M(_)), Segment::Name(_))
                        | (Some(AttributeValue::L(_)), Segment::Index(_))
                )
            }
            [] => false,
        };
        if fits { Ok(()) } else { Err(UpdateError::InvalidPath) }
    }
}

/// `ADD`: to a number, or into a set of the same type. What does not exist is 0, or the empty set.
fn add(old: Option<&AttributeValue>, added: &AttributeValue) -> Result<AttributeValue, UpdateError> {
    use AttributeValue::{Bs, N, Ns, Ss};
    match (old, added) {
        (None, N(_) | Ss(_) | Ns(_) | Bs(_)) => Ok(added.clone()),
        (Some(N(old)), N(added)) => old.checked_add(added).map(N).map_err(UpdateError::Number),
        (Some(Ss(old)), Ss(added)) => Ok(Ss(old.union(added).cloned().collect())),
        (Some(Ns(old)), Ns(added)) => Ok(Ns(old.union(added).copied().collect())),
        (Some(Bs(old)), Bs(added)) => Ok(Bs(old.union(added).cloned().collect())),
        _ => Err(UpdateError::OperandType),
    }
}

/// `DELETE`: elements out of a set of the same type. A set that would be empty goes away.
fn delete(old: &AttributeValue, taken: &AttributeValue) -> Result<Change, UpdateError> {
    use AttributeValue::{Bs, Ns, Ss};
    let (rest, is_empty) = match (old, taken) {
        (Ss(old), Ss(taken)) => {
            let rest: std::collections::BTreeSet<_> = old.difference(taken).cloned().collect();
            let is_empty = rest.is_empty();
            (Ss(rest), is_empty)
        }
        (Ns(old), Ns(taken)) => {
            let rest: std::collections::BTreeSet<_> = old.difference(taken).copied().collect();
            let is_empty = rest.is_empty();
            (Ns(rest), is_empty)
        }
        (Bs(old), Bs(taken)) => {
            let rest: std::collections::BTreeSet<_> = old.difference(taken).cloned().collect();
            let is_empty = rest.is_empty();
            (Bs(rest), is_empty)
        }
        _ => return Err(UpdateError::OperandType),
    };
    Ok(if is_empty { Change::Remove } else { Change::Write(rest) })
}

fn find_parent<'i>(item: &'i Item, middle: &[Segment]) -> Option<&'i AttributeValue> {
    let (Segment::Name(name), rest) = middle.split_first()? else {
        return None;
    };
    rest.iter().try_fold(item.get(name)?, |value, segment| match (value, segment) {
        (AttributeValue::M(map), Segment::Name(name)) => map.get(name),
        (AttributeValue::L(list), Segment::Index(index)) => list.get(*index as usize),
        _ => None,
    })
}

/// Puts `value` at a place whose parent was checked. Behind the end of a list it is appended.
fn write(item: &mut Item, target: &Path, value: AttributeValue) {
    if let [Segment::Name(name)] = target.segments() {
        item.insert(name.clone(), value);
        return;
    }
    match (target.parent_in(item), target.segments().last()) {
        (Some(AttributeValue::M(map)), Some(Segment::Name(name))) => {
            map.insert(name.clone(), value);
        }
        (Some(AttributeValue::L(list)), Some(Segment::Index(index))) => match list.get_mut(*index as usize) {
            Some(element) => *element = value,
            None => list.push(value),
        },
        _ => {}
    }
}

/// Takes away what is at a place, if anything is.
fn remove(item: &mut Item, target: &Path) {
    if let [Segment::Name(name)] = target.segments() {
        item.remove(name);
        return;
    }
    match (target.parent_in(item), target.segments().last()) {
        (Some(AttributeValue::M(map)), Some(Segment::Name(name))) => {
            map.remove(name);
        }
        (Some(AttributeValue::L(list)), Some(Segment::Index(index))) => {
            let index = *index as usize;
            if index < list.len() {
                list.remove(index);
            }
        }
        _ => {}
    }
}
