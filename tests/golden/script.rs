//! The scripts' format, as `tests/scripts/README.md` describes it.

/// Title of the steps before the first case.
pub const SETUP: &str = "setup";

/// A title and its steps, each with FILE:LINE.
#[derive(Debug)]
pub struct Case {
    pub title: String,
    pub steps: Vec<(String, Step)>,
}

/// One line that does something.
#[derive(Debug)]
pub enum Step {
    /// A fresh table; keys are name and type, partition key first.
    Table { name: String, keys: Vec<(String, String)> },
    /// Until the table is ACTIVE.
    Wait { name: String },
    /// A request and the answer expected.
    Request { operation: String, body: String, expected: String },
}

/// The cases of a file, or what is no line of the format.
pub fn parse(stem: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases = vec![Case { title: SETUP.to_owned(), steps: Vec::new() }];
    for (number, line) in logical_lines(text) {
        let at = format!("{stem}:{number}");
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let rest = rest.trim();
        if word == "case" {
            cases.push(Case { title: rest.to_owned(), steps: Vec::new() });
            continue;
        }
        let steps = &mut cases.last_mut().expect("never empty").steps;
        match word {
            "table" => {
                let mut words = rest.split_whitespace();
                let name = words.next().ok_or(format!("{at}: a table without a name"))?.to_owned();
                let keys = words
                    .map(|key| key.split_once(':').map(|(name, of)| (name.to_owned(), of.to_owned())))
                    .collect::<Option<_>>()
                    .ok_or(format!("{at}: a key without a type"))?;
                steps.push((at, Step::Table { name, keys }));
            }
            "wait" => steps.push((at, Step::Wait { name: rest.to_owned() })),
            ">" => {
                let (operation, body) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                let (operation, body) = (operation.to_owned(), body.trim().to_owned());
                steps.push((at, Step::Request { operation, body, expected: String::new() }));
            }
            "<" | "<~" => match steps.last_mut() {
                Some((_, Step::Request { expected, .. })) if expected.is_empty() => {
                    *expected = if word == "<~" { format!("~{rest}") } else { rest.to_owned() }
                }
                _ => return Err(format!("{at}: an answer without a request before it")),
            },
            _ => return Err(format!("{at}: {word:?} is no directive")),
        }
    }
    for (at, step) in cases.iter().flat_map(|case| &case.steps) {
        if matches!(step, Step::Request { expected, .. } if expected.is_empty()) {
            return Err(format!("{at}: a request without the answer expected"));
        }
    }
    cases.retain(|case| !case.steps.is_empty());
    Ok(cases)
}

/// Lines with their numbers: continuations joined, comments and empty lines dropped.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, joined)) if line.starts_with(char::is_whitespace) => {
                joined.push('\n');
                joined.push_str(line.trim());
            }
            _ => lines.push((index + 1, line.trim_end().to_owned())),
        }
    }
    lines
}
