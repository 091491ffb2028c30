//! Errors, told by what a caller can do about them.

use std::error::Error as _;
use std::fmt;

use prost::Message;
use tonic::{Code, Status};
use tonic_types::{StatusExt, pb};
use trilith_proto::data::v1::ConditionalCheckFailed;
use trilith_values::Item;

use crate::convert;

/// `ErrorInfo.domain` of errors that the server itself made.
const DOMAIN: &str = "trilith";
/// Where the server puts the id of a request.
const REQUEST_ID: &str = "x-amzn-requestid";

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong; the message names what.
    Validation,
    /// The condition was false. [`Error::item`] has the item where it was asked for.
    ConditionFailed,
    /// No such table or other resource.
    NotFound,
    /// The resource exists already, or is in a state that does not allow the call.
    InUse,
    /// Over a quota, or over a rate.
    LimitExceeded,
    /// The item is part of a transaction in flight.
    TransactionConflict,
    /// The server does not know the call.
    Unsupported,
    /// Nothing was done: no node could be reached, or none could serve by the deadline.
    Unavailable,
    /// A fault of the server.
    Internal,
    /// No answer by the deadline.
    DeadlineExceeded,
    /// The connection broke before the answer came.
    ConnectionLost,
    /// An answer that this client does not understand, or an address that is none.
    Protocol,
}

/// Whether a call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Nothing was done (or it was a read), and a later try may succeed.
    Safe,
    /// The write may have been done or not. Making it again is right only if doing it twice does no harm, also after
    /// others' writes: a put guarded by a condition, say.
    OutcomeUnknown,
    /// The same call would fail in the same way.
    Pointless,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    kind: ErrorKind,
    retry: Retry,
    message: String,
    exception: Option<String>,
    request_id: Option<String>,
    item: Option<Item>,
}

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the call may be made again.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The server's text, which is the service's where the service has one.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The service's name of the error, such as `ConditionalCheckFailedException`, where the server gave one.
    pub fn exception(&self) -> Option<&str> {
        self.0.exception.as_deref()
    }

    /// The request's id, which the server's log lines bear; `None` where no answer came.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// After [`ErrorKind::ConditionFailed`]: the item as it is, if the request asked for it.
    pub fn item(&self) -> Option<&Item> {
        self.0.item.as_ref()
    }

    pub(crate) fn new(kind: ErrorKind, retry: Retry, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Parts { kind, retry, message, exception: None, request_id: None, item: None }))
    }

    /// An answer or address that makes no sense.
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, Retry::Pointless, message)
    }

    /// No answer by the deadline, to a call that was sent.
    pub(crate) fn deadline(reads: bool) -> Self {
        Self::new(ErrorKind::DeadlineExceeded, lost(reads), "no answer by the deadline")
    }

    /// From the status of a call; `reads` says that it changes nothing.
    pub(crate) fn of(status: &Status, reads: bool) -> Self {
        let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN);
        let (kind, retry) = match &info {
            Some(info) => answered(&info.reason, status.code(), reads),
            None => unanswered(status, reads),
        };
        let request_id = status.metadata().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        Self(Box::new(Parts {
            kind,
            retry,
            message: status.message().to_owned(),
            exception: info.map(|info| info.reason),
            request_id: request_id.map(str::to_owned),
            item: item_of(status),
        }))
    }

    /// Whether the client itself tries again. Not over a quota: what eases that is less load, which only the caller can
    /// bring about.
    pub(crate) fn is_retried(&self) -> bool {
        self.0.retry == Retry::Safe
            && matches!(self.0.kind, ErrorKind::Unavailable | ErrorKind::ConnectionLost)
    }
}

/// What remains of a call whose end nobody saw.
fn lost(reads: bool) -> Retry {
    if reads { Retry::Safe } else { Retry::OutcomeUnknown }
}

/// The server itself made the error.
fn answered(exception: &str, code: Code, reads: bool) -> (ErrorKind, Retry) {
    match code {
        Code::FailedPrecondition if exception == "ConditionalCheckFailedException" => {
            (ErrorKind::ConditionFailed, Retry::Pointless)
        }
        Code::FailedPrecondition => (ErrorKind::InUse, Retry::Pointless),
        // An INSERT is a put whose condition is that there is no item.
        Code::AlreadyExists => (ErrorKind::ConditionFailed, Retry::Pointless),
        // Too many tables or tags: a wait does not help.
        Code::ResourceExhausted if exception == "LimitExceededException" => {
            (ErrorKind::LimitExceeded, Retry::Pointless)
        }
        Code::InvalidArgument | Code::OutOfRange => (ErrorKind::Validation, Retry::Pointless),
        Code::NotFound => (ErrorKind::NotFound, Retry::Pointless),
        Code::ResourceExhausted => (ErrorKind::LimitExceeded, Retry::Safe),
        Code::Aborted => (ErrorKind::TransactionConflict, Retry::Safe),
        Code::Unimplemented => (ErrorKind::Unsupported, Retry::Pointless),
        Code::Unavailable => (ErrorKind::Unavailable, Retry::Safe),
        Code::DeadlineExceeded => (ErrorKind::DeadlineExceeded, lost(reads)),
        _ => (ErrorKind::Internal, lost(reads)),
    }
}

/// The error was made on the way: by the connection, by a proxy, or by this side.
fn unanswered(status: &Status, reads: bool) -> (ErrorKind, Retry) {
    // There was no connection to send the request on.
    if caused_by::<tonic::ConnectError>(status) {
        return (ErrorKind::Unavailable, Retry::Safe);
    }
    match status.code() {
        Code::DeadlineExceeded => (ErrorKind::DeadlineExceeded, lost(reads)),
        // So tonic ends calls at their timeout, on either side.
        Code::Cancelled if status.source().is_none() || caused_by::<tonic::TimeoutExpired>(status) => {
            (ErrorKind::DeadlineExceeded, lost(reads))
        }
        Code::Unimplemented => (ErrorKind::Unsupported, Retry::Pointless),
        // A status that came over the wire has no source: there was an answer, if not one of ours.
        _ if status.source().is_none() && status.code() == Code::Internal => {
            (ErrorKind::Internal, lost(reads))
        }
        _ => (ErrorKind::ConnectionLost, lost(reads)),
    }
}

/// Whether an error of this type stands among the causes.
fn caused_by<E: std::error::Error + 'static>(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn item_of(status: &Status) -> Option<Item> {
    let details = pb::Status::decode(status.details()).ok()?.details;
    let any = details.iter().find(|any| any.type_url.ends_with("/trilith.data.v1.ConditionalCheckFailed"))?;
    let detail = ConditionalCheckFailed::decode(&any.value[..]).ok()?;
    convert::item_in(detail.item?).ok()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exception() {
            Some(name) => write!(f, "{name}: {}", self.0.message)?,
            None => write!(f, "{:?}: {}", self.0.kind, self.0.message)?,
        }
        match self.request_id() {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
