//! From tokens to trees.
//!
//! Three grammars share this file's parser: it knows tokens, names, values, paths, and how faults are ranked. [`mod@condition`] and
//! [`mod@update`] add what is theirs; a projection is only a list of paths.
//!
//! Faults. A syntax error and an excess of operators end the reading where they are met. All other faults need the whole text to
//! be well formed first, and of several the service reports the first of the gravest sort, not the first in the text: an unknown
//! function wins over a reserved word, that over an undefined placeholder, that over a wrong number of operands. So the parser
//! notes a fault, goes on with a stand-in, and answers the gravest at the end; a tree with stand-ins never leaves here.
//!
//! Recursion: calls nest at most as deep as operators may be counted, parentheses at most `MAX_OPEN_GROUPS` deep.

mod condition;
mod update;

pub(crate) use condition::bounds_fault;

use std::collections::BTreeMap;

use trilith_values::AttributeValue;

use super::ExpressionKind;
use super::ast::{Condition, Literal, Operand, Update};
use super::limits::{MAX_DEREFERENCES, MAX_EXPRESSION_BYTES, MAX_LIST_INDEX, MAX_OPEN_GROUPS, MAX_OPERATORS};
use super::names::Placeholders;
use super::path::{Clash, Path, Segment};
use super::project::Projection;
use super::reserved::is_reserved;
use super::token::{TokenKind, Tokens};
use crate::error::OpError;

/// Reads a condition for `ConditionExpression`, `FilterExpression` or `KeyConditionExpression`.
pub(super) fn condition(
    placeholders: &mut Placeholders<'_>,
    kind: ExpressionKind,
    text: &str,
) -> Result<Condition, OpError> {
    let mut parser = Parser::new(placeholders, kind, text)?;
    let test = parser.whole_condition()?;
    let literals = parser.finish()?;
    Ok(Condition { literals, test })
}

/// Reads an `UpdateExpression`.
pub(super) fn update(placeholders: &mut Placeholders<'_>, text: &str) -> Result<Update, OpError> {
    let mut parser = Parser::new(placeholders, ExpressionKind::Update, text)?;
    let actions = parser.clauses()?;
    parser.check_clashes(actions.iter().map(|action| action.target()));
    let literals = parser.finish()?;
    Ok(Update { literals, actions })
}

/// Reads a `ProjectionExpression`.
pub(super) fn projection(placeholders: &mut Placeholders<'_>, text: &str) -> Result<Projection, OpError> {
    let mut parser = Parser::new(placeholders, ExpressionKind::Projection, text)?;
    let mut paths = vec![parser.path()?];
    while parser.eat(TokenKind::Comma) {
        paths.push(parser.path()?);
    }
    if parser.peek() != TokenKind::End {
        return Err(parser.syntax_error());
    }
    parser.check_clashes(paths.iter());
    parser.finish()?;
    Ok(Projection::new(paths))
}

/// A function of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    AttributeExists,
    AttributeNotExists,
    AttributeType,
    BeginsWith,
    Contains,
    Size,
    IfNotExists,
    ListAppend,
}

impl Function {
    const ALL: [Self; 8] = [
        Self::AttributeExists,
        Self::AttributeNotExists,
        Self::AttributeType,
        Self::BeginsWith,
        Self::Contains,
        Self::Size,
        Self::IfNotExists,
        Self::ListAppend,
    ];

    /// Function names are case-sensitive.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::AttributeExists => "attribute_exists",
            Self::AttributeNotExists => "attribute_not_exists",
            Self::AttributeType => "attribute_type",
            Self::BeginsWith => "begins_with",
            Self::Contains => "contains",
            Self::Size => "size",
            Self::IfNotExists => "if_not_exists",
            Self::ListAppend => "list_append",
        }
    }

    fn arity(self) -> usize {
        match self {
            Self::AttributeExists | Self::AttributeNotExists | Self::Size => 1,
            _ => 2,
        }
    }

    fn is_for_updates(self) -> bool {
        matches!(self, Self::IfNotExists | Self::ListAppend)
    }
}

/// A sort of fault that does not end the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Redundant parentheses.
    Parentheses,
    /// A function that does not exist, or not in this sort of expression.
    Function,
    /// A function where it may not stand.
    Misuse,
    /// A name that may not stand bare, an index out of range, a path too long.
    Name,
    /// A clause given twice.
    Section,
    /// A `#name` without an entry.
    UndefinedName,
    /// A `:value` without an entry.
    UndefinedValue,
    /// Paths of which one leads through the other.
    Overlap,
    /// Paths that take one place for a map and a list.
    Conflict,
    /// The value of an `ADD` or `DELETE`.
    SectionOperand,
    /// The number of operands.
    Arity,
    /// The same path on both sides.
    Distinct,
    /// The type or order of operands.
    Operand,
}

/// How grave a fault is: the smaller, the graver. Among equals the first in the text counts.
type Rank = (u8, u32, u8);

/// A value placeholder in the text.
#[derive(Clone, Copy)]
struct LiteralRef<'r> {
    /// Number in the tree's table.
    number: Literal,
    value: &'r AttributeValue,
}

/// Stands for what a fault keeps from being built. No table has this entry.
const NO_LITERAL: Literal = Literal::MAX;
const NO_OPERAND: Operand = Operand::Literal(NO_LITERAL);

struct Parser<'t, 'p, 'r> {
    kind: ExpressionKind,
    tokens: Tokens<'t>,
    at: usize,
    placeholders: &'p mut Placeholders<'r>,
    literals: Vec<AttributeValue>,
    literal_numbers: BTreeMap<&'t str, LiteralRef<'r>>,
    operators: u32,
    /// Of a condition: how many comparisons and calls were read before this one. Each is checked as a whole before the next.
    clause: u32,
    fault: Option<(Rank, String)>,
}

impl<'t, 'p, 'r> Parser<'t, 'p, 'r> {
    fn new(
        placeholders: &'p mut Placeholders<'r>,
        kind: ExpressionKind,
        text: &'t str,
    ) -> Result<Self, OpError> {
        let mut parser = Self {
            kind,
            tokens: Tokens::cut(""),
            at: 0,
            placeholders,
            literals: Vec::new(),
            literal_numbers: BTreeMap::new(),
            operators: 0,
            clause: 0,
            fault: None,
        };
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(parser.error(&format!(
                "Expression size has exceeded the maximum allowed size; expression size: {}",
                text.len()
            )));
        }
        if text.is_empty() {
            return Err(parser.error("The expression can not be empty;"));
        }
        parser.tokens = Tokens::cut(text);
        parser.check_parentheses();
        Ok(parser)
    }

    /// The value table of a faultless expression, or its gravest fault.
    fn finish(self) -> Result<Vec<AttributeValue>, OpError> {
        if let Some((_, text)) = &self.fault {
            return Err(self.error(text));
        }
        if let Some(size) = self.placeholders.resolved_too_much() {
            return Err(self.error(&format!(
                "Expression size has exceeded the maximum allowed size; expression size: {size}"
            )));
        }
        Ok(self.literals)
    }

    fn error(&self, text: &str) -> OpError {
        OpError::validation(format!("Invalid {}: {text}", self.kind))
    }

    /// An error about the token that comes next.
    fn syntax_error(&self) -> OpError {
        self.error(&self.tokens.syntax_error(self.at))
    }

    fn note(&mut self, fault: Fault, text: impl FnOnce() -> String) {
        let rank = self.rank(fault);
        if self.fault.as_ref().is_none_or(|(worst, _)| rank < *worst) {
            self.fault = Some((rank, text()));
        }
    }

    /// The order in which the service reports faults, which is not the same for conditions and for updates.
    fn rank(&self, fault: Fault) -> Rank {
        let conditions = !matches!(self.kind, ExpressionKind::Update | ExpressionKind::Projection);
        let of_clause = |order| (4, self.clause, order);
        match fault {
            Fault::Parentheses => (0, 0, 0),
            Fault::Function if conditions => (1, 0, 0),
            Fault::Misuse if conditions => (2, 0, 0),
            Fault::Name if conditions => (3, 0, 0),
            Fault::UndefinedName | Fault::UndefinedValue if conditions => of_clause(0),
            Fault::Arity if conditions => of_clause(1),
            Fault::Distinct if conditions => of_clause(2),
            Fault::Operand if conditions => of_clause(3),
            Fault::Name => (1, 0, 0),
            Fault::Function => (2, 0, 0),
            Fault::Misuse => (3, 0, 0),
            Fault::Section => (4, 0, 0),
            Fault::UndefinedName => (5, 0, 0),
            Fault::UndefinedValue => (6, 0, 0),
            Fault::Overlap => (7, 0, 0),
            Fault::Conflict => (8, 0, 0),
            Fault::SectionOperand => (9, 0, 0),
            Fault::Arity | Fault::Distinct | Fault::Operand => (10, 0, 0),
        }
    }

    fn peek(&self) -> TokenKind {
        self.tokens.kind(self.at)
    }

    fn advance(&mut self) {
        self.at += 1;
    }

    fn eat(&mut self, kind: TokenKind) -> bool {
        let found = self.peek() == kind;
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, kind: TokenKind) -> Result<(), OpError> {
        if self.eat(kind) { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// Whether token `at` is this keyword, in any case.
    fn is_word(&self, at: usize, word: &str) -> bool {
        self.tokens.kind(at) == TokenKind::Name && self.tokens.text(at).eq_ignore_ascii_case(word)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(self.at, word);
        if found {
            self.advance();
        }
        found
    }

    /// Whether token `at` is a keyword of this sort of expression, and so no name.
    fn is_keyword(&self, at: usize) -> bool {
        let keywords: &[&str] = match self.kind {
            ExpressionKind::Projection => &[],
            ExpressionKind::Update => &["SET", "REMOVE", "ADD", "DELETE"],
            _ => &["AND", "OR", "NOT", "BETWEEN", "IN"],
        };
        keywords.iter().any(|word| self.is_word(at, word))
    }

    /// Whether a call begins at token `at`.
    fn is_call(&self, at: usize) -> bool {
        self.tokens.kind(at) == TokenKind::Name
            && self.tokens.kind(at + 1) == TokenKind::Open
            && !self.is_keyword(at)
    }

    /// Counts one operator or function. The service stops at the first too many, so its report always says 301.
    fn count_operator(&mut self) -> Result<(), OpError> {
        self.operators += 1;
        if self.operators <= MAX_OPERATORS {
            return Ok(());
        }
        Err(self.error(&format!(
            "The expression contains too many operators; operator count: {}",
            self.operators
        )))
    }

    /// Guards the recursion into the parenthesis that comes next, with `depth` open already.
    ///
    /// So many are redundant, as each needs an operator of its own; unless one is never closed, which is the graver fault.
    fn check_depth(&mut self, depth: u32) -> Result<(), OpError> {
        if depth < MAX_OPEN_GROUPS {
            return Ok(());
        }
        if self.tokens.close_of(self.at).is_none() {
            self.at = self.tokens.end();
            return Err(self.syntax_error());
        }
        Err(self.error(REDUNDANT_PARENTHESES))
    }

    /// Parentheses directly within parentheses say nothing, unless the outer pair belongs to a call or a list.
    fn check_parentheses(&mut self) {
        let redundant = (0..self.tokens.end()).any(|at| {
            let close = self.tokens.close_of(at);
            let inner = self.tokens.close_of(at + 1);
            let adjacent = close.is_some() && close == inner.map(|inner| inner + 1);
            adjacent && !self.opens_list(at)
        });
        if redundant {
            self.note(Fault::Parentheses, || REDUNDANT_PARENTHESES.to_owned());
        }
    }

    fn opens_list(&self, open: usize) -> bool {
        let Some(before) = open.checked_sub(1) else {
            return false;
        };
        self.is_call(before) || self.is_word(before, "IN")
    }

    /// `name ( "." name | "[" digits "]" )*`
    fn path(&mut self) -> Result<Path, OpError> {
        let mut path = Path::attribute(self.name()?);
        self.dereferences(&mut path)?;
        Ok(path)
    }

    /// The part of a path behind what is there already.
    fn dereferences(&mut self, path: &mut Path) -> Result<(), OpError> {
        loop {
            if self.eat(TokenKind::Dot) {
                let name = self.name()?;
                path.push(Segment::Name(name));
            } else if self.eat(TokenKind::OpenIndex) {
                let index = self.index()?;
                self.expect(TokenKind::CloseIndex)?;
                path.push(Segment::Index(index));
            } else {
                break;
            }
        }
        let dereferences = path.segments().len() - 1;
        if dereferences > MAX_DEREFERENCES {
            self.note(Fault::Name, || {
                format!("The document path has too many nesting levels; nesting levels: {dereferences}")
            });
        }
        Ok(())
    }

    /// One name of a path, bare or by placeholder.
    fn name(&mut self) -> Result<String, OpError> {
        let text = self.tokens.text(self.at);
        let name = match self.peek() {
            TokenKind::Name if !self.is_keyword(self.at) => {
                if is_reserved(text) {
                    self.note(Fault::Name, || {
                        format!("Attribute name is a reserved keyword; reserved keyword: {text}")
                    });
                }
                text
            }
            TokenKind::NameRef => match self.placeholders.name(text) {
                // What is too much in all is refused in the end; until then it must not pile up.
                Some(_) if self.placeholders.resolved_too_much().is_some() => "",
                Some(name) => name,
                None => {
                    self.note(Fault::UndefinedName, || {
                        format!(
                            "An expression attribute name used in the document path is not defined; attribute name: {text}"
                        )
                    });
                    ""
                }
            },
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        Ok(name.to_owned())
    }

    fn index(&mut self) -> Result<u32, OpError> {
        if self.peek() != TokenKind::Digits {
            return Err(self.syntax_error());
        }
        let text = self.tokens.text(self.at);
        let index = text.parse().ok().filter(|index| *index <= MAX_LIST_INDEX);
        if index.is_none() {
            self.note(Fault::Name, || {
                format!("List index is not within the allowable range; index: [{text}]")
            });
        }
        self.advance();
        Ok(index.unwrap_or(0))
    }

    /// The `:value` that comes next; `None` when it is not defined.
    fn literal(&mut self) -> Result<Option<LiteralRef<'r>>, OpError> {
        if self.peek() != TokenKind::ValueRef {
            return Err(self.syntax_error());
        }
        let text = self.tokens.text(self.at);
        self.advance();
        if let Some(known) = self.literal_numbers.get(text) {
            return Ok(Some(*known));
        }
        let Some(value) = self.placeholders.value(text) else {
            self.note(Fault::UndefinedValue, || {
                format!(
                    "An expression attribute value used in expression is not defined; attribute value: {text}"
                )
            });
            return Ok(None);
        };
        // 4 KB of text hold fewer than 2048 placeholders.
        let number = Literal::try_from(self.literals.len()).unwrap_or(NO_LITERAL);
        let literal = LiteralRef { number, value };
        self.literals.push(value.clone());
        self.literal_numbers.insert(text, literal);
        Ok(Some(literal))
    }

    /// The number of operands of a function that exists.
    fn check_arity(&mut self, function: Function, operands: usize) -> bool {
        let right = operands == function.arity();
        if !right {
            self.note(Fault::Arity, || {
                format!(
                    "Incorrect number of operands for operator or function; operator or function: {}, number of operands: {operands}",
                    function.name()
                )
            });
        }
        right
    }

    fn note_unknown_function(&mut self, name: &str) {
        self.note(Fault::Function, || format!("Invalid function name; function: {name}"));
    }

    fn note_misuse(&mut self, function: Function) {
        self.note(Fault::Misuse, || {
            format!(
                "The function is not allowed to be used this way in an expression; function: {}",
                function.name()
            )
        });
    }

    fn note_operand_type(&mut self, operator: &str, operand_type: &str) {
        self.note(Fault::Operand, || {
            format!(
                "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {operand_type}"
            )
        });
    }

    fn note_path_needed(&mut self, function: Function) {
        self.note(Fault::Operand, || {
            format!(
                "Operator or function requires a document path; operator or function: {}",
                function.name()
            )
        });
    }

    fn note_same_operand(&mut self, operator: &str, path: &Path) {
        self.note(Fault::Distinct, || {
            format!(
                "The first operand must be distinct from the remaining operands for this operator or function; operator: {operator}, first operand: {path}"
            )
        });
    }

    /// Overlaps and conflicts among the paths of one expression, each pair in the order of the text.
    fn check_clashes<'a>(&mut self, paths: impl Iterator<Item = &'a Path>) {
        let mut earlier: BTreeMap<&str, Vec<&Path>> = BTreeMap::new();
        for path in paths {
            let same_attribute = earlier.entry(path.root()).or_default();
            for other in same_attribute.iter() {
                let fault = match other.clash(path) {
                    Some(Clash::Overlap) => Fault::Overlap,
                    Some(Clash::Conflict) => Fault::Conflict,
                    None => continue,
                };
                self.note(fault, || path_clash(other, path).unwrap_or_default());
            }
            same_attribute.push(path);
        }
    }
}

/// How two paths of one expression get in each other's way, in the service's words.
pub(crate) fn path_clash(one: &Path, two: &Path) -> Option<String> {
    let what = match one.clash(two)? {
        Clash::Overlap => "overlap",
        Clash::Conflict => "conflict",
    };
    Some(format!(
        "Two document paths {what} with each other; must remove or rewrite one of these paths; path one: {one}, path two: {two}"
    ))
}

const REDUNDANT_PARENTHESES: &str = "The expression has redundant parentheses;";
