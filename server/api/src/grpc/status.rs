//! What an [`OpError`] is over gRPC: a status code, the service's text, and details in google.rpc's error model.
//!
//! The details begin with an `ErrorInfo`: its reason is the exception's name as SDKs know it, its domain [`DOMAIN`]. A
//! failed condition that is to return the item adds a `trilith.data.v1.ConditionalCheckFailed`, a cancelled transaction
//! its reasons (`trilith.data.v1.TransactionCanceled`); an error that a retry may cure adds a `RetryInfo`.
//!
//! A status travels in HTTP/2 headers, and a client that gets more of those than it takes (8 KB in many) resets the
//! call. So text and details are bounded: an item that does not fit is left out and counted, never a broken answer.
//! Clients that take more say so ([`DETAILS_METADATA`]).
//!
//! Codes say what a client may do: UNAVAILABLE was not done and may be tried again, INTERNAL has an unknown outcome and
//! must not be, RESOURCE_EXHAUSTED may be tried later.

use std::collections::HashMap;

use prost::Message;
use prost_types::{Any, Duration};
use tonic::{Code, Status};
use tonic_types::pb;
use trilith_domain::OpError;
use trilith_domain::error::CancellationReason;
use trilith_proto::data::v1::{self as proto, ConditionalCheckFailed, TransactionCanceled};

use super::convert;

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "trilith";
/// Request metadata: how many bytes of status details the client takes.
pub const DETAILS_METADATA: &str = "trilith-details-max-bytes";
/// `ErrorInfo.metadata`: how many bytes an item has that was left out of the details.
pub const OMITTED_METADATA: &str = "item_omitted_bytes";

/// What a status message may cost in headers, bytes. Longer texts echo input and end in "...".
const MESSAGE_BYTES_MAX: usize = 1536;
/// The least a client should wait before it tries again, nanoseconds. Clients add their own backoff and jitter.
const RETRY_DELAY_NANOS: i32 = 50_000_000;
const TYPE_PREFIX: &str = "type.googleapis.com/";

/// The gRPC code of an error.
pub fn code(error: &OpError) -> Code {
    match error {
        OpError::Validation(_) | OpError::Serialization(_) => Code::InvalidArgument,
        OpError::ConditionalCheckFailed { .. } | OpError::ResourceInUse(_) => Code::FailedPrecondition,
        OpError::DuplicateItem => Code::AlreadyExists,
        OpError::ResourceNotFound(_)
        | OpError::TableNotFound(_)
        | OpError::PolicyNotFound(_)
        | OpError::BackupNotFound(_)
        | OpError::ExportNotFound(_)
        | OpError::ImportNotFound(_)
        | OpError::GlobalTableNotFound(_) => Code::NotFound,
        OpError::LimitExceeded(_) | OpError::ThroughputExceeded(_) | OpError::Throttling(_) => {
            Code::ResourceExhausted
        }
        OpError::CollectionTooLarge(_) => Code::ResourceExhausted,
        OpError::TransactionConflict(_)
        | OpError::TransactionCanceled(_)
        | OpError::TransactionInProgress => Code::Aborted,
        OpError::IdempotentParameterMismatch => Code::InvalidArgument,
        OpError::UnknownOperation => Code::Unimplemented,
        OpError::Internal(_) => Code::Internal,
        OpError::Unavailable(_) => Code::Unavailable,
    }
}

/// Whether trying again, after a while, may help and cannot do harm.
fn may_retry(error: &OpError) -> bool {
    matches!(
        error,
        OpError::ThroughputExceeded(_)
            | OpError::Throttling(_)
            | OpError::TransactionConflict(_)
            | OpError::TransactionInProgress
            | OpError::Unavailable(_)
    )
}

/// The status of an error, with details of at most about `details_max` bytes.
pub fn status(error: OpError, details_max: usize) -> Status {
    let message = shortened(error.message());
    let mut info = pb::ErrorInfo {
        reason: error.name().to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: HashMap::new(),
    };
    let (code, may_retry) = (code(&error), may_retry(&error));
    let mut rest = Vec::new();
    match error {
        OpError::ConditionalCheckFailed { item: Some(item) } => {
            let item = ConditionalCheckFailed { item: Some(convert::item_out(item)) };
            let bytes = item.encoded_len();
            if bytes <= details_max {
                rest.push(any("trilith.data.v1.ConditionalCheckFailed", &item));
            } else {
                info.metadata.insert(OMITTED_METADATA.to_owned(), bytes.to_string());
            }
        }
        OpError::TransactionCanceled(cancellation) => {
            let (detail, omitted) = cancelled(cancellation.reasons, details_max);
            if omitted > 0 {
                info.metadata.insert(OMITTED_METADATA.to_owned(), omitted.to_string());
            }
            rest.push(any("trilith.data.v1.TransactionCanceled", &detail));
        }
        _ => {}
    }
    if may_retry {
        let retry_delay = Some(Duration { seconds: 0, nanos: RETRY_DELAY_NANOS });
        rest.push(any("google.rpc.RetryInfo", &pb::RetryInfo { retry_delay }));
    }
    let details = std::iter::once(any("google.rpc.ErrorInfo", &info)).chain(rest).collect();
    with_details(code, message, details)
}

/// The reasons of a cancelled transaction, and how many bytes of them were left out: items first, from the last one on,
/// then reasons.
fn cancelled(reasons: Vec<CancellationReason>, details_max: usize) -> (TransactionCanceled, usize) {
    let reason = |reason: CancellationReason| proto::CancellationReason {
        code: reason.code.to_owned(),
        message: reason.message.map(|text| shortened(&text)),
        item: reason.item.map(convert::item_out),
    };
    let mut detail = TransactionCanceled { reasons: reasons.into_iter().map(reason).collect() };
    let whole = detail.encoded_len();
    for at in (0..detail.reasons.len()).rev() {
        if detail.encoded_len() <= details_max {
            break;
        }
        detail.reasons[at].item = None;
    }
    while detail.encoded_len() > details_max {
        detail.reasons.pop();
    }
    let omitted = whole - detail.encoded_len();
    (detail, omitted)
}

/// A status that no [`OpError`] stands for, with an `ErrorInfo` of this reason.
pub fn plain(code: Code, reason: &str, message: &str) -> Status {
    let info =
        pb::ErrorInfo { reason: reason.to_owned(), domain: DOMAIN.to_owned(), metadata: HashMap::new() };
    with_details(code, shortened(message), vec![any("google.rpc.ErrorInfo", &info)])
}

fn with_details(code: Code, message: String, details: Vec<Any>) -> Status {
    let details = pb::Status { code: code.into(), message: message.clone(), details };
    Status::with_details(code, message, details.encode_to_vec().into())
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("{TYPE_PREFIX}{name}"), value: message.encode_to_vec() }
}

/// The text, cut to what headers can bear: there, a character that is not plain ASCII costs three bytes for each of its
/// own.
fn shortened(text: &str) -> String {
    let mut left = MESSAGE_BYTES_MAX;
    for (at, character) in text.char_indices() {
        let plain = character.is_ascii_graphic() || character == ' ';
        let cost = if plain && character != '%' { 1 } else { 3 * character.len_utf8() };
        let Some(rest) = left.checked_sub(cost) else {
            return format!("{}...", &text[..at]);
        };
        left = rest;
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;
    use trilith_values::{AttributeValue, Item};

    use super::*;

    fn text() -> String {
        "why".to_owned()
    }

    /// Every variant: its code, and whether a `RetryInfo` says to come again.
    fn table() -> Vec<(OpError, Code, bool)> {
        vec![
            (OpError::Validation(text()), Code::InvalidArgument, false),
            (OpError::Serialization(text()), Code::InvalidArgument, false),
            (OpError::ConditionalCheckFailed { item: None }, Code::FailedPrecondition, false),
            (OpError::DuplicateItem, Code::AlreadyExists, false),
            (OpError::ResourceNotFound(text()), Code::NotFound, false),
            (OpError::TableNotFound(text()), Code::NotFound, false),
            (OpError::PolicyNotFound(text()), Code::NotFound, false),
            (OpError::BackupNotFound(text()), Code::NotFound, false),
            (OpError::ExportNotFound(text()), Code::NotFound, false),
            (OpError::ImportNotFound(text()), Code::NotFound, false),
            (OpError::GlobalTableNotFound(text()), Code::NotFound, false),
            (OpError::ResourceInUse(text()), Code::FailedPrecondition, false),
            (OpError::LimitExceeded(text()), Code::ResourceExhausted, false),
            (OpError::TransactionConflict(text()), Code::Aborted, true),
            (OpError::TransactionInProgress, Code::Aborted, true),
            (OpError::IdempotentParameterMismatch, Code::InvalidArgument, false),
            (OpError::cancelled(vec![CancellationReason::none()]), Code::Aborted, false),
            (OpError::ThroughputExceeded(text()), Code::ResourceExhausted, true),
            (OpError::Throttling(text()), Code::ResourceExhausted, true),
            (OpError::UnknownOperation, Code::Unimplemented, false),
            (OpError::Internal(text()), Code::Internal, false),
            (OpError::Unavailable(text()), Code::Unavailable, true),
        ]
    }

    #[test]
    fn every_error_has_its_status() {
        for (error, code, may_retry) in table() {
            let status = status(error.clone(), 4096);
            assert_eq!((status.code(), status.message()), (code, error.message()), "{error}");
            let info = status.get_details_error_info().expect("an ErrorInfo");
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (error.name(), "trilith"));
            assert_eq!(status.get_details_retry_info().is_some(), may_retry, "{error}");
        }
    }

    fn failed(bytes: usize) -> OpError {
        let item = Item::from([("a".to_owned(), AttributeValue::S("x".repeat(bytes)))]);
        OpError::ConditionalCheckFailed { item: Some(item) }
    }

    fn item_detail(status: &Status) -> Option<ConditionalCheckFailed> {
        let details = pb::Status::decode(status.details()).expect("google.rpc.Status").details;
        let any =
            details.iter().find(|any| any.type_url.ends_with("/trilith.data.v1.ConditionalCheckFailed"))?;
        Some(ConditionalCheckFailed::decode(&any.value[..]).expect("decodes"))
    }

    #[test]
    fn a_failed_condition_carries_the_item_if_it_fits() {
        let small = status(failed(10), 4096);
        let item = item_detail(&small).and_then(|detail| detail.item).expect("the item");
        assert_eq!(item.attributes.len(), 1);
        let big = status(failed(5000), 4096);
        assert_eq!(item_detail(&big), None);
        let info = big.get_details_error_info().expect("an ErrorInfo");
        assert!(info.metadata[OMITTED_METADATA].parse::<usize>().expect("a number") > 5000);
        assert!(item_detail(&status(failed(5000), 8192)).is_some());
    }

    #[test]
    fn a_cancelled_transaction_carries_the_reasons_that_fit() {
        let item = Item::from([("a".to_owned(), AttributeValue::S("x".repeat(1000)))]);
        let failed = CancellationReason {
            code: "ConditionalCheckFailed",
            message: Some("The conditional request failed".to_owned()),
            item: Some(item),
        };
        let reasons = vec![failed.clone(), CancellationReason::none(), failed];
        let (all, omitted) = cancelled(reasons.clone(), 4096);
        assert_eq!((all.reasons.len(), omitted), (3, 0));
        let (some, omitted) = cancelled(reasons.clone(), 1500);
        assert!(omitted >= 1000 && some.reasons[0].item.is_some() && some.reasons[2].item.is_none());
        let (few, _) = cancelled(reasons, 10);
        assert!(few.encoded_len() <= 10);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("short"), "short");
        let cut = shortened(&"é".repeat(5000));
        assert!(cut.ends_with("é...") && cut.len() < MESSAGE_BYTES_MAX);
        assert_eq!(shortened(&"%".repeat(5000)).len(), MESSAGE_BYTES_MAX / 3 + 3);
        let whole = "a".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(shortened(&whole), whole);
    }
}
