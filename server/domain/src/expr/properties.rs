//! What holds for every expression, item and byte string.

use std::collections::{BTreeMap, BTreeSet};

use borsh::BorshDeserialize;
use proptest::prelude::*;
use trilith_values::{AttributeValue, Item, Map, Number};

use super::ast::{Comparator, Condition, Operand, SetValue, Test, Update, ValueType};
use super::limits::MAX_ITEM_BYTES;
use super::{ExpressionKind, KeyCondition, Path, Placeholders, Projection, Segment, updated_view};

const KINDS: [(ExpressionKind, bool); 5] = [
    (ExpressionKind::Update, true),
    (ExpressionKind::Condition, true),
    (ExpressionKind::Filter, true),
    (ExpressionKind::KeyCondition, true),
    (ExpressionKind::Projection, true),
];

fn names() -> BTreeMap<String, String> {
    let pairs = [("#a", "a"), ("#b", "b.c"), ("#size", "size")];
    pairs.map(|(key, name)| (key.to_owned(), name.to_owned())).into()
}

fn values() -> Map {
    let list = AttributeValue::L(vec![number(1), "x".into()]);
    let set = AttributeValue::Ss(BTreeSet::from(["x".to_owned()]));
    let pairs = [(":n", number(1)), (":s", "x".into()), (":l", list), (":x", set), (":t", "SS".into())];
    pairs.map(|(key, value)| (key.to_owned(), value)).into()
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(Number::from_i64(value))
}

/// Words of the language, to be thrown together.
fn soup() -> impl Strategy<Value = String> {
    const WORDS: [&str; 49] = [
        "a",
        "b",
        "c",
        "#a",
        "#b",
        "#size",
        "#none",
        ":n",
        ":s",
        ":l",
        ":x",
        ":t",
        ":none",
        "(",
        "(",
        ")",
        ")",
        ",",
        ",",
        ".",
        ".",
        "[0]",
        "[1]",
        "[",
        "]",
        "7",
        "=",
        "=",
        "<>",
        "<",
        "<=",
        ">",
        "+",
        "-",
        "AND",
        "or",
        "NOT",
        "BETWEEN",
        "IN",
        "SET",
        "REMOVE",
        "ADD",
        "DELETE",
        "size(",
        "contains(",
        "attribute_exists(",
        "begins_with(",
        "if_not_exists(",
        "list_append(",
    ];
    prop::collection::vec(prop::sample::select(&WORDS[..]), 0..24).prop_map(|words| words.join(" "))
}

fn value() -> impl Strategy<Value = AttributeValue> {
    let scalar = prop_oneof![
        (-3i64..3).prop_map(number),
        "[ab]{0,2}".prop_map(AttributeValue::from),
        prop::collection::vec(0u8..2, 0..3).prop_map(AttributeValue::B),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null),
        prop::collection::btree_set("[ab]", 1..3).prop_map(AttributeValue::Ss),
        prop::collection::btree_set((0i64..3).prop_map(Number::from_i64), 1..3).prop_map(AttributeValue::Ns),
        prop::collection::btree_set(prop::collection::vec(0u8..2, 0..2), 1..3).prop_map(AttributeValue::Bs),
    ];
    scalar.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(AttributeValue::M),
        ]
    })
}

fn item() -> impl Strategy<Value = Item> {
    prop::collection::btree_map("[abc]", value(), 0..4)
}

fn path() -> impl Strategy<Value = Path> {
    let segment = prop_oneof!["[abc]".prop_map(Segment::Name), (0u32..4).prop_map(Segment::Index),];
    ("[abc]", prop::collection::vec(segment, 0..3)).prop_map(|(name, segments)| {
        let mut path = Path::attribute(name);
        segments.into_iter().for_each(|segment| path.push(segment));
        path
    })
}

/// A path as it is written in an expression.
fn written(path: &Path) -> String {
    let mut text = String::new();
    for segment in path.segments() {
        match segment {
            Segment::Name(name) if text.is_empty() => text.push_str(name),
            Segment::Name(name) => text.push_str(&format!(".{name}")),
            Segment::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

fn operand() -> impl Strategy<Value = Operand> {
    prop_oneof![
        path().prop_map(Operand::Path),
        path().prop_map(Operand::Size),
        (0u16..6).prop_map(Operand::Literal),
        (0u16..6).prop_map(Operand::LiteralSize),
    ]
}

fn comparator() -> impl Strategy<Value = Comparator> {
    prop::sample::select(vec![
        Comparator::Equal,
        Comparator::NotEqual,
        Comparator::Less,
        Comparator::LessEqual,
        Comparator::Greater,
        Comparator::GreaterEqual,
    ])
}

/// Any tree, also such as no parser makes.
fn any_test() -> impl Strategy<Value = Test> {
    let leaf = prop_oneof![
        (comparator(), operand(), operand()).prop_map(|(c, l, r)| Test::Compare(c, l, r)),
        (operand(), operand(), operand()).prop_map(|(v, l, h)| Test::Between(v, l, h)),
        (operand(), prop::collection::vec(operand(), 0..3)).prop_map(|(v, list)| Test::In(v, list)),
        path().prop_map(Test::Exists),
        path().prop_map(Test::NotExists),
        path().prop_map(|path| Test::HasType(path, ValueType::Ss)),
        (operand(), operand()).prop_map(|(v, p)| Test::BeginsWith(v, p)),
        (operand(), operand()).prop_map(|(v, e)| Test::Contains(v, e)),
    ];
    nested(leaf)
}

fn nested(leaf: impl Strategy<Value = Test> + 'static) -> impl Strategy<Value = Test> {
    leaf.prop_recursive(4, 24, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several().prop_map(Test::And),
            several().prop_map(Test::Or),
            inner.clone().prop_map(|test| Test::Not(Box::new(test))),
        ]
    })
}

/// A tree of comparisons `path < :n`, which print and read back.
fn printable_test() -> impl Strategy<Value = Test> {
    nested(
        (comparator(), path()).prop_map(|(comparator, path)| {
            Test::Compare(comparator, Operand::Path(path), Operand::Literal(0))
        }),
    )
}

/// The text of a printable tree, with no parentheses but the needed ones.
fn print(test: &Test) -> String {
    let joined = |tests: &[Test], word: &str| tests.iter().map(grouped).collect::<Vec<_>>().join(word);
    match test {
        Test::And(tests) => joined(tests, " AND "),
        Test::Or(tests) => joined(tests, " OR "),
        Test::Not(test) => format!("NOT {}", grouped(test)),
        Test::Compare(comparator, Operand::Path(path), _) => {
            format!("{} {} :n", written(path), comparator.symbol())
        }
        other => panic!("not printable: {other:?}"),
    }
}

fn grouped(test: &Test) -> String {
    match test {
        Test::And(_) | Test::Or(_) => format!("({})", print(test)),
        _ => print(test),
    }
}

/// Reads `text` as each sort of expression and runs what comes out.
fn read_and_run(text: &str, item: &Item) {
    let (names, values) = (names(), values());
    let mut placeholders = Placeholders::new(Some(&names), Some(&values), &KINDS).expect("good maps");
    if let Ok(condition) = placeholders.condition(ExpressionKind::Filter, text) {
        condition.evaluate(item);
        assert!(condition.paths().all(|path| !path.segments().is_empty()));
        let bytes = borsh::to_vec(&condition).expect("written");
        assert_eq!(Condition::try_from_slice(&bytes).expect("read"), condition);
    }
    if let Ok(update) = placeholders.update(text) {
        let mut new = item.clone();
        if update.apply(&mut new).is_err() {
            assert_eq!(&new, item);
        }
        let bytes = borsh::to_vec(&update).expect("written");
        assert_eq!(Update::try_from_slice(&bytes).expect("read"), update);
    }
    if let Ok(projection) = placeholders.projection(text) {
        projection.project(item);
    }
    if let Ok(key) = placeholders.key_condition(text).and_then(KeyCondition::of) {
        let _ = key.bind("a", trilith_values::KeyType::S, Some(("b", trilith_values::KeyType::N)));
    }
    let _ = placeholders.finish();
}

fn update_of(text: &str, values: &Map) -> Update {
    let mut placeholders = Placeholders::new(None, Some(values), &KINDS).expect("good maps");
    placeholders.update(text).expect("a good update")
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in any::<String>(), item in item()) {
        read_and_run(&text, &item);
    }

    #[test]
    fn any_words_are_read_without_panic(text in soup(), item in item()) {
        read_and_run(&text, &item);
        read_and_run(&format!("SET {text}"), &item);
        read_and_run(&format!("a = {text}"), &item);
    }

    #[test]
    fn any_tree_answers_for_any_item(test in any_test(), literals in prop::collection::vec(value(), 0..5), item in item()) {
        let condition = Condition { literals, test };
        let answer = condition.evaluate(&item);
        let negated = Condition {
            literals: condition.literals.clone(),
            test: Test::Not(Box::new(condition.test.clone())),
        };
        prop_assert_eq!(negated.evaluate(&item), !answer);
        let bytes = borsh::to_vec(&condition).expect("written");
        prop_assert_eq!(Condition::try_from_slice(&bytes).expect("read"), condition);
    }

    #[test]
    fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), item in item()) {
        if let Ok(condition) = Condition::try_from_slice(&bytes) {
            condition.evaluate(&item);
        }
        if let Ok(update) = Update::try_from_slice(&bytes) {
            let _ = update.apply(&mut item.clone());
        }
        if let Ok(projection) = Projection::try_from_slice(&bytes) {
            projection.project(&item);
        }
        let _ = SetValue::try_from_slice(&bytes);
    }

    #[test]
    fn damaged_updates_decode_without_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), item in item()) {
        let values = values();
        let update = update_of("SET a = if_not_exists(b.c[1], :n) + :n, b[2] = list_append(:l, c) REMOVE c.a ADD d :n", &values);
        let mut bytes = borsh::to_vec(&update).expect("written");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(update) = Update::try_from_slice(&bytes) {
            let _ = update.apply(&mut item.clone());
            let _ = update.apply_to_new(&mut Item::new());
        }
    }

    #[test]
    fn a_printed_condition_reads_back(test in printable_test()) {
        let values = values();
        let text = print(&test);
        prop_assume!(text.len() <= 4096);
        let mut placeholders = Placeholders::new(None, Some(&values), &KINDS).expect("good maps");
        let condition = placeholders.condition(ExpressionKind::Condition, &text);
        prop_assert_eq!(condition.expect("a good condition").test, test, "{}", text);
    }

    #[test]
    fn what_was_set_is_read(path in path(), new_value in value(), old in item()) {
        let values = Map::from([(":v".to_owned(), new_value.clone())]);
        let update = update_of(&format!("SET {} = :v", written(&path)), &values);
        let mut new = old.clone();
        match update.apply(&mut new) {
            Err(error) => {
                prop_assert_eq!(error, super::UpdateError::InvalidPath);
                prop_assert!(path.is_nested());
                prop_assert_eq!(&new, &old);
            }
            Ok(touched) => {
                prop_assert_eq!(&touched, &vec![path.clone()]);
                let shown = updated_view(&new, &touched);
                match path.find(&new) {
                    Some(found) => {
                        prop_assert_eq!(found, &new_value);
                        prop_assert!(!shown.is_empty());
                    }
                    // Only an index behind the end leads nowhere afterwards; the value is the list's last.
                    None => {
                        let mut parent = path.clone();
                        prop_assert!(matches!(parent.pop(), Some(Segment::Index(_))));
                        let Some(AttributeValue::L(list)) = parent.find(&new) else {
                            panic!("no list at {parent}");
                        };
                        prop_assert_eq!(list.last(), Some(&new_value));
                        prop_assert!(shown.is_empty());
                    }
                }
            }
        }
    }

    #[test]
    fn what_was_removed_is_gone_and_the_rest_stays(path in path(), old in item()) {
        let update = update_of(&format!("REMOVE {}", written(&path)), &values());
        let mut new = old.clone();
        if update.apply(&mut new).is_err() {
            return Ok(());
        }
        match path.find(&old) {
            None => prop_assert_eq!(new, old),
            Some(removed) => {
                // Putting it back gives the old item, except in a list, which closed its ranks.
                if let Some(Segment::Name(_)) = path.segments().last() {
                    prop_assert!(path.find(&new).is_none());
                    let values = Map::from([(":v".to_owned(), removed.clone())]);
                    update_of(&format!("SET {} = :v", written(&path)), &values).apply(&mut new).expect("its place is there");
                    prop_assert_eq!(new, old);
                } else {
                    prop_assert_ne!(new, old);
                }
            }
        }
    }

    #[test]
    fn a_projection_of_everything_is_the_item(item in item()) {
        prop_assume!(!item.is_empty());
        let text: Vec<&str> = item.keys().map(String::as_str).collect();
        let mut placeholders = Placeholders::new(None, None, &KINDS).expect("no maps");
        let projection = placeholders.projection(&text.join(", ")).expect("a good projection");
        prop_assert_eq!(projection.project(&item), item);
    }

    #[test]
    fn a_projection_keeps_what_its_paths_find(paths in prop::collection::vec(path(), 1..4), item in item()) {
        let projected = updated_view(&item, &paths);
        let without_indexes = paths.iter().filter(|path| {
            path.segments().iter().all(|segment| matches!(segment, Segment::Name(_)))
        });
        for path in without_indexes {
            let overlapped = paths.iter().any(|other| other != path && other.root() == path.root());
            if !overlapped {
                prop_assert_eq!(path.find(&projected), path.find(&item));
            }
        }
        for name in projected.keys() {
            prop_assert!(paths.iter().any(|path| path.root() == name));
        }
    }
}

/// The deepest texts that there are, read, run, encoded and dropped on a stack a quarter of the usual one.
#[test]
fn depth_is_bounded_for_the_stack() {
    let left_nested = |open: usize| format!("{}a = :n{}", "(".repeat(open), " OR b = :n)".repeat(open));
    let texts = [
        "(".repeat(4096),
        format!("{}a = :n{}", "(".repeat(2044), ")".repeat(2044)),
        left_nested(149),
        left_nested(290),
        format!("{}a = :n", "NOT ".repeat(299)),
        format!("{}a = :n{}", "NOT (".repeat(298), ")".repeat(298)),
        format!("{}a{} = :n", "size(".repeat(300), ")".repeat(300)),
        "f(".repeat(2048),
        format!("SET a = {}:n{}", "if_not_exists(b,".repeat(220), ")".repeat(220)),
        format!("SET a = {}:n{}", "(".repeat(2000), ")".repeat(2000)),
        format!("SET a = {}b{}", "(".repeat(290), " + :n)".repeat(290)),
        format!("SET a = {}", "(".repeat(4000)),
        format!("SET a = {}", "f((".repeat(1300)),
        format!("attribute_exists({}a{})", "(".repeat(2000), ")".repeat(2000)),
    ];
    let run = move || {
        let item = Item::from([("a".to_owned(), number(1)), ("b".to_owned(), number(1))]);
        for text in &texts {
            read_and_run(text, &item);
        }
        let mut not = Test::Exists(Path::attribute("a"));
        for _ in 0..super::ast::MAX_DEPTH - 1 {
            not = Test::Not(Box::new(not));
        }
        let deepest = Condition { literals: Vec::new(), test: not };
        let bytes = borsh::to_vec(&deepest).expect("written");
        assert_eq!(Condition::try_from_slice(&bytes).expect("read"), deepest);
        deepest.evaluate(&item);
    };
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(run);
    thread.expect("a thread").join().expect("no panic");
}

/// Four kilobytes of text may not become gigabytes: each value is stored once, and writing stops at an item's size.
#[test]
fn a_value_used_often_is_stored_once() {
    let big = AttributeValue::S("x".repeat(MAX_ITEM_BYTES / 2));
    let values = Map::from([(":v".to_owned(), big)]);
    let sets: Vec<String> = (0..500).map(|n| format!("a{n}=:v")).collect();
    let update = update_of(&format!("SET {}", sets.join(",")), &values);
    let bytes = borsh::to_vec(&update).expect("written");
    assert!(bytes.len() < MAX_ITEM_BYTES, "{} bytes", bytes.len());
    let mut item = Item::new();
    assert_eq!(update.apply(&mut item), Err(super::UpdateError::ItemTooLarge));
    assert!(item.is_empty());
}
