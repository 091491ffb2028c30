//! An hour without a leader of the catalog: tables that exist go on, all of them, on every node.
//!
//! Whole engines on the nodes of the simulation: tables are made through CreateTable, then every message of the
//! catalog's group is lost for an hour of simulated time, while the data shard's arrive. Each minute every node writes,
//! reads and asks; a node crashes and comes back in the middle, so that one process knows the catalog only from its own
//! disk. Whatever fails is a violation, but for the requests that change tables: they must fail, and tell that nothing
//! was done.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use trilith_cluster::now;
use trilith_domain::OpError;
use trilith_domain::catalog::TableStatus;
use trilith_domain::ops::types::{IndexInput, KeySchemaElement, Projection};
use trilith_domain::ops::{CreateTableInput, QueryInput};
use trilith_engine::test_support::requests;
use trilith_values::Item;

use crate::invariants;
use crate::server::{CATALOG_REPLICAS, PATIENCE, Server, found_cluster};
use crate::world::{NODES, Planted, World, simulate};

const OUTAGE: Duration = Duration::from_secs(3_600);
const TABLE: &str = "orders";
/// A table with a global index `by_v` on the number `v`.
fn orders() -> CreateTableInput {
    let mut create = requests::create(TABLE);
    let attributes = create.attribute_definitions.get_or_insert_default();
    let mut v = attributes[1].clone();
    v.attribute_name = Some("v".to_owned());
    attributes.push(v);
    let hash = KeySchemaElement { attribute_name: Some("v".to_owned()), key_type: Some("HASH".to_owned()) };
    create.global_secondary_indexes = Some(vec![IndexInput {
        index_name: Some("by_v".to_owned()),
        key_schema: Some(vec![hash]),
        projection: Some(Projection { projection_type: Some("ALL".to_owned()), non_key_attributes: None }),
        ..Default::default()
    }]);
    create
}

fn by_v(v: i64) -> QueryInput {
    QueryInput {
        table_name: Some(TABLE.to_owned()),
        index_name: Some("by_v".to_owned()),
        key_condition_expression: Some("v = :v".to_owned()),
        expression_attribute_values: Some(Item::from([(":v".to_owned(), requests::n(v))])),
        ..Default::default()
    }
}

/// One round of everything that an application does with a table, through one node.
async fn work(server: &Server, node: u64, round: i64) -> Result<(), OpError> {
    let (client, p) = (server.client(), format!("node {node}"));
    client.put_item(requests::put(TABLE, requests::item(&p, round, requests::n(round)))).await?;
    let add = requests::update(TABLE, requests::key(&p, -1), "ADD visits :v", requests::n(1));
    client.update_item(add).await?;
    let pair = [-2, -3].map(|s| requests::transact_put(TABLE, requests::item(&p, s, requests::n(-1))));
    client.transact_write_items(requests::transact(pair.to_vec())).await?;
    for strong in [true, false] {
        let got = client.get_item(requests::get(TABLE, requests::key(&p, round), strong)).await?;
        assert!(got.item.is_some() || !strong, "{p} round {round}: an acknowledged item is not there");
    }
    let page = client.query(requests::query(TABLE, &p)).await?;
    assert!(page.count >= 4, "{p} round {round}: {} items", page.count);
    let described = client.describe_table(requests::table(TABLE)).await?;
    assert_eq!(described.table_status, TableStatus::Active);
    Ok(())
}

/// The rows of the index for a round, once `wanted` of them have arrived.
async fn indexed(server: &Server, round: i64, wanted: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = server.client().query(by_v(round)).await.expect("an index is read").count;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "round {round}: {found} rows of the index, not {wanted}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn outage(seed: u64) {
    let world = World::start(seed, Planted::Nothing).await;
    found_cluster(&world, 1).await;
    let mut servers: Vec<Server> = NODES.iter().map(|node| Server::start(&world, *node)).collect();
    for server in &servers {
        server.ready().await;
    }
    servers[0].client().create_table(orders()).await.expect("created");
    for (server, node) in servers.iter().zip(NODES) {
        work(server, node, 0).await.expect("before the outage");
    }

    world.net.deafen(&CATALOG_REPLICAS, true);
    let end = Instant::now() + OUTAGE;
    let mut random = world.random();
    let mut round: i64 = 0;
    while Instant::now() < end {
        round += 1;
        if round == 20 {
            world.crash(NODES[1], &mut random);
            world.restart(NODES[1]).await.expect("it starts");
            servers[1] = Server::start(&world, NODES[1]);
            servers[1].ready().await;
        }
        for (server, node) in servers.iter().zip(NODES) {
            let done = work(server, node, round).await;
            done.unwrap_or_else(|error| panic!("node {node}, minute {round}: {error:?}"));
        }
        indexed(&servers[0], round, 3).await;
        let leader = servers[2].port.refresh_catalog(now() + Duration::from_millis(500)).await;
        assert!(leader.is_err(), "the catalog has a leader, so this proves nothing");
        sleep(Duration::from_secs(60)).await;
    }
    assert!(round >= 50, "{round} rounds in an hour");
    let refused = servers[2].client().create_table(requests::create("new")).await;
    assert!(matches!(refused, Err(OpError::Unavailable(_))), "{refused:?}");

    world.net.deafen(&CATALOG_REPLICAS, false);
    let made = Instant::now() + Duration::from_secs(30);
    while let Err(error) = servers[2].client().create_table(requests::create("new")).await {
        assert!(Instant::now() < made, "the catalog does not come back: {error:?}");
    }
    invariants::converged(&world).await.expect("alike at the end");
}

#[test]
fn an_hour_without_a_catalog_leader_is_no_data_error() {
    simulate(1, || outage(1));
}
