//! Errors on the wire: status, `__type` with its namespace, and the text under the spelling that each error has.
//!
//! Errors of the service's model live in `com.amazonaws.dynamodb.v20120810`, errors of its framework in
//! `com.amazon.coral.service`; SDKs look only behind the `#`. `ValidationException` stands under
//! `com.amazon.coral.validate` (unsure; other servers use the model's namespace).

use std::borrow::Cow;

use hyper::StatusCode;
use trilith_domain::OpError;
use trilith_domain::error::{Cancellation, CancellationReason};
use trilith_values::Item;

use super::write::{ToJson, Writer};

/// Namespace of errors of the service's model.
const MODEL: &str = "com.amazonaws.dynamodb.v20120810";
/// Namespace of errors of the framework below it.
const FRAMEWORK: &str = "com.amazon.coral.service";
/// Namespace of `ValidationException`.
const VALIDATE: &str = "com.amazon.coral.validate";

/// An answer that is an error, whether an operation's or the wire's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// HTTP status.
    pub status: StatusCode,
    namespace: &'static str,
    /// The error's bare name, as metrics and SDKs know it.
    pub name: &'static str,
    member: &'static str,
    /// The text; empty for errors that have none.
    pub message: Cow<'static, str>,
    item: Option<Item>,
    cancellation: Option<Box<Cancellation>>,
}

impl Failure {
    fn framework(status: StatusCode, name: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let (item, cancellation) = (None, None);
        Self {
            status,
            namespace: FRAMEWORK,
            name,
            member: "Message",
            message: message.into(),
            item,
            cancellation,
        }
    }

    /// The body is over the limit: 413.
    pub fn too_large(limit: usize) -> Self {
        let text = format!("Request body exceeds the limit of {limit} bytes");
        Self::framework(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", text)
    }

    /// The client stopped sending, or sends too slowly: 408.
    pub fn too_slow() -> Self {
        let text = "The request was not received in time";
        Self::framework(StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", text)
    }

    /// The request's transfer or content coding is broken or unknown: 400.
    pub fn malformed_http(text: impl Into<Cow<'static, str>>) -> Self {
        Self::framework(StatusCode::BAD_REQUEST, "MalformedHttpRequestException", text)
    }

    /// A browser sent a page's request from an origin that is not trusted: 403.
    pub fn foreign_origin() -> Self {
        let text = "Requests from this Origin are refused: it is not a loopback address";
        Self::framework(StatusCode::FORBIDDEN, "AccessDeniedException", text)
    }

    /// Bodies in flight fill the memory set aside for them: 503, nothing was done.
    pub fn busy() -> Self {
        OpError::Unavailable("Too many request bytes in flight; retry later".to_owned()).into()
    }

    /// Whether the body was too large, or too large for now.
    pub fn is_about_size(&self) -> bool {
        matches!(self.status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::SERVICE_UNAVAILABLE)
    }

    /// No such path here: 404.
    pub fn no_such_path() -> Self {
        Self::framework(StatusCode::NOT_FOUND, "UnknownOperationException", "")
    }

    /// No such method here: 405.
    pub fn no_such_method() -> Self {
        Self::framework(StatusCode::METHOD_NOT_ALLOWED, "UnknownOperationException", "")
    }

    /// The JSON body. An error without a text has `__type` alone.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.object(|out| {
            out.name("__type");
            out.plain(&format_args!("{}#{}", self.namespace, self.name));
            if !self.message.is_empty() {
                out.member(self.member, &*self.message);
            }
            out.optional("Item", self.item.as_ref());
            if let Some(cancellation) = &self.cancellation {
                out.member("CancellationReasons", &cancellation.reasons);
            }
        });
        out.into_bytes()
    }
}

impl From<OpError> for Failure {
    fn from(error: OpError) -> Self {
        let name = error.name();
        let (namespace, member) = match error {
            OpError::Validation(_) => (VALIDATE, "message"),
            OpError::Serialization(_) | OpError::UnknownOperation | OpError::Unavailable(_) => {
                (FRAMEWORK, "Message")
            }
            // The model spells it so in the errors of transactions (contract 13).
            OpError::TransactionCanceled(_)
            | OpError::TransactionInProgress
            | OpError::IdempotentParameterMismatch => (MODEL, "Message"),
            _ => (MODEL, "message"),
        };
        let message = match &error {
            OpError::ConditionalCheckFailed { .. } => Cow::Borrowed("The conditional request failed"),
            other => Cow::Owned(other.message().to_owned()),
        };
        let (item, cancellation) = match error {
            OpError::ConditionalCheckFailed { item } => (item, None),
            OpError::TransactionCanceled(cancellation) => (None, Some(cancellation)),
            _ => (None, None),
        };
        Self { status: status(name), namespace, name, member, message, item, cancellation }
    }
}

impl ToJson for CancellationReason {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.member("Code", self.code);
            out.optional("Message", self.message.as_ref());
            out.optional("Item", self.item.as_ref());
        });
    }
}

/// The service answers 400 for whatever the client could have avoided, throttling included.
fn status(name: &str) -> StatusCode {
    match name {
        "InternalServerError" => StatusCode::INTERNAL_SERVER_ERROR,
        "ServiceUnavailable" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}
