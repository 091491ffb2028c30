//! A folder of the operating system.

use super::{Files, LogFile};
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Files of one folder on disk.
#[derive(Debug)]
pub struct OsFiles {
    folder: PathBuf,
}

impl OsFiles {
    /// The files of `folder`, which is created if it does not exist. Its parent exists.
    ///
    /// # Errors
    /// What the disk says.
    pub fn new(folder: impl Into<PathBuf>) -> io::Result<OsFiles> {
        let folder = folder.into();
        match std::fs::create_dir(&folder) {
            Ok(()) => sync_folder(folder.parent().unwrap_or(Path::new(".")))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(OsFiles { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Makes the names in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

impl Files for OsFiles {
    fn create(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.path(name))?;
        Ok(Box::new(OsFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(name))?;
        Ok(Box::new(OsFile(file)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for file in std::fs::read_dir(&self.folder)? {
            // A name that is no UTF-8 is none of ours.
            if let Ok(name) = file?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn sync_dir(&self) -> io::Result<()> {
        sync_folder(&self.folder)
    }
}

struct OsFile(File);

impl LogFile for OsFile {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.0.read_at(&mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let present = self.0.metadata()?.len();
        if present >= length {
            return Ok(());
        }
        match fallocate(&self.0, FallocateFlags::empty(), 0, length) {
            // Some file systems cannot reserve space; the log works without, a little slower.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        fill(&self.0, present, length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Writes zeros from `start` to `end`. Space that is reserved but was never written costs a journal commit with each
/// sync that first writes to it, which takes longer than the sync itself.
fn fill(file: &File, start: u64, end: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let mut at = start;
    while at < end {
        let count = ZEROS.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        file.write_all_at(&ZEROS[..count], at)?;
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_read_and_listed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = OsFiles::new(folder.path().join("log")).expect("the folder is made");
        let file = files.create("a").expect("created");
        assert_eq!(files.create("a").err().map(|error| error.kind()), Some(io::ErrorKind::AlreadyExists));
        file.allocate(100).expect("allocated");
        file.write_at(98, b"tail").expect("written");
        file.sync_data().expect("synced");
        assert_eq!(file.length().expect("length"), 102);
        file.allocate(10).expect("an allocation never shrinks");
        assert_eq!(file.length().expect("length"), 102);
        files.rename("a", "b").expect("renamed");
        files.sync_dir().expect("synced");
        assert_eq!(files.list().expect("listed"), ["b"]);
        let mut buffer = [7; 8];
        let count = files.open("b").expect("opened").read_at(96, &mut buffer).expect("read");
        assert_eq!((count, &buffer[..6]), (6, &b"\0\0tail"[..]));
        files.remove("b").expect("removed");
        assert_eq!(files.open("b").err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
        assert!(OsFiles::new(folder.path().join("log")).is_ok(), "an existing folder is fine");
    }
}
