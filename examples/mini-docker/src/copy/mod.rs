//! Copying files into and out of a container, whose file system is not to be trusted.
//!
//! Every path is resolved by the kernel below the container's root (`openat2`), so that no link in
//! it can lead to the host's files, also while its programs change links around us.

mod pack;
mod root;
mod unpack;

pub use pack::pack;
pub use root::{Kind, Tree};
pub use unpack::{Ownership, unpack};
