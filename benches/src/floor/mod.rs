//! The floor: the same launch by hand-written system calls.
