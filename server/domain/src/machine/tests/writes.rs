//! Writes of one item.

use super::*;

#[test]
fn a_put_is_stored_with_its_stamp_and_counted() {
    let mut shard = Shard::with_table();
    let replies = shard.apply_batch(&batch(vec![CommandBody::Write(put("a", 1, &[("v", s("xy"))]))]));
    // pk + "a", sk + 1 (two bytes), v + "xy"
    let size = 3 + 4 + 3;
    assert_eq!(
        replies[0].body,
        ReplyBody::Written(Written { attributes: None, old_size: 0, new_size: size })
    );
    assert_eq!(shard.counters(), (1, size));
    let key = item_key(table().table, &key(&table(), "a", 1));
    let stored = StoredItem::open(&shard.rows.0[&(Family::Items, key)]).expect("intact");
    assert_eq!(stored.header.stamp, replies[0].stamp);
    assert_eq!((stored.header.origin, stored.header.flags), (0, 0));
    assert_eq!(stored.size(), size);

    let smaller = written(shard.write(put("a", 1, &[])));
    assert_eq!((smaller.old_size, smaller.new_size), (size, size - 3));
    assert_eq!(shard.counters(), (1, size - 3));
    let gone = written(shard.write(write("a", 1, Action::Delete)));
    assert_eq!((gone.old_size, gone.new_size), (size - 3, 0));
    assert_eq!(shard.counters(), (0, 0));
    assert_eq!(shard.item("a", 1), None);
}

#[test]
fn deleting_nothing_succeeds_and_changes_nothing() {
    let mut shard = Shard::with_table();
    let hash = shard.state.hash();
    assert_eq!(written(shard.write(write("a", 1, Action::Delete))), Written::default());
    assert_eq!(shard.state.hash(), hash);
}

#[test]
fn later_commands_of_an_entry_see_the_earlier_ones() {
    let mut shard = Shard::with_table();
    let add = || {
        let mut write = write("a", 1, Action::Update(update("ADD c :one", &[(":one", n(1))])));
        write.returns = ReturnValues::UpdatedNew;
        CommandBody::Write(write)
    };
    let replies = shard.apply(vec![add(), add(), add()]);
    let counts: Vec<_> = replies.into_iter().map(|reply| written(reply).attributes).collect();
    assert_eq!(counts, [1, 2, 3].map(|count| Some(item(&[("c", n(count))]))));
}

#[test]
fn a_false_condition_changes_nothing_and_says_what_it_saw() {
    let mut shard = Shard::with_table();
    let exists = || Some(condition("attribute_exists(pk)", &[]));
    let on_nothing = Write { condition: exists(), old_on_failure: true, ..put("a", 1, &[]) };
    let failed = ReplyBody::ConditionFailed { item: None, old_size: 0, new_size: 7 };
    assert_eq!(shard.write(on_nothing), failed);
    assert_eq!(shard.counters(), (0, 0));

    shard.write(put("a", 1, &[("v", s("x"))]));
    let is_y = || Some(condition("v = :y", &[(":y", s("y"))]));
    let hash = shard.state.hash();
    let failed = |item| ReplyBody::ConditionFailed { item, old_size: 9, new_size: 0 };
    let delete = Write { condition: is_y(), ..write("a", 1, Action::Delete) };
    assert_eq!(shard.write(delete.clone()), failed(None));
    let told = Write { old_on_failure: true, ..delete };
    assert_eq!(shard.write(told), failed(shard.item("a", 1)));
    let bump = Action::Update(update("SET v = :z", &[(":z", s("z"))]));
    assert_eq!(shard.write(Write { condition: is_y(), ..write("a", 1, bump) }), failed(None));
    assert_eq!(shard.state.hash(), hash);
    let held = Write { condition: exists(), ..write("a", 1, Action::Delete) };
    assert_eq!(written(shard.write(held)).old_size, 9);
}

#[test]
fn an_update_of_nothing_begins_with_the_key() {
    let mut shard = Shard::with_table();
    let add = Action::Update(update("ADD v :n", &[(":n", n(1))]));
    assert_eq!(written(shard.write(write("a", 1, add))).new_size, 10);
    assert_eq!(shard.item("a", 1), Some(item(&[("pk", s("a")), ("sk", n(1)), ("v", n(1))])));
    assert_eq!(shard.counters(), (1, 10));
}

#[test]
fn an_update_that_only_takes_away_makes_no_item() {
    let mut shard = Shard::with_table();
    let set = AttributeValue::Ns([trilith_values::Number::from(1i64)].into());
    for text in ["REMOVE v", "DELETE v :n", "REMOVE w DELETE v :n"] {
        let action = Action::Update(update(text, &[(":n", set.clone())]));
        let all = Write { returns: ReturnValues::AllNew, ..write("a", 1, action) };
        assert_eq!(written(shard.write(all)), Written::default(), "{text}");
        assert_eq!(shard.item("a", 1), None, "{text}");
    }
    assert_eq!(shard.counters(), (0, 0));
    shard.write(put("a", 1, &[("v", n(1))]));
    shard.write(write("a", 1, Action::Update(update("REMOVE v", &[]))));
    assert_eq!(shard.item("a", 1), Some(item(&[("pk", s("a")), ("sk", n(1))])), "what is there stays");
}

#[test]
fn images_are_what_was_asked_for() {
    let mut shard = Shard::with_table();
    let mut ask = |returns, text: &str| {
        let action = Action::Update(update(text, &[(":v", n(5))]));
        written(shard.write(Write { returns, ..write("a", 1, action) })).attributes
    };
    let key = [("pk", s("a")), ("sk", n(1))];
    let with = |more: &[(&str, AttributeValue)]| {
        let mut all = item(&key);
        all.extend(item(more));
        Some(all)
    };
    assert_eq!(ask(ReturnValues::AllOld, "SET v = :v"), None, "created");
    assert_eq!(ask(ReturnValues::UpdatedOld, "SET w = :v"), None, "was not there");
    assert_eq!(ask(ReturnValues::UpdatedOld, "SET w = v + :v"), Some(item(&[("w", n(5))])));
    assert_eq!(ask(ReturnValues::UpdatedNew, "SET w = w + :v"), Some(item(&[("w", n(15))])));
    assert_eq!(ask(ReturnValues::AllNew, "SET v = :v"), with(&[("v", n(5)), ("w", n(15))]));
    assert_eq!(ask(ReturnValues::None, "SET v = :v"), None);
    assert_eq!(ask(ReturnValues::AllOld, "SET v = :v"), with(&[("v", n(5)), ("w", n(15))]));
    let old = |action| Write { returns: ReturnValues::AllOld, ..write("a", 1, action) };
    let was = with(&[("v", n(5)), ("w", n(15))]);
    let put = put("a", 1, &[]);
    assert_eq!(written(shard.write(old(put.action))).attributes, was);
    assert_eq!(written(shard.write(old(Action::Delete))).attributes, with(&[]));
    assert_eq!(written(shard.write(old(Action::Delete))).attributes, None);
}

#[test]
fn what_an_item_may_not_become_is_refused() {
    let mut shard = Shard::with_table();
    let invalid = |reply: ReplyBody| match reply {
        ReplyBody::Invalid(text) => text,
        other => panic!("not refused: {other:?}"),
    };
    let fits = s(&"x".repeat(400 * 1024 - 7 - 1));
    assert_eq!(written(shard.write(put("a", 1, &[("v", fits)]))).new_size, 400 * 1024);
    let larger = s(&"x".repeat(400 * 1024 - 7));
    assert_eq!(
        invalid(shard.write(put("a", 1, &[("v", larger)]))),
        "Item size has exceeded the maximum allowed size"
    );
    let one_more = Action::Update(update("SET w = :e", &[(":e", s(""))]));
    assert_eq!(
        invalid(shard.write(write("a", 1, one_more))),
        "Item size to update has exceeded the maximum allowed size"
    );
    let missing = Action::Update(update("SET v = nothing", &[]));
    assert_eq!(
        invalid(shard.write(write("a", 1, missing))),
        "The provided expression refers to an attribute that does not exist in the item"
    );
    let of_key = Action::Update(update("SET sk = :v", &[(":v", n(2))]));
    assert_eq!(
        invalid(shard.write(write("b", 1, of_key))),
        "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key"
    );
    let nested = |levels| (0..levels).fold(n(1), |inner, _| AttributeValue::L(vec![inner]));
    assert!(matches!(shard.write(put("c", 1, &[("v", nested(32))])), ReplyBody::Written(_)));
    let text = "Nesting Levels have exceeded supported limits";
    assert_eq!(invalid(shard.write(put("c", 1, &[("v", nested(33))]))), text);
    let wrapped = Action::Update(update("SET v = list_append(v, :l)", &[(":l", nested(33))]));
    assert_eq!(invalid(shard.write(write("c", 1, wrapped))), text);
    assert_eq!(shard.counters().0, 2);
}
