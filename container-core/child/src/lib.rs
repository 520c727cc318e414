//! Everything that runs between clone and the container's own execve.
