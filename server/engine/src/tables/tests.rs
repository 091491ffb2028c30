use std::collections::BTreeSet;
use std::sync::Arc;

use trilith_cluster::ClusterError;
use trilith_domain::catalog::TableStatus;
use trilith_domain::keyspace::Family;
use trilith_domain::ops::types::Tag;
use trilith_domain::ops::{
    CreateTableInput, ListTablesInput, ListTagsOfResourceInput, TagResourceInput, UntagResourceInput,
    UpdateTableInput,
};
use trilith_values::ShardId;

use super::*;
use crate::test_support::requests::{create, item, n, put, table};
use crate::test_support::{Client, Fault, LocalCluster};

fn two_nodes(shards: u32) -> (Arc<LocalCluster>, Client, Client) {
    let cluster = LocalCluster::new(shards);
    let (here, there) = (Client::of(&cluster), Client::of(&cluster.another_node()));
    (cluster, here, there)
}

#[tokio::test]
async fn a_table_is_active_on_every_node_when_its_creation_is_answered() {
    let (cluster, here, there) = two_nodes(3);
    let created = here.create_table(create("orders")).await.expect("a new name");
    assert_eq!((created.table_status, created.item_count), (TableStatus::Creating, 0));
    assert_eq!(created.table_arn, "arn:aws:dynamodb:us-east-1:000000000000:table/orders");
    for client in [&here, &there] {
        let described = client.describe_table(table("orders")).await.expect("it is there");
        assert_eq!((described.table_status, &described.table_id), (TableStatus::Active, &created.table_id));
    }
    assert!(cluster.data_shards().into_iter().all(|id| cluster.shard(id).state().spans().len() == 1));
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let (_, here, there) = two_nodes(1);
    here.create_table(create("orders")).await.expect("a new name");
    let error = there.create_table(create("orders")).await.expect_err("taken");
    assert_eq!(error, OpError::ResourceInUse("Table already exists: orders".to_owned()));
}

#[tokio::test]
async fn tables_have_ids_of_their_own() {
    let (_, here, _) = two_nodes(1);
    let mut ids = BTreeSet::new();
    for i in 0..20 {
        ids.insert(here.create_table(create(&format!("t-{i}"))).await.expect("a new name").table_id);
    }
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn a_description_counts_what_is_in_the_table() {
    let (cluster, here, there) = two_nodes(4);
    here.create_table(create("orders")).await.expect("a new name");
    let mut bytes = 0;
    for i in 0..30 {
        let item = item(&format!("p{i}"), i, n(i));
        bytes += trilith_values::size::item_size(&item) as u64;
        here.put_item(put("orders", item)).await.expect("puts");
    }
    let described = there.describe_table(table("orders")).await.expect("it is there");
    assert_eq!((described.item_count, described.table_size_bytes), (30, bytes));

    cluster
        .on_read(|shard, _, _| (shard == ShardId(1)).then(|| ClusterError::NotDone("no leader".to_owned())));
    let described = there.describe_table(table("orders")).await.expect("a shard less");
    assert!((1..30).contains(&described.item_count), "{}", described.item_count);
}

#[tokio::test]
async fn a_deleted_table_is_gone_everywhere_with_its_rows() {
    let (cluster, here, there) = two_nodes(3);
    here.create_table(create("orders")).await.expect("a new name");
    for i in 0..20 {
        there.put_item(put("orders", item(&format!("p{i}"), i, n(i)))).await.expect("puts");
    }
    let deleted = there.delete_table(table("orders")).await.expect("deletes");
    assert_eq!(deleted.table_status, TableStatus::Deleting);
    for client in [&here, &there] {
        let error = client.describe_table(table("orders")).await.expect_err("gone");
        assert_eq!(error.message(), "Requested resource not found: Table: orders not found");
        let error = client.put_item(put("orders", item("a", 1, n(1)))).await.expect_err("gone");
        assert_eq!(error, OpError::ResourceNotFound("Requested resource not found".to_owned()));
    }
    for shard in cluster.data_shards().into_iter().map(|id| cluster.shard(id)) {
        assert!(shard.state().spans().is_empty());
        assert_eq!(shard.count_rows(Family::Items), 0);
    }
    let error = here.delete_table(table("orders")).await.expect_err("gone");
    assert_eq!(error.name(), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_protected_table_stays() {
    let (_, here, there) = two_nodes(1);
    let protected = CreateTableInput { deletion_protection_enabled: Some(true), ..create("orders") };
    here.create_table(protected).await.expect("a new name");
    let error = there.delete_table(table("orders")).await.expect_err("protected");
    assert_eq!(error.name(), "ValidationException");
    let unprotect = UpdateTableInput {
        table_name: Some("orders".to_owned()),
        deletion_protection_enabled: Some(false),
        ..Default::default()
    };
    let updated = here.update_table(unprotect).await.expect("updates");
    assert_eq!((updated.table_status, updated.deletion_protection_enabled), (TableStatus::Updating, false));
    let described = there.describe_table(table("orders")).await.expect("it is there");
    assert_eq!((described.table_status, described.deletion_protection_enabled), (TableStatus::Active, false));
    there.delete_table(table("orders")).await.expect("unprotected");
}

#[tokio::test]
async fn a_table_that_is_being_made_cannot_be_used_or_changed() {
    let (cluster, here, there) = two_nodes(2);
    cluster.on_write(|shard, _| if shard == ShardId(2) { Fault::NotDone } else { Fault::None });
    let created = here.create_table(create("orders")).await.expect("the catalog has it");
    assert_eq!(created.table_status, TableStatus::Creating);
    cluster.heal();
    for client in [&here, &there] {
        let described = client.describe_table(table("orders")).await.expect("it is there");
        assert_eq!(described.table_status, TableStatus::Creating);
        let error = client.put_item(put("orders", item("a", 1, n(1)))).await.expect_err("not yet");
        assert_eq!(error, OpError::ResourceNotFound("Requested resource not found".to_owned()));
        let error = client.delete_table(table("orders")).await.expect_err("not yet");
        assert_eq!(error.name(), "ResourceInUseException");
    }
}

#[tokio::test]
async fn a_catalog_that_does_not_answer_is_an_error_of_its_kind() {
    let (cluster, here, _) = two_nodes(1);
    cluster.on_write(|_, _| Fault::NotDone);
    assert_eq!(here.create_table(create("one")).await.expect_err("not done").name(), "ServiceUnavailable");
    cluster.on_write(|_, _| Fault::CommandLost);
    assert_eq!(here.create_table(create("two")).await.expect_err("unknown").name(), "InternalServerError");
    cluster.heal();
    let listed = here.list_tables(ListTablesInput::default()).await.expect("lists");
    assert_eq!(listed.table_names, Vec::<String>::new());
}

#[tokio::test]
async fn names_are_listed_in_order_by_every_node() {
    let (cluster, here, there) = two_nodes(1);
    for name in ["ccc", "aaa", "Bbb", "ddd"] {
        here.create_table(create(name)).await.expect("a new name");
    }
    let page = |start: Option<&str>| {
        let start = start.map(str::to_owned);
        there.list_tables(ListTablesInput { exclusive_start_table_name: start, limit: Some(3) })
    };
    let first = page(None).await.expect("lists");
    assert_eq!(first.table_names, ["Bbb", "aaa", "ccc"]);
    assert_eq!(first.last_evaluated_table_name.as_deref(), Some("ccc"));
    cluster.on_read(|_, _, _| Some(ClusterError::NotDone("no leader".to_owned())));
    let second = page(Some("ccc")).await.expect("lists what this node knows");
    assert_eq!((second.table_names, second.last_evaluated_table_name), (vec!["ddd".to_owned()], None));
}

#[tokio::test]
async fn tags_come_and_go() {
    let (_, here, there) = two_nodes(1);
    let tag = |key: &str, value: &str| Tag { key: Some(key.to_owned()), value: Some(value.to_owned()) };
    let tagged = CreateTableInput { tags: Some(vec![tag("team", "red")]), ..create("orders") };
    let arn = here.create_table(tagged).await.expect("a new name").table_arn;

    let more = TagResourceInput {
        resource_arn: Some(arn.clone()),
        tags: Some(vec![tag("env", "test"), tag("team", "blue")]),
    };
    here.execute(TagResource::parse(more).expect("valid")).await.expect("tags");
    let list = ListTagsOfResourceInput { resource_arn: Some(arn.clone()), next_token: None };
    let listed = there.list_tags(list.clone()).await.expect("lists");
    assert_eq!(listed.tags, [tag("env", "test"), tag("team", "blue")]);

    let fewer = UntagResourceInput {
        resource_arn: Some(arn),
        tag_keys: Some(vec!["env".to_owned(), "none".to_owned()]),
    };
    there.execute(UntagResource::parse(fewer).expect("valid")).await.expect("untags");
    assert_eq!(here.list_tags(list).await.expect("lists").tags, [tag("team", "blue")]);
}
