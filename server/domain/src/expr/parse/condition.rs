//! The grammar of conditions.
//!
//! ```text
//! condition  = conjunction ( OR conjunction )*
//! conjunction = negation ( AND negation )*
//! negation   = NOT* primary
//! primary    = "(" condition ")" | term comparator term | term BETWEEN term AND term
//!            | term IN "(" term ( "," term )* ")" | call
//! term       = path | :value | call | "(" term ")"            and a path in parentheses may go on behind them
//! call       = name "(" term ( "," term )* ")"
//! ```
//!
//! A parenthesis at the start of a primary may hold a condition or a term. What follows its partner decides: only a term can
//! stand before a comparator, `BETWEEN`, `IN`, a dot or a bracket. So no token is read twice.
//!
//! Calls are read by one rule wherever they stand; that `size` is a value and the others are conditions is a check on what was
//! read, because the service tells a misplaced function from a syntax error.

use std::cmp::Ordering;
use std::fmt::Write as _;

use trilith_values::AttributeValue;

use super::{Fault, Function, LiteralRef, NO_OPERAND, Parser};
use crate::error::OpError;
use crate::expr::ast::{Comparator, Operand, Test, ValueType};
use crate::expr::limits::MAX_IN_VALUES;
use crate::expr::path::Path;
use crate::expr::token::TokenKind;

/// Something that stands where an operand may.
enum Term<'r> {
    Path(Path),
    Literal(LiteralRef<'r>),
    /// A call of `size`.
    Size(Operand),
    /// A call of a function that is a condition of its own.
    Boolean(Function, Test),
    /// What a noted fault kept from being built.
    Broken,
}

/// Holds for no item; stands for a condition that a noted fault kept from being built.
const NO_TEST: Test = Test::Or(Vec::new());

impl<'r> Term<'r> {
    fn path(&self) -> Option<&Path> {
        match self {
            Term::Path(path) => Some(path),
            _ => None,
        }
    }

    fn literal(&self) -> Option<&'r AttributeValue> {
        match self {
            Term::Literal(literal) => Some(literal.value),
            _ => None,
        }
    }

    /// The type, where the text alone says it.
    fn static_type(&self) -> Option<&'static str> {
        match self {
            Term::Literal(literal) => Some(literal.value.type_name()),
            Term::Size(_) => Some("N"),
            _ => None,
        }
    }

    fn into_operand(self) -> Operand {
        match self {
            Term::Path(path) => Operand::Path(path),
            Term::Literal(literal) => Operand::Literal(literal.number),
            Term::Size(operand) => operand,
            Term::Boolean(..) | Term::Broken => NO_OPERAND,
        }
    }
}

impl<'t, 'p, 'r> Parser<'t, 'p, 'r> {
    /// Reads the text as one condition.
    pub(super) fn whole_condition(&mut self) -> Result<Test, OpError> {
        let test = self.disjunction(0)?;
        if self.peek() == TokenKind::End { Ok(test) } else { Err(self.syntax_error()) }
    }

    /// A condition, with `depth` parentheses open around it.
    fn disjunction(&mut self, depth: u32) -> Result<Test, OpError> {
        let mut any = Vec::new();
        let mut all = Vec::new();
        loop {
            let mut negations = 0;
            while self.eat_word("NOT") {
                self.count_operator()?;
                negations += 1;
            }
            let mut test = self.primary(depth)?;
            for _ in 0..negations {
                test = Test::Not(Box::new(test));
            }
            all.push(test);
            if self.eat_word("AND") {
                self.count_operator()?;
                continue;
            }
            any.push(only_or(all, Test::And));
            if self.eat_word("OR") {
                self.count_operator()?;
                all = Vec::new();
                continue;
            }
            return Ok(only_or(any, Test::Or));
        }
    }

    fn primary(&mut self, depth: u32) -> Result<Test, OpError> {
        if self.peek() == TokenKind::Open && self.opens_condition() {
            self.check_depth(depth)?;
            self.advance();
            let test = self.disjunction(depth + 1)?;
            self.expect(TokenKind::Close)?;
            return Ok(test);
        }
        let start = self.at;
        let left = self.term()?;
        let test = if let Some(comparator) = self.comparator() {
            self.comparison(left, comparator)?
        } else if self.eat_word("BETWEEN") {
            self.between(left)?
        } else if self.eat_word("IN") {
            self.membership(left)?
        } else if self.is_call(start) {
            self.call_as_condition(left)
        } else {
            return Err(self.lone_operand(start));
        };
        self.clause += 1;
        Ok(test)
    }

    /// Whether the parenthesis that comes next holds a condition and not a term.
    fn opens_condition(&self) -> bool {
        let Some(close) = self.tokens.close_of(self.at) else {
            return true;
        };
        let after = close + 1;
        let continues_a_term = comparator_of(self.tokens.kind(after)).is_some()
            || matches!(self.tokens.kind(after), TokenKind::Dot | TokenKind::OpenIndex)
            || self.is_word(after, "BETWEEN")
            || self.is_word(after, "IN");
        !continues_a_term
    }

    /// The error for an operand that nothing is asked of. Parentheses right around it are read as its own, so the error is
    /// about what stands behind them.
    fn lone_operand(&mut self, start: usize) -> OpError {
        let mut open = start;
        while open > 0 && self.tokens.kind(open - 1) == TokenKind::Open && self.peek() == TokenKind::Close {
            open -= 1;
            self.advance();
        }
        self.syntax_error()
    }

    fn comparator(&mut self) -> Option<Comparator> {
        let comparator = comparator_of(self.peek())?;
        self.advance();
        Some(comparator)
    }

    fn comparison(&mut self, left: Term<'r>, comparator: Comparator) -> Result<Test, OpError> {
        self.count_operator()?;
        let terms = [left, self.term()?];
        self.check_values(&terms);
        self.check_distinct(comparator.symbol(), &terms);
        if comparator.is_ordering() {
            self.check_ordered(comparator.symbol(), &terms);
        }
        let [left, right] = terms.map(Term::into_operand);
        Ok(Test::Compare(comparator, left, right))
    }

    fn between(&mut self, value: Term<'r>) -> Result<Test, OpError> {
        self.count_operator()?;
        let low = self.term()?;
        if !self.eat_word("AND") {
            return Err(self.syntax_error());
        }
        let terms = [value, low, self.term()?];
        self.check_values(&terms);
        self.check_distinct("BETWEEN", &terms);
        self.check_ordered("BETWEEN", &terms);
        if let (Some(low), Some(high)) = (terms[1].literal(), terms[2].literal()) {
            self.check_bounds(low, high);
        }
        let [value, low, high] = terms.map(Term::into_operand);
        Ok(Test::Between(value, low, high))
    }

    fn membership(&mut self, value: Term<'r>) -> Result<Test, OpError> {
        self.count_operator()?;
        let mut terms = vec![value];
        terms.extend(self.list()?);
        let values = terms.len() - 1;
        self.check_values(&terms);
        self.check_distinct("IN", &terms);
        if values > MAX_IN_VALUES {
            self.note(Fault::Arity, || {
                format!("The IN operator is provided with too many operands; number of operands: {values}")
            });
        }
        let mut operands = terms.into_iter().map(Term::into_operand);
        let value = operands.next().unwrap_or(NO_OPERAND);
        Ok(Test::In(value, operands.collect()))
    }

    /// `"(" term ( "," term )* ")"`
    fn list(&mut self) -> Result<Vec<Term<'r>>, OpError> {
        self.expect(TokenKind::Open)?;
        let mut terms = vec![self.term()?];
        while self.eat(TokenKind::Comma) {
            terms.push(self.term()?);
        }
        self.expect(TokenKind::Close)?;
        Ok(terms)
    }

    fn call_as_condition(&mut self, call: Term<'r>) -> Test {
        match call {
            Term::Boolean(_, test) => test,
            Term::Size(_) => {
                self.note_misuse(Function::Size);
                NO_TEST
            }
            Term::Path(_) | Term::Literal(_) | Term::Broken => NO_TEST,
        }
    }

    fn term(&mut self) -> Result<Term<'r>, OpError> {
        let mut open = 0u32;
        while self.eat(TokenKind::Open) {
            open += 1;
        }
        let mut term = match self.peek() {
            TokenKind::ValueRef => self.literal()?.map_or(Term::Broken, Term::Literal),
            TokenKind::Name if self.is_call(self.at) => self.call()?,
            _ => Term::Path(self.path()?),
        };
        while open > 0 {
            self.expect(TokenKind::Close)?;
            open -= 1;
            if let Term::Path(path) = &mut term {
                self.dereferences(path)?;
            }
        }
        Ok(term)
    }

    fn call(&mut self) -> Result<Term<'r>, OpError> {
        self.count_operator()?;
        let name = self.tokens.text(self.at);
        self.advance();
        let terms = self.list()?;
        self.check_values(&terms);
        let Some(function) = Function::named(name) else {
            self.note_unknown_function(name);
            return Ok(Term::Broken);
        };
        if function.is_for_updates() {
            self.note(Fault::Function, || {
                format!("The function is not allowed in a condition expression; function: {name}")
            });
            return Ok(Term::Broken);
        }
        if !self.check_arity(function, terms.len()) {
            return Ok(if function == Function::Size {
                Term::Size(NO_OPERAND)
            } else {
                Term::Boolean(function, NO_TEST)
            });
        }
        self.check_distinct(name, &terms);
        Ok(self.typed_call(function, terms))
    }

    /// The call of a function with the right number of operands.
    fn typed_call(&mut self, function: Function, terms: Vec<Term<'r>>) -> Term<'r> {
        let mut terms = terms.into_iter();
        let first = terms.next().unwrap_or(Term::Broken);
        let second = terms.next().unwrap_or(Term::Broken);
        let test = match function {
            Function::Size => return Term::Size(self.size_of(first)),
            Function::AttributeExists => self.required_path(function, first).map(Test::Exists),
            Function::AttributeNotExists => self.required_path(function, first).map(Test::NotExists),
            Function::AttributeType => {
                let wanted = self.wanted_type(&second);
                let path = self.required_path(function, first);
                path.zip(wanted).map(|(path, wanted)| Test::HasType(path, wanted))
            }
            Function::BeginsWith => {
                for term in [&first, &second] {
                    if let Some(other) = term.static_type().filter(|t| !matches!(*t, "S" | "B")) {
                        self.note_operand_type(function.name(), other);
                    }
                }
                Some(Test::BeginsWith(first.into_operand(), second.into_operand()))
            }
            Function::Contains => Some(Test::Contains(first.into_operand(), second.into_operand())),
            Function::IfNotExists | Function::ListAppend => None,
        };
        Term::Boolean(function, test.unwrap_or(NO_TEST))
    }

    fn size_of(&mut self, term: Term<'r>) -> Operand {
        if let Some(other) = term.static_type().filter(|t| matches!(*t, "N" | "BOOL" | "NULL")) {
            self.note_operand_type(Function::Size.name(), other);
        }
        match term {
            Term::Path(path) => Operand::Size(path),
            Term::Literal(literal) => Operand::LiteralSize(literal.number),
            Term::Size(_) | Term::Boolean(..) | Term::Broken => NO_OPERAND,
        }
    }

    fn required_path(&mut self, function: Function, term: Term<'r>) -> Option<Path> {
        match term {
            Term::Path(path) => Some(path),
            Term::Literal(_) | Term::Size(_) => {
                self.note_path_needed(function);
                None
            }
            Term::Boolean(..) | Term::Broken => None,
        }
    }

    /// The second operand of `attribute_type`: a placeholder with the name of a type.
    fn wanted_type(&mut self, term: &Term<'r>) -> Option<ValueType> {
        let function = Function::AttributeType.name();
        match term {
            Term::Literal(literal) => {
                let AttributeValue::S(name) = literal.value else {
                    self.note_operand_type(function, literal.value.type_name());
                    return None;
                };
                let wanted = ValueType::named(name);
                if wanted.is_none() {
                    self.note(Fault::Operand, || {
                        format!(
                            "Invalid attribute type name found; type: {name}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}"
                        )
                    });
                }
                wanted
            }
            Term::Size(_) => {
                self.note_operand_type(function, "N");
                None
            }
            Term::Path(_) => {
                self.note_operand_type(function, "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}");
                None
            }
            Term::Boolean(..) | Term::Broken => None,
        }
    }

    /// Only `size` is a value; every other call among operands is out of place.
    fn check_values(&mut self, terms: &[Term<'r>]) {
        for term in terms {
            if let Term::Boolean(function, _) = term {
                self.note_misuse(*function);
            }
        }
    }

    fn check_distinct(&mut self, operator: &str, terms: &[Term<'r>]) {
        let Some((first, rest)) = terms.split_first() else {
            return;
        };
        let Some(path) = first.path() else {
            return;
        };
        if rest.iter().any(|term| term.path() == Some(path)) {
            self.note_same_operand(operator, path);
        }
    }

    /// Only strings, numbers and binaries have an order. What the text does not tell is decided with the item, as false.
    fn check_ordered(&mut self, operator: &str, terms: &[Term<'r>]) {
        for term in terms {
            if let Some(other) = term.static_type().filter(|t| !matches!(*t, "S" | "N" | "B")) {
                self.note_operand_type(operator, other);
            }
        }
    }

    fn check_bounds(&mut self, low: &AttributeValue, high: &AttributeValue) {
        if let Some(fault) = bounds_fault(low, high) {
            self.note(Fault::Operand, || fault);
        }
    }
}

/// What is wrong with the bounds of a `BETWEEN`, in the service's words.
pub(crate) fn bounds_fault(low: &AttributeValue, high: &AttributeValue) -> Option<String> {
    let rule = if low.type_name() != high.type_name() {
        "requires same data type for lower and upper bounds"
    } else if low.compare(high) == Some(Ordering::Greater) {
        "requires upper bound to be greater than or equal to lower bound"
    } else {
        return None;
    };
    Some(format!(
        "The BETWEEN operator {rule}; lower bound operand: AttributeValue: {}, upper bound operand: AttributeValue: {}",
        shown(low),
        shown(high)
    ))
}

/// The only element, or all of them joined.
fn only_or(mut tests: Vec<Test>, join: fn(Vec<Test>) -> Test) -> Test {
    match tests.pop() {
        Some(only) if tests.is_empty() => only,
        Some(last) => {
            tests.push(last);
            join(tests)
        }
        None => join(tests),
    }
}

fn comparator_of(kind: TokenKind) -> Option<Comparator> {
    Some(match kind {
        TokenKind::Equal => Comparator::Equal,
        TokenKind::NotEqual => Comparator::NotEqual,
        TokenKind::Less => Comparator::Less,
        TokenKind::LessEqual => Comparator::LessEqual,
        TokenKind::Greater => Comparator::Greater,
        TokenKind::GreaterEqual => Comparator::GreaterEqual,
        _ => return None,
    })
}

/// A bound as the service prints it: `{N:2}`. The form for binaries is not on record; ours is hexadecimal.
fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => format!("{{S:{text}}}"),
        AttributeValue::N(number) => format!("{{N:{number}}}"),
        AttributeValue::B(bytes) => {
            let mut text = String::from("{B:");
            for byte in bytes {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
            text + "}"
        }
        other => format!("{{{}}}", other.type_name()),
    }
}
