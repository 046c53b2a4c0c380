//! Errors of image layouts, each with the remedy.

use std::io;
use std::path::PathBuf;

/// An image layout that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The directory is not an image layout.
    #[error("{} is not an OCI image layout: it has no file oci-layout; check the path", .0.display())]
    Marker(PathBuf),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A file is not a regular file, or is larger than it may be.
    #[error("{} is not a regular file of at most {max_bytes} bytes; export the layout again", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The maximum size.
        max_bytes: u64,
    },
    /// The index is not valid JSON.
    #[error("{} is not a valid index: {error}; export the layout again", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        error: serde_json::Error,
    },
    /// No artifact has the tag.
    #[error("{} has no artifact with the tag {tag:?} ({tags}); use one of its tags", dir.display())]
    Tag {
        /// The directory.
        dir: PathBuf,
        /// The requested tag.
        tag: String,
        /// The tags that there are, for the message.
        tags: String,
    },
    /// There are several artifacts, and none was selected.
    #[error("{} has {count} artifacts ({tags}); select one with oci:DIR:TAG", dir.display())]
    Ambiguous {
        /// The directory.
        dir: PathBuf,
        /// The number of artifacts.
        count: usize,
        /// Their tags, for the message.
        tags: String,
    },
    /// Content does not match its descriptor.
    #[error("{} is damaged: it does not have the digest in its name; export the layout again", .0.display())]
    Damaged(PathBuf),
    /// The content cannot be written to where the caller wants it.
    #[error("cannot save the content")]
    Write(#[source] io::Error),
}
