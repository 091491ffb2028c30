//! The service's limits that operations hold to, with the contract section each comes from (bytes where not said).
//! Limits of expressions stand with the expression language.

/// Largest item, by the service's accounting (2.4): 400 KB.
pub const ITEM_SIZE_MAX: usize = 400 * 1024;
/// Most levels of lists and maps in a value (2.1).
pub const NESTING_MAX: usize = 32;
/// Longest partition key value (2.4).
pub const PARTITION_KEY_MAX: usize = 2048;
/// Longest sort key value (2.4).
pub const SORT_KEY_MAX: usize = 1024;
/// Shortest table, index or backup name in characters (2.3).
pub const NAME_MIN: usize = 3;
/// Longest table, index or backup name in characters (2.3).
pub const NAME_MAX: usize = 255;
/// Longest `TableName` where an ARN may stand in its place, in characters (1).
pub const TABLE_ARN_MAX: usize = 1024;
/// Shortest ARN of a backup, export, import, bulk operation or stream, in characters (1).
pub const LONG_ARN_MIN: usize = 37;
/// Longest of these ARNs, in characters (1).
pub const LONG_ARN_MAX: usize = 1024;
/// Longest `ResourceArn`, in characters (1).
pub const RESOURCE_ARN_MAX: usize = 1283;
/// Longest name of a key attribute (2.3).
pub const KEY_ATTRIBUTE_NAME_MAX: usize = 255;
/// Longest name of any attribute (2.3).
pub const ATTRIBUTE_NAME_MAX: usize = 65_535;
/// Bytes of items that a page of Query or Scan evaluates (4.3): 1 MB.
pub const PAGE_BYTES_MAX: u64 = 1024 * 1024;
/// Keys in a BatchGetItem (1).
pub const BATCH_GET_KEYS_MAX: usize = 100;
/// Requests in a BatchWriteItem (1).
pub const BATCH_WRITE_REQUESTS_MAX: usize = 25;
/// Bytes of items that a batch answers or takes (15): 16 MB.
pub const BATCH_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest PartiQL statement in characters (15).
pub const STATEMENT_MAX: usize = 8192;
/// Statements in a BatchExecuteStatement (1).
pub const BATCH_STATEMENTS_MAX: usize = 25;
/// Longest `NextToken` of a statement in characters (1).
pub const NEXT_TOKEN_MAX: usize = 32_768;
/// Items in a transaction (6).
pub const TRANSACTION_ITEMS_MAX: usize = 100;
/// Bytes of items in a transaction (6): 4 MB.
pub const TRANSACTION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest `ClientRequestToken` in characters (6).
pub const REQUEST_TOKEN_MAX: usize = 36;
/// Segments of a parallel scan (4.9).
pub const SEGMENTS_MAX: i64 = 1_000_000;
/// Names in a page of ListTables (15).
pub const LIST_TABLES_MAX: i64 = 100;
/// Tags of a resource (12).
pub const TAGS_MAX: usize = 50;
/// Bytes of all tags of a resource, keys and values (12).
pub const TAG_BYTES_MAX: usize = 10 * 1024;
/// Longest tag key in characters (12).
pub const TAG_KEY_MAX: usize = 128;
/// Longest tag value in characters (12).
pub const TAG_VALUE_MAX: usize = 256;
/// Read or write units of one table that the service grants by default (1, DescribeLimits).
pub const TABLE_UNITS_MAX: i64 = 40_000;
/// Read or write units of all provisioned tables of an account, likewise.
pub const ACCOUNT_UNITS_MAX: i64 = 80_000;
/// Read units per second that a fresh on-demand table sustains (5.4).
pub const ON_DEMAND_READ_UNITS: i64 = 12_000;
/// Write units per second that a fresh on-demand table sustains (5.4).
pub const ON_DEMAND_WRITE_UNITS: i64 = 4_000;
/// Bytes that one read unit covers (5).
pub const READ_UNIT_BYTES: u64 = 4096;
/// Bytes that one write unit covers (5).
pub const WRITE_UNIT_BYTES: u64 = 1024;

/// Bytes of one item collection in a table with local indexes (2.4): 10 GB.
pub const COLLECTION_BYTES_MAX: u64 = 10 * 1024 * 1024 * 1024;
/// Local indexes of a table (15).
pub const LOCAL_INDEXES_MAX: usize = 5;
/// Global indexes of a table (15).
pub const GLOBAL_INDEXES_MAX: usize = 20;
/// Vector indexes of a table (15).
pub const VECTOR_INDEXES_MAX: usize = 5;
/// Numbers of a vector (1).
pub const DIMENSIONS_MAX: usize = 4096;
/// `INLINE_FILTER` attributes of a vector index (1).
pub const INLINE_FILTERS_MAX: usize = 18;
/// Results of a search of vectors (4.7).
pub const TOP_K_MAX: i64 = 100;
/// Bytes of items that a search of vectors answers (4.7): 16 MB.
pub const SEARCH_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes that a write to a vector index, or a search, is charged at the least (5.1).
pub const VECTOR_BYTES_MIN: u64 = 1024;
/// HASH, and RANGE, attributes of a global index (15).
pub const INDEX_KEY_ATTRIBUTES_MAX: usize = 4;
/// `NonKeyAttributes` of one index (15).
pub const NON_KEY_ATTRIBUTES_MAX: usize = 20;
/// `NonKeyAttributes` of all indexes of a table (15).
pub const NON_KEY_ATTRIBUTES_TOTAL_MAX: usize = 100;

// One item always fits a page and a batch, so paging and batches make progress.
const _: () = assert!((ITEM_SIZE_MAX as u64) < PAGE_BYTES_MAX && PAGE_BYTES_MAX < BATCH_BYTES_MAX);
const _: () = assert!(PARTITION_KEY_MAX + SORT_KEY_MAX < ITEM_SIZE_MAX);
const _: () = assert!(TABLE_UNITS_MAX <= ACCOUNT_UNITS_MAX);
