//! A pull reader over one JSON request body: one pass, straight into the shape that is asked for.
//!
//! The reader never builds a tree of the document. A shape asks for what it expects ([`Reader::structure`],
//! [`Reader::text`], [`Reader::integer`] …) and gets it or a `SerializationException` in the service's words. Nothing
//! here recurses over the document: shapes are finite, attribute values count their levels themselves (see
//! [`super::value`]), and whatever is skipped is skipped with a stack of bits. So a body of 100,000 levels costs
//! 100,000 bits at the most, never a thread's stack.
//!
//! Rules of the wire that live here: `null` stands for an absent member; unknown members are skipped (but their JSON
//! must be sound); of a member sent twice the last wins; text after the document is an error.
//!
//! Faults of attribute values (empty, two types, bad numbers …) are not faults of the JSON. The service reports them
//! after the constraints of the shape, so the first of them is kept in the reader, decoding goes on, and the shape
//! takes it away in the end ([`Reader::take_value_fault`]).

use std::borrow::Cow;

use trilith_domain::OpError;

/// Levels of lists and maps in a member that is skipped. A bound of ours, as common parsers have it.
const SKIPPED_LEVELS_MAX: usize = 1000;

/// What a decoding step gives.
pub type Read<T> = Result<T, OpError>;

/// The kinds of JSON value, told apart by their first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    Text,
    /// `-` or a digit
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

impl Kind {
    /// The service's name of the token, as its messages have it.
    fn token(self) -> &'static str {
        match self {
            Self::Object => "START_OBJECT",
            Self::Array => "START_ARRAY",
            Self::Text => "STRING_VALUE",
            Self::Number => "NUMBER_VALUE",
            Self::True => "TRUE_VALUE",
            Self::False => "FALSE_VALUE",
            Self::Null => "NULL_VALUE",
        }
    }
}

/// Where a structure, map or list stands: whether its first member was read.
#[derive(Debug)]
pub struct Members {
    first: bool,
}

/// The reader: a body and a place in it.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    value_fault: Option<OpError>,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `body`, which must be UTF-8 as a whole.
    pub fn new(body: &'a [u8]) -> Read<Self> {
        match std::str::from_utf8(body) {
            Ok(text) => Ok(Self { text, at: 0, value_fault: None }),
            Err(error) => Err(malformed(error.valid_up_to(), "invalid UTF-8")),
        }
    }

    /// Checks that nothing but blanks follows.
    pub fn finish(&mut self) -> Read<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed("unexpected text after the end of the document")),
        }
    }

    /// Keeps `fault` unless an earlier one is kept already.
    pub fn keep_value_fault(&mut self, fault: OpError) {
        self.value_fault.get_or_insert(fault);
    }

    /// The first fault of an attribute value met so far, if any.
    pub fn take_value_fault(&mut self) -> Option<OpError> {
        self.value_fault.take()
    }

    /// The kind of the value that comes next.
    pub fn kind(&mut self) -> Read<Kind> {
        match self.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't') => Ok(Kind::True),
            Some(b'f') => Ok(Kind::False),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => Err(self.malformed("unexpected character")),
            None => Err(self.malformed("unexpected end of the document")),
        }
    }

    /// Takes a `null` away where one stands here.
    pub fn null(&mut self) -> Read<bool> {
        if self.peek() == Some(b'n') {
            self.word("null")?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Enters a structure or a map.
    pub fn structure(&mut self) -> Read<Members> {
        match self.kind()? {
            Kind::Object => {
                self.at += 1;
                Ok(Members { first: true })
            }
            Kind::Array => Err(serialization("Start of list found where not expected")),
            _ => Err(serialization("Unexpected value type in payload")),
        }
    }

    /// The next member's name, or `None` at the structure's end. The caller must then read or skip its value.
    pub fn member(&mut self, members: &mut Members) -> Read<Option<Cow<'a, str>>> {
        if !self.advance(members, b'}')? {
            return Ok(None);
        }
        self.member_name().map(Some)
    }

    /// Enters a list.
    pub fn list(&mut self) -> Read<Members> {
        match self.kind()? {
            Kind::Array => {
                self.at += 1;
                Ok(Members { first: true })
            }
            Kind::Object => Err(serialization("Start of structure or map found where not expected")),
            _ => Err(serialization("Unexpected value type in payload")),
        }
    }

    /// Whether the list has another element, which the caller must then read or skip.
    pub fn element(&mut self, members: &mut Members) -> Read<bool> {
        self.advance(members, b']')
    }

    /// A string.
    pub fn text(&mut self) -> Read<Cow<'a, str>> {
        match self.kind()? {
            Kind::Text => self.string(),
            other => Err(self.cannot_convert(other, "String")),
        }
    }

    /// A boolean.
    pub fn boolean(&mut self) -> Read<bool> {
        match self.kind()? {
            Kind::True => self.word("true").map(|()| true),
            Kind::False => self.word("false").map(|()| false),
            other => Err(self.cannot_convert(other, "Boolean")),
        }
    }

    /// A whole number. A fraction or an exponent is accepted where the value is whole all the same.
    pub fn integer(&mut self) -> Read<i64> {
        match self.kind()? {
            Kind::Number => {}
            other => return Err(self.cannot_convert(other, "Long")),
        }
        let digits = self.number()?;
        if let Ok(whole) = digits.parse::<i64>() {
            return Ok(whole);
        }
        // 2^53: beyond it a double no longer tells neighbours apart.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match digits.parse::<f64>() {
            Ok(value) if value.fract() == 0.0 && value.abs() <= EXACT => Ok(value as i64),
            _ => Err(serialization("NUMBER_VALUE cannot be converted to Long")),
        }
    }

    /// Passes over any value, checking its syntax, to a depth that nothing sound comes near.
    pub fn skip(&mut self) -> Read<()> {
        self.walk(SKIPPED_LEVELS_MAX, |_| {})
    }

    /// Passes over a value of any depth, of which a fault is known already.
    pub fn skip_all(&mut self) -> Read<()> {
        self.walk(usize::MAX, |_| {})
    }

    /// Passes over any value; says whether it asks for anything: `null`, `false`, and what holds nothing but those
    /// (`{}`, `[]`, `{"StreamEnabled": false}`) do not.
    pub fn skip_asking(&mut self) -> Read<bool> {
        let mut asks = false;
        self.walk(SKIPPED_LEVELS_MAX, |kind| asks |= matches!(kind, Kind::Text | Kind::Number | Kind::True))?;
        Ok(asks)
    }

    /// Passes over any value without recursion, showing each value's kind to `see`.
    fn walk(&mut self, levels: usize, mut see: impl FnMut(Kind)) -> Read<()> {
        let mut open = BitStack::default();
        loop {
            let kind = self.kind()?;
            see(kind);
            match kind {
                Kind::Object | Kind::Array => {
                    if open.length >= levels {
                        return Err(serialization("Document nesting depth exceeds the maximum allowed"));
                    }
                    self.at += 1;
                    open.push(kind == Kind::Object);
                }
                Kind::Text => self.string().map(drop)?,
                Kind::Number => self.number().map(drop)?,
                Kind::True => self.word("true")?,
                Kind::False => self.word("false")?,
                Kind::Null => self.word("null")?,
            }
            let mut members = Members { first: matches!(kind, Kind::Object | Kind::Array) };
            loop {
                let Some(object) = open.top() else {
                    return Ok(());
                };
                if self.advance(&mut members, if object { b'}' } else { b']' })? {
                    if object {
                        self.member_name()?;
                    }
                    break;
                }
                open.pop();
                members.first = false;
            }
        }
    }

    /// Steps over `,` or the closing character; true if a member or element follows.
    fn advance(&mut self, members: &mut Members, close: u8) -> Read<bool> {
        let next = self.peek();
        if next == Some(close) {
            self.at += 1;
            return Ok(false);
        }
        if members.first {
            members.first = false;
            return Ok(true);
        }
        if next != Some(b',') {
            return Err(self.malformed("expected a comma or the end of an object or array"));
        }
        self.at += 1;
        if self.peek() == Some(close) {
            return Err(self.malformed("unexpected comma"));
        }
        Ok(true)
    }

    /// A member's name and its colon.
    fn member_name(&mut self) -> Read<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return Err(self.malformed("expected a member name"));
        }
        let name = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.malformed("expected a colon"));
        }
        self.at += 1;
        Ok(name)
    }

    /// A string whose opening quote stands here. Borrowed unless it has escapes.
    fn string(&mut self) -> Read<Cow<'a, str>> {
        let start = self.at + 1;
        let end = self.plain_run(start)?;
        if self.text.as_bytes()[end] == b'"' {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        let mut text = String::with_capacity((end - start) * 2);
        text.push_str(&self.text[start..end]);
        self.at = end;
        loop {
            if self.text.as_bytes()[self.at] == b'"' {
                self.at += 1;
                return Ok(Cow::Owned(text));
            }
            self.at += 1;
            let unescaped = self.escape()?;
            text.push(unescaped);
            let end = self.plain_run(self.at)?;
            text.push_str(&self.text[self.at..end]);
            self.at = end;
        }
    }

    /// The index of the next quote or backslash at or after `from`.
    fn plain_run(&mut self, from: usize) -> Read<usize> {
        let bytes = &self.text.as_bytes()[from..];
        match bytes.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20) {
            Some(length) if bytes[length] < 0x20 => {
                Err(malformed(from + length, "control character inside a string"))
            }
            Some(length) => Ok(from + length),
            None => Err(malformed(self.text.len(), "unterminated string")),
        }
    }

    /// What stands after a backslash.
    fn escape(&mut self) -> Read<char> {
        let Some(&byte) = self.text.as_bytes().get(self.at) else {
            return Err(self.malformed("unterminated string"));
        };
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(malformed(self.at - 1, "unknown escape")),
        })
    }

    /// What stands after `\u`: four digits, or two times four for a character beyond the basic plane.
    fn unicode_escape(&mut self) -> Read<char> {
        let first = self.hex4()?;
        if let Some(character) = char::from_u32(first) {
            return Ok(character);
        }
        let rest = &self.text.as_bytes()[self.at..];
        if first < 0xDC00 && rest.starts_with(b"\\u") {
            self.at += 2;
            let second = self.hex4()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return char::from_u32(code).ok_or_else(|| self.malformed("lone surrogate"));
            }
        }
        Err(self.malformed("lone surrogate"))
    }

    fn hex4(&mut self) -> Read<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let mut code = 0;
        for &digit in digits.ok_or_else(|| self.malformed("unterminated string"))? {
            let digit = char::from(digit).to_digit(16);
            code = code * 16 + digit.ok_or_else(|| self.malformed("expected four hexadecimal digits"))?;
        }
        self.at += 4;
        Ok(code)
    }

    /// A number's text, checked against JSON's grammar.
    fn number(&mut self) -> Read<&'a str> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    /// One digit or more.
    fn digits(&mut self) -> Read<()> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.malformed("expected a digit"));
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Read<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.malformed("unexpected character"));
        }
        self.at += word.len();
        Ok(())
    }

    /// The next byte that is no blank; stands on it.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The service's words for a value of the wrong kind where a scalar was expected.
    fn cannot_convert(&self, found: Kind, wanted: &str) -> OpError {
        match found {
            Kind::Object => serialization("Start of structure or map found where not expected"),
            Kind::Array => serialization("Start of list found where not expected"),
            other => serialization(format!("{} cannot be converted to {wanted}", other.token())),
        }
    }

    fn malformed(&self, what: &str) -> OpError {
        malformed(self.at, what)
    }
}

/// A `SerializationException` with this text.
pub fn serialization(text: impl Into<String>) -> OpError {
    OpError::Serialization(text.into())
}

/// The service says nothing about malformed JSON; a place and a reason help.
fn malformed(at: usize, what: &str) -> OpError {
    serialization(format!("Malformed JSON at byte {at}: {what}"))
}

/// Which brackets are open: a bit each.
#[derive(Default)]
struct BitStack {
    words: Vec<u64>,
    length: usize,
}

impl BitStack {
    fn push(&mut self, bit: bool) {
        let (word, shift) = (self.length / 64, self.length % 64);
        if word == self.words.len() {
            self.words.push(0);
        }
        self.words[word] = self.words[word] & !(1 << shift) | u64::from(bit) << shift;
        self.length += 1;
    }

    fn pop(&mut self) {
        self.length = self.length.saturating_sub(1);
    }

    fn top(&self) -> Option<bool> {
        let last = self.length.checked_sub(1)?;
        Some(self.words[last / 64] >> (last % 64) & 1 == 1)
    }
}
