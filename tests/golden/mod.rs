//! The golden request scripts (`tests/scripts`) in process: the same files as over HTTP and gRPC, through the JSON
//! decoder, the pipeline and the engine, over shards in memory. No socket, no disk, no consensus; so a change of
//! behaviour is seen within seconds, and a difference from the other two runs is the wire's or the cluster's.
//!
//! `GOLDEN=part cargo test -p trilith-tests --test golden` runs only cases whose `file/title` contains the part.

mod pattern;
mod script;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pattern::{differs, expand};
use script::{Case, Step, parse};
use serde_json::{Value, json};
use trilith_api::json::error::Failure;
use trilith_api::json::ops::encode;
use trilith_api::metrics::Metrics;
use trilith_api::operations::find;
use trilith_api::pipeline::{Pipeline, Settings};
use trilith_cluster::Cluster as _;
use trilith_domain::OpError;
use trilith_engine::check::{self, CheckError};
use trilith_engine::test_support::{LocalCluster, engine};

/// Data shards of the cluster, as many as `trilith dev` has.
const SHARDS: u32 = 6;
/// How long an answer that comes in the end may take, and the time between two questions.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(1);
/// DescribeTable calls that a table may take to become ACTIVE.
const POLLS_MAX: usize = 10_000;
/// How long what is owed to an index may take to arrive.
const SHIPPED_WITHIN: Duration = Duration::from_secs(20);
const SERVICE: &str = "DynamoDB_20120810.";

/// What a request was answered with.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// One cluster, and what the scripts have made in it.
struct World {
    cluster: Arc<LocalCluster>,
    pipeline: Arc<Pipeline>,
    tables: BTreeSet<String>,
    last: Value,
    /// What ships rows to indexes.
    workers: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.workers.iter().for_each(|worker| worker.abort());
    }
}

impl World {
    fn new() -> Self {
        let cluster = LocalCluster::new(SHARDS);
        let port: Arc<dyn trilith_cluster::Cluster> = cluster.clone();
        let workers = trilith_engine::workers::start(&port);
        let pipeline = Pipeline::new(Arc::new(engine(&cluster)), Metrics::new(), Settings::default());
        Self { cluster, pipeline, tables: BTreeSet::new(), last: Value::Null, workers }
    }

    /// The cluster's time, epoch seconds.
    fn now(&self) -> f64 {
        self.cluster.now_micros() as f64 / 1e6
    }

    async fn send(&self, target: &str, body: &[u8]) -> Answer {
        let Some(row) = find(target) else {
            return refused(OpError::UnknownOperation);
        };
        let context = self.pipeline.begin();
        let decode = || (row.decode)(body, Some("localhost:8000"));
        match self.pipeline.run(&context, row.name, decode, |output| encode(&output)).await {
            Ok(body) => Answer { status: 200, body },
            Err(error) => refused(error),
        }
    }

    async fn call(&self, operation: &str, request: Value) -> Answer {
        self.send(&format!("{SERVICE}{operation}"), request.to_string().as_bytes()).await
    }

    /// Does a step; says what was wrong.
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Table { name, keys } => self.make_table(name, keys).await,
            Step::Wait { name } => self.wait(name).await,
            Step::Request { operation, body, expected } => match expected.strip_prefix('~') {
                None => self.request(operation, body, expected).await,
                Some(expected) => {
                    let deadline = Instant::now() + PATIENCE;
                    loop {
                        let verdict = self.request(operation, body, expected.trim_start()).await;
                        if verdict.is_ok() || Instant::now() >= deadline {
                            return verdict;
                        }
                        // Workers have clocks of their own.
                        tokio::time::sleep(POLL).await;
                    }
                }
            },
        }
    }

    /// Sends a request; says what is wrong with the answer.
    async fn request(&mut self, operation: &str, body: &str, expected: &str) -> Result<(), String> {
        let body = expand(body, &self.last)?;
        let target =
            if operation.contains('.') { operation.to_owned() } else { format!("{SERVICE}{operation}") };
        let answer = self.send(&target, body.as_bytes()).await;
        let found: Value =
            serde_json::from_slice(&answer.body).map_err(|error| format!("the body is not JSON: {error}"))?;
        if operation == "CreateTable"
            && let Some(name) = found["TableDescription"]["TableName"].as_str()
        {
            self.tables.insert(name.to_owned());
        }
        let verdict = differs(answer.status, &found, expected, self.now());
        self.last = found;
        verdict
    }

    /// Makes a fresh table; an old one of that name goes.
    async fn make_table(&mut self, name: &str, keys: &[(String, String)]) -> Result<(), String> {
        self.call("DeleteTable", json!({"TableName": name})).await;
        let kinds = ["HASH", "RANGE"];
        let schema: Vec<Value> = keys
            .iter()
            .zip(kinds)
            .map(|((key, _), kind)| json!({"AttributeName": key, "KeyType": kind}))
            .collect();
        let types: Vec<Value> =
            keys.iter().map(|(key, of)| json!({"AttributeName": key, "AttributeType": of})).collect();
        let request = json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": schema, "AttributeDefinitions": types});
        let answer = self.call("CreateTable", request).await;
        if answer.status != 200 {
            return Err(format!("CreateTable answered {}", String::from_utf8_lossy(&answer.body)));
        }
        self.tables.insert(name.to_owned());
        self.wait(name).await
    }

    /// Until a table is ACTIVE.
    async fn wait(&self, name: &str) -> Result<(), String> {
        for _ in 0..POLLS_MAX {
            let answer = self.call("DescribeTable", json!({"TableName": name})).await;
            let found: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if found["Table"]["TableStatus"] == "ACTIVE" {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        Err(format!("table {name} does not become ACTIVE"))
    }

    /// Deletes what a file made.
    async fn clean(&mut self) {
        for name in std::mem::take(&mut self.tables) {
            let unprotect = json!({"TableName": name, "DeletionProtectionEnabled": false});
            self.call("UpdateTable", unprotect).await;
            self.call("DeleteTable", json!({"TableName": name})).await;
        }
    }

    /// Runs a case to its first fault. Whatever it did, indexes say what their tables say.
    async fn case(&mut self, case: &Case) -> Result<(), String> {
        for (at, step) in &case.steps {
            self.step(step).await.map_err(|wrong| format!("{at}: {wrong}"))?;
        }
        self.check_indexes().await
    }

    async fn check_indexes(&self) -> Result<(), String> {
        let catalog = self.cluster.catalog();
        for table in catalog.tables() {
            for index in &table.definition.indexes {
                let name = format!("index {} of {}", index.schema.name, table.name);
                match check::index(&*self.cluster, table, index, SHIPPED_WITHIN).await {
                    Ok(report) if report.is_equal() && report.undecided == 0 => {}
                    // It is being built or dropped.
                    Err(CheckError::Changing) => {}
                    Ok(report) => return Err(format!("{name} differs: {report:?}")),
                    Err(error) => return Err(format!("{name}: {error}")),
                }
            }
        }
        Ok(())
    }
}

fn refused(error: OpError) -> Answer {
    let failure = Failure::from(error);
    Answer { status: failure.status.as_u16(), body: failure.body() }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("tests/scripts")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "script"))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn scripts_in_process() {
    let wanted = std::env::var("GOLDEN").unwrap_or_default();
    let (mut passed, mut failed) = (0, Vec::new());
    for path in files() {
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a readable script");
        let mut world = World::new();
        for case in parse(&stem, &text).unwrap_or_else(|wrong| panic!("{wrong}")) {
            let title = format!("{stem}/{}", case.title);
            if case.title != script::SETUP && !title.contains(&wanted) {
                continue;
            }
            match world.case(&case).await {
                Ok(()) => passed += usize::from(case.title != script::SETUP),
                Err(wrong) => failed.push(format!("{title}: {wrong}")),
            }
        }
        world.clean().await;
    }
    println!("{passed} cases passed, {} failed", failed.len());
    assert!(failed.is_empty(), "{passed} cases passed, {} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(passed > 0, "no case contains {wanted}");
}
