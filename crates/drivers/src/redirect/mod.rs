//! Redirectors: the code that moves clients from one instance to another, a module each.

pub mod proxy;
