//! What clients send: expressions, statements, bodies, messages, and whole requests to a cluster in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tokio::runtime::{Builder, Runtime};
use trilith_api::grpc::op_of;
use trilith_api::json::error::Failure;
use trilith_api::json::ops::encode;
use trilith_api::operations::find;
use trilith_domain::OpError;
use trilith_domain::arn::TableArn;
use trilith_domain::expr::{ExpressionKind, KeyCondition, Placeholders};
use trilith_domain::ops::Op;
use trilith_domain::partiql::parse;
use trilith_engine::test_support::{LocalCluster, caller, engine};
use trilith_engine::{Engine, Service};
use trilith_values::{AttributeValue, Item, KeyType, Map, Number};

fn said<T>(result: Result<T, OpError>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
}

/// An expression, its kind named before it (`update: SET a = :n`), with placeholders that are always there.
pub fn expression(data: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(data) else { return String::new() };
    let (kind, text) = text.split_once(": ").unwrap_or(("condition", text));
    let kind = match kind {
        "update" => ExpressionKind::Update,
        "projection" => ExpressionKind::Projection,
        "key" => ExpressionKind::KeyCondition,
        "filter" => ExpressionKind::Filter,
        _ => ExpressionKind::Condition,
    };
    let names: BTreeMap<String, String> = [("#a", "a"), ("#b", "b.c"), ("#n", "size")]
        .map(|(key, name)| (key.to_owned(), name.to_owned()))
        .into();
    let number = |value| AttributeValue::N(Number::from_i64(value));
    let values: Map = [
        (":n", number(1)),
        (":v", number(2)),
        (":s", AttributeValue::S("x".to_owned())),
        (":l", AttributeValue::L(vec![number(1), AttributeValue::Null])),
        (":x", AttributeValue::Ss(["x".to_owned()].into())),
        (":b", AttributeValue::B(vec![1])),
        (":t", AttributeValue::S("SS".to_owned())),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let item: Item = [("a", number(2)), ("l", values[":l"].clone()), ("ss", values[":x"].clone())]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
    // A projection has no values.
    let values = Some(&values).filter(|_| !matches!(kind, ExpressionKind::Projection));
    let mut placeholders =
        Placeholders::new(Some(&names), values, &[(kind, true)]).expect("the maps are sound");
    match kind {
        ExpressionKind::Condition | ExpressionKind::Filter | ExpressionKind::SearchCondition => {
            said(placeholders.condition(kind, text).map(|condition| {
                let _ = (condition.holds_for(Some(&item)), condition.holds_for(None));
            }))
        }
        ExpressionKind::Update => said(placeholders.update(text).map(|update| {
            let _ = (update.apply(&mut item.clone()), update.apply_to_new(&mut Item::new()));
        })),
        ExpressionKind::Projection => {
            said(placeholders.projection(text).map(|projection| drop(projection.project(&item))))
        }
        ExpressionKind::KeyCondition => said(
            placeholders
                .key_condition(text)
                .and_then(KeyCondition::of)
                .and_then(|condition| condition.bind("a", KeyType::N, Some(("l", KeyType::S)))),
        ),
    }
}

/// A statement, read, and executed in the world of [`request`] with as many parameters as it takes.
pub fn partiql(data: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(data) else { return String::new() };
    let parsed = match parse(text) {
        Ok(parsed) => parsed,
        Err(error) => return error.to_string(),
    };
    let mut request = serde_json::json!({ "Statement": text });
    if parsed.parameters > 0 {
        let value =
            |i: usize| [serde_json::json!({ "S": "x" }), serde_json::json!({ "N": "1" })][i % 2].clone();
        request["Parameters"] = (0..parsed.parameters.min(50)).map(value).collect();
    }
    execute(&format!("ExecuteStatement {request}").into_bytes())
}

/// The token of a page, handed to a statement that has pages.
pub fn token(data: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(data) else { return String::new() };
    let request =
        serde_json::json!({ "Statement": "SELECT * FROM \"t-both\" WHERE pk = 'a'", "NextToken": text });
    execute(&format!("ExecuteStatement {request}").into_bytes())
}

/// ARNs, and tables named by them.
pub fn arn(data: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(data) else { return String::new() };
    let key = serde_json::json!({ "pk": { "S": "a" } });
    let requests = [
        ("ListTagsOfResource", serde_json::json!({ "ResourceArn": text })),
        ("GetItem", serde_json::json!({ "TableName": text, "Key": key })),
        ("DescribeBackup", serde_json::json!({ "BackupArn": text })),
        ("DescribeStream", serde_json::json!({ "StreamArn": text })),
    ];
    let answers =
        requests.map(|(operation, request)| execute(&format!("{operation} {request}").into_bytes()));
    format!("{} {}", TableArn::parse(text).is_some(), answers.join(" "))
}

/// A request as the scripts write it: the operation's name, a blank, the body.
fn parsed(data: &[u8]) -> Option<Result<Op, OpError>> {
    let at = data.iter().position(|byte| *byte == b' ')?;
    let name = std::str::from_utf8(&data[..at]).ok()?;
    let row = find(&format!("DynamoDB_20120810.{name}"))?;
    Some((row.decode)(&data[at + 1..], Some("localhost:8000")))
}

/// Bodies through the decoder, the operation's checks and the error writer.
pub fn json(data: &[u8]) -> String {
    match parsed(data) {
        None => "no operation".to_owned(),
        Some(Ok(op)) => op.name().to_owned(),
        Some(Err(error)) => {
            let text = error.to_string();
            drop(Failure::from(error).body());
            text
        }
    }
}

/// Messages of gRPC: the operation's name, a blank, the bytes.
pub fn typed(data: &[u8]) -> String {
    let Some(at) = data.iter().position(|byte| *byte == b' ') else { return String::new() };
    let Ok(name) = std::str::from_utf8(&data[..at]) else { return String::new() };
    match op_of(name, &data[at + 1..]) {
        None => "no message".to_owned(),
        Some(op) => said(op),
    }
}

/// A cluster that lives as long as the thread, with two tables and those that requests have made in it.
struct World {
    runtime: Runtime,
    engine: Engine,
    requests: u32,
}

impl World {
    fn new() -> Self {
        let engine = engine(&LocalCluster::new(3));
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let world = Self { runtime, engine, requests: 0 };
        for (table, has_sort) in [("t-hash", false), ("t-both", true)] {
            let mut schema = r#"{"AttributeName":"pk","KeyType":"HASH"}"#.to_owned();
            let mut types = r#"{"AttributeName":"pk","AttributeType":"S"}"#.to_owned();
            if has_sort {
                schema += r#",{"AttributeName":"sk","KeyType":"RANGE"}"#;
                types += r#",{"AttributeName":"sk","AttributeType":"N"}"#;
            }
            let create = format!(
                r#"CreateTable {{"TableName":"{table}","BillingMode":"PAY_PER_REQUEST","KeySchema":[{schema}],"AttributeDefinitions":[{types}]}}"#
            );
            let op = parsed(create.as_bytes()).expect("an operation").expect("a sound request");
            assert_eq!(world.execute(op), "fine");
        }
        world
    }

    fn execute(&self, op: Op) -> String {
        let name = op.name();
        match self.runtime.block_on(self.engine.execute(&caller(), op)) {
            Ok(output) => {
                drop(encode(&output));
                "fine".to_owned()
            }
            Err(error) => {
                assert_ne!(error.name(), "InternalServerError", "{name}: {error}");
                error.to_string()
            }
        }
    }
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Requests after which a world is made anew, so that it stays small.
const WORLD_REQUESTS: u32 = 2_000;

/// Operations that may wait for work that nobody does in this world.
const SLOW: [&str; 2] = ["UpdateTable", "DeleteTable"];

fn execute(data: &[u8]) -> String {
    let op = match parsed(data) {
        None => return "no operation".to_owned(),
        Some(Err(error)) => return error.to_string(),
        Some(Ok(op)) if SLOW.contains(&op.name()) => return op.name().to_owned(),
        Some(Ok(op)) => op,
    };
    WORLD.with_borrow_mut(|slot| {
        if slot.as_ref().is_some_and(|world| world.requests >= WORLD_REQUESTS) {
            *slot = None;
        }
        let world = slot.get_or_insert_with(World::new);
        world.requests += 1;
        world.execute(op)
    })
}

/// Whole requests: decoded, bound, applied, answered. Nothing that a client sends may be an internal error.
pub fn request(data: &[u8]) -> String {
    execute(data)
}
