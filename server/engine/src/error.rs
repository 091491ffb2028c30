//! What the cluster's failures are to a client.

use trilith_cluster::ClusterError;
use trilith_domain::OpError;

/// The answer to an operation that met this failure: 503 where a retry is safe, 500 where nobody knows, or where data
/// cannot be read.
pub(crate) fn answer(error: ClusterError) -> OpError {
    match error {
        ClusterError::NotDone(why) => {
            OpError::Unavailable(format!("The request was not done, and may be sent again: {why}"))
        }
        ClusterError::Unknown(why) => {
            OpError::Internal(format!("The outcome of the request is unknown: {why}"))
        }
        ClusterError::Storage(why) => OpError::Internal(format!("The data could not be read: {why}")),
    }
}

/// Why an op on its way to a shard has no reply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// The cluster did not answer.
    Cluster(ClusterError),
    /// An answer: the op cannot be bound to the table as it is now.
    Answer(OpError),
}

impl From<Failure> for OpError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Cluster(error) => answer(error),
            Failure::Answer(error) => error,
        }
    }
}

/// The answer where a shard says something that the question does not allow: a fault of ours.
pub(crate) fn out_of_place(what: &str) -> OpError {
    OpError::Internal(format!("Internal server error: {what} was answered by something else"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_surely_not_done_invites_a_retry() {
        let name = |error: ClusterError| answer(error).name();
        assert_eq!(name(ClusterError::NotDone("no leader".into())), "ServiceUnavailable");
        assert_eq!(name(ClusterError::Unknown("lost".into())), "InternalServerError");
        assert_eq!(name(ClusterError::Storage("damaged".into())), "InternalServerError");
    }
}
