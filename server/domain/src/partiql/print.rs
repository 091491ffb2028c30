//! Writing a tree as a statement that reads as the same tree: for tests.

use std::fmt::Write;

use super::ast::*;
use crate::expr::{Path, Segment, ValueType};

pub(super) fn statement(statement: &Statement) -> String {
    match statement {
        Statement::Select(one) => select(one),
        Statement::Exists(one) => format!("EXISTS({})", select(one)),
        Statement::Insert(insert) => {
            format!("INSERT INTO {} VALUE {}", source(&insert.source), expression(&insert.value))
        }
        Statement::Update(update) => {
            let mut text = format!("UPDATE {}", source(&update.source));
            for change in &update.changes {
                let _ = match change {
                    Change::Set(to, value) => write!(text, " SET {} = {}", path(to), expression(value)),
                    Change::Remove(from) => write!(text, " REMOVE {}", path(from)),
                };
            }
            text + &tail(update.filter.as_ref(), update.returning)
        }
        Statement::Delete(delete) => {
            format!("DELETE FROM {}", source(&delete.source))
                + &tail(delete.filter.as_ref(), delete.returning)
        }
    }
}

fn tail(filter: Option<&Expression>, returning: Option<Returning>) -> String {
    let mut text = filter.map_or(String::new(), |filter| format!(" WHERE {}", expression(filter)));
    if let Some(returning) = returning {
        text = text + " " + &returning.text();
    }
    text
}

fn select(select: &Select) -> String {
    let columns = match &select.columns {
        None => "*".to_owned(),
        Some(columns) => joined(columns, path),
    };
    let mut text = format!("SELECT {columns} FROM {}", source(&select.source));
    text += &tail(select.filter.as_ref(), None);
    if !select.order.is_empty() {
        let one = |order: &Order| name(&order.attribute) + if order.descending { " DESC" } else { " ASC" };
        text = text + " ORDER BY " + &joined(&select.order, one);
    }
    text
}

fn source(source: &Source) -> String {
    let index = source.index.as_ref().map_or(String::new(), |index| format!(".{}", name(index)));
    name(&source.table) + &index
}

fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Null => "NULL",
        ValueType::Bool => "BOOLEAN",
        ValueType::B => "BLOB",
        ValueType::S => "STRING",
        ValueType::N => "NUMERIC",
        ValueType::M => "TUPLE",
        ValueType::L => "LIST",
        ValueType::Ss | ValueType::Ns | ValueType::Bs => panic!("the language has no such type"),
    }
}

fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn path(path: &Path) -> String {
    let mut out = String::new();
    for segment in path.segments() {
        match segment {
            Segment::Name(step) if out.is_empty() => out = name(step),
            Segment::Name(step) => out = out + "." + &name(step),
            Segment::Index(index) => out = out + &format!("[{index}]"),
        }
    }
    out
}

fn joined<T>(all: &[T], one: impl Fn(&T) -> String) -> String {
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

pub(super) fn expression(one: &Expression) -> String {
    let group = |one: &Expression| format!("({})", expression(one));
    match one {
        Expression::Path(place) => path(place),
        Expression::Text(content) => text(content),
        Expression::Number(digits) => digits.clone(),
        Expression::Boolean(flag) => flag.to_string(),
        Expression::Null => "NULL".to_owned(),
        Expression::Missing => "MISSING".to_owned(),
        Expression::Parameter(..) => "?".to_owned(),
        Expression::List(all) => format!("[{}]", joined(all, expression)),
        Expression::Set(all) => format!("<<{}>>", joined(all, expression)),
        Expression::Map(all) => {
            format!("{{{}}}", joined(all, |(name, value)| format!("{}: {}", text(name), expression(value))))
        }
        Expression::Call(call) => format!("{}({})", name(&call.name), joined(&call.operands, expression)),
        Expression::Not(one) => format!("NOT {}", group(one)),
        Expression::And(all) => all.iter().map(group).collect::<Vec<_>>().join(" AND "),
        Expression::Or(all) => all.iter().map(group).collect::<Vec<_>>().join(" OR "),
        Expression::Compare(comparator, a, b) => format!("{} {} {}", group(a), comparator.symbol(), group(b)),
        Expression::Between(a, b, c) => format!("{} BETWEEN {} AND {}", group(a), group(b), group(c)),
        Expression::In(a, list) => format!("{} IN [{}]", group(a), joined(list, expression)),
        Expression::IsMissing(a) => format!("{} IS MISSING", group(a)),
        Expression::IsType(a, kind) => format!("{} IS {}", group(a), type_name(*kind)),
        Expression::Plus(a, b) => format!("{} + {}", group(a), group(b)),
        Expression::Minus(a, b) => format!("{} - {}", group(a), group(b)),
    }
}
