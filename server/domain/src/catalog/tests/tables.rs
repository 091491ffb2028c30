//! Tables, their settings and their limits.

use super::*;

#[test]
fn a_table_tiles_the_hashes_over_the_data_shards() {
    let mut books = Books::with_shards(4);
    let mut firsts = BTreeSet::new();
    for i in 0..4 {
        let table = books.table(create(&format!("t{i}"), on_demand()));
        let mut next = Some(0);
        for span in &table.spans {
            assert_eq!(Some(span.interval.first), next, "no gap, no overlap");
            next = span.interval.last.checked_add(1);
        }
        assert_eq!(next, None, "to the last hash");
        let owners: BTreeSet<ShardId> = table.spans.iter().map(|span| span.shard).collect();
        assert_eq!(owners, (1..=4).map(ShardId).collect());
        firsts.insert(table.spans[0].shard);
        for hash in [0, 1, u64::MAX / 3, u64::MAX] {
            let owner = table.shard_of(hash);
            assert!(table.spans.iter().any(|span| span.shard == owner && span.interval.contains(hash)));
        }
    }
    assert_eq!(firsts.len(), 4, "another shard begins each time");
    assert_eq!(HashInterval::part(3, 4).last, u64::MAX);
}

#[test]
fn a_table_lives_and_is_forgotten_and_its_id_is_spent() {
    let mut books = Books::with_shards(1);
    let table = books.table(create("t", on_demand()));
    assert_eq!((table.id, table.status), (TableId(1), TableStatus::Creating));
    assert_eq!(table.on_demand_since, Some(table.created));
    let exists = books.apply(create("t", provisioned(1, 1)));
    assert_eq!(exists, CatalogReply::TableExists(Box::new(table.clone())));
    assert!(matches!(books.apply(delete("t")), CatalogReply::TableBusy(_)));
    let gone = CatalogCommand::TableGone { table: table.id };
    assert!(matches!(books.apply(gone.clone()), CatalogReply::TableBusy(_)));
    let ready = CatalogCommand::TableReady { table: table.id };
    assert_eq!(books.table(ready.clone()).status, TableStatus::Active);
    let version = books.catalog().version();
    assert_eq!(books.table(ready.clone()).status, TableStatus::Active);
    assert_eq!(books.catalog().version(), version, "again changes nothing");
    assert_eq!(books.table(delete("t")).status, TableStatus::Deleting);
    assert_eq!(books.table(delete("t")).status, TableStatus::Deleting);
    assert!(matches!(books.apply(ready.clone()), CatalogReply::TableBusy(_)));
    assert!(matches!(books.apply(create("t", on_demand())), CatalogReply::TableExists(_)));
    assert_eq!(books.apply(gone.clone()), CatalogReply::Done);
    assert_eq!(books.apply(gone), CatalogReply::Done);
    assert_eq!(books.apply(ready), CatalogReply::NotFound);
    assert_eq!(books.apply(delete("t")), CatalogReply::NotFound);
    assert_eq!(books.catalog().count_tables(ACCOUNT), 0);
    assert_eq!(books.table(create("t", on_demand())).id, TableId(2));
}

#[test]
fn deletion_protection_protects() {
    let mut books = Books::with_shards(1);
    books.active("t", TableDefinition { deletion_protection: true, ..on_demand() });
    assert_eq!(books.apply(delete("t")), CatalogReply::Protected);
    books.alter(|asked| asked.deletion_protection = Some(false)).expect("altered");
    assert_eq!(books.table(delete("t")).status, TableStatus::Deleting);
}

#[test]
fn an_account_has_a_limit_of_tables() {
    let mut catalog = Catalog::default();
    let CatalogCommand::Bootstrap { cluster, nodes, shards } = bootstrap(1) else { unreachable!() };
    let bootstrap = CatalogCommand::Bootstrap { cluster, nodes, shards };
    let mut run = |command: &CatalogCommand| {
        let outcome = apply(&catalog, command, Stamp(1));
        for change in outcome.changes {
            catalog.make(change);
        }
        outcome.reply
    };
    run(&bootstrap);
    for i in 0..crate::catalog::tables::TABLES_MAX {
        assert!(matches!(run(&create(&format!("t{i}"), on_demand())), CatalogReply::Table(_)));
    }
    let text = limit_text(run(&create("one-more", on_demand())));
    assert_eq!(text, "Subscriber limit exceeded: There is a limit of 2500 tables per subscriber");
    let CatalogCommand::CreateTable { name, uuid, seed, definition, tags, .. } =
        create("one-more", on_demand())
    else {
        unreachable!()
    };
    let other = CatalogCommand::CreateTable { account: 1, name, uuid, seed, definition, tags };
    assert!(matches!(run(&other), CatalogReply::Table(_)), "of another account");
}

#[test]
fn names_are_listed_in_order_of_bytes() {
    let mut books = Books::with_shards(1);
    for name in ["b.b", "B", "a", "b-b"] {
        books.table(create(name, on_demand()));
    }
    let names = |after| books.catalog().table_names(ACCOUNT, after).collect::<Vec<_>>();
    assert_eq!(names(None), ["B", "a", "b-b", "b.b"]);
    assert_eq!(names(Some("a")), ["b-b", "b.b"]);
    assert_eq!(names(Some("aa")), ["b-b", "b.b"]);
    assert_eq!(names(Some("b.b")), [""; 0]);
    assert_eq!(books.catalog().table_names(ACCOUNT + 1, None).count(), 0);
    let found = books.catalog().table_named(ACCOUNT, "a").map(|table| table.name.clone());
    assert_eq!(found.as_deref(), Some("a"));
    assert_eq!(books.catalog().table_named(ACCOUNT + 1, "a"), None);
}

#[test]
fn units_change_within_the_rules() {
    let mut books = Books::with_shards(1);
    books.active("t", provisioned(10, 10));
    let text = invalid_text(books.units(10, 10).expect_err("unchanged"));
    assert!(text.starts_with(
        "The provisioned throughput for the table will not change. The requested value equals the current value."
    ));
    let raised = books.units(20, 10).expect("raised");
    assert!(raised.last_increase.is_some() && raised.last_decrease.is_none());
    let both = books.units(10, 20).expect("one up, one down");
    assert!(both.last_increase > raised.last_increase && both.last_decrease.is_some());
    assert_eq!((both.decreases.len(), both.definition.throughput), (1, Units { read: 10, write: 20 }));
    // With something else asked for, equal units are no reason to refuse.
    let protected = books.alter(|asked| {
        asked.throughput = Some(Units { read: 10, write: 20 });
        asked.deletion_protection = Some(true);
    });
    assert!(protected.expect("altered").definition.deletion_protection);
}

#[test]
fn decreases_are_counted_by_day_and_hour() {
    let mut books = Books::with_shards(1);
    books.active("t", provisioned(1_000, 10));
    let mut units = 1_000;
    let mut lower = |books: &mut Books| {
        units -= 1;
        books.units(units, 10)
    };
    for _ in 0..4 {
        lower(&mut books).expect("four at noon");
    }
    let text = limit_text(lower(&mut books).expect_err("a fifth"));
    assert!(text.ends_with("Number of decreases today: 4."), "{text}");
    books.now += HOUR;
    lower(&mut books).expect("one more after an hour");
    lower(&mut books).expect_err("only one");
    books.now += 2 * HOUR;
    for _ in 0..2 {
        lower(&mut books).expect("two more after two hours");
    }
    lower(&mut books).expect_err("only two");
    // The next day begins anew.
    books.now = (books.now / DAY + 1) * DAY;
    let mut count = 0;
    for hour in 0..24 {
        books.now = books.now / DAY * DAY + hour * HOUR + 1;
        while let Ok(table) = lower(&mut books) {
            count += 1;
            assert_eq!(table.decreases.len(), count);
        }
    }
    assert_eq!(count, 27, "the most of a day");
}

#[test]
fn billing_modes_have_their_own_settings() {
    let mut books = Books::with_shards(1);
    books.active("t", provisioned(10, 10));
    let maximum = Some(Units { read: 5, write: -1 });
    invalid_text(books.alter(|asked| asked.on_demand_maximum = maximum).expect_err("provisioned"));
    let text = invalid_text(
        books
            .alter(|asked| {
                asked.billing = Some(BillingMode::PayPerRequest);
                asked.throughput = Some(Units { read: 1, write: 1 });
            })
            .expect_err("both"),
    );
    assert_eq!(text, "ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST");
    let table = books.alter(|asked| {
        asked.billing = Some(BillingMode::PayPerRequest);
        asked.on_demand_maximum = maximum;
    });
    let table = table.expect("on demand now");
    assert_eq!(table.definition.throughput, Units::default());
    assert_eq!(table.definition.on_demand_maximum, maximum);
    assert!(table.on_demand_since > Some(table.created));
    let none = Some(Units { read: -1, write: -1 });
    let table = books.alter(|asked| asked.on_demand_maximum = none).expect("no maximum");
    assert_eq!(table.definition.on_demand_maximum, None);
    books.alter(|asked| asked.on_demand_maximum = maximum).expect("set again");
    invalid_text(books.units(1, 1).expect_err("on demand"));
    let text = invalid_text(
        books.alter(|asked| asked.billing = Some(BillingMode::Provisioned)).expect_err("no units"),
    );
    assert!(text.ends_with("must both be specified when BillingMode is PROVISIONED"), "{text}");
    let table = books.alter(|asked| {
        asked.billing = Some(BillingMode::Provisioned);
        asked.throughput = Some(Units { read: 3, write: 4 });
    });
    let table = table.expect("provisioned again");
    assert_eq!(table.definition.on_demand_maximum, None);
    assert_eq!(table.definition.throughput, Units { read: 3, write: 4 });
    assert!(table.decreases.is_empty() && table.last_decrease.is_none(), "a switch is no decrease");
}

#[test]
fn switches_and_classes_have_their_limits() {
    let mut books = Books::with_shards(1);
    books.active("t", provisioned(1, 1));
    let switch = |books: &mut Books| {
        books.now += SECOND;
        books.alter(|asked| asked.billing = Some(BillingMode::PayPerRequest))?;
        books.alter(|asked| {
            asked.billing = Some(BillingMode::Provisioned);
            asked.throughput = Some(Units { read: 1, write: 1 });
        })
    };
    for _ in 0..4 {
        switch(&mut books).expect("four a day");
    }
    limit_text(switch(&mut books).expect_err("a fifth"));
    books.now += DAY;
    let table = switch(&mut books).expect("the next day");
    assert_eq!(table.to_on_demand.len(), 1, "old ones are forgotten");

    let class = |books: &mut Books, class| books.alter(|asked| asked.class = Some(class));
    let table = class(&mut books, TableClass::Standard).expect("as it was");
    assert_eq!((table.definition.class, table.class_changed), (Some(TableClass::Standard), None));
    class(&mut books, TableClass::StandardInfrequentAccess).expect("once");
    let table = class(&mut books, TableClass::Standard).expect("twice");
    assert!(table.class_changed.is_some());
    limit_text(class(&mut books, TableClass::StandardInfrequentAccess).expect_err("three times"));
    books.now += 30 * DAY + SECOND;
    class(&mut books, TableClass::StandardInfrequentAccess).expect("a month later");
}

#[test]
fn warm_throughput_only_rises() {
    let mut books = Books::with_shards(1);
    books.active("t", on_demand());
    let mut warm = |read, write| books.alter(|asked| asked.warm = Some(Units { read, write }));
    assert_eq!(warm(20, 10).expect("set").definition.warm, Some(Units { read: 20, write: 10 }));
    invalid_text(warm(19, 11).expect_err("lower"));
    invalid_text(warm(21, 9).expect_err("lower"));
    assert_eq!(warm(20, 11).expect("raised").definition.warm, Some(Units { read: 20, write: 11 }));
}

#[test]
fn only_an_active_table_is_altered() {
    let mut books = Books::with_shards(1);
    let protect = || Alter { deletion_protection: Some(true), ..Alter::default() }.command();
    assert_eq!(books.apply(protect()), CatalogReply::NotFound);
    let table = books.table(create("t", on_demand()));
    assert!(matches!(books.apply(protect()), CatalogReply::TableBusy(_)));
    books.table(CatalogCommand::TableReady { table: table.id });
    let updating = books.table(protect());
    assert_eq!((updating.status, updating.version), (TableStatus::Updating, table.version));
    assert!(matches!(books.apply(protect()), CatalogReply::TableBusy(_)));
}

#[test]
fn tags_are_added_overwritten_and_removed() {
    let mut books = Books::with_shards(1);
    let table = books.active("t", on_demand()).id;
    let tags = |list: &[(&str, &str)]| -> BTreeMap<String, String> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let tag = |list: &[(&str, &str)]| CatalogCommand::Tag { table, tags: tags(list) };
    assert_eq!(books.apply(tag(&[("a", "1"), ("b", "1")])), CatalogReply::Done);
    assert_eq!(books.apply(tag(&[("b", "2")])), CatalogReply::Done);
    let untag = CatalogCommand::Untag { table, keys: vec!["a".to_owned(), "none".to_owned()] };
    assert_eq!(books.apply(untag), CatalogReply::Done);
    assert_eq!(books.catalog().table(table).map(|table| table.tags.clone()), Some(tags(&[("b", "2")])));
    let names: Vec<String> = (0..49).map(|i| format!("k{i}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert_eq!(books.apply(tag(&many)), CatalogReply::Done, "fifty");
    limit_text(books.apply(tag(&[("one-more", "")])));
    limit_text(books.apply(tag(&[("b", &"x".repeat(10 * 1024))])));
    assert_eq!(books.apply(tag(&[("b", "3")])), CatalogReply::Done);
    let unknown = CatalogCommand::Tag { table: TableId(9), tags: tags(&[]) };
    assert_eq!(books.apply(unknown), CatalogReply::NotFound);
}
