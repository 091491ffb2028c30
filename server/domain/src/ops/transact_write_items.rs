//! TransactWriteItems: up to 100 puts, updates, deletes and checks of distinct items, in any tables. All of them happen,
//! or none.
//!
//! What is wrong with the request as such refuses it whole. What only the items can tell (a false condition, an item that
//! grew too large, another transaction) is a verdict on one action; any such verdict cancels all, and the answer gives
//! one reason for each action, in the order of the request (contract 6).

use std::collections::BTreeMap;

use borsh::BorshSerialize;
use trilith_values::Item;
use trilith_values::size::item_size;
use xxhash_rust::xxh3::xxh3_128;

use super::transaction::{Fault, bind_all};
use super::types::{
    ConsumedCapacity, ItemCollectionMetrics, Names, ReturnConsumed, UnitKind, ValueFault, Values,
};
use super::write::Collections;
use super::{Access, Resource, TableRef, keys, write};
use crate::capacity;
use crate::catalog::TableRecord;
use crate::codec::items;
use crate::error::{CancellationReason, OpError};
use crate::expr::{Condition, ExpressionKind, Update};
use crate::limits;
use crate::machine::{Action, PartVerdict, ReturnValues, Write, WrittenIndexed};
use crate::validate::{CHECKED, Constraints};

/// What TransactWriteItems is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactWriteItemsInput {
    /// `TransactItems`.
    pub transact_items: Option<Vec<TransactWriteItemInput>>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
    /// `ReturnItemCollectionMetrics`.
    pub return_item_collection_metrics: Option<String>,
    /// `ClientRequestToken`.
    pub client_request_token: Option<String>,
    /// First fault met while decoding attribute values.
    pub value_fault: ValueFault,
}

/// An element of `TransactItems`, of which exactly one member must be there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactWriteItemInput {
    /// `ConditionCheck`.
    pub condition_check: Option<ActionInput>,
    /// `Put`.
    pub put: Option<ActionInput>,
    /// `Delete`.
    pub delete: Option<ActionInput>,
    /// `Update`.
    pub update: Option<ActionInput>,
}

/// The members of all four actions; each has some of them, and the others are absent or mean nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActionInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `Key`, of all but `Put`.
    pub key: Option<Item>,
    /// `Item`, of `Put`.
    pub item: Option<Item>,
    /// `UpdateExpression`, of `Update`.
    pub update_expression: Option<String>,
    /// `ConditionExpression`.
    pub condition_expression: Option<String>,
    /// `ExpressionAttributeNames`.
    pub expression_attribute_names: Option<Names>,
    /// `ExpressionAttributeValues`.
    pub expression_attribute_values: Option<Values>,
    /// `ReturnValuesOnConditionCheckFailure`.
    pub return_values_on_condition_check_failure: Option<String>,
}

/// What TransactWriteItems answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactWriteItemsOutput {
    /// `ConsumedCapacity`, one element per table, in the order of the request.
    pub consumed_capacity: Option<Vec<ConsumedCapacity>>,
    /// `ItemCollectionMetrics`, by table; empty (left out) where there is nothing to tell.
    pub item_collection_metrics: BTreeMap<String, Vec<ItemCollectionMetrics>>,
}

/// TransactWriteItems, parsed. Other operations that write transactions make one of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactWriteItems {
    /// What is to be done, in the order of the request. Never empty, 100 at the most.
    pub actions: Vec<TransactAction>,
    /// Makes the request one that can be sent again.
    pub token: Option<RequestToken>,
    /// `ReturnConsumedCapacity`.
    pub consumed: ReturnConsumed,
    /// `ReturnItemCollectionMetrics`: whether the sizes of item collections are asked for.
    pub metrics: bool,
}

/// `ClientRequestToken`, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestToken {
    /// The token, of 1 to 36 characters.
    pub token: String,
    /// Of the actions: a token may be used again for the same actions only.
    pub digest: u128,
}

/// One action of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactAction {
    /// The table.
    pub table: TableRef,
    /// What happens to which item.
    pub kind: ActionKind,
    /// Must hold for the transaction to happen.
    pub condition: Option<Condition>,
    /// Whether a false condition answers with the item.
    pub old_on_failure: bool,
}

/// What an action does. Keys are unchecked.
#[derive(Clone, Debug, PartialEq)]
pub enum ActionKind {
    /// Replaces a whole item, checked but for its key.
    Put(Item),
    /// Changes parts of the item with this key, or makes it.
    Update(Item, Update),
    /// Removes the item with this key.
    Delete(Item),
    /// Only asks the condition of the item with this key.
    Check(Item),
}

impl TransactWriteItems {
    /// All checks that need no table.
    pub fn parse(input: TransactWriteItemsInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        // In the order of their names, as the service was seen to tell them.
        let token = input.client_request_token.as_deref();
        check.length("clientRequestToken", token, 1, limits::REQUEST_TOKEN_MAX);
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        let metrics = check.return_metrics(input.return_item_collection_metrics.as_deref());
        check.required("transactItems", input.transact_items.as_ref());
        let items = input.transact_items.unwrap_or_default();
        if check.is_clean() {
            check.count("transactItems", items.len(), 1, limits::TRANSACTION_ITEMS_MAX);
        }
        let mut checked = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            if check.is_full() {
                break;
            }
            checked.push(check_item(&mut check, i + 1, item));
        }
        check.finish()?;
        let chosen = items.into_iter().map(choose).collect::<Result<Vec<_>, OpError>>()?;
        write::check_fault(input.value_fault)?;
        let parse = |(chosen, (table, old_on_failure)): (Chosen, (Option<TableRef>, bool))| {
            parse_action(chosen, table.expect(CHECKED), old_on_failure)
        };
        let actions = chosen.into_iter().zip(checked).map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { metrics, ..Self::new(actions, input.client_request_token, consumed)? })
    }

    /// Of actions that were checked each for itself, with a token that was checked.
    ///
    /// # Errors
    /// `ValidationException` where they are too large together.
    pub fn new(
        actions: Vec<TransactAction>,
        token: Option<String>,
        consumed: ReturnConsumed,
    ) -> Result<Self, OpError> {
        check_total(&actions)?;
        let token = token.map(|token| RequestToken { token, digest: digest(&actions) });
        Ok(Self { actions, token, consumed, metrics: false })
    }

    /// The write of each action, from the record of its table. No two may concern one item.
    ///
    /// # Errors
    /// The cancellation for actions that do not fit their tables, or the refusal of the whole.
    pub fn bind<'r>(&self, record: impl Fn(&TableRef) -> &'r TableRecord) -> Result<Vec<Write>, OpError> {
        let bind = |action: &TransactAction| action.bind(record(&action.table));
        bind_all(&self.actions, bind, |write| (write.table, write.key.clone()))
    }

    /// What it does to what: each action is allowed or denied by its own name (contract 16.2).
    pub(super) fn access(&self) -> Vec<Access<'_>> {
        let name = |kind: &ActionKind| match kind {
            ActionKind::Put(_) => "PutItem",
            ActionKind::Update(..) => "UpdateItem",
            ActionKind::Delete(_) => "DeleteItem",
            ActionKind::Check(_) => "ConditionCheckItem",
        };
        let all = self.actions.iter();
        all.map(|action| Access { action: name(&action.kind), resource: Resource::Table(&action.table) })
            .collect()
    }

    /// The answer where all was done, from each write, in order.
    pub fn shape(&self, written: Vec<WrittenIndexed>) -> TransactWriteItemsOutput {
        assert_eq!(written.len(), self.actions.len(), "one write an action");
        let mut collections = Collections::default();
        let mut charged = Vec::with_capacity(written.len());
        for (action, WrittenIndexed { written, charges, collection }) in self.actions.iter().zip(written) {
            let units = capacity::transact_write_units(written.old_size, written.new_size);
            charged.push((&action.table, units, charges.into_iter().map(write::index_part).collect()));
            if let Some(collection) = collection.filter(|_| self.metrics) {
                collections.add(&action.table, collection);
            }
        }
        let charged = charged.into_iter();
        TransactWriteItemsOutput {
            consumed_capacity: capacity::consumed_by_table(charged, UnitKind::Write, self.consumed),
            item_collection_metrics: collections.metrics(),
        }
    }

    /// The answer where all had been done before, from the sizes of the larger images around each write, in order: that
    /// costs what reading them costs (5.1). Captures of the service that dynoxide tells of show the larger image.
    pub fn shape_replay(&self, sizes: &[u64]) -> TransactWriteItemsOutput {
        let charged = self.actions.iter().zip(sizes);
        let charged =
            charged.map(|(action, size)| (&action.table, capacity::transact_read_units(*size), Vec::new()));
        TransactWriteItemsOutput {
            consumed_capacity: capacity::consumed_by_table(charged, UnitKind::Read, self.consumed),
            item_collection_metrics: BTreeMap::new(),
        }
    }

    /// The answer where nothing was done, from the verdict on each action, in order.
    pub fn cancelled(&self, verdicts: Vec<PartVerdict>) -> OpError {
        assert_eq!(verdicts.len(), self.actions.len(), "one verdict an action");
        OpError::cancelled(verdicts.into_iter().map(reason).collect())
    }
}

impl ActionKind {
    /// The item, or the key, that it names.
    fn named(&self) -> &Item {
        match self {
            Self::Put(item) | Self::Update(item, _) | Self::Delete(item) | Self::Check(item) => item,
        }
    }
}

impl TransactAction {
    /// The write for this table.
    pub(super) fn bind(&self, record: &TableRecord) -> Result<Write, Fault> {
        keys::check_usable(record)?;
        keys::check_filled(record, self.kind.named()).map_err(Fault::Whole)?;
        let (key, action) = match &self.kind {
            ActionKind::Put(item) => (keys::key_of_item(record, item)?, Action::Put(item.clone())),
            ActionKind::Update(map, update) => {
                let key = keys::key_of_map(record, map)?;
                write::check_not_key(record, update)?;
                keys::check_scalar(record, update.paths())?;
                (key, Action::Update(update.clone()))
            }
            ActionKind::Delete(key) => (keys::key_of_map(record, key)?, Action::Delete),
            ActionKind::Check(key) => (keys::key_of_map(record, key)?, Action::Check),
        };
        keys::check_scalar(record, self.condition.iter().flat_map(Condition::paths))?;
        Ok(Write {
            table: record.id,
            schema: record.version,
            key,
            condition: self.condition.clone(),
            action,
            returns: ReturnValues::None,
            old_on_failure: self.old_on_failure,
        })
    }
}

/// The constraints of the model on one element: its table, and whether a false condition answers with the item.
fn check_item(
    check: &mut Constraints,
    number: usize,
    item: &TransactWriteItemInput,
) -> (Option<TableRef>, bool) {
    let mut checked = (None, false);
    let members = [
        ("conditionCheck", &item.condition_check),
        ("put", &item.put),
        ("delete", &item.delete),
        ("update", &item.update),
    ];
    for (member, action) in members {
        let Some(action) = action else { continue };
        let path = |name: &str| format!("transactItems.{number}.member.{member}.{name}");
        if member == "put" {
            check.required(&path("item"), action.item.as_ref());
        } else {
            check.required(&path("key"), action.key.as_ref());
        }
        if member == "update" {
            check.required(&path("updateExpression"), action.update_expression.as_ref());
        }
        let table = check.table(&path("tableName"), action.table_name.as_deref());
        if member == "conditionCheck" {
            check.required(&path("conditionExpression"), action.condition_expression.as_ref());
        }
        let on_failure = action.return_values_on_condition_check_failure.as_deref();
        let old = check.old_on_failure_at(&path("returnValuesOnConditionCheckFailure"), on_failure);
        checked = (table, old);
    }
    checked
}

/// The one action of an element.
enum Chosen {
    Check(ActionInput),
    Put(ActionInput),
    Delete(ActionInput),
    Update(ActionInput),
}

fn choose(item: TransactWriteItemInput) -> Result<Chosen, OpError> {
    match (item.condition_check, item.put, item.delete, item.update) {
        (Some(check), None, None, None) => Ok(Chosen::Check(check)),
        (None, Some(put), None, None) => Ok(Chosen::Put(put)),
        (None, None, Some(delete), None) => Ok(Chosen::Delete(delete)),
        (None, None, None, Some(update)) => Ok(Chosen::Update(update)),
        _ => Err(OpError::validation("TransactItems can only contain one of Check, Put, Update or Delete")),
    }
}

fn parse_action(chosen: Chosen, table: TableRef, old_on_failure: bool) -> Result<TransactAction, OpError> {
    let (input, updates) = match &chosen {
        Chosen::Check(input) | Chosen::Put(input) | Chosen::Delete(input) => (input, None),
        Chosen::Update(input) => (input, input.update_expression.as_deref()),
    };
    let text = input.condition_expression.as_deref();
    let mut expressions = vec![(ExpressionKind::Condition, text.is_some())];
    if updates.is_some() {
        expressions.insert(0, (ExpressionKind::Update, true));
    }
    let mut placeholders = write::placeholders(
        input.expression_attribute_names.as_ref(),
        input.expression_attribute_values.as_ref(),
        None,
        &expressions,
    )?;
    if let (Chosen::Put(_), Some(item)) = (&chosen, &input.item) {
        keys::check_item(item)?;
    }
    let update = updates.map(|text| placeholders.update(text)).transpose()?;
    let condition = text.map(|text| placeholders.condition(ExpressionKind::Condition, text)).transpose()?;
    placeholders.finish()?;
    let kind = match chosen {
        Chosen::Check(input) => ActionKind::Check(input.key.expect(CHECKED)),
        Chosen::Put(input) => ActionKind::Put(input.item.expect(CHECKED)),
        Chosen::Delete(input) => ActionKind::Delete(input.key.expect(CHECKED)),
        Chosen::Update(input) => ActionKind::Update(input.key.expect(CHECKED), update.expect(CHECKED)),
    };
    Ok(TransactAction { table, kind, condition, old_on_failure })
}

/// What the request itself brings must fit 4 MB; the text is our own, the service's is not known.
fn check_total(actions: &[TransactAction]) -> Result<(), OpError> {
    let size = |action: &TransactAction| match &action.kind {
        ActionKind::Put(item) => item_size(item),
        ActionKind::Update(key, update) => item_size(key) + update.literal_bytes(),
        ActionKind::Delete(key) | ActionKind::Check(key) => item_size(key),
    };
    if actions.iter().map(size).sum::<usize>() <= limits::TRANSACTION_BYTES_MAX {
        return Ok(());
    }
    Err(OpError::validation("Transaction request size has exceeded the maximum allowed size of 4 MB"))
}

/// Of what the actions do, however the request was written.
fn digest(actions: &[TransactAction]) -> u128 {
    let mut bytes = Vec::new();
    for action in actions {
        let (kind, item, update) = match &action.kind {
            ActionKind::Put(item) => (0u8, item, None),
            ActionKind::Update(key, update) => (1, key, Some(update)),
            ActionKind::Delete(key) => (2, key, None),
            ActionKind::Check(key) => (3, key, None),
        };
        let rest = (action.table.given(), kind, update, &action.condition, action.old_on_failure);
        rest.serialize(&mut bytes).expect("a vector takes any bytes");
        items::write(item, &mut bytes).expect("a vector takes any bytes");
    }
    xxh3_128(&bytes)
}

/// The reason that an action's verdict gives (contract 6).
fn reason(verdict: PartVerdict) -> CancellationReason {
    match verdict {
        PartVerdict::Fine(_) => CancellationReason::none(),
        PartVerdict::ConditionFailed { item } => CancellationReason {
            code: "ConditionalCheckFailed",
            message: Some("The conditional request failed".to_owned()),
            item,
        },
        PartVerdict::Conflict => CancellationReason::conflict(),
        PartVerdict::CollectionFull => CancellationReason {
            code: "ItemCollectionSizeLimitExceeded",
            message: Some("Collection size exceeded.".to_owned()),
            item: None,
        },
        PartVerdict::Invalid(text) => {
            CancellationReason { code: "ValidationError", message: Some(text), item: None }
        }
    }
}
