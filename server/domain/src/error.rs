//! What a client can be told: one variant per exception of the service that an operation may answer.
//!
//! An [`OpError`] is a finished answer. It knows nothing of retries, disks, leaders or transports: whoever meets
//! one of those turns it into an answer at the edge (`cluster` and `engine` have their own error types for that).
//! The texts are the service's; where a text is not known for certain, the place that makes it says so.

use std::fmt;

use trilith_values::Item;

/// An answer that reports why an operation was not done, as the service words it.
#[derive(Clone, Debug, PartialEq)]
pub enum OpError {
    /// The request itself is wrong; the text names what. `ValidationException`.
    Validation(String),
    /// The request body is not the JSON that the operation's shape asks for. `SerializationException`.
    Serialization(String),
    /// A condition was false. Carries the item where the caller asked for it. `ConditionalCheckFailedException`.
    ConditionalCheckFailed {
        /// The item as it was, when `ReturnValuesOnConditionCheckFailure` is `ALL_OLD` and the item exists.
        item: Option<Item>,
    },
    /// An `INSERT` of an item that is there already. `DuplicateItemException`.
    DuplicateItem,
    /// No such table (or tagged resource). `ResourceNotFoundException`.
    ResourceNotFound(String),
    /// No such table, as the backup operations say it. `TableNotFoundException`.
    TableNotFound(String),
    /// No resource policy is attached. `PolicyNotFoundException`.
    PolicyNotFound(String),
    /// No such backup. `BackupNotFoundException`.
    BackupNotFound(String),
    /// No such export. `ExportNotFoundException`.
    ExportNotFound(String),
    /// No such import. `ImportNotFoundException`.
    ImportNotFound(String),
    /// No such global table of the 2017 version. `GlobalTableNotFoundException`.
    GlobalTableNotFound(String),
    /// The table exists, or is in a state that does not allow the call. `ResourceInUseException`.
    ResourceInUse(String),
    /// Too many tables, tags or control operations. `LimitExceededException`.
    LimitExceeded(String),
    /// The item is part of a transaction in flight. `TransactionConflictException`.
    TransactionConflict(String),
    /// An item collection would be too large. `ItemCollectionSizeLimitExceededException`.
    CollectionTooLarge(String),
    /// A transaction was not done, for the reasons it gives. `TransactionCanceledException`.
    TransactionCanceled(Box<Cancellation>),
    /// The same request, by its token, is being done. `TransactionInProgressException`.
    TransactionInProgress,
    /// The token was used for another request. `IdempotentParameterMismatchException`.
    IdempotentParameterMismatch,
    /// Over the table's own rate. `ProvisionedThroughputExceededException`.
    ThroughputExceeded(String),
    /// Over a rate of the service. `ThrottlingException`.
    Throttling(String),
    /// The operation does not exist here. `UnknownOperationException`.
    UnknownOperation,
    /// A write whose outcome is unknown, or a fault of the server. HTTP 500. `InternalServerError`.
    Internal(String),
    /// Not done, and safe to retry: no leader by the deadline, or overload. HTTP 503. `ServiceUnavailable`.
    Unavailable(String),
}

/// Why a transaction was cancelled.
#[derive(Clone, Debug, PartialEq)]
pub struct Cancellation {
    /// The whole in one line, as the service words it.
    pub message: String,
    /// `CancellationReasons`: one for each action, in the order of the request.
    pub reasons: Vec<CancellationReason>,
}

/// What one action of a cancelled transaction has to do with it.
#[derive(Clone, Debug, PartialEq)]
pub struct CancellationReason {
    /// `Code`; `None` (the word) where there was nothing against this action.
    pub code: &'static str,
    /// `Message`; left out where there was nothing.
    pub message: Option<String>,
    /// `Item`, where the action asked for it and it exists.
    pub item: Option<Item>,
}

impl CancellationReason {
    /// Nothing against this action.
    pub fn none() -> Self {
        Self { code: "None", message: None, item: None }
    }

    /// Another transaction has this action's item.
    pub fn conflict() -> Self {
        let message = Some("Transaction is ongoing for the item".to_owned());
        Self { code: "TransactionConflict", message, item: None }
    }
}

impl OpError {
    /// A `TransactionCanceledException` with these reasons.
    pub fn cancelled(reasons: Vec<CancellationReason>) -> Self {
        let codes: Vec<&str> = reasons.iter().map(|reason| reason.code).collect();
        let message = format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        );
        Self::TransactionCanceled(Box::new(Cancellation { message, reasons }))
    }

    /// A `ValidationException` with this text.
    pub fn validation(text: impl Into<String>) -> Self {
        Self::Validation(text.into())
    }

    /// The exception's bare name, as SDKs match it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Validation(_) => "ValidationException",
            Self::Serialization(_) => "SerializationException",
            Self::ConditionalCheckFailed { .. } => "ConditionalCheckFailedException",
            Self::DuplicateItem => "DuplicateItemException",
            Self::ResourceNotFound(_) => "ResourceNotFoundException",
            Self::TableNotFound(_) => "TableNotFoundException",
            Self::PolicyNotFound(_) => "PolicyNotFoundException",
            Self::BackupNotFound(_) => "BackupNotFoundException",
            Self::ExportNotFound(_) => "ExportNotFoundException",
            Self::ImportNotFound(_) => "ImportNotFoundException",
            Self::GlobalTableNotFound(_) => "GlobalTableNotFoundException",
            Self::ResourceInUse(_) => "ResourceInUseException",
            Self::LimitExceeded(_) => "LimitExceededException",
            Self::TransactionConflict(_) => "TransactionConflictException",
            Self::CollectionTooLarge(_) => "ItemCollectionSizeLimitExceededException",
            Self::TransactionCanceled(_) => "TransactionCanceledException",
            Self::TransactionInProgress => "TransactionInProgressException",
            Self::IdempotentParameterMismatch => "IdempotentParameterMismatchException",
            Self::ThroughputExceeded(_) => "ProvisionedThroughputExceededException",
            Self::Throttling(_) => "ThrottlingException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::Internal(_) => "InternalServerError",
            Self::Unavailable(_) => "ServiceUnavailable",
        }
    }

    /// The text that goes with the name; empty for `UnknownOperationException`.
    pub fn message(&self) -> &str {
        match self {
            Self::Validation(text)
            | Self::Serialization(text)
            | Self::ResourceNotFound(text)
            | Self::TableNotFound(text)
            | Self::PolicyNotFound(text)
            | Self::BackupNotFound(text)
            | Self::ExportNotFound(text)
            | Self::ImportNotFound(text)
            | Self::GlobalTableNotFound(text)
            | Self::ResourceInUse(text)
            | Self::LimitExceeded(text)
            | Self::TransactionConflict(text)
            | Self::CollectionTooLarge(text)
            | Self::ThroughputExceeded(text)
            | Self::Throttling(text)
            | Self::Internal(text)
            | Self::Unavailable(text) => text,
            Self::TransactionCanceled(cancellation) => &cancellation.message,
            // The model's own words for both (unsure whether the service sends them).
            Self::TransactionInProgress => {
                "The transaction with the given request token is already in progress."
            }
            Self::IdempotentParameterMismatch => {
                "DynamoDB rejected the request because you retried a request with a different payload but with an \
                 idempotent token that was already used."
            }
            Self::ConditionalCheckFailed { .. } => "The conditional request failed",
            Self::DuplicateItem => "Duplicate primary key exists in table",
            Self::UnknownOperation => "",
        }
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.message())
    }
}

impl std::error::Error for OpError {}
