//! The few file operations that the log needs, as a trait, so that tests can lose what was not synced.
//!
//! [`OsFiles`] is a folder on disk. [`MemFiles`] keeps files in memory together with what a disk would have of them,
//! and can crash. Names are flat; there is one folder.

mod memory;
mod os;

pub use memory::{Keep, MemFiles};
pub use os::OsFiles;
pub(crate) use os::sync_folder;

use std::io;

/// A folder of log files.
pub trait Files: Send + Sync {
    /// Creates an empty file for reading and writing. It survives a crash only after [`Files::sync_dir`].
    ///
    /// # Errors
    /// `AlreadyExists` if there is one, or what the disk says.
    fn create(&self, name: &str) -> io::Result<Box<dyn LogFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` if there is none, or what the disk says.
    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>>;

    /// The names of all files, sorted.
    ///
    /// # Errors
    /// What the disk says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Removes a file. Open handles stay usable.
    ///
    /// # Errors
    /// What the disk says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Renames a file, replacing `to` if it exists. Open handles stay usable.
    ///
    /// # Errors
    /// What the disk says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes the creations, removals and renames so far durable, in their order.
    ///
    /// # Errors
    /// What the disk says. An error is final: what is durable is then unknown.
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open log file.
pub trait LogFile: Send + Sync {
    /// Writes all of `data` at `offset`, growing the file when needed.
    ///
    /// # Errors
    /// What the disk says; a part may have been written.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end of the file.
    ///
    /// # Errors
    /// What the disk says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Makes the file's content and length durable (fdatasync).
    ///
    /// # Errors
    /// What the disk says. An error is final: the sync must not be repeated.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes sure that the file is at least `length` bytes long and that the disk has room for them; new bytes read
    /// as 0.
    ///
    /// # Errors
    /// What the disk says, `StorageFull` among it.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// The file's length in bytes.
    ///
    /// # Errors
    /// What the disk says.
    fn length(&self) -> io::Result<u64>;
}
