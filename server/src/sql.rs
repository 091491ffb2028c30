//! `trilith sql`: PartiQL statements at a prompt, from the command line, or from a pipe.
//!
//! A client like any other, over gRPC. What decides is the input: `-e` runs statements and ends; a pipe is read to its end, its
//! statements separated by `;`; a terminal gets a prompt with a history. In the first two, the first statement that fails ends
//! it all, with its error as the one line of failure.
//!
//! A `SELECT` is read to its end without a terminal; at the prompt it stops after a page, and `\n` brings the next.

mod input;
mod prompt;
mod show;

use std::io::{IsTerminal, Read, Write};

use trilith_client::{Client, Rows, Statement, Table};

use crate::cli::SqlArgs;
use input::Statements;
use show::Show;

/// Rows of one page at the prompt, and of one table that is drawn at once.
const PAGE_ROWS: usize = 100;
/// Items that one request evaluates at the most: with a filter that lets few pass, a page takes several requests.
const PAGE_ITEMS: u32 = 1000;
/// Bytes of a script that is piped in.
const SCRIPT_MAX: u64 = 64 << 20;

/// A connection, and how answers are shown.
struct Session {
    client: Client,
    show: Show,
}

/// A `SELECT` whose answer goes on.
struct Rest {
    text: String,
    next: Option<String>,
    /// Read already, and not shown.
    rows: Vec<trilith_client::Item>,
    shown: usize,
}

/// Runs `trilith sql`.
///
/// # Errors
/// One line: no node at the address, or what a statement failed with.
pub async fn run(args: SqlArgs) -> Result<(), String> {
    let address = args.endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let client = Client::connect([address.as_str()]).await.map_err(|error| {
        format!("no node answers at {address} ({error}); give the address of its gRPC listener")
    })?;
    let session = Session { client, show: Show { json: args.json } };
    if !args.execute.is_empty() {
        return session.script(&args.execute.join(";\n")).await;
    }
    if std::io::stdin().is_terminal() {
        return prompt::run(session, &address).await;
    }
    let mut script = String::new();
    let read = std::io::stdin().lock().take(SCRIPT_MAX + 1).read_to_string(&mut script);
    let read = read.map_err(|error| format!("the statements cannot be read: {error}"))?;
    if read as u64 > SCRIPT_MAX {
        return Err(format!("more than {} MB of statements", SCRIPT_MAX >> 20));
    }
    session.script(&script).await
}

impl Session {
    /// Runs all statements of a script, each to its end.
    async fn script(&self, script: &str) -> Result<(), String> {
        let mut statements = Statements::default();
        statements.push(script);
        statements.end();
        while let Some(text) = statements.pop() {
            let mut rest = match text.strip_prefix('\\') {
                Some(command) => {
                    self.command(command).await?;
                    None
                }
                None => self.execute(text).await?,
            };
            while let Some(more) = rest {
                rest = self.page(more).await?;
            }
        }
        Ok(())
    }

    /// Begins a statement, and shows its first page.
    async fn execute(&self, text: String) -> Result<Option<Rest>, String> {
        let is_select = text.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"));
        if is_select {
            return self.page(Rest { text, next: None, rows: Vec::new(), shown: 0 }).await;
        }
        let rows = self.send(Statement::new(text)).await?;
        self.print(&if rows.items.is_empty() { "done".to_owned() } else { self.show.items(&rows.items) })?;
        Ok(None)
    }

    /// Shows the next page of a `SELECT`; what is left of it comes back.
    async fn page(&self, mut rest: Rest) -> Result<Option<Rest>, String> {
        let mut is_first = rest.shown == 0 && rest.rows.is_empty() && rest.next.is_none();
        while rest.rows.len() < PAGE_ROWS && (is_first || rest.next.is_some()) {
            let mut statement = Statement::new(rest.text.as_str()).consistent().limit(PAGE_ITEMS);
            if let Some(next) = rest.next.take() {
                statement = statement.next(next);
            }
            let Rows { items, next, .. } = match self.send(statement).await {
                // Indexes of the whole table have no strong reads.
                Err(text) if is_first && text.contains("onsistent read") => {
                    self.send(Statement::new(rest.text.as_str()).limit(PAGE_ITEMS)).await?
                }
                other => other?,
            };
            rest.rows.extend(items);
            rest.next = next;
            is_first = false;
        }
        let behind = rest.rows.split_off(rest.rows.len().min(PAGE_ROWS));
        let page = std::mem::replace(&mut rest.rows, behind);
        rest.shown += page.len();
        if !page.is_empty() {
            self.print(&self.show.items(&page))?;
        }
        if !rest.rows.is_empty() || rest.next.is_some() {
            return Ok(Some(rest));
        }
        if !self.show.json {
            self.print(&format!("{} row{}", rest.shown, if rest.shown == 1 { "" } else { "s" }))?;
        }
        Ok(None)
    }

    async fn send(&self, statement: Statement) -> Result<Rows, String> {
        self.client.execute(statement).await.map_err(|error| show::one_line(&error.to_string()))
    }

    /// A command that is no statement: `d` or `d NAME`.
    async fn command(&self, command: &str) -> Result<(), String> {
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match (name, argument.trim()) {
            ("d", "") => self.tables().await,
            ("d", table) => {
                let table: Table = self
                    .client
                    .describe_table(table.trim_matches('"'))
                    .await
                    .map_err(|error| show::one_line(&error.to_string()))?;
                self.print(&self.show.table(&table))
            }
            ("h" | "?", _) => self.print(prompt::HELP),
            _ => Err(format!("no such command: \\{} (\\h lists them)", show::one_line(name))),
        }
    }

    async fn tables(&self) -> Result<(), String> {
        let mut last = None;
        loop {
            let page = self.client.list_tables(last).await.map_err(|e| show::one_line(&e.to_string()))?;
            for name in &page.names {
                self.print(name)?;
            }
            last = page.last;
            if last.is_none() {
                return Ok(());
            }
        }
    }

    /// Writes a line. Whoever reads it may have gone away, which is the end and no failure of ours.
    fn print(&self, text: &str) -> Result<(), String> {
        let written = writeln!(std::io::stdout().lock(), "{text}");
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            other => other.map_err(|error| format!("the answer cannot be written: {error}")),
        }
    }
}
