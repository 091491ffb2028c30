//! Cutting a statement into tokens.
//!
//! Names stand bare or in double quotes, texts in single quotes; a quote inside is written twice. `--` begins a comment that
//! ends with its line, `/*` one that ends with `*/`. Signs are tokens of their own: the parser makes them part of a number.
//! Lines and columns are counted in characters from 1, as messages show them. What cannot be cut has the service's message for
//! it: that the statement is not well formed, and no word more.

use super::malformed;
use crate::error::OpError;

/// Where a token stands.
///
/// Positions are all equal to each other: two trees are the same when they say the same, wherever it stood.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in its line, in characters from 1.
    pub column: u32,
    /// How many characters.
    pub length: u32,
}

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.line, self.column, self.length)
    }
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A bare name or keyword, as it is written.
    Word(String),
    /// A name in double quotes.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// A number without its sign.
    Number(String),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// Behind the last token.
    End,
}

/// A token and its place.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: Position,
}

/// Operators and brackets; of two that begin alike the longer comes first.
const SYMBOLS: [&str; 23] = [
    "<<", ">>", "<=", ">=", "<>", "!=", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ".", ":", "?", "*",
    "+", "-", ";",
];

struct Lexer<'t> {
    rest: &'t str,
    line: u32,
    column: u32,
}

/// Cuts `text`; the last token is [`Kind::End`].
///
/// # Errors
/// A character that begins nothing, a number that is none, a quote or comment that never ends.
pub(super) fn cut(text: &str) -> Result<Vec<Token>, OpError> {
    let mut lexer = Lexer { rest: text, line: 1, column: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let (line, column, before) = (lexer.line, lexer.column, lexer.rest);
        let kind = lexer.token()?;
        let length = before.len() - lexer.rest.len();
        // A statement has at most 8192 characters.
        let length = u32::try_from(before[..length].chars().count()).unwrap_or(u32::MAX);
        let is_end = kind == Kind::End;
        tokens.push(Token { kind, at: Position { line, column, length } });
        if is_end {
            return Ok(tokens);
        }
    }
}

impl Lexer<'_> {
    /// Goes behind the next `bytes` bytes.
    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        for character in passed.chars() {
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
    }

    fn skip_blanks(&mut self) -> Result<(), OpError> {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.advance(blanks);
            if self.rest.starts_with("--") {
                self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest[2..].find("*/") else {
                    return Err(malformed(""));
                };
                self.advance(end + 4);
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Kind, OpError> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(Kind::End);
        };
        let continued_by_digit = self.rest[first.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
        if first.is_ascii_alphabetic() || matches!(first, '_' | '$') {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
            return Ok(Kind::Word(self.take_while(is_part).to_owned()));
        }
        if first == '"' {
            return self.quoted('"').map(Kind::Quoted);
        }
        if first == '\'' {
            return self.quoted('\'').map(Kind::Text);
        }
        if first.is_ascii_digit() || first == '.' && continued_by_digit {
            return self.number();
        }
        let Some(symbol) = SYMBOLS.iter().find(|symbol| self.rest.starts_with(**symbol)) else {
            return Err(malformed(""));
        };
        self.advance(symbol.len());
        Ok(Kind::Symbol(symbol))
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &str {
        let whole = self.rest;
        let end = whole.find(|c| !is_part(c)).unwrap_or(whole.len());
        self.advance(end);
        &whole[..end]
    }

    /// What stands between two quotes of this kind.
    fn quoted(&mut self, quote: char) -> Result<String, OpError> {
        let mut text = String::new();
        self.advance(1);
        loop {
            let Some(end) = self.rest.find(quote) else {
                return Err(malformed(""));
            };
            text.push_str(&self.rest[..end]);
            self.advance(end + 1);
            if !self.rest.starts_with(quote) {
                return Ok(text);
            }
            text.push(quote);
            self.advance(1);
        }
    }

    /// Digits, a fraction, an exponent. What follows at once must not be part of a name. Exponent and scale (digits behind the
    /// point less the exponent) are numbers of 32 bits, as in the decimals that the service makes of them.
    fn number(&mut self) -> Result<Kind, OpError> {
        let is_digit = |c: char| c.is_ascii_digit();
        let mut text = self.take_while(is_digit).to_owned();
        let (mut fraction, mut exponent) = (0, 0i64);
        if self.rest.starts_with('.') {
            self.advance(1);
            text.push('.');
            text.push_str(self.take_while(is_digit));
            fraction = text.len() - text.find('.').unwrap_or(0) - 1;
        }
        if self.rest.starts_with(['e', 'E']) {
            let sign = self.rest[1..].starts_with(['+', '-']);
            let head = 1 + usize::from(sign);
            if self.rest[head..].starts_with(is_digit) {
                let begin = text.len() + 1;
                text.push_str(&self.rest[..head]);
                self.advance(head);
                text.push_str(self.take_while(is_digit));
                exponent = text[begin..].parse().map_err(|_| malformed(""))?;
            }
        }
        let scale = i64::try_from(fraction).map(|digits| digits.checked_sub(exponent));
        if i32::try_from(exponent).is_err()
            || !matches!(scale, Ok(Some(scale)) if i32::try_from(scale).is_ok())
        {
            return Err(malformed(""));
        }
        if self.rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$')) {
            return Err(malformed(""));
        }
        Ok(Kind::Number(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        let mut tokens: Vec<Kind> = cut(text).expect("well formed").into_iter().map(|t| t.kind).collect();
        assert_eq!(tokens.pop(), Some(Kind::End));
        tokens
    }

    fn word(text: &str) -> Kind {
        Kind::Word(text.to_owned())
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(kinds("'it''s' \"a\"\"b\""), [Kind::Text("it's".into()), Kind::Quoted("a\"b".into())]);
        assert_eq!(kinds("''"), [Kind::Text(String::new())]);
        assert!(cut("'open").is_err() && cut("\"open").is_err());
    }

    #[test]
    fn comments_are_blanks() {
        assert_eq!(kinds("a/**/b -- c\nd /* -- */"), [word("a"), word("b"), word("d")]);
        assert_eq!(kinds("'--' --"), [Kind::Text("--".into())]);
        assert!(cut("a /* open").is_err());
    }

    #[test]
    fn numbers_have_fractions_and_exponents() {
        for number in ["0", "12", "1.5", "2.", ".5", "1E3", "1.5e-3", "1e+10"] {
            assert_eq!(kinds(number), [Kind::Number(number.to_owned())]);
        }
        assert_eq!(kinds("-1"), [Kind::Symbol("-"), Kind::Number("1".into())]);
        assert!(cut("1a").is_err() && cut("1e").is_err());
        for beyond in ["1e2147483648", "1e99999999999999999999", "1.5e-2147483647"] {
            assert_eq!(cut(beyond).expect_err(beyond), malformed(""));
        }
    }

    #[test]
    fn the_longer_symbol_wins() {
        let symbols = |text| {
            kinds(text).into_iter().map(|kind| match kind {
                Kind::Symbol(symbol) => symbol,
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(symbols("<<>><=>=<>!=<>").collect::<Vec<_>>(), ["<<", ">>", "<=", ">=", "<>", "!=", "<>"]);
        assert!(cut("a ~ b").is_err() && cut("ä").is_err());
    }

    #[test]
    fn positions_count_characters() {
        let tokens = cut("'ä' b\n  \"cc\"").expect("well formed");
        let places: Vec<String> = tokens.iter().map(|token| token.at.to_string()).collect();
        assert_eq!(places, ["1:1:3", "1:5:1", "2:3:4", "2:7:0"]);
    }
}
