//! A node's configuration: defaults, then the file, then the environment, then flags. Unknown keys are errors.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::cli::{ConfigCommand, ServerArgs};

/// One node of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who it is.
    #[serde(default)]
    pub node: NodeConfig,
    /// Where it listens.
    #[serde(default)]
    pub listen: ListenConfig,
    /// Whom it knows.
    #[serde(default)]
    pub cluster: ClusterConfig,
}

/// `[node]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// The failure domain it stands in.
    pub zone: String,
    /// Its data folder.
    pub data_dir: PathBuf,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self { zone: "a".into(), data_dir: "./trilith-data".into() }
    }
}

/// `[listen]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenConfig {
    /// DynamoDB API over HTTP.
    pub http: String,
    /// The same operations over gRPC.
    pub grpc: String,
    /// Metrics, health, administration.
    pub admin: String,
    /// Other nodes.
    pub peer: String,
    /// Where other nodes reach `peer`, where that is not the address itself (0.0.0.0, a port that is forwarded).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise_peer: Option<String>,
    /// Where clients reach `http`, in the same case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise_http: Option<String>,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            http: "localhost:8000".into(),
            grpc: "localhost:8001".into(),
            admin: "localhost:8002".into(),
            peer: "localhost:8003".into(),
            advertise_peer: None,
            advertise_http: None,
        }
    }
}

/// `[cluster]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// Peer addresses of the members, to be asked whether an empty folder had an identity before.
    pub peers: Vec<String>,
}

fn load(file: &Path) -> Result<Config, String> {
    if !file.is_file() {
        return Err(format!(
            "--config {}: there is no such file; see deploy/config.example.toml",
            file.display()
        ));
    }
    Figment::from(Serialized::defaults(Config::default()))
        .merge(Toml::file_exact(file))
        .merge(Env::prefixed("TRILITH__").split("__"))
        .extract()
        .map_err(|error| {
            let first = error.into_iter().next().map(|e| e.to_string()).unwrap_or_default();
            format!("{}: {first}; see deploy/config.example.toml", file.display())
        })
}

/// The configuration of `trilith server`.
pub fn of_server(args: &ServerArgs) -> Result<Config, String> {
    let mut config = load(&args.config)?;
    let set = |value: &Option<String>, into: &mut String| {
        if let Some(value) = value {
            into.clone_from(value);
        }
    };
    set(&args.http, &mut config.listen.http);
    set(&args.grpc, &mut config.listen.grpc);
    set(&args.admin, &mut config.listen.admin);
    set(&args.peer, &mut config.listen.peer);
    if args.advertise_peer.is_some() {
        config.listen.advertise_peer.clone_from(&args.advertise_peer);
    }
    if args.advertise_http.is_some() {
        config.listen.advertise_http.clone_from(&args.advertise_http);
    }
    if let Some(data_dir) = &args.data_dir {
        config.node.data_dir.clone_from(data_dir);
    }
    Ok(config)
}

/// `trilith config`.
pub fn run(command: ConfigCommand) -> Result<(), String> {
    match command {
        ConfigCommand::Check { file } => {
            load(&file)?;
            println!("{} is a valid configuration", file.display());
        }
        ConfigCommand::Print { file } => {
            let config = load(&file)?;
            print!("{}", toml::to_string(&config).map_err(|e| e.to_string())?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("node.toml");
        std::fs::write(&file, text).expect("a file in it");
        load(&file)
    }

    #[test]
    fn defaults_fill_what_the_file_leaves_out() {
        let config = config("[node]\nzone = \"b\"\n").expect("valid");
        assert_eq!(config.node.zone, "b");
        assert_eq!(config.listen.http, "localhost:8000");
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = config("[listen]\nhtpp = \"localhost:1\"\n").expect_err("a typo");
        assert!(error.contains("htpp") && error.contains("http"), "{error}");
    }

    #[test]
    fn the_example_is_valid() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config.example.toml");
        load(&example).expect("the documented example");
    }
}
