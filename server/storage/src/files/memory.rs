//! Files in memory that remember what a disk would have of them.
//!
//! A write is held back until the file is synced; a creation, removal or rename until the folder is. A crash keeps of
//! each file some prefix of the bytes held back, in the order they were written, and of the folder some prefix of the
//! operations held back; a [`Keep`] decides how much, so a seed decides all. The crashed folder and its open files
//! then refuse to work, and [`MemFiles::crash`] returns what a restart finds.
//!
//! Two switches plant faults: [`MemFiles::skip_fsync`] makes every sync succeed without effect, the bug that the
//! tests of the log must be able to see; [`MemFiles::fail_next_sync`] and [`MemFiles::fail_next_write`] are a disk
//! that reports errors.

use super::{Files, LogFile};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Decides at a crash how much survives: called with the largest possible amount (bytes of a file or operations of
/// the folder), it returns what is kept; more is taken as everything.
pub type Keep<'a> = dyn FnMut(u64) -> u64 + 'a;

/// A folder in memory. A clone is the same folder.
#[derive(Clone, Default)]
pub struct MemFiles {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    /// What the running process sees.
    names: BTreeMap<String, u64>,
    /// What a crash that keeps nothing would leave.
    synced_names: BTreeMap<String, u64>,
    pending_names: Vec<NameOp>,
    nodes: BTreeMap<u64, Node>,
    next_node: u64,
    faults: Faults,
    counts: Counts,
    crashed: bool,
}

#[derive(Default)]
struct Faults {
    skip_fsync: bool,
    fail_sync: bool,
    fail_write: bool,
}

#[derive(Default)]
struct Counts {
    syncs: u64,
    writes: u64,
}

/// A file: its content as the process sees it, and as the disk has it.
#[derive(Default, Clone)]
struct Node {
    content: Vec<u8>,
    synced: Vec<u8>,
    pending: Vec<FileOp>,
}

#[derive(Clone)]
enum FileOp {
    Write { offset: u64, data: Vec<u8> },
    Grow { length: u64 },
}

enum NameOp {
    Set { name: String, node: u64 },
    Remove { name: String },
    Rename { from: String, to: String },
}

impl NameOp {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameOp::Set { name, node } => {
                names.insert(name.clone(), *node);
            }
            NameOp::Remove { name } => {
                names.remove(name);
            }
            NameOp::Rename { from, to } => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

impl FileOp {
    /// Bytes that a crash can cut: a growth happens whole or not at all.
    fn size(&self) -> u64 {
        match self {
            FileOp::Write { data, .. } => data.len() as u64,
            FileOp::Grow { .. } => 1,
        }
    }

    /// Does the first `bytes` of the operation.
    fn apply(&self, content: &mut Vec<u8>, bytes: u64) {
        match self {
            FileOp::Write { offset, data } => overwrite(content, *offset, &data[..bytes as usize]),
            FileOp::Grow { length } if bytes > 0 && content.len() < *length as usize => {
                content.resize(*length as usize, 0);
            }
            FileOp::Grow { .. } => {}
        }
    }
}

fn overwrite(content: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + data.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(data);
}

impl MemFiles {
    /// An empty folder.
    pub fn new() -> MemFiles {
        MemFiles::default()
    }

    /// Ends this folder as a power cut would, and returns the one that a restart finds. `keep` is asked once for
    /// the folder's operations, then once for each file in it that has unsynced bytes, in the order of their names.
    /// Planted faults end with the crash, except [`MemFiles::skip_fsync`].
    pub fn crash(&self, keep: &mut Keep<'_>) -> MemFiles {
        let mut disk = self.disk.lock();
        let mut names = std::mem::take(&mut disk.synced_names);
        let pending = std::mem::take(&mut disk.pending_names);
        let kept = if pending.is_empty() { 0 } else { keep(pending.len() as u64) };
        for op in pending.iter().take(kept as usize) {
            op.apply(&mut names);
        }
        let mut survivor = Disk { next_node: disk.next_node, ..Disk::default() };
        survivor.faults.skip_fsync = disk.faults.skip_fsync;
        for node in names.values() {
            let file = disk.nodes.get(node).cloned().unwrap_or_default();
            let content = surviving_content(file, keep);
            survivor.nodes.insert(*node, Node { synced: content.clone(), content, pending: Vec::new() });
        }
        survivor.synced_names = names.clone();
        survivor.names = names;
        *disk = Disk { crashed: true, ..Disk::default() };
        MemFiles { disk: Arc::new(Mutex::new(survivor)) }
    }

    /// Makes every later sync answer Ok and do nothing (or, with `false`, work again).
    pub fn skip_fsync(&self, skip: bool) {
        self.disk.lock().faults.skip_fsync = skip;
    }

    /// Makes the next sync of a file fail; whether its bytes survive a crash is open, as after a real failure.
    pub fn fail_next_sync(&self) {
        self.disk.lock().faults.fail_sync = true;
    }

    /// Makes the next write to a file fail after half of its bytes.
    pub fn fail_next_write(&self) {
        self.disk.lock().faults.fail_write = true;
    }

    /// Number of syncs of files so far.
    pub fn syncs(&self) -> u64 {
        self.disk.lock().counts.syncs
    }

    /// Number of writes to files so far.
    pub fn writes(&self) -> u64 {
        self.disk.lock().counts.writes
    }

    /// Flips bit `bit` of a file's content, on disk and in memory. False if the file has no such bit.
    pub fn flip_bit(&self, name: &str, bit: u64) -> bool {
        let mut disk = self.disk.lock();
        let Some(node) = disk.names.get(name).copied() else {
            return false;
        };
        let Some(node) = disk.nodes.get_mut(&node) else {
            return false;
        };
        let (at, mask) = ((bit / 8) as usize, 1 << (bit % 8));
        if at >= node.content.len() {
            return false;
        }
        node.content[at] ^= mask;
        if let Some(byte) = node.synced.get_mut(at) {
            *byte ^= mask;
        }
        true
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        let disk = self.disk.lock();
        disk.names
            .values()
            .filter_map(|node| disk.nodes.get(node))
            .map(|node| node.content.len() as u64)
            .sum()
    }
}

/// What a crash leaves of a file: the synced content and a prefix of the bytes written since.
fn surviving_content(file: Node, keep: &mut Keep<'_>) -> Vec<u8> {
    let unsynced: u64 = file.pending.iter().map(FileOp::size).sum();
    let mut content = file.synced;
    if unsynced == 0 {
        return content;
    }
    let mut left = keep(unsynced).min(unsynced);
    for op in &file.pending {
        let part = left.min(op.size());
        op.apply(&mut content, part);
        left -= part;
        if part < op.size() {
            break;
        }
    }
    content
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("these files in memory have crashed")) } else { Ok(()) }
    }

    fn change_names(&mut self, op: NameOp) {
        op.apply(&mut self.names);
        self.pending_names.push(op);
    }

    fn node(&mut self, node: u64) -> io::Result<&mut Node> {
        self.check()?;
        self.nodes.get_mut(&node).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Files for MemFiles {
    fn create(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        let mut disk = self.disk.lock();
        disk.check()?;
        if disk.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = disk.next_node;
        disk.next_node += 1;
        disk.nodes.insert(node, Node::default());
        disk.change_names(NameOp::Set { name: name.to_owned(), node });
        Ok(Box::new(MemFile { disk: Arc::clone(&self.disk), node }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        let disk = self.disk.lock();
        disk.check()?;
        let node = *disk.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(MemFile { disk: Arc::clone(&self.disk), node }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let disk = self.disk.lock();
        disk.check()?;
        Ok(disk.names.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.check()?;
        if !disk.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change_names(NameOp::Remove { name: name.to_owned() });
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.check()?;
        if !disk.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change_names(NameOp::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.check()?;
        if disk.faults.skip_fsync {
            return Ok(());
        }
        disk.pending_names.clear();
        disk.synced_names = disk.names.clone();
        Ok(())
    }
}

struct MemFile {
    disk: Arc<Mutex<Disk>>,
    node: u64,
}

impl LogFile for MemFile {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.counts.writes += 1;
        let fail = std::mem::take(&mut disk.faults.fail_write);
        let node = disk.node(self.node)?;
        let data = if fail { &data[..data.len() / 2] } else { data };
        overwrite(&mut node.content, offset, data);
        node.pending.push(FileOp::Write { offset, data: data.to_vec() });
        if fail { Err(io::Error::other("planted write error")) } else { Ok(()) }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        let content = &disk.node(self.node)?.content;
        let rest = content.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.counts.syncs += 1;
        let (fail, skip) = (std::mem::take(&mut disk.faults.fail_sync), disk.faults.skip_fsync);
        let node = disk.node(self.node)?;
        if fail {
            return Err(io::Error::other("planted sync error"));
        }
        if !skip {
            for op in std::mem::take(&mut node.pending) {
                op.apply(&mut node.synced, op.size());
            }
        }
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let node = disk.node(self.node)?;
        if (node.content.len() as u64) < length {
            node.content.resize(length as usize, 0);
            node.pending.push(FileOp::Grow { length });
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.lock().node(self.node)?.content.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(files: &MemFiles, name: &str) -> Vec<u8> {
        let file = files.open(name).expect("the file exists");
        let mut buffer = vec![0; file.length().expect("length") as usize];
        file.read_at(0, &mut buffer).expect("read");
        buffer
    }

    /// A folder with one synced file "a" of content "synced".
    fn synced() -> (MemFiles, Box<dyn LogFile>) {
        let files = MemFiles::new();
        let file = files.create("a").expect("created");
        file.write_at(0, b"synced").expect("written");
        file.sync_data().expect("synced");
        files.sync_dir().expect("synced");
        (files, file)
    }

    #[test]
    fn a_crash_keeps_any_prefix_of_unsynced_bytes() {
        for kept in 0..=7 {
            let (files, file) = synced();
            file.write_at(6, b"1234").expect("written");
            file.write_at(0, b"SYN").expect("written");
            let after = files.crash(&mut |_| kept);
            let mut expected = b"synced".to_vec();
            expected.extend_from_slice(&b"1234"[..kept.min(4) as usize]);
            let over = kept.saturating_sub(4) as usize;
            expected[..over].copy_from_slice(&b"SYN"[..over]);
            assert_eq!(content(&after, "a"), expected);
            assert!(file.write_at(0, b"x").is_err(), "the old process is dead");
            assert!(files.list().is_err());
        }
    }

    #[test]
    fn names_survive_only_after_the_folder_is_synced() {
        let (files, _) = synced();
        files.create("b").expect("created");
        files.rename("a", "c").expect("renamed");
        let one = files.crash(&mut |most| {
            assert_eq!(most, 2);
            1
        });
        assert_eq!(one.list().expect("listed"), ["a", "b"]);
        one.remove("a").expect("removed");
        one.sync_dir().expect("synced");
        assert_eq!(one.crash(&mut |_| 0).list().expect("listed"), ["b"]);
    }

    #[test]
    fn faults_are_planted() {
        let (files, file) = synced();
        files.skip_fsync(true);
        file.write_at(0, b"SYNCED").expect("written");
        file.sync_data().expect("a skipped sync looks fine");
        let after = files.crash(&mut |_| 0);
        assert_eq!(content(&after, "a"), b"synced");
        let file = after.open("a").expect("opened");
        after.fail_next_write();
        assert!(file.write_at(0, b"1234").is_err());
        assert_eq!(content(&after, "a"), b"12nced");
        assert!(file.write_at(0, b"12").is_ok());
        after.fail_next_sync();
        assert!(file.sync_data().is_err());
        assert!(after.flip_bit("a", 0) && !after.flip_bit("a", 6 * 8) && !after.flip_bit("x", 0));
        assert_eq!(content(&after, "a"), b"02nced");
    }
}
