//! A JSON writer straight into bytes.
//!
//! Members come out in the order they are written, which each shape fixes, and maps in the order of their names: the
//! same answer is the same bytes. Nothing here can fail.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trilith_domain::Stamp;

/// What can be written as JSON.
pub trait ToJson {
    /// Writes the value.
    fn to_json(&self, out: &mut Writer);
}

/// The writer: bytes so far, and whether a comma is owed before the next value.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    comma: bool,
}

impl Writer {
    /// An empty writer with room for a small answer.
    pub fn new() -> Self {
        Self { bytes: Vec::with_capacity(256), comma: false }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// An object; `members` writes them.
    pub fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.separate();
        self.bytes.push(b'{');
        self.comma = false;
        members(self);
        self.bytes.push(b'}');
        self.comma = true;
    }

    /// An array, each element by `element`.
    pub fn array<T>(&mut self, elements: impl IntoIterator<Item = T>, mut element: impl FnMut(&mut Self, T)) {
        self.separate();
        self.bytes.push(b'[');
        self.comma = false;
        for one in elements {
            element(self, one);
        }
        self.bytes.push(b']');
        self.comma = true;
    }

    /// A member's name; its value must follow.
    pub fn name(&mut self, name: &str) {
        self.text(name);
        self.bytes.push(b':');
        self.comma = false;
    }

    /// A member.
    pub fn member(&mut self, name: &str, value: &(impl ToJson + ?Sized)) {
        self.name(name);
        value.to_json(self);
    }

    /// A member, left out where there is no value.
    pub fn optional(&mut self, name: &str, value: Option<&(impl ToJson + ?Sized)>) {
        if let Some(value) = value {
            self.member(name, value);
        }
    }

    /// A string, escaped where JSON asks for it.
    pub fn text(&mut self, text: &str) {
        self.separate();
        self.bytes.push(b'"');
        let mut rest = text.as_bytes();
        while let Some(plain) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
            self.bytes.extend_from_slice(&rest[..plain]);
            self.escape(rest[plain]);
            rest = &rest[plain + 1..];
        }
        self.bytes.extend_from_slice(rest);
        self.bytes.push(b'"');
    }

    /// A string whose text needs no escapes, such as a number's.
    pub fn plain(&mut self, text: &impl Display) {
        self.separate();
        self.bytes.push(b'"');
        self.display(text);
        self.bytes.push(b'"');
    }

    /// A string of base64.
    pub fn base64(&mut self, bytes: &[u8]) {
        self.plain(&STANDARD.encode(bytes));
    }

    /// A boolean.
    pub fn boolean(&mut self, value: bool) {
        self.separate();
        self.bytes.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A whole number.
    pub fn integer(&mut self, value: impl Into<i128>) {
        self.separate();
        self.display(&value.into());
    }

    /// A double, always with a fraction: `1.0`, `0.5`.
    pub fn double(&mut self, value: f64) {
        self.separate();
        self.display(&format_args!("{value:?}"));
    }

    /// A point in time: seconds since 1970 with as much of a fraction (milliseconds) as it has.
    pub fn time(&mut self, stamp: Stamp) {
        self.separate();
        let millis = stamp.0 / 1000;
        let (seconds, fraction) = (millis / 1000, millis % 1000);
        if fraction == 0 {
            self.display(&seconds);
        } else {
            self.display(&format_args!("{seconds}.{fraction:03}"));
        }
    }

    fn display(&mut self, value: &impl Display) {
        write!(self.bytes, "{value}").expect("a vector takes any bytes");
    }

    fn separate(&mut self) {
        if self.comma {
            self.bytes.push(b',');
        }
        self.comma = true;
    }

    fn escape(&mut self, byte: u8) {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            other => {
                write!(self.bytes, "\\u{other:04x}").expect("a vector takes any bytes");
                return;
            }
        };
        self.bytes.extend_from_slice(&[b'\\', short]);
    }
}

impl ToJson for str {
    fn to_json(&self, out: &mut Writer) {
        out.text(self);
    }
}

impl ToJson for String {
    fn to_json(&self, out: &mut Writer) {
        out.text(self);
    }
}

impl ToJson for bool {
    fn to_json(&self, out: &mut Writer) {
        out.boolean(*self);
    }
}

impl ToJson for i64 {
    fn to_json(&self, out: &mut Writer) {
        out.integer(*self);
    }
}

impl ToJson for u64 {
    fn to_json(&self, out: &mut Writer) {
        out.integer(*self);
    }
}

impl ToJson for Stamp {
    fn to_json(&self, out: &mut Writer) {
        out.time(*self);
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn to_json(&self, out: &mut Writer) {
        out.array(self, |out, one| one.to_json(out));
    }
}

impl<T: ToJson> ToJson for BTreeMap<String, T> {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            for (name, value) in self {
                out.member(name, value);
            }
        });
    }
}
