//! The ledger: where it is decided, once for all, what becomes of a transaction across shards, and which client tokens
//! have been used.
//!
//! A transaction's row on its ledger shard is a register that is written once: [`LedgerCommand::Decide`] writes that it is
//! committed, [`LedgerCommand::Resolve`] that it is aborted, and whoever comes second is told what the first wrote. No row
//! means undecided, and that whoever asks in earnest aborts it (presumed abort). So a coordinator that died leaves nothing
//! that others cannot finish, and one that is slow cannot commit what others have given up.
//!
//! A client's token stands on the shard that its hash chooses, with a digest of the request. Such a transaction has its
//! ledger there too, so that committing it and marking the token as done are one command. The token of a transaction
//! that needs one shard only is claimed first, and its outcome kept with the items, in the same command as the writes.
//!
//! Invariants: a decision never changes; a row of a committed transaction stays until every shard has applied it (whoever
//! forgets rows has looked); nothing here reads a clock, rows age by the stamps of commands.

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use trilith_values::{ShardId, TransactionId};
use xxhash_rust::xxh3::xxh3_64;

use super::change::{Change, Outcome};
use super::reply::ReplyBody;
use super::working::Working;
use crate::codec::{self, CorruptValue};
use crate::keyspace::{Family, Key};
use crate::time::Stamp;

/// How long a token is remembered after its request was done (contract 6): 10 minutes.
pub const TOKEN_MICROS: u64 = 600_000_000;
/// A request that claimed its token this long ago, and is not done, has been given up: 5 seconds.
pub const CLAIM_MICROS: u64 = 5_000_000;

/// A client's token for one request.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Token {
    /// The shard on which tokens like it are kept ([`shard_for`]).
    pub shard: ShardId,
    /// Whose it is.
    pub account: u64,
    /// `ClientRequestToken`.
    pub token: String,
    /// Of the request's other parameters.
    pub digest: u128,
}

impl Token {
    /// Where it stands on a shard.
    pub(super) fn key(&self, shard: ShardId) -> Key {
        Key::Token { shard, account: self.account, token: self.token.clone() }
    }
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Decision {
    /// All of it happens.
    Commit,
    /// None of it happens.
    Abort,
}

/// A change of the ledger.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum LedgerCommand {
    /// Takes a token for a request: with the transaction that shall do it, or none where one shard does it all.
    Claim {
        /// The token.
        token: Token,
        /// The transaction.
        transaction: Option<TransactionId>,
    },
    /// Commits a transaction whose parts are all prepared, unless it was aborted, lost its token, or is too late.
    Decide {
        /// Which.
        transaction: TransactionId,
        /// The shards that prepared it.
        participants: Vec<ShardId>,
        /// After this it is too late: rows of aborted transactions are kept for longer, and then forgotten.
        until: Stamp,
        /// The token that was claimed for it.
        token: Option<Token>,
        /// Sizes of the larger images around each write, bytes: what is charged when the request comes again.
        sizes: Vec<u64>,
    },
    /// Asks for the decision; a transaction without one is aborted now.
    Resolve {
        /// Which.
        transaction: TransactionId,
    },
    /// Gives a token back whose transaction was not done.
    Release {
        /// The token.
        token: Token,
        /// By which it was claimed.
        transaction: TransactionId,
    },
    /// Forgets decisions: committed ones that all participants have applied, aborted ones that are old.
    Forget {
        /// Which.
        transactions: Vec<TransactionId>,
    },
    /// Forgets tokens that have expired.
    Trim {
        /// Since when, whose, which.
        tokens: Vec<(Stamp, u64, String)>,
    },
}

/// What the ledger answers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum LedgerReply {
    /// The token is the request's now.
    Claimed,
    /// The token was used for another request.
    Mismatch,
    /// The same request is being done.
    InProgress,
    /// The same request was done: sizes of the items after it, bytes.
    Replayed(Vec<u64>),
    /// The decision, which is for ever.
    Decided(Decision),
    /// Done, or nothing to be done.
    Done,
}

/// What is stored of a decision.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LedgerRow {
    /// What.
    pub decision: Decision,
    /// The shards that prepared it; none of an aborted one.
    pub participants: Vec<ShardId>,
    /// When.
    pub at: Stamp,
}

/// What is stored of a token.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TokenRow {
    /// Of the request.
    pub digest: u128,
    /// Since when it is in this state.
    pub at: Stamp,
    /// How far the request has come.
    pub state: TokenState,
}

/// How far a request with a token has come.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TokenState {
    /// One shard does it, and knows whether it is done.
    OneShard,
    /// This transaction is doing it.
    Open(TransactionId),
    /// It was not done.
    Free,
    /// It was done: sizes of the items after it, bytes.
    Done(Vec<u64>),
}

/// Which token got its state at a stamp: tokens in the order of their age.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AgingRow {
    /// Whose.
    pub account: u64,
    /// Which.
    pub token: String,
}

/// A place for a token among all: where its shard is looked for.
pub fn token_place(account: u64, token: &str) -> u64 {
    let mut bytes = account.to_be_bytes().to_vec();
    bytes.extend_from_slice(token.as_bytes());
    xxh3_64(&bytes)
}

/// The shard that keeps the ledger of a place: of `shards` the one whose hash with the place is the highest, so that one
/// shard more takes places from the others and moves none between them. `None` where there is no shard.
pub fn shard_for(place: u64, shards: impl Iterator<Item = ShardId>) -> Option<ShardId> {
    let weight = |shard: ShardId| xxh3_64(&[place, u64::from(shard.0)].map(u64::to_be_bytes).concat());
    shards.max_by_key(|shard| (weight(*shard), *shard))
}

/// The rows that a command looks at.
pub(super) fn reads(shard: ShardId, command: &LedgerCommand) -> Vec<(Family, Bytes)> {
    let ledger = |transaction: &TransactionId| Key::Ledger(shard, *transaction).encode();
    let keys = match command {
        LedgerCommand::Claim { token, .. } | LedgerCommand::Release { token, .. } => {
            vec![token.key(shard).encode()]
        }
        LedgerCommand::Decide { transaction, token, .. } => std::iter::once(ledger(transaction))
            .chain(token.iter().map(|token| token.key(shard).encode()))
            .collect(),
        LedgerCommand::Resolve { transaction } => vec![ledger(transaction)],
        LedgerCommand::Forget { transactions } => transactions.iter().map(ledger).collect(),
        LedgerCommand::Trim { tokens } => tokens
            .iter()
            .map(|(_, account, token)| Key::Token { shard, account: *account, token: token.clone() }.encode())
            .collect(),
    };
    keys.into_iter().map(|key| (Family::Meta, key)).collect()
}

/// Applies a change of the ledger of `shard`.
///
/// # Errors
/// [`CorruptValue`] if a row is damaged.
pub(super) fn run(
    working: &Working,
    shard: ShardId,
    command: &LedgerCommand,
    stamp: Stamp,
) -> Result<Outcome, CorruptValue> {
    let (reply, changes) = match command {
        LedgerCommand::Claim { token, transaction } => claim(working, shard, token, *transaction, stamp)?,
        LedgerCommand::Decide { transaction, participants, until, token, sizes } => {
            let known = decided(working, shard, *transaction)?;
            let mine = match token {
                Some(token) => holds(working, shard, token, *transaction)?,
                None => true,
            };
            match known {
                Some(row) => (LedgerReply::Decided(row.decision), Vec::new()),
                None if stamp > *until || !mine => (LedgerReply::Decided(Decision::Abort), Vec::new()),
                None => {
                    let participants = participants.clone();
                    let row = LedgerRow { decision: Decision::Commit, participants, at: stamp };
                    let mut changes = vec![set(&Key::Ledger(shard, *transaction), Some(&row))];
                    if let Some(token) = token {
                        changes.extend(token_is(shard, token, TokenState::Done(sizes.clone()), stamp));
                    }
                    (LedgerReply::Decided(Decision::Commit), changes)
                }
            }
        }
        LedgerCommand::Resolve { transaction } => match decided(working, shard, *transaction)? {
            Some(row) => (LedgerReply::Decided(row.decision), Vec::new()),
            None => {
                let row = LedgerRow { decision: Decision::Abort, participants: Vec::new(), at: stamp };
                let changes = vec![set(&Key::Ledger(shard, *transaction), Some(&row))];
                (LedgerReply::Decided(Decision::Abort), changes)
            }
        },
        LedgerCommand::Release { token, transaction } => {
            let changes = match holds(working, shard, token, *transaction)? {
                true => token_is(shard, token, TokenState::Free, stamp),
                false => Vec::new(),
            };
            (LedgerReply::Done, changes)
        }
        LedgerCommand::Forget { transactions } => {
            let mut changes = Vec::new();
            for transaction in transactions {
                let may_go = |row: LedgerRow| match row.decision {
                    Decision::Commit => true,
                    Decision::Abort => row.at.0 + TOKEN_MICROS <= stamp.0,
                };
                if decided(working, shard, *transaction)?.is_some_and(may_go) {
                    changes.push(set::<LedgerRow>(&Key::Ledger(shard, *transaction), None));
                }
            }
            (LedgerReply::Done, changes)
        }
        LedgerCommand::Trim { tokens } => (LedgerReply::Done, trim(working, shard, tokens, stamp)?),
    };
    Ok(Outcome { body: ReplyBody::Ledger(reply), changes })
}

fn claim(
    working: &Working,
    shard: ShardId,
    token: &Token,
    transaction: Option<TransactionId>,
    stamp: Stamp,
) -> Result<(LedgerReply, Vec<Change>), CorruptValue> {
    let state = transaction.map_or(TokenState::OneShard, TokenState::Open);
    Ok(match used(working, shard, token, transaction, stamp)? {
        Some(reply) => (reply, Vec::new()),
        None => (LedgerReply::Claimed, token_is(shard, token, state, stamp)),
    })
}

/// What the token's row says against a request that would use it now; `None` where it may.
///
/// # Errors
/// [`CorruptValue`] if the row is damaged.
pub(super) fn used(
    working: &Working,
    shard: ShardId,
    token: &Token,
    transaction: Option<TransactionId>,
    stamp: Stamp,
) -> Result<Option<LedgerReply>, CorruptValue> {
    let row: Option<TokenRow> = working.row(&token.key(shard))?;
    let Some(row) = row.filter(|row| row.at.0 + TOKEN_MICROS > stamp.0) else {
        return Ok(None);
    };
    if row.digest != token.digest {
        return Ok(Some(LedgerReply::Mismatch));
    }
    Ok(match row.state {
        TokenState::Done(sizes) => Some(LedgerReply::Replayed(sizes)),
        TokenState::Open(other) if Some(other) != transaction && stamp.0 < row.at.0 + CLAIM_MICROS => {
            Some(LedgerReply::InProgress)
        }
        TokenState::Open(_) | TokenState::OneShard | TokenState::Free => None,
    })
}

/// The rows of a token that gets a state.
pub(super) fn token_is(shard: ShardId, token: &Token, state: TokenState, stamp: Stamp) -> Vec<Change> {
    let row = TokenRow { digest: token.digest, at: stamp, state };
    let aging = AgingRow { account: token.account, token: token.token.clone() };
    vec![set(&token.key(shard), Some(&row)), set(&Key::Aging(shard, stamp), Some(&aging))]
}

fn holds(
    working: &Working,
    shard: ShardId,
    token: &Token,
    transaction: TransactionId,
) -> Result<bool, CorruptValue> {
    let row: Option<TokenRow> = working.row(&token.key(shard))?;
    Ok(row.is_some_and(|row| row.digest == token.digest && row.state == TokenState::Open(transaction)))
}

fn decided(
    working: &Working,
    shard: ShardId,
    transaction: TransactionId,
) -> Result<Option<LedgerRow>, CorruptValue> {
    working.row(&Key::Ledger(shard, transaction))
}

/// Expired tokens, and the notes of their age. A token that got another state since has another note.
fn trim(
    working: &Working,
    shard: ShardId,
    tokens: &[(Stamp, u64, String)],
    stamp: Stamp,
) -> Result<Vec<Change>, CorruptValue> {
    let mut changes = Vec::new();
    for (at, account, token) in tokens.iter().filter(|(at, ..)| at.0 + TOKEN_MICROS <= stamp.0) {
        let key = Key::Token { shard, account: *account, token: token.clone() };
        let row: Option<TokenRow> = working.row(&key)?;
        if row.is_some_and(|row| row.at == *at) {
            changes.push(set::<TokenRow>(&key, None));
        }
        changes.push(set::<AgingRow>(&Key::Aging(shard, *at), None));
    }
    Ok(changes)
}

fn set<T: BorshSerialize>(key: &Key, row: Option<&T>) -> Change {
    Change::Row { family: Family::Meta, key: key.encode(), value: row.map(codec::seal_row) }
}
