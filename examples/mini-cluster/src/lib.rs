//! Wiring as a library.
