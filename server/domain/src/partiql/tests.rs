//! That statements read as what was written, whatever is written; and what they become.

use proptest::prelude::*;
use trilith_values::{AttributeValue, Item, KeyType, Number};

use super::ast::*;
use super::lower::{Lowered, Place, Prepared};
use super::reads::Read;
use super::{parse, print};
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::expr::{Comparator, Path, Segment, ValueType};
use crate::ops::testing::table;
use crate::ops::types::ReturnConsumed;
use crate::schema::KeyAttribute;

fn names() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{1,4}", "[ -~]{1,6}", Just("select".to_owned()), Just("ä\"b".to_owned())]
}

fn paths() -> impl Strategy<Value = Path> {
    let step = prop_oneof![names().prop_map(Segment::Name), (0u32..5).prop_map(Segment::Index)];
    (names(), prop::collection::vec(step, 0..3)).prop_map(|(root, steps)| {
        let mut path = Path::attribute(root);
        steps.into_iter().for_each(|step| path.push(step));
        path
    })
}

fn comparators() -> impl Strategy<Value = Comparator> {
    prop_oneof![
        Just(Comparator::Equal),
        Just(Comparator::NotEqual),
        Just(Comparator::Less),
        Just(Comparator::GreaterEqual),
    ]
}

fn types() -> impl Strategy<Value = ValueType> {
    use ValueType::*;
    prop::sample::select(vec![Null, Bool, B, S, N, M, L])
}

fn call(name: String, operands: Vec<Expression>) -> Expression {
    Expression::Call(Call { name, operands, at: Default::default(), first_at: Default::default() })
}

fn expressions() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        paths().prop_map(Expression::Path),
        ".{0,5}".prop_map(Expression::Text),
        "-?[1-9][0-9]{0,3}(\\.[0-9]{1,2})?(E-?[1-9])?".prop_map(Expression::Number),
        any::<bool>().prop_map(Expression::Boolean),
        Just(Expression::Null),
        Just(Expression::Missing),
        Just(Expression::Parameter(0, Default::default())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..4);
        let one = || inner.clone().prop_map(Box::new);
        prop_oneof![
            some().prop_map(Expression::List),
            some().prop_map(Expression::Set),
            prop::collection::vec((".{0,4}", inner.clone()), 0..3).prop_map(Expression::Map),
            ("[a-z_]{1,6}", some()).prop_map(|(name, operands)| call(name, operands)),
            one().prop_map(Expression::Not),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| {
                let flat = all.into_iter().flat_map(|one| match one {
                    Expression::And(more) => more,
                    one => vec![one],
                });
                Expression::And(flat.collect())
            }),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| {
                let flat = all.into_iter().flat_map(|one| match one {
                    Expression::Or(more) => more,
                    one => vec![one],
                });
                Expression::Or(flat.collect())
            }),
            (comparators(), one(), one()).prop_map(|(c, a, b)| Expression::Compare(c, a, b)),
            (one(), one(), one()).prop_map(|(a, b, c)| Expression::Between(a, b, c)),
            (one(), some()).prop_map(|(a, list)| Expression::In(a, list)),
            one().prop_map(Expression::IsMissing),
            (one(), types()).prop_map(|(a, kind)| Expression::IsType(a, kind)),
            (one(), one()).prop_map(|(a, b)| Expression::Plus(a, b)),
            (one(), one()).prop_map(|(a, b)| Expression::Minus(a, b)),
        ]
    })
}

fn sources() -> impl Strategy<Value = Source> {
    (names(), prop::option::of(names())).prop_map(|(table, index)| Source { table, index })
}

fn selects() -> impl Strategy<Value = Select> {
    let order = (names(), any::<bool>()).prop_map(|(attribute, descending)| Order { attribute, descending });
    let columns = prop::option::of(prop::collection::vec(paths(), 1..4));
    let filter = prop::option::of(expressions());
    (columns, sources(), filter, prop::collection::vec(order, 0..3))
        .prop_map(|(columns, source, filter, order)| Select { columns, source, filter, order })
}

fn statements() -> impl Strategy<Value = Statement> {
    let filter = || prop::option::of(expressions());
    let returning =
        || prop::option::of(any::<(bool, bool)>().prop_map(|(modified, new)| Returning { modified, new }));
    let change = prop_oneof![
        (paths(), expressions()).prop_map(|(path, value)| Change::Set(path, value)),
        paths().prop_map(Change::Remove),
    ];
    prop_oneof![
        selects().prop_map(Statement::Select),
        selects().prop_map(Statement::Exists),
        (sources(), expressions()).prop_map(|(source, value)| Statement::Insert(Insert { source, value })),
        (sources(), prop::collection::vec(change, 1..4), filter(), returning()).prop_map(
            |(source, changes, filter, returning)| {
                Statement::Update(Update { source, changes, filter, returning })
            }
        ),
        (sources(), filter(), returning()).prop_map(|(source, filter, returning)| {
            Statement::Delete(Delete { source, filter, returning })
        }),
    ]
}

/// Numbers the parameters in the order of the text, as the parser does: compares trees by what is printed.
fn same(a: &Statement, b: &Statement) -> bool {
    print::statement(a) == print::statement(b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// What is written reads as the same tree.
    #[test]
    fn trees_are_printed_and_read_again(statement in statements()) {
        let text = print::statement(&statement);
        let parsed = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert!(same(&parsed.statement, &statement), "{text}\n{}", print::statement(&parsed.statement));
        prop_assert_eq!(&parse(&print::statement(&parsed.statement)).expect("printed"), &parsed);
    }

    /// No text makes the reader panic, and what it reads it lowers or refuses.
    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![
        ".{0,60}",
        "(SELECT|UPDATE|DELETE|INSERT|EXISTS)( |\\(|\\*|FROM|INTO|VALUE|SET|WHERE|tbl|a|=|'x'|1|-|\\?|<<|>>|\\[|\\]|\\{|\\}|,|\\)|AND|OR|NOT|IN|IS|NULL|MISSING|BETWEEN|RETURNING|ALL|OLD| ){0,30}",
    ]) {
        if let Ok(parsed) = parse(&text) {
            let parameters = vec![AttributeValue::S("x".into()); parsed.parameters];
            let _ = prepared(&text, parameters).and_then(|statement| Ok(statement.lower(&record("a", None), None, Place::Alone)?));
        }
    }

    /// Every statement that reads is lowered or refused, for tables with and without sort keys.
    #[test]
    fn any_tree_is_lowered_or_refused(statement in statements(), sorted in any::<bool>()) {
        let text = print::statement(&statement);
        let parameters = parse(&text).map_or(0, |parsed| parsed.parameters);
        let parameters = vec![AttributeValue::N(Number::from_u64(1)); parameters];
        if let Ok(statement) = prepared(&text, parameters) {
            let record = record("a", sorted.then_some("b"));
            let _ = statement.lower(&record, Some(3), Place::Alone);
            let _ = statement.lower(&record, Some(3), Place::Batch);
        }
    }
}

/// A table with these keys, both of strings.
fn record(hash: &str, range: Option<&str>) -> TableRecord {
    let key = |name: &str| KeyAttribute { name: name.to_owned(), kind: KeyType::S };
    let mut record = table();
    record.definition.hash = key(hash);
    record.definition.range = range.map(key);
    record
}

fn prepared(text: &str, parameters: Vec<AttributeValue>) -> Result<Prepared, OpError> {
    Prepared::new(text.to_owned(), parameters, false, false, ReturnConsumed::None)
}

fn lower(text: &str) -> Result<Lowered, OpError> {
    Ok(prepared(text, Vec::new())?.lower(&record("pk", Some("sk")), None, Place::Alone)?)
}

fn message(text: &str) -> String {
    match lower(text) {
        Ok(lowered) => panic!("{text}: {lowered:?}"),
        Err(error) => error.message().to_owned(),
    }
}

/// How many gets, queries and scans a clause becomes.
fn reads(clause: &str) -> (usize, usize, usize) {
    let Lowered::Reads(reads) = lower(&format!("SELECT * FROM tbl {clause}")).expect(clause) else {
        panic!("not a read: {clause}");
    };
    let mut counts = (0, 0, 0);
    for read in reads.reads() {
        match read {
            Read::Get(_) => counts.0 += 1,
            Read::Query(_) => counts.1 += 1,
            Read::Scan(_) => counts.2 += 1,
        }
    }
    counts
}

#[test]
fn deep_and_long_statements_are_refused() {
    for text in [
        format!("SELECT * FROM tbl WHERE {}a = 1{}", "(".repeat(4000), ")".repeat(4000)),
        format!("SELECT * FROM tbl WHERE {} a = 1", "NOT ".repeat(2000)),
        format!("SELECT * FROM tbl WHERE a = {}", "1 + ".repeat(2000) + "1"),
        format!("INSERT INTO tbl VALUE {}", "{'a':[".repeat(1300)),
        format!("SELECT * FROM tbl WHERE {} a = 1", "a OR a AND NOT a = a < a + (".repeat(280)),
    ] {
        assert!(lower(&text).is_err(), "{}", &text[..60]);
    }
    let all = "x OR x AND NOT x = x < x + (".repeat(20);
    assert!(parse(&format!("SELECT * FROM tbl WHERE {all}1{}", ")".repeat(20))).is_ok());
}

#[test]
fn a_where_clause_becomes_the_cheapest_reads() {
    for (clause, counts) in [
        ("", (0, 0, 1)),
        ("WHERE pk = 'a' AND sk = '1'", (1, 0, 0)),
        ("WHERE '1' = sk AND (pk = 'a')", (1, 0, 0)),
        ("WHERE pk = 'a'", (0, 1, 0)),
        ("WHERE pk = 'a' AND sk = '1' AND v = 2", (0, 1, 0)),
        ("WHERE pk = 'a' AND sk = '1' ORDER BY sk", (0, 1, 0)),
        ("WHERE pk IN ['a', 'b'] AND v = 1", (0, 2, 0)),
        ("WHERE pk IN ('a', 'b') AND sk IN ['1', '2', '3']", (0, 6, 0)),
        ("WHERE (pk = 'a' AND sk > '1') OR pk = 'b'", (0, 2, 0)),
        ("WHERE pk = 'a' AND (sk < '1' OR sk > '1' OR sk = '1')", (0, 3, 0)),
        ("WHERE pk = 'a' AND begins_with(sk, 'x')", (0, 1, 0)),
        ("WHERE pk = 'a' AND pk = 'b'", (0, 1, 0)),
        ("WHERE pk = 'a' AND (pk = 'b' OR v = 1)", (0, 1, 0)),
        ("WHERE pk = 'a' OR v = 1", (0, 0, 1)),
        ("WHERE pk > 'a'", (0, 0, 1)),
        ("WHERE NOT pk = 'a'", (0, 0, 1)),
        ("WHERE sk = '1'", (0, 0, 1)),
        ("WHERE pk > 1", (0, 0, 1)),
    ] {
        assert_eq!(reads(clause), counts, "{clause}");
    }
}

#[test]
fn reads_that_overlap_or_do_not_fit_are_refused() {
    let overlapping = "Overlapping conditions with range keys are not supported in where clause";
    let mismatch = "Key attribute's data type should match its data type in table's schema: Key";
    let many = (0..51).map(|i| format!("'{i}'")).collect::<Vec<_>>().join(",");
    for (clause, expected) in [
        ("pk IN ['a', 'a']", overlapping.to_owned()),
        ("pk = 'a' OR pk = 'a'", overlapping.to_owned()),
        ("pk = 'a' AND (sk > '0' OR sk < '5')", overlapping.to_owned()),
        ("pk = 'a' AND (sk = '1' OR v = 'x')", overlapping.to_owned()),
        ("pk = 'a' AND v <> 'x' OR pk = 'a' AND sk = '2'", overlapping.to_owned()),
        ("pk = 'a' AND (begins_with(sk, 'ab') OR sk BETWEEN 'aa' AND 'abc')", overlapping.to_owned()),
        ("pk = 1", format!("{mismatch} pk")),
        ("pk = 'a' AND sk IN ['1', 2]", format!("{mismatch} sk")),
        (&format!("pk IN [{many}]"), "Too many decomposed read operations for a given query.".to_owned()),
    ] {
        assert_eq!(message(&format!("SELECT * FROM tbl WHERE {clause}")), expected, "{clause}");
    }
    assert_eq!(reads(&format!("WHERE pk IN [{many}] OR v = 1")), (0, 0, 1));
    for negated in
        ["NOT sk = '1'", "sk <> '1'", "NOT begins_with(sk, 'x')", "NOT sk IN ['1', '3']", "NOT sk > '5'"]
    {
        assert_eq!(
            reads(&format!("WHERE pk = 'a' AND {negated} OR pk = 'a' AND sk = '2'")),
            (0, 1, 0),
            "{negated}"
        );
        assert_eq!(
            reads(&format!("WHERE pk = 'a' OR pk = 'a' AND {negated} OR pk = 'b'")),
            (0, 2, 0),
            "{negated}"
        );
    }
    assert_eq!(reads("WHERE pk = 'a' AND (begins_with(sk, 'ab') OR sk = 'ac' OR sk < 'ab')"), (0, 3, 0));
}

#[test]
fn order_needs_the_key() {
    for (clause, expected) in [
        ("ORDER BY sk", "Must have WHERE clause in the statement when using ORDER BY clause."),
        (
            "WHERE pk = 'o' ORDER BY total DESC",
            "Attribute total in ORDER BY clause must be part of the primary key",
        ),
        (
            "WHERE pk > 'a' ORDER BY sk",
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ),
        (
            "WHERE pk IN ['o', 'p'] ORDER BY sk DESC",
            "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.",
        ),
    ] {
        assert_eq!(message(&format!("SELECT sk FROM tbl {clause}")), expected);
    }
    for (order, forward) in [("sk", true), ("sk DESC", false), ("pk", false), ("pk DESC, sk ASC", true)] {
        let text = format!("SELECT * FROM tbl WHERE pk = 'a' ORDER BY {order}");
        let Ok(Lowered::Reads(reads)) = lower(&text) else { panic!("{text}") };
        assert!(matches!(&reads.reads()[0], Read::Query(query) if query.forward == forward), "{order}");
    }
}

#[test]
fn writes_name_one_item() {
    let incomplete = "Where clause does not contain a mandatory equality on all key attributes";
    for (text, expected) in [
        ("UPDATE tbl SET a = 1", incomplete),
        ("UPDATE tbl SET a = 1 WHERE pk = 'a'", incomplete),
        ("DELETE FROM tbl WHERE pk = 'a' OR sk = '1'", incomplete),
        (
            "DELETE FROM tbl WHERE pk = 'a' AND sk = '1' AND pk = 'b'",
            "Multiple conditions on same key pk. Only single item Update/Insert/Delete are supported",
        ),
        (
            "DELETE FROM tbl WHERE pk = 'a' AND sk = '1' RETURNING MODIFIED OLD *",
            "Invalid returning clause: RETURNING MODIFIED OLD *. Only RETURNING ALL OLD * is allowed in DELETE statements.",
        ),
    ] {
        assert_eq!(message(text), expected, "{text}");
    }
    let text =
        "UPDATE tbl SET a = set_add(a, <<'x'>>), b = 1 REMOVE c[0] WHERE pk = 'a' AND sk = '1' AND pk = 'a'";
    let Ok(Lowered::Update(update)) = lower(text) else { panic!("{text}") };
    let key = Item::from([("pk".into(), "a".into()), ("sk".into(), "1".into())]);
    assert_eq!(update.key, key);
    assert_eq!(update.update.map(|update| update.actions.len()), Some(3));
}

#[test]
fn faults_have_the_services_texts() {
    let malformed = "Statement wasn't well formed, can't be processed: ";
    for (text, expected) in [
        ("SLECT * FROM tbl", format!("{malformed}Expected data manipulation")),
        ("SELECT * FROM tbl WHERE a = 'x", malformed.to_owned()),
        ("SELECT * FROM tbl WHERE a = 1 # note", malformed.to_owned()),
        ("SELECT * FROM tbl WHERE", format!("{malformed}Unexpected term")),
        ("SELECT * FROM tbl WHERE a = 1 AND", format!("{malformed}Missing right-hand side expression of infix operator")),
        ("SELECT * FROM tbl WHERE ORDER BY pk", format!("{malformed}Unexpected keyword")),
        ("SELECT * FROM tbl WHERE IS NULL", format!("{malformed}Unexpected operator")),
        ("SELECT * FROM tbl WHERE a = LIKE", format!("{malformed}Unexpected operator")),
        ("SELECT * FROM tbl WHERE a IS FOO", format!("{malformed}Expected type name")),
        ("SELECT * FROM", format!("{malformed}Unexpected term")),
        ("DELETE FROM WHERE pk = 'a'", format!("{malformed}Expected identifier for simple path")),
        ("FROM tbl SET c = 1 WHERE pk = 'a'", format!("{malformed}Unexpected token after expression")),
        ("INSERT INTO tbl t VALUE {'pk': 'x'}", format!("{malformed}Unexpected token after expression")),
        ("SELECT * FROM tbl AS t WHERE a = 1", "Aliasing is not supported".into()),
        ("UPDATE tbl t SET a = 3 WHERE pk = 'a'", "Aliasing is not supported".into()),
        ("SELECT * FROM \"\" WHERE pk = 'x'", "Path component cannot be an empty string".into()),
        ("INSERT INTO tbl VALUE {'pk': 'a', 'l': [1, 1e126]}",
            "Number overflow. Attempting to store a number with magnitude larger than supported range under root[1]".into()),
        ("SELECT * FROM tbl WHERE a IS INT4",
            "Unsupported data type for IS operator: INT4. Supported data types are [MISSING, NULL, BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST]".into()),
        ("UPDATE a-b SET c = 1", format!("{malformed}Expected data manipulation")),
        ("SELECT * FROM tbl WHERE a = 1 garbage", format!("{malformed}Unexpected token after expression")),
        ("SELECT * FROM tbl WHERE m.inner = 1", format!("{malformed}Invalid path dot component")),
        ("SELECT * FROM tbl WHERE date = 1", format!("{malformed}Unexpected keyword")),
        ("SELECT l[-1] FROM tbl", "List index is not within the allowable range; index: [-1] at 1:11:1".into()),
        (
            "SELECT l[2147483648] FROM tbl",
            "List index is not within the allowable range; index: [2147483648] at 1:10:10".into(),
        ),
        ("SELECT size(a) FROM tbl", "Unexpected path component at 1:8:4".into()),
        ("SELECT * FROM tbl LIMIT 3", "Unsupported clause: LIMIT at 1:25:1".into()),
        ("SELECT * FROM tbl WHERE EXISTS(a)", "Unrecognized function: exists at 1:25:6".into()),
        (
            "SELECT * FROM tbl WHERE attribute_exists('a')",
            "Operator or function requires a document path; operator or function: attribute_exists".into(),
        ),
        (
            "SELECT * FROM tbl WHERE attribute_exists(a, b)",
            "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2".into(),
        ),
        (
            "SELECT * FROM tbl WHERE a > true",
            "Incorrect operand type for operator or function; operator or function: >, operand type: BOOL".into(),
        ),
        (
            "SELECT * FROM tbl WHERE attribute_type(a, 'X')",
            "Invalid attribute type name found; type: X, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}".into(),
        ),
        ("INSERT INTO tbl VALUE {'pk': 'a', 's': <<>>}", "Empty bags are not supported".into()),
        (
            "INSERT INTO tbl VALUE {'pk': 'a', 's': <<1, 'a'>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags".into(),
        ),
        (
            "INSERT INTO tbl VALUE {'pk': 'a', 's': <<2, 2.0>>}",
            "One or more parameter values were invalid: Input collection [2, 2.0] contains duplicates! under root".into(),
        ),
        (
            "INSERT INTO tbl VALUE {'pk': 'a', 's': set_add(<<'a'>>, <<'b'>>)}",
            "Unsupported data type: set_add under key root at 1:40:7".into(),
        ),
        (
            "UPDATE tbl SET b = set_add(a, <<'x'>>) WHERE pk = 'a' AND sk = '1'",
            "The first argument to SET_ADD must equal the assignment value at 1:20:7".into(),
        ),
        (
            "UPDATE tbl SET a = SET_DELETE(a, 'x') WHERE pk = 'a' AND sk = '1'",
            "The second argument to SET_DELETE must be a value with type SET at 1:31:1".into(),
        ),
        (
            "UPDATE tbl SET a = 'a' + 1 WHERE pk = 'a' AND sk = '1'",
            "Incorrect operand type for operator or function; operator or function: +, operand type: S".into(),
        ),
        ("SELECT * FROM tbl WHERE a = ?", "Number of parameters in request and statement don't match.".into()),
        ("SELECT * FROM tbl.idx", "The table does not have the specified index".into()),
        (
            &format!("UPDATE tbl SET d = {}1{} WHERE pk = 'a' AND sk = '1'", "{'a':".repeat(32), "}".repeat(32)),
            format!("Nesting Levels have exceeded supported limits under root{}", ".a".repeat(32)),
        ),
    ] {
        assert_eq!(message(text), expected, "{text}");
    }
}

#[test]
fn a_parameter_is_a_whole_value() {
    let one = vec![AttributeValue::N(Number::from_u64(1))];
    let lower = |text: &str| -> Result<(), OpError> {
        Ok(prepared(text, one.clone())?.lower(&record("pk", None), None, Place::Alone).map(drop)?)
    };
    assert_eq!(lower("INSERT INTO tbl VALUE {'pk': 'a', 'n': ?}"), Ok(()));
    assert_eq!(lower("SELECT * FROM tbl WHERE n IN [?, 2]"), Ok(()));
    let inside = lower("INSERT INTO tbl VALUE {'pk': 'a', 'm': {'k': ?}}").expect_err("refused");
    assert_eq!(inside.message(), "Unsupported data type: Parameter under key root.k at 1:46:1");
}
