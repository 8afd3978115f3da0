//! **Pure.**
