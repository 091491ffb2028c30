use prost::Message;
use prost_types::FileDescriptorSet;

use crate::data::v1::attribute_value::Value;
use crate::data::v1::*;
use crate::{admin, cluster, data};

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET).expect("a descriptor set")
}

#[test]
fn every_call_of_every_service_is_described() {
    let set = descriptors();
    let mut calls: Vec<(String, usize)> = set
        .file
        .iter()
        .flat_map(|file| {
            file.service.iter().map(|s| (format!("{}.{}", file.package(), s.name()), s.method.len()))
        })
        .collect();
    calls.sort();
    let expected =
        [("trilith.admin.v1.Admin", 5), ("trilith.cluster.v1.Peer", 1), ("trilith.data.v1.Data", 44)];
    assert_eq!(calls, expected.map(|(name, count)| (name.to_owned(), count)));
    assert_eq!(data::v1::data_server::SERVICE_NAME, "trilith.data.v1.Data");
}

/// Every enum's zero is "unspecified", so that an absent field never means a value of the service.
#[test]
fn zero_is_never_a_value() {
    for file in descriptors().file.iter().filter(|file| file.package().starts_with("trilith.")) {
        for shape in &file.enum_type {
            let zero = shape.value.iter().find(|value| value.number() == 0).expect("proto3 demands a zero");
            assert!(zero.name().ends_with("_UNSPECIFIED"), "{}", zero.name());
        }
    }
}

/// Hand-made bytes of a frame: the numbers and types on the wire are for ever.
#[test]
fn frames_keep_their_bytes() {
    let frame = cluster::v1::Frame {
        id: 1,
        kind: 2,
        is_reply: true,
        body: "b".into(),
        error: "e".into(),
        from_node: 3,
        to_node: 4,
        cluster_id: "c".into(),
    };
    let bytes = b"\x08\x01\x10\x02\x18\x01\x22\x01b\x2a\x01e\x30\x03\x38\x04\x42\x01c";
    assert_eq!(frame.encode_to_vec(), bytes);
    assert_eq!(cluster::v1::Frame::decode(&bytes[..]), Ok(frame));
}

/// Maps are written in the order of their keys, whatever order they were filled in.
#[test]
fn equal_items_have_one_encoding() {
    let value = |n: &str| AttributeValue { value: Some(Value::N(n.to_owned())) };
    let names = ["b", "a", "c"];
    let item = Item { attributes: names.iter().map(|&name| (name.to_owned(), value("1"))).collect() };
    let bytes = item.encode_to_vec();
    let at = |name: &str| bytes.windows(3).position(|w| w == [0x0a, 1, name.as_bytes()[0]]);
    assert!(at("a").is_some() && at("a") < at("b") && at("b") < at("c"));
}

fn nested(levels: usize) -> Item {
    let leaf = AttributeValue { value: Some(Value::Null(true)) };
    let value = (0..levels).fold(leaf, |inner, _| AttributeValue {
        value: Some(Value::M(Map { entries: [("a".to_owned(), inner)].into() })),
    });
    Item { attributes: [("a".to_owned(), value)].into() }
}

/// Decoders take 100 nested messages. The service's 32 levels must fit wherever an item stands.
#[test]
fn thirty_two_levels_fit_everywhere() {
    fn fits<M: Message + Default + PartialEq>(message: M) {
        assert!(M::decode(&message.encode_to_vec()[..]) == Ok(message));
    }
    let item = || Some(nested(32));
    fits(PutItemRequest { item: item(), ..Default::default() });
    fits(GetItemResponse { item: item(), ..Default::default() });
    fits(QueryResponse { items: item().into_iter().collect(), ..Default::default() });
    fits(ConditionalCheckFailed { item: item() });
    fits(BatchWriteItemRequest {
        requests: vec![WriteRequest {
            request: Some(write_request::Request::PutItem(nested(32))),
            ..Default::default()
        }],
        ..Default::default()
    });
    fits(BatchExecuteStatementRequest {
        statements: vec![BatchStatementRequest {
            parameters: nested(32).attributes.into_values().collect(),
            ..Default::default()
        }],
        ..Default::default()
    });
    fits(BatchExecuteStatementResponse {
        responses: vec![BatchStatementResponse { error_item: item(), ..Default::default() }],
        ..Default::default()
    });
    fits(TransactWriteItemsRequest {
        transact_items: vec![TransactWriteItem {
            action: Some(transact_write_item::Action::PutItem(nested(32))),
            ..Default::default()
        }],
        ..Default::default()
    });
    fits(TransactionCanceled { reasons: vec![CancellationReason { item: item(), ..Default::default() }] });
    fits(BatchGetItemResponse {
        responses: vec![BatchItem { item: item(), ..Default::default() }],
        ..Default::default()
    });
}

/// Nesting is bounded while decoding, before any of our own code walks the value.
#[test]
fn a_deep_value_is_refused_while_decoding() {
    assert!(Item::decode(&nested(33).encode_to_vec()[..]).is_err());
    let mut bytes = Vec::new();
    for _ in 0..100_000 {
        // A list within a value, innermost first, without the encoder's own recursion.
        for tag in [0x0a, 0x32] {
            let mut outer = vec![tag];
            prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
            bytes.splice(0..0, outer);
        }
    }
    assert!(AttributeValue::decode(&bytes[..]).is_err());
}

#[test]
fn an_absent_option_differs_from_an_empty_one() {
    let request = PutItemRequest { condition_expression: Some(String::new()), ..Default::default() };
    let back = PutItemRequest::decode(&request.encode_to_vec()[..]).expect("decodes");
    assert_eq!(back.condition_expression.as_deref(), Some(""));
    assert_eq!(admin::v1::JoinRequest::default().replaces, None);
}
