//! Bodies with `$(N*text)` and `"$last/path"`, and answers against their patterns.

use serde_json::{Map, Value};

/// Where the text of an error may or may not bear this is not known for every operation.
const PREFIX: &str = "1 validation error detected: ";
/// `$now` is within so many seconds of now.
const NOW_SECONDS: f64 = 3600.0;

type Verdict = Result<(), String>;

/// Replaces repetitions, and values of the response before.
pub fn expand(text: &str, last: &Value) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("$(") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        match repetition(from) {
            Some((count, part, after)) => {
                out.extend(std::iter::repeat_n(part, count));
                rest = after;
            }
            None => {
                out.push_str("$(");
                rest = &from[2..];
            }
        }
    }
    out.push_str(rest);
    values_before(&out, last)
}

/// `$(N*text)` at the start: N, the text, and what follows.
fn repetition(text: &str) -> Option<(usize, &str, &str)> {
    let (count, rest) = text.strip_prefix("$(")?.split_once('*')?;
    let count = count.parse().ok()?;
    let (part, after) = rest.split_once(')')?;
    Some((count, part, after))
}

fn values_before(text: &str, last: &Value) -> Result<String, String> {
    const MARK: &str = "\"$last/";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let (path, after) = rest[at + MARK.len()..].split_once('"').ok_or("an open $last")?;
        let value = last.pointer(&format!("/{path}")).ok_or_else(|| format!("no {path} in {last}"))?;
        out.push_str(&value.to_string());
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Compares an answer with what a script expects: a status, then a pattern or an error.
pub fn differs(status: u16, found: &Value, expected: &str, now: f64) -> Verdict {
    let (wanted, pattern) = expected.split_once(char::is_whitespace).unwrap_or((expected, ""));
    let pattern = pattern.trim();
    if status.to_string() != wanted {
        return Err(format!("status {status} instead of {wanted}: {}", short(found)));
    }
    if wanted != "200" && !pattern.starts_with('{') {
        return error_differs(found, pattern);
    }
    let text = if pattern.is_empty() { "{}".to_owned() } else { expand(pattern, &Value::Null)? };
    let pattern = serde_json::from_str(&text).map_err(|error| format!("the pattern is no JSON: {error}"))?;
    Match { now }.value(&pattern, found, "")
}

fn error_differs(found: &Value, pattern: &str) -> Verdict {
    let (name, text, exact) = match (pattern.split_once(": "), pattern.split_once(" ~ ")) {
        (Some((name, text)), _) if name.chars().all(char::is_alphanumeric) => (name, Some(text), true),
        (_, Some((name, part))) => (name, Some(part), false),
        _ => (pattern, None, true),
    };
    let kind = found["__type"].as_str().unwrap_or_default();
    if kind.rsplit('#').next() != Some(name) {
        return Err(format!("{kind} instead of {name}: {}", short(found)));
    }
    let Some(text) = text else { return Ok(()) };
    let text = expand(text, &Value::Null)?;
    let message = found["message"].as_str().or(found["Message"].as_str()).unwrap_or_default();
    let bare = message.strip_prefix(PREFIX).unwrap_or(message);
    let right = if exact {
        text == message || text.strip_prefix(PREFIX).unwrap_or(&text) == bare
    } else {
        message.contains(&text)
    };
    if right { Ok(()) } else { Err(format!("text {message:?} instead of {text:?}")) }
}

/// The matcher; its table stands in the scripts' README.
struct Match {
    now: f64,
}

impl Match {
    fn value(&self, pattern: &Value, found: &Value, path: &str) -> Verdict {
        match (pattern, found) {
            (Value::String(text), _) if text.starts_with('$') => self.matcher(text, found, path),
            (Value::Object(pattern), _) => match (pattern.get("$unordered"), found) {
                (Some(Value::Array(elements)), _) => self.unordered(elements, found, path),
                (_, Value::Object(found)) => self.object(pattern, found, path),
                _ => Err(format!("{path}: expected an object, found {}", short(found))),
            },
            (Value::Array(elements), Value::Array(others)) if elements.len() == others.len() => {
                let mut pairs = elements.iter().zip(others).enumerate();
                pairs.try_for_each(|(index, (one, other))| self.value(one, other, &format!("{path}/{index}")))
            }
            (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => Ok(()),
            _ if pattern == found => Ok(()),
            _ => Err(format!("{path}: expected {}, found {}", short(pattern), short(found))),
        }
    }

    fn object(&self, pattern: &Map<String, Value>, found: &Map<String, Value>, path: &str) -> Verdict {
        let more = pattern.get("$more").is_some_and(|more| more == true);
        let members: Vec<_> = pattern.iter().filter(|(name, _)| *name != "$more").collect();
        if let ([(name, Value::Array(elements))], false) = (members.as_slice(), more)
            && matches!(name.as_str(), "SS" | "NS" | "BS")
            && found.len() == 1
            && let Some(others) = found.get(name.as_str())
        {
            return self.unordered(elements, others, path);
        }
        let missing: Vec<_> = members.iter().filter(|(name, _)| !found.contains_key(*name)).collect();
        let extra: Vec<_> = found.keys().filter(|name| !more && !pattern.contains_key(*name)).collect();
        if !missing.is_empty() || !extra.is_empty() {
            let missing: Vec<_> = missing.iter().map(|(name, _)| name).collect();
            let found = short(&Value::Object(found.clone()));
            return Err(format!("{path}: missing {missing:?}, unexpected {extra:?} in {found}"));
        }
        members
            .iter()
            .try_for_each(|(name, value)| self.value(value, &found[*name], &format!("{path}/{name}")))
    }

    fn unordered(&self, pattern: &[Value], found: &Value, path: &str) -> Verdict {
        let Some(found) = found.as_array().filter(|found| found.len() == pattern.len()) else {
            return Err(format!("{path}: expected {} elements, found {}", pattern.len(), short(found)));
        };
        let mut left: Vec<&Value> = found.iter().collect();
        for one in pattern {
            let Some(at) = left.iter().position(|other| self.value(one, other, path).is_ok()) else {
                return Err(format!("{path}: no element like {}", short(one)));
            };
            left.swap_remove(at);
        }
        Ok(())
    }

    fn matcher(&self, pattern: &str, found: &Value, path: &str) -> Verdict {
        let (kind, argument) = pattern.split_once(':').unwrap_or((pattern, ""));
        let text = found.as_str();
        let right = match kind {
            "$any" => true,
            "$text" => text.is_some(),
            "$number" => found.is_number(),
            "$bool" => found.is_boolean(),
            "$uuid" => text.is_some_and(is_uuid),
            "$now" => found.as_f64().is_some_and(|found| (found - self.now).abs() < NOW_SECONDS),
            "$starts" => text.is_some_and(|text| text.starts_with(argument)),
            "$has" => text.is_some_and(|text| text.contains(argument)),
            _ => return Err(format!("{pattern:?} is no matcher")),
        };
        if right { Ok(()) } else { Err(format!("{path}: {} does not match {pattern}", short(found))) }
    }
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn repetitions_end_at_the_first_bracket() {
        let text = expand("a$(3*x)b$(2*[)$(2*])$(x", &Value::Null);
        assert_eq!(text.as_deref(), Ok("axxxb[[]]$(x"));
        let last = json!({"Items": [{"pk": {"S": "a"}}]});
        assert_eq!(
            expand("{\"k\": \"$last/Items/0\"}", &last).as_deref(),
            Ok("{\"k\": {\"pk\":{\"S\":\"a\"}}}")
        );
    }

    #[test]
    fn patterns_say_what_they_do_not_match() {
        let fits = |pattern: Value, found: Value| Match { now: 10.0 }.value(&pattern, &found, "").is_ok();
        assert!(fits(json!({"a": 1, "s": {"SS": ["x", "y"]}}), json!({"a": 1.0, "s": {"SS": ["y", "x"]}})));
        assert!(fits(json!({"$more": true, "a": "$any"}), json!({"a": 1, "b": 2})));
        assert!(fits(json!({"$unordered": [1, 2]}), json!([2, 1])));
        assert!(!fits(json!({"a": 1}), json!({"a": 1, "b": 2})));
        assert!(!fits(json!({"a": 1}), json!({})));
        assert!(!fits(json!({"$unordered": [1, 1]}), json!([2, 1])));
        assert!(!fits(json!("$now"), json!(99_999)));
        assert!(!fits(json!(1), json!(true)));
    }

    #[test]
    fn errors_match_by_name_and_text() {
        let found = json!({"__type": "a#ValidationException", "message": "1 validation error detected: no"});
        for right in ["400 ValidationException", "400 ValidationException: no", "400 ValidationException ~ o"]
        {
            assert_eq!(differs(400, &found, right, 0.0), Ok(()));
        }
        for wrong in ["400 Other", "400 ValidationException: nope", "400 ValidationException ~ x", "200 {}"] {
            assert!(differs(400, &found, wrong, 0.0).is_err(), "{wrong}");
        }
    }
}
