//! Crashes between any two writes.
