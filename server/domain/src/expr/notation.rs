//! A short way to write attribute values in test scripts.
//!
//! `1.5` a number, `"text"` a string, `b"\x00a"` a binary, `true`, `false`, `null`, `[1, "a"]` a list, `{a: 1, "b c": 2}` a map,
//! `<1, 2>` a set. Map keys may stand bare when they are placeholders or plain names. Strings know `\"`, `\\` and `\xNN`.

use std::collections::BTreeSet;
use std::fmt::Write;

use trilith_values::{AttributeValue, Map, Number};

/// Reads a value; the error says what is wrong with the text.
pub(super) fn read(text: &str) -> Result<AttributeValue, String> {
    let mut reader = Reader { rest: text };
    let value = reader.value()?;
    reader.blanks();
    if reader.rest.is_empty() { Ok(value) } else { Err(format!("left over: {}", reader.rest)) }
}

/// Reads a map.
pub(super) fn read_map(text: &str) -> Result<Map, String> {
    match read(text)? {
        AttributeValue::M(map) => Ok(map),
        _ => Err(format!("not a map: {text}")),
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, text: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Result<AttributeValue, String> {
        if self.eat("\"") {
            return Ok(AttributeValue::S(String::from_utf8(self.quoted()?).map_err(|e| e.to_string())?));
        }
        if self.eat("b\"") {
            return self.quoted().map(AttributeValue::B);
        }
        if self.eat("[") {
            return self.until("]", Self::value).map(AttributeValue::L);
        }
        if self.eat("<") {
            return set(self.until(">", Self::value)?);
        }
        if self.eat("{") {
            let members = self.until("}", |reader| {
                let key = reader.key()?;
                if !reader.eat(":") {
                    return Err(format!("no colon at: {}", reader.rest));
                }
                Ok((key, reader.value()?))
            })?;
            return Ok(AttributeValue::M(members.into_iter().collect()));
        }
        let word = self.word(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        match word.as_str() {
            "true" => Ok(AttributeValue::Bool(true)),
            "false" => Ok(AttributeValue::Bool(false)),
            "null" => Ok(AttributeValue::Null),
            number => Number::parse(number).map(AttributeValue::N).map_err(|error| error.message(number)),
        }
    }

    fn until<T>(
        &mut self,
        close: &str,
        mut element: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut elements = Vec::new();
        while !self.eat(close) {
            elements.push(element(self)?);
            if !self.eat(",") && !self.rest.trim_start().starts_with(close) {
                return Err(format!("no comma at: {}", self.rest));
            }
        }
        Ok(elements)
    }

    fn key(&mut self) -> Result<String, String> {
        if self.eat("\"") {
            return String::from_utf8(self.quoted()?).map_err(|e| e.to_string());
        }
        let mut key = String::new();
        for sigil in ["#", ":"] {
            if self.eat(sigil) {
                key.push_str(sigil);
            }
        }
        key += &self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        Ok(key)
    }

    fn word(&mut self, is_part: impl Fn(char) -> bool) -> String {
        self.blanks();
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    /// The rest of a quoted text, behind its opening quote.
    fn quoted(&mut self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(bytes);
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('x') => {
                        let code: String = chars.by_ref().take(2).map(|(_, c)| c).collect();
                        bytes.push(u8::from_str_radix(&code, 16).map_err(|e| e.to_string())?);
                    }
                    Some(c) => bytes.extend(c.to_string().bytes()),
                    None => break,
                },
                c => bytes.extend(c.to_string().bytes()),
            }
        }
        Err("no closing quote".to_owned())
    }
}

fn set(elements: Vec<AttributeValue>) -> Result<AttributeValue, String> {
    let mut strings = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    let mut binaries = BTreeSet::new();
    for element in elements {
        match element {
            AttributeValue::S(text) => strings.insert(text),
            AttributeValue::N(number) => numbers.insert(number),
            AttributeValue::B(bytes) => binaries.insert(bytes),
            _ => return Err("not an element of a set".to_owned()),
        };
    }
    match (strings.len(), numbers.len(), binaries.len()) {
        (_, 0, 0) => Ok(AttributeValue::Ss(strings)),
        (0, _, 0) => Ok(AttributeValue::Ns(numbers)),
        (0, 0, _) => Ok(AttributeValue::Bs(binaries)),
        _ => Err("a set of several types".to_owned()),
    }
}

/// Writes a value so that [`read`] reads it.
pub(super) fn write(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => quote(text.as_bytes()),
        AttributeValue::N(number) => number.to_string(),
        AttributeValue::B(bytes) => format!("b{}", quote(bytes)),
        AttributeValue::Bool(value) => value.to_string(),
        AttributeValue::Null => "null".to_owned(),
        AttributeValue::L(list) => format!("[{}]", join(list.iter().map(write))),
        AttributeValue::M(map) => write_map(map),
        AttributeValue::Ss(set) => format!("<{}>", join(set.iter().map(|s| quote(s.as_bytes())))),
        AttributeValue::Ns(set) => format!("<{}>", join(set.iter().map(Number::to_string))),
        AttributeValue::Bs(set) => {
            format!("<{}>", join(set.iter().map(|b| format!("b{}", quote(b)))))
        }
    }
}

/// Writes a map so that [`read_map`] reads it.
pub(super) fn write_map(map: &Map) -> String {
    let member = |(key, value): (&String, &AttributeValue)| {
        let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let key = if bare { key.clone() } else { quote(key.as_bytes()) };
        format!("{key}: {}", write(value))
    };
    format!("{{{}}}", join(map.iter().map(member)))
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn quote(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => write!(text, "\\x{byte:02x}").expect("a String takes everything"),
        }
    }
    text + "\""
}

#[test]
fn what_is_written_is_read() {
    let text = r##"{"#: s": "q\"\\\xc3\xbc", a: [1, -2.5, b"\x00a", true, null], b: <"x", "y">, c: <1, 2>, d: <b"z">, e: {}}"##;
    let map = read_map(text).expect("a map");
    assert_eq!(write_map(&map), text);
    assert!(read("[1").is_err());
    assert!(read("<1, \"a\">").is_err());
    assert!(read("1 1").is_err());
}
