//! The mark of a first start that is under way: `FOUNDING` in the data folder.
//!
//! A node of a cluster leaves it before it takes its identity, and takes it away when its first replicas exist, before
//! the first of them is told of a group. Only while it is there may replicas be made under the ids of a first start:
//! a node that has its identity but lost its replicas may have voted with them, and must never make them again.
//!
//! `trilith dev` leaves it for three nodes at once.
//! Three folders get their identity one after the other. A crash in between leaves some with one and some without,
//! which must not look like folders that were lost later: those never come back under their old ids. So a mark with
//! everything that the first start decided by chance or by flag is durable before the first folder is claimed, and goes
//! before the first request is served. While it is there, nothing was ever acknowledged, and every step is done again.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use trilith_domain::catalog::ClusterRecord;

const FILE: &str = "FOUNDING";
const NEW: &str = "FOUNDING.new";

/// What a first start decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The cluster to be.
    pub cluster: ClusterRecord,
    /// Its data shards.
    pub shards: u32,
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!(
        "{} cannot be used: {error}; make the folder writable or name another one with --data-dir",
        path.display()
    )
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Decided {
    /// The mark in `data_dir`, if a first start was cut short there.
    ///
    /// # Errors
    /// One line, when the mark cannot be read.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, String> {
        let path = data_dir.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => parse(&text).map(Some).ok_or_else(|| {
                format!(
                    "{} is damaged; nothing was stored yet, so remove the folder's content and start again",
                    path.display()
                )
            }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(failed(&path, &error)),
        }
    }

    /// Leaves the mark, durably.
    ///
    /// # Errors
    /// One line, when the disk refuses.
    pub fn write(&self, data_dir: &Path) -> Result<(), String> {
        let written = || -> io::Result<()> {
            let new = data_dir.join(NEW);
            let mut file = File::create(&new)?;
            file.write_all(self.render().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, data_dir.join(FILE))?;
            sync(data_dir)
        };
        written().map_err(|error| failed(data_dir, &error))
    }

    /// Takes the mark away, durably: the first start is done.
    ///
    /// # Errors
    /// One line, when the disk refuses.
    pub fn done(data_dir: &Path) -> Result<(), String> {
        match std::fs::remove_file(data_dir.join(FILE)) {
            Ok(()) => sync(data_dir).map_err(|error| failed(data_dir, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(&data_dir.join(FILE), &error)),
        }
    }

    fn render(&self) -> String {
        let ClusterRecord { cluster, region, account } = &self.cluster;
        format!(
            "founding 1\ncluster {cluster:032x}\naccount {account}\nshards {}\nregion {region}\n",
            self.shards
        )
    }
}

fn parse(text: &str) -> Option<Decided> {
    let mut lines = text.lines();
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
    if field("founding")? != "1" {
        return None;
    }
    let cluster = u128::from_str_radix(&field("cluster")?, 16).ok()?;
    let account = field("account")?.parse().ok()?;
    let shards = field("shards")?.parse().ok()?;
    let region = field("region")?;
    let decided = Decided { cluster: ClusterRecord { cluster, region, account }, shards };
    (decided.render() == text).then_some(decided)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_again_until_it_is_taken_away() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cluster = ClusterRecord { cluster: 7 << 100, region: "eu-west-1".into(), account: 12 };
        let decided = Decided { cluster, shards: 6 };
        assert_eq!(Decided::read(folder.path()), Ok(None));
        decided.write(folder.path()).expect("writable");
        assert_eq!(Decided::read(folder.path()), Ok(Some(decided)));
        Decided::done(folder.path()).expect("writable");
        Decided::done(folder.path()).expect("again is fine");
        assert_eq!(Decided::read(folder.path()), Ok(None));
    }

    #[test]
    fn a_mark_that_was_altered_is_refused_in_one_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(FILE), "founding 2\ncluster 1\n").expect("writable");
        let line = Decided::read(folder.path()).expect_err("of another version");
        assert!(line.contains("start again") && !line.contains('\n'), "{line}");
    }
}
