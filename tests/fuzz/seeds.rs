//! What the targets begin with: the golden scripts, the expression scripts, the pinned formats.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;
use trilith_proto::data::v1 as proto;

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files of a folder, in the order of their names.
fn files(path: &str, ending: &str) -> Vec<String> {
    let mut names: Vec<PathBuf> = fs::read_dir(folder(path))
        .expect("the folder is in the repository")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    names.sort();
    names.into_iter().map(|path| fs::read_to_string(path).expect("text")).collect()
}

/// Numbers, alone and in pairs.
pub fn numbers() -> Vec<Vec<u8>> {
    let texts = [
        "0",
        "-1",
        "1.5",
        "1e10",
        "1E-130",
        "9.99e125",
        "-0 0.10",
        "+7 .5",
        "12345678901234567890123456789012345678 1e-5",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// Every stored row and message whose bytes are pinned.
pub fn formats() -> Vec<Vec<u8>> {
    let read = |text: String| {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair =
            |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        digits.chunks_exact(2).filter_map(pair).collect()
    };
    files("../server/domain/testdata/format/0.1.0", "hex").into_iter().map(read).collect()
}

/// `kind: expression`, of the expression scripts.
pub fn expressions() -> Vec<Vec<u8>> {
    let kinds = ["condition: ", "filter: ", "update: ", "projection: ", "key: "];
    let texts = files("../server/domain/testscripts/expr", "txt");
    let lines = texts.iter().flat_map(|text| text.lines());
    lines
        .filter(|line| kinds.iter().any(|kind| line.starts_with(kind)))
        .map(|line| line.as_bytes().to_vec())
        .collect()
}

/// `Operation body`, of the golden scripts; tables have the names of those that the targets make.
pub fn requests() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for text in files("scripts", "script") {
        let mut name = "t-both".to_owned();
        for line in text.lines() {
            if let Some(table) = line.strip_prefix("table ") {
                name = if table.split(' ').count() > 2 { "t-both" } else { "t-hash" }.to_owned();
            }
            let Some(request) = line.strip_prefix("> ") else { continue };
            if !request.contains("$(") {
                all.push(renamed(request, &name).into_bytes());
            }
        }
    }
    all
}

/// A request about another table.
fn renamed(request: &str, name: &str) -> String {
    let Some((before, rest)) = request.split_once("\"TableName\": \"") else {
        return request.to_owned();
    };
    let after = rest.split_once('"').map_or("", |(_, after)| after);
    format!("{before}\"TableName\": \"{name}\"{after}")
}

/// The statements of the golden scripts.
pub fn statements() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for text in files("scripts", "script") {
        for part in text.split("\"Statement\": \"").skip(1) {
            let mut statement = String::new();
            let mut rest = part.chars();
            while let Some(c) = rest.next() {
                match c {
                    '"' => break,
                    '\\' => statement.extend(rest.next()),
                    c => statement.push(c),
                }
            }
            all.push(statement.into_bytes());
        }
    }
    all
}

/// Tokens of pages.
pub fn tokens() -> Vec<Vec<u8>> {
    let hex = |bytes: &[u8]| bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    let mut all: Vec<Vec<u8>> = vec![b"00".to_vec(), b"01".repeat(21)];
    all.extend(formats().iter().map(|bytes| hex(bytes)));
    all
}

/// ARNs of tables and of what belongs to them.
pub fn arns() -> Vec<Vec<u8>> {
    let table = "arn:aws:dynamodb:us-east-1:000000000000:table/orders";
    let ends = [
        "",
        "/index/by-date",
        "/stream/2026-01-01T00:00:00.000",
        "/backup/01489602797149-73d8d5bc",
        "/export/01695353076000-a1b2c3d4",
    ];
    ends.iter().map(|end| format!("{table}{end}").into_bytes()).collect()
}

fn value(text: &str) -> proto::AttributeValue {
    proto::AttributeValue { value: Some(proto::attribute_value::Value::S(text.to_owned())) }
}

fn item() -> Option<proto::Item> {
    Some(proto::Item { attributes: [("pk".to_owned(), value("a"))].into() })
}

/// `Operation` and the bytes of its message.
pub fn messages() -> Vec<Vec<u8>> {
    let message = |name: &str, bytes: Vec<u8>| [name.as_bytes(), b" ", &bytes].concat();
    let table = || "t-hash".to_owned();
    let names = || [("#a".to_owned(), "a".to_owned())].into();
    let values = || [(":n".to_owned(), value("x"))].into();
    let put = proto::PutItemRequest {
        table_name: table(),
        item: item(),
        condition_expression: Some("#a = :n".to_owned()),
        expression_attribute_names: names(),
        expression_attribute_values: values(),
        ..Default::default()
    };
    let get = proto::GetItemRequest { table_name: table(), key: item(), ..Default::default() };
    let query = proto::QueryRequest {
        table_name: table(),
        key_condition_expression: Some("pk = :n".to_owned()),
        expression_attribute_values: values(),
        exclusive_start_key: item(),
        limit: Some(1),
        ..Default::default()
    };
    let statement = proto::ExecuteStatementRequest {
        statement: "SELECT * FROM \"t-hash\" WHERE pk = ?".to_owned(),
        parameters: vec![value("a")],
        next_token: Some("00".to_owned()),
        ..Default::default()
    };
    let write = proto::TransactWriteItem {
        table_name: table(),
        action: item().map(proto::transact_write_item::Action::PutItem),
        ..Default::default()
    };
    let transaction = proto::TransactWriteItemsRequest { transact_items: vec![write], ..Default::default() };
    let mut all = vec![
        message("PutItem", put.encode_to_vec()),
        message("GetItem", get.encode_to_vec()),
        message("DeleteItem", get.encode_to_vec()),
        message("Query", query.encode_to_vec()),
        message("Scan", query.encode_to_vec()),
        message("ExecuteStatement", statement.encode_to_vec()),
        message("TransactWriteItems", transaction.encode_to_vec()),
    ];
    let rows = trilith_api::operations::operations();
    all.extend(rows.iter().map(|row| message(row.name, get.encode_to_vec())));
    all
}
