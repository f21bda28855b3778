//! Every system call of the crate and all of its `unsafe`.
