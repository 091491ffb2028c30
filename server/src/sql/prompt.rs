//! The prompt: lines with a history, statements over several of them.

use std::path::PathBuf;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::input::Statements;
use super::{Rest, Session};

/// What `\h` shows.
pub const HELP: &str = "\
SELECT * | path, … FROM \"table\"[.\"index\"] [WHERE …] [ORDER BY key [DESC]];
INSERT INTO \"table\" VALUE {'key': 'text', 'n': 1, 'list': [1], 'set': <<'a'>>};
UPDATE \"table\" SET a = 1, b = b + 1 REMOVE c WHERE key = 'text' [RETURNING ALL NEW *];
DELETE FROM \"table\" WHERE key = 'text' [RETURNING ALL OLD *];
\\d         tables
\\d NAME    one table
\\n         next page
\\h         this
\\q         end";

/// Lines that the history keeps.
const HISTORY_LINES: usize = 1000;

/// Reads statements from the terminal until its end.
///
/// # Errors
/// Where the terminal cannot be read. What statements fail with is shown, and is no end.
pub async fn run(session: Session, address: &str) -> Result<(), String> {
    let fault = |error: ReadlineError| format!("the terminal cannot be used: {error}");
    let config = rustyline::Config::builder().max_history_size(HISTORY_LINES).map_err(fault)?.build();
    let mut editor = DefaultEditor::with_config(config).map_err(fault)?;
    let history = history();
    if let Some(path) = &history {
        // There is none before the first time.
        let _ = editor.load_history(path);
    }
    println!("trilith at {address}. A statement ends with ; and \\h tells more.");
    let mut statements = Statements::default();
    let mut rest: Option<Rest> = None;
    loop {
        let prompt = if statements.is_open() { "     ... " } else { "trilith> " };
        // Lines are waited for on a thread of the runtime: nothing else goes on meanwhile.
        let line = match tokio::task::block_in_place(|| editor.readline(prompt)) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                statements.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(fault(error)),
        };
        if !line.trim().is_empty() {
            let _ = editor.add_history_entry(line.as_str());
        }
        // What everybody types first, and no statement begins with.
        let word = line.trim().trim_end_matches(';').to_ascii_lowercase();
        statements.push(match word.as_str() {
            "exit" | "quit" if !statements.is_open() => "\\q",
            "help" if !statements.is_open() => "\\h",
            _ => &line,
        });
        statements.push("\n");
        while let Some(text) = statements.pop() {
            let done = match text.as_str() {
                "\\q" => return end(&mut editor, history.as_ref()),
                "\\n" => match rest.take() {
                    Some(more) => session.page(more).await,
                    None => Err("there is no next page".to_owned()),
                },
                command if command.starts_with('\\') => {
                    session.command(&command[1..]).await.map(|()| rest.take())
                }
                _ => session.execute(text).await,
            };
            match done {
                Ok(more) => rest = more,
                Err(line) => eprintln!("{line}"),
            }
            if let Some(rest) = &rest {
                println!("{} rows so far; \\n shows more", rest.shown);
            }
        }
    }
    end(&mut editor, history.as_ref())
}

fn end(editor: &mut DefaultEditor, history: Option<&PathBuf>) -> Result<(), String> {
    if let Some(path) = history {
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = folder.map_err(ReadlineError::from).and_then(|()| editor.save_history(path)) {
            eprintln!("the history is not kept: {error}");
        }
    }
    Ok(())
}

/// Where the history is kept: the user's folder for such state.
fn history() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    Some(state.or_else(home)?.join("trilith").join("sql_history"))
}
