//! Inputs, made short. Tables have the partition key `p` (a string) and the sort key `s` (a number).

use std::collections::BTreeMap;

use trilith_domain::ops::transact_get_items::{GetInput, TransactGetItemInput};
use trilith_domain::ops::transact_write_items::{ActionInput, TransactWriteItemInput};
use trilith_domain::ops::types::{
    AttributeDefinition, IndexInput, KeySchemaElement, KeysAndAttributes, Projection, TableInput,
    WriteRequestInput,
};
use trilith_domain::ops::{
    BatchGetItemInput, BatchWriteItemInput, CreateTableInput, GetItemInput, PutItemInput, QueryInput,
    ScanInput, TransactGetItemsInput, TransactWriteItemsInput, UpdateItemInput,
};
use trilith_values::{AttributeValue, Item, Number};

/// A number.
pub fn n(value: i64) -> AttributeValue {
    AttributeValue::N(Number::from_i64(value))
}

/// A key.
pub fn key(p: &str, s: i64) -> Item {
    Item::from([("p".to_owned(), p.into()), ("s".to_owned(), n(s))])
}

/// An item with one attribute `v` besides its key.
pub fn item(p: &str, s: i64, v: impl Into<AttributeValue>) -> Item {
    let mut item = key(p, s);
    item.insert("v".to_owned(), v.into());
    item
}

/// CreateTable, on demand.
pub fn create(name: &str) -> CreateTableInput {
    let define = |(name, kind): (&str, &str)| AttributeDefinition {
        attribute_name: Some(name.to_owned()),
        attribute_type: Some(kind.to_owned()),
    };
    let element = |(name, kind): (&str, &str)| KeySchemaElement {
        attribute_name: Some(name.to_owned()),
        key_type: Some(kind.to_owned()),
    };
    CreateTableInput {
        table_name: Some(name.to_owned()),
        attribute_definitions: Some([("p", "S"), ("s", "N")].map(define).to_vec()),
        key_schema: Some([("p", "HASH"), ("s", "RANGE")].map(element).to_vec()),
        billing_mode: Some("PAY_PER_REQUEST".to_owned()),
        ..Default::default()
    }
}

/// The local index of [`create_indexed`], by `v`.
pub const BY_V: &str = "by_v";
/// The global index of [`create_indexed`], by `w` and `v`.
pub const BY_W: &str = "by_w";

/// CreateTable, on demand, with a local index by `v` (a number) that holds everything, and a global one by `w` (a string)
/// and `v` that holds the attribute `x`.
pub fn create_indexed(name: &str) -> CreateTableInput {
    let mut input = create(name);
    for (name, kind) in [("v", "N"), ("w", "S")] {
        input.attribute_definitions.get_or_insert_default().push(AttributeDefinition {
            attribute_name: Some(name.to_owned()),
            attribute_type: Some(kind.to_owned()),
        });
    }
    input.local_secondary_indexes = Some(vec![index(BY_V, ["p", "v"], "ALL", None)]);
    input.global_secondary_indexes = Some(vec![index(BY_W, ["w", "v"], "INCLUDE", Some("x"))]);
    input
}

fn index(name: &str, keys: [&str; 2], projection: &str, included: Option<&str>) -> IndexInput {
    let element = |(attribute, kind): (&str, &str)| KeySchemaElement {
        attribute_name: Some(attribute.to_owned()),
        key_type: Some(kind.to_owned()),
    };
    IndexInput {
        index_name: Some(name.to_owned()),
        key_schema: Some(keys.into_iter().zip(["HASH", "RANGE"]).map(element).collect()),
        projection: Some(Projection {
            projection_type: Some(projection.to_owned()),
            non_key_attributes: included.map(|name| vec![name.to_owned()]),
        }),
        ..Default::default()
    }
}

/// Whatever asks for nothing but a table.
pub fn table(name: &str) -> TableInput {
    TableInput { table_name: Some(name.to_owned()) }
}

/// PutItem.
pub fn put(table: &str, item: Item) -> PutItemInput {
    PutItemInput { table_name: Some(table.to_owned()), item: Some(item), ..Default::default() }
}

/// TransactWriteItems.
pub fn transact(items: Vec<TransactWriteItemInput>) -> TransactWriteItemsInput {
    TransactWriteItemsInput { transact_items: Some(items), ..Default::default() }
}

/// TransactGetItems of one table.
pub fn transact_get(table: &str, keys: Vec<Item>) -> TransactGetItemsInput {
    let get = |key| {
        let get = GetInput { table_name: Some(table.to_owned()), key: Some(key), ..Default::default() };
        TransactGetItemInput { get: Some(get) }
    };
    TransactGetItemsInput { transact_items: Some(keys.into_iter().map(get).collect()), ..Default::default() }
}

/// A put of a transaction.
pub fn transact_put(table: &str, item: Item) -> TransactWriteItemInput {
    let put = ActionInput { table_name: Some(table.to_owned()), item: Some(item), ..Default::default() };
    TransactWriteItemInput { put: Some(put), ..Default::default() }
}

/// A check of a transaction.
pub fn transact_check(table: &str, key: Item, condition: &str) -> TransactWriteItemInput {
    let check = ActionInput {
        table_name: Some(table.to_owned()),
        key: Some(key),
        condition_expression: Some(condition.to_owned()),
        ..Default::default()
    };
    TransactWriteItemInput { condition_check: Some(check), ..Default::default() }
}

/// UpdateItem, whose expression may use `:v`.
pub fn update(table: &str, key: Item, expression: &str, v: impl Into<AttributeValue>) -> UpdateItemInput {
    UpdateItemInput {
        table_name: Some(table.to_owned()),
        key: Some(key),
        update_expression: Some(expression.to_owned()),
        expression_attribute_values: Some(Item::from([(":v".to_owned(), v.into())])),
        ..Default::default()
    }
}

/// GetItem, strong or not.
pub fn get(table: &str, key: Item, consistent: bool) -> GetItemInput {
    GetItemInput {
        table_name: Some(table.to_owned()),
        key: Some(key),
        consistent_read: Some(consistent),
        ..Default::default()
    }
}

/// Query of a whole partition, strong.
pub fn query(table: &str, p: &str) -> QueryInput {
    QueryInput {
        table_name: Some(table.to_owned()),
        key_condition_expression: Some("p = :p".to_owned()),
        expression_attribute_values: Some(Item::from([(":p".to_owned(), p.into())])),
        consistent_read: Some(true),
        ..Default::default()
    }
}

/// Scan of a whole table, strong.
pub fn scan(table: &str) -> ScanInput {
    ScanInput { table_name: Some(table.to_owned()), consistent_read: Some(true), ..Default::default() }
}

/// BatchGetItem of one table, strong.
pub fn batch_get(table: &str, keys: Vec<Item>) -> BatchGetItemInput {
    let keys = KeysAndAttributes { keys: Some(keys), consistent_read: Some(true), ..Default::default() };
    BatchGetItemInput {
        request_items: Some(BTreeMap::from([(table.to_owned(), keys)])),
        ..Default::default()
    }
}

/// BatchWriteItem of puts into one table.
pub fn batch_put(table: &str, items: Vec<Item>) -> BatchWriteItemInput {
    let put = |item| WriteRequestInput { put: Some(Some(item)), delete: None };
    let requests = items.into_iter().map(put).collect();
    BatchWriteItemInput {
        request_items: Some(BTreeMap::from([(table.to_owned(), requests)])),
        ..Default::default()
    }
}
