//! From text to tokens.
//!
//! A bare name begins with a letter; a placeholder is `#` or `:` and at least one more character; letters, digits and `_` may
//! follow in both. Everything else is a symbol, a run of digits, a text in quotes (which no grammar takes), or a single
//! character that no rule knows: that one becomes a token too, so that cutting never fails and the grammar can report it
//! where it stands, as the service does (`SET _a = :v` fails at token `_`, near `SET _a`).

/// What a token is. Keywords are names here: only the grammar knows which words it reserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A bare name, function or keyword.
    Name,
    /// `#name`.
    NameRef,
    /// `:value`.
    ValueRef,
    /// A run of decimal digits.
    Digits,
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenIndex,
    /// `]`
    CloseIndex,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// A text in quotes, or a character that begins no token.
    Unknown,
    /// Behind the last token.
    End,
}

/// A token and its place in the text, in bytes.
#[derive(Clone, Copy, Debug)]
struct Token {
    kind: TokenKind,
    start: usize,
    end: usize,
}

/// A text cut into tokens, the last of which is [`TokenKind::End`].
pub(super) struct Tokens<'t> {
    text: &'t str,
    list: Vec<Token>,
    /// For each `(` its `)`, where it has one.
    closes: Vec<Option<usize>>,
}

impl<'t> Tokens<'t> {
    /// Cuts `text`. Never fails.
    pub(super) fn cut(text: &'t str) -> Self {
        let mut list = Vec::new();
        let mut at = 0;
        while let Some(token) = next_token(text, at) {
            at = token.end;
            list.push(token);
        }
        list.push(Token { kind: TokenKind::End, start: text.len(), end: text.len() });
        let closes = match_parentheses(&list);
        Self { text, list, closes }
    }

    /// The kind of token `at`; beyond the last it is [`TokenKind::End`].
    pub(super) fn kind(&self, at: usize) -> TokenKind {
        self.list.get(at).map_or(TokenKind::End, |token| token.kind)
    }

    /// The characters of token `at`; none beyond the last.
    pub(super) fn text(&self, at: usize) -> &'t str {
        self.list.get(at).map_or("", |token| &self.text[token.start..token.end])
    }

    /// The `)` that belongs to the `(` at `at`, if there is one.
    pub(super) fn close_of(&self, at: usize) -> Option<usize> {
        self.closes.get(at).copied().flatten()
    }

    /// Index of [`TokenKind::End`].
    pub(super) fn end(&self) -> usize {
        self.list.len() - 1
    }

    /// The service's description of a token that may not stand where it does: the token, and the text from the token before it
    /// to the token behind it. Where there is no token before or behind, the blanks there count (DynamoDB Local).
    pub(super) fn syntax_error(&self, at: usize) -> String {
        let at = at.min(self.end());
        let before = at.saturating_sub(1);
        let after = (at + 1).min(self.end());
        let token = match self.kind(at) {
            TokenKind::End => "<EOF>",
            _ => self.text(at),
        };
        let start = if at == 0 { 0 } else { self.list[before].start };
        let end = if self.kind(after) == TokenKind::End { self.text.len() } else { self.list[after].end };
        let near = &self.text[start..end];
        format!("Syntax error; token: \"{token}\", near: \"{near}\"")
    }
}

fn next_token(text: &str, from: usize) -> Option<Token> {
    let bytes = text.as_bytes();
    let mut start = from;
    while matches!(bytes.get(start), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        start += 1;
    }
    let first = text[start..].chars().next()?;
    let second = bytes.get(start + 1).copied();
    let word_end = |from: usize| from + bytes[from..].iter().take_while(|b| is_word(**b)).count();
    let one = start + first.len_utf8();
    let (kind, end) = match first {
        'a'..='z' | 'A'..='Z' => (TokenKind::Name, word_end(start)),
        '0'..='9' => {
            let digits = bytes[start..].iter().take_while(|b| b.is_ascii_digit());
            (TokenKind::Digits, start + digits.count())
        }
        '#' if second.is_some_and(is_word) => (TokenKind::NameRef, word_end(one)),
        ':' if second.is_some_and(is_word) => (TokenKind::ValueRef, word_end(one)),
        '<' if second == Some(b'>') => (TokenKind::NotEqual, one + 1),
        '<' if second == Some(b'=') => (TokenKind::LessEqual, one + 1),
        '>' if second == Some(b'=') => (TokenKind::GreaterEqual, one + 1),
        '<' => (TokenKind::Less, one),
        '>' => (TokenKind::Greater, one),
        '=' => (TokenKind::Equal, one),
        '(' => (TokenKind::Open, one),
        ')' => (TokenKind::Close, one),
        '[' => (TokenKind::OpenIndex, one),
        ']' => (TokenKind::CloseIndex, one),
        ',' => (TokenKind::Comma, one),
        '.' => (TokenKind::Dot, one),
        '+' => (TokenKind::Plus, one),
        '-' => (TokenKind::Minus, one),
        quote @ ('"' | '\'') => {
            let close = text[one..].find(quote).map_or(one, |length| one + length + 1);
            (TokenKind::Unknown, close)
        }
        _ => (TokenKind::Unknown, one),
    };
    Some(Token { kind, start, end })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether `key` is a placeholder with this sigil: the sigil and at least one letter, digit or `_`.
pub(super) fn is_placeholder(key: &str, sigil: char) -> bool {
    key.strip_prefix(sigil).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_word))
}

fn match_parentheses(list: &[Token]) -> Vec<Option<usize>> {
    let mut closes = vec![None; list.len()];
    let mut open = Vec::new();
    for (at, token) in list.iter().enumerate() {
        match token.kind {
            TokenKind::Open => open.push(at),
            TokenKind::Close => {
                if let Some(start) = open.pop() {
                    closes[start] = Some(at);
                }
            }
            _ => {}
        }
    }
    closes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        let tokens = Tokens::cut(text);
        (0..tokens.end()).map(|at| tokens.text(at)).collect()
    }

    #[test]
    fn cuts_names_symbols_and_placeholders() {
        assert_eq!(
            texts("a.b[10]<>#c_1 AND(:v>=x2)"),
            ["a", ".", "b", "[", "10", "]", "<>", "#c_1", "AND", "(", ":v", ">=", "x2", ")"]
        );
        assert_eq!(texts("\t a\r\n=\n:b "), ["a", "=", ":b"]);
        assert_eq!(texts("# : _a 4b ü="), ["#", ":", "_", "a", "4", "b", "ü", "="]);
        assert_eq!(texts("a='x y' \"z\"\"b 'c"), ["a", "=", "'x y'", "\"z\"", "\"", "b", "'", "c"]);
        assert_eq!(texts(""), Vec::<&str>::new());
    }

    #[test]
    fn parentheses_find_their_partners() {
        let tokens = Tokens::cut("(a(b))(c");
        assert_eq!(tokens.close_of(0), Some(5));
        assert_eq!(tokens.close_of(2), Some(4));
        assert_eq!(tokens.close_of(6), None);
        assert_eq!(Tokens::cut("))((").close_of(2), None);
    }

    #[test]
    fn errors_quote_the_token_and_its_neighbours() {
        let error = |text: &str, at: usize| Tokens::cut(text).syntax_error(at);
        assert_eq!(error("ADD hits : incr", 2), r#"Syntax error; token: ":", near: "hits : incr""#);
        assert_eq!(
            error("INVALID SYNTAX HERE", 0),
            r#"Syntax error; token: "INVALID", near: "INVALID SYNTAX""#
        );
        assert_eq!(error("SET _123 = :v", 1), r#"Syntax error; token: "_", near: "SET _123""#);
        assert_eq!(error("f()", 2), r#"Syntax error; token: ")", near: "()""#);
        assert_eq!(error("a = foo  ", 3), r#"Syntax error; token: "<EOF>", near: "foo  ""#);
        assert_eq!(error("  #b[1]", 0), r##"Syntax error; token: "#b", near: "  #b[""##);
        assert_eq!(error("a = 'x y' AND", 2), r#"Syntax error; token: "'x y'", near: "= 'x y' AND""#);
        assert_eq!(error("", 0), r#"Syntax error; token: "<EOF>", near: """#);
    }
}
