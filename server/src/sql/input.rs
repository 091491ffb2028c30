//! Cutting what is typed or piped in into statements.
//!
//! A statement ends with a `;` that stands in no quotes and no comment. A line that begins with a backslash, where no statement
//! has begun, is a command of the shell and ends with its line.

use std::collections::VecDeque;

/// Text that arrives bit by bit, and the statements in it.
#[derive(Debug, Default)]
pub struct Statements {
    ready: VecDeque<String>,
    open: String,
    state: State,
}

/// Where in a statement the next character stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    Quoted(char),
    LineComment,
    BlockComment,
    Command,
}

impl Statements {
    /// More text.
    pub fn push(&mut self, text: &str) {
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if self.state == State::Plain && character == '\\' && self.open.trim().is_empty() {
                self.state = State::Command;
            }
            let ends = match self.state {
                State::Plain => character == ';',
                State::Command => character == '\n',
                State::Quoted(_) | State::LineComment | State::BlockComment => false,
            };
            if ends {
                self.end();
                continue;
            }
            self.open.push(character);
            self.state = match (self.state, character, characters.peek()) {
                (State::Plain, '\'' | '"', _) => State::Quoted(character),
                (State::Quoted(quote), _, _) if quote == character => State::Plain,
                (State::Plain, '-', Some('-')) => State::LineComment,
                (State::Plain, '/', Some('*')) => {
                    self.open.extend(characters.next());
                    State::BlockComment
                }
                (State::LineComment, '\n', _) => State::Plain,
                (State::BlockComment, '*', Some('/')) => {
                    self.open.extend(characters.next());
                    State::Plain
                }
                (state, _, _) => state,
            };
        }
    }

    /// The end of the text is the end of its last statement too.
    pub fn end(&mut self) {
        let text = std::mem::take(&mut self.open);
        self.state = State::Plain;
        if !text.trim().is_empty() {
            self.ready.push_back(text.trim().to_owned());
        }
    }

    /// The next statement that is complete.
    pub fn pop(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    /// Whether a statement has begun and not ended.
    pub fn is_open(&self) -> bool {
        !self.open.trim().is_empty()
    }

    /// Forgets what has begun.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut statements = Statements::default();
        statements.push(text);
        statements.end();
        std::iter::from_fn(|| statements.pop()).collect()
    }

    #[test]
    fn semicolons_end_statements_outside_of_quotes_and_comments() {
        assert_eq!(all("a; b ;;\n c"), ["a", "b", "c"]);
        assert_eq!(all("a ';' b; \"x;y\" c"), ["a ';' b", "\"x;y\" c"]);
        assert_eq!(all("a 'it''s;' b; c"), ["a 'it''s;' b", "c"]);
        assert_eq!(all("a -- x; y\nb; c /* ; */ d"), ["a -- x; y\nb", "c /* ; */ d"]);
        assert_eq!(all(" ; \n"), [""; 0]);
    }

    #[test]
    fn commands_end_with_their_line() {
        assert_eq!(all("\\d x; y\nselect 'a\\d';\\d"), ["\\d x; y", "select 'a\\d'", "\\d"]);
    }

    #[test]
    fn a_statement_may_come_in_pieces() {
        let mut statements = Statements::default();
        statements.push("select 'a");
        assert!(statements.is_open() && statements.pop().is_none());
        statements.push("\n;b'");
        statements.push(";");
        assert_eq!(statements.pop().as_deref(), Some("select 'a\n;b'"));
        assert!(!statements.is_open());
    }
}
