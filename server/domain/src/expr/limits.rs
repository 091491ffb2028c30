//! The numbers that bound an expression. All are the service's, except where a comment says otherwise.

/// Bytes of one expression's text.
pub const MAX_EXPRESSION_BYTES: usize = 4096;

/// Operators and functions of one expression: comparators, `AND`, `OR`, `NOT`, `BETWEEN`, `IN`, calls, `+` and `-`.
pub const MAX_OPERATORS: u32 = 300;

/// Values in the list of one `IN`.
pub const MAX_IN_VALUES: usize = 100;

/// Steps (`.name` or `[n]`) of one path behind its attribute.
pub const MAX_DEREFERENCES: usize = 32;

/// Largest list index.
pub const MAX_LIST_INDEX: u32 = i32::MAX as u32;

/// Bytes of one placeholder, its sigil included.
pub const MAX_PLACEHOLDER_BYTES: usize = 255;

/// Bytes of one attribute name.
pub const MAX_NAME_BYTES: usize = 65_535;

/// Bytes of all substitutions of a request: the keys and contents of both maps.
pub const MAX_SUBSTITUTION_BYTES: usize = 2 * 1024 * 1024;

/// Bytes of the attribute names that the expressions of a request resolve to, counted at each use. Ours: without it, 4 KB of
/// text that repeat one long name would become a command of 80 MB.
pub const MAX_RESOLVED_NAME_BYTES: usize = MAX_SUBSTITUTION_BYTES;

/// Bytes of an item, and so of what one update may write.
pub const MAX_ITEM_BYTES: usize = 400 * 1024;

/// Conditions of one key condition: four partition and four sort key attributes, the most that an index can have.
pub const MAX_KEY_CONDITIONS: usize = 8;

/// Bytes of a partition key's value.
pub const MAX_PARTITION_KEY_BYTES: usize = 2048;

/// Bytes of a sort key's value.
pub const MAX_SORT_KEY_BYTES: usize = 1024;

/// Parentheses open at once. Ours: a legal expression needs an operator for each pair of parentheses that it nests, so more than
/// the operators allow are redundant. It bounds the parser's recursion.
pub const MAX_OPEN_GROUPS: u32 = MAX_OPERATORS + 4;

const _: () = assert!(MAX_OPEN_GROUPS > MAX_OPERATORS);
const _: () = assert!(MAX_KEY_CONDITIONS <= MAX_OPERATORS as usize);
