//! The grammar of statements; that of expressions is in [`expression`].
//!
//! ```text
//! statement = select | EXISTS "(" select ")" | insert | update | delete, then ";"?
//! select    = SELECT ( "*" | path ( "," path )* ) FROM source ( WHERE expression )?
//!             ( ORDER BY name ( ASC | DESC )? ( "," … )* )?
//! insert    = INSERT INTO source VALUE expression
//! update    = UPDATE source changes ( WHERE expression )? returning? | FROM source ( WHERE expression )? changes returning?
//! changes   = ( SET path "=" expression ( "," … )* | REMOVE path )+
//! delete    = DELETE FROM source ( WHERE expression )? returning?
//! returning = RETURNING ( ALL | MODIFIED ) ( OLD | NEW ) "*"
//! source    = name ( "." name )?
//! ```
//!
//! The service's texts for malformed statements are those of the open-source parser that it uses; where a text is not on
//! record, a text of that parser for the same kind of fault stands here.

mod expression;

use super::ast::{Change, Delete, Insert, Order, Returning, Select, Source, Statement, Update};
use super::keyword::is_keyword;
use super::malformed;
use super::token::{Kind, Position, Token, cut};
use crate::error::OpError;
use crate::expr::limits::{MAX_DEREFERENCES, MAX_LIST_INDEX};
use crate::expr::{Path, Segment};

/// Keywords that are operators between two terms.
const OPERATOR_WORDS: [&str; 9] =
    ["and", "or", "is", "in", "like", "between", "union", "except", "intersect"];

/// A statement, and how many parameters it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The tree.
    pub statement: Statement,
    /// The number of its question marks.
    pub parameters: usize,
}

/// Reads one statement.
///
/// # Errors
/// `ValidationException`, in the service's words.
pub fn parse(text: &str) -> Result<Parsed, OpError> {
    let tokens = cut(text)?;
    let mut parser = Parser { tokens, at: 0, parameters: 0, operators: 0, depth: 0, untaken: None };
    let statement = parser.statement()?;
    parser.end()?;
    match parser.untaken {
        Some(error) => Err(error),
        None => Ok(Parsed { statement, parameters: parser.parameters }),
    }
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    parameters: usize,
    operators: u32,
    depth: u32,
    /// The first thing met that is well formed but that the service does not take. It tells what is malformed first.
    untaken: Option<OpError>,
}

impl Parser {
    fn kind(&self) -> &Kind {
        &self.token(0).kind
    }

    /// The token `ahead` of the next one; the end repeats for ever.
    fn token(&self, ahead: usize) -> &Token {
        // A cut text has an end, so there is a last token.
        self.tokens.get(self.at + ahead).unwrap_or(&self.tokens[self.tokens.len() - 1])
    }

    fn position(&self) -> Position {
        self.token(0).at
    }

    fn advance(&mut self) {
        self.at += 1;
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.kind(), Kind::Symbol(found) if *found == symbol)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        if found {
            self.advance();
        }
        found
    }

    /// `name` is how the service calls the symbol.
    fn expect(&mut self, symbol: &str, name: &str) -> Result<(), OpError> {
        if self.eat(symbol) { Ok(()) } else { Err(malformed(&format!("Expected {name}"))) }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.kind(), Kind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn statement(&mut self) -> Result<Statement, OpError> {
        if self.eat_word("SELECT") {
            self.select().map(Statement::Select)
        } else if self.eat_word("INSERT") {
            self.insert().map(Statement::Insert)
        } else if self.eat_word("UPDATE") {
            self.update().map(Statement::Update)
        } else if self.eat_word("FROM") {
            self.update_of_from().map(Statement::Update)
        } else if self.eat_word("DELETE") {
            self.delete().map(Statement::Delete)
        } else if self.is_word("EXISTS") && matches!(self.token(1).kind, Kind::Symbol("(")) {
            self.at += 2;
            if !self.eat_word("SELECT") {
                return Err(malformed("Unexpected term"));
            }
            let select = self.select()?;
            self.expect(")", "RIGHT_PAREN")?;
            Ok(Statement::Exists(select))
        } else {
            Err(malformed("Expected data manipulation"))
        }
    }

    /// Nothing is left but perhaps a semicolon.
    fn end(&mut self) -> Result<(), OpError> {
        self.eat(";");
        if self.kind() == &Kind::End { Ok(()) } else { Err(malformed("Unexpected token after expression")) }
    }

    fn select(&mut self) -> Result<Select, OpError> {
        let columns = self.columns()?;
        if !self.eat_word("FROM") {
            return Err(malformed("Expected FROM after SELECT list"));
        }
        let source = self.unnamed_source("Unexpected term")?;
        let filter = self.filter()?;
        let order = self.order()?;
        if self.eat_word("LIMIT") {
            return Err(OpError::Validation(format!("Unsupported clause: LIMIT at {}", self.position())));
        }
        Ok(Select { columns, source, filter, order })
    }

    fn columns(&mut self) -> Result<Option<Vec<Path>>, OpError> {
        const NOT_ALONE: &str =
            "Other expressions may not be present in the select list when '*' is used without dot notation.";
        if self.eat("*") {
            return if self.is(",") { Err(malformed(NOT_ALONE)) } else { Ok(None) };
        }
        if self.is_word("FROM") {
            return Err(malformed("Unexpected keyword"));
        }
        let mut columns = Vec::new();
        loop {
            if self.is("*") {
                return Err(malformed(NOT_ALONE));
            }
            columns.push(self.column()?);
            if !self.eat(",") {
                return Ok(Some(columns));
            }
        }
    }

    /// A column is a path: everything else is well formed and not taken.
    fn column(&mut self) -> Result<Path, OpError> {
        let at = self.position();
        let unexpected = || OpError::Validation(format!("Unexpected path component at {at}"));
        match self.kind() {
            Kind::Word(_) | Kind::Quoted(_) if matches!(self.token(1).kind, Kind::Symbol("(")) => {
                Err(unexpected())
            }
            Kind::Text(_) | Kind::Number(_) | Kind::Symbol("?" | "(" | "[" | "{" | "<<" | "+" | "-") => {
                Err(unexpected())
            }
            Kind::Word(_) | Kind::Quoted(_) | Kind::Symbol(_) | Kind::End => self.path("Unexpected term"),
        }
    }

    fn order(&mut self) -> Result<Vec<Order>, OpError> {
        let mut order = Vec::new();
        if !self.eat_word("ORDER") {
            return Ok(order);
        }
        if !self.eat_word("BY") {
            return Err(malformed("Expected BY after ORDER"));
        }
        loop {
            let attribute = self.name("Unexpected term")?;
            let descending = self.eat_word("DESC");
            if !descending {
                self.eat_word("ASC");
            }
            order.push(Order { attribute, descending });
            if !self.eat(",") {
                return Ok(order);
            }
        }
    }

    fn insert(&mut self) -> Result<Insert, OpError> {
        if !self.eat_word("INTO") {
            return Err(malformed("Unexpected keyword"));
        }
        let source = self.source("Expected identifier for simple path")?;
        if !self.eat_word("VALUE") {
            self.take_not(OpError::validation(
                "Unsupported operation: Inserting multiple items in a single statement is not supported, use \"INSERT INTO \
                 tableName VALUE item\" instead",
            ));
            self.eat_word("VALUES");
        }
        let value = self.expression()?;
        if self.returning()?.is_some() {
            self.take_not(OpError::validation("RETURNING is not supported in INSERT"));
        }
        Ok(Insert { source, value })
    }

    fn update(&mut self) -> Result<Update, OpError> {
        let source = self.unnamed_source("Expected identifier for simple path")?;
        let changes = self.changes()?;
        let filter = self.filter()?;
        let returning = self.returning()?;
        Ok(Update { source, changes, filter, returning })
    }

    /// `FROM … WHERE … SET …`, which means the same.
    fn update_of_from(&mut self) -> Result<Update, OpError> {
        let source = self.unnamed_source("Unexpected term")?;
        let filter = self.filter()?;
        let changes = self.changes()?;
        let returning = self.returning()?;
        Ok(Update { source, changes, filter, returning })
    }

    fn changes(&mut self) -> Result<Vec<Change>, OpError> {
        let mut changes = Vec::new();
        loop {
            if self.eat_word("SET") {
                loop {
                    let path = self.path("Expected identifier for simple path")?;
                    self.expect("=", "assignment for SET")?;
                    changes.push(Change::Set(path, self.expression()?));
                    if !self.eat(",") {
                        break;
                    }
                }
            } else if self.eat_word("REMOVE") {
                changes.push(Change::Remove(self.path("Expected identifier for simple path")?));
            } else if changes.is_empty() {
                return Err(malformed("Expected data manipulation"));
            } else {
                return Ok(changes);
            }
        }
    }

    fn delete(&mut self) -> Result<Delete, OpError> {
        if !self.eat_word("FROM") {
            return Err(malformed("Expected FROM after DELETE"));
        }
        let source = self.unnamed_source("Expected identifier for simple path")?;
        let filter = self.filter()?;
        let returning = self.returning()?;
        Ok(Delete { source, filter, returning })
    }

    fn filter(&mut self) -> Result<Option<super::ast::Expression>, OpError> {
        if self.eat_word("WHERE") { self.expression().map(Some) } else { Ok(None) }
    }

    fn returning(&mut self) -> Result<Option<Returning>, OpError> {
        if !self.eat_word("RETURNING") {
            return Ok(None);
        }
        let modified = self.eat_word("MODIFIED");
        if !modified && !self.eat_word("ALL") {
            return Err(malformed("Expected ALL or MODIFIED after RETURNING"));
        }
        let new = self.eat_word("NEW");
        if !new && !self.eat_word("OLD") {
            return Err(malformed("Expected NEW or OLD in RETURNING"));
        }
        self.expect("*", "STAR")?;
        Ok(Some(Returning { modified, new }))
    }

    /// Notes what is well formed and not taken.
    fn take_not(&mut self, error: OpError) {
        self.untaken.get_or_insert(error);
    }

    /// A source without another name for it, which the service does not take.
    fn unnamed_source(&mut self, otherwise: &str) -> Result<Source, OpError> {
        let source = self.source(otherwise)?;
        let names = self.eat_word("AS");
        let is_name = match self.kind() {
            Kind::Word(word) => !is_keyword(word) && !word.eq_ignore_ascii_case("RETURNING"),
            Kind::Quoted(_) => true,
            Kind::Text(_) | Kind::Number(_) | Kind::Symbol(_) | Kind::End => false,
        };
        if names || is_name {
            self.name("Expected identifier for alias")?;
            self.take_not(OpError::validation("Aliasing is not supported"));
        }
        Ok(source)
    }

    /// A table, or an index behind a dot. `otherwise` is the fault of anything that is no name.
    fn source(&mut self, otherwise: &str) -> Result<Source, OpError> {
        let table = self.name(otherwise)?;
        let index = if self.eat(".") { Some(self.name("Invalid path dot component")?) } else { None };
        if self.is(".") || self.is("[") {
            return Err(OpError::validation("A path may contain at most 2 components in the FROM clause"));
        }
        Ok(Source { table, index })
    }

    /// A bare name that is no keyword, or a quoted one.
    fn name(&mut self, otherwise: &str) -> Result<String, OpError> {
        let name = match self.kind() {
            Kind::Word(word) if is_keyword(word) => {
                let is_operator = OPERATOR_WORDS.iter().any(|operator| operator.eq_ignore_ascii_case(word));
                return Err(malformed(match otherwise {
                    "Unexpected term" if is_operator => "Unexpected operator",
                    "Unexpected term" => "Unexpected keyword",
                    otherwise => otherwise,
                }));
            }
            Kind::Word(name) | Kind::Quoted(name) => name.clone(),
            Kind::Text(_) | Kind::Number(_) | Kind::Symbol(_) | Kind::End => {
                return Err(malformed(otherwise));
            }
        };
        self.advance();
        if name.is_empty() {
            return Err(OpError::validation("Path component cannot be an empty string"));
        }
        Ok(name)
    }

    /// `name ( "." name | "[" digits "]" )*`
    fn path(&mut self, otherwise: &str) -> Result<Path, OpError> {
        let mut path = Path::attribute(self.name(otherwise)?);
        loop {
            if self.eat(".") {
                path.push(Segment::Name(self.name("Invalid path dot component")?));
            } else if self.eat("[") {
                path.push(Segment::Index(self.index()?));
                self.expect("]", "RIGHT_BRACKET")?;
            } else {
                break;
            }
        }
        let levels = path.segments().len() - 1;
        if levels > MAX_DEREFERENCES {
            return Err(OpError::Validation(format!(
                "The document path has too many nesting levels; nesting levels: {levels}"
            )));
        }
        Ok(path)
    }

    /// The number in brackets. Its sign is read, and has to mean nothing.
    fn index(&mut self) -> Result<u32, OpError> {
        let mut negative = false;
        while self.is("-") || self.is("+") {
            negative ^= self.is("-");
            self.advance();
        }
        let Kind::Number(digits) = self.kind() else {
            return Err(malformed("Invalid path component"));
        };
        let index =
            digits.parse().ok().filter(|index| *index <= MAX_LIST_INDEX && (*index == 0 || !negative));
        let Some(index) = index else {
            let sign = if negative { "-" } else { "" };
            return Err(OpError::Validation(format!(
                "List index is not within the allowable range; index: [{sign}{digits}] at {}",
                self.position()
            )));
        };
        self.advance();
        Ok(index)
    }
}
