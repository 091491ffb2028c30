//! The command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

/// A distributed key-value and document database with the data model and API of DynamoDB.
#[derive(Debug, Parser)]
#[command(name = "trilith", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run three zones in this process: the same code as a cluster, for development and small deployments.
    Dev(DevArgs),
    /// Run one node of a cluster.
    Server(ServerArgs),
    /// Make, join or look at a cluster.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Look after a table.
    #[command(subcommand)]
    Table(TableCommand),
    /// Check or print a configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Exit with 0 if a node is ready (for containers).
    Healthcheck(HealthcheckArgs),
    /// Run PartiQL statements: at a prompt, from a pipe, or with -e.
    Sql(SqlArgs),
    /// Print a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Arguments of `dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Folder for the three zones' data (a, b, c below it).
    #[arg(long, default_value = "./trilith-data")]
    pub data_dir: PathBuf,
    /// Keep everything in memory; nothing survives the process.
    #[arg(long, conflicts_with = "data_dir")]
    pub memory: bool,
    /// DynamoDB API over HTTP. Port 0 picks a free one.
    #[arg(long, default_value = "localhost:8000", value_name = "ADDR")]
    pub http: String,
    /// The same operations over gRPC.
    #[arg(long, default_value = "localhost:8001", value_name = "ADDR")]
    pub grpc: String,
    /// Metrics, health, administration.
    #[arg(long, default_value = "localhost:8002", value_name = "ADDR")]
    pub admin: String,
    /// Data shards of a new data folder.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub shards: u32,
    /// Region in ARNs, fixed at the first start.
    #[arg(long, default_value = "us-east-1")]
    pub region: String,
    /// Allow listeners outside loopback although signatures are not verified yet.
    #[arg(long)]
    pub insecure: bool,
}

/// Arguments of `server`.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// Configuration file (TOML); see deploy/config.example.toml.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Overrides node.data_dir of the file.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Overrides listen.http of the file.
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Overrides listen.grpc of the file.
    #[arg(long, value_name = "ADDR")]
    pub grpc: Option<String>,
    /// Overrides listen.admin of the file.
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,
    /// Overrides listen.peer of the file.
    #[arg(long, value_name = "ADDR")]
    pub peer: Option<String>,
    /// Overrides listen.advertise_peer of the file: where other nodes reach this one.
    #[arg(long, value_name = "ADDR")]
    pub advertise_peer: Option<String>,
    /// Overrides listen.advertise_http of the file: where clients reach this node.
    #[arg(long, value_name = "ADDR")]
    pub advertise_http: Option<String>,
    /// Allow listeners outside loopback although signatures are not verified yet.
    #[arg(long)]
    pub insecure: bool,
}

/// `cluster` commands.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Make a new cluster of nodes that wait for it, one in each zone. Safe to repeat.
    Init {
        /// Admin address of a first member; give one for each.
        #[arg(long = "admin", required = true, value_name = "ADDR")]
        admins: Vec<String>,
        /// Data shards.
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        shards: u32,
        /// Region in ARNs, fixed for the cluster's life.
        #[arg(long, default_value = "us-east-1")]
        region: String,
        /// Account in ARNs, fixed for the cluster's life.
        #[arg(long, default_value_t = 0)]
        account: u64,
    },
    /// Let a waiting node join; it takes over the replicas of a node that is gone.
    Join {
        /// Admin address of the waiting node.
        #[arg(long, value_name = "ADDR")]
        admin: String,
        /// Admin or peer address of any member.
        #[arg(long, value_name = "ADDR")]
        via: String,
        /// The node to take over from; by default the one of the same zone.
        #[arg(long, value_name = "NODE")]
        replaces: Option<u64>,
    },
    /// Show nodes, shards and leaders.
    Status {
        /// Admin address of any node.
        #[arg(long, default_value = "localhost:8002", value_name = "ADDR")]
        admin: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `table` commands.
#[derive(Debug, Subcommand)]
pub enum TableCommand {
    /// Compare each index of a table with the table. Exits with 1 where they differ, or cannot be compared.
    ///
    /// The table may be in use. A difference is reported only if it stays when everything that was owed to the index has
    /// arrived.
    Check {
        /// The table.
        table: String,
        /// Admin address of any node.
        #[arg(long, default_value = "localhost:8002", value_name = "ADDR")]
        admin: String,
        /// Seconds that what is owed to an index may take to arrive.
        #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86_400))]
        wait: u64,
        /// As JSON, one line for each index.
        #[arg(long)]
        json: bool,
    },
}

/// `config` commands.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether a file is a valid configuration.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print the configuration that is in effect: defaults, file and environment together.
    Print {
        /// The file.
        file: PathBuf,
    },
}

/// Arguments of `healthcheck`.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// Admin address of the node.
    #[arg(long, default_value = "localhost:8002", value_name = "ADDR")]
    pub admin: String,
}

/// Arguments of `sql`.
#[derive(Debug, Args)]
pub struct SqlArgs {
    /// gRPC address of any node.
    #[arg(long, default_value = "localhost:8001", value_name = "ADDR")]
    pub endpoint: String,
    /// Run these statements and end; may be given several times.
    #[arg(short, long, value_name = "STATEMENT")]
    pub execute: Vec<String>,
    /// Show items as JSON, one a line.
    #[arg(long)]
    pub json: bool,
}

/// Prints a completion script.
pub fn completion(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "trilith", &mut std::io::stdout());
}
