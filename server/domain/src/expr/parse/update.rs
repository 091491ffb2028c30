//! The grammar of updates.
//!
//! ```text
//! update  = clause+                                  each keyword once, in any order
//! clause  = SET path "=" value ( "," path "=" value )* | REMOVE path ( "," path )*
//!         | ADD path :value ( "," path :value )*       | DELETE path :value ( "," path :value )*
//! value   = operand ( ( "+" | "-" ) operand )?
//! operand = path | :value | name "(" operand ( "," operand )* ")" | "(" value ")"
//! ```
//!
//! Three summands need parentheses: `a + b + c` is a syntax error.

use trilith_values::AttributeValue;

use super::{Fault, Function, NO_LITERAL, Parser};
use crate::error::OpError;
use crate::expr::ast::{Action, Literal, SetValue};
use crate::expr::token::TokenKind;

/// A value, and what is known of it from the text alone.
struct Value {
    tree: SetValue,
    /// Type of a bare `:value`.
    literal_type: Option<&'static str>,
    /// The function, if it is a call.
    call: Option<Function>,
}

impl Value {
    /// Of a tree about which the text says nothing more.
    fn plain(tree: SetValue) -> Self {
        Self { tree, literal_type: None, call: None }
    }

    /// What a noted fault kept from being built.
    fn broken() -> Self {
        Self::plain(SetValue::Literal(NO_LITERAL))
    }
}

impl<'t, 'p, 'r> Parser<'t, 'p, 'r> {
    /// Reads the text as the clauses of an update.
    pub(super) fn clauses(&mut self) -> Result<Vec<Action>, OpError> {
        const SECTIONS: [&str; 4] = ["SET", "REMOVE", "ADD", "DELETE"];
        let mut seen = [false; SECTIONS.len()];
        let mut actions = Vec::new();
        while self.peek() != TokenKind::End {
            let Some(section) = SECTIONS.iter().position(|word| self.eat_word(word)) else {
                return Err(self.syntax_error());
            };
            if std::mem::replace(&mut seen[section], true) {
                self.note(Fault::Section, || {
                    format!(
                        "The \"{}\" section can only be used once in an update expression;",
                        SECTIONS[section]
                    )
                });
            }
            loop {
                actions.push(self.action(SECTIONS[section])?);
                if !self.eat(TokenKind::Comma) {
                    break;
                }
            }
        }
        Ok(actions)
    }

    fn action(&mut self, section: &'static str) -> Result<Action, OpError> {
        let path = self.path()?;
        Ok(match section {
            "SET" => {
                self.expect(TokenKind::Equal)?;
                Action::Set(path, self.value(0)?.tree)
            }
            "REMOVE" => Action::Remove(path),
            "ADD" => Action::Add(path, self.section_operand(section, true)?),
            _ => Action::Delete(path, self.section_operand(section, false)?),
        })
    }

    /// The value of an `ADD` (a number or a set) or `DELETE` (a set).
    fn section_operand(&mut self, section: &str, numbers: bool) -> Result<Literal, OpError> {
        let Some(literal) = self.literal()? else {
            return Ok(NO_LITERAL);
        };
        let is_number = matches!(literal.value, AttributeValue::N(_));
        if !(literal.value.is_set() || numbers && is_number) {
            self.note(Fault::SectionOperand, || {
                format!(
                    "Incorrect operand type for operator or function; operator: {section}, operand type: {}, typeSet: ALLOWED_FOR_{section}_OPERAND",
                    long_type_name(literal.value)
                )
            });
        }
        Ok(literal.number)
    }

    /// A right-hand side, with `depth` parentheses open around it.
    fn value(&mut self, depth: u32) -> Result<Value, OpError> {
        let left = self.operand(depth)?;
        let join = match self.peek() {
            TokenKind::Plus => SetValue::Plus,
            TokenKind::Minus => SetValue::Minus,
            _ => return Ok(left),
        };
        let operator = self.tokens.text(self.at);
        self.advance();
        self.count_operator()?;
        let right = self.operand(depth)?;
        for value in [&left, &right] {
            self.check_literal_type(operator, value, "N");
        }
        Ok(Value::plain(join(Box::new(left.tree), Box::new(right.tree))))
    }

    fn operand(&mut self, depth: u32) -> Result<Value, OpError> {
        match self.peek() {
            TokenKind::Open => {
                self.check_depth(depth)?;
                self.advance();
                let value = self.value(depth + 1)?;
                self.expect(TokenKind::Close)?;
                Ok(value)
            }
            TokenKind::ValueRef => Ok(match self.literal()? {
                None => Value::broken(),
                Some(literal) => Value {
                    tree: SetValue::Literal(literal.number),
                    literal_type: Some(literal.value.type_name()),
                    call: None,
                },
            }),
            TokenKind::Name if self.is_call(self.at) => self.update_call(depth),
            _ => Ok(Value::plain(SetValue::Path(self.path()?))),
        }
    }

    fn update_call(&mut self, depth: u32) -> Result<Value, OpError> {
        self.count_operator()?;
        let name = self.tokens.text(self.at);
        self.advance();
        self.expect(TokenKind::Open)?;
        let mut operands = vec![self.operand(depth)?];
        while self.eat(TokenKind::Comma) {
            operands.push(self.operand(depth)?);
        }
        self.expect(TokenKind::Close)?;

        let Some(function) = Function::named(name) else {
            self.note_unknown_function(name);
            return Ok(Value::broken());
        };
        if !function.is_for_updates() {
            self.note(Fault::Function, || {
                format!("The function is not allowed in an update expression; function: {name}")
            });
            return Ok(Value::broken());
        }
        if operands.iter().any(|operand| operand.call == Some(Function::ListAppend)) {
            self.note_misuse(Function::ListAppend);
        }
        if !self.check_arity(function, operands.len()) {
            return Ok(Value::broken());
        }
        let mut operands = operands.into_iter();
        let first = operands.next().unwrap_or_else(Value::broken);
        let second = operands.next().unwrap_or_else(Value::broken);
        Ok(match function {
            Function::ListAppend => self.list_append(first, second),
            _ => self.if_not_exists(first, second),
        })
    }

    fn list_append(&mut self, first: Value, second: Value) -> Value {
        let function = Function::ListAppend;
        for value in [&first, &second] {
            self.check_literal_type(function.name(), value, "L");
        }
        Value {
            tree: SetValue::ListAppend(Box::new(first.tree), Box::new(second.tree)),
            literal_type: None,
            call: Some(function),
        }
    }

    fn if_not_exists(&mut self, first: Value, second: Value) -> Value {
        let function = Function::IfNotExists;
        let SetValue::Path(path) = first.tree else {
            self.note_path_needed(function);
            return Value::broken();
        };
        if matches!(&second.tree, SetValue::Path(other) if *other == path) {
            self.note_same_operand(function.name(), &path);
        }
        Value {
            tree: SetValue::IfNotExists(path, Box::new(second.tree)),
            literal_type: None,
            call: Some(function),
        }
    }

    /// A bare `:value` of the wrong type is refused at once; every other operand shows its type with the item.
    fn check_literal_type(&mut self, operator: &str, value: &Value, wanted: &str) {
        if let Some(other) = value.literal_type.filter(|found| *found != wanted) {
            self.note_operand_type(operator, other);
        }
    }
}

/// The names of types in messages about `ADD` and `DELETE`.
fn long_type_name(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::S(_) => "STRING",
        AttributeValue::N(_) => "NUMBER",
        AttributeValue::B(_) => "BINARY",
        AttributeValue::Bool(_) => "BOOLEAN",
        AttributeValue::Null => "NULL",
        AttributeValue::L(_) => "LIST",
        AttributeValue::M(_) => "MAP",
        AttributeValue::Ss(_) => "STRING_SET",
        AttributeValue::Ns(_) => "NUMBER_SET",
        AttributeValue::Bs(_) => "BINARY_SET",
    }
}
