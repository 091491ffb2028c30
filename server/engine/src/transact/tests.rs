use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use trilith_cluster::Cluster as _;

use trilith_domain::OpError;
use trilith_domain::keyspace::CATALOG_SHARD;
use trilith_domain::machine::CommandBody;
use trilith_domain::ops::TransactWriteItemsInput;
use trilith_domain::ops::transact_write_items::{ActionInput, TransactWriteItemInput};
use trilith_values::AttributeValue;

use crate::test_support::requests::{
    create, get, item, key, n, put, transact, transact_check, transact_get, transact_put,
};
use crate::test_support::{Client, Fault, LocalCluster};
use crate::workers::TxnSweep;

async fn orders(shards: u32) -> (Arc<LocalCluster>, Client) {
    let cluster = LocalCluster::new(shards);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    (cluster, client)
}

#[tokio::test]
async fn items_of_several_tables_are_written_together() {
    let (_, client) = orders(1).await;
    client.create_table(create("clients")).await.expect("a new name");
    let both = vec![
        transact_put("orders", item("a", 1, n(1))),
        transact_put("clients", item("a", 1, n(2))),
        transact_check("orders", key("b", 1), "attribute_not_exists(p)"),
    ];
    client.transact_write_items(transact(both)).await.expect("writes");
    for (table, value) in [("orders", n(1)), ("clients", n(2))] {
        let got = client.get_item(get(table, key("a", 1), true)).await.expect("reads");
        assert_eq!(got.item, Some(item("a", 1, value)));
    }
}

#[tokio::test]
async fn a_cancelled_transaction_says_why_and_leaves_no_trace() {
    let (_, client) = orders(1).await;
    client.put_item(put("orders", item("b", 1, "x"))).await.expect("puts");
    let items = vec![
        transact_put("orders", item("a", 1, "x")),
        transact_check("orders", key("b", 1), "attribute_not_exists(p)"),
    ];
    let error = client.transact_write_items(transact(items)).await.expect_err("cancelled");
    let OpError::TransactionCanceled(cancellation) = error else { panic!("{error}") };
    let codes: Vec<_> = cancellation.reasons.iter().map(|reason| reason.code).collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    assert_eq!(client.get_item(get("orders", key("a", 1), true)).await.expect("reads").item, None);
}

#[tokio::test]
async fn tables_that_changed_are_bound_again() {
    let (cluster, client) = orders(1).await;
    let another = cluster.another_node();
    for (shard, command) in another.raise_version("orders") {
        cluster.apply(shard, command);
    }
    let items = vec![transact_put("orders", item("a", 1, "x"))];
    client.transact_write_items(transact(items)).await.expect("writes");
    let missing =
        client.transact_write_items(transact(vec![transact_put("nothing", item("a", 1, "x"))])).await;
    assert_eq!(missing.expect_err("no such table").name(), "ResourceNotFoundException");
}

#[tokio::test]
async fn an_unknown_outcome_is_never_sent_again() {
    let (cluster, client) = orders(1).await;
    let mut sent = 0;
    cluster.on_write(move |shard, body| {
        if shard == CATALOG_SHARD || !matches!(body, CommandBody::TransactWrite(_)) {
            return Fault::None;
        }
        sent += 1;
        assert_eq!(sent, 1, "sent twice");
        Fault::AnswerLost
    });
    let items = vec![transact_put("orders", item("a", 1, "x"))];
    let error = client.transact_write_items(transact(items)).await.expect_err("lost");
    assert_eq!(error.name(), "InternalServerError");
}

/// How many accounts there are, and what each begins with.
const ACCOUNTS: i64 = 6;
const BALANCE: i64 = 100;

fn account(i: i64) -> String {
    format!("account {i}")
}

/// Accounts on several shards.
async fn bank() -> (Arc<LocalCluster>, Client) {
    let (cluster, client) = orders(4).await;
    for i in 0..ACCOUNTS {
        client.put_item(put("orders", item(&account(i), 0, n(BALANCE)))).await.expect("puts");
    }
    (cluster, client)
}

fn add(i: i64, amount: i64, condition: Option<&str>) -> TransactWriteItemInput {
    let update = ActionInput {
        table_name: Some("orders".to_owned()),
        key: Some(key(&account(i), 0)),
        update_expression: Some("SET v = v + :amount".to_owned()),
        condition_expression: condition.map(str::to_owned),
        expression_attribute_values: Some([(":amount".to_owned(), n(amount))].into()),
        ..Default::default()
    };
    TransactWriteItemInput { update: Some(update), ..Default::default() }
}

fn transfer(from: i64, to: i64, amount: i64) -> TransactWriteItemsInput {
    transact(vec![add(from, -amount, Some("attribute_exists(v)")), add(to, amount, None)])
}

async fn balances(client: &Client) -> Vec<i64> {
    let mut all = Vec::new();
    for i in 0..ACCOUNTS {
        let got = client.get_item(get("orders", key(&account(i), 0), true)).await.expect("reads");
        all.push(balance(&got.item.expect("an account")));
    }
    all
}

fn balance(item: &trilith_values::Item) -> i64 {
    match &item["v"] {
        AttributeValue::N(number) => number.to_string().parse().expect("a whole number"),
        other => panic!("not a number: {other:?}"),
    }
}

fn locks(cluster: &LocalCluster) -> usize {
    cluster.data_shards().into_iter().map(|shard| cluster.shard(shard).state().prepared().len()).sum()
}

/// What the worker does when a transaction has been left alone for long enough.
async fn sweep(cluster: &Arc<LocalCluster>) {
    cluster.advance(TxnSweep::PACE.patience);
    TxnSweep::new(Arc::clone(cluster) as _, TxnSweep::PACE).pass().await;
}

#[tokio::test]
async fn items_of_several_shards_are_written_together() {
    let (cluster, client) = bank().await;
    let shards: std::collections::BTreeSet<_> = {
        let record = cluster.table(0, "orders").expect("known");
        let of = |i| {
            trilith_domain::item::ItemKey::new(record.seed, trilith_values::KeyValue::S(account(i)), None)
                .hash
        };
        (0..ACCOUNTS).map(|i| record.shard_of(of(i))).collect()
    };
    assert!(shards.len() > 1, "the accounts are on several shards");
    let all = (0..ACCOUNTS).map(|i| add(i, i, None)).collect();
    client.transact_write_items(transact(all)).await.expect("writes");
    assert_eq!(balances(&client).await, (0..ACCOUNTS).map(|i| BALANCE + i).collect::<Vec<_>>());
    assert_eq!(locks(&cluster), 0);
    let mut refused: Vec<_> = (0..ACCOUNTS).map(|i| add(i, 1, None)).collect();
    refused[3] = add(3, 1, Some("attribute_not_exists(v)"));
    let error = client.transact_write_items(transact(refused)).await.expect_err("cancelled");
    let OpError::TransactionCanceled(cancellation) = error else { panic!("{error}") };
    let codes: Vec<_> = cancellation.reasons.iter().map(|reason| reason.code).collect();
    assert_eq!(codes, ["None", "None", "None", "ConditionalCheckFailed", "None", "None"]);
    assert_eq!(balances(&client).await, (0..ACCOUNTS).map(|i| BALANCE + i).collect::<Vec<_>>());
    assert_eq!(locks(&cluster), 0);
}

#[tokio::test]
async fn a_coordinator_that_dies_at_any_step_leaves_all_or_nothing_and_no_lock() {
    let (mut done, mut undone) = (0, 0);
    for steps in 0.. {
        let (cluster, client) = bank().await;
        let mut input = transact((0..ACCOUNTS).map(|i| add(i, 1, None)).collect());
        input.client_request_token = (steps % 2 == 0).then(|| "token".to_owned());
        let mut request = Box::pin(client.transact_write_items(input.clone()));
        let mut ended = false;
        for _ in 0..steps {
            ended = matches!(futures::poll!(&mut request), Poll::Ready(_));
            if ended {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(request);
        sweep(&cluster).await;
        assert_eq!(locks(&cluster), 0, "after {steps} steps");
        let after = balances(&client).await;
        assert!(after.iter().all(|balance| *balance == after[0]), "after {steps} steps: {after:?}");
        match after[1] {
            BALANCE => undone += 1,
            _ => done += 1,
        }
        // The request can be sent again, and with its token it happens once.
        cluster.advance(Duration::from_secs(5));
        client.transact_write_items(input.clone()).await.expect("nothing is locked");
        let expected =
            BALANCE + if input.client_request_token.is_some() { 1 } else { after[1] - BALANCE + 1 };
        assert_eq!(balances(&client).await[1], expected, "after {steps} steps");
        if ended {
            break;
        }
    }
    assert!(done > 0 && undone > 0, "{done} done, {undone} not");
}

#[tokio::test]
async fn decisions_and_tokens_are_forgotten_in_time() {
    let (cluster, client) = bank().await;
    let input = TransactWriteItemsInput {
        client_request_token: Some("token".to_owned()),
        ..transact((0..ACCOUNTS).map(|i| add(i, 1, None)).collect())
    };
    let rows = || -> usize {
        let meta = trilith_domain::keyspace::Family::Meta;
        cluster.data_shards().into_iter().map(|shard| cluster.shard(shard).count_rows(meta)).sum()
    };
    let before = rows();
    client.transact_write_items(input).await.expect("writes");
    assert_eq!(rows(), before + 4, "a decision, a token, and two notes of its age");
    sweep(&cluster).await;
    assert_eq!(rows(), before + 3);
    cluster.advance(Duration::from_secs(601));
    sweep(&cluster).await;
    assert_eq!(rows(), before);
}

#[tokio::test]
async fn a_token_is_for_one_request() {
    for count in [1, ACCOUNTS] {
        let (cluster, client) = bank().await;
        let ask = |amount| TransactWriteItemsInput {
            client_request_token: Some("token".to_owned()),
            return_consumed_capacity: Some("TOTAL".to_owned()),
            ..transact((0..count).map(|i| add(i, amount, None)).collect())
        };
        let first = client.transact_write_items(ask(1)).await.expect("writes");
        let again = client.transact_write_items(ask(1)).await.expect("is done");
        assert_eq!(balances(&client).await[0], BALANCE + 1);
        let kinds = [first, again].map(|output| output.consumed_capacity.expect("asked for")[0].kind);
        use trilith_domain::ops::types::UnitKind;
        assert_eq!(kinds, [Some(UnitKind::Write), Some(UnitKind::Read)]);
        let other = client.transact_write_items(ask(2)).await.expect_err("another request");
        assert_eq!(other.name(), "IdempotentParameterMismatchException");
        assert_eq!((balances(&client).await[0], locks(&cluster)), (BALANCE + 1, 0));
    }
}

#[tokio::test]
async fn what_a_transaction_holds_refuses_others_until_it_is_swept() {
    let (cluster, client) = bank().await;
    cluster.on_write(|_, body| match body {
        CommandBody::Ledger { .. } | CommandBody::Finish(_) => Fault::CommandLost,
        _ => Fault::None,
    });
    let all = || transact((0..ACCOUNTS).map(|i| add(i, 1, None)).collect());
    let error = client.transact_write_items(all()).await.expect_err("the decision is lost");
    assert_eq!(error.name(), "InternalServerError");
    cluster.heal();
    let error = client.put_item(put("orders", item(&account(0), 0, n(1)))).await.expect_err("locked");
    assert_eq!(error.name(), "TransactionConflictException");
    let error = client.transact_write_items(all()).await.expect_err("locked");
    assert!(
        error.message().ends_with(
            "[TransactionConflict, TransactionConflict, TransactionConflict, \
        TransactionConflict, TransactionConflict, TransactionConflict]"
        ),
        "{error}"
    );
    let wanted = || transact_get("orders", (0..2).map(|i| key(&account(i), 0)).collect());
    let error = client.transact_get_items(wanted()).await.expect_err("locked");
    assert!(error.message().ends_with("[TransactionConflict, TransactionConflict]"), "{error}");
    assert_eq!(balances(&client).await, vec![BALANCE; ACCOUNTS as usize], "single reads see what was");
    sweep(&cluster).await;
    client.transact_get_items(wanted()).await.expect("nothing is locked");
    client.transact_write_items(all()).await.expect("nothing is locked");
}

#[tokio::test]
async fn items_are_read_at_one_moment_whatever_writes_meanwhile() {
    let (_, client) = bank().await;
    client.put_item(put("orders", item("b", 1, "x"))).await.expect("puts");
    let mut wanted: Vec<_> = (0..ACCOUNTS).map(|i| key(&account(i), 0)).collect();
    wanted.push(key("missing", 1));
    let output = client.transact_get_items(transact_get("orders", wanted)).await.expect("reads");
    assert_eq!(output.responses.len(), 7);
    assert!(output.responses[6].is_none() && output.responses[..6].iter().all(Option::is_some));

    let writer = async {
        for i in 0..200 {
            let (from, to) = (i % ACCOUNTS, (i * 5 + 1) % ACCOUNTS);
            if from != to {
                client.transact_write_items(transfer(from, to, i)).await.expect("the only writer");
            }
        }
    };
    let reader = async {
        let (mut read, mut cancelled) = (0, 0);
        for _ in 0..40 {
            let wanted = (0..ACCOUNTS).map(|i| key(&account(i), 0)).collect();
            match client.transact_get_items(transact_get("orders", wanted)).await {
                Ok(output) => {
                    read += 1;
                    let sum: i64 = output.responses.iter().flatten().map(balance).sum();
                    assert_eq!(sum, ACCOUNTS * BALANCE);
                }
                Err(error) => {
                    cancelled += 1;
                    assert_eq!(error.name(), "TransactionCanceledException");
                }
            }
        }
        (read, cancelled)
    };
    let (_, (read, cancelled)) = futures::join!(writer, reader);
    assert!(read > 0, "{read} read, {cancelled} cancelled");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Transfers that meet each other, lose commands and answers, and are dropped at any step.
    #[test]
    fn transfers_keep_the_sum(
        transfers in proptest::collection::vec((0..ACCOUNTS, 1..ACCOUNTS, 1i64..50, 0usize..40), 1..12),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 50..300),
        faults in proptest::collection::vec(0u8..12, 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (cluster, client) = bank().await;
            let mut at = 0;
            cluster.on_write(move |_, _| {
                at += 1;
                match faults[at % faults.len()] {
                    0 => Fault::NotDone,
                    1 => Fault::AnswerLost,
                    2 => Fault::CommandLost,
                    _ => Fault::None,
                }
            });
            let mut running: Vec<_> = transfers
                .iter()
                .map(|(from, by, amount, steps)| {
                    let to = (from + by) % ACCOUNTS;
                    (Box::pin(client.transact_write_items(transfer(*from, to, *amount))), *steps)
                })
                .collect();
            for index in &order {
                if running.is_empty() {
                    break;
                }
                let chosen = index.index(running.len());
                let (request, steps) = &mut running[chosen];
                let ended = *steps == 0 || matches!(futures::poll!(request), Poll::Ready(_));
                *steps = steps.saturating_sub(1);
                if ended {
                    drop(running.swap_remove(chosen));
                }
                tokio::task::yield_now().await;
            }
            drop(running);
            cluster.heal();
            sweep(&cluster).await;
            assert_eq!(locks(&cluster), 0);
            assert_eq!(balances(&client).await.iter().sum::<i64>(), ACCOUNTS * BALANCE);
        });
    }
}
