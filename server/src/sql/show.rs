//! Items as tables, or as lines of JSON.
//!
//! A cell shows a value as a statement would write it, but for texts, which stand bare. Nothing that is stored reaches the
//! terminal as a control character.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table as Drawing, presets};
use serde_json::{Map as Object, Value as Json};
use trilith_client::{AttributeValue, Item, Table};

/// Characters of one cell; more are cut off. `--json` shows all.
const CELL_MAX: usize = 60;

/// How answers are shown.
#[derive(Clone, Copy, Debug)]
pub struct Show {
    /// One JSON object a line instead of a table.
    pub json: bool,
}

impl Show {
    /// Some items, without a line break at the end.
    pub fn items(self, items: &[Item]) -> String {
        if self.json {
            let lines: Vec<String> = items.iter().map(|item| object(item).to_string()).collect();
            return lines.join("\n");
        }
        let columns: BTreeSet<&String> = items.iter().flat_map(Item::keys).collect();
        let mut drawing = drawing();
        drawing.set_header(columns.iter().map(|name| plain(name)));
        for item in items {
            drawing.add_row(columns.iter().map(|name| item.get(*name).map_or(String::new(), cell)));
        }
        drawing.to_string()
    }

    /// What is to know of a table.
    pub fn table(self, table: &Table) -> String {
        let keys: Vec<String> =
            table.keys.iter().map(|(name, kind)| format!("{} ({})", plain(name), kind.as_str())).collect();
        let rows = [
            ("table", plain(&table.name)),
            ("status", format!("{:?}", table.status)),
            ("key", keys.join(", ")),
            ("items", table.items.to_string()),
            ("bytes", table.bytes.to_string()),
            ("arn", plain(&table.arn)),
        ];
        if self.json {
            let members = rows.into_iter().map(|(name, value)| (name.to_owned(), Json::String(value)));
            return Json::Object(members.collect()).to_string();
        }
        let mut drawing = drawing();
        for (name, value) in rows {
            drawing.add_row([name.to_owned(), value]);
        }
        drawing.to_string()
    }
}

fn drawing() -> Drawing {
    let mut drawing = Drawing::new();
    drawing.load_preset(presets::ASCII_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    drawing
}

/// A text on one line: what would move the cursor is written out.
pub fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A text for a cell.
fn plain(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(CELL_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn cell(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => plain(text),
        other => {
            let mut text = String::new();
            write(other, &mut text);
            plain(&text)
        }
    }
}

/// Writes a value as a statement has it; binaries, which no statement has, as `x'…'`.
fn write(value: &AttributeValue, out: &mut String) {
    // A cell shows no more than this.
    if out.len() > 4 * CELL_MAX {
        return;
    }
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let list = |open: &str, close: &str, all: &mut dyn Iterator<Item = String>| {
        format!("{open}{}{close}", all.collect::<Vec<_>>().join(", "))
    };
    match value {
        AttributeValue::S(text) => out.push_str(&quoted(text)),
        AttributeValue::N(number) => {
            let _ = write!(out, "{number}");
        }
        AttributeValue::B(bytes) => out.push_str(&hexadecimal(bytes)),
        AttributeValue::Bool(flag) => {
            let _ = write!(out, "{flag}");
        }
        AttributeValue::Null => out.push_str("NULL"),
        AttributeValue::L(elements) => {
            out.push('[');
            for (i, element) in elements.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write(element, out);
            }
            out.push(']');
        }
        AttributeValue::M(members) => {
            out.push('{');
            for (i, (name, member)) in members.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                let _ = write!(out, "{}: ", quoted(name));
                write(member, out);
            }
            out.push('}');
        }
        AttributeValue::Ss(set) => out.push_str(&list("<<", ">>", &mut set.iter().map(|s| quoted(s)))),
        AttributeValue::Ns(set) => out.push_str(&list("<<", ">>", &mut set.iter().map(ToString::to_string))),
        AttributeValue::Bs(set) => out.push_str(&list("<<", ">>", &mut set.iter().map(|b| hexadecimal(b)))),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::from("x'");
    for byte in bytes.iter().take(CELL_MAX) {
        let _ = write!(text, "{byte:02x}");
    }
    text + "'"
}

/// An item as plain JSON: a number keeps its digits as text where JSON's readers would lose them.
fn object(item: &Item) -> Json {
    let members: Object<String, Json> =
        item.iter().map(|(name, value)| (name.clone(), json(value))).collect();
    Json::Object(members)
}

fn json(value: &AttributeValue) -> Json {
    let number = |number: &trilith_client::Number| match number.to_i64() {
        Some(whole) => Json::from(whole),
        None => Json::String(number.to_string()),
    };
    match value {
        AttributeValue::S(text) => Json::String(text.clone()),
        AttributeValue::N(n) => number(n),
        AttributeValue::B(bytes) => Json::String(hexadecimal_all(bytes)),
        AttributeValue::Bool(flag) => Json::Bool(*flag),
        AttributeValue::Null => Json::Null,
        AttributeValue::L(list) => Json::Array(list.iter().map(json).collect()),
        AttributeValue::M(map) => object(map),
        AttributeValue::Ss(set) => Json::Array(set.iter().cloned().map(Json::String).collect()),
        AttributeValue::Ns(set) => Json::Array(set.iter().map(number).collect()),
        AttributeValue::Bs(set) => {
            Json::Array(set.iter().map(|b| Json::String(hexadecimal_all(b))).collect())
        }
    }
}

fn hexadecimal_all(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use trilith_client::Number;

    use super::*;

    fn item(members: &[(&str, AttributeValue)]) -> Item {
        members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn items_of_different_attributes_share_a_table() {
        let items = [
            item(&[("pk", "a".into()), ("n", Number::from_u64(1).into())]),
            item(&[("pk", "b".into()), ("l", AttributeValue::L(vec!["it's".into(), AttributeValue::Null]))]),
        ];
        let text = Show { json: false }.items(&items);
        let cells: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().filter(|cell| *cell != "|").collect()).collect();
        assert!(cells.contains(&vec!["l", "n", "pk"]), "{text}");
        assert!(
            cells.contains(&vec!["1", "a"]) && cells.contains(&vec!["['it''s',", "NULL]", "b"]),
            "{text}"
        );
    }

    #[test]
    fn control_characters_are_written_out() {
        let evil = item(&[("a\u{1b}[2J", "x\u{7}\ny".into())]);
        let text = Show { json: false }.items(&[evil]);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.contains("\\u{7}\\ny"), "{text}");
    }

    #[test]
    fn json_keeps_every_digit() {
        let number = Number::parse("12345678901234567890.5").expect("a number");
        let items = [item(&[("n", number.into()), ("m", Number::from_u64(7).into())])];
        assert_eq!(Show { json: true }.items(&items), r#"{"m":7,"n":"12345678901234567890.5"}"#);
    }
}
