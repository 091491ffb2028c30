//! The scripts in `testscripts/expr`: expressions with what they answer.
//!
//! A script is blocks with an empty line between them. A block gives one or more expressions (`condition:`, `filter:`, `update:`,
//! `projection:`, `key:`), and where wanted `names:`, `values:` and `item:` (see [`super::notation`]). All expressions of a block
//! share the placeholders; the first one is run. `=>` stands before the answer: true or false, an item, a bound key, or `error:`
//! with the message.
//!
//! - An update may add lines `old` and `new`: what `UPDATED_OLD` and `UPDATED_NEW` answer. `item: none` is an item that does not
//!   exist.
//! - A key condition is bound when `schema:` gives names and types (`pk S sk N`).
//! - `absent: UpdateExpression …` is a request without these expressions.
//! - `{{3|text}}` stands for the text three times; `{i}` in it is the number of the turn.
//!
//! `UPDATE_GOLDEN=1 cargo test golden` writes the answers into the scripts; the review is reading the diff.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path as File, PathBuf};

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::{AttributeValue, Item, KeyType, Map};

use super::notation::{read_map, write, write_map};
use super::{ExpressionKind, KeyCondition, Placeholders, RangeTest, updated_view};
use crate::error::OpError;

#[test]
fn scripts_answer_as_written() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let folder = File::new(env!("CARGO_MANIFEST_DIR")).join("testscripts/expr");
    let mut scripts: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder of scripts")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    scripts.sort();
    let (mut cases, mut wrong) = (0, Vec::new());
    for script in scripts {
        let text = fs::read_to_string(&script).expect("a script");
        let mut blocks = Vec::new();
        for block in text.trim_end().split("\n\n") {
            let case = Case::parse(block);
            if case.lines.is_empty() {
                blocks.push(block.to_owned());
                continue;
            }
            cases += 1;
            let actual = case.answer();
            let expected: Vec<String> = case.expected.iter().map(|line| expand(line)).collect();
            if actual == expected {
                blocks.push(block.to_owned());
            } else {
                let name = script.file_name().expect("a name").to_string_lossy();
                wrong.push(format!("{name}:\n{block}\nANSWERS\n{}\n", actual.join("\n")));
                blocks.push(case.with_answer(&actual));
            }
        }
        if update {
            fs::write(&script, blocks.join("\n\n") + "\n").expect("written");
        }
    }
    assert!(update || wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 400, "only {cases} cases were found");
}

/// One block.
struct Case<'t> {
    /// Comment and input lines, as they stand.
    input: Vec<&'t str>,
    /// Keys and values of the input lines.
    lines: Vec<(&'t str, String)>,
    /// Answer lines, as they stand.
    expected: Vec<&'t str>,
}

impl<'t> Case<'t> {
    fn parse(block: &'t str) -> Self {
        let mut case = Case { input: Vec::new(), lines: Vec::new(), expected: Vec::new() };
        for line in block.lines() {
            if let Some(answer) = line.strip_prefix("=> ") {
                case.expected.push(answer);
            } else if !case.expected.is_empty() {
                case.expected.push(line);
            } else {
                case.input.push(line);
                if let Some((key, value)) = line.split_once(": ").filter(|_| !line.starts_with('#')) {
                    case.lines.push((key, expand(value)));
                }
            }
        }
        case
    }

    fn get(&self, key: &str) -> Option<&str> {
        let line = self.lines.iter().find(|(name, _)| *name == key);
        line.map(|(_, value)| value.as_str())
    }

    fn map(&self, key: &str) -> Option<Map> {
        self.get(key).map(|text| read_map(text).unwrap_or_else(|error| panic!("{error} in {text}")))
    }

    fn with_answer(&self, answer: &[String]) -> String {
        format!("{}\n=> {}", self.input.join("\n"), answer.join("\n"))
    }

    fn answer(&self) -> Vec<String> {
        self.run().unwrap_or_else(|error| vec![format!("error: {}", error.message())])
    }

    fn run(&self) -> Result<Vec<String>, OpError> {
        let names = self.map("names").map(|names| {
            let text = |value: AttributeValue| value.as_s().expect("a name").to_owned();
            names.into_iter().map(|(key, value)| (key, text(value))).collect::<BTreeMap<String, String>>()
        });
        let values = self.map("values");
        let kinds = self.kinds();
        let mut placeholders = Placeholders::new(names.as_ref(), values.as_ref(), &kinds)?;
        let mut runs: Vec<Run<'_>> = Vec::new();
        for (key, text) in &self.lines {
            let Some(kind) = kind_of(key) else { continue };
            runs.push(match kind {
                ExpressionKind::Condition | ExpressionKind::Filter | ExpressionKind::SearchCondition => {
                    let condition = through_bytes(placeholders.condition(kind, text)?);
                    Box::new(move |case| Ok(vec![condition.holds_for(case.item().as_ref()).to_string()]))
                }
                ExpressionKind::Projection => {
                    let projection = through_bytes(placeholders.projection(text)?);
                    Box::new(move |case| {
                        Ok(vec![write_map(&projection.project(&case.item().unwrap_or_default()))])
                    })
                }
                ExpressionKind::Update => {
                    let update = through_bytes(placeholders.update(text)?);
                    Box::new(move |case| case.run_update(&update))
                }
                ExpressionKind::KeyCondition => {
                    let condition = placeholders.key_condition(text).and_then(KeyCondition::of)?;
                    Box::new(move |case| case.bind(&condition))
                }
            });
        }
        placeholders.finish()?;
        match runs.first() {
            Some(run) => run(self),
            None => Ok(vec!["ok".to_owned()]),
        }
    }

    fn kinds(&self) -> Vec<(ExpressionKind, bool)> {
        let absent = self.get("absent").unwrap_or_default().split_whitespace();
        let absent = absent.map(|name| {
            let kind = ALL_KINDS.into_iter().find(|kind| kind.to_string() == name);
            (kind.expect("an expression parameter"), false)
        });
        let present = self.lines.iter().filter_map(|(key, _)| kind_of(key));
        present.map(|kind| (kind, true)).chain(absent).collect()
    }

    /// `None` for an item that does not exist; without an `item:` line too.
    fn item(&self) -> Option<Item> {
        if self.get("item") == Some("none") {
            return None;
        }
        self.map("item")
    }

    fn run_update(&self, update: &super::Update) -> Result<Vec<String>, OpError> {
        let old = self.item();
        let mut new = old.clone().unwrap_or_default();
        let before = new.clone();
        let touched = match old {
            Some(_) => update.apply(&mut new),
            None => update.apply_to_new(&mut new),
        };
        let touched = touched.inspect_err(|_| assert_eq!(new, before, "an error changed the item"))?;
        let mut answer = vec![write_map(&new)];
        for (name, item) in [("old", &before), ("new", &new)] {
            if self.expected.iter().any(|line| line.split(' ').next() == Some(name)) {
                answer.push(format!("{name} {}", write_map(&updated_view(item, &touched))));
            }
        }
        Ok(answer)
    }

    fn bind(&self, condition: &KeyCondition) -> Result<Vec<String>, OpError> {
        let schema: Vec<&str> = self.get("schema").unwrap_or("pk S sk S").split(' ').collect();
        let key_type = |at: usize| schema[at].parse::<KeyType>().expect("a key type");
        let range = (schema.len() > 2).then(|| (schema[2], key_type(3)));
        let bound = through_bytes(condition.bind(schema[0], key_type(1), range)?);
        let shown = |value: &trilith_values::KeyValue| write(&AttributeValue::from(value));
        let range = bound.range.map(|test| match test {
            RangeTest::Eq(value) => format!(", sort = {}", shown(&value)),
            RangeTest::Lt(value) => format!(", sort < {}", shown(&value)),
            RangeTest::Le(value) => format!(", sort <= {}", shown(&value)),
            RangeTest::Gt(value) => format!(", sort > {}", shown(&value)),
            RangeTest::Ge(value) => format!(", sort >= {}", shown(&value)),
            RangeTest::Between(low, high) => {
                format!(", sort from {} to {}", shown(&low), shown(&high))
            }
            RangeTest::BeginsWith(value) => format!(", sort begins with {}", shown(&value)),
        });
        let partition = shown(&bound.hash);
        Ok(vec![format!("partition {partition}{}", range.unwrap_or_default())])
    }
}

type Run<'r> = Box<dyn Fn(&Case<'_>) -> Result<Vec<String>, OpError> + 'r>;

const ALL_KINDS: [ExpressionKind; 5] = [
    ExpressionKind::Condition,
    ExpressionKind::Filter,
    ExpressionKind::Projection,
    ExpressionKind::Update,
    ExpressionKind::KeyCondition,
];

fn kind_of(key: &str) -> Option<ExpressionKind> {
    Some(match key {
        "condition" => ExpressionKind::Condition,
        "filter" => ExpressionKind::Filter,
        "projection" => ExpressionKind::Projection,
        "update" => ExpressionKind::Update,
        "key" => ExpressionKind::KeyCondition,
        _ => return None,
    })
}

/// Every tree of every script also proves its binary form.
fn through_bytes<T: BorshSerialize + BorshDeserialize + PartialEq + std::fmt::Debug>(tree: T) -> T {
    let bytes = borsh::to_vec(&tree).expect("written to memory");
    let read = T::try_from_slice(&bytes).expect("what was written");
    assert_eq!(read, tree);
    read
}

/// Replaces `{{n|text}}` by n times the text.
fn expand(line: &str) -> String {
    let Some((before, rest)) = line.split_once("{{") else {
        return line.to_owned();
    };
    let (repeat, after) = rest.split_once("}}").expect("a closed repetition");
    let (times, text) = repeat.split_once('|').expect("a number and a text");
    let times: usize = times.parse().expect("a number");
    let turns: String = (0..times).map(|turn| text.replace("{i}", &turn.to_string())).collect();
    format!("{before}{turns}{}", expand(after))
}
