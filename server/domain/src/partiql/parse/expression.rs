//! The grammar of expressions, by precedence: `OR`, `AND`, `NOT`, equality with `IS` and `IN`, order with `BETWEEN`, sums.
//!
//! Operators of one level bind to the left. What recurses is bounded: everything that opens (brackets, calls, `NOT`) by
//! [`NESTING_MAX`], everything that chains by the number of operators.

use super::Parser;
use crate::error::OpError;
use crate::expr::limits::MAX_OPERATORS;
use crate::expr::{Comparator, ValueType};
use crate::ops::value_rules;
use crate::partiql::ast::{Call, Expression};
use crate::partiql::keyword::is_keyword;
use crate::partiql::malformed;
use crate::partiql::token::Kind;

/// Brackets, calls and negations that are open at once. Ours: values may nest 32 deep, conditions need a few more.
const NESTING_MAX: u32 = 48;

/// Keywords that are functions where a parenthesis follows.
const FUNCTION_KEYWORDS: [&str; 12] = [
    "size",
    "exists",
    "count",
    "avg",
    "max",
    "min",
    "sum",
    "upper",
    "lower",
    "substring",
    "char_length",
    "coalesce",
];

/// Types that the service takes behind `IS`.
const TAKEN_TYPES: [(&str, ValueType); 9] = [
    ("NULL", ValueType::Null),
    ("BOOL", ValueType::Bool),
    ("BOOLEAN", ValueType::Bool),
    ("BLOB", ValueType::B),
    ("STRING", ValueType::S),
    ("NUMERIC", ValueType::N),
    ("STRUCT", ValueType::M),
    ("TUPLE", ValueType::M),
    ("LIST", ValueType::L),
];

/// Types that the language has beside them.
const OTHER_TYPES: [&str; 21] = [
    "SMALLINT",
    "INT2",
    "INTEGER2",
    "INT4",
    "INTEGER4",
    "INT8",
    "INTEGER8",
    "INTEGER",
    "INT",
    "FLOAT",
    "REAL",
    "DOUBLE",
    "DECIMAL",
    "TIMESTAMP",
    "CHARACTER",
    "CHAR",
    "VARCHAR",
    "SYMBOL",
    "CLOB",
    "SEXP",
    "BAG",
];

/// How tightly an operator binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Any,
    Or,
    And,
    Not,
    Equality,
    Order,
    Sum,
}

/// What may stand between two operands.
#[derive(Clone, Copy)]
enum Infix {
    Or,
    And,
    Compare(Comparator),
    Is,
    In { negated: bool },
    Between { negated: bool },
    Plus,
    Minus,
}

impl Infix {
    fn level(self) -> Level {
        match self {
            Self::Or => Level::Or,
            Self::And => Level::And,
            Self::Compare(comparator) if comparator.is_ordering() => Level::Order,
            Self::Compare(_) | Self::Is | Self::In { .. } => Level::Equality,
            Self::Between { .. } => Level::Order,
            Self::Plus | Self::Minus => Level::Sum,
        }
    }

    /// Whether what follows it is a term and nothing else.
    fn takes_a_term(self) -> bool {
        match self {
            Self::Or | Self::And | Self::Compare(_) | Self::Plus | Self::Minus => true,
            Self::Is | Self::In { .. } | Self::Between { .. } => false,
        }
    }

    /// Words or symbols that it is made of.
    fn tokens(self) -> usize {
        match self {
            Self::In { negated: true } | Self::Between { negated: true } => 2,
            _ => 1,
        }
    }
}

fn boxed(expression: Expression) -> Box<Expression> {
    Box::new(expression)
}

fn negated_if(negated: bool, expression: Expression) -> Expression {
    if negated { Expression::Not(boxed(expression)) } else { expression }
}

impl Parser {
    /// Any expression.
    pub(super) fn expression(&mut self) -> Result<Expression, OpError> {
        self.expression_above(Level::Any)
    }

    /// An expression of operators that bind more tightly than `level`.
    fn expression_above(&mut self, level: Level) -> Result<Expression, OpError> {
        let mut left = self.unary()?;
        while let Some(infix) = self.infix().filter(|infix| infix.level() > level) {
            self.count_operator()?;
            self.at += infix.tokens();
            if infix.takes_a_term() && self.kind() == &Kind::End {
                return Err(malformed("Missing right-hand side expression of infix operator"));
            }
            left = self.joined(left, infix)?;
        }
        Ok(left)
    }

    /// The operator that comes next.
    fn infix(&self) -> Option<Infix> {
        let is_next =
            |word: &str| matches!(&self.token(1).kind, Kind::Word(found) if found.eq_ignore_ascii_case(word));
        Some(match self.kind() {
            Kind::Symbol(symbol) => match *symbol {
                "=" => Infix::Compare(Comparator::Equal),
                "<>" | "!=" => Infix::Compare(Comparator::NotEqual),
                "<" => Infix::Compare(Comparator::Less),
                "<=" => Infix::Compare(Comparator::LessEqual),
                ">" => Infix::Compare(Comparator::Greater),
                ">=" => Infix::Compare(Comparator::GreaterEqual),
                "+" => Infix::Plus,
                "-" => Infix::Minus,
                _ => return None,
            },
            Kind::Word(_) if self.is_word("OR") => Infix::Or,
            Kind::Word(_) if self.is_word("AND") => Infix::And,
            Kind::Word(_) if self.is_word("IS") => Infix::Is,
            Kind::Word(_) if self.is_word("IN") => Infix::In { negated: false },
            Kind::Word(_) if self.is_word("BETWEEN") => Infix::Between { negated: false },
            Kind::Word(_) if self.is_word("NOT") && is_next("IN") => Infix::In { negated: true },
            Kind::Word(_) if self.is_word("NOT") && is_next("BETWEEN") => Infix::Between { negated: true },
            _ => return None,
        })
    }

    /// The expression of `left`, an operator that was just read, and what follows.
    fn joined(&mut self, left: Expression, infix: Infix) -> Result<Expression, OpError> {
        let level = infix.level();
        Ok(match infix {
            Infix::Or => match (left, self.expression_above(level)?) {
                (Expression::Or(mut all), right) => {
                    flatten_or(&mut all, right);
                    Expression::Or(all)
                }
                (left, right) => {
                    let mut all = vec![left];
                    flatten_or(&mut all, right);
                    Expression::Or(all)
                }
            },
            Infix::And => match (left, self.expression_above(level)?) {
                (Expression::And(mut all), right) => {
                    flatten_and(&mut all, right);
                    Expression::And(all)
                }
                (left, right) => {
                    let mut all = vec![left];
                    flatten_and(&mut all, right);
                    Expression::And(all)
                }
            },
            Infix::Compare(comparator) => {
                Expression::Compare(comparator, boxed(left), boxed(self.expression_above(level)?))
            }
            Infix::Plus => Expression::Plus(boxed(left), boxed(self.expression_above(level)?)),
            Infix::Minus => Expression::Minus(boxed(left), boxed(self.expression_above(level)?)),
            Infix::Between { negated } => {
                let low = self.expression_above(level)?;
                if !self.eat_word("AND") {
                    return Err(malformed("Expected AND after BETWEEN"));
                }
                let high = self.expression_above(level)?;
                negated_if(negated, Expression::Between(boxed(left), boxed(low), boxed(high)))
            }
            Infix::In { negated } => {
                let values = self.members(level)?;
                negated_if(negated, Expression::In(boxed(left), values))
            }
            Infix::Is => {
                let negated = self.eat_word("NOT");
                let test = if self.eat_word("MISSING") {
                    Expression::IsMissing(boxed(left))
                } else {
                    Expression::IsType(boxed(left), self.type_name()?)
                };
                negated_if(negated, test)
            }
        })
    }

    /// A type behind `IS`. Of the language's types the service takes a few.
    fn type_name(&mut self) -> Result<ValueType, OpError> {
        let Kind::Word(word) = self.kind() else {
            return Err(malformed("Expected type name"));
        };
        let word = word.to_ascii_uppercase();
        let found = TAKEN_TYPES.iter().find(|(name, _)| *name == word).map(|(_, found)| *found);
        if found.is_none() && !OTHER_TYPES.contains(&word.as_str()) {
            return Err(malformed("Expected type name"));
        }
        self.advance();
        if let Some(found) = found {
            return Ok(found);
        }
        let mut name = word;
        for (first, second) in [("DOUBLE", "PRECISION"), ("CHARACTER", "VARYING")] {
            if name == first && self.eat_word(second) {
                name = format!("{first} {second}");
            }
        }
        self.take_not(OpError::Validation(format!(
            "Unsupported data type for IS operator: {name}. Supported data types are [MISSING, NULL, BOOLEAN, BLOB, STRING, \
             NUMERIC, STRUCT, TUPLE, LIST]"
        )));
        Ok(ValueType::Null)
    }

    /// What stands behind `IN`: a list, in brackets or parentheses.
    fn members(&mut self, level: Level) -> Result<Vec<Expression>, OpError> {
        if self.eat("(") {
            return self.deeper(|parser| parser.elements(")", "RIGHT_PAREN"));
        }
        match self.expression_above(level)? {
            Expression::List(values) => Ok(values),
            _ => Err(OpError::validation("The IN operator must be followed by a list of values")),
        }
    }

    /// A term with its signs or negations.
    fn unary(&mut self) -> Result<Expression, OpError> {
        if self.eat_word("NOT") {
            self.count_operator()?;
            let negated = self.deeper(|parser| parser.expression_above(Level::Not))?;
            return Ok(Expression::Not(boxed(negated)));
        }
        let (mut negative, mut signed) = (false, false);
        while self.is("-") || self.is("+") {
            negative ^= self.is("-");
            signed = true;
            self.advance();
        }
        match self.kind() {
            Kind::Number(digits) => {
                let number = if negative { format!("-{digits}") } else { digits.clone() };
                self.advance();
                Ok(Expression::Number(number))
            }
            _ if signed => Err(malformed("Unexpected operator")),
            _ => self.term(),
        }
    }

    fn term(&mut self) -> Result<Expression, OpError> {
        let is_call = matches!(self.token(1).kind, Kind::Symbol("("));
        match self.kind().clone() {
            Kind::Text(text) => {
                self.advance();
                Ok(Expression::Text(text))
            }
            Kind::Word(word) => {
                for (keyword, value) in [
                    ("TRUE", Expression::Boolean(true)),
                    ("FALSE", Expression::Boolean(false)),
                    ("NULL", Expression::Null),
                    ("MISSING", Expression::Missing),
                ] {
                    if self.eat_word(keyword) {
                        return Ok(value);
                    }
                }
                let is_function = FUNCTION_KEYWORDS.iter().any(|name| name.eq_ignore_ascii_case(&word));
                if is_call && (is_function || !is_keyword(&word)) {
                    return self.call(&word);
                }
                self.path("Unexpected term").map(Expression::Path)
            }
            Kind::Quoted(name) if is_call => self.call(&name),
            Kind::Quoted(_) => self.path("Unexpected term").map(Expression::Path),
            Kind::Symbol(symbol) => self.opened(symbol),
            Kind::Number(_) | Kind::End => Err(malformed("Unexpected term")),
        }
    }

    /// A term that begins with a symbol.
    fn opened(&mut self, symbol: &str) -> Result<Expression, OpError> {
        match symbol {
            "?" => {
                let parameter = Expression::Parameter(self.parameters, self.position());
                self.parameters += 1;
                self.advance();
                Ok(parameter)
            }
            "(" => {
                self.advance();
                let mut group = self.deeper(|parser| parser.elements(")", "RIGHT_PAREN"))?;
                match group.pop() {
                    None => Err(malformed("Expression group cannot be empty")),
                    Some(only) if group.is_empty() => Ok(only),
                    Some(last) => {
                        group.push(last);
                        Ok(Expression::List(group))
                    }
                }
            }
            "[" => {
                self.advance();
                self.deeper(|parser| parser.elements("]", "RIGHT_BRACKET")).map(Expression::List)
            }
            "<<" => {
                self.advance();
                self.deeper(|parser| parser.elements(">>", "RIGHT_DOUBLE_ANGLE_BRACKET")).map(Expression::Set)
            }
            "{" => {
                self.advance();
                self.deeper(Self::map_members).map(Expression::Map)
            }
            "*" | "<" | ">" | "<=" | ">=" | "<>" | "!=" | "=" => Err(malformed("Unexpected operator")),
            _ => Err(malformed("Unexpected term")),
        }
    }

    /// Expressions with commas between them, up to what closes them.
    fn elements(&mut self, close: &str, name: &str) -> Result<Vec<Expression>, OpError> {
        let mut elements = Vec::new();
        if self.eat(close) {
            return Ok(elements);
        }
        loop {
            elements.push(self.expression()?);
            if !self.eat(",") {
                self.expect(close, name)?;
                return Ok(elements);
            }
        }
    }

    fn map_members(&mut self) -> Result<Vec<(String, Expression)>, OpError> {
        let mut members = Vec::new();
        if self.eat("}") {
            return Ok(members);
        }
        loop {
            let Kind::Text(name) = self.kind().clone() else {
                return Err(malformed("Expected a text in single quotes as the name of a member"));
            };
            self.advance();
            self.expect(":", "COLON")?;
            members.push((name, self.expression()?));
            if !self.eat(",") {
                self.expect("}", "RIGHT_CURLY")?;
                return Ok(members);
            }
        }
    }

    fn call(&mut self, name: &str) -> Result<Expression, OpError> {
        self.count_operator()?;
        let at = self.position();
        self.at += 2;
        let first_at = self.position();
        let operands = self.deeper(|parser| parser.elements(")", "RIGHT_PAREN"))?;
        Ok(Expression::Call(Call { name: name.to_ascii_lowercase(), operands, at, first_at }))
    }

    /// Reads something that lies within brackets, one level down.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, OpError>) -> Result<T, OpError> {
        if self.depth >= NESTING_MAX {
            return Err(value_rules::too_deep());
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Counts one operator or function, by the rule of expressions.
    fn count_operator(&mut self) -> Result<(), OpError> {
        self.operators += 1;
        if self.operators <= MAX_OPERATORS {
            return Ok(());
        }
        Err(OpError::Validation(format!(
            "The expression contains too many operators; operator count: {}",
            self.operators
        )))
    }
}

fn flatten_and(all: &mut Vec<Expression>, right: Expression) {
    match right {
        Expression::And(more) => all.extend(more),
        other => all.push(other),
    }
}

fn flatten_or(all: &mut Vec<Expression>, right: Expression) {
    match right {
        Expression::Or(more) => all.extend(more),
        other => all.push(other),
    }
}
