//! TODO
crate::cases![];
