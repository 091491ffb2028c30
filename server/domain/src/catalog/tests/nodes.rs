//! Members and places.

use super::*;

#[test]
fn a_cluster_begins_once() {
    let mut books = Books::empty();
    let early = CatalogCommand::AddNode {
        token: 1,
        zone: "a".to_owned(),
        peer: String::new(),
        http: String::new(),
        replaces: None,
    };
    invalid_text(books.apply(early));
    assert_eq!(books.apply(bootstrap(2)), CatalogReply::Done);
    let first = books.catalog().clone();
    assert_eq!(books.apply(bootstrap(2)), CatalogReply::Done);
    assert_eq!(books.catalog(), &first, "again changes nothing");
    let CatalogCommand::Bootstrap { mut cluster, nodes, shards } = bootstrap(2) else { unreachable!() };
    cluster.cluster = 98;
    invalid_text(books.apply(CatalogCommand::Bootstrap { cluster, nodes, shards }));
    assert_eq!(books.catalog(), &first);
    assert_eq!(first.data_shards().count(), 2);
    assert_eq!(first.counters.next_node, 4);
    assert_eq!(first.counters.next_replica, 10);
}

#[test]
fn a_bootstrap_that_contradicts_itself_is_refused() {
    let broken = |change: fn(&mut Vec<NodeRecord>, &mut Vec<ShardRecord>)| {
        let CatalogCommand::Bootstrap { cluster, mut nodes, mut shards } = bootstrap(1) else {
            unreachable!()
        };
        change(&mut nodes, &mut shards);
        let mut books = Books::empty();
        let text = invalid_text(books.apply(CatalogCommand::Bootstrap { cluster, nodes, shards }));
        assert_eq!(books.catalog(), &Catalog::default());
        text
    };
    assert_eq!(broken(|nodes, _| nodes[1].id = NodeId(1)), "two nodes have one id");
    assert_eq!(broken(|nodes, _| drop(nodes.pop())), "a replica is on a node that is no member");
    assert_eq!(broken(|_, shards| drop(shards.remove(0))), "shards need distinct ids, one of them 0");
    assert_eq!(broken(|_, shards| shards[1].id = ShardId(u32::MAX)), "shard id 4294967295 is reserved");
    assert_eq!(broken(|_, shards| shards[1].replicas[0].replica = ReplicaId(1)), "two replicas have one id");
    assert_eq!(
        broken(|_, shards| shards[1].replicas[0].replica = ReplicaId(u64::MAX)),
        "the highest id is not to be used"
    );
}

fn join(token: u128, zone: &str, replaces: Option<u64>) -> CatalogCommand {
    CatalogCommand::AddNode {
        token,
        zone: zone.to_owned(),
        peer: "new:8003".to_owned(),
        http: "new:8000".to_owned(),
        replaces: replaces.map(NodeId),
    }
}

#[test]
fn a_stand_in_takes_over_copy_by_copy() {
    let mut books = Books::with_shards(2);
    let CatalogReply::Node(new) = books.apply(join(7, "b", Some(2))) else { panic!("not admitted") };
    assert_eq!((new.id, new.state), (NodeId(4), NodeState::Joining));
    let after = books.catalog().clone();
    assert_eq!(books.apply(join(7, "b", Some(2))), CatalogReply::Node(new), "the same token");
    assert_eq!(books.catalog(), &after);
    for (shard, replica, old) in [(0, 10, 2), (1, 11, 5), (2, 12, 8)] {
        let record = books.catalog().shard(ShardId(shard)).expect("there").clone();
        assert_eq!(record.incoming, [(place(replica, 4), Some(ReplicaId(old)))]);
        let placed = CatalogCommand::ReplicaPlaced { shard: ShardId(shard), replica: ReplicaId(replica) };
        assert_eq!(books.apply(placed.clone()), CatalogReply::Done);
        let record = books.catalog().shard(ShardId(shard)).expect("there").clone();
        assert_eq!(record.replicas[1], place(replica, 4));
        assert_eq!((record.replicas.len(), record.incoming.len()), (3, 0));
        let version = books.catalog().version();
        assert_eq!(books.apply(placed), CatalogReply::Done, "again");
        assert_eq!(books.catalog().version(), version);
    }
    // A repair order given twice must not make a node that holds nothing and waits for ever.
    let text = invalid_text(books.apply(join(8, "b", Some(2))));
    assert!(text.contains("nothing to take over"), "{text}");
    let unknown = CatalogCommand::ReplicaPlaced { shard: ShardId(1), replica: ReplicaId(5) };
    assert_eq!(books.apply(unknown), CatalogReply::NotFound, "the old one is out");
    let states = |books: &mut Books, command| match books.apply(command) {
        CatalogReply::Node(node) => node.state,
        other => panic!("not a node: {other:?}"),
    };
    assert_eq!(states(&mut books, CatalogCommand::NodeUp { node: NodeId(4) }), NodeState::Up);
    assert_eq!(states(&mut books, CatalogCommand::NodeUp { node: NodeId(4) }), NodeState::Up);
    assert_eq!(states(&mut books, CatalogCommand::NodeLeft { node: NodeId(2) }), NodeState::Left);
    assert_eq!(states(&mut books, CatalogCommand::NodeLeft { node: NodeId(2) }), NodeState::Left);
    invalid_text(books.apply(CatalogCommand::NodeUp { node: NodeId(2) }));
    for nobody in [CatalogCommand::NodeUp { node: NodeId(9) }, CatalogCommand::NodeLeft { node: NodeId(9) }] {
        assert_eq!(books.apply(nobody), CatalogReply::NotFound);
    }
}

#[test]
fn a_stand_in_that_is_lost_is_superseded() {
    let mut books = Books::with_shards(1);
    books.apply(join(1, "b", Some(2)));
    // Another for the same node: the first one's replicas will never come.
    books.apply(join(2, "b", Some(2)));
    let incoming =
        |books: &Books, shard| books.catalog().shard(ShardId(shard)).expect("there").incoming.clone();
    assert_eq!(incoming(&books, 0), [(place(9, 5), Some(ReplicaId(2)))]);
    assert_eq!(incoming(&books, 1), [(place(10, 5), Some(ReplicaId(5)))]);
    // One for the second stand-in itself.
    books.apply(join(3, "b", Some(5)));
    assert_eq!(incoming(&books, 0), [(place(11, 6), Some(ReplicaId(2)))]);
    assert_eq!(incoming(&books, 1), [(place(12, 6), Some(ReplicaId(5)))]);
}

#[test]
fn a_stand_in_stands_in_the_same_zone() {
    let mut books = Books::with_shards(1);
    let text = invalid_text(books.apply(join(1, "a", Some(2))));
    assert_eq!(text, "node 2 is in zone b, so a node in zone a cannot replace it");
    assert_eq!(books.apply(join(1, "a", Some(9))), CatalogReply::NotFound);
    let CatalogReply::Node(new) = books.apply(join(1, "d", None)) else { panic!("not admitted") };
    assert_eq!(new.id, NodeId(4), "refusals spend no id");
    assert!(books.catalog().shards().all(|shard| shard.incoming.is_empty()));
    assert_eq!(books.catalog().joined(1), Some(&new));
}

fn any_command() -> impl Strategy<Value = CatalogCommand> {
    let name = "[ab]";
    let table = (1u64..6).prop_map(TableId);
    let node = (1u64..8).prop_map(NodeId);
    prop_oneof![
        3 => name.prop_map(|name| create(&name, on_demand())),
        2 => table.clone().prop_map(|table| CatalogCommand::TableReady { table }),
        2 => name.prop_map(|name| delete(&name)),
        2 => table.prop_map(|table| CatalogCommand::TableGone { table }),
        2 => (0u128..5, "[abc]", proptest::option::of(1u64..8))
            .prop_map(|(token, zone, replaces)| join(token, &zone, replaces)),
        3 => (0u32..3, 1u64..20).prop_map(|(shard, replica)| CatalogCommand::ReplicaPlaced {
            shard: ShardId(shard),
            replica: ReplicaId(replica),
        }),
        1 => node.clone().prop_map(|node| CatalogCommand::NodeUp { node }),
        1 => node.prop_map(|node| CatalogCommand::NodeLeft { node }),
    ]
}

proptest! {
    /// Whatever happens: ids are never given out twice, shards keep one copy a zone, the rows are the catalog.
    #[test]
    fn the_books_stay_in_order(commands in proptest::collection::vec(any_command(), 1..40)) {
        let mut books = Books::with_shards(2);
        let (mut tables, mut replicas) = (BTreeMap::new(), BTreeMap::new());
        for command in commands {
            let nodes = books.catalog().nodes().count();
            books.apply(command);
            prop_assert!(books.catalog().nodes().count() >= nodes, "nodes stay on record");
            for table in books.catalog().tables() {
                let uses = tables.entry(table.id).or_insert(table.created);
                prop_assert_eq!(*uses, table.created, "an id for two tables");
            }
            for shard in books.catalog().shards() {
                prop_assert_eq!(shard.replicas.len(), 3);
                let zone = |place: &ReplicaPlace| books.catalog().node(place.node).map(|node| node.zone.clone());
                let zones: BTreeSet<_> = shard.replicas.iter().map(zone).collect();
                prop_assert_eq!(zones.len(), 3, "one copy a zone");
                let incoming = shard.incoming.iter().map(|(place, _)| place);
                for place in shard.replicas.iter().chain(incoming) {
                    let known = replicas.entry(place.replica).or_insert((shard.id, place.node));
                    prop_assert_eq!(*known, (shard.id, place.node), "an id for two replicas");
                }
            }
        }
    }
}
